#include "lib/postgres.h"

#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "db/session.h"
#include "lib/test.h"
#include "store/migrate.h"

#define CONNECT_MS 20000
#define TEMPLATE   "mortise_template"
/* One test makes the template, others that need it at the same time wait. */
#define TEMPLATE_LOCK "SELECT pg_advisory_lock(20150415)"

extern char **environ;

static const char *required(const char *variable)
{
	const char *value = getenv(variable);

	ck_assert_msg(value != NULL, "%s is not set: run the test under tests/lib/with-postgres",
		variable);
	return value;
}

static struct db_session *open_session(const char *url)
{
	struct db_session *s = NULL;
	struct error err;

	EXPECT_OK(db_session_open(&s, url, CONNECT_MS, &err), &err);
	return s;
}

static void run(struct db_session *s, const char *sql)
{
	struct error err;
	int rc = db_session_run(s, sql, &err);

	ck_assert_msg(rc == 0, "%s: %s (%s)", sql, err.text, db_session_detail(s));
}

void postgres_run(const char *url, const char *sql)
{
	CLEANUP(db_session_freep) struct db_session *s = open_session(url);

	run(s, sql);
}

char *postgres_value(const char *url, const char *sql)
{
	CLEANUP(db_session_freep) struct db_session *s = open_session(url);
	CLEANUP(mem_freep) char *as_text = mem_printf("SELECT x::text FROM (%s) q(x)", sql);
	struct db_result result;
	struct error err;
	char *value = NULL;

	EXPECT_OK(db_session_query(s, as_text, NULL, 0, &result, &err), &err);
	if (result.rows > 0) {
		struct db_row row = db_row_at(&result, 0);
		struct span text = db_row_text(&row);

		if (text.data)
			value = mem_printf("%.*s", SPAN_ARG(text));
	}
	db_session_clear(&result);
	return value;
}

/* url is postgresql://USER:PASSWORD@/DATABASE?host=FOLDER, as with-postgres makes it. */
static char *url_of_database(const char *url, const char *database)
{
	const char *at = strstr(url, "@/"), *query = strchr(url, '?');

	ck_assert(at && query);
	return mem_printf("%.*s@/%s%s", (int)(at - url), url, database, query);
}

char *postgres_url_as(const char *url, const char *login, const char *password)
{
	const char *at = strstr(url, "@/");

	ck_assert_ptr_nonnull(at);
	return mem_printf("postgresql://%s:%s%s", login, password, at);
}

static char *create(struct db_session *s, const char *url, const char *template)
{
	static int made;
	CLEANUP(mem_freep) char *name = mem_printf("test_%d_%d", (int)getpid(), made++);
	CLEANUP(mem_freep)
	char *sql = mem_printf("CREATE DATABASE %s TEMPLATE %s", name, template);

	run(s, sql);
	return url_of_database(url, name);
}

char *postgres_database_empty(void)
{
	const char *url = required("MORTISE_TEST_DATABASE_URL");
	CLEANUP(db_session_freep) struct db_session *s = open_session(url);

	return create(s, url, "template0");
}

static void migrate(const char *url)
{
	CLEANUP(db_session_freep) struct db_session *s = open_session(url);
	struct error err;
	int rc = store_migrate(s, NULL, NULL, &err);

	ck_assert_msg(rc == 0, "migrate: %s (%s)", err.text, db_session_detail(s));
	EXPECT_OK(store_set_passwords(s, "mortise_front", "mortise_supervisor", &err), &err);
}

static bool has_template(struct db_session *s)
{
	struct db_result result;
	struct error err;
	bool found;

	EXPECT_OK(db_session_query(s, "SELECT 1 FROM pg_database WHERE datname = '" TEMPLATE "'",
			  NULL, 0, &result, &err),
		&err);
	found = result.rows > 0;
	db_session_clear(&result);
	return found;
}

char *postgres_database(void)
{
	const char *url = required("MORTISE_TEST_DATABASE_URL");
	CLEANUP(db_session_freep) struct db_session *s = open_session(url);

	run(s, TEMPLATE_LOCK);
	if (!has_template(s)) {
		CLEANUP(mem_freep) char *fresh = url_of_database(url, TEMPLATE "_new");

		run(s, "DROP DATABASE IF EXISTS " TEMPLATE "_new");
		run(s, "CREATE DATABASE " TEMPLATE "_new TEMPLATE template0");
		migrate(fresh);
		run(s, "ALTER DATABASE " TEMPLATE "_new RENAME TO " TEMPLATE);
	}
	return create(s, url, TEMPLATE);
}

static void control(const char *verb)
{
	char *argv[] = { (char *)required("MORTISE_TEST_POSTGRES"), (char *)verb, NULL };
	pid_t pid;
	int status;

	ck_assert_int_eq(posix_spawn(&pid, argv[0], NULL, NULL, argv, environ), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s: status %d", verb, status);
}

void postgres_stop(void)
{
	control("stop");
}

void postgres_start(void)
{
	control("start");
}
