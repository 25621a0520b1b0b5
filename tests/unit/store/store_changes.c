#include <stdio.h>

#include "store/changes.h"
#include "store/feeds.h"
#include "store/instances.h"
#include "store/jobs.h"
#include "store/kv.h"
#include "store/nodes.h"
#include "store/packages.h"
#include "store_fixture.h"

static struct {
	int64_t number;
	char action[32], state[32], actor_name[64], phases[1024], error[256];
	char installation[64];
	size_t n;
} change;

#define COPY(to, from) (void)snprintf((to), sizeof(to), "%.*s", SPAN_ARG(from))

static void on_changes(
	const struct error *err, const struct store_change *rows, size_t n, void *user)
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

static struct {
	size_t n;
	char id[64], installed[80], wished[80], state[32], name[64], manifest[1024];
	char config[256], permission[32];
	int64_t generation, memory_mb;
	double cpu;
} got;

static void on_installations(
	const struct error *err, const struct store_installation *rows, size_t n, void *user)
{
	struct db_array permissions;
	struct span item;

	got.n = n;
	if (!fixture_answer(user, err) || n == 0)
		return;
	COPY(got.id, rows->id);
	COPY(got.installed, rows->installed_digest);
	COPY(got.wished, rows->wished_digest);
	COPY(got.state, rows->state);
	COPY(got.name, rows->plugin_name);
	COPY(got.manifest, rows->manifest);
	COPY(got.config, rows->config);
	got.generation = rows->generation;
	got.memory_mb = rows->memory_mb;
	got.cpu = rows->cpu_percent;
	permissions = rows->permissions;
	if (db_array_next(&permissions, &item))
		COPY(got.permission, item);
}

static void open_change(struct fixture *f, const char *action, struct span digest)
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

static void wish(struct fixture *f)
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

static void commit(struct fixture *f)
{
	fixture_expect(f);
	store_change_commit(f->supervisor, &f->fence, change.number, SPAN("{\"took_ms\":5}"),
		on_installations, f);
	fixture_ok(f);
}

static void install(struct fixture *f, char digest[static 72])
{
	fixture_lease(f);
	fixture_trust(f);
	(void)fixture_package(f, "1.0.0", digest);
	open_change(f, "install", span_of(digest));
	fixture_ok(f);
	wish(f);
	EXPECT_STR(got.installed, "");
	EXPECT_STR(got.wished, digest);
	EXPECT_STR(got.permission, "kv");
	commit(f);
	EXPECT_STR(got.installed, digest);
}

TEST(store_changes__an_install_from_open_to_commit)
{
	struct fixture f;
	char digest[72];

	fixture_init(&f);
	install(&f, digest);
	fixture_expect(&f);
	store_change_get(f.front, &f.as_admin, change.number, on_changes, &f);
	fixture_ok(&f);
	EXPECT_STR(change.state, "done");
	EXPECT_STR(change.actor_name, "root");
	EXPECT_CONTAINS(change.phases, "all is well");
	fixture_expect(&f);
	store_change_get(f.supervisor, NULL, change.number, on_changes, &f);
	fixture_ok(&f);
	EXPECT_STR(change.state, "done");
	fixture_expect(&f);
	store_change_get(f.front, &f.as_bob, change.number, on_changes, &f);
	fixture_fails(&f, ERR_NOT_FOUND);
	fixture_expect(&f);
	store_changes_list(f.front, &f.as_admin,
		&(struct store_changes_filter){ .plugin_name = SPAN("acme/tool"), .limit = 5 },
		on_changes, &f);
	fixture_ok(&f);
	EXPECT_UINT(change.n, ==, 1);
	fixture_expect(&f);
	store_changes_list(f.supervisor, NULL,
		&(struct store_changes_filter){
			.state = SPAN("running"),
			.environment = SPAN("test"),
		},
		on_changes, &f);
	fixture_ok(&f);
	EXPECT_UINT(change.n, ==, 0);
	fixture_done(&f);
}

TEST(store_changes__refusals_have_their_codes)
{
	struct fixture f;
	char digest[72];

	fixture_init(&f);
	open_change(&f, "install", SPAN_NONE);
	fixture_fails(&f, ERR_UNKNOWN_VERSION);
	open_change(&f, "disable", SPAN_NONE);
	fixture_fails(&f, ERR_NOT_INSTALLED);
	open_change(&f, "explode", SPAN_NONE);
	fixture_fails(&f, ERR_INVALID);
	install(&f, digest);
	open_change(&f, "install", span_of(digest));
	fixture_fails(&f, ERR_ALREADY);
	open_change(&f, "disable", SPAN_NONE);
	fixture_ok(&f);
	open_change(&f, "disable", SPAN_NONE);
	fixture_fails(&f, ERR_BUSY);
	fixture_expect(&f);
	store_change_commit(f.supervisor, &f.fence, change.number, SPAN_NONE, on_installations, &f);
	fixture_fails(&f, ERR_CHANGE_GONE); /* not claimed */
	fixture_expect(&f);
	store_change_open(f.front, &f.as_amy,
		&(struct store_change_request){ .action = SPAN("enable"),
			.plugin_name = SPAN("acme/tool"),
			.environment = SPAN("test") },
		on_changes, &f);
	fixture_fails(&f, ERR_PERMISSION);
	fixture_done(&f);
}

