/* The graph against the database: both ways of answering are asked the same, as several people,
 * while the catalog changes. */
#include "catalog/follow.h"

#include <stdio.h>
#include <uv.h>

#include "base/mem.h"
#include "catalog/catalog.h"
#include "catalog/graph.h"
#include "db/pool.h"
#include "lib/postgres.h"
#include "lib/test.h"

struct scene {
	uv_loop_t loop;
	char *url, *admin, *amy;
	struct db_pool *pool;
	struct follow *follow;
	bool connected, answered;
	char text[4096];
};

static void on_state(bool connected, const struct error *reason, void *user)
{
	(void)reason;
	((struct scene *)user)->connected = connected;
}

static void wait_for(struct scene *s, bool *what)
{
	while (!*what)
		(void)uv_run(&s->loop, UV_RUN_ONCE);
	s->answered = false;
}

/* 40 services in two teams and none, each needing three others; amy is of team red. */
static void open_scene(struct scene *s)
{
	struct db_pool_options options = { .application = "test", .state = on_state, .user = s };
	struct error err;
	char *front;

	memset(s, 0, sizeof(*s));
	s->url = postgres_database();
	postgres_run(s->url,
		"INSERT INTO users(email, name, provider, provider_id, role) VALUES "
		"('a@x.invalid', 'admin', 'github', 'a', 'ADMIN'), "
		"('b@x.invalid', 'amy', 'github', 'b', 'DEVELOPER');"
		"INSERT INTO teams(name, display_name) VALUES ('red', 'Red'), ('blue', 'Blue');"
		"INSERT INTO team_members(user_id, team_id) SELECT u.id, t.id FROM users u, teams "
		"t "
		"WHERE u.name = 'amy' AND t.name = 'red';"
		"INSERT INTO services(name, display_name, type, team_id) SELECT 's' || n, 'S', "
		"'library', (SELECT id FROM teams WHERE name = CASE n % 5 WHEN 0 THEN 'blue' WHEN "
		"1 "
		"THEN '' ELSE 'red' END) FROM generate_series(1, 40) n;"
		"INSERT INTO service_relationships(source_id, target_id, relationship_type) "
		"SELECT a.id, b.id, CASE k WHEN 1 THEN 'depends_on' WHEN 2 THEN 'consumes_api' "
		"ELSE "
		"'part_of' END::relationship_type FROM generate_series(1, 40) n, "
		"generate_series(1, "
		"3) k "
		"JOIN LATERAL (SELECT id FROM services WHERE name = 's' || n) a ON true "
		"JOIN LATERAL (SELECT id FROM services WHERE name = 's' || (n * (k + 1) % 40 + 1)) "
		"b "
		"ON true WHERE a.id <> b.id");
	s->admin = postgres_value(s->url, "SELECT id FROM users WHERE name = 'admin'");
	s->amy = postgres_value(s->url, "SELECT id FROM users WHERE name = 'amy'");
	front = postgres_url_as(s->url, "mortise_front", "mortise_front");
	options.url = front;
	(void)uv_loop_init(&s->loop);
	EXPECT_OK(db_pool_start(&s->pool, &s->loop, &options, &err), &err);
	mem_free(front);
	wait_for(s, &s->connected);
	s->follow = follow_new(s->pool);
}

static void on_done(void *user)
{
	((struct scene *)user)->answered = true;
}

static void close_scene(struct scene *s)
{
	db_pool_close(s->pool, on_done, s);
	wait_for(s, &s->answered);
	follow_free(s->follow);
	(void)uv_run(&s->loop, UV_RUN_DEFAULT);
	EXPECT_INT(uv_loop_close(&s->loop), ==, 0);
	mem_free(s->url);
	mem_free(s->admin);
	mem_free(s->amy);
}

/* Until the graph is there and new. */
static struct graph *wait_graph(struct scene *s)
{
	while (follow_ask(s->follow, on_done, s) < 0)
		(void)uv_run(&s->loop, UV_RUN_ONCE);
	EXPECT_FALSE(s->answered);
	wait_for(s, &s->answered);
	return follow_graph(s->follow);
}

static void on_result(void *user, const struct error *err, json_t *result, struct span next)
{
	struct scene *s = user;
	char *rows = result ? json_dumps(result, JSON_COMPACT | JSON_SORT_KEYS) : NULL;

	s->answered = true;
	(void)snprintf(s->text, sizeof(s->text), "%d %s %.*s", err ? err->code : 0,
		rows ? rows : "-", SPAN_ARG(next));
	free(rows);
}

static void ask(struct scene *s, struct follow *follow, const char *who, struct catalog_walk walk)
{
	struct db_context context = { .user_id = span_of(who) };

	catalog_dependencies(s->pool, follow, &context, &walk, on_result, s);
	EXPECT_FALSE(s->answered);
	wait_for(s, &s->answered);
}

