/* installations.h - what shall run where, and what does
 */
#ifndef MORTISE_STORE_INSTALLATIONS_H
#define MORTISE_STORE_INSTALLATIONS_H

#include "store/packages.h"
#include "store/store.h"

struct store_installation {
	struct span id;
	struct span plugin_id;
	struct span environment;
	struct span installed_version; /* counts only with installed_digest */
	struct span installed_digest;
	struct span previous_version;
	struct span wished_version;
	struct span wished_digest;
	struct span config;          /* JSON */
	struct db_array permissions; /* granted */
	struct span health_check_url;
	struct span installed_by;
	struct span health;       /* healthy, degraded, unhealthy, unknown: of all nodes */
	struct span health_nodes; /* JSON: {node: {"health","restarts"}} */
	double cpu_percent;       /* of one core, all nodes; -1: not measured */
	int64_t memory_mb;        /* -1: not measured */
	int64_t disk_mb;          /* -1: not measured */
	bool enabled;
	int64_t revision;
	int64_t installed_at;
	int64_t updated_at;
	int64_t disabled_at;
	int64_t uninstalled_at;
	struct span plugin_name;
	struct span display_name;
	struct span state; /* of the node's instance, or of all instances for a front */
	/* store_installations_of_node() only: */
	struct store_package_facts facts; /* of installed_digest */
	struct span instance_version;
	struct span instance_digest;
	int64_t generation;
	int64_t restarts;
	struct span failure; /* JSON */
};
typedef void (*store_installations_cb)(
	const struct error *err, const struct store_installation *rows, size_t n, void *user);

/* All live installations of the environment with their instance on node, and those gone whose
 * instance there is not available yet; by id. triplet: the platform of the node. after_id: the last
 * row of the page before, none for the first; a full page has STORE_INSTALLATIONS_PAGE rows.
 * [supervisor] */
#define STORE_INSTALLATIONS_PAGE 100
void store_installations_of_node(struct db_pool *db, struct span node, struct span environment,
	struct span triplet, struct span after_id, store_installations_cb done, void *user);

struct store_installations_filter {
	struct span environment; /* none: all */
	struct span plugin_name; /* one of this name */
	struct span after;       /* plugin names behind this one */
	unsigned limit;
};

/* Live ones that the asker may see, by plugin name. [front] */
void store_installations_list(struct db_pool *db, const struct db_context *context,
	const struct store_installations_filter *filter, store_installations_cb done, void *user);

/* The string that an installation's configuration holds under a name; SPAN_NONE when that is none.
 * ERR_NOT_FOUND: no such installation. [front, as its plugin] */
void store_installation_config(struct db_pool *db, const struct db_context *context,
	struct span installation_id, struct span name, store_text_cb done, void *user);

/* The service account of an installation: its user id. ERR_NOT_FOUND. [front] */
void store_installation_account(
	struct db_pool *db, struct span installation_id, store_text_cb done, void *user);

#endif
