#include "bed.h"

#include <dirent.h>
#include <malloc.h>

#include "base/mem.h"

TEST(host_host__life_runs_in_order)
{
	struct bed b;

	bed_init(&b, "steps", "{\"post\":1}", NULL, NULL);
	bed_serve(&b);
	BED_RUN_UNTIL(&b, strstr(b.log.data, "posted"));
	host_drain(b.host, 1000);
	EXPECT_INT(b.drained, ==, 0);
	BED_RUN_UNTIL(&b, b.drained);
	host_stop(b.host, 1000);
	EXPECT_INT(b.stopped, ==, 0);
	BED_RUN_UNTIL(&b, b.stopped);
	EXPECT_STR(b.log.data, "create\nstart\nstarted\nposted\ndrain\nstop\nposted in stop\n"
			       "destroy\n"
			       "the plugin called a function in a state that does not allow it "
			       "function=timer.start callback=destroy\n");
	EXPECT_STR(b.leftovers.data, "");
	bed_done(&b);
}

TEST(host_host__a_failed_create_gives_its_words_and_leaves_nothing)
{
	struct bed b;
	struct error err;

	bed_init(&b, "steps", "create-fails", NULL, NULL);
	EXPECT_INT(host_load(b.host, &err), ==, ERR_PLUGIN_REFUSED);
	EXPECT_STR(err.text, "create: no 'luck'");
	bed_done(&b);
	EXPECT_INT(b.closed, ==, 1);
}

TEST(host_host__a_create_without_instance_has_failed)
{
	struct bed b;
	struct error err;

	bed_init(&b, "steps", "create-forgets", NULL, NULL);
	EXPECT_INT(host_load(b.host, &err), ==, ERR_PLUGIN_REFUSED);
	EXPECT_STR(err.text, "create: it gave no instance");
	EXPECT_NULL(strstr(b.log.data, "start"));
	bed_done(&b);
}

static int count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(dir))
		n++;
	(void)closedir(dir);
	return n;
}

/* One life of fixture/nth whose n-th call fails; true when it got through. */
static bool live_with_bad_luck(int n)
{
	static const char *const routes[] = { "ping", "pong", NULL };
	struct bed b;
	struct front *f;
	struct error err;
	char config[16];
	bool lucky = false;

	(void)snprintf(config, sizeof(config), "%d", n);
	bed_init(&b, "nth", config, routes, NULL);
	if (host_load(b.host, &err) < 0) {
		EXPECT_STR(err.text, "create: create had bad luck");
		bed_done(&b);
		return false;
	}
	lucky = host_start(b.host, &err) == 0;
	f = bed_front(&b, 0, 0);
	front_request(f, 1, "ping", "", false);
	BED_RUN_UNTIL(&b, f->answers[0].done);
	EXPECT_INT(f->answers[0].failed, ==, lucky ? 0 : ERR_UNAVAIL);
	if (!lucky) {
		EXPECT_STR(err.text, "start: start had bad luck");
		host_stop(b.host, 5000);
		BED_RUN_UNTIL(&b, b.stopped);
		EXPECT_INT(b.stopped_rc, ==, 0);
		EXPECT_STR(b.leftovers.data, "");
	}
	bed_done(&b);
	return lucky;
}

/* Ten lives; how much memory in use they added. */
static size_t grow(int n, bool *lucky)
{
	size_t before = mallinfo2().uordblks, after;

	for (int life = 0; life < 10; life++)
		*lucky = live_with_bad_luck(n);
	after = mallinfo2().uordblks;
	return after > before ? after - before : 0;
}

TEST(host_host__whichever_call_fails_in_create_or_start_nothing_is_left)
{
	enum { CALLS = 17, ROUNDS = 100 };
	bool lucky = false;
	int n = 0;

	/* What the loop's thread pool opens, it opens once. */
	EXPECT_TRUE(live_with_bad_luck(CALLS + 1));
	while (!lucky) {
		int descriptors = count_descriptors(), round = 0;

		n++;
		/* The allocator keeps pieces for each thread of the pool, until it has its fill; a
		 * leak grows in every round. */
		while (round < ROUNDS && grow(n, &lucky) > 0)
			round++;
		EXPECT_INT(round, <, ROUNDS);
		EXPECT_INT(count_descriptors(), ==, descriptors);
	}
	EXPECT_INT(n, ==, CALLS + 1);
}

