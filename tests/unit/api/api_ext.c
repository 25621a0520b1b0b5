#include "api/ext.h"

#include <stdio.h>

#include "api/rest_priv.h"
#include "base/mem.h"
#include "identity/principal.h"
#include "lib/test.h"

/* What is refused starts nothing: so no database is needed to see it. */
static int start(const char *extension, const char *method, const char *json,
	const char *permissions, const char *scope, struct error *err)
{
	struct api api = { .environment = (char *)(uintptr_t) "test" };
	struct span list[1] = { span_of(scope) };
	struct principal *who = principal_new();
	struct ext_call call = {
		.extension = span_of(extension),
		.method = span_of(method),
		.json = span_of(json),
		.who = who,
		.installation = SPAN("inst"),
		.permissions = permissions,
		.request_id = SPAN("r"),
	};
	int rc;

	who->role = ROLE_ADMIN;
	who->user_name = mem_strdup("ada");
	scopes_init(&who->scopes, list, 1);
	rc = ext_call_start(&api, &call, NULL, NULL, NULL, err);
	principal_unref(who);
	return rc;
}

TEST(api_ext__permission_and_right_are_both_needed)
{
	struct error err;

	EXPECT_INT(start("catalog/1", "list", "{}", "", "*", &err), ==, ERR_PERMISSION);
	EXPECT_CONTAINS(err.text, "granted");
	EXPECT_INT(start("catalog/1", "apply", "{\"entities\":[]}", "catalog.read", "*", &err), ==,
		ERR_PERMISSION);
	EXPECT_INT(start("catalog/1", "list", "{}", "catalog.read", "hello.read", &err), ==,
		ERR_PERMISSION);
	EXPECT_CONTAINS(err.text, "scope");
	EXPECT_INT(
		start("catalog/2", "list", "{}", "catalog.read", "*", &err), ==, ERR_UNSUPPORTED);
	EXPECT_INT(
		start("catalog/1", "lists", "{}", "catalog.read", "*", &err), ==, ERR_UNSUPPORTED);
}

TEST(api_ext__parameters_are_what_the_schema_says)
{
	static const struct {
		const char *method, *json;
		int rc;
		const char *where;
	} cases[] = {
		{ "list", "[]", ERR_INVALID, "" },
		{ "list", "{", ERR_FORMAT, "" },
		{ "list", "{\"limit\":1,\"limit\":2}", ERR_FORMAT, "" },
		{ "list", "{\"limit\":0}", ERR_INVALID, "/limit" },
		{ "list", "{\"limit\":201}", ERR_INVALID, "/limit" },
		{ "list", "{\"limit\":\"5\"}", ERR_INVALID, "/limit" },
		{ "list", "{\"type\":\"thing\"}", ERR_INVALID, "/type" },
		{ "list", "{\"typ\":\"library\"}", ERR_INVALID, "/typ" },
		{ "get", "{}", ERR_INVALID, "/name" },
		{ "get", "{\"name\":\"a\\u0000b\"}", ERR_FORMAT, "" },
		{ "get", "{\"name\":null}", ERR_INVALID, "/name" },
		{ "apply", "{\"entities\":{}}", ERR_INVALID, "/entities" },
		{ "apply", "{\"entities\":[{\"key\":\"k\"}]}", ERR_INVALID, "/entities/0/name" },
		{ "apply", "{\"entities\":[{\"key\":\"k\",\"name\":\"n\",\"tags\":[1]}]}",
			ERR_INVALID, "/entities/0/tags" },
		{ "apply", "{\"entities\":[{\"key\":\"k\",\"name\":\"n\",\"labels\":{\"a\":1}}]}",
			ERR_INVALID, "/entities/0/labels" },
		{ "apply", "{\"entities\":[],\"sync\":7}", ERR_INVALID, "/sync" },
		{ "apply", "{\"entities\":[],\"sync\":\"9223372036854775808\"}", ERR_INVALID,
			"/sync" },
		{ "dependencies", "{\"name\":\"x\",\"reverse\":1}", ERR_INVALID, "/reverse" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct error err;
		int rc = start("catalog/1", cases[i].method, cases[i].json,
			"catalog.read catalog.write", "*", &err);

		ck_assert_msg(rc == cases[i].rc && strstr(err.text, cases[i].where), "%s %s: %d %s",
			cases[i].method, cases[i].json, rc, err.text);
	}
}

TEST(api_ext__a_time_to_live_is_no_longer_than_a_date_can_be)
{
	static const char *const refused[] = { "\"0\"", "\"-1\"", "5", "\"3155760000001\"",
		"\"9223372036854775807\"", "\"99999999999999999999\"" };
	struct error err;

	for (size_t i = 0; i < ARRAY_LENGTH(refused); i++) {
		char *json = mem_printf("{\"key\":\"k\",\"value\":1,\"ttl_ms\":%s}", refused[i]);

		EXPECT_INT(start("kv/1", "put", json, "kv", "*", &err), ==, ERR_INVALID);
		EXPECT_CONTAINS(err.text, "/ttl_ms");
		mem_free(json);
	}
}

TEST(api_ext__bytes_go_only_where_a_method_takes_them)
{
	struct api api = { .environment = (char *)(uintptr_t) "test" };
	struct principal *who = principal_new();
	struct ext_call call = {
		.extension = SPAN("kv/1"),
		.method = SPAN("get"),
		.json = SPAN("{\"key\":\"a\"}"),
		.bytes = SPAN("x"),
		.who = who,
		.installation = SPAN("inst"),
		.permissions = "kv",
		.request_id = SPAN("r"),
	};

	EXPECT_INT(ext_call_start(&api, &call, NULL, NULL, NULL, NULL), ==, ERR_INVALID);
	EXPECT_TRUE(ext_is_mutating(SPAN("kv/1"), SPAN("put")));
	EXPECT_FALSE(ext_is_mutating(SPAN("kv/1"), SPAN("get")));
	EXPECT_TRUE(ext_is_mutating(SPAN("other/1"), SPAN("get")));
	principal_unref(who);
}

TEST(api_ext__what_a_plugin_provides_is_checked_by_our_schema)
{
	static const struct {
		const char *method, *json, *permissions;
		int rc;
	} cases[] = {
		{ "send", "{\"channel\":\"email\",\"to\":\"a@b\",\"subject\":\"s\",\"text\":\"t\"}",
			"notify", 0 },
		{ "send", "{\"channel\":\"email\",\"to\":\"a@b\",\"subject\":\"s\",\"text\":\"t\"}",
			NULL, 0 },
		{ "send", "{\"channel\":\"email\",\"to\":\"a@b\",\"subject\":\"s\",\"text\":\"t\"}",
			"fetch", ERR_PERMISSION },
		{ "send",
			"{\"channel\":\"pigeon\",\"to\":\"a@b\",\"subject\":\"s\",\"text\":\"t\"}",
			"notify", ERR_INVALID },
		{ "send", "{\"channel\":\"email\",\"to\":\"a@b\",\"subject\":\"s\"}", "notify",
			ERR_INVALID },
		{ "send", "{", "notify", ERR_FORMAT },
		{ "receive", "{}", "notify", ERR_UNSUPPORTED },
	};

	EXPECT_TRUE(ext_is_lent(SPAN("notify/1")));
	EXPECT_FALSE(ext_is_ours(SPAN("notify/1")));
	EXPECT_FALSE(ext_is_lent(SPAN("fetch/1")));
	EXPECT_TRUE(ext_is_ours(SPAN("fetch/1")));
	EXPECT_FALSE(ext_is_lent(SPAN("acme.geo/1")));
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		const struct ext_call call = { .extension = SPAN("notify/1"),
			.method = span_of(cases[i].method),
			.json = span_of(cases[i].json),
			.permissions = cases[i].permissions };
		struct error err;

		ck_assert_msg(
			ext_check_lent(&call, &err) == cases[i].rc, "case %zu: %s", i, err.text);
	}
}

