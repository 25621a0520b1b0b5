#include <stdio.h>

#include "store/feeds.h"
#include "store_fixture.h"

static struct {
	int64_t horizon;
	size_t n;
	char kinds[256];
} feed;

static void on_feed(const struct error *err, int64_t horizon, const struct store_feed_row *rows,
	size_t n, void *user)
{
	if (!fixture_answer(user, err))
		return;
	feed.horizon = horizon;
	feed.n = n;
	feed.kinds[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(feed.kinds);

		EXPECT_TRUE(rows[i].position > 0 && rows[i].transaction > 0);
		(void)snprintf(feed.kinds + len, sizeof(feed.kinds) - len, "%.*s ",
			SPAN_ARG(rows[i].kind));
	}
}

TEST(store_feeds__feeds_give_every_row_once_the_reader_keeps_the_horizon)
{
	struct fixture f;
	int64_t since;

	fixture_init(&f);
	fixture_expect(&f);
	store_feed_read(f.front, STORE_FEED_AUTHORITY, 0, on_feed, &f);
	fixture_ok(&f);
	EXPECT_UINT(feed.n, ==, 0);
	EXPECT_TRUE(feed.horizon > 0);
	since = feed.horizon;
	postgres_run(f.url, "UPDATE users SET role = 'VIEWER' WHERE name = 'amy'");
	fixture_expect(&f);
	store_feed_read(f.front, STORE_FEED_AUTHORITY, since, on_feed, &f);
	fixture_ok(&f);
	EXPECT_STR(feed.kinds, "user ");
	fixture_expect(&f);
	store_feed_read(f.supervisor, STORE_FEED_AUTHORITY, feed.horizon, on_feed, &f);
	fixture_ok(&f);
	EXPECT_UINT(feed.n, ==, 0);
	postgres_run(f.url, "INSERT INTO services(name, display_name, type) "
			    "VALUES ('s', 'S', 'service')");
	fixture_expect(&f);
	store_feed_read(f.front, STORE_FEED_CATALOG, since, on_feed, &f);
	fixture_ok(&f);
	EXPECT_STR(feed.kinds, "service ");
	fixture_done(&f);
}
