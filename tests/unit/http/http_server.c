#include "http/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <uv.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/mem.h"
#include "http/problem.h"
#include "lib/test.h"

/* Server and clients live on one loop; a test starts something and turns the loop until what it
 * waits for has happened. */

#define MEGABYTE (1u << 20)
#define HELD_MAX 32

struct rig {
	uv_loop_t loop;
	struct http_server *server;
	struct http_limits limits;
	struct sockaddr_in address;
	int fd;
	int closed;

	/* What the owners below saw. */
	struct http_request *held[HELD_MAX];
	int requests;
	int gone;
	enum http_gone why;
	struct text body;
	size_t body_bytes;
	bool body_last;
	int writable;
	bool hold_window; /* do not consume */
	size_t to_write, written;
	int rc;
};

struct client {
	struct rig *rig;
	uv_poll_t poll;
	int fd;
	struct text in, out;
	size_t received;
	bool keep; /* what is received, else only its length */
	bool deaf; /* do not read */
	bool eof, reset;
	int reads;
};

static struct rig rig;

static void on_gone(void *user, struct http_request *request, enum http_gone why)
{
	(void)user;
	(void)request;
	rig.gone++;
	rig.why = why;
}

static void on_body(void *user, struct http_request *request, struct span piece, bool last)
{
	(void)user;
	EXPECT_FALSE(rig.body_last);
	rig.body_bytes += piece.len;
	rig.body_last = last;
	if (rig.body.len < 4096)
		text_append_span(&rig.body, piece);
	if (!rig.hold_window)
		http_body_consumed(request, piece.len);
}

static void write_more(struct http_request *request)
{
	static const char data[20000] = { 'x' };

	while (rig.written < rig.to_write) {
		size_t n = rig.to_write - rig.written < sizeof(data) ? rig.to_write - rig.written
								     : sizeof(data);

		rig.rc = http_answer_write(request, (struct span){ data, n });
		if (rig.rc == ERR_AGAIN)
			return;
		EXPECT_INT(rig.rc, ==, 0);
		rig.written += n;
	}
	http_answer_end(request);
}

static void on_writable(void *user, struct http_request *request)
{
	(void)user;
	rig.writable++;
	write_more(request);
}

static const struct http_owner owner = { on_body, on_writable, on_gone };
static const struct http_answer ok = { .status = 200, .content_type = { "text/plain", 10 } };

static void answer(struct http_request *request, const char *text)
{
	EXPECT_INT(http_answer_send(request, &ok, span_of(text), NULL), ==, 0);
}

/* Owners */

static void pong(void *user, struct http_request *request)
{
	(void)user;
	rig.requests++;
	answer(request, "pong");
}

static void hold(void *user, struct http_request *request)
{
	(void)user;
	ASSERT(rig.requests < HELD_MAX);
	rig.held[rig.requests++] = request;
	http_request_own(request, &owner, &rig);
	EXPECT_TRUE(http_request_user(request) == &rig);
}

static void read_all(void *user, struct http_request *request)
{
	hold(user, request);
	rig.rc = http_body_read(request, 0, NULL);
}

static void stream(void *user, struct http_request *request)
{
	hold(user, request);
	EXPECT_INT(http_answer_begin(request, &ok, HTTP_LENGTH_UNKNOWN, NULL), ==, 0);
	write_more(request);
}

/* The rig */

/* Patient ones; a test that is about a limit sets that one. */
static void set_limits(void)
{
	rig.limits = (struct http_limits){ .head_bytes = 8192,
		.headers = 50,
		.target_bytes = 1024,
		.body_bytes = 64 * MEGABYTE,
		.window_bytes = 65536,
		.min_rate = 100,
		.rate_grace_ms = 10000,
		.head_ms = 10000,
		.idle_ms = 10000,
		.request_ms = 10000,
		.half_close_ms = 100,
		.linger_ms = 200,
		.connections = 100,
		.connection_uses = 1000,
		.pipeline = 16 };
}

