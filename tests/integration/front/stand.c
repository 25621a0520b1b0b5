#include "integration/front/stand.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/elf_note.h"
#include "base/mem.h"
#include "codec/digest.h"
#include "identity/key.h"
#include "identity/rate.h"
#include "lib/postgres.h"
#include "lib/test.h"

#define PATIENCE_MS 30000

extern char **environ;

static void must(bool ok, const char *what)
{
	ck_assert_msg(ok, "%s: %s", what, strerror(errno));
}

/* fds[i] becomes 3 + i of the child. */
static pid_t spawn(const char *program, const int *fds, int count)
{
	char *path = mem_printf("%s/bin/%s", test_build(), program);
	char *argv[] = { path, NULL };
	posix_spawn_file_actions_t actions;
	int high[8];
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	for (int i = 0; i < count; i++) {
		high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 20);
		must(high[i] != -1, "dup");
		posix_spawn_file_actions_adddup2(&actions, high[i], 3 + i);
	}
	must(posix_spawn(&pid, path, &actions, NULL, argv, environ) == 0, path);
	posix_spawn_file_actions_destroy(&actions);
	for (int i = 0; i < count; i++)
		(void)close(high[i]);
	mem_free(path);
	return pid;
}

static int make_control(int *child)
{
	struct timeval patience = { PATIENCE_MS / 1000, 0 };
	int pair[2];

	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0, "socketpair");
	must(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0,
		"timeout");
	*child = pair[1];
	return pair[0];
}

static int make_listener(int *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	must(fd != -1 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0, "bind");
	must(listen(fd, 128) == 0, "listen");
	must(getsockname(fd, (struct sockaddr *)&address, &size) == 0, "getsockname");
	*port = ntohs(address.sin_port);
	return fd;
}

static char *make_key(struct stand *s, char hash[static SHA256_HEX_SIZE])
{
	char *key = mem_zalloc(KEY_LEN + 1);

	(void)s;
	key_make(KEY_API, key);
	sha256_hex(span_of(key), hash);
	return key;
}

static void make_admin(struct stand *s)
{
	char hash[SHA256_HEX_SIZE], *sql;

	s->admin = make_key(s, hash);
	sql = mem_printf("SELECT bootstrap_admin('admin', '%s', '%.10s')", hash, s->admin);
	mem_free(postgres_value(s->database, sql));
	mem_free(sql);
}

char *stand_key(struct stand *s, const char *role, const char *scopes, int rate_limit)
{
	char hash[SHA256_HEX_SIZE], *key = make_key(s, hash);
	char *sql = mem_printf(
		"WITH u AS (INSERT INTO users(email, name, provider, provider_id, role) "
		"VALUES ('%.8s@test.invalid', '%s %.8s', 'github', '%s', '%s') RETURNING id) "
		"INSERT INTO api_keys(user_id, name, key_hash, key_prefix, scopes, rate_limit) "
		"SELECT id, 'test', '%s', '%.10s', '%s', %d FROM u",
		hash, role, hash, hash, role, hash, key, scopes, rate_limit);

	postgres_run(s->database, sql);
	mem_free(sql);
	return key;
}

static void start_front(struct stand *s, int listener, int control)
{
	const int fds[] = { control, listener };
	char *url = postgres_url_as(s->database, "mortise_front", "mortise_front");
	char folder[4096], *data;
	struct front_start start = { .slot = 0 };
	struct protocol_pair settings[3];
	struct channel_message m;
	struct front_ready ready;
	struct error err;
	int counters;

	must(getcwd(folder, sizeof(folder)) != NULL, "getcwd");
	data = mem_printf("%s/data", folder);
	must(mkdir("data", 0755) == 0 && mkdir("data/logs", 0755) == 0, "mkdir");
	settings[0] = (struct protocol_pair){ SPAN("data"), span_of(data) };
	settings[1] = (struct protocol_pair){ SPAN("fronts"), SPAN("1") };
	settings[2] = (struct protocol_pair){ SPAN("spool.dir"), span_of(folder) };
	start.environment = SPAN("development");
	start.node = SPAN("test-node");
	start.database = span_of(url);
	start.settings.items = settings;
	start.settings.count = 3;
	s->front = spawn("mortise-front", fds, 2);
	(void)close(control);
	(void)close(listener);
	s->line = channel_line_new(
		s->line_fd, "front", protocol_limit, PROTOCOL_LINK_FRONT_TO_SUPERVISOR, true);
	counters = memfd_create("counters", MFD_CLOEXEC);
	must(counters != -1 && ftruncate(counters, (off_t)rate_size(64)) == 0, "memfd");
	EXPECT_OK(protocol_line_send(s->line, PROTOCOL_FRONT_START, 0, &start, 0, counters, &err),
		&err);
	(void)close(counters);
	m = stand_expect(s, PROTOCOL_FRONT_READY);
	EXPECT_OK(decode_front_ready(&ready, m.payload, &s->memory, &err), &err);
	ck_assert_msg(ready.rc == 0, "front: %.*s", SPAN_ARG(ready.text));
	mem_free(url);
	mem_free(data);
}

