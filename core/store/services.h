/* services.h - the catalog: services, their relationships, bulk writing
 *
 * All of it [front], through the policies: a row that the asker may not see is not
 * there.
 */
#ifndef MORTISE_STORE_SERVICES_H
#define MORTISE_STORE_SERVICES_H

#include "store/store.h"

struct store_service {
	struct span id;
	struct span name;
	struct span display_name;
	struct span description;
	struct span type;
	struct span lifecycle;
	struct span tier;
	struct span owner_id;
	struct span team_id;
	struct span team_name;
	struct span team_display_name;
	struct span repository_url;
	struct span documentation_url;
	struct span api_spec_url;
	struct db_array tags;
	struct span labels;      /* JSON */
	struct span annotations; /* JSON */
	struct span metadata;    /* JSON; homepage and version stand here */
	struct span health;
	struct span provider;
	struct span provider_key;
	int64_t depends_on; /* how many */
	int64_t created_at;
	int64_t updated_at;
};
typedef void (*store_services_cb)(
	const struct error *err, const struct store_service *rows, size_t n, void *user);

/* By name or by id. One row. ERR_NOT_FOUND. */
void store_service_get(struct db_pool *db, const struct db_context *context, struct span name_or_id,
	store_services_cb done, void *user);

/* What is none filters nothing. */
struct store_services_filter {
	struct span query; /* words in name and description */
	struct span type;
	struct span lifecycle;
	struct span team; /* its name */
	struct span tag;
	struct span provider;
	struct span after; /* names behind this one */
	unsigned limit;
};

/* By name, which alone is the cursor. */
void store_services_list(struct db_pool *db, const struct db_context *context,
	const struct store_services_filter *filter, store_services_cb done, void *user);

struct store_relationship {
	struct span source_id;
	struct span source_name;
	struct span target_id;
	struct span target_name;
	struct span type;
	struct span metadata; /* JSON */
	double strength;      /* -1: none */
};
typedef void (*store_relationships_cb)(
	const struct error *err, const struct store_relationship *rows, size_t n, void *user);

/* Edges from a service, or to it (incoming), by the other's name behind `after`. */
struct store_relationships_filter {
	struct span service_id;
	bool incoming;
	struct span type; /* none: all */
	struct span after;
	unsigned limit;
};
void store_relationships_list(struct db_pool *db, const struct db_context *context,
	const struct store_relationships_filter *filter, store_relationships_cb done, void *user);

struct store_dependency {
	struct span id;
	struct span name;
	struct span display_name;
	struct span type;
	int64_t depth;
	struct span via; /* the id it was reached from */
};
typedef void (*store_dependencies_cb)(
	const struct error *err, const struct store_dependency *rows, size_t n, void *user);

/* Breadth first, by depth and name, without the start; at most STORE_ROWS_MAX rows, behind
 * (after_depth, after_name) when after_depth is not 0. reverse: who depends on it. */
struct store_closure {
	struct span service_id;
	int64_t depth;
	bool reverse;
	int64_t after_depth;
	struct span after_name;
	unsigned limit;
};
void store_service_closure(struct db_pool *db, const struct db_context *context,
	const struct store_closure *closure, store_dependencies_cb done, void *user);

/* Rows of services that a walk has found, in the order of their depths and names; those that the
 * asker may not see, or that are gone, are left out. */
struct store_found {
	const struct span *ids;
	const struct span *vias;
	const int64_t *depths;
	size_t count; /* at most STORE_ROWS_MAX */
};
void store_dependencies_get(struct db_pool *db, const struct db_context *context,
	const struct store_found *found, store_dependencies_cb done, void *user);

/* Bulk writing. The provider is the installation id, equal to the context's plugin, when a plugin
 * asks. sync: 0 for none. operation: an operation key, or none; a second call with it gives the
 * first one's answer. The text is the answer's JSON (schema/README.md). */
struct store_catalog_write {
	struct span provider;
	struct span items; /* JSON: entities or edges */
	int64_t sync;
	struct span operation;
	bool create_teams; /* of apply */
};
void store_catalog_apply(struct db_pool *db, const struct db_context *context,
	const struct store_catalog_write *write, store_text_cb done, void *user);
void store_catalog_relate(struct db_pool *db, const struct db_context *context,
	const struct store_catalog_write *write, store_text_cb done, void *user);
/* The number is the sync. */
void store_catalog_sync_begin(struct db_pool *db, const struct db_context *context,
	struct span provider, struct span operation, store_number_cb done, void *user);
void store_catalog_sync_finish(struct db_pool *db, const struct db_context *context,
	const struct store_catalog_write *write, store_text_cb done, void *user);

#endif
