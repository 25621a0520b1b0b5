#include "store/access_rows.h"

#include "store/store_priv.h"

static void read_facts(struct db_row *r, struct store_access_facts *f)
{
	f->user_id = db_row_text(r);
	f->name = db_row_text(r);
	f->role = db_row_text(r);
	f->active = db_row_bool(r);
	f->provider = db_row_text(r);
	f->installation = db_row_text(r);
	f->permissions = db_row_array(r);
}
STORE_SHAPE(facts_shape, struct store_access_facts, read_facts, store_access_facts_cb);

static const struct db_statement access_facts = {
	.name = "access_facts",
	.sql = "SELECT user_id, name, role, is_active, provider, installation_id, permissions "
	       "FROM access_facts($1, $2, $3)",
	.params = 3,
	.flags = DB_STATEMENT_READS,
};

void store_access_facts(struct db_pool *db, const struct db_context *context, struct span name,
	struct span plugin, store_access_facts_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(name), store_text_or_null(plugin),
		DB_TEXT(context->environment) };

	store_send(db, &(struct store_query){ .statement = &access_facts,
			       .context = context,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &facts_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static void read_own_plugin(struct db_row *r, struct store_own_plugin *p)
{
	p->name = db_row_text(r);
	p->account = db_row_text(r);
}
STORE_SHAPE(own_plugin_shape, struct store_own_plugin, read_own_plugin, store_own_plugin_cb);

static const struct db_statement own_plugin = {
	.name = "own_plugin",
	.sql = "SELECT p.name, u.id FROM plugin_installations i "
	       "JOIN plugins p ON p.id = i.plugin_id LEFT JOIN users u ON u.provider = 'plugin' "
	       "AND u.provider_id = i.id AND u.deleted_at IS NULL WHERE i.id = app_plugin()",
	.params = 0,
	.flags = DB_STATEMENT_READS,
};

void store_own_plugin(
	struct db_pool *db, const struct db_context *context, store_own_plugin_cb done, void *user)
{
	store_send(db, &(struct store_query){ .statement = &own_plugin,
			       .context = context,
			       .rows = STORE_ROWS_ONE,
			       .shape = &own_plugin_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static void read_row(struct db_row *r, struct store_access_row *row)
{
	row->policy = db_row_text(r);
	row->restrictive = db_row_bool(r);
	row->holds = db_row_bool(r);
}
STORE_SHAPE(row_shape, struct store_access_row, read_row, store_access_rows_cb);

static const struct db_statement access_rows = {
	.name = "access_rows",
	.sql = "SELECT policy, restrictive, holds FROM access_rows($1, $2, $3, $4, $5, $6)",
	.params = 6,
	.flags = DB_STATEMENT_READS,
};

void store_access_rows(struct db_pool *db, const struct db_context *context,
	const struct store_access_question *question, store_access_rows_cb done, void *user)
{
	const struct db_param params[] = {
		DB_TEXT(question->user),
		DB_TEXT(question->installation.data ? question->installation : SPAN("")),
		DB_TEXT(context->environment),
		DB_STR(question->type),
		DB_STR(question->command),
		DB_TEXT(question->resource),
	};

	store_send(db, &(struct store_query){ .statement = &access_rows,
			       .context = context,
			       .params = params,
			       .shape = &row_shape,
			       .done = (store_fn)done,
			       .user = user });
}