void stand_open(struct stand *s)
{
	int control, listener;

	memset(s, 0, sizeof(*s));
	(void)signal(SIGPIPE, SIG_IGN);
	protocol_memory_init(&s->memory);
	s->database = postgres_database();
	make_admin(s);
	listener = make_listener(&s->port);
	s->line_fd = make_control(&control);
	start_front(s, listener, control);
}

static void end_process(pid_t pid)
{
	int status;

	if (pid <= 0)
		return;
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, &status, 0);
}

void stand_close(struct stand *s)
{
	end_process(s->front);
	channel_line_free(s->line);
	(void)close(s->line_fd);
	for (size_t i = 0; i < s->worker_count; i++) {
		end_process(s->workers[i].pid);
		channel_line_free(s->workers[i].line);
		(void)close(s->workers[i].line_fd);
	}
	for (size_t i = 0; i < s->route_count; i++)
		mem_free((char *)(uintptr_t)s->routes[i].pattern.data);
	protocol_memory_done(&s->memory);
	mem_free(s->database);
	mem_free(s->admin);
}

static struct channel_message expect_on(struct channel_line *line, uint16_t type)
{
	struct channel_message m;
	struct error err;

	for (;;) {
		EXPECT_OK(channel_line_receive(line, &m, &err), &err);
		if (m.type == type)
			return m;
		if (m.fd != -1)
			(void)close(m.fd);
	}
}

struct channel_message stand_expect(struct stand *s, uint16_t type)
{
	return expect_on(s->line, type);
}

void stand_route(struct stand *s, const char *mount, const char *name, const char *method,
	const char *pattern, const char *scope, uint32_t deadline_ms, uint64_t body_limit)
{
	s->routes[s->route_count++] = (struct front_table_route){
		.name = span_of(name),
		.method = span_of(method),
		.pattern = span_of(mem_printf("/api/%s%s", mount, pattern)),
		.scope = span_of(scope),
		.deadline_ms = deadline_ms,
		.body_limit = body_limit,
	};
}

static bool is_of_mount(const struct front_table_route *route, const char *mount)
{
	char *start = mem_printf("/api/%s/", mount);
	bool yes = span_starts(route->pattern, start);

	mem_free(start);
	return yes;
}

void stand_table(struct stand *s)
{
	struct front_table_worker workers[STAND_WORKERS];
	struct front_table_route routes[32];
	struct front_table table = { .number = ++s->table };
	struct channel_message m;
	struct front_table_ack ack;
	struct error err;

	for (size_t i = 0; i < s->worker_count; i++) {
		const struct stand_worker *w = &s->workers[i];

		if (w->gone)
			continue;
		for (size_t r = 0; !w->draining && r < s->route_count; r++) {
			if (!is_of_mount(&s->routes[r], w->mount))
				continue;
			routes[table.routes.count] = s->routes[r];
			routes[table.routes.count++].worker = table.workers.count;
		}
		workers[table.workers.count++] = (struct front_table_worker){
			.installation = span_of(w->installation),
			.generation = w->generation,
			.plugin = span_of(w->plugin),
			.version = SPAN("1.0.0"),
			.mount = span_of(w->mount),
			.permissions = span_of(w->permissions),
			.provides = span_of(w->provides),
			.draining = w->draining,
		};
	}
	table.workers.items = workers;
	table.routes.items = routes;
	EXPECT_OK(protocol_line_send(s->line, PROTOCOL_FRONT_TABLE, 0, &table, 0, -1, &err), &err);
	m = stand_expect(s, PROTOCOL_FRONT_TABLE_ACK);
	EXPECT_OK(decode_front_table_ack(&ack, m.payload, &s->memory, &err), &err);
	EXPECT_UINT(ack.number, ==, s->table);
}

