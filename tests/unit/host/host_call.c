#include "bed.h"

#include "base/clock.h"
#include "base/mem.h"

static const char *const routes[] = { "call", "own", "cancel", "many", NULL };
static const char *const provides[] = { "fixture.double/1", NULL };

static struct front *serve(struct bed *b)
{
	bed_init(b, "calls", "", routes, provides);
	bed_serve(b);
	return bed_front(b, 0, 0);
}

static void answer(struct front *f, int32_t rc, struct span json, struct span bytes)
{
	struct data_call_result result = { rc, rc ? SPAN("why") : SPAN(""), json, bytes };

	EXPECT_INT(send_data_call_result(f->channel, f->call_id, &result), ==, 0);
}

TEST(host_call__a_call_for_a_request_names_it_and_gets_its_result)
{
	struct bed b;
	struct front *f = serve(&b);

	front_request(f, 3, "call", "", false);
	BED_RUN_UNTIL(&b, f->calls);
	EXPECT_UINT(f->call_parent, ==, 3);
	EXPECT_STR(f->call.data, "kv/1 get {\"key\":\"k\"}");
	answer(f, 0, SPAN("{\"v\":1}"), SPAN("12345"));
	BED_RUN_UNTIL(&b, f->answers[2].done);
	EXPECT_STR(f->answers[2].body.data, "0 {\"v\":1}  5");
	bed_done(&b);
}

TEST(host_call__an_error_comes_with_its_text)
{
	struct bed b;
	struct front *f = serve(&b);

	front_request(f, 1, "call", "", false);
	BED_RUN_UNTIL(&b, f->calls);
	answer(f, ERR_PERMISSION, SPAN(""), SPAN(""));
	BED_RUN_UNTIL(&b, f->answers[0].done);
	EXPECT_STR(f->answers[0].body.data, "-1006  why 0");
	bed_done(&b);
}

TEST(host_call__a_result_of_sixteen_mebibytes_comes_whole)
{
	struct bed b;
	struct front *f = serve(&b);
	char *bytes = mem_zalloc(PROTOCOL_BYTES_MAX);

	front_request(f, 1, "call", "", false);
	BED_RUN_UNTIL(&b, f->calls);
	answer(f, 0, SPAN("{}"), (struct span){ bytes, PROTOCOL_BYTES_MAX });
	BED_RUN_UNTIL(&b, f->answers[0].done);
	EXPECT_STR(f->answers[0].body.data, "0 {}  16777216");
	mem_free(bytes);
	bed_done(&b);
}

TEST(host_call__a_call_of_its_own_goes_to_the_lowest_slot_that_is_there)
{
	struct bed b;
	struct front *f, *g, *low;

	bed_init(&b, "calls", "", routes, provides);
	bed_serve(&b);
	f = bed_front(&b, 0, 2);
	low = bed_front(&b, 1, 0);
	g = bed_front(&b, 2, 1);
	(void)uv_run(&b.loop, UV_RUN_NOWAIT);
	(void)uv_run(&b.loop, UV_RUN_NOWAIT);
	front_request(f, 1, "own", "", false);
	BED_RUN_UNTIL(&b, low->calls);
	EXPECT_UINT(low->call_parent, ==, 0);
	answer(low, 0, SPAN("{}"), SPAN(""));
	BED_RUN_UNTIL(&b, f->answers[0].done);
	front_close(low);
	BED_RUN_UNTIL(&b, low->closed);
	(void)uv_run(&b.loop, UV_RUN_NOWAIT);
	front_request(f, 2, "own", "", false);
	BED_RUN_UNTIL(&b, g->calls);
	answer(g, 0, SPAN("{}"), SPAN(""));
	BED_RUN_UNTIL(&b, f->answers[1].done);
	EXPECT_INT(f->calls, ==, 0);
	bed_done(&b);
}

TEST(host_call__a_lost_front_makes_the_outcome_unknown)
{
	struct bed b;
	struct front *f = serve(&b), *g = bed_front(&b, 1, 1);

	front_request(g, 1, "own", "", false);
	BED_RUN_UNTIL(&b, f->calls);
	front_close(f);
	BED_RUN_UNTIL(&b, g->answers[0].done);
	EXPECT_CONTAINS(g->answers[0].body.data, "-1010 ");
	bed_done(&b);
}

TEST(host_call__cancel_asks_the_front_and_done_comes_once)
{
	struct bed b;
	struct front *f = serve(&b);

	front_request(f, 1, "cancel", "", false);
	BED_RUN_UNTIL(&b, f->cancels);
	EXPECT_INT(f->answers[0].done, ==, 0);
	answer(f, ERR_CANCELLED, SPAN(""), SPAN(""));
	BED_RUN_UNTIL(&b, f->answers[0].done);
	EXPECT_STR(f->answers[0].body.data, "-1007  why 0");
	bed_done(&b);
}

TEST(host_call__its_deadline_ends_it_here_and_a_late_result_is_passed_over)
{
	struct bed b;
	struct front *f = serve(&b);

	front_request(f, 1, "call", "timeout=30", false);
	BED_RUN_UNTIL(&b, f->answers[0].done);
	EXPECT_CONTAINS(f->answers[0].body.data, "-1008 ");
	BED_RUN_UNTIL(&b, f->cancels);
	answer(f, 0, SPAN("{}"), SPAN(""));
	front_request(f, 2, "call", "", false);
	BED_RUN_UNTIL(&b, f->calls == 2);
	answer(f, 0, SPAN("{}"), SPAN(""));
	BED_RUN_UNTIL(&b, f->answers[1].done);
	EXPECT_INT(f->closed, ==, 0);
	bed_done(&b);
}

