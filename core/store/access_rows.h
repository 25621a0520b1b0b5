/* access_rows.h - what the database's own rules say of one user and one row
 */
#ifndef MORTISE_STORE_ACCESS_ROWS_H
#define MORTISE_STORE_ACCESS_ROWS_H

#include "store/store.h"

struct store_access_facts {
	struct span user_id;
	struct span name;
	struct span role;
	bool active;
	struct span provider;
	struct span installation; /* of the plugin that was named; none: it is not installed */
	struct db_array permissions;
};
typedef void (*store_access_facts_cb)(
	const struct error *err, const struct store_access_facts *rows, size_t n, void *user);

/* One row. plugin ("publisher/plugin") may be none. ERR_NOT_FOUND: there is no such user;
 * ERR_PERMISSION: another user, and the asker is no administrator. [front] */
void store_access_facts(struct db_pool *db, const struct db_context *context, struct span name,
	struct span plugin, store_access_facts_cb done, void *user);

struct store_own_plugin {
	struct span name;    /* "publisher/plugin" */
	struct span account; /* id of its own user */
};
typedef void (*store_own_plugin_cb)(
	const struct error *err, const struct store_own_plugin *rows, size_t n, void *user);

/* One row: the plugin that context names as the asking one. [front] */
void store_own_plugin(
	struct db_pool *db, const struct db_context *context, store_own_plugin_cb done, void *user);

struct store_access_row {
	struct span policy;
	bool restrictive; /* one that must hold, not one that may */
	bool holds;
};
typedef void (*store_access_rows_cb)(
	const struct error *err, const struct store_access_row *rows, size_t n, void *user);

struct store_access_question {
	struct span user;
	struct span installation; /* of a plugin that asks for him, or none */
	const char *type;         /* "service", "team", "member", "installation", "user", "key" */
	const char *command;      /* "SELECT", "INSERT", "UPDATE" */
	struct span resource;     /* its name */
};

/* The policies of that row, each with what it says. ERR_NOT_FOUND: there is no such resource, or
 * not for the asker. [front] */
void store_access_rows(struct db_pool *db, const struct db_context *context,
	const struct store_access_question *question, store_access_rows_cb done, void *user);

#endif
