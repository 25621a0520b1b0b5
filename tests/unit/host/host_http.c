#include "bed.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

static const char *const routes[] = { "ping", "info", "echo", "sink", "big", "flood", "wait",
	"abort", NULL };

static struct front *serve(struct bed *b)
{
	bed_init(b, "echo", "", routes, NULL);
	bed_serve(b);
	return bed_front(b, 0, 0);
}

TEST(host_http__a_reply_is_one_message)
{
	struct bed b;
	struct answer *a = front_get(serve(&b), 1, "ping", "");

	EXPECT_UINT(a->status, ==, 200);
	EXPECT_INT(a->length, ==, 4);
	EXPECT_STR(a->body.data, "pong");
	EXPECT_STR(a->headers.data, "content-type: text/plain\n");
	bed_done(&b);
}

TEST(host_http__head_headers_params_and_query_reach_the_plugin)
{
	struct bed b;
	struct answer *a = front_get(serve(&b), 1, "info", "a=%zz&q=x+%2Fy&q=2");

	EXPECT_STR(a->body.data, "GET /api/x?a=%zz&q=x+%2Fy&q=2 0\nheader=one, two\n"
				 "param=b\303\244r\nq=x /y\n");
	EXPECT_CONTAINS(a->headers.data, "x-answer: yes\n");
	bed_done(&b);
}

TEST(host_http__a_query_that_is_not_text_is_not_given)
{
	struct bed b;
	struct front *f = serve(&b);

	EXPECT_CONTAINS(front_get(f, 1, "info", "q=%ff")->body.data, "q=-\n");
	EXPECT_CONTAINS(front_get(f, 2, "info", "q=%4")->body.data, "q=-\n");
	EXPECT_CONTAINS(front_get(f, 3, "info", "q")->body.data, "q=\n");
	EXPECT_CONTAINS(front_get(f, 4, "info", "")->body.data, "q=-\n");
	bed_done(&b);
}

/* Send size bytes within the window and run until all is answered. */
static void stream(struct front *f, uint64_t id, uint64_t size)
{
	static char piece[PROTOCOL_CHUNK_MAX];
	struct answer *a = &f->answers[id - 1];
	uint64_t sent = 0;

	while (!a->done && !f->closed) {
		while (sent < size && sent - a->consumed + sizeof(piece) <= PROTOCOL_BODY_WINDOW) {
			size_t n = size - sent < sizeof(piece) ? size - sent : sizeof(piece);

			sent += n;
			front_body(f, id, (struct span){ piece, n }, sent == size);
		}
		(void)uv_run(&f->bed->loop, UV_RUN_ONCE);
	}
}

TEST(host_http__bodies_stream_both_ways_within_their_windows)
{
	struct bed b;
	struct front *f = serve(&b);

	f->drop_body = true;
	front_request(f, 1, "echo", "", true);
	stream(f, 1, 20u << 20);
	EXPECT_INT(f->closed, ==, 0);
	EXPECT_TRUE(f->answers[0].body_bytes == 20u << 20);
	bed_done(&b);
}

TEST(host_http__a_slow_client_stops_the_plugin_and_credit_lets_it_go_on)
{
	struct bed b;
	struct front *f = serve(&b);
	struct answer *a = &f->answers[0];

	f->keep_credit = true;
	front_request(f, 1, "flood", "size=1000000", false);
	for (int i = 0; i < 50; i++)
		(void)uv_run(&b.loop, UV_RUN_NOWAIT);
	EXPECT_UINT(a->body_bytes, >, 200000);
	EXPECT_UINT(a->body_bytes, <=, PROTOCOL_BODY_WINDOW);
	while (!a->done) {
		if (a->unconsumed)
			front_consumed(f, 1, a->unconsumed);
		(void)uv_run(&b.loop, UV_RUN_ONCE);
	}
	EXPECT_UINT(a->body_bytes, ==, 1000000);
	bed_done(&b);
}

TEST(host_http__a_large_reply_follows_credit_though_the_plugin_is_done)
{
	struct bed b;
	struct front *f = serve(&b);
	struct answer *a;

	a = front_get(f, 1, "big", "size=5000000");
	EXPECT_INT(a->length, ==, 5000000);
	EXPECT_UINT(a->body_bytes, ==, 5000000);
	EXPECT_INT(a->body.data[4999999], ==, 'a' + 4999999 % 26);
	bed_done(&b);
}

