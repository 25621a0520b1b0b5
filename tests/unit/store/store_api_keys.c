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
	COPY(got.id, rows->id);
	COPY(got.first, rows->name);
	COPY(got.last, rows[n - 1].name);
	COPY(got.text, rows->revoked_reason);
	got.number = rows->usage_count;
}

static struct store_rate rate;

static void on_rate(const struct error *err, const struct store_rate *rows, size_t n, void *user)
{
	if (fixture_answer(user, err) && n == 1)
		rate = *rows;
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
	key.user = span_of(f.amy);
	fixture_expect(&f);
	store_api_key_create(f.front, &f.as_bob, &key, on_keys, &f);
	fixture_fails(&f, ERR_PERMISSION);
	fixture_expect(&f);
	store_api_key_create(f.front, &f.as_amy, &key, on_keys, &f);
	fixture_ok(&f);
	COPY(id, span_of(got.id));
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
	store_api_keys_list(
		f.front, &f.as_amy, span_of(f.amy), SPAN_NONE, SPAN_NONE, 10, on_keys, &f);
	fixture_ok(&f);
	EXPECT_UINT(got.n, ==, 1);
	EXPECT_STR(got.first, "ci");
	EXPECT_INT(got.number, ==, 3);
	fixture_expect(&f);
	store_api_key_revoke(f.front, &f.as_bob, span_of(id), SPAN("lost"), on_number, &f);
	fixture_fails(&f, ERR_NOT_FOUND);
	fixture_expect(&f);
	store_api_key_get(f.front, &f.as_bob, span_of(id), on_keys, &f);
	fixture_fails(&f, ERR_NOT_FOUND);
	fixture_expect(&f);
	store_api_key_change(
		f.front, &f.as_bob, span_of(id), SPAN("{\"name\":\"mine\"}"), on_keys, &f);
	fixture_fails(&f, ERR_NOT_FOUND);
	fixture_expect(&f);
	store_api_key_change(
		f.front, &f.as_amy, span_of(id), SPAN("{\"name\":\"deploy\"}"), on_keys, &f);
	fixture_ok(&f);
	EXPECT_STR(got.first, "deploy");
	fixture_expect(&f);
	store_api_key_get(f.front, &f.as_amy, span_of(id), on_keys, &f);
	fixture_ok(&f);
	EXPECT_STR(got.first, "deploy");
	fixture_expect(&f);
	store_api_key_revoke(f.front, &f.as_amy, span_of(id), SPAN("lost"), on_number, &f);
	fixture_ok(&f);
	EXPECT_INT(f.number, ==, 1);
	fixture_expect(&f);
	store_api_key_find(f.front, SPAN(HASH), on_authority, &f);
	fixture_fails(&f, ERR_NOT_FOUND);
	fixture_expect(&f);
	store_api_key_change(
		f.front, &f.as_amy, span_of(id), SPAN("{\"name\":\"late\"}"), on_keys, &f);
	fixture_fails(&f, ERR_STATE);
	fixture_done(&f);
}

static void create(struct fixture *f, const char *hash, const char *operation, const char *body)
{
	const struct span scopes[] = { SPAN("read") };
	const struct store_api_key_create key = { .user = span_of(f->amy),
		.name = SPAN("ci"),
		.key_hash = span_of(hash),
		.key_prefix = SPAN("mrt_abcdef"),
		.scopes = scopes,
		.n_scopes = 1,
		.rate_limit = 1000,
		.operation = span_of(operation),
		.body = span_of(body) };

	fixture_expect(f);
	store_api_key_create(f->front, &f->as_amy, &key, on_keys, f);
}

TEST(store_api_keys__an_operation_makes_one_key)
{
	static const char other[] =
		"00000000000000000000000000000000000000000000000000000000000000bb";
	struct fixture f;

	fixture_init(&f);
	create(&f, HASH, "op-1", "aa");
	fixture_ok(&f);
	create(&f, other, "op-1", "aa");
	fixture_fails(&f, ERR_KEY_MADE);
	create(&f, other, "op-1", "bb");
	fixture_fails(&f, ERR_KEY_REUSED);
	create(&f, other, "op-2", "aa");
	fixture_ok(&f);
	fixture_expect(&f);
	store_api_keys_list(
		f.front, &f.as_amy, span_of(f.amy), SPAN_NONE, SPAN_NONE, 10, on_keys, &f);
	fixture_ok(&f);
	EXPECT_UINT(got.n, ==, 2);
	fixture_done(&f);
}

static void take(struct fixture *f, unsigned need, unsigned extra)
{
	fixture_expect(f);
	store_rate_take(f->front, SPAN(HASH), need, extra, on_rate, f);
	fixture_ok(f);
}

/* Beyond what is needed only an eighth of the rest, and none when that is short: see 0027. */
TEST(store_api_keys__an_hour_is_given_out_once)
{
	struct fixture f;

	fixture_init(&f);
	fixture_expect(&f);
	store_rate_take(f.front, SPAN(HASH), 1, 0, on_rate, &f);
	fixture_fails(&f, ERR_NOT_FOUND);
	create(&f, HASH, NULL, NULL);
	fixture_ok(&f);
	postgres_run(f.url, "UPDATE api_keys SET rate_limit = 100");
	take(&f, 0, 0);
	/* So that it does not end within the test. */
	postgres_run(f.url, "UPDATE rate_windows SET hour = hour + interval '1 hour'");
	take(&f, 1, 1000);
	EXPECT_INT(rate.granted, ==, 1 + 99 / 8);
	EXPECT_INT(rate.rest, ==, 100 - rate.granted);
	EXPECT_INT(rate.limit, ==, 100);
	EXPECT_INT(rate.ends_in_ms, >, 0);
	EXPECT_INT(rate.ends_in_ms, <=, 7200000);
	take(&f, 40, 1000);
	EXPECT_INT(rate.granted, ==, 40);
	EXPECT_INT(rate.rest, ==, 47);
	take(&f, 50, 0);
	EXPECT_INT(rate.granted, ==, 47);
	EXPECT_INT(rate.rest, ==, 0);
	take(&f, 1, 1);
	EXPECT_INT(rate.granted, ==, 0);
	postgres_run(f.url, "UPDATE rate_windows SET hour = hour - interval '2 hours'");
	take(&f, 1, 0);
	EXPECT_INT(rate.granted, ==, 1);
	EXPECT_INT(rate.rest, ==, 99);
	fixture_done(&f);
}