/* Rows as a committed install leaves them: plugin, installation, service account. */
static void make_rows(struct stand *s, const struct stand_worker *w)
{
	char *sql = mem_printf(
		"INSERT INTO plugins(name, display_name, current_version) VALUES ('%s', '%s', "
		"'1.0.0');"
		"INSERT INTO plugin_installations(id, plugin_id, environment, installed_version) "
		"SELECT '%s', id, 'development', '1.0.0' FROM plugins WHERE name = '%s';"
		"INSERT INTO users(email, name, provider, provider_id, role) "
		"VALUES ('%s@plugin.invalid', '%s', 'plugin', '%s', 'VIEWER')",
		w->plugin, w->plugin, w->installation, w->plugin, w->installation, w->plugin,
		w->installation);

	postgres_run(s->database, sql);
	mem_free(sql);
}

static int make_worker_listener(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert(strlen(path) < sizeof(address.sun_path));
	memcpy(address.sun_path, path, strlen(path) + 1);
	must(fd != -1 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0, path);
	must(listen(fd, 16) == 0, "listen");
	return fd;
}

static void start_worker(struct stand *s, struct stand_worker *w, const char *file)
{
	struct span provides = span_of(w->provides);
	struct span names[32], needs[ELF_NOTE_INTERFACES_MAX];
	struct elf_image image;
	struct elf_note note;
	struct worker_start start = {
		.installation = span_of(w->installation),
		.generation = w->generation,
		.plugin = span_of(w->plugin),
		.version = SPAN("1.0.0"),
		.config = SPAN("{}"),
		.needs = { needs, 0 },
		.provides = { &provides, w->provides[0] ? 1 : 0 },
		.routes = { names, 0 },
	};
	struct channel_message m;
	struct worker_loaded loaded;
	struct error err;
	struct stat st;

	int fd = open(file, O_RDONLY | O_CLOEXEC);

	must(fd != -1 && fstat(fd, &st) == 0, file);
	EXPECT_OK(elf_image_open(&image, fd, &err), &err);
	EXPECT_OK(elf_note_read(&note, &image, &err), &err);
	(void)close(fd);
	for (size_t i = 0; i < note.count; i++)
		needs[start.needs.count++] = span_of(note.interfaces[i].id);
	start.entry = span_of(file);
	start.device = st.st_dev;
	start.inode = st.st_ino;
	for (size_t r = 0; r < s->route_count; r++)
		if (is_of_mount(&s->routes[r], w->mount))
			names[start.routes.count++] = s->routes[r].name;
	EXPECT_OK(protocol_line_send(w->line, PROTOCOL_WORKER_START, 0, &start, 0, -1, &err), &err);
	m = expect_on(w->line, PROTOCOL_WORKER_LOADED);
	EXPECT_OK(decode_worker_loaded(&loaded, m.payload, &s->memory, &err), &err);
	ck_assert_msg(loaded.rc == 0, "worker: %.*s", SPAN_ARG(loaded.text));
}

static void connect_front(struct stand *s, struct stand_worker *w, const char *path)
{
	struct front_worker_connect connect = {
		.installation = span_of(w->installation),
		.generation = w->generation,
		.path = span_of(path),
	};
	struct front_worker_connected connected;
	struct worker_started started;
	struct channel_message m;
	struct error err;

	EXPECT_OK(protocol_line_send(
			  s->line, PROTOCOL_FRONT_WORKER_CONNECT, 0, &connect, 0, -1, &err),
		&err);
	m = stand_expect(s, PROTOCOL_FRONT_WORKER_CONNECTED);
	EXPECT_OK(decode_front_worker_connected(&connected, m.payload, &s->memory, &err), &err);
	ck_assert_msg(connected.rc == 0, "connect: %.*s", SPAN_ARG(connected.text));
	EXPECT_OK(protocol_line_send(w->line, PROTOCOL_WORKER_GO, 0, NULL, 0, -1, &err), &err);
	m = expect_on(w->line, PROTOCOL_WORKER_STARTED);
	EXPECT_OK(decode_worker_started(&started, m.payload, &s->memory, &err), &err);
	ck_assert_msg(started.rc == 0, "start: %.*s", SPAN_ARG(started.text));
}

