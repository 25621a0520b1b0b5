#include <stdio.h>

#include "store/packages.h"
#include "store_fixture.h"

static struct {
	size_t n;
	char first[72], name[64], text[256], envelope[32];
	int64_t size;
	bool flag;
} row;

static void on_packages(
	const struct error *err, const struct store_package *rows, size_t n, void *user)
{
	row.n = n;
	if (!fixture_answer(user, err) || n == 0)
		return;
	COPY(row.first, rows->digest);
	COPY(row.name, rows->plugin_name);
	COPY(row.text, rows->manifest);
	row.size = rows->size;
	row.flag = span_equal(rows->envelope, SPAN("signed \0 bytes"));
}

static void on_plugins(
	const struct error *err, const struct store_plugin *rows, size_t n, void *user)
{
	row.n = n;
	if (!fixture_answer(user, err) || n == 0)
		return;
	COPY(row.name, rows->name);
	COPY(row.text, rows->latest_version);
}

static void on_versions(
	const struct error *err, const struct store_plugin_version *rows, size_t n, void *user)
{
	row.n = n;
	if (!fixture_answer(user, err) || n == 0)
		return;
	COPY(row.text, rows->version);
	COPY(row.first, rows->digest);
	row.size = rows->size;
}

TEST(store_packages__packages_plugins_and_versions)
{
	struct fixture f;
	char one[72], two[72];

	fixture_init(&f);
	fixture_lease(&f);
	fixture_trust(&f);
	(void)fixture_package(&f, "1.9.0", one);
	fixture_trust(&f); /* again is fine, and f.value holds the key again */
	(void)fixture_package(&f, "1.10.0", two);
	fixture_expect(&f);
	store_package_get(f.supervisor, NULL, span_of(one), on_packages, &f);
	fixture_ok(&f);
	EXPECT_STR(row.name, "acme/tool");
	EXPECT_INT(row.size, ==, 20);
	EXPECT_TRUE(row.flag);
	fixture_expect(&f);
	store_package_get(f.front, &f.as_amy, SPAN("sha256:0"), on_packages, &f);
	fixture_fails(&f, ERR_NOT_FOUND);
	fixture_expect(&f);
	store_package_chunk_get(f.supervisor, span_of(one), 0, on_text, &f);
	fixture_ok(&f);
	EXPECT_STR(f.value, "twenty bytes, really");
	fixture_expect(&f);
	store_package_chunk_get(f.supervisor, span_of(one), 1, on_text, &f);
	fixture_fails(&f, ERR_NOT_FOUND);
	fixture_expect(&f);
	store_package_digests(f.supervisor, SPAN_NONE, on_packages, &f);
	fixture_ok(&f);
	EXPECT_UINT(row.n, ==, 2);
	EXPECT_STR(row.first, two); /* sha256:1e10... before sha256:1e9... */
	fixture_expect(&f);
	store_plugins_list(f.front, &f.as_amy, SPAN("tool"), SPAN_NONE, 10, on_plugins, &f);
	fixture_ok(&f);
	fixture_expect(&f);
	store_plugins_list(f.front, &f.as_amy, SPAN_NONE, SPAN("acme/tool"), 10, on_plugins, &f);
	fixture_ok(&f);
	EXPECT_UINT(row.n, ==, 0);
	fixture_expect(&f);
	store_plugin_get(f.front, &f.as_amy, SPAN("acme/tool"), on_plugins, &f);
	fixture_ok(&f);
	EXPECT_STR(row.text, "1.10.0");
	fixture_expect(&f);
	store_plugin_versions_list(f.front, &f.as_amy, SPAN("acme/tool"), 10, on_versions, &f);
	fixture_ok(&f);
	EXPECT_UINT(row.n, ==, 2);
	EXPECT_STR(row.text, "1.10.0");
	EXPECT_STR(row.first, two);
	fixture_expect(&f);
	store_package_register(f.supervisor, &f.fence,
		&(struct store_package_register){
			.digest = SPAN("sha256:0000000000000000000000000000000000000000000000000000"
				       "000000000000"),
			.manifest = SPAN("{\"name\":\"acme/"
					 "tool\",\"version\":\"1.9.0\",\"display_name\":\"T\"}"),
			.envelope = SPAN("x"),
			.size = 1 },
		on_number, &f);
	fixture_fails(&f, ERR_OTHER_DIGEST);
	fixture_done(&f);
}