TEST(store_changes__a_failed_change_keeps_its_reason)
{
	struct fixture f;
	char digest[72];

	fixture_init(&f);
	fixture_lease(&f);
	fixture_trust(&f);
	(void)fixture_package(&f, "1.0.0", digest);
	open_change(&f, "install", span_of(digest));
	fixture_ok(&f);
	wish(&f);
	fixture_expect(&f);
	store_change_fail(f.supervisor, &f.fence, change.number, SPAN("failed"),
		SPAN("{\"text\":\"it crashed\"}"), on_changes, &f);
	fixture_ok(&f);
	EXPECT_STR(change.state, "failed");
	EXPECT_CONTAINS(change.error, "it crashed");
	fixture_done(&f);
}

TEST(store_changes__installations_are_listed_for_node_and_people)
{
	struct fixture f;
	char digest[72];

	fixture_init(&f);
	install(&f, digest);
	fixture_expect(&f);
	store_installations_of_node(
		f.supervisor, SPAN("n1"), SPAN("test"), SPAN_NONE, on_installations, &f);
	fixture_ok(&f);
	EXPECT_UINT(got.n, ==, 1);
	EXPECT_STR(got.name, "acme/tool");
	EXPECT_STR(got.state, "installed");
	EXPECT_CONTAINS(got.manifest, "\"acme/tool\"");
	EXPECT_STR(got.config, "{\"a\": 1}");
	fixture_expect(&f);
	store_installations_of_node(
		f.supervisor, SPAN("n1"), SPAN("test"), span_of(got.id), on_installations, &f);
	fixture_ok(&f);
	EXPECT_UINT(got.n, ==, 0);
	fixture_expect(&f);
	store_installations_list(f.front, &f.as_admin,
		&(struct store_installations_filter){ .environment = SPAN("test") },
		on_installations, &f);
	fixture_ok(&f);
	EXPECT_UINT(got.n, ==, 1);
	EXPECT_STR(got.state, "installed");
	EXPECT_TRUE(got.cpu == -1);
	fixture_expect(&f);
	store_installations_list(f.front, &f.as_bob, &(struct store_installations_filter){ 0 },
		on_installations, &f);
	fixture_ok(&f);
	EXPECT_UINT(got.n, ==, 0);
	fixture_expect(&f);
	store_installation_account(f.supervisor, span_of(got.id), on_text, &f);
	fixture_ok(&f);
	EXPECT_TRUE(f.value[0] == 'c');
	fixture_done(&f);
}

static struct store_instance instance;
static char instance_detail[2048];

static void on_instances(
	const struct error *err, const struct store_instance *rows, size_t n, void *user)
{
	if (!fixture_answer(user, err))
		return;
	EXPECT_UINT(n, ==, 1);
	instance = *rows;
	EXPECT_SPAN(rows->node_id, "n1");
	COPY(instance_detail, rows->health_detail);
}

static struct store_termination termination;
static char reason[256];

static void on_terminations(
	const struct error *err, const struct store_termination *rows, size_t n, void *user)
{
	if (!fixture_answer(user, err))
		return;
	EXPECT_UINT(n, ==, 1);
	termination = *rows;
	COPY(reason, rows->reason);
	EXPECT_SPAN(rows->kind, "crash");
	EXPECT_SPAN(rows->request_ids, "[\"r1\", \"r2\"]");
}

