#include "db_fixture.h"

#include <stdio.h>

#include "base/clock.h"

static const struct db_statement echo = {
	.name = "echo",
	.sql = "SELECT $1::text",
	.params = 1,
	.flags = DB_STATEMENT_READS,
};
static const struct db_statement sleep_read = {
	.name = "sleep_read",
	.sql = "SELECT pg_sleep($1::float8)::text",
	.params = 1,
	.flags = DB_STATEMENT_READS,
};
static const struct db_statement sleep_write = {
	.name = "sleep_write",
	.sql = "INSERT INTO log SELECT 'slept' FROM pg_sleep($1::float8)",
	.params = 1,
};
static const struct db_statement write_log = {
	.name = "write_log",
	.sql = "INSERT INTO log VALUES ($1)",
	.params = 1,
};
static const struct db_statement count_log = {
	.name = "count_log",
	.sql = "SELECT count(*)::text FROM log WHERE entry = $1",
	.params = 1,
	.flags = DB_STATEMENT_READS,
};

#define TEXT(s) ((const struct db_param[]){ DB_STR(s) })
#define REAL(x) ((const struct db_param[]){ DB_REAL(x) })

static void make_log(const struct fixture *f)
{
	postgres_run(f->url, "CREATE TABLE log (entry text)");
}

static void expect_logged(struct fixture *f, const char *entry, const char *count)
{
	struct answer a;

	ask(f, &a, &count_log, TEXT(entry));
	EXPECT_STR(a.value, count);
}

/* Row-level security under pipelining. */

#define MANY 10000

struct user_query {
	struct fixture *f;
	const char *user;
	unsigned *answered;
};

static const struct db_statement own_rows = {
	.name = "own_rows",
	.sql = "SELECT owner, current_setting('app.request_id') FROM secrets ORDER BY 1",
	.flags = DB_STATEMENT_READS,
};
static const struct db_statement failing = {
	.name = "failing",
	.sql = "SELECT (1 / (length(owner) - 3))::text FROM secrets",
	.flags = DB_STATEMENT_READS,
};

static void on_own_rows(const struct db_result *result, void *user)
{
	const struct user_query *q = user;

	EXPECT_NULL(result->err);
	EXPECT_UINT(result->rows, ==, 3);
	for (size_t i = 0; i < result->rows; i++) {
		struct db_row r = db_row_at(result, i);

		EXPECT_SPAN(db_row_text(&r), q->user);
		EXPECT_SPAN(db_row_text(&r), q->user);
	}
	++*q->answered;
	q->f->pending--;
}

static void on_failing(const struct db_result *result, void *user)
{
	struct fixture *f = user;

	EXPECT_PTR(result->err);
	f->pending--;
}

static void make_secrets(const char *url)
{
	postgres_run(url, "CREATE TABLE secrets (owner text); "
			  "INSERT INTO secrets SELECT u FROM unnest(ARRAY['amy', 'bob']) u, "
			  "generate_series(1, 3); "
			  "ALTER TABLE secrets ENABLE ROW LEVEL SECURITY; "
			  "CREATE POLICY own ON secrets "
			  "USING (owner = current_setting('app.current_user_id', true)); "
			  "DO $$ BEGIN CREATE ROLE reader LOGIN PASSWORD 'reader'; "
			  "EXCEPTION WHEN duplicate_object THEN NULL; END $$; "
			  "GRANT SELECT ON secrets TO reader");
}

static void query_as(struct user_query *q, const char *name)
{
	const struct db_context context = { .user_id = span_of(name), .request_id = span_of(name) };

	q->f->pending++;
	db_query(q->f->pool, &(struct db_request){ .statement = &own_rows,
				     .context = &context,
				     .timeout_ms = 50000,
				     .done = on_own_rows,
				     .user = q });
}

