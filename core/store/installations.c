#include "store/installations_priv.h"
#include "store/packages_priv.h"

static void read_bare(struct db_row *r, struct store_installation *i)
{
	i->id = db_row_text(r);
	i->plugin_id = db_row_text(r);
	i->environment = db_row_text(r);
	i->installed_version = db_row_text(r);
	i->installed_digest = db_row_text(r);
	i->previous_version = db_row_text(r);
	i->wished_version = db_row_text(r);
	i->wished_digest = db_row_text(r);
	i->config = db_row_text(r);
	i->permissions = db_row_array(r);
	i->health_check_url = db_row_text(r);
	i->installed_by = db_row_text(r);
	i->health = db_row_text(r);
	i->health_nodes = db_row_text(r);
	i->cpu_percent = db_row_real(r, -1);
	i->memory_mb = db_row_int(r, -1);
	i->disk_mb = db_row_int(r, -1);
	i->enabled = db_row_bool(r);
	i->revision = db_row_int(r, 0);
	i->installed_at = db_row_time(r, 0);
	i->updated_at = db_row_time(r, 0);
	i->disabled_at = db_row_time(r, 0);
	i->uninstalled_at = db_row_time(r, 0);
}

static void bare_read(struct db_row *r, void *row)
{
	read_bare(r, row);
}

static void bare_call(store_fn fn, const struct error *err, const void *rows, size_t n, void *user)
{
	((store_installations_cb)fn)(err, rows, n, user);
}

const struct store_shape store_installation_bare = {
	sizeof(struct store_installation),
	bare_read,
	bare_call,
};

static void read_listed(struct db_row *r, struct store_installation *i)
{
	read_bare(r, i);
	i->plugin_name = db_row_text(r);
	i->display_name = db_row_text(r);
	i->state = db_row_text(r);
	i->health = db_row_text(r);
}
STORE_SHAPE(listed_shape, struct store_installation, read_listed, store_installations_cb);

static void read_of_node(struct db_row *r, struct store_installation *i)
{
	read_listed(r, i);
	i->instance_version = db_row_text(r);
	i->instance_digest = db_row_text(r);
	i->generation = db_row_int(r, 0);
	i->restarts = db_row_int(r, 0);
	i->failure = db_row_text(r);
	store_package_facts_read(r, &i->facts);
}
STORE_SHAPE(of_node_shape, struct store_installation, read_of_node, store_installations_cb);

/* The worst of its workers' health as last sampled; where none runs, what the installation keeps.
 */
#define HEALTH_NOW                                                                                 \
	"coalesce((SELECT h.health FROM plugin_instances h WHERE h.installation_id = i.id "        \
	"AND h.pid IS NOT NULL ORDER BY array_position(ARRAY['unhealthy', 'degraded', 'unknown', " \
	"'healthy']::health_status[], h.health) LIMIT 1), i.health_status)"

static const struct db_statement installations_of_node = {
	.name = "installations_of_node",
	.sql = "SELECT " INSTALLATION_COLUMNS ", p.name, p.display_name, "
	       "coalesce(t.state, 'available'), " HEALTH_NOW
	       ", t.version, t.digest, t.generation, t.restarts, t.failure, " FACTS_COLUMNS " "
	       "FROM plugin_installations i JOIN plugins p ON p.id = i.plugin_id "
	       "LEFT JOIN plugin_instances t ON t.installation_id = i.id AND t.node_id = $1 "
	       "LEFT JOIN LATERAL package_facts(i.installed_digest, $5) f ON true "
	       "WHERE i.environment = $2 AND ($3::text IS NULL OR i.id > $3) "
	       "AND (i.uninstalled_at IS NULL OR t.state <> 'available') "
	       "ORDER BY i.id LIMIT $4",
	.params = 5,
	.flags = DB_STATEMENT_READS,
};

void store_installations_of_node(struct db_pool *db, struct span node, struct span environment,
	struct span triplet, struct span after_id, store_installations_cb done, void *user)
{
	const struct db_param params[] = {
		DB_TEXT(node),
		DB_TEXT(environment),
		DB_TEXT(after_id),
		DB_INT(STORE_INSTALLATIONS_PAGE),
		DB_TEXT(triplet),
	};

	store_send(db, &(struct store_query){ .statement = &installations_of_node,
			       .params = params,
			       .shape = &of_node_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement installations_list = {
	.name = "installations_list",
	.sql = "SELECT " INSTALLATION_COLUMNS ", p.name, p.display_name, "
	       "state_of(ARRAY(SELECT t.state FROM plugin_instances t "
	       "WHERE t.installation_id = i.id)), " HEALTH_NOW " "
	       "FROM plugin_installations i JOIN plugins p ON p.id = i.plugin_id "
	       "WHERE i.uninstalled_at IS NULL AND ($1::text IS NULL OR i.environment = $1) "
	       "AND ($2::text IS NULL OR p.name = $2) AND ($3::text IS NULL OR p.name > $3) "
	       "ORDER BY p.name, i.environment LIMIT $4",
	.params = 4,
	.flags = DB_STATEMENT_READS,
};

void store_installations_list(struct db_pool *db, const struct db_context *context,
	const struct store_installations_filter *filter, store_installations_cb done, void *user)
{
	const struct db_param params[] = {
		DB_TEXT(filter->environment),
		DB_TEXT(filter->plugin_name),
		DB_TEXT(filter->after),
		store_limit(filter->limit),
	};

	store_send(db, &(struct store_query){ .statement = &installations_list,
			       .context = context,
			       .params = params,
			       .shape = &listed_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement installation_config = {
	.name = "installation_config",
	.sql = "SELECT CASE WHEN jsonb_typeof(config->$2) = 'string' THEN config->>$2 END "
	       "FROM plugin_installations WHERE id = $1",
	.params = 2,
	.flags = DB_STATEMENT_READS,
};

void store_installation_config(struct db_pool *db, const struct db_context *context,
	struct span installation_id, struct span name, store_text_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(installation_id), DB_TEXT(name) };

	store_send(db, &(struct store_query){ .statement = &installation_config,
			       .context = context,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &store_text,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement installation_account = {
	.name = "installation_account",
	.sql = "SELECT id FROM auth_account($1) id WHERE id IS NOT NULL",
	.params = 1,
	.flags = DB_STATEMENT_READS,
};

void store_installation_account(
	struct db_pool *db, struct span installation_id, store_text_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(installation_id) };

	store_send(db, &(struct store_query){ .statement = &installation_account,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &store_text,
			       .done = (store_fn)done,
			       .user = user });
}