static void rig_start(http_request_cb on_request)
{
	struct http_server_options options = { .name = "test", .on_request = on_request };
	socklen_t len = sizeof(rig.address);
	struct error err;

	if (!rig.limits.head_bytes)
		set_limits();
	rig.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	rig.address = (struct sockaddr_in){ .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	EXPECT_INT(bind(rig.fd, (struct sockaddr *)&rig.address, len), ==, 0);
	EXPECT_INT(listen(rig.fd, 128), ==, 0);
	EXPECT_INT(getsockname(rig.fd, (struct sockaddr *)&rig.address, &len), ==, 0);
	EXPECT_INT(uv_loop_init(&rig.loop), ==, 0);
	text_init(&rig.body);
	options.loop = &rig.loop;
	options.fd = rig.fd;
	options.limits = rig.limits;
	options.on_request = on_request;
	EXPECT_OK(http_server_start(&rig.server, &options, &err), &err);
}

static void on_closed(void *user)
{
	EXPECT_TRUE(user == &rig);
	rig.closed++;
}

#define RUN_UNTIL(condition) \
	while (!(condition)) \
	(void)uv_run(&rig.loop, UV_RUN_ONCE)

static void rig_stop(uint32_t deadline_ms)
{
	http_server_close(rig.server, deadline_ms, on_closed, &rig);
	EXPECT_INT(rig.closed, ==, 0);
	RUN_UNTIL(rig.closed);
	EXPECT_INT(rig.closed, ==, 1);
	text_done(&rig.body);
	(void)close(rig.fd);
}

static struct http_stats stats(void)
{
	struct http_stats s;

	http_server_stats(rig.server, &s);
	return s;
}

/* Clients */

static void client_watch(struct client *c);

static void client_read(struct client *c)
{
	static char data[65536];
	ssize_t n = recv(c->fd, data, sizeof(data), 0);

	if (n > 0) {
		c->received += (size_t)n;
		c->reads++;
		if (c->keep)
			text_append(&c->in, data, (size_t)n);
	} else if (n == 0) {
		c->eof = true;
	} else if (errno != EAGAIN) {
		c->eof = c->reset = true;
	}
}

static void on_client(uv_poll_t *poll, int status, int events)
{
	struct client *c = poll->data;

	if (status < 0)
		c->eof = c->reset = true;
	if (events & UV_READABLE)
		client_read(c);
	if (events & UV_WRITABLE) {
		ssize_t n = send(c->fd, c->out.data, c->out.len, MSG_NOSIGNAL);

		if (n > 0)
			text_consume(&c->out, (size_t)n);
		else if (errno != EAGAIN)
			c->eof = c->reset = true;
	}
	client_watch(c);
}

static void client_watch(struct client *c)
{
	int events = (c->deaf ? 0 : UV_READABLE) | (c->out.len ? UV_WRITABLE : 0);

	if (c->eof || !events)
		(void)uv_poll_stop(&c->poll);
	else
		(void)uv_poll_start(&c->poll, events, on_client);
}

static void client_open(struct client *c)
{
	int rc;

	memset(c, 0, sizeof(*c));
	text_init(&c->in);
	text_init(&c->out);
	c->keep = true;
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	rc = connect(c->fd, (struct sockaddr *)&rig.address, sizeof(rig.address));
	EXPECT_INT(rc, ==, 0);
	EXPECT_INT(uv_poll_init(&rig.loop, &c->poll, c->fd), ==, 0);
	c->poll.data = c;
	client_watch(c);
}

static void on_poll_closed(uv_handle_t *handle)
{
	struct client *c = handle->data;

	c->fd = -1;
}

static void client_close(struct client *c)
{
	if (c->fd == -1)
		return;
	uv_close((uv_handle_t *)&c->poll, on_poll_closed);
	(void)close(c->fd);
	RUN_UNTIL(c->fd == -1);
	text_done(&c->in);
	text_done(&c->out);
}

static void client_reset(struct client *c)
{
	struct linger off = { 1, 0 };

	(void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &off, sizeof(off));
	client_close(c);
}

static void client_send(struct client *c, const char *text)
{
	text_append_string(&c->out, text);
	client_watch(c);
}

#define GET(path)  "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"
#define POST(rest) "POST / HTTP/1.1\r\nHost: x\r\n" rest

static int count(const struct client *c, const char *part)
{
	int n = 0;

	for (const char *p = c->in.data; (p = strstr(p, part)); p += strlen(part))
		n++;
	return n;
}

TEST(http_server__answers_and_keeps_the_connection)
{
	struct client c;

	rig_start(pong);
	client_open(&c);
	for (int i = 1; i <= 3; i++) {
		client_send(&c, GET("/ping?x"));
		RUN_UNTIL(count(&c, "pong") == i);
	}
	EXPECT_CONTAINS(c.in.data, "HTTP/1.1 200 OK\r\nDate: ");
	EXPECT_CONTAINS(c.in.data, " GMT\r\nServer: test\r\nContent-Type: text/plain\r\n"
				   "Content-Length: 4\r\n\r\npong");
	EXPECT_INT(stats().accepted, ==, 1);
	EXPECT_INT(stats().requests, ==, 3);
	client_close(&c);
	rig_stop(1000);
}

TEST(http_server__takes_a_request_byte_by_byte)
{
	const char text[] = POST("Transfer-Encoding: chunked\r\n\r\n") "3\r\nabc\r\n0\r\n\r\n";
	struct client c;

	rig_start(read_all);
	client_open(&c);
	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		uint64_t before = stats().bytes_received;

		text_append(&c.out, text + i, 1);
		client_watch(&c);
		RUN_UNTIL(stats().bytes_received > before);
	}
	RUN_UNTIL(rig.body_last);
	EXPECT_STR(rig.body.data, "abc");
	answer(rig.held[0], "thanks");
	RUN_UNTIL(count(&c, "thanks"));
	client_close(&c);
	rig_stop(1000);
}

TEST(http_server__pipelined_answers_leave_in_order_and_together)
{
	struct client c;

	rig_start(hold);
	client_open(&c);
	client_send(&c, GET("/0") GET("/1") GET("/2"));
	RUN_UNTIL(rig.requests == 3);
	answer(rig.held[2], "<two>");
	answer(rig.held[1], "<one>");
	(void)uv_run(&rig.loop, UV_RUN_NOWAIT);
	EXPECT_INT(c.received, ==, 0);
	answer(rig.held[0], "<zero>");
	RUN_UNTIL(count(&c, "<two>"));
	EXPECT_TRUE(strstr(c.in.data, "<zero>") < strstr(c.in.data, "<one>"));
	EXPECT_TRUE(strstr(c.in.data, "<one>") < strstr(c.in.data, "<two>"));
	EXPECT_INT(c.reads, ==, 1);
	client_close(&c);
	rig_stop(1000);
}

TEST(http_server__streamed_answers_wait_for_earlier_ones)
{
	struct client c;

	rig_start(hold);
	client_open(&c);
	client_send(&c, GET("/0") GET("/1"));
	RUN_UNTIL(rig.requests == 2);
	EXPECT_INT(http_answer_begin(rig.held[1], &ok, HTTP_LENGTH_UNKNOWN, NULL), ==, 0);
	EXPECT_INT(http_answer_write(rig.held[1], SPAN("late")), ==, 0);
	answer(rig.held[0], "early");
	RUN_UNTIL(count(&c, "late"));
	EXPECT_TRUE(strstr(c.in.data, "early") < strstr(c.in.data, "late"));
	EXPECT_INT(http_answer_write(rig.held[1], SPAN("r")), ==, 0);
	http_answer_end(rig.held[1]);
	RUN_UNTIL(count(&c, "\r\n0\r\n\r\n"));
	EXPECT_CONTAINS(c.in.data, "\r\n\r\n4\r\nlate\r\n1\r\nr\r\n0\r\n\r\n");
	client_close(&c);
	rig_stop(1000);
}

TEST(http_server__unsafe_requests_do_not_overlap)
{
	struct client c;

	rig_start(hold);
	client_open(&c);
	client_send(&c, GET("/0") POST("Content-Length: 0\r\n\r\n") GET("/2"));
	RUN_UNTIL(rig.requests == 1);
	(void)uv_run(&rig.loop, UV_RUN_NOWAIT);
	EXPECT_INT(rig.requests, ==, 1);
	answer(rig.held[0], "a");
	RUN_UNTIL(rig.requests == 2);
	EXPECT_INT(http_request_head(rig.held[1])->method, ==, HTTP_METHOD_POST);
	answer(rig.held[1], "b");
	RUN_UNTIL(rig.requests == 3);
	EXPECT_SPAN(http_request_head(rig.held[2])->path, "/2");
	answer(rig.held[2], "c");
	RUN_UNTIL(count(&c, "200 OK") == 3);
	client_close(&c);
	rig_stop(1000);
}