/* Every seventh fails (amy has three letters), which must touch nobody else's transaction. */
static void interleave(struct fixture *f)
{
	const struct db_context amy = { .user_id = SPAN("amy") };
	unsigned answered = 0;
	struct user_query users[] = { { f, "amy", &answered }, { f, "bob", &answered } };

	for (unsigned i = 0; i < MANY; i++) {
		query_as(&users[i % 3 != 0], users[i % 3 != 0].user);
		if (i % 7 != 0)
			continue;
		f->pending++;
		db_query(f->pool, &(struct db_request){ .statement = &failing,
					  .context = &amy,
					  .timeout_ms = 50000,
					  .done = on_failing,
					  .user = f });
	}
	fixture_wait(f);
	EXPECT_UINT(answered, ==, MANY);
}

static void expect_no_mixing(bool pooler)
{
	const struct db_pool_options options = { .queue = 2 * MANY, .pooler = pooler };
	char *url = postgres_database_empty();
	CLEANUP(mem_freep) char *reader = postgres_url_as(url, "reader", "reader");
	struct fixture f;
	struct answer a;

	make_secrets(url);
	fixture_start(&f, reader, &options);
	f.url = url;
	fixture_wait_connected(&f);
	interleave(&f);
	ask(&f, &a, &own_rows, NULL);
	EXPECT_INT(a.code, ==, pooler ? 0 : a.code); /* nobody sees nothing */
	EXPECT_UINT(a.rows, ==, 0);
	fixture_done(&f);
}

TEST(db_pool__ten_thousand_interleaved_queries_of_two_users_never_mix)
{
	expect_no_mixing(false);
}

TEST(db_pool__nor_do_they_without_prepared_statements)
{
	expect_no_mixing(true);
}

static const struct db_statement prepared_count = {
	.name = "prepared_count",
	.sql = "SELECT count(*)::text FROM pg_prepared_statements",
	.flags = DB_STATEMENT_READS,
};

TEST(db_pool__statements_are_prepared_once_a_connection_and_never_for_a_pooler)
{
	const struct db_pool_options direct = { .connections = 1 };
	const struct db_pool_options pooler = { .connections = 1, .pooler = true };
	struct fixture f;
	struct answer a;

	fixture_init(&f, &direct);
	ask(&f, &a, &echo, TEXT("x"));
	ask(&f, &a, &echo, TEXT("y"));
	ask(&f, &a, &prepared_count, NULL);
	EXPECT_STR(a.value, "2");
	fixture_done(&f);
	fixture_init(&f, &pooler);
	ask(&f, &a, &echo, TEXT("x"));
	ask(&f, &a, &prepared_count, NULL);
	EXPECT_STR(a.value, "0");
	fixture_done(&f);
}

static const struct db_statement later_table = {
	.name = "later_table",
	.sql = "SELECT count(*)::text FROM later",
	.flags = DB_STATEMENT_READS,
};

TEST(db_pool__a_statement_that_could_not_be_prepared_works_once_it_can)
{
	const struct db_pool_options options = { .connections = 1 };
	struct answer many[8], a;
	struct fixture f;

	fixture_init(&f, &options);
	/* The second and later ones are in flight before the Parse of the first has failed. */
	for (size_t i = 0; i < ARRAY_LENGTH(many); i++)
		send_statement(&f, &many[i], &later_table, NULL, NULL, 0);
	fixture_wait(&f);
	for (size_t i = 0; i < ARRAY_LENGTH(many); i++)
		EXPECT_INT(many[i].code, ==, ERR_INTERNAL);
	postgres_run(f.url, "CREATE TABLE later ()");
	ask(&f, &a, &later_table, NULL);
	EXPECT_STR(a.value, "0");
	fixture_done(&f);
}

/* Loss and return. */

static void terminate_all(const struct fixture *f)
{
	postgres_run(f->url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
			     "WHERE application_name = 'mortise-test' "
			     "AND datname = current_database()");
}

