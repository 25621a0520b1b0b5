#include "db_fixture.h"

#include <stdio.h>

static void on_state(bool connected, const struct error *reason, void *user)
{
	struct fixture *f = user;

	if (connected) {
		f->connects++;
		return;
	}
	f->losses++;
	f->reason = *reason;
}

void fixture_start(struct fixture *f, const char *url, const struct db_pool_options *options)
{
	struct db_pool_options own = options ? *options : (struct db_pool_options){ 0 };
	struct error err;

	memset(f, 0, sizeof(*f));
	ck_assert_int_eq(uv_loop_init(&f->loop), 0);
	own.url = url;
	own.application = "mortise-test";
	own.state = on_state;
	own.user = f;
	EXPECT_OK(db_pool_start(&f->pool, &f->loop, &own, &err), &err);
}

void fixture_init(struct fixture *f, const struct db_pool_options *options)
{
	char *url = postgres_database_empty();

	fixture_start(f, url, options);
	f->url = url;
	fixture_wait_connected(f);
}

static void on_closed(void *user)
{
	((struct fixture *)user)->closed = true;
}

void fixture_done(struct fixture *f)
{
	db_pool_close(f->pool, on_closed, f);
	EXPECT_INT(uv_run(&f->loop, UV_RUN_DEFAULT), ==, 0);
	EXPECT_TRUE(f->closed);
	EXPECT_UINT(f->pending, ==, 0);
	EXPECT_INT(uv_loop_close(&f->loop), ==, 0);
	mem_free(f->url);
}

void fixture_wait(struct fixture *f)
{
	while (f->pending)
		(void)uv_run(&f->loop, UV_RUN_ONCE);
}

void fixture_wait_connected(struct fixture *f)
{
	while (!db_pool_connected(f->pool) || !f->connects)
		(void)uv_run(&f->loop, UV_RUN_ONCE);
}

void on_answer(const struct db_result *result, void *user)
{
	struct answer *a = user;

	ck_assert_msg(!a->done, "a callback ran twice");
	a->done = true;
	a->f->pending--;
	a->code = result->err ? result->err->code : 0;
	a->rows = result->rows;
	(void)snprintf(a->text, sizeof(a->text), "%s", result->err ? result->err->text : "");
	(void)snprintf(a->fix, sizeof(a->fix), "%s", result->err ? result->err->fix : "");
	(void)snprintf(a->sqlstate, sizeof(a->sqlstate), "%s", result->sqlstate);
	(void)snprintf(a->detail, sizeof(a->detail), "%s", result->detail);
	if (result->rows && result->columns) {
		struct db_row row = db_row_at(result, 0);
		struct span value = db_row_text(&row);

		(void)snprintf(a->value, sizeof(a->value), "%.*s", SPAN_ARG(value));
	}
}

void send_statement(struct fixture *f, struct answer *a, const struct db_statement *statement,
	const struct db_param *params, const struct db_context *context, unsigned timeout_ms)
{
	const struct db_request request = { statement, context, params, timeout_ms, on_answer, a };

	*a = (struct answer){ .f = f };
	f->pending++;
	db_query(f->pool, &request);
	EXPECT_FALSE(a->done); /* never before the starting call returned */
}

void ask(struct fixture *f, struct answer *a, const struct db_statement *statement,
	const struct db_param *params)
{
	send_statement(f, a, statement, params, NULL, 0);
	fixture_wait(f);
}
