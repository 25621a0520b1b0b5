#include <stdio.h>

#include "store/services.h"
#include "store_fixture.h"

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

TEST(store_services__an_import_is_listed_and_walked_as_the_asker_may_see)
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

TEST(store_services__a_sync_that_does_not_run_is_refused)
{
	struct store_catalog_write finish = { .provider = SPAN("test"), .sync = 77 };
	struct fixture f;

	fixture_init(&f);
	fixture_expect(&f);
	store_catalog_sync_finish(f.front, &f.as_admin, &finish, on_text, &f);
	fixture_fails(&f, ERR_SYNC_GONE);
	fixture_done(&f);
}
