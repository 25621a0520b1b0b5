/* postgres.h - a database of this test's own, on a real PostgreSQL
 *
 * The program runs under tests/lib/with-postgres, which makes the cluster (WRAPPER
 * of mortise_unit_test). Each call makes a database that no other test sees; the
 * cluster is thrown away as a whole, so nothing is dropped. Failures end the test.
 * Link mortise_test_postgres.
 */
#ifndef MORTISE_TESTS_LIB_POSTGRES_H
#define MORTISE_TESTS_LIB_POSTGRES_H

/* Urls of a new database, as a superuser. The caller's, released with mem_free(). */
char *postgres_database_empty(void);
/* With all migrations applied, once a cluster, and then copied; see postgres_url_as() for its
 * logins. */
char *postgres_database(void);

/* The same database as another login. mortise_front and mortise_supervisor have their own name as
 * password in every database of postgres_database(). */
char *postgres_url_as(const char *url, const char *login, const char *password);

/* Run SQL as a superuser, in the database of url. */
void postgres_run(const char *url, const char *sql);
/* The first column of the first row of a query, as text; the caller's. NULL: no row, or NULL. */
char *postgres_value(const char *url, const char *sql);

/* End the cluster as a crash does, and bring it back. */
void postgres_stop(void);
void postgres_start(void);

#endif
