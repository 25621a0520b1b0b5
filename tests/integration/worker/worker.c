/* The real mortise-worker, driven over its control and data channels by the blocking form of the
 * same channel: this process is its supervisor and its fronts.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/elf_note.h"
#include "base/io.h"
#include "base/mem.h"
#include "channel/channel.h"
#include "channel/protocol.h"
#include "lib/test.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#define WAIT_S      20
#define FIRST_SPARE 40 /* descriptors below are the worker's own numbers */

extern char **environ;

struct supervised {
	pid_t pid;
	int control_fd, box_fd, log_fd;
	struct channel_line *control;
	struct text log; /* what LOG messages said: "message key=value\n" */
	struct protocol_memory memory;
	struct channel_message message; /* the last */
};

struct data {
	int fd;
	struct channel_line *line;
	struct protocol_memory memory;
	struct channel_message message;
};

static void set_timeout(int fd, int seconds)
{
	struct timeval timeout = { .tv_sec = seconds };

	EXPECT_INT(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)), ==, 0);
}

/* Above the numbers that the child's descriptors get. */
static int spare(int fd)
{
	int moved = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_SPARE);

	EXPECT_INT(moved, >=, 0);
	(void)close(fd);
	return moved;
}

static int listen_on(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = spare(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	EXPECT_INT(bind(fd, (struct sockaddr *)&address, sizeof(address)), ==, 0);
	EXPECT_INT(listen(fd, 16), ==, 0);
	return fd;
}

static void set_environment(void)
{
	/* The crash itself is wanted, not the sanitizer's report of it. */
	(void)setenv("ASAN_OPTIONS", "handle_segv=0:handle_abort=0:detect_leaks=0", 1);
}

/* Spawns the worker only; START is the test's. */
static void spawn_worker(struct supervised *s)
{
	char *program = mem_printf("%s/bin/mortise-worker", test_build());
	char *const argv[] = { program, NULL };
	posix_spawn_file_actions_t actions;
	int control[2], log[2], listener = listen_on("worker.sock");

	memset(s, 0, sizeof(*s));
	set_environment();
	EXPECT_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control), ==, 0);
	EXPECT_INT(pipe2(log, O_CLOEXEC), ==, 0);
	control[1] = spare(control[1]);
	log[1] = spare(log[1]);
	s->box_fd = spare(memfd_create("box", MFD_CLOEXEC));
	EXPECT_INT(ftruncate(s->box_fd, BLACK_BOX_SIZE), ==, 0);
	(void)posix_spawn_file_actions_init(&actions);
	(void)posix_spawn_file_actions_adddup2(&actions, log[1], 1);
	(void)posix_spawn_file_actions_adddup2(&actions, log[1], 2);
	(void)posix_spawn_file_actions_adddup2(&actions, control[1], PROTOCOL_FD_CONTROL);
	(void)posix_spawn_file_actions_adddup2(&actions, listener, PROTOCOL_FD_LISTENER);
	(void)posix_spawn_file_actions_adddup2(&actions, s->box_fd, PROTOCOL_FD_BLACK_BOX);
	EXPECT_INT(posix_spawn(&s->pid, program, &actions, NULL, argv, environ), ==, 0);
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)close(control[1]);
	(void)close(log[1]);
	(void)close(listener);
	mem_free(program);
	s->control_fd = control[0];
	s->log_fd = log[0];
	set_timeout(s->control_fd, WAIT_S);
	s->control = channel_line_new(
		s->control_fd, "worker", protocol_limit, PROTOCOL_LINK_WORKER_TO_SUPERVISOR, true);
	text_init(&s->log);
	protocol_memory_init(&s->memory);
}

static char *fixture(const char *plugin)
{
	return mem_printf("%s/fixtures/plugins/%s.so", test_build(), plugin);
}

static uint32_t spans_of(const char *const *names, struct span *out)
{
	uint32_t n = 0;

	for (; names && names[n]; n++)
		out[n] = span_of(names[n]);
	return n;
}

