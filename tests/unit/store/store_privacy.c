#include <stdio.h>

#include "store/privacy.h"
#include "store_fixture.h"

static struct {
	size_t n;
	char id[32], status[16], user[64], result[512], about[4096], row[4096], place[256];
	bool due_later;
} seen;

static void on_requests(
	const struct error *err, const struct store_privacy *rows, size_t n, void *user)
{
	seen.n = n;
	if (!fixture_answer(user, err) || n == 0)
		return;
	COPY(seen.id, rows->id);
	COPY(seen.status, rows->status);
	COPY(seen.user, rows->user_id);
	COPY(seen.result, rows->result);
	seen.due_later = rows->due_at > rows->requested_at;
}

static void on_tables(
	const struct error *err, const struct store_privacy_table *rows, size_t n, void *user)
{
	seen.n = n;
	if (fixture_answer(user, err) && n > 0)
		COPY(seen.about, rows->about);
}

static void on_rows(
	const struct error *err, const struct store_privacy_row *rows, size_t n, void *user)
{
	seen.n = n;
	if (!fixture_answer(user, err) || n == 0)
		return;
	COPY(seen.row, rows->value);
	COPY(seen.place, rows->place);
}

static void ask(struct fixture *f, const struct db_context *who, const char *type)
{
	fixture_expect(f);
	store_privacy_request(f->front, who, SPAN_NONE, span_of(type), SPAN("{}"), on_requests, f);
}

TEST(store_privacy__a_person_asks_and_an_administrator_answers)
{
	struct fixture f;

	fixture_init(&f);
	ask(&f, &f.as_amy, "access");
	fixture_ok(&f);
	EXPECT_STR(seen.status, "pending");
	EXPECT_STR(seen.user, f.amy);
	EXPECT_TRUE(seen.due_later);
	ask(&f, &f.as_amy, "access");
	fixture_fails(&f, ERR_ALREADY);
	fixture_expect(&f);
	store_privacy_archive(f.front, &f.as_amy, span_of(seen.id), on_tables, &f);
	fixture_fails(&f, ERR_WRONG_STATE);
	fixture_expect(&f);
	store_privacy_get(f.front, &f.as_bob, span_of(seen.id), on_requests, &f);
	fixture_fails(&f, ERR_NOT_FOUND);
	fixture_expect(&f);
	store_privacy_complete(f.front, &f.as_amy, span_of(seen.id), SPAN_NONE, on_requests, &f);
	fixture_fails(&f, ERR_PERMISSION);
	fixture_expect(&f);
	store_privacy_complete(
		f.front, &f.as_admin, span_of(seen.id), SPAN("as asked"), on_requests, &f);
	fixture_ok(&f);
	EXPECT_STR(seen.status, "completed");
	EXPECT_CONTAINS(seen.result, "as asked");
	fixture_expect(&f);
	store_privacy_complete(f.front, &f.as_admin, span_of(seen.id), SPAN_NONE, on_requests, &f);
	fixture_fails(&f, ERR_WRONG_STATE);
	fixture_done(&f);
}

TEST(store_privacy__an_archive_comes_in_pages)
{
	struct fixture f;

	fixture_init(&f);
	ask(&f, &f.as_amy, "portability");
	fixture_ok(&f);
	fixture_expect(&f);
	store_privacy_complete(f.front, &f.as_admin, span_of(seen.id), SPAN_NONE, on_requests, &f);
	fixture_ok(&f);
	fixture_expect(&f);
	store_privacy_archive(f.front, &f.as_amy, span_of(seen.id), on_tables, &f);
	fixture_ok(&f);
	EXPECT_TRUE(seen.n > 10);
	EXPECT_CONTAINS(seen.about, f.amy);
	fixture_expect(&f);
	store_privacy_page(
		f.front, &f.as_amy, span_of(seen.id), SPAN("users"), SPAN_NONE, 1, on_rows, &f);
	fixture_ok(&f);
	EXPECT_UINT(seen.n, ==, 1);
	EXPECT_CONTAINS(seen.row, f.amy);
	EXPECT_NULL(strstr(seen.row, "password\""));
	fixture_expect(&f);
	store_privacy_page(f.front, &f.as_amy, span_of(seen.id), SPAN("users"), span_of(seen.place),
		1, on_rows, &f);
	fixture_ok(&f);
	EXPECT_UINT(seen.n, ==, 0);
	fixture_expect(&f);
	store_privacy_page(
		f.front, &f.as_amy, span_of(seen.id), SPAN("pg_authid"), SPAN_NONE, 1, on_rows, &f);
	fixture_fails(&f, ERR_INVALID);
	fixture_done(&f);
}

TEST(store_privacy__lists_show_what_is_the_askers_to_see)
{
	struct fixture f;

	fixture_init(&f);
	ask(&f, &f.as_amy, "access");
	fixture_ok(&f);
	ask(&f, &f.as_bob, "restriction");
	fixture_ok(&f);
	fixture_expect(&f);
	store_privacy_list(f.front, &f.as_admin, &(struct store_privacy_filter){ .limit = 10 },
		on_requests, &f);
	fixture_ok(&f);
	EXPECT_UINT(seen.n, ==, 2);
	fixture_expect(&f);
	store_privacy_list(f.front, &f.as_amy,
		&(struct store_privacy_filter){ .status = SPAN("pending") }, on_requests, &f);
	fixture_ok(&f);
	EXPECT_UINT(seen.n, ==, 1);
	EXPECT_STR(seen.user, f.amy);
	fixture_expect(&f);
	store_privacy_reject(
		f.front, &f.as_amy, span_of(seen.id), SPAN("not any more"), on_requests, &f);
	fixture_ok(&f);
	EXPECT_STR(seen.status, "rejected");
	fixture_done(&f);
}
