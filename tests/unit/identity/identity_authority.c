#include "identity/authority.h"

#include <stdio.h>

#include <uv.h>

#include "base/mem.h"
#include "codec/digest.h"
#include "db/pool.h"
#include "identity/key.h"
#include "identity/principal.h"
#include "lib/postgres.h"
#include "lib/test.h"

struct scene {
	uv_loop_t loop;
	uv_timer_t tick;
	char *url;
	struct db_pool *pool;
	struct authority *authority;
	char key[KEY_LEN + 1];
	bool connected, ticking, answered;
	int rc;
	char user_id[64];
	bool account;
	size_t scopes;
};

static void on_state(bool connected, const struct error *reason, void *user)
{
	(void)reason;
	((struct scene *)user)->connected = connected;
}

static void on_tick(uv_timer_t *timer)
{
	struct scene *s = timer->data;

	if (s->ticking)
		authority_tick(s->authority);
}

static void open_scene(struct scene *s, uint64_t stale_max_ms)
{
	char hash[SHA256_HEX_SIZE], *sql, *front;
	struct db_pool_options options = { .application = "test", .state = on_state, .user = s };
	struct error err;

	memset(s, 0, sizeof(*s));
	s->url = postgres_database();
	key_make(KEY_API, s->key);
	sha256_hex(span_of(s->key), hash);
	sql = mem_printf("SELECT bootstrap_admin('admin', '%s', '%.10s')", hash, s->key);
	mem_free(postgres_value(s->url, sql));
	mem_free(sql);
	front = postgres_url_as(s->url, "mortise_front", "mortise_front");
	options.url = front;
	(void)uv_loop_init(&s->loop);
	EXPECT_OK(db_pool_start(&s->pool, &s->loop, &options, &err), &err);
	mem_free(front);
	s->authority = authority_new(s->pool, stale_max_ms);
	(void)uv_timer_init(&s->loop, &s->tick);
	s->tick.data = s;
	(void)uv_timer_start(&s->tick, on_tick, 0, 5);
	s->ticking = true;
	while (!s->connected)
		(void)uv_run(&s->loop, UV_RUN_ONCE);
}

static void on_closed(void *user)
{
	((struct scene *)user)->answered = true;
}

static void close_scene(struct scene *s)
{
	s->answered = false;
	uv_close((uv_handle_t *)&s->tick, NULL);
	db_pool_close(s->pool, on_closed, s);
	while (!s->answered)
		(void)uv_run(&s->loop, UV_RUN_ONCE);
	(void)uv_run(&s->loop, UV_RUN_DEFAULT);
	authority_free(s->authority);
	EXPECT_INT(uv_loop_close(&s->loop), ==, 0);
	mem_free(s->url);
}

static void on_principal(void *user, int rc, struct principal *p, const struct error *err)
{
	struct scene *s = user;

	(void)err;
	s->answered = true;
	s->rc = rc;
	if (rc < 0)
		return;
	(void)snprintf(s->user_id, sizeof(s->user_id), "%s", p->user_id);
	s->account = p->account;
	s->scopes = p->scopes.count;
}

static int ask(struct scene *s, const char *key)
{
	s->answered = false;
	authority_ask(s->authority, span_of(key), on_principal, s);
	EXPECT_FALSE(s->answered); /* never before the call has returned */
	while (!s->answered)
		(void)uv_run(&s->loop, UV_RUN_ONCE);
	return s->rc;
}

/* Ask until the cache answers, as requests do. */
static void warm(struct scene *s)
{
	struct principal *p;

	while (authority_find(s->authority, span_of(s->key), &p) == ERR_AGAIN)
		EXPECT_INT(ask(s, s->key), ==, 0);
}

static void run_until_gone(struct scene *s)
{
	struct principal *p;

	while (authority_find(s->authority, span_of(s->key), &p) == 0)
		(void)uv_run(&s->loop, UV_RUN_ONCE);
}