/* START for the plugin at path, as its note says; the test may change it on the way. */
static void send_start(struct supervised *s, const char *path, const char *config,
	const char *const *routes, void (*change)(struct worker_start *))
{
	struct span names[16], needs[16], wants[16];
	struct elf_image image;
	struct elf_note note;
	struct error err;
	struct stat st;
	CLEANUP(mem_freep) char *cwd = getcwd(NULL, 0);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct worker_start start = { .installation = SPAN("i1"),
		.generation = 1,
		.folder = span_of(cwd),
		.entry = span_of(path),
		.config = span_of(config),
		.routes = { names, 0 },
		.needs = { needs, 0 },
		.wants = { wants, 0 },
		.limit_files = 256 };

	EXPECT_INT(fstat(fd, &st), ==, 0);
	EXPECT_OK(elf_image_open(&image, fd, &err), &err);
	EXPECT_OK(elf_note_read(&note, &image, &err), &err);
	(void)close(fd);
	start.device = st.st_dev;
	start.inode = st.st_ino;
	start.plugin = span_of(note.id);
	start.version = span_of(note.version);
	for (size_t i = 0; i < note.count; i++)
		if (note.interfaces[i].required)
			needs[start.needs.count++] = span_of(note.interfaces[i].id);
		else
			wants[start.wants.count++] = span_of(note.interfaces[i].id);
	start.routes.count = spans_of(routes, names);
	if (change)
		change(&start);
	EXPECT_OK(protocol_line_send(s->control, PROTOCOL_WORKER_START, 0, &start, 0, -1, &err),
		&err);
}

static void note_log(struct supervised *s)
{
	struct worker_log line;
	struct error err;

	EXPECT_OK(decode_worker_log(&line, s->message.payload, &s->memory, &err), &err);
	text_append_span(&s->log, line.message);
	for (uint32_t i = 0; i < line.fields.count; i++)
		text_printf(&s->log, " %.*s=%.*s", SPAN_ARG(line.fields.items[i].key),
			SPAN_ARG(line.fields.items[i].value));
	text_append_char(&s->log, '\n');
}

/* The next message of the worker that is neither log nor metrics, or an error. */
static int receive(struct supervised *s, struct error *err)
{
	for (;;) {
		int rc = channel_line_receive(s->control, &s->message, err);

		if (rc < 0)
			return rc;
		if (s->message.type == PROTOCOL_WORKER_LOG)
			note_log(s);
		else if (s->message.type != PROTOCOL_WORKER_METRICS)
			return 0;
	}
}

static void expect_type(struct supervised *s, uint16_t type)
{
	struct error err;

	EXPECT_OK(receive(s, &err), &err);
	ck_assert_msg(s->message.type == type, "expected %s, got %s", protocol_name(type),
		protocol_name(s->message.type));
}

static void tell(struct supervised *s, uint16_t type, uint64_t id, const void *message)
{
	struct error err;

	EXPECT_OK(protocol_line_send(s->control, type, id, message, 0, -1, &err), &err);
}

static void expect_loaded(struct supervised *s, int code, const char *says)
{
	struct worker_loaded loaded;
	struct error err;

	expect_type(s, PROTOCOL_WORKER_LOADED);
	EXPECT_OK(decode_worker_loaded(&loaded, s->message.payload, &s->memory, &err), &err);
	ck_assert_msg(loaded.rc == code, "%d: %.*s", loaded.rc, SPAN_ARG(loaded.text));
	if (says) {
		CLEANUP(mem_freep) char *text = mem_printf("%.*s", SPAN_ARG(loaded.text));

		EXPECT_CONTAINS(text, says);
	}
}

static void connect_front(struct data *d, uint32_t slot)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "worker.sock" };
	struct data_front front = { slot };
	struct error err;

	memset(d, 0, sizeof(*d));
	d->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	EXPECT_INT(connect(d->fd, (struct sockaddr *)&address, sizeof(address)), ==, 0);
	set_timeout(d->fd, WAIT_S);
	d->line = channel_line_new(
		d->fd, "worker", protocol_limit, PROTOCOL_LINK_WORKER_TO_FRONT, false);
	protocol_memory_init(&d->memory);
	EXPECT_OK(protocol_line_send(d->line, PROTOCOL_DATA_FRONT, 0, &front, 0, -1, &err), &err);
}

