/* One connection: the advisory lock is the session's and ends with unlock or with it. A COMMIT
 * whose outcome is unknown needs no care: the next run reads what was applied. */
#include "store/migrate.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "db/session.h"

/* The key that 0001 takes too, which so waits for nobody. */
#define LOCK           "SET lock_timeout = '120s'; SELECT pg_advisory_lock(7305001); RESET lock_timeout"
#define PASSWORD_TRIES 5
#define UNLOCK         "SELECT pg_advisory_unlock(7305001)"

static int query_number(struct db_session *s, const char *sql, int64_t *number, struct error *err)
{
	struct db_result result;
	struct db_row row;
	int rc = db_session_query(s, sql, NULL, 0, &result, err);

	if (rc < 0)
		return rc;
	row = db_row_at(&result, 0);
	*number = db_row_int(&row, 0);
	rc = db_row_end(&row, err);
	db_session_clear(&result);
	return rc;
}

static int refuse_changed(
	const struct store_migration *ours, struct span name, struct span sha256, struct error *err)
{
	if (span_is(sha256, ours->sha256))
		return 0;
	return error_set(err, ERR_SCHEMA,
		"migration '%.*s' was applied with other contents than this program's '%s'",
		SPAN_ARG(name), ours->name);
}

static int check_row(struct db_row *row, const struct store_migration *migrations, size_t count,
	int64_t *number, struct error *err)
{
	struct span name, sha256;
	int rc;

	*number = db_row_int(row, 0);
	name = db_row_text(row);
	sha256 = db_row_text(row);
	rc = db_row_end(row, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < count; i++)
		if (migrations[i].number == *number)
			return refuse_changed(&migrations[i], name, sha256, err);
	error_set(err, ERR_SCHEMA, "the database has migration '%.*s', which this program does not",
		SPAN_ARG(name));
	return error_fix(err, "run the version of Mortise that made this database, or a newer one");
}

/* Compare what is applied with ours; *applied is the highest number. */
static int check_applied(struct db_session *s, const struct store_migration *migrations,
	size_t count, int64_t *applied, struct error *err)
{
	struct db_result result;
	int64_t tables = 0;
	int rc;

	*applied = 0;
	rc = query_number(s, "SELECT count(to_regclass('public.schema_migrations'))", &tables, err);
	if (rc < 0 || tables == 0)
		return rc;
	rc = db_session_query(s,
		"SELECT number, name, sha256 FROM public.schema_migrations ORDER BY number", NULL,
		0, &result, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < result.rows && rc == 0; i++) {
		struct db_row row = db_row_at(&result, i);

		rc = check_row(&row, migrations, count, applied, err);
	}
	db_session_clear(&result);
	return rc;
}

static int record(struct db_session *s, const struct store_migration *m, struct error *err)
{
	const struct db_param params[] = { DB_INT(m->number), DB_STR(m->name), DB_STR(m->sha256) };

	return db_session_query(s,
		"INSERT INTO public.schema_migrations(number, name, sha256) VALUES ($1, $2, $3)",
		params, ARRAY_LENGTH(params), NULL, err);
}

static int apply(struct db_session *s, const struct store_migration *m, struct error *err)
{
	int rc = db_session_run(s, "BEGIN", err);

	if (rc == 0)
		rc = db_session_run(s, m->sql, err);
	if (rc == 0)
		rc = record(s, m, err);
	if (rc == 0)
		rc = db_session_run(s, "COMMIT", err);
	if (rc == 0)
		return 0;
	error_wrap(err, "apply migration '%s'", m->name);
	(void)db_session_run(s, "ROLLBACK", NULL);
	return rc;
}

static int migrate_locked(struct db_session *s, const struct store_migration *migrations,
	size_t count, store_migrate_cb progress, void *user, struct error *err)
{
	int64_t applied;
	int rc = check_applied(s, migrations, count, &applied, err);

	for (size_t i = 0; i < count && rc == 0; i++) {
		if (migrations[i].number <= applied)
			continue;
		if (progress)
			progress(&migrations[i], user);
		rc = apply(s, &migrations[i], err);
	}
	return rc;
}

int store_migrate_with(struct db_session *s, const struct store_migration *migrations, size_t count,
	store_migrate_cb progress, void *user, struct error *err)
{
	int rc = db_session_run(s, LOCK, err);

	if (rc < 0) {
		error_wrap(err, "wait for another migration of this database");
		return rc;
	}
	rc = migrate_locked(s, migrations, count, progress, user, err);
	(void)db_session_run(s, UNLOCK, NULL);
	return rc;
}

int store_migrate(struct db_session *s, store_migrate_cb progress, void *user, struct error *err)
{
	size_t count;
	const struct store_migration *migrations = store_migrations(&count);

	return store_migrate_with(s, migrations, count, progress, user, err);
}

/* Roles belong to the cluster, advisory locks to a database: two hosts that set the passwords of
 * one cluster at once meet as "tuple concurrently updated". */
static int set_password(
	struct db_session *s, const char *role, const char *password, struct error *err)
{
	int rc = ERR_INTERNAL;

	for (int i = 0; i < PASSWORD_TRIES && rc == ERR_INTERNAL; i++)
		rc = db_session_set_password(s, role, password, err);
	return rc;
}

int store_set_passwords(
	struct db_session *s, const char *front, const char *supervisor, struct error *err)
{
	int rc = set_password(s, "mortise_front", front, err);

	return rc < 0 ? rc : set_password(s, "mortise_supervisor", supervisor, err);
}

int store_bootstrap_admin(struct db_session *s, const char *name, const char *key_hash,
	const char *key_prefix, struct error *err)
{
	const struct db_param params[] = { DB_STR(name), DB_STR(key_hash), DB_STR(key_prefix) };

	return db_session_query(s, "SELECT public.bootstrap_admin($1, $2, $3)", params,
		ARRAY_LENGTH(params), NULL, err);
}
