#include "catalog/catalog.h"

#include <stdio.h>

#include <uv.h>

#include "base/mem.h"
#include "db/pool.h"
#include "lib/postgres.h"
#include "lib/test.h"
#include "store/store.h"

struct scene {
	uv_loop_t loop;
	char *url, *admin, *amy;
	struct db_pool *pool;
	struct db_context as_admin, as_amy;
	bool connected, answered;
	int code;
	json_t *result;
	char next[700];
};

static void on_state(bool connected, const struct error *reason, void *user)
{
	(void)reason;
	((struct scene *)user)->connected = connected;
}

/* s1 -> s2 -> ... -> s9, and s1 -> s5; team red owns the odd ones, amy is its member. */
static void open_scene(struct scene *s)
{
	struct db_pool_options options = { .application = "test", .state = on_state, .user = s };
	struct error err;
	char *front;

	memset(s, 0, sizeof(*s));
	s->url = postgres_database();
	postgres_run(s->url,
		"INSERT INTO users(email, name, provider, provider_id, role) VALUES "
		"('a@x.invalid', "
		"'admin', 'github', 'a', 'ADMIN'), ('b@x.invalid', 'amy', 'github', 'b', "
		"'DEVELOPER');"
		"INSERT INTO teams(name, display_name) VALUES ('red', 'Red');"
		"INSERT INTO team_members(user_id, team_id) SELECT u.id, t.id FROM users u, teams "
		"t "
		"WHERE u.name = 'amy';"
		"INSERT INTO services(name, display_name, type, team_id, metadata) SELECT 's' || "
		"n, "
		"'S', 'library', CASE WHEN n % 2 = 1 THEN t.id END, '{\"version\":\"7\"}' FROM "
		"generate_series(1, 9) n, teams t;"
		"INSERT INTO service_relationships(source_id, target_id, relationship_type) SELECT "
		"a.id, "
		"b.id, 'depends_on' FROM services a JOIN services b ON b.name = 's' || "
		"(substr(a.name, 2)::int + 1) OR a.name = 's1' AND b.name = 's5'");
	s->admin = postgres_value(s->url, "SELECT id FROM users WHERE name = 'admin'");
	s->amy = postgres_value(s->url, "SELECT id FROM users WHERE name = 'amy'");
	s->as_admin.user_id = span_of(s->admin);
	s->as_amy.user_id = span_of(s->amy);
	front = postgres_url_as(s->url, "mortise_front", "mortise_front");
	options.url = front;
	(void)uv_loop_init(&s->loop);
	EXPECT_OK(db_pool_start(&s->pool, &s->loop, &options, &err), &err);
	mem_free(front);
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
	db_pool_close(s->pool, on_closed, s);
	while (!s->answered)
		(void)uv_run(&s->loop, UV_RUN_ONCE);
	(void)uv_run(&s->loop, UV_RUN_DEFAULT);
	EXPECT_INT(uv_loop_close(&s->loop), ==, 0);
	json_decref(s->result);
	mem_free(s->url);
	mem_free(s->admin);
	mem_free(s->amy);
}

static void on_result(void *user, const struct error *err, json_t *result, struct span next)
{
	struct scene *s = user;

	s->answered = true;
	s->code = err ? err->code : 0;
	json_decref(s->result);
	s->result = json_incref(result);
	(void)snprintf(s->next, sizeof(s->next), "%.*s", SPAN_ARG(next));
}

static void wait_answer(struct scene *s)
{
	EXPECT_FALSE(s->answered);
	while (!s->answered)
		(void)uv_run(&s->loop, UV_RUN_ONCE);
	s->answered = false;
}

/* "s2 s5 ": the names of an answer. */
static const char *names(struct scene *s)
{
	static char text[512];
	size_t i, at = 0;
	json_t *item;

	ck_assert_msg(s->code == 0, "error %d", s->code);
	text[0] = '\0';
	json_array_foreach(s->result, i, item) at += (size_t)snprintf(text + at, sizeof(text) - at,
		"%s ", json_string_value(json_object_get(item, "name")));
	return text;
}

TEST(catalog_catalog__pages_follow_each_other_without_gap_or_repeat)
{
	struct catalog_filter filter = { .limit = 4 };
	char after[700];
	struct scene s;

	open_scene(&s);
	catalog_list(s.pool, &s.as_admin, &filter, on_result, &s);
	wait_answer(&s);
	EXPECT_STR(names(&s), "s1 s2 s3 s4 ");
	EXPECT_STR(s.next, "s4");
	(void)snprintf(after, sizeof(after), "%s", s.next);
	filter.after = span_of(after);
	filter.limit = 5;
	catalog_list(s.pool, &s.as_admin, &filter, on_result, &s);
	wait_answer(&s);
	EXPECT_STR(names(&s), "s5 s6 s7 s8 s9 ");
	EXPECT_STR(s.next, "");
	close_scene(&s);
}

TEST(catalog_catalog__what_the_asker_may_not_see_is_not_there)
{
	struct catalog_filter filter = { .limit = 50 };
	struct scene s;

	open_scene(&s);
	catalog_list(s.pool, &s.as_amy, &filter, on_result, &s);
	wait_answer(&s);
	EXPECT_STR(names(&s), "s1 s3 s5 s7 s9 ");
	catalog_get(s.pool, &s.as_amy, SPAN("s2"), on_result, &s);
	wait_answer(&s);
	EXPECT_INT(s.code, ==, ERR_NOT_FOUND);
	catalog_get(s.pool, &s.as_amy, SPAN("s1"), on_result, &s);
	wait_answer(&s);
	EXPECT_STR(json_string_value(json_object_get(s.result, "team")), "red");
	EXPECT_STR(json_string_value(json_object_get(s.result, "version")), "7");
	close_scene(&s);
}

TEST(catalog_catalog__a_walk_is_nearest_first_and_passes_through_nothing_hidden)
{
	struct catalog_walk walk = { .name = SPAN("s1"), .depth = 2, .limit = 50 };
	struct scene s;

	open_scene(&s);
	catalog_dependencies(s.pool, NULL, &s.as_admin, &walk, on_result, &s);
	wait_answer(&s);
	EXPECT_STR(names(&s), "s2 s5 s3 s6 ");
	walk.depth = 100;
	catalog_dependencies(s.pool, NULL, &s.as_amy, &walk, on_result, &s);
	wait_answer(&s);
	EXPECT_STR(names(&s), "s5 "); /* s6 is hidden, so s7 is out of reach */
	walk.name = SPAN("s3");
	walk.reverse = true;
	catalog_dependencies(s.pool, NULL, &s.as_admin, &walk, on_result, &s);
	wait_answer(&s);
	EXPECT_STR(names(&s), "s2 s1 ");
	close_scene(&s);
}

TEST(catalog_catalog__a_walk_comes_in_pages_too)
{
	struct catalog_walk walk = { .name = SPAN("s1"), .depth = 100, .limit = 3 };
	char after[700] = "", all[512] = "";
	struct scene s;
	int pages = 0;

	open_scene(&s);
	do {
		walk.after = span_of(after);
		catalog_dependencies(s.pool, NULL, &s.as_admin, &walk, on_result, &s);
		wait_answer(&s);
		(void)strncat(all, names(&s), sizeof(all) - strlen(all) - 1);
		(void)snprintf(after, sizeof(after), "%s", s.next);
		pages++;
	} while (after[0]);
	EXPECT_STR(all, "s2 s5 s3 s6 s4 s7 s8 s9 ");
	EXPECT_INT(pages, ==, 3);
	close_scene(&s);
}
