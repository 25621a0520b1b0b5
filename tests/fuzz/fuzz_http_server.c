/* fuzz_http_server.c - the server under clients and owners that do anything
 *
 * The input is a little program: what the client sends, when it leaves, and what the owners of the
 * requests do. After it every request has ended once and no connection is left.
 */
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <uv.h>

#include "base/assert.h"
#include "base/mem.h"
#include "http/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HELD_MAX 8

static struct {
	uv_loop_t loop;
	struct http_server *server;
	int listener;
	struct http_request *held[HELD_MAX];
	bool reads[HELD_MAX];
	uint64_t begun, ended;
} rig;

static void let_go(struct http_request *request)
{
	rig.ended++;
	for (int i = 0; i < HELD_MAX; i++)
		if (rig.held[i] == request)
			rig.held[i] = NULL;
}

static void on_body(void *user, struct http_request *request, struct span piece, bool last)
{
	(void)user;
	(void)last;
	/* Some owners forget. */
	if (http_request_number(request) % 3)
		http_body_consumed(request, piece.len);
}

static void on_writable(void *user, struct http_request *request)
{
	(void)user;
	(void)http_answer_write(request, SPAN("more"));
}

static void on_gone(void *user, struct http_request *request, enum http_gone why)
{
	(void)user;
	(void)why;
	let_go(request);
}

static const struct http_owner owner = { on_body, on_writable, on_gone };
static const struct http_answer ok = { .status = 200 };

static void on_request(void *user, struct http_request *request)
{
	(void)user;
	rig.begun++;
	if (http_request_number(request) % 4) {
		for (int i = 0; i < HELD_MAX; i++) {
			if (rig.held[i])
				continue;
			rig.held[i] = request;
			rig.reads[i] = false;
			http_request_own(request, &owner, NULL);
			return;
		}
	}
	rig.ended++;
	ASSERT(http_answer_send(request, &ok, SPAN("pong"), NULL) == 0);
}

static void start(void)
{
	struct http_server_options options = { .name = "fuzz", .on_request = on_request };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int rc;

	/* The kernel chooses an abstract name. */
	options.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	rc = bind(options.fd, (struct sockaddr *)&address, sizeof(sa_family_t));
	ASSERT(rc == 0);
	rc = listen(options.fd, 16);
	ASSERT(rc == 0);
	rc = uv_loop_init(&rig.loop);
	ASSERT(rc == 0);
	options.loop = &rig.loop;
	options.limits = (struct http_limits){ .head_bytes = 512,
		.headers = 10,
		.target_bytes = 100,
		.body_bytes = 4000,
		.window_bytes = 1000,
		.min_rate = 1,
		.rate_grace_ms = 10000,
		.head_ms = 10000,
		.idle_ms = 10000,
		.request_ms = 10000,
		.half_close_ms = 0,
		.linger_ms = 1,
		.connections = 4,
		.connection_uses = 20,
		.pipeline = 4 };
	rig.listener = options.fd;
	rc = http_server_start(&rig.server, &options, NULL);
	ASSERT(rc == 0);
}

static int dial(void)
{
	struct sockaddr_un address;
	socklen_t len = sizeof(address);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int rc;

	rc = getsockname(rig.listener, (struct sockaddr *)&address, &len);
	ASSERT(rc == 0);
	rc = connect(fd, (struct sockaddr *)&address, len);
	ASSERT(rc == 0);
	return fd;
}

static void turn(void)
{
	(void)uv_run(&rig.loop, UV_RUN_NOWAIT);
}

/* What the owner of one held request does next. */
static void act(uint8_t what)
{
	static const char large[3000] = { 'x' };
	int i = what % HELD_MAX;
	struct http_request *request = rig.held[i];

	if (!request)
		return;
	switch (what / HELD_MAX % 8) {
	case 0:
		if (http_answer_begun(request))
			return;
		let_go(request);
		ASSERT(http_answer_send(request, &ok, SPAN("late"), NULL) == 0);
		return;
	case 1:
		if (!http_answer_begun(request))
			(void)http_answer_begin(request, &ok, HTTP_LENGTH_UNKNOWN, NULL);
		return;
	case 2:
		if (!http_answer_begun(request))
			(void)http_answer_begin(request, &ok, 10, NULL);
		return;
	case 3:
		if (http_answer_begun(request))
			(void)http_answer_write(request, SPAN("hello"));
		return;
	case 4:
		if (http_answer_begun(request))
			(void)http_answer_write(request, (struct span){ large, sizeof(large) });
		return;
	case 5:
		if (!http_answer_begun(request))
			return;
		let_go(request);
		http_answer_end(request);
		return;
	case 6:
		if (!rig.reads[i])
			rig.reads[i] = http_body_read(request, 2000, NULL) == 0;
		return;
	default:
		let_go(request);
		http_request_abort(request);
		return;
	}
}

static void finish(int fd)
{
	struct http_stats stats;

	(void)close(fd);
	do {
		for (int i = 0; i < HELD_MAX; i++) {
			struct http_request *request = rig.held[i];

			if (!request)
				continue;
			let_go(request);
			http_request_abort(request);
		}
		(void)uv_run(&rig.loop, UV_RUN_NOWAIT);
		http_server_stats(rig.server, &stats);
	} while (stats.connections);
	ASSERT(rig.begun == rig.ended && stats.in_flight == 0);
	turn();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char sink[65536];
	int fd;

	if (!rig.server)
		start();
	fd = dial();
	turn();
	/* op 0..199: send as many bytes; 200..: the owner, a reader, half-closing, a turn. */
	for (size_t at = 0; at < size;) {
		uint8_t op = data[at++];

		if (op < 200) {
			size_t n = size - at < op ? size - at : op;

			(void)!send(fd, data + at, n, MSG_NOSIGNAL);
			at += n;
			turn();
		} else if (op < 240 && at < size) {
			act(data[at++]);
		} else if (op < 245) {
			(void)!read(fd, sink, sizeof(sink));
		} else if (op == 245) {
			(void)shutdown(fd, SHUT_WR);
		} else {
			turn();
		}
	}
	finish(fd);
	return 0;
}
