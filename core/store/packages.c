#include "store/packages_priv.h"

static void read_plugin(struct db_row *r, struct store_plugin *p)
{
	p->id = db_row_text(r);
	p->name = db_row_text(r);
	p->display_name = db_row_text(r);
	p->description = db_row_text(r);
	p->current_version = db_row_text(r);
	p->latest_version = db_row_text(r);
	p->category = db_row_text(r);
	p->tags = db_row_array(r);
	p->author = db_row_text(r);
	p->license = db_row_text(r);
	p->homepage = db_row_text(r);
	p->repository = db_row_text(r);
	p->documentation = db_row_text(r);
	p->config_schema = db_row_text(r);
	p->default_config = db_row_text(r);
	p->status = db_row_text(r);
	p->install_count = db_row_int(r, 0);
	p->verified = db_row_bool(r);
	p->deprecated = db_row_bool(r);
	p->published_at = db_row_time(r, 0);
	p->updated_at = db_row_time(r, 0);
}
STORE_SHAPE(plugin_shape, struct store_plugin, read_plugin, store_plugins_cb);

#define PLUGIN_COLUMNS                                                                           \
	"id, name, display_name, description, current_version, latest_version, category, tags, " \
	"author, license, homepage, repository, documentation, config_schema, default_config, "  \
	"status, install_count, is_verified, is_deprecated, published_at, updated_at"

static const struct db_statement plugins_list = {
	.name = "plugins_list",
	.sql = "SELECT " PLUGIN_COLUMNS " FROM plugins "
	       "WHERE ($1::text IS NULL OR name > $1) AND ($2::text IS NULL "
	       "OR to_tsvector('english', name || ' ' || COALESCE(description, '')) "
	       "@@ plainto_tsquery('english', $2)) ORDER BY name LIMIT $3",
	.params = 3,
	.flags = DB_STATEMENT_READS,
};

void store_plugins_list(struct db_pool *db, const struct db_context *context, struct span query,
	struct span after, unsigned limit, store_plugins_cb done, void *user)
{
	const struct db_param params[] = {
		DB_TEXT(after),
		store_text_or_null(query),
		store_limit(limit),
	};