TEST(api_ext__a_request_that_could_forge_or_stray_is_refused_before_anything_is_asked)
{
	static const struct {
		const char *method, *json;
		const char *where; /* in the message */
	} cases[] = {
		{ "request", "{}", "url_config" },
		{ "request", "{\"url\":\"http://a/\",\"url_config\":\"b\"}", "url_config" },
		{ "request", "{\"url\":\"http://a/\",\"path\":\"/x\"}", "path" },
		{ "request", "{\"url_config\":\"b\",\"path\":\"x\"}", "path" },
		{ "request", "{\"url_config\":\"b\",\"path\":\"/a/%2e./x\"}", "path" },
		{ "request", "{\"url_config\":\"b\",\"path\":\"/a/..%2Fx\"}", "path" },
		{ "request", "{\"url_config\":\"b\",\"path\":\"/a/..;b/x\"}", "path" },
		{ "request", "{\"url_config\":\"b\",\"path\":\"/..?q\"}", "path" },
		{ "request", "{\"url\":\"http://a/\",\"method\":\"TRACE\"}", "method" },
		{ "request",
			"{\"url\":\"http://a/\",\"headers\":[{\"name\":\"Host\",\"value\":\"b\"}]}",
			"Host" },
		{ "request",
			"{\"url\":\"http://a/\",\"headers\":[{\"name\":\"A\",\"value\":\"b\\nC: "
			"d\"}]}",
			"control" },
		{ "request",
			"{\"url\":\"http://a/\",\"headers\":[{\"name\":\"A\",\"secret\":\"../"
			"x\"}]}",
			"secret" },
		{ "request", "{\"url\":\"http://a/\",\"redirects\":11}", "redirects" },
		{ "mail",
			"{\"url\":\"smtp://a\",\"from\":\"a@b\",\"to\":[\"c@d\"],\"subject\":\"s\","
			"\"text\":\"t\",\"username\":\"u\"}",
			"password" },
		{ "mail",
			"{\"url\":\"smtp://a\",\"from\":\"a@b\",\"to\":[\"c@d\"],\"subject\":\"s\","
			"\"text\":\"t\",\"username\":\"u\",\"password\":\"p\",\"tls\":\"offered\"}",
			"TLS" },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct error err = { 0 };

		ck_assert_msg(start("fetch/1", cases[i].method, cases[i].json, "fetch", "*",
				      &err) == ERR_INVALID,
			"case %zu: %s", i, err.text);
		EXPECT_CONTAINS(err.text, cases[i].where);
	}
}