TEST(http_server__pipelining_is_bounded)
{
	struct client c;

	rig_start(hold);
	client_open(&c);
	for (int i = 0; i < 20; i++)
		client_send(&c, GET("/"));
	RUN_UNTIL(rig.requests == 16);
	(void)uv_run(&rig.loop, UV_RUN_NOWAIT);
	EXPECT_INT(rig.requests, ==, 16);
	for (int i = 0; i < 20; i++) {
		if (i >= rig.requests)
			RUN_UNTIL(rig.requests > i);
		answer(rig.held[i], "x");
	}
	RUN_UNTIL(count(&c, "200 OK") == 20);
	client_close(&c);
	rig_stop(1000);
}

TEST(http_server__who_does_not_read_answers_gets_no_further_requests_in)
{
	struct client c;

	set_limits();
	rig.limits.connection_uses = UINT32_MAX;
	rig_start(pong);
	client_open(&c);
	c.deaf = true;
	for (int i = 0; i < 200000; i++)
		text_append_string(&c.out, GET("/"));
	client_watch(&c);
	do
		(void)uv_run(&rig.loop, UV_RUN_NOWAIT);
	while (stats().requests < 1000);
	for (uint64_t before = 0; before != stats().requests;) {
		before = stats().requests;
		for (int i = 0; i < 100; i++)
			(void)uv_run(&rig.loop, UV_RUN_NOWAIT);
	}
	EXPECT_TRUE(stats().requests < 200000);
	c.deaf = c.keep = false;
	client_watch(&c);
	RUN_UNTIL(stats().requests == 200000);
	client_close(&c);
	rig_stop(1000);
}

TEST(http_server__garbage_behind_a_request_is_refused_after_its_answer)
{
	struct client c;

	rig_start(hold);
	client_open(&c);
	client_send(&c, GET("/") "GET / HTTP/1.1\r\nHost : x\r\n\r\n" GET("/never"));
	RUN_UNTIL(stats().refused == 1);
	EXPECT_INT(c.received, ==, 0);
	answer(rig.held[0], "fine");
	RUN_UNTIL(c.eof);
	EXPECT_FALSE(c.reset);
	EXPECT_INT(rig.requests, ==, 1);
	EXPECT_TRUE(strstr(c.in.data, "fine") < strstr(c.in.data, "400 Bad Request"));
	EXPECT_INT(count(&c, "Connection: close"), ==, 1);
	EXPECT_CONTAINS(c.in.data, "\"code\":\"MRT-4001\"");
	client_close(&c);
	rig_stop(1000);
}

TEST(http_server__refusals_have_their_status)
{
	static const struct {
		const char *text, *status;
	} cases[] = {
		{ "GET / HTTP/2.0\r\n\r\n", " 505 HTTP Version Not Supported\r\n" },
		{ "BREW / HTTP/1.1\r\nHost: x\r\n\r\n", " 501 Not Implemented\r\n" },
		{ POST("Transfer-Encoding: gzip\r\n\r\n"), " 501 Not Implemented\r\n" },
		{ POST("Content-Length: 99999999999\r\n\r\n"), " 413 Content Too Large\r\n" },
		{ POST("Expect: x\r\n\r\n"), " 417 Expectation Failed\r\n" },
		{ "\x16\x03\x01", " 400 Bad Request\r\n" },
	};

	rig_start(pong);
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct client c;

		client_open(&c);
		client_send(&c, cases[i].text);
		RUN_UNTIL(c.eof);
		EXPECT_CONTAINS(c.in.data, cases[i].status);
		EXPECT_CONTAINS(c.in.data, "Connection: close");
		client_close(&c);
	}
	EXPECT_INT(rig.requests, ==, 0);
	rig_stop(1000);
}

static void by_status(void *user, struct http_request *request)
{
	struct span path = http_request_head(request)->path;
	struct http_answer a = ok;
	uint64_t status;

	(void)user;
	EXPECT_TRUE(span_u64((struct span){ path.data + 1, path.len - 1 }, 999, &status));
	a.status = (int)status;
	EXPECT_INT(http_answer_send(request, &a, SPAN("body"), NULL), ==, 0);
}

TEST(http_server__no_body_where_http_wants_none)
{
	struct client c;

	rig_start(by_status);
	client_open(&c);
	client_send(
		&c, "HEAD /200 HTTP/1.1\r\nHost: x\r\n\r\n" GET("/204") GET("/304") GET("/404"));
	RUN_UNTIL(count(&c, "body"));
	EXPECT_INT(count(&c, "body"), ==, 1);
	EXPECT_INT(count(&c, "Content-Length: 4\r\n"), ==, 3);
	EXPECT_CONTAINS(c.in.data, "204 No Content");
	EXPECT_CONTAINS(c.in.data, "304 Not Modified");
	client_close(&c);
	rig_stop(1000);
}

