#include <stdio.h>

#include "store/users.h"
#include "store_fixture.h"

static struct {
	size_t n;
	char id[64], first[64], last[64], text[256];
	int64_t number;
} got;

static void on_users(const struct error *err, const struct store_user *rows, size_t n, void *user)
{
	got.n = n;
	if (!fixture_answer(user, err) || n == 0)
		return;
	COPY(got.first, rows->name);
	COPY(got.text, rows->role);
}

static void on_memberships(
	const struct error *err, const struct store_membership *rows, size_t n, void *user)
{
	got.n = n;
	if (!fixture_answer(user, err) || n == 0)
		return;
	COPY(got.first, rows->team_name);
	COPY(got.text, rows->role);
}

TEST(store_users__users_and_their_teams)
{
	struct fixture f;

	fixture_init(&f);
	fixture_expect(&f);
	store_user_get(f.front, &f.as_bob, span_of(f.amy), on_users, &f);
	fixture_ok(&f);
	EXPECT_STR(got.first, "amy");
	EXPECT_STR(got.text, "DEVELOPER");
	fixture_expect(&f);
	store_user_get(f.front, &f.as_bob, SPAN("nobody"), on_users, &f);
	fixture_fails(&f, ERR_NOT_FOUND);
	fixture_expect(&f);
	store_user_teams(f.front, &f.as_amy, span_of(f.amy), SPAN_NONE, 10, on_memberships, &f);
	fixture_ok(&f);
	EXPECT_UINT(got.n, ==, 1);
	EXPECT_STR(got.first, "red");
	EXPECT_STR(got.text, "MEMBER");
	fixture_done(&f);
}

/* PostgreSQL's own words name what is there; a client gets ours. */
TEST(store_users__a_refusal_of_the_server_itself_names_no_table)
{
	struct fixture f;

	fixture_init(&f);
	fixture_expect(&f);
	store_user_get(f.supervisor, &f.as_amy, span_of(f.amy), on_users, &f);
	fixture_fails(&f, ERR_PERMISSION);
	EXPECT_NULL(strstr(f.text, "permission denied for"));
	fixture_expect(&f);
	store_user_delete(f.front, &f.as_amy, span_of(f.bob), SPAN_NONE, on_text, &f);
	fixture_fails(&f, ERR_PERMISSION);
	EXPECT_CONTAINS(f.text, "takes the role ADMIN");
	fixture_done(&f);
}