TEST(host_http__a_drain_waits_for_a_reply_on_its_way)
{
	struct bed b;
	struct front *f = serve(&b);
	struct answer *a = &f->answers[0];

	f->keep_credit = true;
	front_request(f, 1, "big", "size=1000000", false);
	BED_RUN_UNTIL(&b, a->body_bytes > 0);
	host_drain(b.host, 60000);
	for (int i = 0; i < 50; i++)
		(void)uv_run(&b.loop, UV_RUN_NOWAIT);
	EXPECT_INT(b.drained, ==, 0);
	while (!b.drained || !a->done) {
		if (a->unconsumed)
			front_consumed(f, 1, a->unconsumed);
		(void)uv_run(&b.loop, UV_RUN_ONCE);
	}
	EXPECT_UINT(a->body_bytes, ==, 1000000);
	host_stop(b.host, 100);
	BED_RUN_UNTIL(&b, b.stopped);
	bed_done(&b);
}

TEST(host_http__gone_tells_the_plugin_and_late_frames_are_passed_over)
{
	struct bed b;
	struct front *f = serve(&b);

	front_request(f, 1, "wait", "", true);
	front_gone(f, 1, ERR_TOO_LARGE);
	front_body(f, 1, SPAN("late"), true);
	front_gone(f, 1, ERR_CANCELLED);
	BED_RUN_UNTIL(&b, strstr(b.log.data, "gone why=-1016\n"));
	EXPECT_STR(front_get(f, 2, "ping", "")->body.data, "pong");
	bed_done(&b);
}

TEST(host_http__a_lost_front_ends_its_requests_and_no_others)
{
	struct bed b;
	struct front *f = serve(&b), *g = bed_front(&b, 1, 1);

	front_request(f, 1, "wait", "", false);
	front_request(g, 1, "echo", "", true);
	BED_RUN_UNTIL(&b, g->answers[0].status);
	front_close(f);
	BED_RUN_UNTIL(&b, strstr(b.log.data, "gone why=-1009\n"));
	front_body(g, 1, SPAN("still here"), true);
	BED_RUN_UNTIL(&b, g->answers[0].done);
	EXPECT_STR(g->answers[0].body.data, "still here");
	bed_done(&b);
}

TEST(host_http__abort_fails_the_request_for_the_front)
{
	struct bed b;

	EXPECT_INT(front_get(serve(&b), 1, "abort", "")->failed, ==, ERR_INTERNAL);
	bed_done(&b);
}

TEST(host_http__no_request_is_taken_before_start_or_for_unknown_routes)
{
	struct bed b;
	struct front *f;
	struct error err;

	bed_init(&b, "echo", "", routes, NULL);
	EXPECT_OK(host_load(b.host, &err), &err);
	f = bed_front(&b, 0, 0);
	EXPECT_INT(front_get(f, 1, "ping", "")->failed, ==, ERR_UNAVAIL);
	EXPECT_OK(host_start(b.host, &err), &err);
	EXPECT_INT(front_get(f, 2, "nonsense", "")->failed, ==, ERR_INTERNAL);
	bed_done(&b);
}

TEST(host_http__an_unbound_route_of_the_manifest_fails_the_start)
{
	static const char *const more[] = { "ping", "unheard-of", NULL };
	struct bed b;
	struct error err;

	bed_init(&b, "echo", "", more, NULL);
	EXPECT_OK(host_load(b.host, &err), &err);
	EXPECT_INT(host_start(b.host, &err), ==, ERR_ROUTE_UNBOUND);
	EXPECT_CONTAINS(err.text, "unheard-of");
	host_stop(b.host, 100);
	BED_RUN_UNTIL(&b, b.stopped);
	bed_done(&b);
}

TEST(host_http__the_drains_deadline_ends_what_is_open_on_both_sides)
{
	struct bed b;
	struct front *f = serve(&b);

	front_request(f, 1, "wait", "", false);
	BED_RUN_UNTIL(&b, b.box.requests[0][0]);
	EXPECT_STR(b.box.requests[0], "trace-1");
	host_drain(b.host, 30);
	BED_RUN_UNTIL(&b, b.drained && f->answers[0].done);
	EXPECT_INT(f->answers[0].failed, ==, ERR_UNAVAIL);
	EXPECT_CONTAINS(b.log.data, "gone why=-1008\n");
	EXPECT_STR(b.box.requests[0], "");
	EXPECT_INT(front_get(f, 2, "ping", "")->failed, ==, ERR_UNAVAIL);
	host_stop(b.host, 100);
	BED_RUN_UNTIL(&b, b.stopped);
	bed_done(&b);
}

TEST(host_http__open_requests_at_stop_are_leftovers)
{
	struct bed b;
	struct front *f = serve(&b);

	front_request(f, 1, "wait", "", false);
	front_request(f, 2, "wait", "", false);
	BED_RUN_UNTIL(&b, b.box.requests[1][0]);
	host_stop(b.host, 100);
	BED_RUN_UNTIL(&b, b.stopped);
	EXPECT_STR(b.leftovers.data, "request wait 2\n");
	EXPECT_CONTAINS(b.log.data, "gone why=-1009\n");
	bed_done(&b);
}

