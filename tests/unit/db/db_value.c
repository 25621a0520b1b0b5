#include "db_fixture.h"

#include <math.h>

struct seen {
	struct fixture *f;
	bool ok;
};

static const struct db_statement all_types = {
	.name = "all_types",
	.sql = "SELECT $1::text, $2::bigint, $2::int, $3::float8, $4::boolean, $5::timestamptz, "
	       "$6::bytea, $7::jsonb, $8::text[], $9::text, $10::smallint, $3::float4, $11::mood, "
	       "ARRAY[$2::bigint, NULL, 9000000000]",
	.params = 11,
	.flags = DB_STATEMENT_READS,
};

static void on_all_types(const struct db_result *result, void *user)
{
	struct seen *s = user;
	struct db_row r;
	struct db_array a;
	struct span item;
	int64_t number;
	struct error err;

	EXPECT_NULL(result->err);
	r = db_row_at(result, 0);
	EXPECT_SPAN(db_row_text(&r), "it's \"quoted\" \\ \xc3\xa4");
	EXPECT_INT(db_row_int(&r, 0), ==, -7);
	EXPECT_INT(db_row_int(&r, 0), ==, -7);
	EXPECT_TRUE(db_row_real(&r, 0) == 0.1);
	EXPECT_TRUE(db_row_bool(&r));
	EXPECT_INT(db_row_time(&r, 0), ==, INT64_C(1700000000123456));
	EXPECT_TRUE(span_equal(db_row_text(&r), SPAN("\0\xff z")));
	EXPECT_SPAN(db_row_text(&r), "{\"a\": [1, null]}");
	a = db_row_array(&r);
	EXPECT_UINT(a.count, ==, 3);
	EXPECT_TRUE(db_array_next(&a, &item));
	EXPECT_SPAN(item, "a,b");
	EXPECT_TRUE(db_array_next(&a, &item));
	EXPECT_SPAN(item, "q\"\\");
	EXPECT_TRUE(db_array_next(&a, &item));
	EXPECT_SPAN(item, "");
	EXPECT_FALSE(db_array_next(&a, &item));
	EXPECT_TRUE(db_row_is_null(&r));
	EXPECT_NULL(db_row_text(&r).data);
	EXPECT_INT(db_row_int(&r, 42), ==, 42);
	EXPECT_TRUE(fabs(db_row_real(&r, 0) - 0.1) < 1e-6);
	EXPECT_SPAN(db_row_text(&r), "happy");
	a = db_row_numbers(&r);
	EXPECT_UINT(a.count, ==, 3);
	EXPECT_TRUE(db_array_next_number(&a, &number) && number == -7);
	EXPECT_TRUE(db_array_next_number(&a, &number) && number == 0);
	EXPECT_TRUE(db_array_next_number(&a, &number) && number == INT64_C(9000000000));
	EXPECT_FALSE(db_array_next_number(&a, &number));
	EXPECT_OK(db_row_end(&r, &err), &err);
	s->ok = true;
	s->f->pending--;
}

TEST(db_value__every_type_comes_back_as_it_went)
{
	const struct span items[] = { SPAN("a,b"), SPAN("q\"\\"), SPAN("") };
	struct text array;
	struct fixture f;
	struct seen s = { .f = &f };

	fixture_init(&f, NULL);
	postgres_run(f.url, "CREATE TYPE mood AS ENUM ('sad', 'happy')");
	text_init(&array);
	db_array_append(&array, items, 3);
	f.pending++;
	db_query(f.pool, &(struct db_request){
				 .statement = &all_types,
				 .params =
					 (const struct db_param[]){
						 DB_STR("it's \"quoted\" \\ \xc3\xa4"),
						 DB_INT(-7),
						 DB_REAL(0.1),
						 DB_BOOL(true),
						 DB_TIME(INT64_C(1700000000123456)),
						 DB_BYTES(SPAN("\0\xff z")),
						 DB_STR("{\"a\":[1,null]}"),
						 DB_TEXT(text_span(&array)),
						 DB_NULL,
						 DB_NULL,
						 DB_STR("happy"),
					 },
				 .done = on_all_types,
				 .user = &s,
			 });
	text_done(&array); /* parameters are copied */
	fixture_wait(&f);
	EXPECT_TRUE(s.ok);
	fixture_done(&f);
}

static const struct db_statement one_text = {
	.name = "one_text",
	.sql = "SELECT $1::text",
	.params = 1,
	.flags = DB_STATEMENT_READS,
};

