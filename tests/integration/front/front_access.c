/* Who gets in, and what /v1 answers. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "identity/key.h"
#include "integration/front/stand.h"
#include "lib/postgres.h"
#include "lib/test.h"

static void expect_status(struct stand *s, const char *key, const char *method, const char *path,
	const char *body, int status)
{
	char *answer = stand_request(s, key, method, path, NULL, body);

	ck_assert_msg(stand_status(answer) == status, "%s %s: expected %d, got: %s", method, path,
		status, answer);
	mem_free(answer);
}

TEST(front_access__keys_decide_between_401_403_and_200)
{
	char unknown[KEY_LEN + 1], *viewer, *narrow, *answer;
	struct stand s;

	stand_open(&s);
	key_make(KEY_API, unknown);
	viewer = stand_key(&s, "VIEWER", "{*}", 1000);
	narrow = stand_key(&s, "ADMIN", "{catalog.read}", 1000);
	expect_status(&s, NULL, "GET", "/livez", NULL, 200);
	expect_status(&s, NULL, "GET", "/v1/whoami", NULL, 401);
	expect_status(&s, "nonsense", "GET", "/v1/whoami", NULL, 401);
	expect_status(&s, unknown, "GET", "/v1/whoami", NULL, 401);
	expect_status(&s, s.admin, "GET", "/v1/whoami", NULL, 200);
	expect_status(&s, viewer, "GET", "/v1/services", NULL, 200);
	expect_status(&s, viewer, "POST", "/v1/installations", "{\"plugin\":\"a/b\"}", 403);
	expect_status(&s, viewer, "GET", "/v1/trust", NULL, 403);
	expect_status(&s, narrow, "GET", "/v1/services", NULL, 200);
	expect_status(&s, narrow, "GET", "/v1/plugins", NULL, 403);
	expect_status(&s, s.admin, "GET", "/v1/nothing", NULL, 404);
	expect_status(&s, s.admin, "GET", "/elsewhere", NULL, 404);
	answer = stand_request(&s, s.admin, "DELETE", "/v1/services", NULL, NULL);
	EXPECT_INT(stand_status(answer), ==, 405);
	EXPECT_CONTAINS(answer, "Allow: GET, HEAD\r\n");
	mem_free(answer);
	answer = stand_request(&s, NULL, "GET", "/v1/whoami", "X-Request-Id: my-id.7\r\n", NULL);
	EXPECT_CONTAINS(answer, "WWW-Authenticate: Bearer realm=\"mortise\"\r\n");
	EXPECT_CONTAINS(answer, "X-Request-Id: my-id.7\r\n");
	EXPECT_CONTAINS(answer, "\"code\":\"MRT-1108\"");
	mem_free(answer);
	mem_free(viewer);
	mem_free(narrow);
	stand_close(&s);
}

TEST(front_access__a_revoked_key_ends_within_the_time_that_authority_may_be_old)
{
	char *key, *id, *path, *answer, *sql;
	struct stand s;
	uint64_t revoked_ns, left;

	stand_open(&s);
	key = stand_key(&s, "DEVELOPER", "{catalog.read}", 1000);
	for (int i = 0; i < 5; i++)
		expect_status(&s, key, "GET", "/v1/services", NULL, 200);
	sql = mem_printf("SELECT id FROM api_keys WHERE key_prefix = '%.10s'", key);
	id = postgres_value(s.database, sql);
	path = mem_printf("/v1/keys/%s/revoke", id);
	expect_status(&s, s.admin, "POST", path, "{\"reason\":\"lost\"}", 200);
	revoked_ns = clock_ns();
	do {
		answer = stand_request(&s, key, "GET", "/v1/services", NULL, NULL);
		left = stand_status(answer) != 401;
		mem_free(answer);
		/* auth.stale_max_ms is 1000 and a hard bound, whatever else is slow here. */
		ck_assert(!left || clock_ns() - revoked_ns < 2 * CLOCK_NS_PER_SEC);
	} while (left);
	mem_free(sql);
	mem_free(id);
	mem_free(path);
	mem_free(key);
	stand_close(&s);
}

TEST(front_access__the_hourly_limit_lets_exactly_so_many_pass)
{
	char *key, *answer;
	struct stand s;

	stand_open(&s);
	key = stand_key(&s, "VIEWER", "{catalog.read}", 3);
	for (int i = 0; i < 3; i++)
		expect_status(&s, key, "GET", "/v1/services", NULL, 200);
	answer = stand_request(&s, key, "GET", "/v1/services", NULL, NULL);
	EXPECT_INT(stand_status(answer), ==, 429);
	EXPECT_CONTAINS(answer, "Retry-After: ");
	mem_free(answer);
	mem_free(key);
	stand_close(&s);
}

TEST(front_access__readyz_names_what_is_missing)
{
	struct stand s;
	char *answer;

	stand_open(&s);
	do {
		answer = stand_request(&s, NULL, "GET", "/readyz", NULL, NULL);
		EXPECT_INT(stand_status(answer), ==, 503);
		EXPECT_CONTAINS(answer, "\"table\"");
		if (strstr(answer, "database"))
			mem_free(TAKE(answer));
	} while (!answer);
	mem_free(answer);
	expect_status(&s, NULL, "GET", "/startupz", NULL, 503);
	stand_table(&s);
	expect_status(&s, NULL, "GET", "/readyz", NULL, 200);
	expect_status(&s, NULL, "GET", "/startupz", NULL, 200);
	stand_close(&s);
}