TEST(host_call__credits_bound_what_is_outstanding)
{
	struct bed b;
	struct front *f = serve(&b);

	EXPECT_STR(front_get(f, 1, "many", "")->body.data, "64");
	EXPECT_STR(front_get(f, 2, "many", "")->body.data, "0");
	answer(f, 0, SPAN("{}"), SPAN(""));
	EXPECT_STR(front_get(f, 3, "many", "")->body.data, "1");
	bed_done(&b);
	EXPECT_INT(b.stopped_rc, ==, 0);
}

TEST(host_call__calls_that_are_out_at_stop_are_leftovers_and_done_comes)
{
	struct bed b;
	struct front *f = serve(&b);

	front_request(f, 1, "own", "", false);
	BED_RUN_UNTIL(&b, f->calls);
	front_gone(f, 1, ERR_CANCELLED);
	for (int i = 0; i < 10; i++)
		(void)uv_run(&b.loop, UV_RUN_NOWAIT);
	host_stop(b.host, 100);
	BED_RUN_UNTIL(&b, b.stopped);
	EXPECT_STR(b.leftovers.data, "call kv/1 get 1\n");
	EXPECT_CONTAINS(b.log.data, "-1007 ");
	bed_done(&b);
}

TEST(host_call__a_result_for_no_call_cuts_the_front_off)
{
	struct bed b;
	struct front *f = serve(&b);

	f->call_id = 99;
	answer(f, 0, SPAN("{}"), SPAN(""));
	BED_RUN_UNTIL(&b, f->closed);
	EXPECT_CONTAINS(b.log.data, "a result for no call");
	bed_done(&b);
}

static void on_call(struct front *f, uint64_t id, const char *extension, const char *method)
{
	struct data_on_call call = { .extension = span_of(extension),
		.method = span_of(method),
		.json = SPAN("{}"),
		.bytes = SPAN("abc"),
		.caller = SPAN("acme/geo"),
		.operation_key = SPAN("k1"),
		.deadline_ns = clock_ns() + CLOCK_NS_PER_SEC,
		.trace = SPAN("t") };

	EXPECT_INT(send_data_on_call(f->channel, id, &call), ==, 0);
}

TEST(host_call__a_provided_extension_is_served)
{
	struct bed b;
	struct front *f = serve(&b);

	on_call(f, 10, "fixture.double/1", "double");
	BED_RUN_UNTIL(&b, f->call_results);
	EXPECT_INT(f->on_call_rc, ==, 0);
	EXPECT_STR(f->on_call_json.data, "{}{}");
	EXPECT_UINT(f->on_call_bytes, ==, 3);
	on_call(f, 11, "fixture.triple/1", "double");
	BED_RUN_UNTIL(&b, f->call_results == 2);
	EXPECT_INT(f->on_call_rc, ==, ERR_UNSUPPORTED);
	bed_done(&b);
}

TEST(host_call__an_incoming_call_that_is_gone_is_told_to_the_plugin)
{
	struct bed b;
	struct front *f = serve(&b);

	on_call(f, 10, "fixture.double/1", "never");
	front_gone(f, 10, ERR_DEADLINE);
	BED_RUN_UNTIL(&b, strstr(b.log.data, "call gone -1008"));
	on_call(f, 11, "fixture.double/1", "never");
	for (int i = 0; i < 10; i++)
		(void)uv_run(&b.loop, UV_RUN_NOWAIT);
	host_stop(b.host, 100);
	BED_RUN_UNTIL(&b, b.stopped);
	EXPECT_STR(b.leftovers.data, "incoming call fixture.double/1 never 1\n");
	BED_RUN_UNTIL(&b, f->call_results);
	EXPECT_INT(f->on_call_rc, ==, ERR_UNAVAIL);
	bed_done(&b);
}

TEST(host_call__a_drain_waits_for_the_plugins_own_calls)
{
	struct bed b;
	struct front *f = serve(&b);

	(void)front_get(f, 1, "many", "");
	host_drain(b.host, 30000);
	for (int turn = 0; turn < 20; turn++)
		(void)uv_run(&b.loop, UV_RUN_ONCE);
	EXPECT_INT(b.drained, ==, 0);
	front_close(f);
	BED_RUN_UNTIL(&b, b.drained);
	host_stop(b.host, 1000);
	BED_RUN_UNTIL(&b, b.stopped);
	EXPECT_STR(b.leftovers.data, "");
	bed_done(&b);
}

TEST(host_call__a_drain_ends_at_its_deadline_though_a_call_is_out)
{
	struct bed b;
	struct front *f = serve(&b);

	(void)front_get(f, 1, "many", "");
	host_drain(b.host, 20);
	BED_RUN_UNTIL(&b, b.drained);
	host_stop(b.host, 1000);
	BED_RUN_UNTIL(&b, b.stopped);
	EXPECT_CONTAINS(b.leftovers.data, "call kv/1 get ");
	bed_done(&b);
}
