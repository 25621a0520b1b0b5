/* migrate.h - bring a database's schema up to this program
 *
 * The migrations (schema/NNNN_name.sql) are part of the program. They are applied
 * in order, each in a transaction with its row in schema_migrations, one migrator
 * at a time. A database whose applied migrations differ from ours, or that is
 * newer than we are, is refused untouched: ERR_SCHEMA. Blocks; runs before the
 * loop does. [main thread, as the owner]
 */
#ifndef MORTISE_STORE_MIGRATE_H
#define MORTISE_STORE_MIGRATE_H

#include <stddef.h>

struct db_session;
struct error;

struct store_migration {
	int number;
	const char *name;   /* "0001_roles" */
	const char *sha256; /* lower-case hex of sql */
	const char *sql;
};

/* Those of this program. */
const struct store_migration *store_migrations(size_t *count);

/* Before each one that is applied. */
typedef void (*store_migrate_cb)(const struct store_migration *migration, void *user);

/* progress may be NULL. Nothing to do is success. */
int store_migrate(struct db_session *s, store_migrate_cb progress, void *user, struct error *err);

/* The same with migrations of the caller's, for tests of the rules above. */
int store_migrate_with(struct db_session *s, const struct store_migration *migrations, size_t count,
	store_migrate_cb progress, void *user, struct error *err);

/* The passwords of the logins mortise_front and mortise_supervisor, which all databases of the
 * cluster share. */
int store_set_passwords(
	struct db_session *s, const char *front, const char *supervisor, struct error *err);

/* The first administrator `name`, a user of provider `system` with one key (its hash and prefix);
 * a new hash replaces the key. */
int store_bootstrap_admin(struct db_session *s, const char *name, const char *key_hash,
	const char *key_prefix, struct error *err);

#endif