TEST(front_access__without_the_database_there_is_503_and_with_it_all_goes_on)
{
	struct stand s;
	char *answer;
	int status;

	stand_open(&s);
	stand_table(&s);
	expect_status(&s, s.admin, "GET", "/v1/services", NULL, 200);
	postgres_stop();
	do {
		answer = stand_request(&s, NULL, "GET", "/readyz", NULL, NULL);
		status = stand_status(answer);
		if (status == 503)
			EXPECT_CONTAINS(answer, "database");
		mem_free(answer);
	} while (status == 200);
	do {
		answer = stand_request(&s, s.admin, "GET", "/v1/services", NULL, NULL);
		EXPECT_INT(stand_status(answer), ==, 503);
		EXPECT_CONTAINS(answer, "Retry-After: ");
		status = strstr(answer, "cannot be checked") ? 0 : 1; /* the cache has grown old */
		mem_free(answer);
	} while (status);
	expect_status(&s, NULL, "GET", "/livez", NULL, 200);
	expect_status(&s, NULL, "GET", "/startupz", NULL, 200);
	postgres_start();
	do {
		answer = stand_request(&s, s.admin, "GET", "/v1/services", NULL, NULL);
		status = stand_status(answer);
		mem_free(answer);
	} while (status != 200);
	stand_close(&s);
}

TEST(front_access__keys_are_made_listed_and_bounded_by_their_maker)
{
	char *answer, *narrow, *key;
	struct stand s;

	stand_open(&s);
	narrow = stand_key(&s, "DEVELOPER", "{catalog.read,access.write}", 1000);
	answer = stand_request(&s, s.admin, "POST", "/v1/keys", NULL,
		"{\"name\":\"ci\",\"scopes\":[\"catalog.read\"],\"rate_limit\":5}");
	ck_assert_msg(stand_status(answer) == 201, "%s", answer);
	/* Its prefix stands in the answer, too. */
	key = strstr(answer, "\"key\":\"mrt_");
	EXPECT_PTR(key);
	key += sizeof("\"key\":\"") - 1;
	key[KEY_LEN] = '\0';
	expect_status(&s, key, "GET", "/v1/services", NULL, 200);
	mem_free(answer);
	answer = stand_request(&s, s.admin, "GET", "/v1/keys", NULL, NULL);
	EXPECT_CONTAINS(answer, "\"name\":\"ci\"");
	EXPECT_NULL(strstr(stand_body(answer), "key_hash"));
	mem_free(answer);
	expect_status(&s, narrow, "POST", "/v1/keys",
		"{\"name\":\"x\",\"scopes\":[\"catalog.read\"],\"rate_limit\":5}", 201);
	expect_status(&s, narrow, "POST", "/v1/keys",
		"{\"name\":\"x\",\"scopes\":[\"*\"],\"rate_limit\":5}", 403);
	expect_status(&s, narrow, "POST", "/v1/keys",
		"{\"name\":\"x\",\"scopes\":[\"catalog.read\"],\"rate_limit\":0}", 403);
	expect_status(
		&s, s.admin, "POST", "/v1/keys", "{\"name\":\"x\",\"scopes\":[\"no scope\"]}", 400);
	expect_status(&s, s.admin, "POST", "/v1/keys",
		"{\"name\":\"x\",\"scopes\":[\"read\"],\"role\":\"ADMIN\"}", 400);
	expect_status(&s, s.admin, "POST", "/v1/keys", "{\"name\":\"x\",\"name\":\"y\"}", 422);
	mem_free(narrow);
	stand_close(&s);
}

TEST(front_access__uses_of_keys_are_counted)
{
	char *key, *sql, *count = NULL;
	struct stand s;

	stand_open(&s);
	key = stand_key(&s, "VIEWER", "{catalog.read}", 1000);
	for (int i = 0; i < 7; i++)
		expect_status(&s, key, "GET", "/v1/services", NULL, 200);
	sql = mem_printf("SELECT usage_count FROM api_keys WHERE key_prefix = '%.10s'", key);
	do {
		mem_free(count);
		count = postgres_value(s.database, sql);
	} while (strcmp(count, "7") != 0);
	mem_free(count);
	mem_free(sql);
	mem_free(key);
	stand_close(&s);
}

static void make_services(struct stand *s)
{
	postgres_run(s->database,
		"INSERT INTO services(name, display_name, type, description) SELECT 'svc' || "
		"lpad(n::text, 3, '0'), 'Service ' || n, 'library', 'number ' || n FROM "
		"generate_series(1, 120) n;"
		"INSERT INTO service_relationships(source_id, target_id, relationship_type) SELECT "
		"a.id, "
		"b.id, 'depends_on' FROM services a JOIN services b ON b.name = 'svc' || "
		"lpad((substr(a.name, 4)::int + 1)::text, 3, '0')");
}

