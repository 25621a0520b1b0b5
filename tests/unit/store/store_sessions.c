#include <stdio.h>

#include "store/sessions.h"
#include "store_fixture.h"

#define STORED  "$2b$04$abcdefghijklmnopqrstuuGzf0dC9qUXPJ7WwQVOJirp54B3Tp9hO"
#define RAISED  "$2b$05$abcdefghijklmnopqrstuuJcuuaCGGY0XXgLS3RcY/wgxkgml5ory"
#define HASH(c) "00000000000000000000000000000000000000000000000000000000000000" c

static const struct store_login_limits limits = { .free_attempts = 2, .block_ms = 60000 };

static struct {
	size_t n, methods;
	char outcome[32], session[64], user[64], password[80], name[64];
	int64_t expires, refresh_expires, ended;
	bool half, denied, own, prehashed;
} got;

static void on_logins(const struct error *err, const struct store_login *rows, size_t n, void *user)
{
	got.n = n;
	if (!fixture_answer(user, err))
		return;
	COPY(got.user, rows->user_id);
	COPY(got.password, rows->password);
	got.denied = rows->denied;
	got.prehashed = rows->prehashed;
}

static void on_given(
	const struct error *err, const struct store_session_given *rows, size_t n, void *user)
{
	got.n = n;
	if (!fixture_answer(user, err) || n == 0)
		return;
	COPY(got.outcome, rows->outcome);
	COPY(got.session, rows->session_id);
	COPY(got.user, rows->user_id);
	COPY(got.name, rows->name);
	got.expires = rows->expires_at;
	got.refresh_expires = rows->refresh_expires_at;
	got.half = rows->half;
	got.methods = rows->methods.count;
	got.ended = rows->ended;
}

static void on_authority(
	const struct error *err, const struct store_session_authority *rows, size_t n, void *user)
{
	got.n = n;
	if (!fixture_answer(user, err))
		return;
	COPY(got.session, rows->session_id);
	COPY(got.name, rows->user_name);
	got.half = rows->half;
}

static void on_sessions(
	const struct error *err, const struct store_session *rows, size_t n, void *user)
{
	got.n = n;
	if (fixture_answer(user, err) && n > 0)
		COPY(got.name, rows->device_name);
}

static void on_passwords(
	const struct error *err, const struct store_password *rows, size_t n, void *user)
{
	got.n = n;
	if (!fixture_answer(user, err))
		return;
	COPY(got.user, rows->user_id);
	COPY(got.password, rows->password);
	got.own = rows->own;
	got.denied = rows->denied;
}

/* amy is a local user with a password. */
static void begin(struct fixture *f)
{
	memset(&got, 0, sizeof(got));
	fixture_init(f);
	postgres_run(f->url, "UPDATE users SET provider = 'local', password = '" STORED
			     "', email = 'amy@example.com', username = 'amy' WHERE name = 'amy'");
}

static void attempt(struct fixture *f, const char *login, const char *address)
{
	static const struct db_context nobody = { 0 };

	fixture_expect(f);
	store_login_begin(
		f->front, &nobody, span_of(login), span_of(address), &limits, on_logins, f);
	fixture_ok(f);
	EXPECT_UINT(got.n, ==, 1);
}

static void finish(struct fixture *f, const char *token, const char *refresh, const char *raised)
{
	const struct db_context nobody = { .ip_address = SPAN("192.0.2.7") };
	const struct store_session_new session = {
		.user_id = span_of(f->amy),
		.password = SPAN(STORED),
		.raised = span_of(raised),
		.tokens = { span_of(token), span_of(refresh) },
		.address = SPAN("192.0.2.7"),
		.token_ms = 60000,
		.idle_ms = 120000,
		.absolute_ms = 180000,
		.device_name = SPAN("a test"),
	};

	fixture_expect(f);
	store_login_finish(f->front, &nobody, &session, on_given, f);
	fixture_ok(f);
}