TEST(db_pool__a_terminated_backend_fails_what_it_had_and_a_new_one_follows)
{
	const struct db_pool_options options = { .connections = 1 };
	struct answer slow, behind, a;
	struct fixture f;

	fixture_init(&f, &options);
	make_log(&f);
	ask(&f, &a, &echo, TEXT("x"));
	send_statement(&f, &slow, &sleep_write, REAL(30), NULL, 50000);
	send_statement(&f, &behind, &write_log, TEXT("behind"), NULL, 50000);
	(void)uv_run(&f.loop, UV_RUN_NOWAIT);
	f.connects = 0;
	terminate_all(&f);
	fixture_wait(&f);
	/* The server said so itself: neither happened. */
	EXPECT_INT(slow.code, ==, ERR_UNAVAIL);
	EXPECT_INT(behind.code, ==, ERR_UNAVAIL);
	fixture_wait_connected(&f);
	ask(&f, &a, &echo, TEXT("again"));
	EXPECT_STR(a.value, "again");
	expect_logged(&f, "behind", "0");
	expect_logged(&f, "slept", "0");
	EXPECT_UINT(f.losses, ==, 1);
	fixture_done(&f);
}

static void wait_for_loss(struct fixture *f)
{
	while (!f->losses)
		(void)uv_run(&f->loop, UV_RUN_ONCE);
}

TEST(db_pool__an_idle_connection_that_ends_is_noticed)
{
	const struct db_pool_options options = { .connections = 1 };
	struct fixture f;

	fixture_init(&f, &options);
	f.connects = 0;
	terminate_all(&f);
	wait_for_loss(&f);
	EXPECT_CONTAINS(f.reason.text, "terminating connection");
	fixture_wait_connected(&f);
	fixture_done(&f);
}

TEST(db_pool__with_the_server_gone_queries_fail_at_once_and_all_resumes_when_it_returns)
{
	struct answer read, write, a;
	struct fixture f;
	uint64_t before;

	fixture_init(&f, NULL);
	make_log(&f);
	send_statement(&f, &read, &sleep_read, REAL(30), NULL, 50000);
	send_statement(&f, &write, &sleep_write, REAL(30), NULL, 50000);
	(void)uv_run(&f.loop, UV_RUN_NOWAIT);
	postgres_stop();
	fixture_wait(&f);
	EXPECT_INT(read.code, ==, ERR_UNAVAIL);
	EXPECT_INT(write.code, ==, ERR_UNKNOWN);
	wait_for_loss(&f);
	before = clock_ns();
	ask(&f, &a, &echo, TEXT("x"));
	EXPECT_INT(a.code, ==, ERR_UNAVAIL);
	EXPECT_TRUE(clock_ns() - before < CLOCK_NS_PER_SEC);
	f.connects = 0;
	postgres_start();
	fixture_wait_connected(&f);
	ask(&f, &a, &echo, TEXT("back"));
	EXPECT_STR(a.value, "back");
	expect_logged(&f, "slept", "0");
	fixture_done(&f);
}

/* Deadlines. */

TEST(db_pool__what_passes_its_deadline_is_cancelled_and_did_not_happen)
{
	const struct db_pool_options options = { .connections = 1 };
	struct answer read, write, a;
	struct fixture f;

	fixture_init(&f, &options);
	make_log(&f);
	send_statement(&f, &read, &sleep_read, REAL(30), NULL, 100);
	fixture_wait(&f);
	EXPECT_INT(read.code, ==, ERR_DEADLINE);
	send_statement(&f, &write, &sleep_write, REAL(30), NULL, 100);
	fixture_wait(&f);
	EXPECT_INT(write.code, ==, ERR_DEADLINE);
	expect_logged(&f, "slept", "0");
	ask(&f, &a, &echo, TEXT("same connection"));
	EXPECT_STR(a.value, "same connection");
	EXPECT_UINT(f.connects, ==, 1);
	fixture_done(&f);
}