TEST(store_changes__samples_and_terminations_of_an_instance)
{
	struct fixture f;
	char digest[72];
	struct store_sample samples[2];
	struct store_termination record = { .kind = SPAN("crash"),
		.request_ids = SPAN("[\"r1\",\"r2\"]"),
		.reason = SPAN("bad \0 bytes \xff"),
		.signal = 11,
		.exit_status = -1,
		.cpu_ns = 5,
		.memory_bytes = -1 };

	fixture_init(&f);
	install(&f, digest);
	fixture_expect(&f);
	store_instance_started(f.supervisor, &f.fence, span_of(got.id), 4711, on_number, &f);
	fixture_ok(&f);
	samples[0] = (struct store_sample){ .installation_id = span_of(got.id),
		.generation = f.number,
		.health = SPAN("degraded"),
		.health_detail = SPAN("a \"hostile\" \0 detail \xff"),
		.cpu_ns = INT64_C(5000000000),
		.cpu_percent = 12.5,
		.memory_bytes = INT64_C(3) << 30,
		.disk_bytes = -1,
		.restarts = 2 };
	samples[1] = samples[0];
	samples[1].generation = f.number - 1; /* of its predecessor: late */
	record.installation_id = span_of(got.id);
	record.generation = f.number;
	fixture_expect(&f);
	store_instance_samples(f.supervisor, &f.fence, samples, 1, on_number, &f);
	fixture_ok(&f);
	EXPECT_INT(f.number, ==, 1);
	fixture_expect(&f);
	store_instance_samples(f.supervisor, &f.fence, samples + 1, 1, on_number, &f);
	fixture_ok(&f);
	EXPECT_INT(f.number, ==, 0);
	fixture_expect(&f);
	store_instances_list(f.front, &f.as_admin, span_of(got.id), on_instances, &f);
	fixture_ok(&f);
	EXPECT_INT(instance.memory_bytes, ==, INT64_C(3) << 30);
	EXPECT_INT(instance.disk_bytes, ==, -1);
	EXPECT_INT(instance.pid, ==, 4711);
	EXPECT_INT(instance.restarts, ==, 2);
	EXPECT_TRUE(instance.cpu_percent == 12.5);
	EXPECT_CONTAINS(instance_detail, "hostile");
	fixture_expect(&f);
	store_installations_rollup(f.supervisor, &f.fence, on_number, &f);
	fixture_ok(&f);
	EXPECT_INT(f.number, ==, 1);
	fixture_expect(&f);
	store_metrics_write(
		f.supervisor, &f.fence, SPAN("[{\"name\":\"x\",\"value\":1.5}]"), on_number, &f);
	fixture_ok(&f);
	EXPECT_INT(f.number, ==, 1);
	fixture_expect(&f);
	store_termination_write(f.supervisor, &f.fence, &record, on_number, &f);
	fixture_ok(&f);
	fixture_expect(&f);
	store_terminations_list(f.front, &f.as_admin, span_of(got.id), 0, 10, on_terminations, &f);
	fixture_ok(&f);
	EXPECT_INT(termination.signal, ==, 11);
	EXPECT_INT(termination.exit_status, ==, -1);
	EXPECT_CONTAINS(reason, "bad");
	fixture_expect(&f);
	store_instance_move(f.supervisor, &f.fence,
		&(struct store_instance_move){ .installation_id = span_of(got.id),
			.state = SPAN("failed"),
			.failure = SPAN("{\"text\":\"dead\"}") },
		on_instances, &f);
	fixture_ok(&f);
	fixture_expect(&f);
	store_instance_move(f.supervisor, &f.fence,
		&(struct store_instance_move){
			.installation_id = span_of(got.id), .state = SPAN("updating") },
		on_instances, &f);
	fixture_fails(&f, ERR_WRONG_STATE);
	fixture_done(&f);
}

TEST(store_changes__a_node_that_was_taken_over_is_fenced)
{
	struct store_fence old;
	struct fixture f;

	fixture_init(&f);
	fixture_lease(&f);
	old = f.fence;
	fixture_expect(&f);
	store_lease_take(f.supervisor, &f.fence, SPAN("sealer"), 60000, on_number, &f);
	fixture_ok(&f);
	EXPECT_INT(f.number, ==, 1);
	fixture_lease(&f);
	fixture_expect(&f);
	store_lease_take(f.supervisor, &old, SPAN("sealer"), 60000, on_number, &f);
	fixture_fails(&f, ERR_FENCED);
	fixture_expect(&f);
	store_node_release(f.supervisor, &f.fence, on_done, &f);
	fixture_ok(&f);
	fixture_expect(&f);
	store_changes_claim(f.supervisor, &f.fence, on_changes, &f);
	fixture_fails(&f, ERR_FENCED);
	fixture_done(&f);
}

TEST(store_changes__jobs_run)
{
	struct fixture f;

	fixture_init(&f);
	for (int job = 0; job < STORE_JOB_COUNT; job++) {
		fixture_expect(&f);
		store_job_run(f.supervisor, job, on_number, &f);
		fixture_ok(&f);
	}
	fixture_done(&f);
}

static size_t n_pairs;
static struct store_kv pair;
static char pair_value[64];

static void on_pairs(const struct error *err, const struct store_kv *rows, size_t n, void *user)
{
	n_pairs = n;
	if (!fixture_answer(user, err) || n == 0)
		return;
	pair = *rows;
	COPY(pair_value, rows->value);
}

