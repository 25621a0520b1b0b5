#include <stdio.h>

#include "package/manifest.h"
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

#define HASH "00000000000000000000000000000000000000000000000000000000000000ff"
/* As it is signed, with one bare route and one that sets everything; the rest by argument. */
#define MANIFEST                                                                                 \
	"{\"name\":\"acme/geo\",\"version\":\"1.0.0\",\"display_name\":\"Geo\","                 \
	"\"entry\":{\"x86_64-linux-gnu\":\"lib/geo.so\"},\"requires\":{\"abi\":[\"mortise.core/" \
	"1\"]},"                                                                                 \
	"\"routes\":[{\"name\":\"put\",\"method\":\"PUT\",\"pattern\":\"/{x}\","                 \
	"\"scope\":\"geo.write\"},{\"name\":\"get\",\"method\":\"GET\",\"pattern\":\"/\","       \
	"\"scope\":\"geo.read\",\"deadline_ms\":5,\"body_limit\":0}]"

static struct store_package_facts facts;
static char patterns[64];
static int64_t deadlines[2], limits[2], sizes[1];

static void on_facts(
	const struct error *err, const struct store_package_facts *rows, size_t n, void *user)
{
	struct span item;

	row.n = n;
	if (!fixture_answer(user, err) || n == 0)
		return;
	facts = rows[0];
	COPY(row.name, facts.entry);
	COPY(row.text, facts.mount);
	patterns[0] = '\0';
	for (size_t i = 0; db_array_next(&facts.route_patterns, &item); i++) {
		size_t used = strlen(patterns);

		(void)snprintf(patterns + used, sizeof(patterns) - used, "%.*s ", SPAN_ARG(item));
		EXPECT_TRUE(db_array_next_number(&facts.route_deadlines_ms, &deadlines[i]));
		EXPECT_TRUE(db_array_next_number(&facts.route_body_limits, &limits[i]));
	}
	if (facts.file_hashes.count) {
		EXPECT_TRUE(db_array_next(&facts.file_hashes, &item) && item.len == 32);
		EXPECT_INT((unsigned char)item.data[31], ==, 0xff);
		EXPECT_TRUE(db_array_next_number(&facts.file_sizes, &sizes[0]));
	}
}

static void facts_of(struct fixture *f, const char *rest)
{
	CLEANUP(mem_freep) char *manifest = mem_printf(MANIFEST "%s}", rest);
	CLEANUP(mem_freep)
	char *sql = mem_printf(
		"INSERT INTO plugins(name, display_name, current_version) VALUES ('acme/geo', "
		"'Geo', "
		"'1.0.0') ON CONFLICT DO NOTHING; INSERT INTO packages(digest, plugin_id, version, "
		"manifest, envelope, size) SELECT 'sha256:' || repeat('a', 64), id, '1.0.0', '%s', "
		"'e', "
		"1 FROM plugins WHERE name = 'acme/geo' "
		"ON CONFLICT (digest) DO UPDATE SET manifest = EXCLUDED.manifest",
		manifest);
	char digest[72] = "sha256:";

	memset(digest + 7, 'a', 64);
	postgres_run(f->url, sql);
	fixture_expect(f);
	store_package_facts_get(
		f->supervisor, span_of(digest), SPAN("x86_64-linux-gnu"), on_facts, f);
	fixture_ok(f);
}

TEST(store_packages__facts_come_typed_and_with_the_defaults_of_the_manifest)
{
	CLEANUP(manifest_freep) struct manifest *m = NULL;
	struct fixture f;
	struct error err;

	fixture_init(&f);
	facts_of(&f, "");
	EXPECT_OK(manifest_parse(&m, SPAN(MANIFEST "}"), MANIFEST_SOURCE, &err), &err);
	EXPECT_STR(row.name, "lib/geo.so");
	EXPECT_STR(row.text, "geo");
	EXPECT_STR(patterns, "/api/geo/{x} /api/geo/ ");
	EXPECT_UINT(m->route_count, ==, 2);
	for (size_t i = 0; i < 2; i++) {
		EXPECT_INT(deadlines[i], ==, m->routes[i].deadline_ms);
		EXPECT_INT(limits[i], ==, m->routes[i].body_limit);
	}
	EXPECT_INT(limits[1], ==, 0);
	EXPECT_INT(facts.health_interval_ms, ==, 5000);
	EXPECT_INT(facts.memory_bytes, ==, 0);
	EXPECT_UINT(facts.needs.count, ==, 1);
	EXPECT_UINT(facts.file_paths.count, ==, 0);
	fixture_done(&f);
}

TEST(store_packages__facts_follow_what_the_manifest_sets)
{
	struct fixture f;

	fixture_init(&f);
	facts_of(&f, ",\"mount\":\"world\",\"health\":{\"interval_ms\":100,\"timeout_ms\":20,"
		     "\"failures\":7},\"resources\":{\"memory_bytes\":9000000000,\"disk_bytes\":5},"
		     "\"files\":[{\"path\":\"lib/geo.so\",\"size\":12,\"mode\":\"0755\","
		     "\"sha256\":\"" HASH "\"}]");
	EXPECT_STR(row.text, "world");
	EXPECT_STR(patterns, "/api/world/{x} /api/world/ ");
	EXPECT_INT(facts.health_interval_ms, ==, 100);
	EXPECT_INT(facts.health_timeout_ms, ==, 20);
	EXPECT_INT(facts.health_failures, ==, 7);
	EXPECT_INT(facts.memory_bytes, ==, INT64_C(9000000000));
	EXPECT_INT(facts.disk_bytes, ==, 5);
	EXPECT_INT(sizes[0], ==, 12);
	fixture_expect(&f);
	store_package_facts_get(
		f.supervisor, SPAN("sha256:0"), SPAN("x86_64-linux-gnu"), on_facts, &f);
	fixture_fails(&f, ERR_NOT_FOUND);
	fixture_done(&f);
}
