/* channel_echo.c - what a channel costs against the bare socket under it
 *
 * Two processes, a payload there and back, one line for each payload and depth: round trips a
 * second of the channel, of raw read and write calls on an epoll loop with the same frame and the
 * same batches, and their ratio. Alternates the two, three rounds, the median counts.
 *
 * usage: channel_echo [SECONDS]
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <uv.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "channel/channel.h"

#define TYPE   0x0110
#define ROUNDS 3
#define LIMIT  (1 << 20)

static int64_t any(uint8_t link, uint16_t type)
{
	(void)link;
	(void)type;
	return LIMIT;
}

struct end {
	uv_loop_t loop;
	struct channel *channel;
	uint64_t answers;
	uint64_t until_ns; /* of the asking end; 0: it answers */
};

static void say(struct end *e, struct span payload)
{
	(void)channel_send(
		e->channel, &(struct channel_message){
				    .type = TYPE, .payload = payload, .fd = -1, .credited = true });
}

static void on_message(void *user, struct channel_message *m)
{
	struct end *e = user;

	e->answers++;
	if (e->until_ns && (e->answers & 63) == 0 && clock_ns() > e->until_ns)
		channel_close(e->channel);
	else
		say(e, m->payload);
}

static void on_close(void *user, int rc, const char *text)
{
	(void)user;
	(void)rc;
	(void)text;
}

static const struct channel_events events = { NULL, on_message, NULL, on_close };

static void start(struct end *e, int fd)
{
	struct channel_config config = {
		.peer = "peer", .events = &events, .user = e, .limit = any
	};

	ASSERT(uv_loop_init(&e->loop) == 0);
	ASSERT(channel_start(&e->channel, &e->loop, fd, &config, NULL) == 0);
}

/* Round trips in these seconds with depth messages always under way. */
static double run_channel(size_t size, int depth, double seconds)
{
	char *payload = mem_zalloc(size);
	struct end e = { 0 };
	uint64_t begin;
	int fds[2];
	pid_t child;

	ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
	child = fork();
	if (child == 0) {
		(void)close(fds[0]);
		start(&e, fds[1]);
		(void)uv_run(&e.loop, UV_RUN_DEFAULT);
		_exit(0);
	}
	(void)close(fds[1]);
	start(&e, fds[0]);
	begin = clock_ns();
	e.until_ns = begin + (uint64_t)(seconds * 1e9);
	for (int i = 0; i < depth; i++)
		say(&e, (struct span){ payload, size });
	(void)uv_run(&e.loop, UV_RUN_DEFAULT);
	(void)waitpid(child, NULL, 0);
	mem_free(payload);
	return (double)e.answers / ((double)(clock_ns() - begin) / 1e9);
}

/* Waits by epoll, reads what is there, writes it back: the least that any protocol needs. */
static ssize_t read_some(int epoll, int fd, char *buffer, size_t size)
{
	struct epoll_event event;

	for (;;) {
		ssize_t n = read(fd, buffer, size);

		if (n >= 0)
			return n;
		(void)epoll_wait(epoll, &event, 1, -1);
	}
}

static void write_all(int fd, const char *data, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, data, size);

		if (n > 0) {
			data += n;
			size -= (size_t)n;
		}
	}
}

static int watch(int fd)
{
	struct epoll_event event = { .events = EPOLLIN };
	int epoll = epoll_create1(0);

	ASSERT(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
	return epoll;
}

static double run_raw(size_t size, int depth, double seconds)
{
	size_t all = size * (size_t)depth;
	char *buffer = mem_zalloc(all);
	uint64_t begin, bytes = 0, until;
	int fds[2], epoll;
	pid_t child;

	ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
	child = fork();
	epoll = watch(fds[child == 0]);
	if (child == 0) {
		ssize_t n;

		(void)close(fds[0]);
		while ((n = read_some(epoll, fds[1], buffer, all)) > 0)
			write_all(fds[1], buffer, (size_t)n);
		_exit(0);
	}
	(void)close(fds[1]);
	begin = clock_ns();
	until = begin + (uint64_t)(seconds * 1e9);
	write_all(fds[0], buffer, all);
	while (clock_ns() < until) {
		ssize_t n = read_some(epoll, fds[0], buffer, all);

		bytes += (uint64_t)n;
		write_all(fds[0], buffer, (size_t)n);
	}
	(void)close(fds[0]);
	(void)close(epoll);
	(void)waitpid(child, NULL, 0);
	mem_free(buffer);
	return (double)bytes / (double)size / ((double)(clock_ns() - begin) / 1e9);
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void measure(size_t size, int depth, double seconds)
{
	char what[64], peer[64];
	double ours[ROUNDS], raw[ROUNDS];

	for (int i = 0; i < ROUNDS; i++) {
		ours[i] = run_channel(size, depth, seconds);
		raw[i] = run_raw(size + CHANNEL_HEADER_SIZE, depth, seconds);
	}
	qsort(ours, ROUNDS, sizeof(*ours), ascending);
	qsort(raw, ROUNDS, sizeof(*raw), ascending);
	(void)snprintf(
		what, sizeof(what), "channel, %zu bytes and back, depth %d, /s", size, depth);
	(void)snprintf(peer, sizeof(peer), "raw socket %.0f", raw[ROUNDS / 2]);
	printf("%-44s ours %22.0f   peer %30s   ratio %.2f\n", what, ours[ROUNDS / 2], peer,
		ours[ROUNDS / 2] / raw[ROUNDS / 2]);
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? strtod(argv[1], NULL) : 1;

	measure(100, 1, seconds);
	measure(4096, 1, seconds);
	measure(100, 32, seconds);
	measure(4096, 32, seconds);
	return 0;
}