TEST(host_host__a_failed_start_is_undone_and_destroyed)
{
	struct bed b;
	struct error err;

	bed_init(&b, "steps", "start-fails leave", NULL, NULL);
	EXPECT_OK(host_load(b.host, &err), &err);
	EXPECT_INT(host_start(b.host, &err), ==, ERR_PLUGIN_REFUSED);
	EXPECT_STR(err.text, "start: start says no");
	host_stop(b.host, 5000);
	BED_RUN_UNTIL(&b, b.stopped);
	EXPECT_NULL(strstr(b.log.data, "stop\n"));
	EXPECT_PTR(strstr(b.log.data, "destroy\n"));
	EXPECT_STR(b.leftovers.data, "");
	bed_done(&b);
}

TEST(host_host__what_stop_leaves_is_reported_by_kind_and_undone)
{
	struct bed b;

	bed_init(&b, "steps", "leave", NULL, NULL);
	bed_serve(&b);
	host_stop(b.host, 5000);
	BED_RUN_UNTIL(&b, b.stopped);
	EXPECT_INT(b.stopped_rc, ==, 0);
	EXPECT_CONTAINS(b.leftovers.data, "timer  2\n");
	EXPECT_CONTAINS(b.leftovers.data, "work  1\n");
	EXPECT_PTR(strstr(b.log.data, "work"));
	EXPECT_PTR(strstr(b.log.data, "destroy\n"));
	bed_done(&b);
}

TEST(host_host__a_drain_waits_for_the_plugins_own_work)
{
	struct bed b;

	bed_init(&b, "steps", "leave", NULL, NULL);
	bed_serve(&b);
	host_drain(b.host, 30000);
	BED_RUN_UNTIL(&b, b.drained);
	EXPECT_CONTAINS(b.log.data, "worked\n");
	host_stop(b.host, 5000);
	BED_RUN_UNTIL(&b, b.stopped);
	EXPECT_STR(b.leftovers.data, "timer  2\n");
	bed_done(&b);
}

TEST(host_host__work_that_does_not_return_is_left_at_the_deadline)
{
	static struct bed b; /* stays, as the instance does, until the process ends */

	bed_init(&b, "steps", "leave", NULL, NULL);
	bed_serve(&b);
	(void)uv_sleep(50); /* the work runs by now, so that it cannot be cancelled */
	host_stop(b.host, 20);
	BED_RUN_UNTIL(&b, b.stopped);
	EXPECT_INT(b.stopped_rc, ==, ERR_DEADLINE);
	EXPECT_NULL(strstr(b.log.data, "destroy\n"));
}

TEST(host_host__timers_fire_and_metrics_are_summed)
{
	struct bed b;

	bed_init(&b, "steps", "tick work", NULL, NULL);
	bed_serve(&b);
	EXPECT_NULL(strstr(b.log.data, "tick"));
	BED_RUN_UNTIL(&b, b.metrics.len);
	EXPECT_CONTAINS(b.log.data, "tick\n");
	EXPECT_CONTAINS(b.log.data, "worked\n");
	EXPECT_STR(b.metrics.data, "ticks_total kind=one two 7.5\n");
	bed_done(&b);
}

TEST(host_host__lines_and_metrics_that_find_no_room_are_counted_or_kept)
{
	struct bed b;

	bed_init(&b, "steps", "tick", NULL, NULL);
	b.deaf = true;
	bed_serve(&b);
	for (uint64_t until = uv_hrtime() + 1200000000; uv_hrtime() < until;)
		(void)uv_run(&b.loop, UV_RUN_ONCE);
	b.deaf = false;
	BED_RUN_UNTIL(&b, b.metrics.len);
	EXPECT_STR(b.metrics.data, "ticks_total kind=one two 7.5\n");
	host_drain(b.host, 100);
	EXPECT_CONTAINS(b.log.data, "[6 dropped] drain");
	BED_RUN_UNTIL(&b, b.drained);
	host_stop(b.host, 1000);
	BED_RUN_UNTIL(&b, b.stopped);
	bed_done(&b);
}

