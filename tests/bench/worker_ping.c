/* worker_ping.c - what a request costs from the front's end of a channel to a plugin and back
 *
 * Spawns mortise-worker with the fixture plugin `echo` and keeps DEPTH requests for `ping` under
 * way; prints requests a second, the worker's CPU time for each, its PSS when idle, and how long it
 * took from the spawn until it was loaded.
 *
 * usage: worker_ping BUILD [SECONDS]
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <uv.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/elf_note.h"
#include "base/error.h"
#include "base/mem.h"
#include "channel/protocol.h"

#define SPARE 40

extern char **environ;

struct front {
	struct channel *channel;
	uint64_t next, answers, until_ns;
};

static int spare(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, SPARE);
}

static void check(int rc, const struct error *err)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "%s\n", err->text);
	exit(1);
}

__attribute__((format(printf, 2, 3))) static void print_line(
	const char *what, const char *format, ...)
{
	char ours[64];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(ours, sizeof(ours), format, args);
	va_end(args);
	printf("%-44s ours %22s   peer %30s   ratio -\n", what, ours, "-");
}

static pid_t spawn(const char *build, const char *socket_path, int *control)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char *program = mem_printf("%s/bin/mortise-worker", build);
	char *const argv[] = { program, NULL };
	int fds[2], listener = spare(socket(AF_UNIX, SOCK_STREAM, 0));
	int box = spare(memfd_create("box", 0));
	posix_spawn_file_actions_t actions;
	pid_t pid;

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", socket_path);
	ASSERT(bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0);
	ASSERT(listen(listener, 4) == 0 && ftruncate(box, BLACK_BOX_SIZE) == 0);
	ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
	(void)posix_spawn_file_actions_init(&actions);
	(void)posix_spawn_file_actions_adddup2(&actions, spare(fds[1]), PROTOCOL_FD_CONTROL);
	(void)posix_spawn_file_actions_adddup2(&actions, listener, PROTOCOL_FD_LISTENER);
	(void)posix_spawn_file_actions_adddup2(&actions, box, PROTOCOL_FD_BLACK_BOX);
	ASSERT(posix_spawn(&pid, program, &actions, NULL, argv, environ) == 0);
	(void)close(fds[1]);
	*control = fds[0];
	mem_free(program);
	return pid;
}

static void load(struct channel_line *line, const char *build)
{
	static const struct span routes[] = { SPAN("ping") };
	char *path = mem_printf("%s/fixtures/plugins/echo.so", build);
	struct span needs[8];
	struct worker_start start = {
		.entry = span_of(path), .routes = { routes, 1 }, .needs = { needs, 0 }
	};
	struct channel_message m;
	struct elf_image image;
	struct elf_note note;
	struct error err;
	struct stat st;
	int fd = open(path, O_RDONLY);

	ASSERT(fd >= 0 && fstat(fd, &st) == 0);
	check(elf_image_open(&image, fd, &err), &err);
	check(elf_note_read(&note, &image, &err), &err);
	(void)close(fd);
	start.device = st.st_dev;
	start.inode = st.st_ino;
	start.plugin = span_of(note.id);
	start.version = span_of(note.version);
	for (size_t i = 0; i < note.count; i++)
		needs[start.needs.count++] = span_of(note.interfaces[i].id);
	check(protocol_line_send(line, PROTOCOL_WORKER_START, 0, &start, 0, -1, &err), &err);
	check(channel_line_receive(line, &m, &err), &err);
	ASSERT(m.type == PROTOCOL_WORKER_LOADED);
	mem_free(path);
}

static void ask(struct front *f)
{
	static const struct protocol_pair headers[] = { { SPAN("host"), SPAN("127.0.0.1:7400") },
		{ SPAN("accept"), SPAN("*/*") }, { SPAN("user-agent"), SPAN("bench/1") } };
	struct data_request request = { .route = SPAN("ping"),
		.method = SPAN("GET"),
		.path = SPAN("/api/echo/ping"),
		.headers = { headers, 3 },
		.trace = SPAN("0123456789abcdef") };

	(void)protocol_send(
		f->channel, PROTOCOL_DATA_REQUEST, ++f->next, &request, PROTOCOL_LAST, -1);
}

