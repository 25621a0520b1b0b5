#include <stdio.h>

#include "store/trust.h"
#include "store_fixture.h"

static struct {
	size_t n;
	char id[64], first[64], last[64], text[256];
	int64_t number;
} got;

static void on_trust_keys(
	const struct error *err, const struct store_trust_key *rows, size_t n, void *user)
{
	got.n = n;
	if (!fixture_answer(user, err) || n == 0)
		return;
	COPY(got.first, rows->name);
	COPY(got.text, rows->state);
	EXPECT_UINT(rows->public_key.len, ==, 32);
	EXPECT_UINT(rows->namespaces.count, ==, 2);
	got.number = rows->expires_at;
}

static void on_pins(
	const struct error *err, const struct store_trust_pin *rows, size_t n, void *user)
{
	got.n = n;
	if (!fixture_answer(user, err) || n == 0)
		return;
	COPY(got.text, rows->reason);
}

TEST(store_trust__trusted_keys_are_an_administrators)
{
	struct fixture f;
	char id[80];

	fixture_init(&f);
	fixture_trust(&f);
	COPY(id, span_of(f.value));
	fixture_expect(&f);
	store_trust_keys_list(f.supervisor, NULL, on_trust_keys, &f);
	fixture_ok(&f);
	EXPECT_UINT(got.n, ==, 1);
	EXPECT_STR(got.first, "Acme");
	EXPECT_STR(got.text, "active");
	EXPECT_INT(got.number, ==, INT64_C(4000000000000000));
	fixture_expect(&f);
	store_trust_revoke(f.front, &f.as_amy, span_of(id), SPAN("x"), on_trust_keys, &f);
	fixture_fails(&f, ERR_PERMISSION);
	fixture_expect(&f);
	store_trust_revoke(f.front, &f.as_admin, span_of(id), SPAN("leaked"), on_trust_keys, &f);
	fixture_ok(&f);
	EXPECT_STR(got.text, "revoked");
	fixture_expect(&f);
	store_trust_revoke(f.front, &f.as_admin, SPAN("ed25519:0"), SPAN_NONE, on_trust_keys, &f);
	fixture_fails(&f, ERR_NOT_FOUND);
	postgres_run(f.url, "INSERT INTO trust_pins(digest, reason, expires_at) "
			    "VALUES ('sha256:' || repeat('a', 64), 'urgent', now() + '1 day'), "
			    "('sha256:' || repeat('b', 64), 'old', now() - interval '1 day')");
	fixture_expect(&f);
	store_trust_pins_list(f.supervisor, NULL, on_pins, &f);
	fixture_ok(&f);
	EXPECT_UINT(got.n, ==, 1);
	EXPECT_STR(got.text, "urgent");
	fixture_done(&f);
}