static void start_worker(struct supervised *s, struct data *d, const char *plugin,
	const char *config, const char *const *routes)
{
	CLEANUP(mem_freep) char *path = fixture(plugin);
	struct worker_started started;
	struct error err;

	spawn_worker(s);
	send_start(s, path, config, routes, NULL);
	expect_loaded(s, 0, NULL);
	if (d)
		connect_front(d, 0);
	tell(s, PROTOCOL_WORKER_GO, 0, NULL);
	expect_type(s, PROTOCOL_WORKER_STARTED);
	EXPECT_OK(decode_worker_started(&started, s->message.payload, &s->memory, &err), &err);
	ck_assert_msg(started.rc == 0, "%.*s", SPAN_ARG(started.text));
}

static int wait_status(struct supervised *s)
{
	int status = 0;

	EXPECT_INT(waitpid(s->pid, &status, 0), ==, s->pid);
	return status;
}

static void expect_exit(struct supervised *s, int code)
{
	int status = wait_status(s);

	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == code, "status 0x%x", status);
}

static void close_ends(struct supervised *s, struct data *d)
{
	channel_line_free(s->control);
	(void)close(s->control_fd);
	(void)close(s->box_fd);
	(void)close(s->log_fd);
	text_done(&s->log);
	protocol_memory_done(&s->memory);
	if (!d)
		return;
	channel_line_free(d->line);
	(void)close(d->fd);
	protocol_memory_done(&d->memory);
}

static void stop_worker(struct supervised *s, struct data *d)
{
	struct worker_stop stop = { 5000 };

	tell(s, PROTOCOL_WORKER_STOP, 0, &stop);
	expect_type(s, PROTOCOL_WORKER_STOPPED);
	expect_exit(s, 0);
	close_ends(s, d);
}

static void send_request(
	struct data *d, uint64_t id, const char *route, const char *query, bool body)
{
	struct data_request request = { .route = span_of(route),
		.method = SPAN("GET"),
		.path = SPAN("/api/x"),
		.query = span_of(query),
		.length = body ? -1 : 0,
		.deadline_ns = clock_ns() + 60 * CLOCK_NS_PER_SEC,
		.trace = SPAN("req-4711") };
	struct error err;

	EXPECT_OK(protocol_line_send(d->line, PROTOCOL_DATA_REQUEST, id, &request,
			  body ? 0 : PROTOCOL_LAST, -1, &err),
		&err);
}

static int receive_data(struct data *d, struct error *err)
{
	return channel_line_receive(d->line, &d->message, err);
}

/* Request without a body, answered in one message; the body as text, the caller's. */
static char *get(struct data *d, uint64_t id, const char *route, const char *query)
{
	struct data_response response;
	struct error err;

	send_request(d, id, route, query, false);
	EXPECT_OK(receive_data(d, &err), &err);
	EXPECT_STR(protocol_name(d->message.type), "data_response");
	EXPECT_OK(decode_data_response(&response, d->message.payload, &d->memory, &err), &err);
	EXPECT_UINT(d->message.id, ==, id);
	return mem_printf("%.*s", SPAN_ARG(response.body));
}

#define EXPECT_GET(d, id, route, query, text)                  \
	do {                                                   \
		char *got_ = get((d), (id), (route), (query)); \
		EXPECT_STR(got_, (text));                      \
		mem_free(got_);                                \
	} while (0)

static const char *const echo_routes[] = { "ping", "echo", "sink", "wait", NULL };
static const char *const hostile_routes[] = { "do", "ping", NULL };

TEST(worker__a_request_makes_the_round_trip_and_stop_exits_0)
{
	struct supervised s;
	struct data d;

	start_worker(&s, &d, "echo", "", echo_routes);
	EXPECT_GET(&d, 1, "ping", "", "pong");
	stop_worker(&s, &d);
}

