#include <stdio.h>

#include "store/changes.h"
#include "store_fixture.h"

TEST(store_changes__an_install_from_open_to_commit)
{
	struct fixture f;
	char digest[72];

	fixture_init(&f);
	fixture_install(&f, digest);
	fixture_expect(&f);
	store_change_get(f.front, &f.as_admin, change.number, on_changes, &f);
	fixture_ok(&f);
	EXPECT_STR(change.state, "done");
	EXPECT_STR(change.actor_name, "root");
	EXPECT_CONTAINS(change.phases, "all is well");
	fixture_expect(&f);
	store_change_get(f.supervisor, NULL, change.number, on_changes, &f);
	fixture_ok(&f);
	EXPECT_STR(change.state, "done");
	fixture_expect(&f);
	store_change_get(f.front, &f.as_bob, change.number, on_changes, &f);
	fixture_fails(&f, ERR_NOT_FOUND);
	fixture_expect(&f);
	store_changes_list(f.front, &f.as_admin,
		&(struct store_changes_filter){ .plugin_name = SPAN("acme/tool"), .limit = 5 },
		on_changes, &f);
	fixture_ok(&f);
	EXPECT_UINT(change.n, ==, 1);
	fixture_expect(&f);
	store_changes_list(f.supervisor, NULL,
		&(struct store_changes_filter){
			.state = SPAN("running"),
			.environment = SPAN("test"),
		},
		on_changes, &f);
	fixture_ok(&f);
	EXPECT_UINT(change.n, ==, 0);
	fixture_done(&f);
}

TEST(store_changes__refusals_have_their_codes)
{
	struct fixture f;
	char digest[72];

	fixture_init(&f);
	change_open(&f, "install", SPAN_NONE);
	fixture_fails(&f, ERR_UNKNOWN_VERSION);
	change_open(&f, "disable", SPAN_NONE);
	fixture_fails(&f, ERR_NOT_INSTALLED);
	change_open(&f, "explode", SPAN_NONE);
	fixture_fails(&f, ERR_INVALID);
	fixture_install(&f, digest);
	change_open(&f, "install", span_of(digest));
	fixture_fails(&f, ERR_ALREADY);
	change_open(&f, "disable", SPAN_NONE);
	fixture_ok(&f);
	change_open(&f, "disable", SPAN_NONE);
	fixture_fails(&f, ERR_BUSY);
	fixture_expect(&f);
	store_change_commit(f.supervisor, &f.fence, change.number, SPAN_NONE, on_installations, &f);
	fixture_fails(&f, ERR_CHANGE_GONE); /* not claimed */
	fixture_expect(&f);
	store_change_open(f.front, &f.as_amy,
		&(struct store_change_request){ .action = SPAN("enable"),
			.plugin_name = SPAN("acme/tool"),
			.environment = SPAN("test") },
		on_changes, &f);
	fixture_fails(&f, ERR_PERMISSION);
	fixture_done(&f);
}

TEST(store_changes__a_failed_change_keeps_its_reason)
{
	struct fixture f;
	char digest[72];

	fixture_init(&f);
	fixture_lease(&f);
	fixture_trust(&f);
	(void)fixture_package(&f, "1.0.0", digest);
	change_open(&f, "install", span_of(digest));
	fixture_ok(&f);
	change_wish(&f);
	fixture_expect(&f);
	store_change_fail(f.supervisor, &f.fence, change.number, SPAN("failed"),
		SPAN("{\"text\":\"it crashed\"}"), on_changes, &f);
	fixture_ok(&f);
	EXPECT_STR(change.state, "failed");
	EXPECT_CONTAINS(change.error, "it crashed");
	fixture_done(&f);
}
