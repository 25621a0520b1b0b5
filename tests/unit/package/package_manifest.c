#include "package/manifest.h"

#include "codec/json.h"
#include "lib/test.h"

/* The smallest source manifest, with `more` behind it. */
static int parse_more(const char *more, struct manifest **out, struct error *err)
{
	CLEANUP(mem_freep)
	char *text = mem_printf("{\"name\":\"acme/hello\",\"version\":\"1.0.0\","
				"\"display_name\":\"Hello\","
				"\"entry\":{\"x86_64-linux-gnu\":\"lib/a.so\"}%s%s}",
		more[0] ? "," : "", more);

	return manifest_parse(out, span_of(text), MANIFEST_SOURCE, err);
}

static int check(const char *more, struct error *err)
{
	struct manifest *m = NULL;
	int rc = parse_more(more, &m, err);

	manifest_free(m);
	return rc;
}

TEST(package_manifest__four_members_are_enough)
{
	struct manifest *m = NULL;
	struct error err;

	EXPECT_OK(parse_more("", &m, &err), &err);
	EXPECT_SPAN(m->publisher, "acme");
	EXPECT_SPAN(m->plugin, "hello");
	EXPECT_SPAN(m->mount, "hello");
	EXPECT_FALSE(m->many);
	EXPECT_PTR(manifest_find_entry(m, SPAN("x86_64-linux-gnu")));
	manifest_free(m);
}

TEST(package_manifest__everything_that_may_be_said_is_accepted)
{
	struct manifest *m = NULL;
	struct error err;

	EXPECT_OK(parse_more(
			  "\"description\":\"d\",\"category\":\"c\",\"tags\":[\"a\",\"b\"],"
			  "\"license\":\"MIT\",\"homepage\":\"https://example.org/\","
			  "\"author\":{\"name\":\"n\",\"email\":\"e@example.org\"},"
			  "\"instances\":\"many\",\"mount\":\"hi\","
			  "\"requires\":{\"abi\":[\"mortise.core/1\"],\"optional\":[]},"
			  "\"routes\":[{\"name\":\"ping\",\"method\":\"GET\",\"pattern\":\"/ping\","
			  "\"scope\":\"hello.read\",\"deadline_ms\":100,\"body_limit\":0},"
			  "{\"name\":\"who\",\"method\":\"GET\",\"pattern\":\"/{name}\","
			  "\"scope\":\"hello.read\"}],"
			  "\"permissions\":[\"kv\",\"catalog.read\"],\"provides\":[\"acme.geo/1\"],"
			  "\"resources\":{\"memory_bytes\":67108864,\"cpu_percent\":50,"
			  "\"disk_bytes\":0},\"health\":{\"interval_ms\":5000,\"timeout_ms\":2000,"
			  "\"failures\":3,\"url\":\"http://127.0.0.1/x\"},"
			  "\"config\":{\"schema\":{\"type\":\"object\",\"required\":[\"b\"],"
			  "\"properties\":{\"a\":{\"type\":\"integer\"}}},\"defaults\":{\"a\":1}},"
			  "\"dependencies\":[{\"name\":\"acme/x\",\"range\":\"^1\","
			  "\"optional\":true}],\"peer_dependencies\":[],"
			  "\"platform\":{\"min\":\"1.0.0\",\"max\":\"2.0.0\"},\"backstage\":{},"
			  "\"changelog\":\"x\",\"release_notes\":\"y\",\"breaking\":true,"
			  "\"released_at\":\"2026-11-01T00:00:00Z\",\"readme\":\"README.md\"",
			  &m, &err),
		&err);
	EXPECT_TRUE(m->many);
	EXPECT_SPAN(m->mount, "hi");
	EXPECT_UINT(m->route_count, ==, 2);
	EXPECT_INT(m->routes[1].deadline_ms, ==, 30000);
	EXPECT_INT(m->routes[1].body_limit, ==, 1 << 20);
	manifest_free(m);
}

TEST(package_manifest__what_is_not_known_or_of_the_wrong_type_is_refused)
{
	static const char *const bad[] = { "\"unknown\":1", "\"tags\":\"a\"", "\"tags\":[1]",
		"\"author\":{\"nick\":\"x\"}", "\"routes\":{}", "\"routes\":[1]",
		"\"breaking\":\"yes\"", "\"health\":{\"interval_ms\":\"5\"}",
		"\"resources\":{\"memory_bytes\":1}", "\"config\":{\"secret\":{}}",
		"\"dependencies\":[{\"name\":\"acme/x\"}]", "\"payload\":{}", "\"files\":[]",
		"\"description\":1", "\"name\":\"acme/again\"" };
	struct error err;

	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
		ck_assert_msg(check(bad[i], &err) == ERR_MANIFEST_FORM, "%s: %d %s", bad[i],
			err.code, err.text);
}

TEST(package_manifest__values_against_the_rules_are_refused)
{
	static const char *const bad[] = { "\"tags\":[\"a\",\"a\"]", "\"mount\":\"Hello\"",
		"\"mount\":\"a/b\"", "\"instances\":\"two\"", "\"homepage\":\"javascript:x\"",
		"\"released_at\":\"yesterday\"", "\"permissions\":[\"a b\"]",
		"\"provides\":[\"catalog/1\"]", "\"provides\":[\"mortise.geo/1\"]",
		"\"provides\":[\"geo\"]", "\"requires\":{\"abi\":[\"core\"]}",
		"\"platform\":{\"min\":\"1\"}",
		"\"dependencies\":[{\"name\":\"x\",\"range\":\"^1\"}]",
		"\"dependencies\":[{\"name\":\"acme/x\",\"range\":\"newest\"}]",
		"\"health\":{\"url\":\"file:///etc/passwd\"}" };
	struct error err;

	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
		ck_assert_msg(check(bad[i], &err) == ERR_MANIFEST_VALUE, "%s: %d %s", bad[i],
			err.code, err.text);
}