TEST(worker__links_libc_and_libuv_only)
{
	CLEANUP(mem_freep)
	char *command = mem_printf("readelf -d '%s/bin/mortise-worker'", test_build());
	char line[512];
	int needed = 0;
	FILE *out;

	if (SANITIZED)
		return;
	out = popen(command, "re");
	EXPECT_PTR(out);
	while (fgets(line, sizeof(line), out)) {
		if (!strstr(line, "(NEEDED)"))
			continue;
		needed++;
		ck_assert_msg(
			strstr(line, "[libc.so.6]") || strstr(line, "[libuv.so.1]"), "%s", line);
	}
	EXPECT_INT(pclose(out), ==, 0);
	EXPECT_INT(needed, ==, 2);
}

static long memory_peak_kib(pid_t pid)
{
	CLEANUP(mem_freep) char *path = mem_printf("/proc/%d/status", pid);
	struct text status;
	struct error err;
	long kib;

	text_init(&status);
	EXPECT_OK(io_read_file(AT_FDCWD, path, 65536, &status, &err), &err);
	kib = strtol(strstr(status.data, "VmHWM:") + 6, NULL, 10);
	text_done(&status);
	return kib;
}

TEST(worker__streams_100_mb_both_ways_in_constant_memory)
{
	static char piece[PROTOCOL_CHUNK_MAX];
	const uint64_t size = 100000000;
	uint64_t sent = 0, back = 0, credit = PROTOCOL_BODY_WINDOW;
	struct data_body_consumed consumed;
	struct data_response_consumed give;
	struct supervised s;
	struct data d;
	struct error err;
	bool last = false;

	start_worker(&s, &d, "echo", "", echo_routes);
	send_request(&d, 1, "echo", "", true);
	while (!last) {
		size_t n = size - sent < sizeof(piece) ? size - sent : sizeof(piece);

		if (sent < size && credit >= n) {
			struct channel_message m = { .type = PROTOCOL_DATA_BODY,
				.id = 1,
				.payload = { piece, n },
				.fd = -1 };

			sent += n;
			credit -= n;
			m.flags = sent == size ? PROTOCOL_LAST : 0;
			EXPECT_OK(channel_line_send(d.line, &m, &err), &err);
			continue;
		}
		EXPECT_OK(receive_data(&d, &err), &err);
		last = (d.message.flags & PROTOCOL_LAST) != 0;
		if (d.message.type == PROTOCOL_DATA_BODY_CONSUMED) {
			EXPECT_OK(decode_data_body_consumed(
					  &consumed, d.message.payload, &d.memory, &err),
				&err);
			credit += consumed.bytes;
		} else if (d.message.type == PROTOCOL_DATA_RESPONSE_BODY) {
			give.bytes = (uint32_t)d.message.payload.len;
			back += give.bytes;
			if (!last)
				EXPECT_OK(
					protocol_line_send(d.line, PROTOCOL_DATA_RESPONSE_CONSUMED,
						1, &give, 0, -1, &err),
					&err);
		}
	}
	EXPECT_TRUE(back == size);
	if (!SANITIZED)
		EXPECT_INT(memory_peak_kib(s.pid), <, 16384);
	stop_worker(&s, &d);
}

TEST(worker__a_call_of_the_plugin_gets_its_result)
{
	static const char *const routes[] = { "call", "own", NULL };
	struct data_call_result result = { .json = SPAN("{\"v\":1}") };
	struct data_response response;
	struct data_call call;
	struct supervised s;
	struct data d;
	struct error err;

	start_worker(&s, &d, "calls", "", routes);
	send_request(&d, 5, "call", "", false);
	EXPECT_OK(receive_data(&d, &err), &err);
	EXPECT_INT(d.message.type, ==, PROTOCOL_DATA_CALL);
	EXPECT_OK(decode_data_call(&call, d.message.payload, &d.memory, &err), &err);
	EXPECT_UINT(call.parent, ==, 5);
	EXPECT_OK(protocol_line_send(
			  d.line, PROTOCOL_DATA_CALL_RESULT, d.message.id, &result, 0, -1, &err),
		&err);
	EXPECT_OK(receive_data(&d, &err), &err);
	EXPECT_OK(decode_data_response(&response, d.message.payload, &d.memory, &err), &err);
	EXPECT_SPAN(response.body, "0 {\"v\":1}  0");
	stop_worker(&s, &d);
}