/* Ask both, for every service of the first ten, as admin and as amy, both ways, in pages. */
static void expect_the_same(struct scene *s)
{
	const char *people[] = { s->admin, s->amy };
	char name[8], from_database[sizeof(s->text)];
	unsigned found = 0;

	ck_assert(wait_graph(s) != NULL);
	for (unsigned i = 0; i < 40; i++) {
		struct catalog_walk walk = { .depth = i % 3 ? 100 : 2,
			.reverse = i & 1,
			.limit = i % 4 ? 50 : 3,
			.after = i % 8 ? SPAN_NONE : SPAN("2 s3") };

		(void)snprintf(name, sizeof(name), "s%u", i / 4 + 1);
		walk.name = span_of(name);
		ask(s, NULL, people[i / 2 % 2], walk);
		(void)snprintf(from_database, sizeof(from_database), "%s", s->text);
		ask(s, s->follow, people[i / 2 % 2], walk);
		EXPECT_STR(s->text, from_database);
		ck_assert(follow_graph(s->follow) != NULL);
		found += strstr(s->text, "via") != NULL;
	}
	EXPECT_UINT(found, >, 5);
}

TEST(catalog_follow__the_graph_answers_as_the_database_does)
{
	struct scene s;

	open_scene(&s);
	EXPECT_INT(follow_ask(s.follow, on_done, &s), ==, ERR_AGAIN); /* nothing is read yet */
	expect_the_same(&s);
	EXPECT_UINT(graph_services(follow_graph(s.follow)), ==, 40);
	close_scene(&s);
}

TEST(catalog_follow__what_is_committed_before_the_question_is_in_the_answer)
{
	static const char *const changes[] = {
		("UPDATE services SET team_id = (SELECT id FROM teams WHERE name = 'blue') WHERE "
		 "name IN ('s2', 's7')"),
		"UPDATE services SET deleted_at = now() WHERE name = 's3'",
		"UPDATE services SET deleted_at = NULL WHERE name = 's3'",
		("DELETE FROM service_relationships WHERE source_id IN (SELECT id FROM services "
		 "WHERE name IN ('s1', 's4'))"),
		("INSERT INTO services(name, display_name, type, team_id) SELECT 'fresh', 'F', "
		 "'library', id FROM teams WHERE name = 'red'"),
		("INSERT INTO service_relationships(source_id, target_id, relationship_type) "
		 "SELECT a.id, b.id, 'depends_on' FROM services a, services b WHERE a.name = 's1' "
		 "AND b.name = 'fresh' OR a.name = 'fresh' AND b.name = 's9'"),
		"UPDATE services SET name = 'renamed' WHERE name = 'fresh'",
		("UPDATE service_relationships SET relationship_type = 'part_of' WHERE source_id = "
		 "(SELECT id FROM services WHERE name = 's5')"),
		"DELETE FROM services WHERE name = 'renamed'",
		"DELETE FROM team_members",
		"INSERT INTO host_settings(name, value) VALUES ('catalog.visibility', "
		"'\"everyone\"')",
	};
	struct scene s;

	open_scene(&s);
	ck_assert(wait_graph(&s) != NULL);
	for (size_t i = 0; i < ARRAY_LENGTH(changes); i++) {
		postgres_run(s.url, changes[i]);
		expect_the_same(&s);
	}
	close_scene(&s);
}

TEST(catalog_follow__more_changes_than_it_follows_make_it_read_anew)
{
	struct scene s;

	open_scene(&s);
	ck_assert(wait_graph(&s) != NULL);
	postgres_run(s.url, "INSERT INTO services(name, display_name, type) SELECT 'n' || n, 'N', "
			    "'library' FROM generate_series(1, 4500) n");
	EXPECT_INT(follow_ask(s.follow, on_done, &s), ==, 0);
	wait_for(&s, &s.answered);
	EXPECT_NULL(follow_graph(s.follow)); /* lost: the question is the database's */
	EXPECT_UINT(graph_services(wait_graph(&s)), ==, 4540); /* in several pages */
	expect_the_same(&s);
	close_scene(&s);
}

static void on_query(const struct db_result *result, void *user)
{
	ck_assert_msg(!result->err, "%s", result->err ? result->err->text : "");
	on_done(user);
}

TEST(catalog_follow__an_open_transaction_does_not_hold_changes_back)
{
	static const struct db_statement take_part = { .name = "take_part",
		.sql = "SELECT pg_current_xact_id()" };
	struct db_transaction *open;
	struct scene s;

	open_scene(&s);
	ck_assert(wait_graph(&s) != NULL);
	open = db_begin(s.pool, NULL, 60000, on_query, &s);
	wait_for(&s, &s.answered);
	db_transaction_query(open,
		&(struct db_request){ .statement = &take_part, .done = on_query, .user = &s });
	wait_for(&s, &s.answered);
	for (unsigned i = 0; i < 3; i++) {
		postgres_run(
			s.url, i == 1 ? "UPDATE services SET deleted_at = now() WHERE name = 's3'"
				      : "UPDATE services SET name = name || 'x' WHERE name < 's2'");
		expect_the_same(&s);
	}
	db_rollback(open, on_query, &s);
	wait_for(&s, &s.answered);
	expect_the_same(&s);
	close_scene(&s);
}