static void on_message(void *user, struct channel_message *m)
{
	struct front *f = user;

	ASSERT(m->type == PROTOCOL_DATA_RESPONSE && (m->flags & PROTOCOL_LAST));
	f->answers++;
	if ((f->answers & 63) == 0 && clock_ns() > f->until_ns)
		channel_close(f->channel);
	else
		ask(f);
}

static void on_close(void *user, int rc, const char *text)
{
	(void)user;
	(void)text;
	ASSERT(rc == 0);
}

static double cpu_of(pid_t pid)
{
	struct timespec t;
	clockid_t clock;

	ASSERT(clock_getcpuclockid(pid, &clock) == 0 && clock_gettime(clock, &t) == 0);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static long pss_kib(pid_t pid)
{
	char *path = mem_printf("/proc/%d/smaps_rollup", pid);
	FILE *file = fopen(path, "re");
	char line[256];
	long kib = -1;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "Pss: %ld", &kib) == 1)
			break;
	if (file)
		(void)fclose(file);
	mem_free(path);
	return kib;
}

static void measure(const char *socket_path, pid_t pid, int depth, double seconds)
{
	char what[64];
	static const struct channel_events events = { NULL, on_message, NULL, on_close };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct front f = { 0 };
	struct channel_config config = { .peer = "worker",
		.events = &events,
		.user = &f,
		.limit = protocol_limit,
		.link = PROTOCOL_LINK_WORKER_TO_FRONT };
	struct data_front named = { 0 };
	uv_loop_t loop;
	uint64_t begin;
	double cpu, took;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", socket_path);
	ASSERT(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	ASSERT(uv_loop_init(&loop) == 0);
	ASSERT(channel_start(&f.channel, &loop, fd, &config, NULL) == 0);
	(void)send_data_front(f.channel, 0, &named);
	cpu = cpu_of(pid);
	begin = clock_ns();
	f.until_ns = begin + (uint64_t)(seconds * 1e9);
	for (int i = 0; i < depth; i++)
		ask(&f);
	(void)uv_run(&loop, UV_RUN_DEFAULT);
	took = (double)(clock_ns() - begin) / 1e9;
	(void)snprintf(what, sizeof(what), "worker, ping, depth %d: /s, us of its CPU", depth);
	print_line(what, "%.0f, %.2f", (double)f.answers / took,
		(cpu_of(pid) - cpu) / (double)f.answers * 1e6);
}

int main(int argc, char **argv)
{
	double seconds = argc > 2 ? strtod(argv[2], NULL) : 1;
	struct channel_line *line;
	struct channel_message m;
	struct error err;
	char *path;
	uint64_t begin;
	int control;
	pid_t pid;

	if (argc < 2) {
		fprintf(stderr, "usage: worker_ping BUILD [SECONDS]\n");
		return 2;
	}
	path = mem_printf("/tmp/worker_ping.%d", getpid());
	begin = clock_ns();
	pid = spawn(argv[1], path, &control);
	line = channel_line_new(
		control, "worker", protocol_limit, PROTOCOL_LINK_WORKER_TO_SUPERVISOR, true);
	load(line, argv[1]);
	print_line("worker, spawn to loaded, ms", "%.2f", (double)(clock_ns() - begin) / 1e6);
	check(protocol_line_send(line, PROTOCOL_WORKER_GO, 0, NULL, 0, -1, &err), &err);
	check(channel_line_receive(line, &m, &err), &err);
	print_line("worker, idle, KiB PSS", "%ld", pss_kib(pid));
	measure(path, pid, 1, seconds);
	measure(path, pid, 32, seconds);
	measure(path, pid, 256, seconds);
	(void)unlink(path);
	(void)close(control);
	(void)waitpid(pid, NULL, 0);
	return 0;
}
