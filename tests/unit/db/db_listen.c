#include "db_fixture.h"

#include <stdio.h>

struct ear {
	uv_loop_t loop;
	struct db_listener *listener;
	unsigned connects, losses, heard;
	char channel[64], payload[64], reason[ERROR_TEXT_MAX];
	bool closed;
};

static void on_notify(struct span channel, struct span payload, void *user)
{
	struct ear *e = user;

	e->heard++;
	(void)snprintf(e->channel, sizeof(e->channel), "%.*s", SPAN_ARG(channel));
	(void)snprintf(e->payload, sizeof(e->payload), "%.*s", SPAN_ARG(payload));
}

static void on_state(bool connected, const struct error *reason, void *user)
{
	struct ear *e = user;

	if (connected) {
		e->connects++;
		return;
	}
	e->losses++;
	(void)snprintf(e->reason, sizeof(e->reason), "%s", reason->text);
}

static void on_closed(void *user)
{
	((struct ear *)user)->closed = true;
}

static void wait_until(struct ear *e, const unsigned *counter, unsigned value)
{
	while (*counter < value)
		(void)uv_run(&e->loop, UV_RUN_ONCE);
}

static void start(struct ear *e, const char *url)
{
	static const char *const channels[] = { "mortise_changes", "Odd \"name\"", NULL };
	const struct db_listen_options options = { url, "mortise-ear", channels, on_notify,
		on_state, e };
	struct error err;

	memset(e, 0, sizeof(*e));
	ck_assert_int_eq(uv_loop_init(&e->loop), 0);
	EXPECT_OK(db_listen_start(&e->listener, &e->loop, &options, &err), &err);
}

static void stop(struct ear *e)
{
	db_listen_close(e->listener, on_closed, e);
	EXPECT_INT(uv_run(&e->loop, UV_RUN_DEFAULT), ==, 0);
	EXPECT_TRUE(e->closed);
	EXPECT_INT(uv_loop_close(&e->loop), ==, 0);
}

TEST(db_listen__hears_all_its_channels_and_again_after_a_loss)
{
	CLEANUP(mem_freep) char *url = postgres_database_empty();
	struct ear e;

	start(&e, url);
	wait_until(&e, &e.connects, 1);
	postgres_run(url, "NOTIFY mortise_changes, '7'");
	wait_until(&e, &e.heard, 1);
	EXPECT_STR(e.channel, "mortise_changes");
	EXPECT_STR(e.payload, "7");
	postgres_run(url, "NOTIFY \"Odd \"\"name\"\"\"");
	wait_until(&e, &e.heard, 2);
	EXPECT_STR(e.channel, "Odd \"name\"");
	EXPECT_STR(e.payload, "");
	postgres_run(url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
			  "WHERE application_name = 'mortise-ear'");
	wait_until(&e, &e.losses, 1);
	EXPECT_CONTAINS(e.reason, "terminating connection");
	wait_until(&e, &e.connects, 2);
	postgres_run(url, "NOTIFY mortise_changes, '8'");
	wait_until(&e, &e.heard, 3);
	EXPECT_STR(e.payload, "8");
	stop(&e);
}

TEST(db_listen__many_notifications_arrive_in_order)
{
	CLEANUP(mem_freep) char *url = postgres_database_empty();
	struct ear e;

	start(&e, url);
	wait_until(&e, &e.connects, 1);
	postgres_run(url, "SELECT pg_notify('mortise_changes', n::text) "
			  "FROM generate_series(1, 5000) n");
	wait_until(&e, &e.heard, 5000);
	EXPECT_STR(e.payload, "5000");
	stop(&e);
}

TEST(db_listen__says_why_it_cannot_connect)
{
	struct ear e;

	start(&e, "postgresql://u@/db?host=/nowhere");
	wait_until(&e, &e.losses, 2);
	EXPECT_CONTAINS(e.reason, "/nowhere");
	stop(&e);
}
