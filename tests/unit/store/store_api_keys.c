#include <stdio.h>

#include "store/api_keys.h"
#include "store_fixture.h"

#define HASH "00000000000000000000000000000000000000000000000000000000000000aa"

static struct {
	size_t n;
	char id[64], first[64], last[64], text[256];
	int64_t number;
} got;

static void on_authority(
	const struct error *err, const struct store_authority *rows, size_t n, void *user)
{
	struct db_array scopes, ips;
	struct span item;

	got.n = n;
	if (!fixture_answer(user, err))
		return;
	COPY(got.first, rows->user_name);
	COPY(got.text, rows->role);
	scopes = rows->scopes;
	EXPECT_UINT(scopes.count, ==, 2);
	EXPECT_TRUE(db_array_next(&scopes, &item));
	EXPECT_SPAN(item, "catalog.read");
	ips = rows->allowed_ips;
	EXPECT_TRUE(db_array_next(&ips, &item));
	EXPECT_SPAN(item, "10.0.0.0/8");
	EXPECT_UINT(rows->allowed_origins.count, ==, 0);
	got.number = rows->rate_limit;
}

static void on_keys(const struct error *err, const struct store_api_key *rows, size_t n, void *user)
{
	got.n = n;
	if (!fixture_answer(user, err) || n == 0)
		return;
	COPY(got.first, rows->name);
	COPY(got.text, rows->revoked_reason);
	got.number = rows->usage_count;
}

TEST(store_api_keys__api_keys_from_making_to_revoking)
{
	const struct span scopes[] = { SPAN("catalog.read"), SPAN("kv.*") };
	const struct span ips[] = { SPAN("10.0.0.0/8") };
	struct store_api_key_create key = { .name = SPAN("ci"),
		.key_hash = SPAN(HASH),
		.key_prefix = SPAN("mrt_abcdef"),
		.scopes = scopes,
		.n_scopes = 2,
		.rate_limit = 100,
		.allowed_ips = ips,
		.n_allowed_ips = 1 };
	const struct store_api_key_use uses[] = {
		{ SPAN(HASH), 3, INT64_C(1700000000000000) },
		{ SPAN("unknown"), 1, INT64_C(1700000000000000) },
	};
	struct fixture f;
	char id[64];

	fixture_init(&f);
	key.user_id = span_of(f.amy);
	fixture_expect(&f);
	store_api_key_create(f.front, &f.as_bob, &key, on_text, &f);
	fixture_fails(&f, ERR_PERMISSION);
	fixture_expect(&f);
	store_api_key_create(f.front, &f.as_amy, &key, on_text, &f);
	fixture_ok(&f);
	COPY(id, span_of(f.value));
	fixture_expect(&f);
	store_api_key_find(f.front, SPAN(HASH), on_authority, &f);
	fixture_ok(&f);
	EXPECT_STR(got.first, "amy");
	EXPECT_INT(got.number, ==, 100);
	fixture_expect(&f);
	store_api_keys_used(f.front, uses, 2, on_number, &f);
	fixture_ok(&f);
	EXPECT_INT(f.number, ==, 1);
	fixture_expect(&f);
	store_api_keys_list(f.front, &f.as_amy, span_of(f.amy), on_keys, &f);
	fixture_ok(&f);
	EXPECT_UINT(got.n, ==, 1);
	EXPECT_STR(got.first, "ci");
	EXPECT_INT(got.number, ==, 3);
	fixture_expect(&f);
	store_api_key_revoke(f.front, &f.as_bob, span_of(id), SPAN("lost"), on_number, &f);
	fixture_fails(&f, ERR_NOT_FOUND);
	fixture_expect(&f);
	store_api_key_revoke(f.front, &f.as_amy, span_of(id), SPAN("lost"), on_number, &f);
	fixture_ok(&f);
	EXPECT_INT(f.number, ==, 1);
	fixture_expect(&f);
	store_api_key_find(f.front, SPAN(HASH), on_authority, &f);
	fixture_fails(&f, ERR_NOT_FOUND);
	fixture_done(&f);
}
