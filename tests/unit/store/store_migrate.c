#include <stdlib.h>

#include "base/mem.h"
#include "db/session.h"
#include "lib/postgres.h"
#include "lib/test.h"
#include "store/migrate.h"

#define SHA_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SHA_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static struct db_session *open_session(const char *url)
{
	struct db_session *s = NULL;
	struct error err;

	EXPECT_OK(db_session_open(&s, url, 5000, &err), &err);
	return s;
}

static void on_progress(const struct store_migration *m, void *user)
{
	EXPECT_INT(m->number, ==, ++*(int *)user);
}

TEST(store_migrate__applies_all_in_order_and_nothing_the_second_time)
{
	CLEANUP(mem_freep) char *url = postgres_database_empty();
	CLEANUP(db_session_freep) struct db_session *s = open_session(url);
	CLEANUP(mem_freep) char *recorded = NULL;
	struct error err;
	size_t count;
	int applied = 0;

	(void)store_migrations(&count);
	EXPECT_UINT(count, >=, 22);
	EXPECT_OK(store_migrate(s, on_progress, &applied, &err), &err);
	EXPECT_INT(applied, ==, (int)count);
	EXPECT_OK(store_migrate(s, on_progress, &applied, &err), &err);
	EXPECT_INT(applied, ==, (int)count);
	recorded = postgres_value(url, "SELECT count(*) FROM schema_migrations");
	EXPECT_INT(strtol(recorded, NULL, 10), ==, (long)count);
}

TEST(store_migrate__two_databases_of_one_cluster_share_the_logins)
{
	CLEANUP(mem_freep) char *one = postgres_database();
	CLEANUP(mem_freep) char *two = postgres_database();
	CLEANUP(mem_freep) char *front_one = postgres_url_as(one, "mortise_front", "mortise_front");
	CLEANUP(mem_freep) char *front_two = postgres_url_as(two, "mortise_front", "mortise_front");
	CLEANUP(mem_freep) char *a = postgres_value(front_one, "SELECT current_database()");
	CLEANUP(mem_freep) char *b = postgres_value(front_two, "SELECT current_database()");

	EXPECT_TRUE(strcmp(a, b) != 0);
}

static const struct store_migration first = {
	.number = 1,
	.name = "0001_first",
	.sha256 = SHA_A,
	.sql = "CREATE TABLE schema_migrations (number int, name text, sha256 text); "
	       "CREATE TABLE one ()",
};

TEST(store_migrate__a_changed_migration_is_refused_untouched)
{
	CLEANUP(mem_freep) char *url = postgres_database_empty();
	CLEANUP(db_session_freep) struct db_session *s = open_session(url);
	struct store_migration set[] = { first, { 2, "0002_two", SHA_B, "CREATE TABLE two ()" } };
	CLEANUP(mem_freep) char *tables = NULL;
	struct error err;

	EXPECT_OK(store_migrate_with(s, set, 1, NULL, NULL, &err), &err);
	set[0].sha256 = SHA_B;
	EXPECT_INT(store_migrate_with(s, set, 2, NULL, NULL, &err), ==, ERR_SCHEMA);
	EXPECT_CONTAINS(err.text, "0001_first");
	tables = postgres_value(url, "SELECT coalesce(to_regclass('two')::text, 'none')");
	EXPECT_STR(tables, "none");
}

TEST(store_migrate__a_newer_schema_than_ours_is_refused)
{
	CLEANUP(mem_freep) char *url = postgres_database_empty();
	CLEANUP(db_session_freep) struct db_session *s = open_session(url);
	struct store_migration set[] = { first, { 2, "0002_two", SHA_B, "CREATE TABLE two ()" } };
	struct error err;

	EXPECT_OK(store_migrate_with(s, set, 2, NULL, NULL, &err), &err);
	EXPECT_INT(store_migrate_with(s, set, 1, NULL, NULL, &err), ==, ERR_SCHEMA);
	EXPECT_CONTAINS(err.text, "0002_two");
	EXPECT_CONTAINS(err.fix, "newer");
}

TEST(store_migrate__one_that_fails_leaves_those_before_it_and_the_reason)
{
	CLEANUP(mem_freep) char *url = postgres_database_empty();
	CLEANUP(db_session_freep) struct db_session *s = open_session(url);
	struct store_migration set[] = { first,
		{ 2, "0002_two", SHA_B, "CREATE TABLE two (); SELECT 1 / 0" } };
	CLEANUP(mem_freep) char *state = NULL;
	struct error err;

	EXPECT_INT(store_migrate_with(s, set, 2, NULL, NULL, &err), <, 0);
	EXPECT_CONTAINS(err.text, "0002_two");
	state = postgres_value(url, "SELECT concat(to_regclass('one'), to_regclass('two'), "
				    "count(*)) FROM schema_migrations");
	EXPECT_STR(state, "one1");
	set[1].sql = "CREATE TABLE two ()";
	EXPECT_OK(store_migrate_with(s, set, 2, NULL, NULL, &err), &err);
}

TEST(store_migrate__the_first_administrator_gets_one_key)
{
	CLEANUP(mem_freep) char *url = postgres_database();
	CLEANUP(db_session_freep) struct db_session *s = open_session(url);
	CLEANUP(mem_freep) char *keys = NULL;
	struct error err;

	EXPECT_OK(store_bootstrap_admin(s, "admin", SHA_A, "mrt_aaaaaa", &err), &err);
	EXPECT_OK(store_bootstrap_admin(s, "admin", SHA_A, "mrt_aaaaaa", &err), &err);
	EXPECT_OK(store_bootstrap_admin(s, "admin", SHA_B, "mrt_bbbbbb", &err), &err);
	keys = postgres_value(url, "SELECT string_agg(key_prefix || is_active, ' ' "
				   "ORDER BY key_prefix) FROM api_keys");
	EXPECT_STR(keys, "mrt_aaaaaafalse mrt_bbbbbbtrue");
}