TEST(db_pool__a_cancel_never_hits_the_statements_behind)
{
	const struct db_pool_options options = { .connections = 1, .depth = 64 };
	struct answer slow[8], fast[8][7];
	struct fixture f;

	fixture_init(&f, &options);
	make_log(&f);
	for (size_t i = 0; i < ARRAY_LENGTH(slow); i++) {
		send_statement(&f, &slow[i], &sleep_write, REAL(30), NULL, 60);
		for (size_t j = 0; j < ARRAY_LENGTH(fast[i]); j++)
			send_statement(&f, &fast[i][j], &write_log, TEXT("fast"), NULL, 50000);
	}
	fixture_wait(&f);
	for (size_t i = 0; i < ARRAY_LENGTH(slow); i++) {
		EXPECT_INT(slow[i].code, ==, ERR_DEADLINE);
		for (size_t j = 0; j < ARRAY_LENGTH(fast[i]); j++)
			EXPECT_INT(fast[i][j].code, ==, 0);
	}
	expect_logged(&f, "fast", "56");
	expect_logged(&f, "slept", "0");
	fixture_done(&f);
}

TEST(db_pool__a_read_behind_a_slow_one_is_answered_at_its_own_deadline)
{
	const struct db_pool_options options = { .connections = 1 };
	struct answer slow, behind, a;
	struct fixture f;
	uint64_t before = clock_ns();

	fixture_init(&f, &options);
	send_statement(&f, &slow, &sleep_read, REAL(2), NULL, 50000);
	send_statement(&f, &behind, &echo, TEXT("x"), NULL, 100);
	while (!behind.done)
		(void)uv_run(&f.loop, UV_RUN_ONCE);
	EXPECT_INT(behind.code, ==, ERR_DEADLINE);
	EXPECT_FALSE(slow.done);
	EXPECT_TRUE(clock_ns() - before < 2 * CLOCK_NS_PER_SEC);
	ask(&f, &a, &echo, TEXT("y"));
	EXPECT_STR(a.value, "y");
	EXPECT_INT(slow.code, ==, 0);
	fixture_done(&f);
}

TEST(db_pool__an_administrators_cancel_is_told_as_such)
{
	const struct db_pool_options options = { .connections = 1 };
	struct answer a;
	struct fixture f;

	fixture_init(&f, &options);
	send_statement(&f, &a, &sleep_read, REAL(30), NULL, 50000);
	(void)uv_run(&f.loop, UV_RUN_NOWAIT);
	postgres_run(f.url, "SELECT pg_sleep(0.1); SELECT pg_cancel_backend(pid) "
			    "FROM pg_stat_activity WHERE application_name = 'mortise-test' "
			    "AND datname = current_database()");
	fixture_wait(&f);
	EXPECT_INT(a.code, ==, ERR_CANCELLED);
	fixture_done(&f);
}

/* Bounds and the end. */

TEST(db_pool__a_full_queue_refuses_and_drops_nothing)
{
	const struct db_pool_options options = { .connections = 1, .depth = 1, .queue = 4 };
	struct answer a[7];
	struct fixture f;

	fixture_init(&f, &options);
	send_statement(&f, &a[0], &sleep_read, REAL(0.2), NULL, 0);
	for (size_t i = 1; i < ARRAY_LENGTH(a); i++)
		send_statement(&f, &a[i], &echo, TEXT("x"), NULL, 0);
	fixture_wait(&f);
	for (size_t i = 0; i < 5; i++)
		EXPECT_INT(a[i].code, ==, 0);
	EXPECT_INT(a[5].code, ==, ERR_AGAIN);
	EXPECT_INT(a[6].code, ==, ERR_AGAIN);
	fixture_done(&f);
}

