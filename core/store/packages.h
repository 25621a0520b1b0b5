/* packages.h - plugins, their versions and packages, the bytes of packages
 */
#ifndef MORTISE_STORE_PACKAGES_H
#define MORTISE_STORE_PACKAGES_H

#include "store/store.h"

#define STORE_CHUNK_BYTES 1048576

struct store_plugin {
	struct span id;
	struct span name;
	struct span display_name;
	struct span description;
	struct span current_version;
	struct span latest_version;
	struct span category;
	struct db_array tags;
	struct span author; /* JSON */
	struct span license;
	struct span homepage;
	struct span repository;
	struct span documentation;
	struct span config_schema;  /* JSON */
	struct span default_config; /* JSON */
	struct span status;
	int64_t install_count;
	bool verified;
	bool deprecated;
	int64_t published_at;
	int64_t updated_at;
};
typedef void (*store_plugins_cb)(
	const struct error *err, const struct store_plugin *rows, size_t n, void *user);

/* By name, behind `after`. query: words to find in name and description; none: all. [front] */
void store_plugins_list(struct db_pool *db, const struct db_context *context, struct span query,
	struct span after, unsigned limit, store_plugins_cb done, void *user);
/* One row. ERR_NOT_FOUND. [front] */
void store_plugin_get(struct db_pool *db, const struct db_context *context, struct span name,
	store_plugins_cb done, void *user);

struct store_plugin_version {
	struct span version;
	struct span digest;
	int64_t size;
	struct span changelog;
	struct span release_notes;
	bool breaking;
	bool stable;
	bool deprecated;
	int64_t released_at;
	struct span key_id; /* that signed its package; none: no package here */
};
typedef void (*store_plugin_versions_cb)(
	const struct error *err, const struct store_plugin_version *rows, size_t n, void *user);

/* Newest version first. [front] */
void store_plugin_versions_list(struct db_pool *db, const struct db_context *context,
	struct span plugin_name, unsigned limit, store_plugin_versions_cb done, void *user);

struct store_package {
	struct span digest;
	struct span plugin_id;
	struct span plugin_name;
	struct span version;
	struct span manifest; /* JSON */
	struct span envelope; /* the signed bytes */
	int64_t size;
	struct span key_id;
	bool stored; /* its bytes are in the chunks */
	int64_t added_at;
};
typedef void (*store_packages_cb)(
	const struct error *err, const struct store_package *rows, size_t n, void *user);

/* One row. ERR_NOT_FOUND. [front with a context; supervisor with NULL] */
void store_package_get(struct db_pool *db, const struct db_context *context, struct span digest,
	store_packages_cb done, void *user);

/* What a node needs of a package, typed by the database: nobody here parses a manifest. Lists of
 * routes have one length, and so have those of files. */
struct store_package_facts {
	struct span name; /* none: no such package */
	struct span version;
	struct span mount;
	struct span entry; /* of the platform, below files/; none: it has none */
	struct db_array needs, wants, provides;
	struct db_array route_names, route_methods, route_scopes;
	struct db_array route_patterns;     /* whole paths */
	struct db_array route_deadlines_ms; /* numbers */
	struct db_array route_body_limits;  /* numbers; bytes, 0: no body */
	int64_t health_interval_ms, health_timeout_ms, health_failures;
	int64_t memory_bytes, disk_bytes; /* 0: no limit */
	struct db_array file_paths;
	struct db_array file_sizes;  /* numbers */
	struct db_array file_modes;  /* "0644", "0755" */
	struct db_array file_hashes; /* SHA-256, raw */
	struct span manifest;        /* JSON, for whoever may parse it; not with installations */
};
typedef void (*store_package_facts_cb)(
	const struct error *err, const struct store_package_facts *rows, size_t n, void *user);

/* One row. ERR_NOT_FOUND. [supervisor] */
void store_package_facts_get(struct db_pool *db, struct span digest, struct span triplet,
	store_package_facts_cb done, void *user);

/* Digests that rows name (packages, wished, installed), for the sweep of the files: one row each,
 * with digest only, behind `after`, in order; at most STORE_ROWS_MAX. [supervisor] */
void store_package_digests(
	struct db_pool *db, struct span after, store_packages_cb done, void *user);

/* The number-th MiB of a package, from 0, all full but the last. Again is fine. [supervisor] */
void store_package_chunk_put(struct db_pool *db, const struct store_fence *fence,
	struct span digest, int64_t number, struct span bytes, store_done_cb done, void *user);
/* ERR_NOT_FOUND behind the last. [supervisor] */
void store_package_chunk_get(
	struct db_pool *db, struct span digest, int64_t number, store_text_cb done, void *user);

struct store_package_register {
	struct span digest;
	struct span manifest; /* JSON */
	struct span envelope;
	int64_t size;
	struct span key_id; /* none: let in by a pin */
	struct span actor;  /* user id, or none */
	bool stored;        /* its chunks are in and complete */
};

/* Rows of plugins, plugin_versions, packages and plugin_signatures. The number is 1 when the
 * package is new. ERR_OTHER_DIGEST, ERR_INCOMPLETE. [supervisor] */
void store_package_register(struct db_pool *db, const struct store_fence *fence,
	const struct store_package_register *package, store_number_cb done, void *user);

#endif