TEST(store_sessions__an_attempt_is_counted_whoever_it_names)
{
	struct fixture f;
	char *count;

	begin(&f);
	attempt(&f, "amy@example.com", "192.0.2.7");
	EXPECT_FALSE(got.denied);
	for (int i = 0; i < 4; i++)
		attempt(&f, "nobody", "::ffff:192.0.2.7");
	EXPECT_STR(got.user, "");
	EXPECT_STR(got.password, "");
	EXPECT_TRUE(got.prehashed);
	EXPECT_TRUE(got.denied);
	count = postgres_value(f.url,
		"SELECT string_agg(kind || ' ' || failures, ', ' ORDER BY kind, failures) FROM "
		"login_attempts");
	EXPECT_STR(count, "account 1, account 4, address 5");
	mem_free(count);
	attempt(&f, "amy", "not an address");
	attempt(&f, "amy", "2001:db8::1");
	attempt(&f, "AMY@example.com", "2001:db8::2"); /* the same 64 bits */
	count = postgres_value(
		f.url, "SELECT failures || ' ' || key FROM login_attempts WHERE key LIKE '2001%'");
	EXPECT_CONTAINS(count, "2001:db8::/64");
	mem_free(count);
	fixture_done(&f);
}

TEST(store_sessions__a_session_from_login_to_its_end)
{
	struct fixture f;
	struct db_context asker;
	struct store_session_use use = { SPAN(HASH("aa")), INT64_C(1700000000000000) };
	char session[64];

	begin(&f);
	finish(&f, HASH("aa"), HASH("ab"), RAISED);
	EXPECT_STR(got.name, "amy");
	EXPECT_FALSE(got.half);
	EXPECT_INT(got.refresh_expires, >, got.expires);
	COPY(session, span_of(got.session));
	/* The password is another now, so a login that had compared the old one ends in nothing. */
	finish(&f, HASH("ba"), HASH("bb"), NULL);
	EXPECT_UINT(got.n, ==, 0);
	fixture_expect(&f);
	store_session_find(f.front, SPAN(HASH("aa")), on_authority, &f);
	fixture_ok(&f);
	EXPECT_STR(got.session, session);
	fixture_expect(&f);
	store_sessions_used(f.front, &use, 1, on_number, &f);
	fixture_ok(&f);
	EXPECT_INT(f.number, ==, 1);
	fixture_expect(&f);
	store_sessions_list(f.front, &f.as_amy, span_of(f.amy), on_sessions, &f);
	fixture_ok(&f);
	EXPECT_UINT(got.n, ==, 1);
	EXPECT_STR(got.name, "a test");
	fixture_expect(&f);
	store_sessions_list(f.front, &f.as_bob, span_of(f.amy), on_sessions, &f);
	fixture_fails(&f, ERR_NOT_FOUND);
	fixture_expect(&f);
	store_session_end(f.front, &f.as_bob, span_of(session), SPAN("x"), on_number, &f);
	fixture_fails(&f, ERR_NOT_FOUND);
	asker = f.as_amy;
	asker.session_id = span_of(session);
	fixture_expect(&f);
	store_sessions_end(f.front, &asker, span_of(f.amy), SPAN("x"), on_number, &f);
	fixture_ok(&f);
	EXPECT_INT(f.number, ==, 0); /* all but the one that asks */
	fixture_expect(&f);
	store_session_end(f.front, &f.as_admin, span_of(session), SPAN("x"), on_number, &f);
	fixture_ok(&f);
	EXPECT_INT(f.number, ==, 1);
	fixture_expect(&f);
	store_session_find(f.front, SPAN(HASH("aa")), on_authority, &f);
	fixture_fails(&f, ERR_NOT_FOUND);
	fixture_done(&f);
}

static void refresh(struct fixture *f, const char *refresh, const char *token, const char *fresh)
{
	static const struct db_context nobody = { 0 };
	const struct store_session_tokens tokens = { span_of(token), span_of(fresh) };

	fixture_expect(f);
	store_session_refresh(
		f->front, &nobody, span_of(refresh), &tokens, false, 10000, on_given, f);
	fixture_ok(f);
	EXPECT_UINT(got.n, ==, 1);
}

TEST(store_sessions__a_refresh_token_counts_once)
{
	struct fixture f;

	begin(&f);
	finish(&f, HASH("aa"), HASH("ab"), NULL);
	refresh(&f, HASH("ab"), HASH("ac"), HASH("ad"));
	EXPECT_STR(got.outcome, "refreshed");
	EXPECT_STR(got.name, "amy");
	refresh(&f, HASH("ab"), HASH("ae"), HASH("af"));
	EXPECT_STR(got.outcome, "twice");
	refresh(&f, HASH("ff"), HASH("ae"), HASH("af"));
	EXPECT_STR(got.outcome, "unknown");
	postgres_run(f.url, "UPDATE session_tokens_spent SET spent_at = now() - interval '1 hour'");
	refresh(&f, HASH("ab"), HASH("ae"), HASH("af"));
	EXPECT_STR(got.outcome, "reused");
	refresh(&f, HASH("ad"), HASH("ae"), HASH("af"));
	EXPECT_STR(got.outcome, "unknown");
	fixture_done(&f);
}

