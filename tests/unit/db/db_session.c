#include "db_fixture.h"

TEST(db_session__runs_scripts_and_statements)
{
	CLEANUP(mem_freep) char *url = postgres_database_empty();
	CLEANUP(db_session_freep) struct db_session *s = NULL;
	const struct db_param params[] = { DB_INT(20), DB_STR("x") };
	struct db_result result;
	struct db_row row;
	struct error err;

	EXPECT_OK(db_session_open(&s, url, 5000, &err), &err);
	EXPECT_OK(
		db_session_run(s, "CREATE TABLE t (n int); INSERT INTO t VALUES (22)", &err), &err);
	EXPECT_OK(db_session_query(
			  s, "SELECT n + $1::int, $2::text FROM t", params, 2, &result, &err),
		&err);
	EXPECT_UINT(result.rows, ==, 1);
	row = db_row_at(&result, 0);
	EXPECT_INT(db_row_int(&row, 0), ==, 42);
	EXPECT_SPAN(db_row_text(&row), "x");
	EXPECT_OK(db_row_end(&row, &err), &err);
	db_session_clear(&result);
	EXPECT_INT(db_session_run(s, "SELECT 1; SELECT wrong", &err), ==, ERR_INTERNAL);
	EXPECT_NULL(strstr(err.text, "wrong"));
	EXPECT_CONTAINS(db_session_detail(s), "wrong");
	EXPECT_INT(db_session_query(s, "SELECT $1::text",
			   (const struct db_param[]){ DB_TEXT(SPAN("\0")) }, 1, &result, &err),
		==, ERR_INVALID);
}

TEST(db_session__sets_passwords_without_sending_them)
{
	CLEANUP(mem_freep) char *url = postgres_database_empty();
	CLEANUP(mem_freep) char *as = postgres_url_as(url, "odd%20%22name%22", "p%20w%27");
	CLEANUP(mem_freep) char *stored = NULL;
	CLEANUP(db_session_freep) struct db_session *s = NULL;
	CLEANUP(db_session_freep) struct db_session *other = NULL;
	struct error err;

	EXPECT_OK(db_session_open(&s, url, 5000, &err), &err);
	EXPECT_OK(db_session_run(s, "CREATE ROLE \"odd \"\"name\"\"\" LOGIN", &err), &err);
	EXPECT_INT(db_session_open(&other, as, 5000, &err), ==, ERR_UNAVAIL);
	EXPECT_NULL(other);
	EXPECT_OK(db_session_set_password(s, "odd \"name\"", "p w'", &err), &err);
	EXPECT_OK(db_session_open(&other, as, 5000, &err), &err);
	stored = postgres_value(url, "SELECT rolpassword FROM pg_authid WHERE rolname LIKE 'odd%'");
	EXPECT_CONTAINS(stored, "SCRAM-SHA-256$");
	EXPECT_INT(db_session_set_password(s, "nobody at all", "x", &err), <, 0);
	EXPECT_CONTAINS(err.text, "nobody at all");
}

TEST(db_session__tells_bad_urls_from_servers_that_do_not_answer)
{
	struct db_session *s = NULL;
	struct error err;

	EXPECT_INT(db_session_open(&s, "postgresql://u:s3cret%zz@h", 2000, &err), ==, ERR_CONFIG);
	EXPECT_NULL(strstr(err.text, "s3cret"));
	EXPECT_INT(db_session_open(&s, "postgresql://u:s3cret@/d?host=/nowhere", 2000, &err), ==,
		ERR_UNAVAIL);
	EXPECT_NULL(strstr(err.text, "s3cret"));
	EXPECT_NULL(s);
}
