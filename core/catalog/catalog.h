/* catalog.h - services and what they need, as the asker may see them
 *
 * Reads services, pages through lists and walks dependencies, all through row-level security with
 * the asker's context, and gives them in the one JSON form that people (/v1/services) and plugins
 * (catalog/1) get. Writing is for plugins alone and stays theirs: store/services.h. Knows no HTTP
 * and no cursors' form: a position is text to hand back. [loop thread]
 */
#ifndef MORTISE_CATALOG_CATALOG_H
#define MORTISE_CATALOG_CATALOG_H

#include <jansson.h>
#include <stdbool.h>

#include "base/text.h"

struct db_context;
struct db_pool;
struct error;
struct follow;

#define CATALOG_PAGE_MAX  999u
#define CATALOG_DEPTH_MAX 100u

/* result is an object or an array, borrowed until it returns; next is the position behind it, none
 * when it is the last page. err is NULL when there is a result. */
typedef void (*catalog_cb)(void *user, const struct error *err, json_t *result, struct span next);

/* One service by its name. ERR_NOT_FOUND: none, or none that the asker may see. */
void catalog_get(struct db_pool *db, const struct db_context *context, struct span name,
	catalog_cb done, void *user);

/* What is none filters nothing. */
struct catalog_filter {
	struct span query; /* words in name and description */
	struct span type;
	struct span lifecycle;
	struct span team;
	struct span tag;
	struct span provider;
	struct span after; /* position */
	unsigned limit;    /* from 1; a page never has more than CATALOG_PAGE_MAX rows */
};

/* Services by name. */
void catalog_list(struct db_pool *db, const struct db_context *context,
	const struct catalog_filter *filter, catalog_cb done, void *user);

struct catalog_walk {
	struct span name; /* of the service to start from */
	unsigned depth;   /* 1 to CATALOG_DEPTH_MAX */
	bool reverse;     /* who needs it, in place of what it needs */
	struct span after;
	unsigned limit;
};

/* What the service needs, directly and through others, nearest first: [{"id","name","display_name",
 * "type","depth","via"}]. follow: walk in its graph when it has one; NULL: always ask the database.
 * ERR_NOT_FOUND as above. */
void catalog_dependencies(struct db_pool *db, struct follow *follow,
	const struct db_context *context, const struct catalog_walk *walk, catalog_cb done,
	void *user);

#endif