TEST(host_host__configuration_is_checked_applied_and_taken_back)
{
	struct bed b;
	struct error err;

	bed_init(&b, "steps", "{\"old\":1}", NULL, NULL);
	bed_serve(&b);
	EXPECT_INT(host_configure(b.host, SPAN("{\"bad\":1}"), &err), ==, ERR_PLUGIN_REFUSED);
	EXPECT_STR(err.text, "config.check: that is bad");
	EXPECT_OK(host_configure(b.host, SPAN("{\"new\":1}"), &err), &err);
	EXPECT_CONTAINS(b.log.data, "apply new\n");
	EXPECT_INT(host_configure(b.host, SPAN("{\"worse\":1}"), &err), ==, ERR_PLUGIN_REFUSED);
	EXPECT_CONTAINS(b.log.data, "apply old\n");
	/* The one before is in force again. */
	text_clear(&b.log);
	EXPECT_OK(host_configure(b.host, SPAN("{\"new\":2}"), &err), &err);
	bed_done(&b);
}

TEST(host_host__a_probe_is_answered_once_and_later)
{
	struct bed b;

	bed_init(&b, "steps", "", NULL, NULL);
	bed_serve(&b);
	host_probe(b.host, 7, 1000);
	EXPECT_INT(b.healths, ==, 0);
	BED_RUN_UNTIL(&b, b.healths);
	EXPECT_UINT(b.health_ask, ==, 7);
	EXPECT_UINT(b.health, ==, WORKER_HEALTH_DEGRADED);
	EXPECT_STR(b.detail, "so so");
	bed_done(&b);
	EXPECT_INT(b.healths, ==, 1);
}

TEST(host_host__a_mute_plugin_is_unhealthy_and_one_without_probe_healthy)
{
	static const char *const routes[] = { "ping", NULL };
	struct bed b;

	bed_init(&b, "steps", "mute", NULL, NULL);
	bed_serve(&b);
	host_probe(b.host, 1, 20);
	BED_RUN_UNTIL(&b, b.healths);
	EXPECT_UINT(b.health, ==, WORKER_HEALTH_UNHEALTHY);
	EXPECT_CONTAINS(b.detail, "within 20 ms");
	/* A new probe ends the one that is out. */
	host_probe(b.host, 2, 10000);
	host_probe(b.host, 3, 20);
	BED_RUN_UNTIL(&b, b.healths == 3);
	bed_done(&b);
	bed_init(&b, "echo", "", routes, NULL);
	bed_serve(&b);
	host_probe(b.host, 4, 20);
	BED_RUN_UNTIL(&b, b.healths);
	EXPECT_UINT(b.health, ==, WORKER_HEALTH_HEALTHY);
	bed_done(&b);
}

static const char *const hostile_routes[] = { "do", "ping", NULL };

TEST(host_host__home_functions_from_another_thread_are_refused_and_reported_once)
{
	struct bed b;
	struct front *f;

	bed_init(&b, "hostile", "", hostile_routes, NULL);
	bed_serve(&b);
	f = bed_front(&b, 0, 0);
	EXPECT_STR(front_get(f, 1, "do", "what=thread")->body.data, "-1003 -1003 -1003 -1003 0");
	BED_RUN_UNTIL(&b, strstr(b.log.data, "from a thread"));
	EXPECT_CONTAINS(b.log.data,
		"the plugin called a home function from another thread function=http.reply\n");
	EXPECT_NULL(strstr(strstr(b.log.data, "=http.reply") + 1, "=http.reply"));
	EXPECT_CONTAINS(b.log.data, "function=core.cancel");
	bed_done(&b);
}

TEST(host_host__stale_and_made_up_handles_are_stale)
{
	struct bed b;
	struct front *f;

	bed_init(&b, "hostile", "", hostile_routes, NULL);
	bed_serve(&b);
	f = bed_front(&b, 0, 0);
	EXPECT_STR(front_get(f, 1, "do", "what=double")->body.data, "once");
	EXPECT_STR(front_get(f, 2, "do", "what=stale")->body.data, "-1002 -1002 -1002 -1002");
	bed_done(&b);
}

TEST(host_host__misuse_gets_codes_and_never_ends_the_host)
{
	struct bed b;
	struct front *f;

	bed_init(&b, "hostile", "", hostile_routes, NULL);
	bed_serve(&b);
	f = bed_front(&b, 0, 0);
	EXPECT_STR(front_get(f, 1, "do", "what=misuse")->body.data,
		"-1013 -1013 -1013 -1001 -1001 -1001 -1001 -1001 -1001 -1001 -1001 -1001 -1001 ");
	EXPECT_STR(front_get(f, 2, "ping", "")->body.data, "pong");
	bed_done(&b);
}