TEST(db_pool__closing_answers_everything_once)
{
	const struct db_pool_options options = { .connections = 1, .depth = 2 };
	struct answer read, write, queued, after;
	struct fixture f;

	fixture_init(&f, &options);
	make_log(&f);
	send_statement(&f, &read, &sleep_read, REAL(30), NULL, 0);
	send_statement(&f, &write, &write_log, TEXT("x"), NULL, 0);
	send_statement(&f, &queued, &write_log, TEXT("x"), NULL, 0);
	fixture_done(&f);
	EXPECT_INT(read.code, ==, ERR_CANCELLED);
	EXPECT_INT(write.code, ==, ERR_UNKNOWN);
	EXPECT_INT(queued.code, ==, ERR_CANCELLED);
	(void)after;
}

struct closing {
	struct answer a;
	struct fixture *f;
};

static void on_closed_within(void *user)
{
	((struct fixture *)user)->closed = true;
}

static void on_answer_close(const struct db_result *result, void *user)
{
	struct closing *c = user;

	on_answer(result, &c->a);
	db_pool_close(c->f->pool, on_closed_within, c->f);
}

TEST(db_pool__may_be_closed_from_a_callback)
{
	struct fixture f;
	struct closing c = { .f = &f };
	struct answer behind[20];

	fixture_init(&f, NULL);
	c.a.f = &f;
	f.pending++;
	db_query(f.pool, &(struct db_request){ .statement = &echo,
				 .params = TEXT("x"),
				 .done = on_answer_close,
				 .user = &c });
	for (size_t i = 0; i < ARRAY_LENGTH(behind); i++)
		send_statement(&f, &behind[i], &echo, TEXT("y"), NULL, 0);
	EXPECT_INT(uv_run(&f.loop, UV_RUN_DEFAULT), ==, 0);
	EXPECT_TRUE(f.closed && c.a.done);
	EXPECT_UINT(f.pending, ==, 0);
	EXPECT_INT(uv_loop_close(&f.loop), ==, 0);
	mem_free(f.url);
}

static void fail_start(const char *url, const char *expected, const char *secret)
{
	struct db_pool *pool;
	uv_loop_t loop;
	struct error err;

	ck_assert_int_eq(uv_loop_init(&loop), 0);
	EXPECT_INT(db_pool_start(&pool, &loop,
			   &(struct db_pool_options){ .url = url, .application = "x" }, &err),
		==, ERR_CONFIG);
	EXPECT_CONTAINS(err.text, expected);
	EXPECT_NULL(strstr(err.text, secret));
	ck_assert_int_eq(uv_loop_close(&loop), 0);
}

TEST(db_pool__a_bad_url_is_refused_without_showing_its_password)
{
	fail_start("postgresql://u:s3cret%zz@h/db", "not valid", "s3cret");
	fail_start("host=x password='s3cret", "not valid", "s3cret");
	fail_start("nonsense s3cret", "not valid", "s3cret");
}

static void expect_gone(const char *url, const char *reason)
{
	struct fixture f;
	struct answer a;

	fixture_start(&f, url, NULL);
	wait_for_loss(&f);
	EXPECT_INT(f.reason.code, ==, ERR_UNAVAIL);
	EXPECT_CONTAINS(f.reason.text, reason);
	EXPECT_NULL(strstr(f.reason.text, "s3cret"));
	ask(&f, &a, &echo, TEXT("x"));
	EXPECT_INT(a.code, ==, ERR_UNAVAIL);
	fixture_done(&f);
}

TEST(db_pool__why_there_is_no_connection_is_told_without_the_password)
{
	char *url = postgres_database_empty();
	CLEANUP(mem_freep) char *wrong = postgres_url_as(url, "postgres", "s3cret");

	expect_gone(wrong, "password authentication failed");
	/* A name is resolved first, by libuv: both addresses of it are tried. */
	expect_gone("postgresql://u:s3cret@localhost:1/db", "127.0.0.1");
	expect_gone("postgresql://u:s3cret@no-such-host.invalid/db", "find the database's host");
	expect_gone("postgresql://u:s3cret@127.0.0.1:1/db", "port 1 failed");
	expect_gone("postgresql://u:s3cret@/db?host=/nowhere", "/nowhere");
	mem_free(url);
}