/* The front that breaks the protocol is cut off; the other one is served on. */
static void expect_cut(struct bed *b, struct front *f)
{
	struct front *g = bed_front(b, 2, 2);

	BED_RUN_UNTIL(b, f->closed);
	EXPECT_INT(f->closed, ==, ERR_CLOSED);
	EXPECT_CONTAINS(b->log.data, "a front broke the protocol");
	EXPECT_STR(front_get(g, 1, "ping", "")->body.data, "pong");
	bed_done(b);
}

TEST(host_http__a_body_beyond_its_window_cuts_the_front_off)
{
	static char piece[PROTOCOL_CHUNK_MAX];
	struct bed b;
	struct front *f = serve(&b);

	front_request(f, 1, "wait", "", true);
	for (int i = 0; i < 5; i++)
		front_body(f, 1, (struct span){ piece, sizeof(piece) }, false);
	expect_cut(&b, f);
}

TEST(host_http__a_body_after_its_end_cuts_the_front_off)
{
	struct bed b;
	struct front *f = serve(&b);

	front_request(f, 1, "wait", "", false);
	front_body(f, 1, SPAN("x"), false);
	expect_cut(&b, f);
}

TEST(host_http__an_id_used_twice_cuts_the_front_off)
{
	struct bed b;
	struct front *f = serve(&b);

	front_request(f, 1, "wait", "", false);
	front_request(f, 1, "wait", "", false);
	expect_cut(&b, f);
}

TEST(host_http__credit_that_was_not_used_cuts_the_front_off)
{
	struct data_response_consumed much = { 1 };
	struct bed b;
	struct front *f = serve(&b);

	front_request(f, 1, "wait", "", false);
	EXPECT_INT(send_data_response_consumed(f->channel, 1, &much), ==, 0);
	expect_cut(&b, f);
}

TEST(host_http__a_malformed_request_cuts_the_front_off)
{
	struct bed b;
	struct front *f = serve(&b);

	EXPECT_INT(
		channel_send(f->channel, &(struct channel_message){ .type = PROTOCOL_DATA_REQUEST,
						 .id = 1,
						 .payload = SPAN("nonsense"),
						 .fd = -1 }),
		==, 0);
	expect_cut(&b, f);
}

TEST(host_http__a_front_that_does_not_name_itself_is_cut_off)
{
	struct data_front again = { 3 };
	struct bed b;
	struct front *f = serve(&b);

	EXPECT_INT(send_data_front(f->channel, 0, &again), ==, 0);
	expect_cut(&b, f);
}

TEST(host_http__a_drain_waits_until_answers_have_left)
{
	struct data_front named = { 0 };
	struct data_request request = { .route = SPAN("big"),
		.method = SPAN("GET"),
		.path = SPAN("/"),
		.query = SPAN("size=65536"),
		.length = 0 };
	struct channel_line *line;
	struct error err;
	struct bed b;
	int fds[2];

	bed_init(&b, "echo", "", routes, NULL);
	bed_serve(&b);
	EXPECT_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
	EXPECT_OK(host_serve(b.host, fds[0], &err), &err);
	line = channel_line_new(
		fds[1], "worker", protocol_limit, PROTOCOL_LINK_WORKER_TO_FRONT, false);
	EXPECT_OK(protocol_line_send(line, PROTOCOL_DATA_FRONT, 0, &named, 0, -1, &err), &err);
	for (uint64_t id = 1; id <= 20; id++)
		EXPECT_OK(protocol_line_send(line, PROTOCOL_DATA_REQUEST, id, &request,
				  PROTOCOL_LAST, -1, &err),
			&err);
	for (int i = 0; i < 50; i++)
		(void)uv_run(&b.loop, UV_RUN_NOWAIT);
	/* More than the socket holds is answered and unread. */
	host_drain(b.host, 60000);
	for (int i = 0; i < 20; i++)
		(void)uv_run(&b.loop, UV_RUN_ONCE);
	EXPECT_INT(b.drained, ==, 0);
	EXPECT_INT(fcntl(fds[1], F_SETFL, O_NONBLOCK), ==, 0);
	while (!b.drained) {
		static char sink[1 << 16];

		while (read(fds[1], sink, sizeof(sink)) > 0)
			;
		(void)uv_run(&b.loop, UV_RUN_ONCE);
	}
	channel_line_free(line);
	(void)close(fds[1]);
	host_stop(b.host, 100);
	BED_RUN_UNTIL(&b, b.stopped);
	bed_done(&b);
}
