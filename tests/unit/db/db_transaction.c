#include "db_fixture.h"

static const struct db_statement insert = {
	.name = "insert",
	.sql = "INSERT INTO log VALUES ($1)",
	.params = 1,
};
static const struct db_statement count = {
	.name = "count",
	.sql = "SELECT count(*)::text FROM log",
	.flags = DB_STATEMENT_READS,
};
static const struct db_statement who = {
	.name = "who",
	.sql = "SELECT coalesce(current_setting('app.current_user_id', true), '')",
	.flags = DB_STATEMENT_READS,
};
static const struct db_statement nap = {
	.name = "nap",
	.sql = "SELECT pg_sleep($1::float8)::text",
	.params = 1,
	.flags = DB_STATEMENT_READS,
};

#define TEXT(s) ((const struct db_param[]){ DB_STR(s) })

static void init(struct fixture *f, unsigned connections)
{
	const struct db_pool_options options = { .connections = connections };

	fixture_init(f, &options);
	postgres_run(f->url, "CREATE TABLE log (entry text UNIQUE DEFERRABLE INITIALLY DEFERRED)");
}

static struct db_transaction *begin(struct fixture *f, struct answer *a, unsigned timeout_ms)
{
	const struct db_context context = { .user_id = SPAN("amy") };
	struct db_transaction *tx;

	*a = (struct answer){ .f = f };
	f->pending++;
	tx = db_begin(f->pool, &context, timeout_ms, on_answer, a);
	EXPECT_FALSE(a->done);
	return tx;
}

static struct db_transaction *begun(struct fixture *f)
{
	struct answer a;
	struct db_transaction *tx = begin(f, &a, 20000);

	fixture_wait(f);
	EXPECT_INT(a.code, ==, 0);
	return tx;
}

static void send_in(struct fixture *f, struct db_transaction *tx, struct answer *a,
	const struct db_statement *statement, const struct db_param *params)
{
	*a = (struct answer){ .f = f };
	f->pending++;
	db_transaction_query(tx,
		&(struct db_request){
			.statement = statement, .params = params, .done = on_answer, .user = a });
	EXPECT_FALSE(a->done);
}

static int commit(struct fixture *f, struct db_transaction *tx)
{
	struct answer a = { .f = f };

	f->pending++;
	db_commit(tx, on_answer, &a);
	EXPECT_FALSE(a.done);
	fixture_wait(f);
	return a.code;
}

static void rollback(struct fixture *f, struct db_transaction *tx)
{
	struct answer a = { .f = f };

	f->pending++;
	db_rollback(tx, on_answer, &a);
	fixture_wait(f);
	EXPECT_INT(a.code, ==, 0);
}

static void expect_count(struct fixture *f, const char *expected)
{
	struct answer a;

	ask(f, &a, &count, NULL);
	EXPECT_STR(a.value, expected);
}

TEST(db_transaction__commits_all_or_nothing_and_others_see_it_then)
{
	struct db_transaction *tx;
	struct answer one, two, seen;
	struct fixture f;

	init(&f, 2);
	tx = begun(&f);
	send_in(&f, tx, &one, &insert, TEXT("one"));
	send_in(&f, tx, &two, &insert, TEXT("two"));
	send_in(&f, tx, &seen, &count, NULL);
	fixture_wait(&f);
	EXPECT_STR(seen.value, "2");
	expect_count(&f, "0");
	EXPECT_INT(commit(&f, tx), ==, 0);
	expect_count(&f, "2");
	tx = begun(&f);
	send_in(&f, tx, &one, &insert, TEXT("three"));
	rollback(&f, tx);
	EXPECT_INT(one.code, ==, 0);
	expect_count(&f, "2");
	fixture_done(&f);
}

TEST(db_transaction__its_context_holds_throughout_and_ends_with_it)
{
	struct db_transaction *tx;
	struct answer a;
	struct fixture f;

	init(&f, 1);
	tx = begun(&f);
	for (int i = 0; i < 3; i++) {
		send_in(&f, tx, &a, &who, NULL);
		fixture_wait(&f);
		EXPECT_STR(a.value, "amy");
	}
	EXPECT_INT(commit(&f, tx), ==, 0);
	ask(&f, &a, &who, NULL);
	EXPECT_STR(a.value, "");
	fixture_done(&f);
}

