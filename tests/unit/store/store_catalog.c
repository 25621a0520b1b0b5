#include <stdio.h>

#include "store/api_keys.h"
#include "store/host_settings.h"
#include "store/services.h"
#include "store/trust.h"
#include "store/users.h"
#include "store_fixture.h"

#define COPY(to, from) (void)snprintf((to), sizeof(to), "%.*s", SPAN_ARG(from))
#define HASH           "00000000000000000000000000000000000000000000000000000000000000aa"

static struct {
	size_t n;
	char id[64], first[64], last[64], text[256];
	int64_t number;
} got;

static void on_services(
	const struct error *err, const struct store_service *rows, size_t n, void *user)
{
	got.n = n;
	if (!fixture_answer(user, err) || n == 0)
		return;
	COPY(got.id, rows[0].id);
	COPY(got.first, rows[0].name);
	COPY(got.last, rows[n - 1].name);
	COPY(got.text, rows[0].team_name);
	got.number = rows[0].depends_on;
}

static void on_relationships(
	const struct error *err, const struct store_relationship *rows, size_t n, void *user)
{
	got.n = n;
	if (!fixture_answer(user, err) || n == 0)
		return;
	COPY(got.first, rows[0].source_name);
	COPY(got.last, rows[0].target_name);
	COPY(got.text, rows[0].type);
}

static void on_dependencies(
	const struct error *err, const struct store_dependency *rows, size_t n, void *user)
{
	got.n = n;
	if (!fixture_answer(user, err) || n == 0)
		return;
	COPY(got.first, rows[0].name);
	COPY(got.last, rows[n - 1].name);
	got.number = rows[n - 1].depth;
}

static const struct span entities = {
	"[{\"key\":\"k1\",\"name\":\"web\",\"team\":\"red\",\"tags\":[\"x\"],\"description\":"
	"\"serves pages\"},{\"key\":\"k2\",\"name\":\"db\",\"team\":\"red\"},"
	"{\"key\":\"k3\",\"name\":\"disk\",\"team\":\"red\"}]",
	sizeof("[{\"key\":\"k1\",\"name\":\"web\",\"team\":\"red\",\"tags\":[\"x\"],"
	       "\"description\":"
	       "\"serves pages\"},{\"key\":\"k2\",\"name\":\"db\",\"team\":\"red\"},"
	       "{\"key\":\"k3\",\"name\":\"disk\",\"team\":\"red\"}]") -
		1,
};

/* web -> db -> disk, imported by `test` as root. */
static int64_t import(struct fixture *f)
{
	struct store_catalog_write write = { .provider = SPAN("test"), .items = entities };

	fixture_expect(f);
	store_catalog_sync_begin(f->front, &f->as_admin, SPAN("test"), SPAN_NONE, on_number, f);
	fixture_ok(f);
	write.sync = f->number;
	fixture_expect(f);
	store_catalog_apply(f->front, &f->as_admin, &write, on_text, f);
	fixture_ok(f);
	EXPECT_CONTAINS(f->value, "\"conflicts\": []");
	write.items = SPAN("[{\"source\":\"k1\",\"target\":\"k2\"},"
			   "{\"source\":\"k2\",\"target\":\"k3\"}]");
	fixture_expect(f);
	store_catalog_relate(f->front, &f->as_admin, &write, on_text, f);
	fixture_ok(f);
	return write.sync;
}

TEST(store_catalog__an_import_is_listed_and_walked_as_the_asker_may_see)
{
	struct store_catalog_write finish = { .provider = SPAN("test") };
	struct store_closure closure = { .depth = 5, .limit = 10 };
	struct fixture f;

	fixture_init(&f);
	finish.sync = import(&f);
	EXPECT_CONTAINS(f.value, "\"created\": 2");
	fixture_expect(&f);
	store_catalog_sync_finish(f.front, &f.as_admin, &finish, on_text, &f);
	fixture_ok(&f);
	EXPECT_CONTAINS(f.value, "\"services_removed\": 0");
	fixture_expect(&f);
	store_services_list(
		f.front, &f.as_amy, &(struct store_services_filter){ .limit = 2 }, on_services, &f);
	fixture_ok(&f);
	EXPECT_UINT(got.n, ==, 2);
	EXPECT_STR(got.first, "db");
	EXPECT_STR(got.last, "disk");
	fixture_expect(&f);
	store_services_list(f.front, &f.as_amy,
		&(struct store_services_filter){ .after = SPAN("disk"),
			.query = SPAN("page"),
			.type = SPAN("service"),
			.lifecycle = SPAN("production"),
			.team = SPAN("red"),
			.tag = SPAN("x"),
			.provider = SPAN("test") },
		on_services, &f);
	fixture_ok(&f);
	EXPECT_UINT(got.n, ==, 1);
	EXPECT_STR(got.first, "web");
	EXPECT_STR(got.text, "red");
	EXPECT_INT(got.number, ==, 1);
	fixture_expect(&f);
	store_services_list(f.front, &f.as_amy,
		&(struct store_services_filter){ .type = SPAN("nonsense") }, on_services, &f);
	fixture_fails(&f, ERR_FORMAT);
	fixture_expect(&f);
	store_services_list(
		f.front, &f.as_bob, &(struct store_services_filter){ 0 }, on_services, &f);
	fixture_ok(&f);
	EXPECT_UINT(got.n, ==, 0);
	fixture_expect(&f);
	store_service_get(f.front, &f.as_bob, SPAN("web"), on_services, &f);
	fixture_fails(&f, ERR_NOT_FOUND);
	fixture_expect(&f);
	store_service_get(f.front, &f.as_amy, SPAN("web"), on_services, &f);
	fixture_ok(&f);
	closure.service_id = span_of(got.id);
	fixture_expect(&f);
	store_service_get(f.front, &f.as_amy, closure.service_id, on_services, &f);
	fixture_ok(&f);
	fixture_expect(&f);
	store_service_closure(f.front, &f.as_amy, &closure, on_dependencies, &f);
	fixture_ok(&f);
	EXPECT_UINT(got.n, ==, 2);
	EXPECT_STR(got.first, "db");
	EXPECT_STR(got.last, "disk");
	EXPECT_INT(got.number, ==, 2);
	closure.after_depth = 1;
	closure.after_name = SPAN("db");
	fixture_expect(&f);
	store_service_closure(f.front, &f.as_amy, &closure, on_dependencies, &f);
	fixture_ok(&f);
	EXPECT_UINT(got.n, ==, 1);
	fixture_expect(&f);
	store_relationships_list(f.front, &f.as_amy,
		&(struct store_relationships_filter){ .service_id = closure.service_id },
		on_relationships, &f);
	fixture_ok(&f);
	EXPECT_UINT(got.n, ==, 1);
	EXPECT_STR(got.last, "db");
	EXPECT_STR(got.text, "depends_on");
	fixture_expect(&f);
	store_relationships_list(f.front, &f.as_amy,
		&(struct store_relationships_filter){ .service_id = closure.service_id,
			.incoming = true,
			.type = SPAN("depends_on") },
		on_relationships, &f);
	fixture_ok(&f);
	EXPECT_UINT(got.n, ==, 0);
	fixture_done(&f);
}