TEST(store_sessions__a_half_session_becomes_whole_with_other_tokens)
{
	const struct store_session_tokens tokens = { SPAN(HASH("ba")), SPAN(HASH("bb")) };
	struct db_context asker;
	struct fixture f;
	char session[64];

	begin(&f);
	postgres_run(f.url,
		"UPDATE users SET mfa_enabled = true, mfa_method = 'TOTP' WHERE name = 'amy'");
	finish(&f, HASH("aa"), HASH("ab"), NULL);
	EXPECT_TRUE(got.half);
	EXPECT_UINT(got.methods, ==, 1);
	EXPECT_INT(got.refresh_expires, ==, 0);
	COPY(session, span_of(got.session));
	refresh(&f, HASH("ab"), HASH("ac"), HASH("ad"));
	EXPECT_STR(got.outcome, "unknown");
	asker = f.as_bob;
	asker.session_id = span_of(session);
	fixture_expect(&f);
	store_session_promote(f.front, &asker, &tokens, on_given, &f);
	fixture_fails(&f, ERR_NOT_FOUND);
	asker.user_id = span_of(f.amy);
	fixture_expect(&f);
	store_session_promote(f.front, &asker, &tokens, on_given, &f);
	fixture_ok(&f);
	EXPECT_FALSE(got.half);
	fixture_expect(&f);
	store_session_find(f.front, SPAN(HASH("aa")), on_authority, &f);
	fixture_fails(&f, ERR_NOT_FOUND);
	fixture_expect(&f);
	store_session_find(f.front, SPAN(HASH("ba")), on_authority, &f);
	fixture_ok(&f);
	EXPECT_FALSE(got.half);
	fixture_expect(&f);
	store_session_promote(f.front, &asker, &tokens, on_given, &f);
	fixture_fails(&f, ERR_NOT_FOUND);
	fixture_done(&f);
}

TEST(store_sessions__a_password_is_proved_by_its_user_and_set_by_an_administrator)
{
	struct store_password_new fresh = { .current = SPAN(STORED),
		.hash = SPAN(RAISED),
		.address = SPAN("192.0.2.7"),
		.tokens = { SPAN(HASH("ba")), SPAN(HASH("bb")) } };
	struct fixture f;

	begin(&f);
	fresh.user_id = span_of(f.amy);
	fixture_expect(&f);
	store_password_facts(f.front, &f.as_bob, SPAN("amy"), on_passwords, &f);
	fixture_fails(&f, ERR_NOT_FOUND);
	fixture_expect(&f);
	store_password_facts(f.front, &f.as_admin, span_of(f.bob), on_passwords, &f);
	fixture_fails(&f, ERR_PASSWORD_NONE);
	fixture_expect(&f);
	store_password_facts(f.front, &f.as_admin, span_of(f.amy), on_passwords, &f);
	fixture_ok(&f);
	EXPECT_FALSE(got.own);
	EXPECT_STR(got.password, ""); /* not for another's eyes */
	for (int i = 0; i < 4; i++) {
		fixture_expect(&f);
		store_password_prove(
			f.front, &f.as_amy, SPAN("192.0.2.7"), &limits, on_passwords, &f);
		fixture_ok(&f);
	}
	EXPECT_TRUE(got.own);
	EXPECT_TRUE(got.denied);
	EXPECT_STR(got.password, STORED);
	fixture_expect(&f);
	store_password_proved(f.front, &f.as_amy, SPAN(STORED), SPAN("192.0.2.7"), on_number, &f);
	fixture_ok(&f);
	EXPECT_INT(f.number, ==, 1);
	fixture_expect(&f);
	store_password_set(f.front, &f.as_bob, &fresh, on_given, &f);
	fixture_fails(&f, ERR_NOT_FOUND);
	finish(&f, HASH("aa"), HASH("ab"), NULL);
	fixture_expect(&f);
	store_password_set(f.front, &f.as_admin, &fresh, on_given, &f);
	fixture_ok(&f);
	EXPECT_INT(got.ended, ==, 1);
	fixture_expect(&f);
	store_password_set(f.front, &f.as_amy, &fresh, on_given, &f);
	fixture_fails(&f, ERR_CONFLICT); /* it is another by now */
	fixture_done(&f);
}