TEST(db_value__nul_in_a_text_is_refused)
{
	struct fixture f;
	struct answer a;

	fixture_init(&f, NULL);
	ask(&f, &a, &one_text, (const struct db_param[]){ DB_TEXT(SPAN("a\0b")) });
	EXPECT_INT(a.code, ==, ERR_INVALID);
	EXPECT_STR(a.sqlstate, "");
	ask(&f, &a, &one_text, (const struct db_param[]){ DB_STR("after") });
	EXPECT_STR(a.value, "after");
	fixture_done(&f);
}

static void on_wrong_type(const struct db_result *result, void *user)
{
	struct seen *s = user;
	struct db_row r = db_row_at(result, 0);
	struct error err;

	EXPECT_INT(db_row_int(&r, 5), ==, 5);
	EXPECT_INT(db_row_end(&r, &err), ==, ERR_INTERNAL);
	r = db_row_at(result, 0);
	(void)db_row_text(&r);
	(void)db_row_text(&r); /* there is no second column */
	EXPECT_INT(db_row_end(&r, &err), ==, ERR_INTERNAL);
	r = db_row_at(result, 0);
	EXPECT_INT(db_row_end(&r, &err), ==, ERR_INTERNAL); /* not all columns were read */
	s->ok = true;
	s->f->pending--;
}

TEST(db_value__another_type_or_column_count_than_expected_is_told)
{
	struct fixture f;
	struct seen s = { .f = &f };

	fixture_init(&f, NULL);
	f.pending++;
	db_query(f.pool, &(struct db_request){ .statement = &one_text,
				 .params = (const struct db_param[]){ DB_STR("x") },
				 .done = on_wrong_type,
				 .user = &s });
	fixture_wait(&f);
	EXPECT_TRUE(s.ok);
	fixture_done(&f);
}

static const struct db_statement raising = {
	.name = "raise_anything",
	.sql = "SELECT raise($1, $2)",
	.params = 2,
};

static void make_raise(const char *url)
{
	postgres_run(url,
		"CREATE FUNCTION raise(state text, message text) RETURNS text LANGUAGE plpgsql "
		"AS $$ BEGIN IF state <> '' THEN RAISE EXCEPTION '%', message "
		"USING ERRCODE = state, HINT = 'do ' || state, DETAIL = 'inner'; END IF; "
		"RETURN 'calm'; END $$");
}

static void expect_raised(struct fixture *f, struct answer *a, const char *state, int code)
{
	ask(f, a, &raising, (const struct db_param[]){ DB_STR(state), DB_STR("plugin 'x' is y") });
	EXPECT_INT(a->code, ==, code);
	EXPECT_STR(a->sqlstate, state);
}

TEST(db_value__a_refusal_keeps_its_code_message_and_hint)
{
	struct fixture f;
	struct answer a;

	fixture_init(&f, NULL);
	make_raise(f.url);
	expect_raised(&f, &a, "MC001", ERR_BUSY);
	EXPECT_STR(a.text, "plugin 'x' is y");
	EXPECT_STR(a.fix, "do MC001");
	EXPECT_CONTAINS(a.detail, "inner");
	expect_raised(&f, &a, "MF001", ERR_FENCED);
	expect_raised(&f, &a, "42501", ERR_PERMISSION);
	expect_raised(&f, &a, "P0002", ERR_NOT_FOUND);
	EXPECT_STR(a.text, "plugin 'x' is y");
	expect_raised(&f, &a, "22023", ERR_INVALID);
	expect_raised(&f, &a, "40P01", ERR_AGAIN);
	expect_raised(&f, &a, "40001", ERR_AGAIN);
	expect_raised(&f, &a, "23505", ERR_CONFLICT);
	expect_raised(&f, &a, "53100", ERR_UNAVAIL);
	expect_raised(&f, &a, "22001", ERR_INVALID);
	expect_raised(&f, &a, "XX001", ERR_INTERNAL);
	fixture_done(&f);
}

static const struct db_statement broken = {
	.name = "broken",
	.sql = "SELECT secret_word FROM nowhere",
	.flags = DB_STATEMENT_READS,
};

TEST(db_value__no_sql_stands_in_the_text_of_an_error_only_in_its_detail)
{
	struct fixture f;
	struct answer a;

	fixture_init(&f, NULL);
	ask(&f, &a, &broken, NULL);
	EXPECT_INT(a.code, ==, ERR_INTERNAL);
	EXPECT_NULL(strstr(a.text, "nowhere"));
	EXPECT_NULL(strstr(a.text, "secret_word"));
	EXPECT_CONTAINS(a.text, "broken");
	EXPECT_CONTAINS(a.text, "42P01");
	EXPECT_CONTAINS(a.detail, "nowhere");
	fixture_done(&f);
}