TEST(store_changes__a_plugin_keeps_its_pairs)
{
	struct db_context plugin;
	struct store_kv_put put = { .key = SPAN("a/1"), .value = SPAN("{\"x\":1}"), .etag = 0 };
	struct fixture f;
	char digest[72];
	int64_t etag;

	fixture_init(&f);
	install(&f, digest);
	plugin = (struct db_context){ .user_id = span_of(f.amy), .plugin = span_of(got.id) };
	fixture_expect(&f);
	store_kv_put(f.front, &plugin, &put, on_number, &f);
	fixture_ok(&f);
	etag = f.number;
	fixture_expect(&f);
	store_kv_put(f.front, &plugin, &put, on_number, &f);
	fixture_fails(&f, ERR_CONFLICT); /* it is there */
	put = (struct store_kv_put){ .key = SPAN("a/2"), .bytes = SPAN("\0\1"), .etag = -1 };
	put.ttl_ms = 3600000;
	put.operation = SPAN("op-1");
	fixture_expect(&f);
	store_kv_put(f.front, &plugin, &put, on_number, &f);
	fixture_ok(&f);
	fixture_expect(&f);
	store_kv_get(f.front, &plugin, SPAN("a/1"), on_pairs, &f);
	fixture_ok(&f);
	EXPECT_STR(pair_value, "{\"x\": 1}");
	EXPECT_INT(pair.etag, ==, etag);
	fixture_expect(&f);
	store_kv_get(f.front, &f.as_amy, SPAN("a/1"), on_pairs, &f);
	fixture_fails(&f, ERR_NOT_FOUND);
	fixture_expect(&f);
	store_kv_list(f.front, &plugin, SPAN("a/"), SPAN("a/1"), 10, on_pairs, &f);
	fixture_ok(&f);
	EXPECT_UINT(n_pairs, ==, 1);
	EXPECT_INT(pair.size, ==, 2);
	EXPECT_TRUE(pair.expires_at > 0);
	fixture_expect(&f);
	store_kv_delete(f.front, &plugin, SPAN("a/1"), etag, SPAN_NONE, on_number, &f);
	fixture_ok(&f);
	EXPECT_INT(f.number, ==, 1);
	fixture_expect(&f);
	store_kv_delete(f.front, &plugin, SPAN("a/1"), -1, SPAN_NONE, on_number, &f);
	fixture_ok(&f);
	EXPECT_INT(f.number, ==, 0);
	fixture_done(&f);
}

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

TEST(store_changes__packages_plugins_and_versions)
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

static struct {
	int64_t horizon;
	size_t n;
	char kinds[256];
} feed;

static void on_feed(const struct error *err, int64_t horizon, const struct store_feed_row *rows,
	size_t n, void *user)
{
	if (!fixture_answer(user, err))
		return;
	feed.horizon = horizon;
	feed.n = n;
	feed.kinds[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(feed.kinds);

		EXPECT_TRUE(rows[i].position > 0 && rows[i].transaction > 0);
		(void)snprintf(feed.kinds + len, sizeof(feed.kinds) - len, "%.*s ",
			SPAN_ARG(rows[i].kind));
	}
}

TEST(store_changes__feeds_give_every_row_once_the_reader_keeps_the_horizon)
{
	struct fixture f;
	int64_t since;

	fixture_init(&f);
	fixture_expect(&f);
	store_feed_read(f.front, STORE_FEED_AUTHORITY, 0, on_feed, &f);
	fixture_ok(&f);
	EXPECT_UINT(feed.n, ==, 0);
	EXPECT_TRUE(feed.horizon > 0);
	since = feed.horizon;
	postgres_run(f.url, "UPDATE users SET role = 'VIEWER' WHERE name = 'amy'");
	fixture_expect(&f);
	store_feed_read(f.front, STORE_FEED_AUTHORITY, since, on_feed, &f);
	fixture_ok(&f);
	EXPECT_STR(feed.kinds, "user ");
	fixture_expect(&f);
	store_feed_read(f.supervisor, STORE_FEED_AUTHORITY, feed.horizon, on_feed, &f);
	fixture_ok(&f);
	EXPECT_UINT(feed.n, ==, 0);
	postgres_run(f.url, "INSERT INTO services(name, display_name, type) "
			    "VALUES ('s', 'S', 'service')");
	fixture_expect(&f);
	store_feed_read(f.front, STORE_FEED_CATALOG, since, on_feed, &f);
	fixture_ok(&f);
	EXPECT_STR(feed.kinds, "service ");
	fixture_done(&f);
}