TEST(db_transaction__after_a_failure_nothing_more_happens)
{
	static const struct db_statement divide = { .name = "divide", .sql = "SELECT 1 / 0" };
	struct answer good, bad, behind, later;
	struct db_transaction *tx;
	struct fixture f;

	init(&f, 2);
	tx = begun(&f);
	send_in(&f, tx, &good, &insert, TEXT("x"));
	send_in(&f, tx, &bad, &divide, NULL);
	send_in(&f, tx, &behind, &insert, TEXT("y")); /* in flight when bad fails */
	fixture_wait(&f);
	EXPECT_INT(good.code, ==, 0);
	EXPECT_INT(bad.code, ==, ERR_INVALID);
	EXPECT_INT(behind.code, ==, ERR_STATE);
	send_in(&f, tx, &later, &insert, TEXT("z"));
	fixture_wait(&f);
	EXPECT_INT(later.code, ==, ERR_STATE);
	EXPECT_INT(commit(&f, tx), ==, ERR_INVALID); /* the first failure */
	expect_count(&f, "0");
	fixture_done(&f);
}

TEST(db_transaction__a_commit_that_the_database_refuses_is_a_failure)
{
	struct answer one, two;
	struct db_transaction *tx;
	struct fixture f;

	init(&f, 1);
	tx = begun(&f);
	send_in(&f, tx, &one, &insert, TEXT("same"));
	send_in(&f, tx, &two, &insert, TEXT("same"));
	EXPECT_INT(commit(&f, tx), ==, ERR_CONFLICT);
	EXPECT_INT(one.code, ==, 0);
	EXPECT_INT(two.code, ==, 0);
	expect_count(&f, "0"); /* and the connection is out of it */
	fixture_done(&f);
}

static void wait_for(struct fixture *f, const struct answer *a)
{
	while (!a->done)
		(void)uv_run(&f->loop, UV_RUN_ONCE);
}

TEST(db_transaction__others_wait_for_a_connection_and_plain_statements_do_not)
{
	struct db_transaction *first, *second;
	struct answer a, plain;
	struct fixture f;

	init(&f, 2);
	first = begun(&f);
	second = begin(&f, &a, 20000);
	send_statement(&f, &plain, &count, NULL, NULL, 0);
	wait_for(&f, &plain);
	EXPECT_STR(plain.value, "0");
	EXPECT_FALSE(a.done);
	rollback(&f, first);
	EXPECT_INT(a.code, ==, 0);
	EXPECT_TRUE(a.done);
	rollback(&f, second);
	fixture_done(&f);
}

TEST(db_transaction__one_that_is_not_ended_in_time_is_rolled_back)
{
	struct db_transaction *tx;
	struct answer a, in;
	struct fixture f;

	init(&f, 1);
	tx = begin(&f, &a, 300);
	fixture_wait(&f);
	send_in(&f, tx, &in, &insert, TEXT("x"));
	fixture_wait(&f);
	EXPECT_INT(in.code, ==, 0);
	expect_count(&f, "0"); /* waits for the only connection until the deadline frees it */
	send_in(&f, tx, &in, &insert, TEXT("y"));
	fixture_wait(&f);
	EXPECT_INT(in.code, ==, ERR_DEADLINE);
	EXPECT_INT(commit(&f, tx), ==, ERR_DEADLINE);
	expect_count(&f, "0");
	EXPECT_UINT(f.connects, ==, 1);
	fixture_done(&f);
}

TEST(db_transaction__a_statement_past_the_deadline_is_cancelled)
{
	struct db_transaction *tx;
	struct answer a, in;
	struct fixture f;

	init(&f, 1);
	tx = begin(&f, &a, 300);
	fixture_wait(&f);
	send_in(&f, tx, &in, &nap, (const struct db_param[]){ DB_REAL(30) });
	fixture_wait(&f);
	EXPECT_INT(in.code, ==, ERR_DEADLINE);
	rollback(&f, tx);
	expect_count(&f, "0");
	EXPECT_UINT(f.connects, ==, 1);
	fixture_done(&f);
}