	store_send(db, &(struct store_query){ .statement = &plugins_list,
			       .context = context,
			       .params = params,
			       .shape = &plugin_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement plugin_get = {
	.name = "plugin_get",
	.sql = "SELECT " PLUGIN_COLUMNS " FROM plugins WHERE name = $1",
	.params = 1,
	.flags = DB_STATEMENT_READS,
};

void store_plugin_get(struct db_pool *db, const struct db_context *context, struct span name,
	store_plugins_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(name) };

	store_send(db, &(struct store_query){ .statement = &plugin_get,
			       .context = context,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &plugin_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static void read_version(struct db_row *r, struct store_plugin_version *v)
{
	v->version = db_row_text(r);
	v->digest = db_row_text(r);
	v->size = db_row_int(r, 0);
	v->changelog = db_row_text(r);
	v->release_notes = db_row_text(r);
	v->breaking = db_row_bool(r);
	v->stable = db_row_bool(r);
	v->deprecated = db_row_bool(r);
	v->released_at = db_row_time(r, 0);
	v->key_id = db_row_text(r);
}
STORE_SHAPE(version_shape, struct store_plugin_version, read_version, store_plugin_versions_cb);

static const struct db_statement plugin_versions_list = {
	.name = "plugin_versions_list",
	.sql = "SELECT v.version, v.checksum, v.package_size, v.changelog, v.release_notes, "
	       "v.breaking_changes, v.is_stable, v.is_deprecated, v.released_at, k.key_id "
	       "FROM plugins p JOIN plugin_versions v ON v.plugin_id = p.id "
	       "LEFT JOIN packages k ON k.digest = v.checksum WHERE p.name = $1 "
	       "ORDER BY semver_order(v.version) COLLATE \"C\" DESC LIMIT $2",
	.params = 2,
	.flags = DB_STATEMENT_READS,
};

void store_plugin_versions_list(struct db_pool *db, const struct db_context *context,
	struct span plugin_name, unsigned limit, store_plugin_versions_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(plugin_name), store_limit(limit) };

	store_send(db, &(struct store_query){ .statement = &plugin_versions_list,
			       .context = context,
			       .params = params,
			       .shape = &version_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static void read_package(struct db_row *r, struct store_package *p)
{
	p->digest = db_row_text(r);
	p->plugin_id = db_row_text(r);
	p->plugin_name = db_row_text(r);
	p->version = db_row_text(r);
	p->manifest = db_row_text(r);
	p->envelope = db_row_text(r);
	p->size = db_row_int(r, 0);
	p->key_id = db_row_text(r);
	p->stored = db_row_bool(r);
	p->added_at = db_row_time(r, 0);
}
STORE_SHAPE(package_shape, struct store_package, read_package, store_packages_cb);

static const struct db_statement package_get = {
	.name = "package_get",
	.sql = "SELECT k.digest, k.plugin_id, p.name, k.version, k.manifest, k.envelope, k.size, "
	       "k.key_id, k.stored, k.added_at "
	       "FROM packages k JOIN plugins p ON p.id = k.plugin_id WHERE k.digest = $1",
	.params = 1,
	.flags = DB_STATEMENT_READS,
};

void store_package_get(struct db_pool *db, const struct db_context *context, struct span digest,
	store_packages_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(digest) };

	store_send(db, &(struct store_query){ .statement = &package_get,
			       .context = context,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &package_shape,
			       .done = (store_fn)done,
			       .user = user });
}

void store_package_facts_read(struct db_row *r, struct store_package_facts *f)
{
	f->name = db_row_text(r);
	f->version = db_row_text(r);
	f->mount = db_row_text(r);
	f->entry = db_row_text(r);
	f->needs = db_row_array(r);
	f->wants = db_row_array(r);
	f->provides = db_row_array(r);
	f->route_names = db_row_array(r);
	f->route_methods = db_row_array(r);
	f->route_scopes = db_row_array(r);
	f->route_patterns = db_row_array(r);
	f->route_deadlines_ms = db_row_numbers(r);
	f->route_body_limits = db_row_numbers(r);
	f->health_interval_ms = db_row_int(r, 0);
	f->health_timeout_ms = db_row_int(r, 0);
	f->health_failures = db_row_int(r, 0);
	f->memory_bytes = db_row_int(r, 0);
	f->disk_bytes = db_row_int(r, 0);
	f->file_paths = db_row_array(r);
	f->file_sizes = db_row_numbers(r);
	f->file_modes = db_row_array(r);
	f->file_hashes = db_row_array(r);
	f->manifest = SPAN_NONE;
}

static void read_facts(struct db_row *r, struct store_package_facts *f)
{
	store_package_facts_read(r, f);
	f->manifest = db_row_text(r);
}
STORE_SHAPE(facts_shape, struct store_package_facts, read_facts, store_package_facts_cb);

static const struct db_statement package_facts_get = {
	.name = "package_facts_get",
	.sql = "SELECT " FACTS_COLUMNS ", k.manifest FROM packages k, "
	       "package_facts(k.digest, $2) f WHERE k.digest = $1",
	.params = 2,
	.flags = DB_STATEMENT_READS,
};

void store_package_facts_get(struct db_pool *db, struct span digest, struct span triplet,
	store_package_facts_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(digest), DB_TEXT(triplet) };

	store_send(db, &(struct store_query){ .statement = &package_facts_get,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &facts_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static void read_digest(struct db_row *r, struct store_package *p)
{
	p->digest = db_row_text(r);
}
STORE_SHAPE(digest_shape, struct store_package, read_digest, store_packages_cb);

static const struct db_statement package_digests = {
	.name = "package_digests",
	.sql = "SELECT digest FROM (SELECT digest FROM packages "
	       "UNION SELECT wished_digest FROM plugin_installations "
	       "UNION SELECT installed_digest FROM plugin_installations "
	       "UNION SELECT digest FROM plugin_instances) d "
	       "WHERE digest IS NOT NULL AND ($1::text IS NULL OR digest > $1) "
	       "ORDER BY digest LIMIT $2",
	.params = 2,
	.flags = DB_STATEMENT_READS,
};

void store_package_digests(
	struct db_pool *db, struct span after, store_packages_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(after), store_limit(0) };

	store_send(db, &(struct store_query){ .statement = &package_digests,
			       .params = params,
			       .shape = &digest_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement package_chunk_put = {
	.name = "package_chunk_put",
	.sql = "SELECT package_chunk_put($1, $2, $3, $4, $5)",
	.params = 5,
};

void store_package_chunk_put(struct db_pool *db, const struct store_fence *fence,
	struct span digest, int64_t number, struct span bytes, store_done_cb done, void *user)
{
	const struct db_param params[] = {
		store_node(fence),
		store_token(fence),
		DB_TEXT(digest),
		DB_INT(number),
		DB_BYTES(bytes),
	};

	store_send(db, &(struct store_query){ .statement = &package_chunk_put,
			       .params = params,
			       .shape = &store_nothing,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement package_chunk_get = {
	.name = "package_chunk_get",
	.sql = "SELECT data FROM package_chunks WHERE digest = $1 AND number = $2",
	.params = 2,
	.flags = DB_STATEMENT_READS,
};

void store_package_chunk_get(
	struct db_pool *db, struct span digest, int64_t number, store_text_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(digest), DB_INT(number) };

	store_send(db, &(struct store_query){ .statement = &package_chunk_get,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &store_text,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement package_register = {
	.name = "package_register",
	.sql = "SELECT created::int FROM package_register($1, $2, $3, $4, $5, $6, $7, $8, $9)",
	.params = 9,
};

void store_package_register(struct db_pool *db, const struct store_fence *fence,
	const struct store_package_register *package, store_number_cb done, void *user)
{
	const struct db_param params[] = {
		store_node(fence),
		store_token(fence),
		DB_TEXT(package->digest),
		DB_TEXT(package->manifest),
		DB_BYTES(package->envelope),
		DB_INT(package->size),
		store_text_or_null(package->key_id),
		store_text_or_null(package->actor),
		DB_BOOL(package->stored),
	};

	store_send(db, &(struct store_query){ .statement = &package_register,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &store_number,
			       .done = (store_fn)done,
			       .user = user });
}
