#include "store/graph.h"

#include "store/store_priv.h"

static void read_row(struct db_row *r, struct store_graph_row *row)
{
	row->id = db_row_text(r);
	row->name = db_row_text(r);
	row->team = db_row_text(r);
	row->provider = db_row_text(r);
	row->needs = db_row_array(r);
}
STORE_SHAPE(row_shape, struct store_graph_row, read_row, store_graph_cb);

static const struct db_statement graph_page = {
	.name = "graph_page",
	.sql = "SELECT id, name, team_id, provider, needs FROM catalog_graph_page($1, $2)",
	.params = 2,
	.flags = DB_STATEMENT_READS,
};

void store_graph_page(struct db_pool *db, struct span after, store_graph_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(after), store_limit(STORE_GRAPH_PAGE) };

	store_send(db, &(struct store_query){ .statement = &graph_page,
			       .params = params,
			       .shape = &row_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement graph_services = {
	.name = "graph_services",
	.sql = "SELECT id, name, team_id, provider, needs FROM catalog_graph_services($1)",
	.params = 1,
	.flags = DB_STATEMENT_READS,
};

void store_graph_services(
	struct db_pool *db, const struct span *ids, size_t n, store_graph_cb done, void *user)
{
	CLEANUP(mem_freep) char *memory = NULL;
	const struct db_param params[] = { store_array(ids, n, &memory) };

	store_send(db, &(struct store_query){ .statement = &graph_services,
			       .params = params,
			       .shape = &row_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static void read_view(struct db_row *r, struct store_graph_view *view)
{
	view->service_id = db_row_text(r);
	view->all = db_row_bool(r);
	view->teams = db_row_array(r);
	view->provider = db_row_text(r);
}
STORE_SHAPE(view_shape, struct store_graph_view, read_view, store_graph_view_cb);

static const struct db_statement graph_view = {
	.name = "graph_view",
	.sql = "SELECT s.id, app_sees_all_services(), ARRAY(SELECT app_team_ids()), "
	       "app_own_plugin() "
	       "FROM services s WHERE s.deleted_at IS NULL AND (s.name = $1 OR s.id = $1) "
	       "ORDER BY s.name = $1 DESC LIMIT 1",
	.params = 1,
	.flags = DB_STATEMENT_READS,
};

void store_graph_view(struct db_pool *db, const struct db_context *context, struct span name_or_id,
	store_graph_view_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(name_or_id) };

	store_send(db, &(struct store_query){ .statement = &graph_view,
			       .context = context,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &view_shape,
			       .done = (store_fn)done,
			       .user = user });
}
