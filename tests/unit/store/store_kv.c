#include <stdio.h>

#include "store/kv.h"
#include "store_fixture.h"

static size_t n_pairs;
static struct store_kv pair;
static char pair_value[64];

static void on_pairs(const struct error *err, const struct store_kv *rows, size_t n, void *user)
{
	n_pairs = n;
	if (!fixture_answer(user, err) || n == 0)
		return;
	pair = *rows;
	COPY(pair_value, rows->value);
}

TEST(store_kv__a_plugin_keeps_its_pairs)
{
	struct db_context plugin;
	struct store_kv_put put = { .key = SPAN("a/1"), .value = SPAN("{\"x\":1}"), .etag = 0 };
	struct fixture f;
	char digest[72];
	int64_t etag;

	fixture_init(&f);
	fixture_install(&f, digest);
	plugin = (struct db_context){ .user_id = span_of(f.amy), .plugin = span_of(installed.id) };
	fixture_expect(&f);
	store_kv_put(f.front, &plugin, &put, on_number, &f);
	fixture_ok(&f);
	etag = f.number;
	fixture_expect(&f);
	store_kv_put(f.front, &plugin, &put, on_number, &f);
	fixture_fails(&f, ERR_CONFLICT); /* it is there */
	put = (struct store_kv_put){ .key = SPAN("a/2"), .bytes = SPAN("\0\1"), .etag = -1 };
	put.ttl_ms = 3600000;
	put.operation = SPAN("op-1");
	fixture_expect(&f);
	store_kv_put(f.front, &plugin, &put, on_number, &f);
	fixture_ok(&f);
	fixture_expect(&f);
	store_kv_get(f.front, &plugin, SPAN("a/1"), on_pairs, &f);
	fixture_ok(&f);
	EXPECT_STR(pair_value, "{\"x\": 1}");
	EXPECT_INT(pair.etag, ==, etag);
	fixture_expect(&f);
	store_kv_get(f.front, &f.as_amy, SPAN("a/1"), on_pairs, &f);
	fixture_fails(&f, ERR_NOT_FOUND);
	fixture_expect(&f);
	store_kv_list(f.front, &plugin, SPAN("a/"), SPAN("a/1"), 10, on_pairs, &f);
	fixture_ok(&f);
	EXPECT_UINT(n_pairs, ==, 1);
	EXPECT_INT(pair.size, ==, 2);
	EXPECT_TRUE(pair.expires_at > 0);
	fixture_expect(&f);
	store_kv_delete(f.front, &plugin, SPAN("a/1"), etag, SPAN_NONE, on_number, &f);
	fixture_ok(&f);
	EXPECT_INT(f.number, ==, 1);
	fixture_expect(&f);
	store_kv_delete(f.front, &plugin, SPAN("a/1"), -1, SPAN_NONE, on_number, &f);
	fixture_ok(&f);
	EXPECT_INT(f.number, ==, 0);
	fixture_done(&f);
}