TEST(store_catalog__a_sync_that_does_not_run_is_refused)
{
	struct store_catalog_write finish = { .provider = SPAN("test"), .sync = 77 };
	struct fixture f;

	fixture_init(&f);
	fixture_expect(&f);
	store_catalog_sync_finish(f.front, &f.as_admin, &finish, on_text, &f);
	fixture_fails(&f, ERR_SYNC_GONE);
	fixture_done(&f);
}

static void on_users(const struct error *err, const struct store_user *rows, size_t n, void *user)
{
	got.n = n;
	if (!fixture_answer(user, err) || n == 0)
		return;
	COPY(got.first, rows->name);
	COPY(got.text, rows->role);
}

static void on_memberships(
	const struct error *err, const struct store_membership *rows, size_t n, void *user)
{
	got.n = n;
	if (!fixture_answer(user, err) || n == 0)
		return;
	COPY(got.first, rows->team_name);
	COPY(got.text, rows->role);
}

TEST(store_catalog__users_and_their_teams)
{
	struct fixture f;

	fixture_init(&f);
	fixture_expect(&f);
	store_user_get(f.front, &f.as_bob, span_of(f.amy), on_users, &f);
	fixture_ok(&f);
	EXPECT_STR(got.first, "amy");
	EXPECT_STR(got.text, "DEVELOPER");
	fixture_expect(&f);
	store_user_get(f.front, &f.as_bob, SPAN("nobody"), on_users, &f);
	fixture_fails(&f, ERR_NOT_FOUND);
	fixture_expect(&f);
	store_user_teams(f.front, &f.as_amy, span_of(f.amy), on_memberships, &f);
	fixture_ok(&f);
	EXPECT_UINT(got.n, ==, 1);
	EXPECT_STR(got.first, "red");
	EXPECT_STR(got.text, "MEMBER");
	fixture_done(&f);
}

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

TEST(store_catalog__api_keys_from_making_to_revoking)
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

TEST(store_catalog__trusted_keys_are_an_administrators)
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

static void on_settings(
	const struct error *err, const struct store_host_setting *rows, size_t n, void *user)
{
	got.n = n;
	if (!fixture_answer(user, err) || n == 0)
		return;
	COPY(got.first, rows->name);
	COPY(got.text, rows->value);
}

TEST(store_catalog__settings_of_an_environment_win_over_the_defaults)
{
	struct fixture f;

	fixture_init(&f);
	fixture_expect(&f);
	store_host_setting_put(f.front, &f.as_amy, SPAN(""), SPAN("catalog.visibility"),
		SPAN("\"everyone\""), on_done, &f);
	fixture_fails(&f, ERR_PERMISSION);
	fixture_expect(&f);
	store_host_setting_put(f.front, &f.as_admin, SPAN(""), SPAN("catalog.visibility"),
		SPAN("\"everyone\""), on_done, &f);
	fixture_ok(&f);
	fixture_expect(&f);
	store_host_setting_put(f.front, &f.as_admin, SPAN("test"), SPAN("catalog.visibility"),
		SPAN("\"team\""), on_done, &f);
	fixture_ok(&f);
	fixture_expect(&f);
	store_host_settings_list(f.front, SPAN("test"), on_settings, &f);
	fixture_ok(&f);
	EXPECT_UINT(got.n, ==, 1);
	EXPECT_STR(got.text, "\"team\"");
	fixture_expect(&f);
	store_host_settings_list(f.supervisor, SPAN("other"), on_settings, &f);
	fixture_ok(&f);
	EXPECT_STR(got.text, "\"everyone\"");
	fixture_done(&f);
}