static char *next_of(const char *answer)
{
	const char *at = strstr(stand_body(answer), "\"next\":\"");

	return at ? mem_printf("%.*s", (int)strcspn(at + 8, "\""), at + 8) : NULL;
}

TEST(front_access__services_come_in_pages_whose_cursors_are_bound_to_their_filters)
{
	char *answer, *next, *path;
	struct stand s;
	int pages = 0;

	stand_open(&s);
	make_services(&s);
	path = mem_strdup("/v1/services?limit=50&type=library");
	for (next = mem_strdup("-"); next; pages++) {
		answer = stand_request(&s, s.admin, "GET", path, NULL, NULL);
		ck_assert_msg(stand_status(answer) == 200, "%s", answer);
		mem_free(next);
		next = next_of(answer);
		mem_free(answer);
		mem_free(path);
		path = mem_printf("/v1/services?limit=50&type=library&after=%s", next ? next : "");
		if (next && pages == 0) {
			char *other = mem_printf("/v1/services?limit=50&after=%s", next);

			expect_status(&s, s.admin, "GET", other, NULL, 400);
			mem_free(other);
		}
	}
	EXPECT_INT(pages, ==, 3);
	mem_free(path);
	expect_status(&s, s.admin, "GET", "/v1/services?limt=5", NULL, 400);
	expect_status(&s, s.admin, "GET", "/v1/services?limit=0", NULL, 400);
	expect_status(&s, s.admin, "GET", "/v1/services/svc001", NULL, 200);
	expect_status(&s, s.admin, "GET", "/v1/services/none", NULL, 404);
	answer = stand_request(
		&s, s.admin, "GET", "/v1/services/svc001/dependencies?depth=3", NULL, NULL);
	EXPECT_CONTAINS(answer, "svc002");
	EXPECT_CONTAINS(answer, "svc004");
	EXPECT_NULL(strstr(answer, "svc005"));
	mem_free(answer);
	answer = stand_request(&s, s.admin, "GET",
		"/v1/services/svc003/dependencies?depth=10&direction=in", NULL, NULL);
	EXPECT_CONTAINS(answer, "svc001");
	EXPECT_NULL(strstr(answer, "svc004"));
	mem_free(answer);
	stand_close(&s);
}

TEST(front_access__an_object_has_an_etag_and_304_saves_it)
{
	char *answer, *etag, *header;
	struct stand s;

	stand_open(&s);
	make_services(&s);
	answer = stand_request(&s, s.admin, "GET", "/v1/services/svc001", NULL, NULL);
	etag = strstr(answer, "ETag: ");
	EXPECT_PTR(etag);
	header = mem_printf("If-None-Match: %.*s\r\n", (int)strcspn(etag + 6, "\r"), etag + 6);
	mem_free(answer);
	answer = stand_request(&s, s.admin, "GET", "/v1/services/svc001", header, NULL);
	EXPECT_INT(stand_status(answer), ==, 304);
	mem_free(answer);
	mem_free(header);
	stand_close(&s);
}

TEST(front_access__another_teams_services_are_not_there)
{
	struct stand s;
	char *key;

	stand_open(&s);
	make_services(&s);
	key = stand_key(&s, "DEVELOPER", "{*}", 1000);
	expect_status(&s, key, "GET", "/v1/services/svc001", NULL, 404);
	expect_status(&s, key, "GET", "/v1/services/svc001/dependencies", NULL, 404);
	mem_free(key);
	stand_close(&s);
}

TEST(front_access__trust_is_an_administrators)
{
	static const char body[] =
		"{\"key_id\":\"ed25519:%s\",\"public_key\":\"%s\",\"name\":\"Acme\","
		"\"namespaces\":[\"acme\"],\"roles\":[],\"development\":true}";
	char hex[65], id[65], *add, *path, *engineer, *answer;
	unsigned char zero[32] = { 0 };
	struct stand s;

	stand_open(&s);
	hex_encode(zero, sizeof(zero), hex);
	memcpy(id, "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925", 65);
	add = mem_alloc(sizeof(body) + 130);
	(void)snprintf(add, sizeof(body) + 130, body, id, hex);
	path = mem_printf("/v1/trust/ed25519:%s/revoke", id);
	engineer = stand_key(&s, "PLATFORM_ENGINEER", "{*}", 1000);
	expect_status(&s, engineer, "POST", "/v1/trust", add, 403);
	expect_status(&s, s.admin, "POST", "/v1/trust", add, 201);
	answer = stand_request(&s, engineer, "GET", "/v1/trust", NULL, NULL);
	EXPECT_CONTAINS(answer, "\"state\":\"active\"");
	mem_free(answer);
	expect_status(&s, s.admin, "POST", path, "{}", 400);
	expect_status(&s, s.admin, "POST", path, "{\"reason\":\"stolen\"}", 200);
	answer = stand_request(&s, engineer, "GET", "/v1/trust", NULL, NULL);
	EXPECT_CONTAINS(answer, "\"state\":\"revoked\"");
	mem_free(answer);
	mem_free(add);
	mem_free(path);
	mem_free(engineer);
	stand_close(&s);
}