TEST(identity_authority__a_key_is_asked_for_and_then_found)
{
	struct scene s;
	struct principal *p = NULL;
	char unknown[KEY_LEN + 1], broken[KEY_LEN + 1];

	open_scene(&s, 60000);
	EXPECT_INT(authority_find(s.authority, span_of(s.key), &p), ==, ERR_AGAIN);
	EXPECT_INT(ask(&s, s.key), ==, 0);
	warm(&s);
	EXPECT_INT(authority_find(s.authority, span_of(s.key), &p), ==, 0);
	EXPECT_STR(p->user_name, "admin");
	EXPECT_INT(p->role, ==, ROLE_ADMIN);
	EXPECT_INT(p->rate_limit, ==, 0);
	key_make(KEY_API, unknown);
	EXPECT_INT(ask(&s, unknown), ==, ERR_KEY_UNKNOWN);
	memcpy(broken, s.key, sizeof(broken));
	broken[KEY_LEN - 1] = broken[KEY_LEN - 1] == '0' ? '1' : '0';
	EXPECT_INT(authority_find(s.authority, span_of(broken), &p), ==, ERR_KEY_MALFORMED);
	EXPECT_INT(authority_find(s.authority, SPAN("x"), &p), ==, ERR_KEY_MALFORMED);
	close_scene(&s);
}

TEST(identity_authority__what_the_feed_names_is_forgotten)
{
	struct scene s;

	open_scene(&s, 1000);
	warm(&s);
	postgres_run(s.url, "UPDATE users SET role = 'VIEWER' WHERE name = 'admin'");
	run_until_gone(&s);
	warm(&s);
	postgres_run(s.url,
		"UPDATE api_keys SET is_active = false, revoked_at = now(), revoked_reason = 'x'");
	run_until_gone(&s);
	EXPECT_INT(ask(&s, s.key), ==, ERR_KEY_UNKNOWN);
	close_scene(&s);
}

TEST(identity_authority__the_cache_does_not_count_unconfirmed)
{
	struct scene s;
	struct principal *p;

	open_scene(&s, 200);
	warm(&s);
	s.ticking = false; /* nobody confirms any more */
	while (authority_find(s.authority, span_of(s.key), &p) == 0)
		(void)uv_run(&s.loop, UV_RUN_ONCE);
	EXPECT_INT(authority_find(s.authority, span_of(s.key), &p), ==, ERR_AGAIN);
	close_scene(&s);
}

TEST(identity_authority__a_key_that_expires_is_asked_for_again)
{
	struct scene s;

	open_scene(&s, 60000);
	postgres_run(s.url, "UPDATE api_keys SET expires_at = now() + interval '300 milliseconds'");
	warm(&s);
	run_until_gone(&s);
	EXPECT_INT(ask(&s, s.key), ==, ERR_KEY_UNKNOWN);
	close_scene(&s);
}

TEST(identity_authority__without_the_database_there_is_no_answer)
{
	struct scene s;

	open_scene(&s, 1000);
	postgres_stop();
	while (s.connected)
		(void)uv_run(&s.loop, UV_RUN_ONCE);
	EXPECT_INT(ask(&s, s.key), ==, ERR_UNAVAIL);
	postgres_start();
	while (!s.connected)
		(void)uv_run(&s.loop, UV_RUN_ONCE);
	EXPECT_INT(ask(&s, s.key), ==, 0);
	close_scene(&s);
}

TEST(identity_authority__a_plugins_account_has_its_permissions_for_scopes)
{
	struct scene s;

	open_scene(&s, 1000);
	postgres_run(s.url, "INSERT INTO users(email, name, provider, provider_id, role) VALUES "
			    "('p@plugin.invalid', 'p', 'plugin', 'inst1', 'VIEWER')");
	s.answered = false;
	authority_account(
		s.authority, SPAN("inst1"), "catalog.read catalog.write kv", on_principal, &s);
	while (!s.answered)
		(void)uv_run(&s.loop, UV_RUN_ONCE);
	EXPECT_INT(s.rc, ==, 0);
	EXPECT_TRUE(s.account);
	EXPECT_UINT(s.scopes, ==, 2); /* kv is a permission and no scope */
	s.answered = false;
	authority_account(s.authority, SPAN("inst2"), "", on_principal, &s);
	while (!s.answered)
		(void)uv_run(&s.loop, UV_RUN_ONCE);
	EXPECT_INT(s.rc, ==, ERR_PERMISSION);
	close_scene(&s);
}

