#include "store_fixture.h"

#include <stdio.h>

#include "store/nodes.h"
#include "store/packages.h"
#include "store/trust.h"

static void start(struct fixture *f, struct db_pool **pool, const char *login)
{
	CLEANUP(mem_freep) char *url = postgres_url_as(f->url, login, login);
	const struct db_pool_options options = { .url = url, .application = login };
	struct error err;

	EXPECT_OK(db_pool_start(pool, &f->loop, &options, &err), &err);
	while (!db_pool_connected(*pool))
		(void)uv_run(&f->loop, UV_RUN_ONCE);
}

static char *make_user(struct fixture *f, const char *name, const char *role)
{
	CLEANUP(mem_freep)
	char *insert = mem_printf("INSERT INTO users(email, name, provider, provider_id, role) "
				  "VALUES ('%s@x', '%s', 'system', '%s', '%s')",
		name, name, name, role);
	CLEANUP(mem_freep)
	char *select = mem_printf("SELECT id FROM users WHERE name = '%s'", name);

	postgres_run(f->url, insert);
	return postgres_value(f->url, select);
}

void fixture_init(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	ck_assert_int_eq(uv_loop_init(&f->loop), 0);
	f->url = postgres_database();
	f->admin = make_user(f, "root", "ADMIN");
	f->amy = make_user(f, "amy", "DEVELOPER");
	f->bob = make_user(f, "bob", "DEVELOPER");
	postgres_run(f->url,
		"INSERT INTO teams(name, display_name) VALUES ('red', 'Red'), ('blue', 'Blue'); "
		"INSERT INTO team_members(user_id, team_id) SELECT u.id, t.id FROM users u, teams "
		"t "
		"WHERE (u.name, t.name) IN (('amy', 'red'), ('bob', 'blue'))");
	f->as_admin = (struct db_context){ .user_id = span_of(f->admin) };
	f->as_amy = (struct db_context){ .user_id = span_of(f->amy) };
	f->as_bob = (struct db_context){ .user_id = span_of(f->bob) };
	start(f, &f->front, "mortise_front");
	start(f, &f->supervisor, "mortise_supervisor");
}

static void on_closed(void *user)
{
	((struct fixture *)user)->closed++;
}

void fixture_done(struct fixture *f)
{
	db_pool_close(f->front, on_closed, f);
	db_pool_close(f->supervisor, on_closed, f);
	EXPECT_INT(uv_run(&f->loop, UV_RUN_DEFAULT), ==, 0);
	EXPECT_UINT(f->closed, ==, 2);
	EXPECT_INT(uv_loop_close(&f->loop), ==, 0);
	mem_free(f->url);
	mem_free(f->admin);
	mem_free(f->amy);
	mem_free(f->bob);
}

void fixture_expect(struct fixture *f)
{
	f->waiting = true;
	f->code = 1;
}

void fixture_wait(struct fixture *f)
{
	ck_assert_msg(f->waiting, "the callback ran before the call returned");
	while (f->waiting)
		(void)uv_run(&f->loop, UV_RUN_ONCE);
}

void fixture_ok(struct fixture *f)
{
	fixture_wait(f);
	ck_assert_msg(f->code == 0, "%d: %s", f->code, f->text);
}

void fixture_fails(struct fixture *f, int code)
{
	fixture_wait(f);
	ck_assert_msg(f->code == code, "%d instead of %d: %s", f->code, code, f->text);
}

bool fixture_answer(struct fixture *f, const struct error *err)
{
	ck_assert_msg(f->waiting, "a callback ran twice");
	f->waiting = false;
	f->code = err ? err->code : 0;
	(void)snprintf(f->text, sizeof(f->text), "%s", err ? err->text : "");
	return !err;
}

void on_done(const struct error *err, void *user)
{
	(void)fixture_answer(user, err);
}

void on_number(const struct error *err, int64_t number, void *user)
{
	struct fixture *f = user;

	(void)fixture_answer(f, err);
	f->number = number;
}

void on_text(const struct error *err, struct span text, void *user)
{
	struct fixture *f = user;

	(void)fixture_answer(f, err);
	(void)snprintf(f->value, sizeof(f->value), "%.*s", SPAN_ARG(text));
}

static void on_node(const struct error *err, const struct store_node *rows, size_t n, void *user)
{
	struct fixture *f = user;

	if (!fixture_answer(f, err))
		return;
	EXPECT_UINT(n, ==, 1);
	EXPECT_SPAN(rows->id, "n1");
	EXPECT_SPAN(rows->environment, "test");
	EXPECT_TRUE(rows->lease_until > 0);
	f->number = rows->fencing_token;
}

void fixture_lease(struct fixture *f)
{
	const struct store_node_lease lease = { .node = SPAN("n1"),
		.environment = SPAN("test"),
		.ttl_ms = 60000,
		.facts = SPAN("{\"host\":\"here\"}") };

	fixture_expect(f);
	store_node_lease(f->supervisor, &lease, on_node, f);
	fixture_ok(f);
	f->fence = (struct store_fence){ SPAN("n1"), f->number };
}

static void on_keys(
	const struct error *err, const struct store_trust_key *rows, size_t n, void *user)
{
	struct fixture *f = user;

	if (!fixture_answer(f, err))
		return;
	EXPECT_UINT(n, ==, 1);
	(void)snprintf(f->value, sizeof(f->value), "%.*s", SPAN_ARG(rows->key_id));
}