/* The worker dies while it serves GET /do?what=; both channels see the end. */
static int die_by(struct supervised *s, struct data *d, const char *what)
{
	struct error err;

	start_worker(s, d, "hostile", "", hostile_routes);
	EXPECT_GET(d, 1, "ping", "", "pong");
	send_request(d, 2, "do", what, false);
	EXPECT_INT(receive_data(d, &err), ==, ERR_CLOSED);
	EXPECT_INT(receive(s, &err), ==, ERR_CLOSED);
	return wait_status(s);
}

TEST(worker__a_crash_is_seen_at_once_and_the_black_box_names_the_request)
{
	struct supervised s;
	struct black_box box;
	struct data d;
	struct error err;
	int status = die_by(&s, &d, "what=crash");

	EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	EXPECT_OK(black_box_read(s.box_fd, &box, &err), &err);
	EXPECT_STR(box.callback, "http.on_request do");
	EXPECT_STR(box.trace, "req-4711");
	EXPECT_STR(box.requests[0], "req-4711");
	EXPECT_TRUE(box.entered_ns > 0);
	close_ends(&s, &d);
}

TEST(worker__abort_and_exit_0_are_ends_without_stopped)
{
	struct supervised s;
	struct data d;
	int status = die_by(&s, &d, "what=abort");

	EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	close_ends(&s, &d);
	EXPECT_INT(unlink("worker.sock"), ==, 0);
	status = die_by(&s, &d, "what=exit");
	EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	close_ends(&s, &d);
}

TEST(worker__a_child_left_by_fork_does_not_hide_the_end)
{
	struct supervised s;
	struct data d;
	int status = die_by(&s, &d, "what=fork");

	EXPECT_TRUE(WIFSIGNALED(status));
	(void)kill(-s.pid, SIGKILL); /* the worker leads its session, the child is of it */
	close_ends(&s, &d);
}

TEST(worker__garbage_on_the_control_channel_is_a_protocol_error)
{
	struct supervised s;
	struct data d;
	struct error err;
	int rc;

	start_worker(&s, &d, "hostile", "", hostile_routes);
	send_request(&d, 1, "do", "what=garbage", false);
	rc = receive(&s, &err);
	EXPECT_INT(rc, ==, ERR_PROTOCOL);
	(void)kill(s.pid, SIGKILL);
	(void)wait_status(&s);
	close_ends(&s, &d);
}

TEST(worker__closed_descriptors_are_an_end)
{
	struct supervised s;
	struct data d;
	struct error err;

	start_worker(&s, &d, "hostile", "", hostile_routes);
	send_request(&d, 1, "do", "what=close", false);
	EXPECT_INT(receive(&s, &err), ==, ERR_CLOSED);
	(void)kill(s.pid, SIGKILL);
	(void)wait_status(&s);
	close_ends(&s, &d);
}

/* Bytes that came within ms. */
static ssize_t bytes_within(int fd, int ms)
{
	static char sink[65536];
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1 ? read(fd, sink, sizeof(sink)) : 0;
}

TEST(worker__beats_stop_when_the_plugin_blocks_its_thread)
{
	struct supervised s;
	struct black_box box;
	struct data d;
	struct error err;

	start_worker(&s, &d, "hostile", "", hostile_routes);
	EXPECT_INT(bytes_within(s.control_fd, 5000), >=, CHANNEL_HEADER_SIZE);
	send_request(&d, 1, "do", "what=hang", false);
	do
		EXPECT_OK(black_box_read(s.box_fd, &box, &err), &err);
	while (box.entered_ns == 0);
	while (bytes_within(s.control_fd, 0) > 0)
		;
	EXPECT_INT(bytes_within(s.control_fd, 2500), ==, 0);
	EXPECT_STR(box.callback, "http.on_request do");
	(void)kill(s.pid, SIGKILL);
	(void)wait_status(&s);
	close_ends(&s, &d);
}