/* A session of the administrator; its token is the scene's key from now on. */
static void begin_session(struct scene *s)
{
	char hash[SHA256_HEX_SIZE], *sql;

	key_make(KEY_SESSION, s->key);
	sha256_hex(span_of(s->key), hash);
	sql = mem_printf("INSERT INTO sessions(user_id, token, expires_at) SELECT id, '%s', "
			 "now() + interval '1 hour' FROM users WHERE name = 'admin'",
		hash);
	postgres_run(s->url, sql);
	mem_free(sql);
}

TEST(identity_authority__a_session_is_its_user_with_all_scopes)
{
	struct scene s;
	struct principal *p = NULL;
	char refresh[KEY_LEN + 1];

	open_scene(&s, 60000);
	begin_session(&s);
	warm(&s);
	EXPECT_INT(authority_find(s.authority, span_of(s.key), &p), ==, 0);
	EXPECT_STR(p->user_name, "admin");
	EXPECT_STR(p->key_id, "");
	EXPECT_TRUE(p->session_id[0] != '\0');
	EXPECT_FALSE(p->half);
	EXPECT_TRUE(scopes_cover(&p->scopes, SPAN("any.write"), SPAN_NONE));
	key_make(KEY_REFRESH, refresh);
	EXPECT_INT(authority_find(s.authority, span_of(refresh), &p), ==, ERR_KEY_MALFORMED);
	key_make(KEY_SESSION, refresh);
	EXPECT_INT(ask(&s, refresh), ==, ERR_SESSION_UNKNOWN);
	close_scene(&s);
}

TEST(identity_authority__a_session_that_changed_or_ended_is_forgotten)
{
	static const char *const changes[] = {
		"UPDATE sessions SET half = true",
		"UPDATE users SET name = 'other' WHERE name = 'admin'",
		"UPDATE sessions SET is_active = false, revoked_at = now()",
	};
	struct scene s;

	open_scene(&s, 1000);
	begin_session(&s);
	for (size_t i = 0; i < ARRAY_LENGTH(changes); i++) {
		warm(&s);
		postgres_run(s.url, changes[i]);
		run_until_gone(&s);
	}
	EXPECT_INT(ask(&s, s.key), ==, ERR_SESSION_UNKNOWN);
	close_scene(&s);
}

TEST(identity_authority__a_cached_session_goes_idle)
{
	struct scene s;

	open_scene(&s, 60000);
	begin_session(&s);
	postgres_run(s.url, "UPDATE sessions SET idle_limit = interval '3 seconds', "
			    "last_activity = now()");
	warm(&s);
	run_until_gone(&s); /* found, but not used */
	EXPECT_INT(ask(&s, s.key), ==, ERR_SESSION_UNKNOWN);
	close_scene(&s);
}

TEST(identity_authority__uses_of_sessions_are_written_in_batches)
{
	struct scene s;
	struct principal *p = NULL;
	char *recent;

	open_scene(&s, 60000);
	begin_session(&s);
	postgres_run(s.url, "UPDATE sessions SET last_activity = now() - interval '1 hour'");
	warm(&s);
	EXPECT_INT(authority_find(s.authority, span_of(s.key), &p), ==, 0);
	for (int i = 0; i < 100; i++)
		authority_used(s.authority, p);
	authority_flush(s.authority);
	do {
		(void)uv_run(&s.loop, UV_RUN_ONCE);
		recent = postgres_value(
			s.url, "SELECT last_activity > now() - interval '1 minute' FROM sessions");
		if (strcmp(recent, "t") == 0 || strcmp(recent, "true") == 0)
			break;
		mem_free(recent);
	} while (true);
	mem_free(recent);
	close_scene(&s);
}