static void terminate(const struct fixture *f)
{
	postgres_run(f->url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
			     "WHERE application_name = 'mortise-test' "
			     "AND datname = current_database()");
}

TEST(db_transaction__a_lost_connection_ends_it_and_nothing_of_it_happened)
{
	struct db_transaction *tx;
	struct answer in, behind;
	struct fixture f;

	init(&f, 1);
	tx = begun(&f);
	send_in(&f, tx, &in, &insert, TEXT("x"));
	fixture_wait(&f);
	send_in(&f, tx, &in, &nap, (const struct db_param[]){ DB_REAL(30) });
	(void)uv_run(&f.loop, UV_RUN_NOWAIT);
	f.connects = 0;
	terminate(&f);
	fixture_wait(&f);
	EXPECT_INT(in.code, ==, ERR_UNAVAIL);
	send_in(&f, tx, &behind, &insert, TEXT("y"));
	fixture_wait(&f);
	EXPECT_INT(behind.code, ==, ERR_UNAVAIL);
	EXPECT_INT(commit(&f, tx), ==, ERR_UNAVAIL);
	fixture_wait_connected(&f);
	expect_count(&f, "0");
	fixture_done(&f);
}

TEST(db_transaction__an_end_during_commit_leaves_the_outcome_unknown)
{
	struct db_transaction *tx;
	struct answer in, end;
	struct fixture f;

	init(&f, 1);
	postgres_run(f.url, "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS "
			    "$$ BEGIN PERFORM pg_sleep(30); RETURN NULL; END $$; "
			    "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON log "
			    "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait()");
	tx = begun(&f);
	send_in(&f, tx, &in, &insert, TEXT("x"));
	fixture_wait(&f);
	end = (struct answer){ .f = &f };
	f.pending++;
	db_commit(tx, on_answer, &end);
	(void)uv_run(&f.loop, UV_RUN_NOWAIT);
	postgres_stop(); /* the end of the connection is all that is heard */
	fixture_wait(&f);
	EXPECT_INT(end.code, ==, ERR_UNKNOWN);
	postgres_start();
	fixture_done(&f);
}

TEST(db_transaction__without_a_connection_or_time_none_begins)
{
	struct fixture f;
	struct answer a;

	fixture_start(&f, "postgresql://u@/db?host=/nowhere", NULL);
	(void)begin(&f, &a, 1000);
	fixture_wait(&f);
	EXPECT_INT(a.code, ==, ERR_UNAVAIL);
	fixture_done(&f);
	init(&f, 1);
	rollback(&f, begun(&f));
	{
		struct db_transaction *tx = begun(&f);

		(void)begin(&f, &a, 50);
		fixture_wait(&f);
		EXPECT_INT(a.code, ==, ERR_DEADLINE);
		rollback(&f, tx);
	}
	fixture_done(&f);
}

static void on_pool_closed(void *user)
{
	((struct fixture *)user)->closed = true;
}

TEST(db_transaction__closing_the_pool_waits_for_its_owner_to_end_it)
{
	struct db_transaction *tx;
	struct answer in;
	struct fixture f;

	init(&f, 2);
	tx = begun(&f);
	send_in(&f, tx, &in, &nap, (const struct db_param[]){ DB_REAL(30) });
	db_pool_close(f.pool, on_pool_closed, &f);
	fixture_wait(&f);
	EXPECT_INT(in.code, ==, ERR_UNAVAIL);
	for (int i = 0; i < 20; i++)
		(void)uv_run(&f.loop, UV_RUN_NOWAIT);
	EXPECT_FALSE(f.closed);
	EXPECT_INT(commit(&f, tx), ==, ERR_UNAVAIL);
	EXPECT_INT(uv_run(&f.loop, UV_RUN_DEFAULT), ==, 0);
	EXPECT_TRUE(f.closed);
	EXPECT_INT(uv_loop_close(&f.loop), ==, 0);
	mem_free(f.url);
}