static void other_inode(struct worker_start *start)
{
	start->inode++;
}

static void other_version(struct worker_start *start)
{
	start->version = SPAN("9.9.9");
}

static void expect_not_loaded(
	const char *plugin, void (*change)(struct worker_start *), int code, const char *says)
{
	CLEANUP(mem_freep) char *path = fixture(plugin);
	struct supervised s;

	spawn_worker(&s);
	send_start(&s, path, "", NULL, change);
	expect_loaded(&s, code, says);
	expect_exit(&s, 1);
	close_ends(&s, NULL);
	EXPECT_INT(access("constructor-ran", F_OK), ==, -1);
	EXPECT_INT(unlink("worker.sock"), ==, 0);
}

TEST(worker__a_wrong_inode_or_note_is_refused_before_the_constructor_runs)
{
	struct supervised s;

	expect_not_loaded("constructor", other_inode, ERR_ENTRY_CHANGED, "not the file");
	expect_not_loaded("constructor", other_version, ERR_NOTE_MISMATCH, "9.9.9");
	expect_not_loaded("future", NULL, ERR_INTERFACE_UNKNOWN, "mortise.future/9");
	/* The proof that the constructor would have left its file. */
	start_worker(&s, NULL, "constructor", "", NULL);
	EXPECT_INT(access("constructor-ran", F_OK), ==, 0);
	stop_worker(&s, NULL);
}

TEST(worker__a_failed_start_says_why_stops_and_exits_1)
{
	CLEANUP(mem_freep) char *path = fixture("steps");
	struct worker_started started;
	struct supervised s;
	struct error err;

	spawn_worker(&s);
	send_start(&s, path, "start-fails", NULL, NULL);
	expect_loaded(&s, 0, NULL);
	tell(&s, PROTOCOL_WORKER_GO, 0, NULL);
	expect_type(&s, PROTOCOL_WORKER_STARTED);
	EXPECT_OK(decode_worker_started(&started, s.message.payload, &s.memory, &err), &err);
	EXPECT_INT(started.rc, ==, ERR_PLUGIN_REFUSED);
	EXPECT_SPAN(started.text, "start: start says no");
	expect_type(&s, PROTOCOL_WORKER_STOPPED);
	expect_exit(&s, 1);
	close_ends(&s, NULL);
}

TEST(worker__drain_waits_for_the_open_request_then_ends_it)
{
	struct worker_drain drain = { 200 };
	struct data_response_failed failed;
	struct supervised s;
	struct data d;
	struct error err;

	start_worker(&s, &d, "echo", "", echo_routes);
	send_request(&d, 1, "wait", "", false);
	EXPECT_GET(&d, 2, "ping", "", "pong"); /* so the first is there */
	tell(&s, PROTOCOL_WORKER_DRAIN, 0, &drain);
	expect_type(&s, PROTOCOL_WORKER_DRAINED);
	EXPECT_OK(receive_data(&d, &err), &err);
	EXPECT_INT(d.message.type, ==, PROTOCOL_DATA_RESPONSE_FAILED);
	EXPECT_OK(decode_data_response_failed(&failed, d.message.payload, &d.memory, &err), &err);
	EXPECT_INT(failed.rc, ==, ERR_UNAVAIL);
	EXPECT_CONTAINS(s.log.data, "gone why=-1008");
	stop_worker(&s, &d);
}

TEST(worker__stop_reports_what_the_plugin_left)
{
	struct worker_stop stop = { 5000 };
	struct worker_stopped stopped;
	struct supervised s;
	struct error err;

	start_worker(&s, NULL, "steps", "leave", NULL);
	tell(&s, PROTOCOL_WORKER_STOP, 0, &stop);
	expect_type(&s, PROTOCOL_WORKER_STOPPED);
	EXPECT_OK(decode_worker_stopped(&stopped, s.message.payload, &s.memory, &err), &err);
	EXPECT_INT(stopped.rc, ==, 0);
	EXPECT_UINT(stopped.leftovers.count, ==, 2);
	EXPECT_SPAN(stopped.leftovers.items[0].kind, "timer");
	EXPECT_UINT(stopped.leftovers.items[0].count, ==, 2);
	expect_exit(&s, 0);
	EXPECT_CONTAINS(s.log.data, "destroy\n");
	close_ends(&s, NULL);
}