TEST(db_pool__may_be_closed_before_it_is_connected)
{
	char *url = postgres_database_empty();
	struct fixture f;

	fixture_start(&f, url, NULL);
	fixture_done(&f);
	fixture_start(&f, "postgresql://u@no-such-host.invalid/db", NULL);
	(void)uv_run(&f.loop, UV_RUN_NOWAIT);
	fixture_done(&f);
	fixture_start(&f, url, NULL);
	(void)uv_run(&f.loop, UV_RUN_NOWAIT);
	(void)uv_run(&f.loop, UV_RUN_NOWAIT);
	fixture_done(&f);
	mem_free(url);
}

static const struct db_statement big = {
	.name = "big",
	.sql = "SELECT repeat('x', $1::int) FROM generate_series(1, 8)",
	.params = 1,
	.flags = DB_STATEMENT_READS,
};
static const struct db_statement length_of = {
	.name = "length_of",
	.sql = "SELECT length($1::text)::text",
	.params = 1,
	.flags = DB_STATEMENT_READS,
};

TEST(db_pool__large_parameters_and_results_pass)
{
	size_t size = 3 << 20;
	CLEANUP(mem_freep) char *text = mem_alloc(size + 1);
	struct answer in[6], out;
	struct fixture f;

	memset(text, 'y', size);
	text[size] = '\0';
	fixture_init(&f, NULL);
	for (size_t i = 0; i < ARRAY_LENGTH(in); i++)
		send_statement(&f, &in[i], &length_of, TEXT(text), NULL, 50000);
	send_statement(&f, &out, &big, (const struct db_param[]){ DB_INT(3 << 20) }, NULL, 50000);
	fixture_wait(&f);
	for (size_t i = 0; i < ARRAY_LENGTH(in); i++)
		EXPECT_STR(in[i].value, "3145728");
	EXPECT_UINT(out.rows, ==, 8);
	fixture_done(&f);
}

/* The commit itself fails: at the Sync, behind the statement's answer. */
static const struct db_statement orphan = {
	.name = "orphan",
	.sql = "INSERT INTO child VALUES ($1)",
	.params = 1,
};

TEST(db_pool__a_constraint_that_fails_at_commit_is_a_failure)
{
	struct fixture f;
	struct answer a;

	fixture_init(&f, NULL);
	postgres_run(f.url, "CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child "
			    "(id int REFERENCES parent DEFERRABLE INITIALLY DEFERRED)");
	ask(&f, &a, &orphan, (const struct db_param[]){ DB_INT(1) });
	EXPECT_INT(a.code, ==, ERR_CONFLICT);
	EXPECT_STR(a.sqlstate, "23503");
	EXPECT_UINT(a.rows, ==, 0);
	fixture_done(&f);
}

TEST(db_pool__an_end_during_the_commit_leaves_the_outcome_unknown)
{
	const struct db_pool_options options = { .connections = 1 };
	struct fixture f;
	struct answer a;

	fixture_init(&f, &options);
	postgres_run(f.url, "CREATE TABLE log (entry text); "
			    "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS "
			    "$$ BEGIN PERFORM pg_sleep(30); RETURN NULL; END $$; "
			    "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON log "
			    "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait()");
	send_statement(&f, &a, &write_log, TEXT("x"), NULL, 50000);
	(void)uv_run(&f.loop, UV_RUN_NOWAIT);
	postgres_run(f.url, "DO $$ BEGIN WHILE NOT EXISTS (SELECT 1 FROM pg_stat_activity "
			    "WHERE wait_event = 'PgSleep' AND datname = current_database() AND "
			    "application_name = 'mortise-test') LOOP "
			    "PERFORM pg_stat_clear_snapshot(); END LOOP; END $$");
	terminate_all(&f);
	fixture_wait(&f);
	EXPECT_INT(a.code, ==, ERR_UNKNOWN);
	fixture_done(&f);
}