struct stand_worker *stand_worker(struct stand *s, const char *file, const char *plugin,
	const char *mount, const char *permissions, const char *provides)
{
	struct stand_worker *w = &s->workers[s->worker_count++];
	char *path = mem_printf("/tmp/mzfs-%d-%zu", getpid(), s->worker_count);
	char *so = mem_printf("%s/%s", test_build(), file);
	int control, listener, fds[3];

	*w = (struct stand_worker){ .plugin = plugin,
		.mount = mount,
		.permissions = permissions,
		.provides = provides,
		.generation = s->worker_count };
	(void)snprintf(w->installation, sizeof(w->installation), "inst%zu", s->worker_count);
	make_rows(s, w);
	w->line_fd = make_control(&control);
	(void)unlink(path);
	listener = make_worker_listener(path);
	fds[0] = control;
	fds[1] = listener;
	fds[2] = memfd_create("box", MFD_CLOEXEC);
	must(fds[2] != -1 && ftruncate(fds[2], BLACK_BOX_SIZE) == 0, "memfd");
	w->pid = spawn("mortise-worker", fds, 3);
	for (int i = 0; i < 3; i++)
		(void)close(fds[i]);
	w->line = channel_line_new(
		w->line_fd, "worker", protocol_limit, PROTOCOL_LINK_WORKER_TO_SUPERVISOR, true);
	start_worker(s, w, so);
	connect_front(s, w, path);
	(void)unlink(path);
	mem_free(path);
	mem_free(so);
	return w;
}

/* ---- HTTP --------------------------------------------------------------------------------------
 */

static void write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		must(n > 0, "send");
		data += n;
		len -= (size_t)n;
	}
}

int stand_connect(struct stand *s, const char *request)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)s->port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	must(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0, "connect");
	write_all(fd, request, strlen(request));
	return fd;
}

/* What comes until the end, or until `until` was seen. */
static char *read_answer(int fd, const char *until)
{
	struct text answer;
	char *text;

	text_init(&answer);
	for (;;) {
		struct pollfd in = { fd, POLLIN, 0 };
		char piece[65536];
		ssize_t n;

		ck_assert_msg(poll(&in, 1, PATIENCE_MS) == 1, "no answer, so far: %s", answer.data);
		n = recv(fd, piece, sizeof(piece), 0);
		if (n <= 0)
			break;
		text_append(&answer, piece, (size_t)n);
		if (until && strstr(answer.data, until))
			break;
	}
	ck_assert_msg(
		!until || strstr(answer.data, until), "ended before '%s': %s", until, answer.data);
	text = text_take(&answer);
	text_done(&answer);
	return text;
}

char *stand_read_until(int fd, const char *text)
{
	return read_answer(fd, text);
}

char *stand_http(struct stand *s, const char *request)
{
	int fd = stand_connect(s, request);
	char *answer = read_answer(fd, NULL);

	(void)close(fd);
	return answer;
}

char *stand_request(struct stand *s, const char *key, const char *method, const char *path,
	const char *headers, const char *body)
{
	struct text request;
	char *answer;

	text_init(&request);
	text_printf(
		&request, "%s %s HTTP/1.1\r\nHost: test\r\nConnection: close\r\n", method, path);
	if (key)
		text_printf(&request, "Authorization: Bearer %s\r\n", key);
	if (headers)
		text_append_string(&request, headers);
	if (body)
		text_printf(&request, "Content-Type: application/json\r\nContent-Length: %zu\r\n",
			strlen(body));
	text_printf(&request, "\r\n%s", body ? body : "");
	answer = stand_http(s, request.data);
	text_done(&request);
	return answer;
}

int stand_status(const char *answer)
{
	return strncmp(answer, "HTTP/1.1 ", 9) == 0 ? (int)strtol(answer + 9, NULL, 10) : 0;
}

const char *stand_body(const char *answer)
{
	const char *end = strstr(answer, "\r\n\r\n");

	return end ? end + 4 : "";
}