TEST(worker__a_thread_that_was_left_does_not_spoil_the_exit)
{
	struct supervised s;
	struct data d;

	start_worker(&s, &d, "hostile", "", hostile_routes);
	EXPECT_GET(&d, 1, "do", "what=leave-thread", "left");
	stop_worker(&s, &d);
}

TEST(worker__health_and_configuration_are_answered)
{
	struct worker_health_ask ask = { 1000 };
	struct worker_configure configure = { SPAN("{\"bad\":1}") };
	struct worker_configured configured;
	struct worker_health health;
	struct supervised s;
	struct error err;

	start_worker(&s, NULL, "steps", "", NULL);
	tell(&s, PROTOCOL_WORKER_HEALTH_ASK, 9, &ask);
	expect_type(&s, PROTOCOL_WORKER_HEALTH);
	EXPECT_UINT(s.message.id, ==, 9);
	EXPECT_OK(decode_worker_health(&health, s.message.payload, &s.memory, &err), &err);
	EXPECT_UINT(health.status, ==, WORKER_HEALTH_DEGRADED);
	tell(&s, PROTOCOL_WORKER_CONFIGURE, 10, &configure);
	expect_type(&s, PROTOCOL_WORKER_CONFIGURED);
	EXPECT_OK(decode_worker_configured(&configured, s.message.payload, &s.memory, &err), &err);
	EXPECT_INT(configured.rc, ==, ERR_PLUGIN_REFUSED);
	stop_worker(&s, NULL);
}

TEST(worker__what_the_plugin_prints_goes_to_the_log_pipe)
{
	struct supervised s;
	struct data d;
	char text[256] = "";
	size_t len = 0;

	start_worker(&s, &d, "hostile", "", hostile_routes);
	EXPECT_GET(&d, 1, "do", "what=print", "printed");
	while (!strstr(text, "standard output\n") || !strstr(text, "standard error\n")) {
		ssize_t n = read(s.log_fd, text + len, sizeof(text) - 1 - len);

		EXPECT_INT(n, >, 0);
		len += (size_t)n;
		text[len] = '\0';
	}
	stop_worker(&s, &d);
}

TEST(worker__a_hostile_front_is_cut_off_and_others_are_served)
{
	struct supervised s;
	struct data d;

	start_worker(&s, &d, "echo", "", echo_routes);
	for (int i = 0; i < 50; i++) {
		struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "worker.sock" };
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		unsigned seed = (unsigned)i;
		char noise[2000], sink[4096];

		for (size_t k = 0; k < sizeof(noise); k++)
			noise[k] = (char)rand_r(&seed);
		set_timeout(fd, WAIT_S);
		EXPECT_INT(connect(fd, (struct sockaddr *)&address, sizeof(address)), ==, 0);
		EXPECT_INT(write(fd, noise, sizeof(noise)), >, 0);
		while (read(fd, sink, sizeof(sink)) > 0)
			;
		(void)close(fd);
	}
	EXPECT_GET(&d, 1, "ping", "", "pong");
	stop_worker(&s, &d);
}

TEST(worker__the_end_of_the_control_channel_ends_it_at_once)
{
	struct supervised s;
	struct data d;

	start_worker(&s, &d, "echo", "", echo_routes);
	(void)close(s.control_fd);
	expect_exit(&s, 1);
	s.control_fd = -1;
	close_ends(&s, &d);
}