TEST(http_server__http_1_0_ends_with_the_connection)
{
	struct client c;

	rig.to_write = 10;
	rig_start(stream);
	client_open(&c);
	client_send(&c, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	RUN_UNTIL(c.eof);
	EXPECT_CONTAINS(c.in.data, "Connection: close\r\n\r\nx");
	EXPECT_NULL(strstr(c.in.data, "chunked"));
	client_close(&c);
	rig_stop(1000);
}

TEST(http_server__http_1_0_may_keep_the_connection)
{
	struct client c;

	rig_start(pong);
	client_open(&c);
	for (int i = 1; i < 3; i++) {
		client_send(&c, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
		RUN_UNTIL(count(&c, "pong") == i);
	}
	EXPECT_INT(count(&c, "Connection: keep-alive"), ==, 2);
	client_send(&c, "GET / HTTP/1.0\r\n\r\n");
	RUN_UNTIL(c.eof);
	EXPECT_INT(count(&c, "pong"), ==, 3);
	client_close(&c);
	rig_stop(1000);
}

TEST(http_server__continue_is_said_when_the_body_is_wanted)
{
	struct client c;

	rig_start(hold);
	client_open(&c);
	client_send(&c, POST("Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"));
	RUN_UNTIL(rig.requests == 1);
	(void)uv_run(&rig.loop, UV_RUN_NOWAIT);
	EXPECT_INT(c.received, ==, 0);
	EXPECT_INT(http_body_read(rig.held[0], 0, NULL), ==, 0);
	RUN_UNTIL(count(&c, "HTTP/1.1 100 Continue\r\n\r\n"));
	client_send(&c, "hi");
	RUN_UNTIL(rig.body_last);
	EXPECT_STR(rig.body.data, "hi");
	answer(rig.held[0], "done");
	RUN_UNTIL(count(&c, "done"));
	EXPECT_INT(count(&c, "close"), ==, 0);
	client_close(&c);
	rig_stop(1000);
}

TEST(http_server__an_answer_in_place_of_continue_closes)
{
	struct client c;

	rig_start(pong);
	client_open(&c);
	client_send(&c, POST("Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"));
	RUN_UNTIL(c.eof);
	EXPECT_NULL(strstr(c.in.data, "100 Continue"));
	EXPECT_CONTAINS(c.in.data, "Connection: close");
	client_close(&c);
	rig_stop(1000);
}

TEST(http_server__a_short_body_that_nobody_reads_is_dropped)
{
	struct client c;

	rig_start(pong);
	client_open(&c);
	client_send(&c, POST("Content-Length: 5\r\n\r\nhello") GET("/"));
	RUN_UNTIL(count(&c, "pong") == 2);
	EXPECT_INT(count(&c, "close"), ==, 0);
	client_close(&c);
	rig_stop(1000);
}

TEST(http_server__an_early_answer_reaches_a_client_that_still_sends)
{
	struct client c;
	char *data = mem_zalloc(4 * MEGABYTE);

	rig_start(pong);
	client_open(&c);
	client_send(&c, POST("Content-Length: 4194304\r\n\r\n"));
	text_append(&c.out, data, 4 * MEGABYTE);
	client_watch(&c);
	RUN_UNTIL(c.eof);
	EXPECT_CONTAINS(c.in.data, "pong");
	EXPECT_CONTAINS(c.in.data, "Connection: close");
	EXPECT_FALSE(c.reset);
	client_close(&c);
	mem_free(data);
	rig_stop(1000);
}

TEST(http_server__upload_stops_at_the_window)
{
	struct client c;
	char *data = mem_zalloc(8 * MEGABYTE);

	rig.hold_window = true;
	rig_start(read_all);
	client_open(&c);
	client_send(&c, POST("Content-Length: 8388608\r\n\r\n"));
	text_append(&c.out, data, 8 * MEGABYTE);
	client_watch(&c);
	RUN_UNTIL(rig.body_bytes == rig.limits.window_bytes);
	for (int i = 0; i < 200; i++)
		(void)uv_run(&rig.loop, UV_RUN_NOWAIT);
	EXPECT_TRUE(rig.body_bytes == rig.limits.window_bytes);
	/* One block of read-ahead, no more. */
	EXPECT_TRUE(stats().bytes_received <= rig.limits.window_bytes + 65536);
	EXPECT_TRUE(c.out.len > 0);
	rig.hold_window = false;
	http_body_consumed(rig.held[0], rig.body_bytes);
	RUN_UNTIL(rig.body_last);
	EXPECT_TRUE(rig.body_bytes == 8 * MEGABYTE);
	answer(rig.held[0], "all");
	RUN_UNTIL(count(&c, "all"));
	client_close(&c);
	mem_free(data);
	rig_stop(1000);
}

TEST(http_server__chunked_upload_arrives_whole)
{
	struct client c;

	rig_start(read_all);
	client_open(&c);
	client_send(&c, POST("Transfer-Encoding: chunked\r\n\r\n"));
	for (int i = 0; i < 20000; i++)
		text_append_string(&c.out, "64\r\n"
					   "0123456789012345678901234567890123456789012345678"
					   "9012345678901234567890123456789012345678901234567"
					   "89\r\n");
	client_send(&c, "0\r\n\r\n" GET("/next"));
	RUN_UNTIL(rig.body_last);
	EXPECT_TRUE(rig.body_bytes == 2000000);
	answer(rig.held[0], "all");
	RUN_UNTIL(rig.requests == 2);
	EXPECT_SPAN(http_request_head(rig.held[1])->path, "/next");
	answer(rig.held[1], "too");
	RUN_UNTIL(count(&c, "too"));
	client_close(&c);
	rig_stop(1000);
}

TEST(http_server__download_waits_for_a_slow_reader)
{
	struct client c;

	rig.to_write = 16 * MEGABYTE;
	rig_start(stream);
	client_open(&c);
	c.deaf = true;
	c.keep = false;
	client_send(&c, GET("/"));
	do
		(void)uv_run(&rig.loop, UV_RUN_NOWAIT);
	while (rig.rc != ERR_AGAIN);
	EXPECT_TRUE(rig.written < rig.to_write);
	EXPECT_TRUE(http_answer_waiting(rig.held[0]) < rig.limits.window_bytes + 32768);
	c.deaf = false;
	client_watch(&c);
	RUN_UNTIL(rig.written == rig.to_write && c.received >= 16 * MEGABYTE + 6000);
	EXPECT_INT(rig.writable, >, 0);
	EXPECT_INT(rig.gone, ==, 0);
	client_close(&c);
	rig_stop(1000);
}

TEST(http_server__announced_length_is_kept)
{
	struct client c;

	rig_start(hold);
	client_open(&c);
	client_send(&c, GET("/"));
	RUN_UNTIL(rig.requests == 1);
	EXPECT_INT(http_answer_begin(rig.held[0], &ok, 5, NULL), ==, 0);
	EXPECT_INT(http_answer_write(rig.held[0], SPAN("hello!")), ==, ERR_INVALID);
	EXPECT_INT(http_answer_write(rig.held[0], SPAN("hell")), ==, 0);
	http_answer_end(rig.held[0]);
	RUN_UNTIL(c.eof);
	EXPECT_TRUE(c.reset);
	EXPECT_INT(rig.gone, ==, 0);
	client_close(&c);
	rig_stop(1000);
}

TEST(http_server__abort_cuts_the_connection)
{
	struct client c;

	rig_start(hold);
	client_open(&c);
	client_send(&c, GET("/") GET("/2"));
	RUN_UNTIL(rig.requests == 2);
	EXPECT_INT(http_answer_begin(rig.held[0], &ok, HTTP_LENGTH_UNKNOWN, NULL), ==, 0);
	EXPECT_INT(http_answer_write(rig.held[0], SPAN("half")), ==, 0);
	http_request_abort(rig.held[0]);
	RUN_UNTIL(c.eof);
	EXPECT_TRUE(c.reset);
	/* The other one lost its client. */
	EXPECT_INT(rig.gone, ==, 1);
	EXPECT_INT(rig.why, ==, HTTP_GONE_CLIENT);
	client_close(&c);
	rig_stop(1000);
}

TEST(http_server__answers_cannot_forge_headers)
{
	static const struct http_answer_field bad[] = {
		{ { "X-A", 3 }, { "b\r\nSet-Cookie: c", 16 } },
		{ { "X-A: b\r\nX", 9 }, { "c", 1 } },
		{ { "", 0 }, { "c", 1 } },
		{ { "Content-Length", 14 }, { "7", 1 } },
		{ { "transfer-encoding", 17 }, { "chunked", 7 } },
		{ { "Connection", 10 }, { "close", 5 } },
		{ { "Content-Type", 12 }, { "text/html", 9 } },
		{ { "X-A", 3 }, { " b", 2 } },
	};
	struct http_answer a = ok;
	struct client c;
	struct error err;

	rig_start(hold);
	client_open(&c);
	client_send(&c, GET("/"));
	RUN_UNTIL(rig.requests == 1);
	a.field_count = 1;
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
		a.fields = &bad[i];
		EXPECT_INT(http_answer_send(rig.held[0], &a, SPAN("x"), &err), ==, ERR_INVALID);
		EXPECT_INT(http_answer_begin(rig.held[0], &a, 1, &err), ==, ERR_INVALID);
	}
	a.field_count = 0;
	a.status = 101;
	EXPECT_INT(http_answer_send(rig.held[0], &a, SPAN("x"), &err), ==, ERR_INVALID);
	EXPECT_FALSE(http_answer_begun(rig.held[0]));
	a.status = 299;
	a.fields = &(struct http_answer_field){ SPAN("X-Good"), SPAN("yes") };
	a.field_count = 1;
	EXPECT_INT(http_answer_send(rig.held[0], &a, SPAN("x"), &err), ==, 0);
	RUN_UNTIL(count(&c, "X-Good: yes\r\n"));
	client_close(&c);
	rig_stop(1000);
}

TEST(http_server__a_reset_client_is_gone)
{
	struct client c;

	rig_start(hold);
	client_open(&c);
	client_send(&c, GET("/") GET("/2"));
	RUN_UNTIL(rig.requests == 2);
	client_reset(&c);
	RUN_UNTIL(rig.gone == 2);
	EXPECT_INT(rig.why, ==, HTTP_GONE_CLIENT);
	EXPECT_INT(stats().connections, ==, 0);
	rig_stop(1000);
}

TEST(http_server__a_client_that_left_is_gone_soon)
{
	struct client c;

	rig_start(hold);
	client_open(&c);
	client_send(&c, GET("/"));
	RUN_UNTIL(rig.requests == 1);
	client_close(&c);
	RUN_UNTIL(rig.gone == 1);
	EXPECT_INT(rig.why, ==, HTTP_GONE_CLIENT);
	rig_stop(1000);
}

TEST(http_server__a_client_that_left_during_its_body_is_gone)
{
	struct client c;

	rig_start(read_all);
	client_open(&c);
	client_send(&c, POST("Content-Length: 10\r\n\r\nhello"));
	RUN_UNTIL(rig.body_bytes == 5);
	(void)shutdown(c.fd, SHUT_WR);
	RUN_UNTIL(rig.gone == 1);
	EXPECT_INT(rig.why, ==, HTTP_GONE_CLIENT);
	client_close(&c);
	rig_stop(1000);
}

/* More requests than may begin and than a block holds, so that the server does not read. */
static void send_too_many(struct client *c)
{
	client_open(c);
	for (int i = 0; i < 2000; i++)
		text_append_string(&c->out, GET("/"));
	client_watch(c);
	RUN_UNTIL(rig.requests == 16 && c->out.len == 0);
}

TEST(http_server__a_client_that_left_is_noticed_without_reading)
{
	struct client c;

	rig_start(hold);
	send_too_many(&c);
	EXPECT_TRUE(stats().bytes_received < 2000 * (sizeof(GET("/")) - 1));
	(void)shutdown(c.fd, SHUT_WR);
	RUN_UNTIL(rig.gone == 16);
	EXPECT_INT(rig.why, ==, HTTP_GONE_CLIENT);
	client_close(&c);
	rig_stop(1000);
}

TEST(http_server__a_reset_is_noticed_without_reading)
{
	struct client c;

	rig_start(hold);
	send_too_many(&c);
	client_reset(&c);
	RUN_UNTIL(rig.gone == 16);
	EXPECT_INT(stats().connections, ==, 0);
	rig_stop(1000);
}

TEST(http_server__a_half_closed_client_still_gets_its_answers)
{
	struct client c;

	rig_start(hold);
	client_open(&c);
	client_send(&c, GET("/") GET("/2"));
	RUN_UNTIL(rig.requests == 2);
	(void)shutdown(c.fd, SHUT_WR);
	(void)uv_run(&rig.loop, UV_RUN_ONCE);
	answer(rig.held[0], "one");
	answer(rig.held[1], "two");
	RUN_UNTIL(c.eof);
	EXPECT_FALSE(c.reset);
	EXPECT_CONTAINS(c.in.data, "two");
	EXPECT_INT(rig.gone, ==, 0);
	client_close(&c);
	rig_stop(1000);
}

TEST(http_server__a_deadline_answers_504_and_keeps_the_connection)
{
	struct client c;

	rig_start(hold);
	client_open(&c);
	client_send(&c, GET("/"));
	RUN_UNTIL(rig.requests == 1);
	http_request_deadline(rig.held[0], 50);
	RUN_UNTIL(count(&c, "504 Gateway Timeout"));
	EXPECT_INT(rig.gone, ==, 1);
	EXPECT_INT(rig.why, ==, HTTP_GONE_DEADLINE);
	EXPECT_CONTAINS(c.in.data, "\"code\":\"MRT-1008\"");
	client_send(&c, GET("/2"));
	RUN_UNTIL(rig.requests == 2);
	answer(rig.held[1], "again");
	RUN_UNTIL(count(&c, "again"));
	client_close(&c);
	rig_stop(1000);
}

TEST(http_server__a_deadline_cuts_an_answer_that_began)
{
	struct client c;

	rig_start(hold);
	client_open(&c);
	client_send(&c, GET("/"));
	RUN_UNTIL(rig.requests == 1);
	EXPECT_INT(http_answer_begin(rig.held[0], &ok, HTTP_LENGTH_UNKNOWN, NULL), ==, 0);
	http_request_deadline(rig.held[0], 50);
	RUN_UNTIL(c.eof);
	EXPECT_TRUE(c.reset);
	EXPECT_INT(rig.gone, ==, 1);
	EXPECT_INT(rig.why, ==, HTTP_GONE_DEADLINE);
	client_close(&c);
	rig_stop(1000);
}

static void on_tick(uv_timer_t *timer)
{
	int *left = timer->data;

	if ((*left)-- > 0)
		EXPECT_INT(http_answer_write(rig.held[0], SPAN("data: x\n\n")), ==, 0);
	else
		uv_close((uv_handle_t *)timer, NULL);
}

TEST(http_server__an_idle_limit_lets_a_stream_live_while_it_moves)
{
	struct client c;
	uv_timer_t timer;
	int left = 8;

	rig_start(hold);
	client_open(&c);
	client_send(&c, GET("/"));
	RUN_UNTIL(rig.requests == 1);
	http_request_deadline(rig.held[0], 0);
	http_request_idle(rig.held[0], 200);
	EXPECT_INT(http_answer_begin(rig.held[0], &ok, HTTP_LENGTH_UNKNOWN, NULL), ==, 0);
	(void)uv_timer_init(&rig.loop, &timer);
	timer.data = &left;
	(void)uv_timer_start(&timer, on_tick, 50, 50);
	RUN_UNTIL(rig.gone);
	/* 400 ms of events came before the silence that ended it. */
	EXPECT_INT(count(&c, "data: x"), ==, 8);
	EXPECT_INT(rig.why, ==, HTTP_GONE_DEADLINE);
	client_close(&c);
	rig_stop(1000);
}

TEST(http_server__a_slow_head_is_refused)
{
	struct client c;

	set_limits();
	rig.limits.head_ms = 100;
	rig_start(pong);
	client_open(&c);
	client_send(&c, "GET / HTTP/1.1\r\nHost");
	RUN_UNTIL(c.eof);
	EXPECT_CONTAINS(c.in.data, "408 Request Timeout");
	client_close(&c);
	rig_stop(1000);
}

TEST(http_server__a_silent_connection_is_closed)
{
	struct client fresh, used;

	set_limits();
	rig.limits.head_ms = 100;
	rig.limits.idle_ms = 100;
	rig_start(pong);
	client_open(&fresh);
	client_open(&used);
	client_send(&used, GET("/"));
	RUN_UNTIL(count(&used, "pong"));
	RUN_UNTIL(fresh.eof && used.eof);
	EXPECT_INT(fresh.received, ==, 0);
	EXPECT_FALSE(used.reset);
	client_close(&fresh);
	client_close(&used);
	rig_stop(1000);
}

TEST(http_server__a_slow_body_is_refused)
{
	struct client c;

	set_limits();
	rig.limits.rate_grace_ms = 100;
	rig_start(read_all);
	client_open(&c);
	client_send(&c, POST("Content-Length: 1000\r\n\r\nhello"));
	RUN_UNTIL(c.eof);
	EXPECT_CONTAINS(c.in.data, "408 Request Timeout");
	EXPECT_INT(rig.gone, ==, 1);
	EXPECT_INT(rig.why, ==, HTTP_GONE_SLOW);
	client_close(&c);
	rig_stop(1000);
}

TEST(http_server__a_body_that_we_hold_up_is_not_slow)
{
	struct client c;
	char *data = mem_zalloc(MEGABYTE);

	set_limits();
	rig.limits.rate_grace_ms = 50;
	rig.limits.min_rate = 1000000;
	rig.hold_window = true;
	rig_start(read_all);
	client_open(&c);
	client_send(&c, POST("Content-Length: 1048576\r\n\r\n"));
	text_append(&c.out, data, MEGABYTE);
	client_watch(&c);
	RUN_UNTIL(rig.body_bytes == rig.limits.window_bytes);
	http_request_deadline(rig.held[0], 300);
	RUN_UNTIL(rig.gone);
	EXPECT_INT(rig.why, ==, HTTP_GONE_DEADLINE);
	client_close(&c);
	mem_free(data);
	rig_stop(1000);
}

TEST(http_server__a_client_that_takes_nothing_is_cut)
{
	struct client c;

	set_limits();
	rig.limits.rate_grace_ms = 100;
	rig.to_write = 16 * MEGABYTE;
	rig_start(stream);
	client_open(&c);
	client_send(&c, GET("/"));
	RUN_UNTIL(c.out.len == 0);
	c.deaf = true;
	client_watch(&c);
	RUN_UNTIL(rig.gone == 1);
	EXPECT_INT(rig.why, ==, HTTP_GONE_SLOW);
	client_close(&c);
	rig_stop(1000);
}

TEST(http_server__body_limits_hold_for_both_framings)
{
	struct client c;

	set_limits();
	rig.limits.body_bytes = 1000;
	rig_start(hold);
	client_open(&c);
	client_send(&c, POST("Content-Length: 600\r\n\r\n"));
	RUN_UNTIL(rig.requests == 1);
	EXPECT_INT(http_body_read(rig.held[0], 500, NULL), ==, ERR_TOO_LARGE);
	answer(rig.held[0], "no");
	RUN_UNTIL(count(&c, "no"));
	client_close(&c);

	client_open(&c);
	client_send(&c, POST("Transfer-Encoding: chunked\r\n\r\n3e8\r\n"));
	RUN_UNTIL(rig.requests == 2);
	EXPECT_INT(http_body_read(rig.held[1], 500, NULL), ==, 0);
	for (int i = 0; i < 1000; i++)
		text_append_char(&c.out, 'x');
	client_watch(&c);
	RUN_UNTIL(c.eof);
	EXPECT_CONTAINS(c.in.data, "413 Content Too Large");
	EXPECT_INT(rig.gone, ==, 1);
	EXPECT_INT(rig.why, ==, HTTP_GONE_BODY);
	client_close(&c);
	rig_stop(1000);
}

TEST(http_server__a_malformed_chunk_is_refused)
{
	struct client c;

	rig_start(read_all);
	client_open(&c);
	client_send(&c, POST("Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n2\nhi"));
	RUN_UNTIL(c.eof);
	EXPECT_CONTAINS(c.in.data, "400 Bad Request");
	EXPECT_STR(rig.body.data, "hi");
	EXPECT_INT(rig.why, ==, HTTP_GONE_BODY);
	EXPECT_INT(rig.gone, ==, 1);
	client_close(&c);
	rig_stop(1000);
}

TEST(http_server__the_longest_idle_connection_makes_room)
{
	struct client a, b, c;

	set_limits();
	rig.limits.connections = 2;
	rig_start(pong);
	client_open(&a);
	client_send(&a, GET("/"));
	RUN_UNTIL(count(&a, "pong"));
	client_open(&b);
	client_send(&b, GET("/"));
	RUN_UNTIL(count(&b, "pong"));
	client_open(&c);
	client_send(&c, GET("/"));
	RUN_UNTIL(count(&c, "pong") && a.eof);
	EXPECT_FALSE(b.eof);
	EXPECT_INT(stats().connections, ==, 2);
	client_close(&a);
	client_close(&b);
	client_close(&c);
	rig_stop(1000);
}

TEST(http_server__busy_connections_make_others_wait)
{
	struct client a, b;

	set_limits();
	rig.limits.connections = 1;
	rig_start(hold);
	client_open(&a);
	client_send(&a, GET("/"));
	RUN_UNTIL(rig.requests == 1);
	client_open(&b);
	client_send(&b, GET("/"));
	for (int i = 0; i < 50; i++)
		(void)uv_run(&rig.loop, UV_RUN_NOWAIT);
	EXPECT_INT(rig.requests, ==, 1);
	answer(rig.held[0], "a");
	client_close(&a);
	RUN_UNTIL(rig.requests == 2);
	answer(rig.held[1], "b");
	client_close(&b);
	rig_stop(1000);
}

TEST(http_server__a_connection_has_so_many_uses)
{
	struct client c;

	set_limits();
	rig.limits.connection_uses = 2;
	rig_start(pong);
	client_open(&c);
	client_send(&c, GET("/") GET("/") GET("/"));
	RUN_UNTIL(c.eof);
	EXPECT_INT(count(&c, "pong"), ==, 2);
	EXPECT_INT(count(&c, "Connection: close"), ==, 1);
	EXPECT_FALSE(c.reset);
	client_close(&c);
	rig_stop(1000);
}

TEST(http_server__closing_finishes_what_is_there)
{
	struct client idle, busy, half;

	rig_start(hold);
	client_open(&idle);
	client_send(&idle, GET("/"));
	RUN_UNTIL(rig.requests == 1);
	answer(rig.held[0], "idle");
	RUN_UNTIL(count(&idle, "idle"));
	client_open(&busy);
	client_send(&busy, GET("/"));
	RUN_UNTIL(rig.requests == 2);
	client_open(&half);
	client_send(&half, "GET / HTTP/1.1\r\n");
	RUN_UNTIL(half.out.len == 0 && stats().connections == 3);
	(void)uv_run(&rig.loop, UV_RUN_NOWAIT);

	http_server_close(rig.server, 5000, on_closed, &rig);
	RUN_UNTIL(idle.eof);
	EXPECT_FALSE(busy.eof || half.eof);
	client_send(&half, "Host: x\r\n\r\n");
	RUN_UNTIL(rig.requests == 3);
	answer(rig.held[2], "half");
	RUN_UNTIL(half.eof);
	EXPECT_INT(rig.closed, ==, 0);
	answer(rig.held[1], "busy");
	RUN_UNTIL(busy.eof && rig.closed);
	EXPECT_CONTAINS(busy.in.data, "Connection: close");
	EXPECT_CONTAINS(half.in.data, "Connection: close");
	EXPECT_INT(rig.gone, ==, 0);
	client_close(&idle);
	client_close(&busy);
	client_close(&half);
	EXPECT_INT(rig.closed, ==, 1);
	text_done(&rig.body);
}

TEST(http_server__closing_ends_at_its_deadline)
{
	struct client waiting, begun;

	rig_start(hold);
	client_open(&waiting);
	client_open(&begun);
	client_send(&waiting, GET("/") GET("/2"));
	RUN_UNTIL(rig.requests == 2);
	client_send(&begun, GET("/"));
	RUN_UNTIL(rig.requests == 3);
	EXPECT_INT(http_answer_begin(rig.held[2], &ok, 100, NULL), ==, 0);
	rig_stop(50);
	RUN_UNTIL(waiting.eof && begun.eof);
	EXPECT_INT(rig.gone, ==, 3);
	EXPECT_INT(rig.why, ==, HTTP_GONE_SHUTDOWN);
	EXPECT_INT(count(&waiting, "503 Service Unavailable"), ==, 2);
	EXPECT_TRUE(begun.reset);
	client_close(&waiting);
	client_close(&begun);
}

TEST(http_server__problems_carry_fields_and_ids)
{
	static const struct http_answer_field fields[] = { { { "Retry-After", 11 }, { "1", 1 } } };
	struct problem problem = { .request_id = SPAN("r-1") };
	struct error reason;
	struct client c;

	rig_start(hold);
	client_open(&c);
	client_send(&c, GET("/"));
	RUN_UNTIL(rig.requests == 1);
	error_set(&reason, ERR_UNAVAIL, "the database is gone");
	problem.error = &reason;
	EXPECT_INT(http_answer_problem(rig.held[0], &problem, fields, 1, NULL), ==, 0);
	RUN_UNTIL(count(&c, "}"));
	EXPECT_CONTAINS(c.in.data, "503 Service Unavailable");
	EXPECT_CONTAINS(c.in.data, "Content-Type: application/problem+json\r\nRetry-After: 1\r\n");
	EXPECT_CONTAINS(c.in.data, "\"request_id\":\"r-1\"");
	client_close(&c);
	rig_stop(1000);
}

TEST(http_server__large_whole_answers_arrive_whole)
{
	struct client c;
	char *data = mem_alloc(4 * MEGABYTE);

	for (size_t i = 0; i < 4 * MEGABYTE; i++)
		data[i] = (char)('a' + i % 23);
	rig_start(hold);
	client_open(&c);
	client_send(&c, GET("/0") GET("/1"));
	RUN_UNTIL(rig.requests == 2);
	EXPECT_INT(http_answer_send(rig.held[1], &ok, (struct span){ data, 1000000 }, NULL), ==, 0);
	EXPECT_INT(http_answer_send(rig.held[0], &ok, (struct span){ data, 4 * MEGABYTE }, NULL),
		==, 0);
	RUN_UNTIL(c.received > 4 * MEGABYTE + 1000000 && count(&c, "200 OK") == 2);
	EXPECT_TRUE(memcmp(strstr(c.in.data, "\r\n\r\n") + 4, data, 4 * MEGABYTE) == 0);
	EXPECT_TRUE(memcmp(c.in.data + c.in.len - 1000000, data, 1000000) == 0);
	client_close(&c);
	mem_free(data);
	rig_stop(1000);
}

TEST(http_server__out_of_descriptors_is_a_pause)
{
	struct rlimit before, none;
	struct client c;

	rig_start(pong);
	client_open(&c);
	client_send(&c, GET("/"));
	EXPECT_INT(getrlimit(RLIMIT_NOFILE, &before), ==, 0);
	none = before;
	none.rlim_cur = (rlim_t)c.fd + 1;
	EXPECT_INT(setrlimit(RLIMIT_NOFILE, &none), ==, 0);
	for (int i = 0; i < 20; i++)
		(void)uv_run(&rig.loop, UV_RUN_NOWAIT);
	EXPECT_INT(stats().accepted, ==, 0);
	EXPECT_INT(setrlimit(RLIMIT_NOFILE, &before), ==, 0);
	RUN_UNTIL(count(&c, "pong"));
	client_close(&c);
	rig_stop(1000);
}

TEST(http_server__a_reset_during_a_download_is_told_once)
{
	struct client c;

	rig.to_write = 64 * MEGABYTE;
	rig_start(stream);
	client_open(&c);
	c.keep = false;
	client_send(&c, GET("/"));
	RUN_UNTIL(c.received > MEGABYTE);
	client_reset(&c);
	RUN_UNTIL(rig.gone);
	EXPECT_INT(rig.gone, ==, 1);
	EXPECT_INT(rig.why, ==, HTTP_GONE_CLIENT);
	EXPECT_INT(stats().in_flight, ==, 0);
	rig_stop(1000);
}

/* Many clients send random bodies in random cuts; the owner sends each back as fast as its client
 * takes it, and no faster than that takes the body. */

struct echo {
	struct text waiting;
	bool last;
};

static void echo_on(struct http_request *request, struct echo *echo)
{
	size_t n = echo->waiting.len;

	if (n) {
		if (http_answer_write(request, text_span(&echo->waiting)) == ERR_AGAIN)
			return;
		text_clear(&echo->waiting);
		http_body_consumed(request, n);
	}
	if (!echo->last)
		return;
	http_answer_end(request);
	text_done(&echo->waiting);
	mem_free(echo);
}

static void on_echo_body(void *user, struct http_request *request, struct span piece, bool last)
{
	struct echo *echo = user;

	text_append_span(&echo->waiting, piece);
	echo->last = last;
	echo_on(request, echo);
}

static void on_echo_writable(void *user, struct http_request *request)
{
	echo_on(request, user);
}

static const struct http_owner echo_owner = { on_echo_body, on_echo_writable, on_gone };

static void echo_back(void *user, struct http_request *request)
{
	struct echo *echo = mem_zalloc(sizeof(*echo));

	(void)user;
	rig.requests++;
	text_init(&echo->waiting);
	http_request_own(request, &echo_owner, echo);
	EXPECT_INT(http_body_read(request, 0, NULL), ==, 0);
	EXPECT_INT(http_answer_begin(request, &ok, HTTP_LENGTH_UNKNOWN, NULL), ==, 0);
}

static uint32_t random_below(uint32_t *state, uint32_t bound)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state % bound;
}