void fixture_trust(struct fixture *f)
{
	static const char key[32] = "0123456789abcdef0123456789abcdef";
	CLEANUP(mem_freep)
	char *id = postgres_value(f->url,
		"SELECT 'ed25519:' || encode(sha256('0123456789abcdef0123456789abcdef'), 'hex')");
	const struct span namespaces[] = { SPAN("acme"), SPAN("other") };
	const struct store_trust_add add = { .key_id = span_of(id),
		.public_key = { key, sizeof(key) },
		.name = SPAN("Acme"),
		.namespaces = namespaces,
		.n_namespaces = 2,
		.expires_at = INT64_C(4000000000000000) };

	fixture_expect(f);
	store_trust_add(f->front, &f->as_admin, &add, on_keys, f);
	fixture_ok(f);
}

struct span fixture_package(struct fixture *f, const char *version, char digest[static 72])
{
	CLEANUP(mem_freep)
	char *manifest = mem_printf("{\"name\":\"acme/tool\",\"version\":\"%s\","
				    "\"display_name\":\"Tool\",\"permissions\":[\"kv\"],"
				    "\"config\":{\"defaults\":{\"a\":1}}}",
		version);
	struct store_package_register package = {
		.manifest = span_of(manifest),
		.envelope = SPAN("signed \0 bytes"),
		.size = 20,
		.key_id = span_of(f->value),
		.stored = true,
	};
	int digits = snprintf(digest, 72, "sha256:%s", version);

	while (digits < 71)
		digest[digits++] = '0';
	digest[71] = '\0';
	for (char *p = digest + 7; *p; p++)
		if (*p == '.')
			*p = 'e';
	package.digest = span_of(digest);
	fixture_expect(f);
	store_package_chunk_put(f->supervisor, &f->fence, package.digest, 0,
		SPAN("twenty bytes, really"), on_done, f);
	fixture_ok(f);
	fixture_expect(f);
	store_package_register(f->supervisor, &f->fence, &package, on_number, f);
	fixture_ok(f);
	EXPECT_INT(f->number, ==, 1);
	return package.digest;
}

struct change change;
struct installed installed;

void on_changes(const struct error *err, const struct store_change *rows, size_t n, void *user)
{
	change.n = n;
	if (!fixture_answer(user, err) || n == 0)
		return;
	change.number = rows->number;
	COPY(change.action, rows->action);
	COPY(change.state, rows->state);
	COPY(change.actor_name, rows->actor_name);
	COPY(change.phases, rows->phases);
	COPY(change.error, rows->error);
	EXPECT_TRUE(rows->created_at > 0);
}

void on_installations(
	const struct error *err, const struct store_installation *rows, size_t n, void *user)
{
	struct db_array permissions;
	struct span item;

	installed.n = n;
	if (!fixture_answer(user, err) || n == 0)
		return;
	COPY(installed.id, rows->id);
	COPY(installed.installed, rows->installed_digest);
	COPY(installed.wished, rows->wished_digest);
	COPY(installed.state, rows->state);
	COPY(installed.name, rows->plugin_name);
	COPY(installed.mount, rows->facts.mount);
	COPY(installed.config, rows->config);
	installed.generation = rows->generation;
	installed.memory_mb = rows->memory_mb;
	installed.cpu = rows->cpu_percent;
	permissions = rows->permissions;
	if (db_array_next(&permissions, &item))
		COPY(installed.permission, item);
}

void change_open(struct fixture *f, const char *action, struct span digest)
{
	const struct store_change_request request = {
		.action = span_of(action),
		.plugin_name = SPAN("acme/tool"),
		.environment = SPAN("test"),
		.digest = digest,
		.reason = SPAN("because"),
	};

	fixture_expect(f);
	store_change_open(f->front, &f->as_admin, &request, on_changes, f);
}

void change_wish(struct fixture *f)
{
	const struct store_change_wish w = { .number = change.number };

	fixture_expect(f);
	store_changes_claim(f->supervisor, &f->fence, on_changes, f);
	fixture_ok(f);
	EXPECT_UINT(change.n, ==, 1);
	fixture_expect(f);
	store_change_phase(f->supervisor, &f->fence, change.number, SPAN("verify"), SPAN("running"),
		SPAN_NONE, on_done, f);
	fixture_ok(f);
	fixture_expect(f);
	store_change_phase(f->supervisor, &f->fence, change.number, SPAN("verify"), SPAN("done"),
		SPAN("all is well"), on_done, f);
	fixture_ok(f);
	fixture_expect(f);
	store_change_wish(f->supervisor, &f->fence, &w, on_installations, f);
	fixture_ok(f);
}

void change_commit(struct fixture *f)
{
	fixture_expect(f);
	store_change_commit(f->supervisor, &f->fence, change.number, SPAN("{\"took_ms\":5}"),
		on_installations, f);
	fixture_ok(f);
}

void fixture_install(struct fixture *f, char digest[static 72])
{
	fixture_lease(f);
	fixture_trust(f);
	(void)fixture_package(f, "1.0.0", digest);
	change_open(f, "install", span_of(digest));
	fixture_ok(f);
	change_wish(f);
	EXPECT_STR(installed.installed, "");
	EXPECT_STR(installed.wished, digest);
	EXPECT_STR(installed.permission, "kv");
	change_commit(f);
	EXPECT_STR(installed.installed, digest);
}