TEST(worker__dies_with_its_supervisor_even_while_the_plugin_hangs)
{
	int pids[2], fd;
	struct pollfd p;
	pid_t supervisor, worker;

	EXPECT_INT(pipe2(pids, O_CLOEXEC), ==, 0);
	supervisor = fork();
	if (supervisor == 0) {
		struct supervised s;
		struct data d;

		start_worker(&s, &d, "hostile", "", hostile_routes);
		send_request(&d, 1, "do", "what=hang", false);
		(void)!write(pids[1], &s.pid, sizeof(s.pid));
		for (;;)
			(void)pause();
	}
	EXPECT_INT(read(pids[0], &worker, sizeof(worker)), ==, sizeof(worker));
	fd = (int)syscall(SYS_pidfd_open, worker, 0);
	EXPECT_INT(fd, >=, 0);
	EXPECT_INT(kill(supervisor, SIGKILL), ==, 0);
	EXPECT_INT(waitpid(supervisor, NULL, 0), ==, supervisor);
	p = (struct pollfd){ .fd = fd, .events = POLLIN };
	EXPECT_INT(poll(&p, 1, 2000), ==, 1);
}

static void as_nobody(struct worker_start *start)
{
	start->drop_rights = 1;
	start->uid = start->gid = 65534;
	start->limit_processes = 50;
}

static void copy_file(const char *from, const char *to)
{
	struct text data;
	struct error err;

	text_init(&data);
	EXPECT_OK(io_read_file(AT_FDCWD, from, 64 << 20, &data, &err), &err);
	EXPECT_OK(io_write_file(AT_FDCWD, to, text_span(&data), 0755, &err), &err);
	text_done(&data);
}

static char *proc_file(pid_t pid, const char *name)
{
	CLEANUP(mem_freep) char *path = mem_printf("/proc/%d/%s", pid, name);
	struct text data;
	struct error err;
	char *taken;

	text_init(&data);

	EXPECT_OK(io_read_file(AT_FDCWD, path, 65536, &data, &err), &err);
	taken = text_take(&data);
	text_done(&data);
	return taken;
}

TEST(worker__drops_every_right_before_it_loads)
{
	CLEANUP(mem_freep) char *from = fixture("echo"), *status = NULL, *limits = NULL;
	CLEANUP(mem_freep) char *cwd = getcwd(NULL, 0);
	CLEANUP(mem_freep) char *path = mem_printf("%s/plugin.so", cwd);
	CLEANUP(mem_freep) char *descriptor = NULL;
	int inherited = open("/dev/null", O_RDONLY); /* not close-on-exec, on purpose */
	struct supervised s;

	if (geteuid() != 0)
		return;
	copy_file(from, path);
	EXPECT_INT(chmod(cwd, 0755), ==, 0);
	EXPECT_INT(dup2(inherited, 30), ==, 30);
	spawn_worker(&s);
	send_start(&s, path, "", NULL, as_nobody);
	expect_loaded(&s, 0, NULL);
	status = proc_file(s.pid, "status");
	limits = proc_file(s.pid, "limits");
	EXPECT_CONTAINS(status, "Uid:\t65534\t65534\t65534\t65534\n");
	EXPECT_CONTAINS(status, "Gid:\t65534\t65534\t65534\t65534\n");
	EXPECT_CONTAINS(status, "Groups:\t \n");
	EXPECT_CONTAINS(status, "NoNewPrivs:\t1\n");
	EXPECT_CONTAINS(status, "CapEff:\t0000000000000000\n");
	EXPECT_CONTAINS(limits, "Max core file size        0                    0 ");
	EXPECT_CONTAINS(limits, "Max open files            256                  256 ");
	EXPECT_CONTAINS(limits, "Max processes             50                   50 ");
	descriptor = mem_printf("/proc/%d/fd/30", s.pid);
	EXPECT_INT(access(descriptor, F_OK), ==, -1);
	(void)kill(s.pid, SIGKILL);
	(void)wait_status(&s);
	close_ends(&s, NULL);
}

TEST(worker__a_message_before_its_time_ends_it)
{
	struct supervised s;
	struct error err;

	spawn_worker(&s);
	tell(&s, PROTOCOL_WORKER_GO, 0, NULL);
	EXPECT_INT(receive(&s, &err), ==, ERR_CLOSED);
	expect_exit(&s, 1);
	close_ends(&s, NULL);
}