#define ECHO_CLIENTS  12
#define ECHO_REQUESTS 4

/* One request with a random body, which is appended to *all too. */
static void add_random_request(struct client *c, struct text *all, uint32_t *state)
{
	text_append_string(&c->out, POST("Transfer-Encoding: chunked\r\n\r\n"));
	for (uint32_t left = 1 + random_below(state, 400000); left > 0;) {
		uint32_t n = 1 + random_below(state, random_below(state, 2) ? 50 : 60000);
		char *place;

		if (n > left)
			n = left;
		text_printf(&c->out, "%x\r\n", n);
		place = text_reserve(&c->out, n);
		for (uint32_t i = 0; i < n; i++)
			place[i] = (char)random_below(state, 256);
		text_append(all, place, n);
		text_grown(&c->out, n);
		text_append_string(&c->out, "\r\n");
		left -= n;
	}
	text_append_string(&c->out, "0\r\n\r\n");
}

/* The bodies of the answers in c->in; returns how many are complete. */
static int take_answers(const struct client *c, struct text *bodies)
{
	const char *p = c->in.data, *end = c->in.data + c->in.len;
	int complete = 0;

	text_clear(bodies);
	while (p < end) {
		struct http_chunks chunks;
		const char *body = memmem(p, (size_t)(end - p), "\r\n\r\n", 4);
		int rc;

		if (!body)
			break;
		p = body + 4;
		http_chunks_init(&chunks);
		do {
			struct span piece;
			size_t used;

			rc = http_chunks_parse(&chunks, p, (size_t)(end - p), &used, &piece);
			p += used;
			text_append_span(bodies, piece);
			if (rc == 0 && piece.len == 0)
				break;
		} while (rc == 0);
		if (rc < 0)
			break;
		complete++;
	}
	return complete;
}

TEST(http_server__bodies_come_back_byte_for_byte)
{
	static struct client clients[ECHO_CLIENTS];
	struct text sent[ECHO_CLIENTS], bodies;
	uint32_t state = 88172645u;

	rig_start(echo_back);
	text_init(&bodies);
	for (int i = 0; i < ECHO_CLIENTS; i++) {
		text_init(&sent[i]);
		client_open(&clients[i]);
		for (int j = 0; j < ECHO_REQUESTS; j++)
			add_random_request(&clients[i], &sent[i], &state);
		client_watch(&clients[i]);
	}
	for (int i = 0; i < ECHO_CLIENTS; i++) {
		RUN_UNTIL(clients[i].received >= sent[i].len &&
			  take_answers(&clients[i], &bodies) == ECHO_REQUESTS);
		EXPECT_TRUE(span_equal(text_span(&bodies), text_span(&sent[i])));
		text_done(&sent[i]);
		client_close(&clients[i]);
	}
	EXPECT_INT(rig.requests, ==, ECHO_CLIENTS * ECHO_REQUESTS);
	EXPECT_INT(rig.gone, ==, 0);
	text_done(&bodies);
	rig_stop(1000);
}