static int route(const char *name, const char *method, const char *pattern, const char *scope,
	struct error *err)
{
	CLEANUP(mem_freep)
	char *more = mem_printf("\"routes\":[{\"name\":\"first\",\"method\":\"GET\","
				"\"pattern\":\"/a/{b}\",\"scope\":\"hello.read\"},"
				"{\"name\":\"%s\",\"method\":\"%s\",\"pattern\":\"%s\","
				"\"scope\":\"%s\"}]",
		name, method, pattern, scope);

	return check(more, err);
}

TEST(package_manifest__routes_are_checked)
{
	static const struct {
		const char *name, *method, *pattern, *scope;
	} bad[] = {
		{ "first", "GET", "/x", "hello.read" },
		{ "Second", "GET", "/x", "hello.read" },
		{ "second", "BREW", "/x", "hello.read" },
		{ "second", "get", "/x", "hello.read" },
		{ "second", "GET", "x", "hello.read" },
		{ "second", "GET", "/x/", "hello.read" },
		{ "second", "GET", "//x", "hello.read" },
		{ "second", "GET", "/../x", "hello.read" },
		{ "second", "GET", "/x?y", "hello.read" },
		{ "second", "GET", "/{}", "hello.read" },
		{ "second", "GET", "/{a}/{a}", "hello.read" },
		{ "second", "GET", "/a{b}", "hello.read" },
		{ "second", "GET", "/a/{other}", "hello.read" },
		{ "second", "GET", "/x", "hello" },
		{ "second", "GET", "/x", "*" },
		{ "second", "GET", "/x", "hello.read:" },
	};
	struct error err;

	EXPECT_OK(route("second", "POST", "/a/{b}", "hello.write", &err), &err);
	EXPECT_OK(route("second", "GET", "/a/literal", "hello.read:thing", &err), &err);
	EXPECT_OK(route("second", "GET", "/", "hello.read", &err), &err);
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
		ck_assert_msg(route(bad[i].name, bad[i].method, bad[i].pattern, bad[i].scope,
				      &err) == ERR_MANIFEST_VALUE,
			"case %zu: %d %s", i, err.code, err.text);
}

TEST(package_manifest__columns_bound_their_texts_in_characters)
{
	static const struct {
		const char *member;
		size_t width;
	} columns[] = { { "category", 100 }, { "license", 50 } };
	struct error err;

	for (size_t i = 0; i < ARRAY_LENGTH(columns); i++) {
		struct text more;

		text_init(&more);
		text_printf(&more, "\"%s\":\"", columns[i].member);
		for (size_t n = 0; n < columns[i].width; n++)
			text_append_string(&more, "\xc3\xa4");
		text_append_string(&more, "\"");
		EXPECT_OK(check(more.data, &err), &err);
		more.len--;
		text_append_string(&more, "x\"");
		EXPECT_INT(check(more.data, &err), ==, ERR_MANIFEST_FORM);
		EXPECT_CONTAINS(err.text, columns[i].member);
		text_done(&more);
	}
}

TEST(package_manifest__names_and_versions_are_checked)
{
	static const char *const names[] = { "hello", "acme/", "/hello", "acme/Hello",
		"acme/hello/x", "acme/-x", "a_b/c", "a123456789012345678901234567890/x" };
	static const char *const versions[] = { "1", "1.0", "1.0.0.0", "01.0.0", "v1.0.0", "",
		"1.0.0-01", "1.0.0-" };
	struct error err;

	EXPECT_TRUE(manifest_name_valid(SPAN("a12345678901234567890123456789/x")));
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
		ck_assert_msg(!manifest_name_valid(span_of(names[i])), "%s", names[i]);
	for (size_t i = 0; i < ARRAY_LENGTH(versions); i++) {
		CLEANUP(mem_freep)
		char *text = mem_printf("{\"name\":\"acme/hello\",\"version\":\"%s\","
					"\"display_name\":\"x\","
					"\"entry\":{\"x86_64-linux-gnu\":\"a\"}}",
			versions[i]);
		struct manifest *m = NULL;

		EXPECT_INT(manifest_parse(&m, span_of(text), MANIFEST_SOURCE, &err), <, 0);
		EXPECT_NULL(m);
	}
}

TEST(package_manifest__what_is_not_strict_json_is_refused)
{
	static const char *const bad[] = { "", "[]", "{", "{}x", "{\"a\":1,\"a\":2}",
		"{\"name\":\"\\u0000\"}", "{\"name\":\"\xff\"}", "null" };
	struct error err;

	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
		struct manifest *m = NULL;

		EXPECT_INT(manifest_parse(&m, span_of(bad[i]), MANIFEST_SOURCE, &err), ==,
			ERR_MANIFEST_FORM);
	}
}

TEST(package_manifest__an_entry_for_an_unknown_platform_is_refused)
{
	static const char text[] = "{\"name\":\"acme/hello\",\"version\":\"1.0.0\","
				   "\"display_name\":\"x\",\"entry\":{\"vax-vms\":\"a\"}}";
	struct manifest *m = NULL;
	struct error err;

	EXPECT_INT(
		manifest_parse(&m, span_of(text), MANIFEST_SOURCE, &err), ==, ERR_MANIFEST_VALUE);
}
