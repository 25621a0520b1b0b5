#include "store/changes.h"

#include "store/installations_priv.h"
#include "store/store_priv.h"

#define CHANGE_COLUMNS                                                                      \
	"c.number, c.action, c.plugin_name, c.environment, c.installation_id, "             \
	"c.from_version, c.to_version, c.digest, c.actor_id, c.reason, c.state, c.phases, " \
	"c.parameters, c.parameters->'config', c.before, c.result, c.error, c.node_id, "    \
	"c.created_at, c.wished_at, "                                                       \
	"c.finished_at"

static void read_change(struct db_row *r, struct store_change *c)
{
	c->number = db_row_int(r, 0);
	c->action = db_row_text(r);
	c->plugin_name = db_row_text(r);
	c->environment = db_row_text(r);
	c->installation_id = db_row_text(r);
	c->from_version = db_row_text(r);
	c->to_version = db_row_text(r);
	c->digest = db_row_text(r);
	c->actor_id = db_row_text(r);
	c->reason = db_row_text(r);
	c->state = db_row_text(r);
	c->phases = db_row_text(r);
	c->parameters = db_row_text(r);
	c->config = db_row_text(r);
	c->before = db_row_text(r);
	c->result = db_row_text(r);
	c->error = db_row_text(r);
	c->node_id = db_row_text(r);
	c->created_at = db_row_time(r, 0);
	c->wished_at = db_row_time(r, 0);
	c->finished_at = db_row_time(r, 0);
}
STORE_SHAPE(change_shape, struct store_change, read_change, store_changes_cb);

static void read_named(struct db_row *r, struct store_change *c)
{
	read_change(r, c);
	c->actor_name = db_row_text(r);
}
STORE_SHAPE(named_shape, struct store_change, read_named, store_changes_cb);

static const struct db_statement change_open = {
	.name = "change_open",
	.sql = "SELECT " CHANGE_COLUMNS " FROM change_open($1, $2, $3, $4, $5, NULL, $6, $7, $8) c",
	.params = 8,
};

void store_change_open(struct db_pool *db, const struct db_context *context,
	const struct store_change_request *request, store_changes_cb done, void *user)
{
	const struct db_param params[] = {
		DB_TEXT(request->action),
		DB_TEXT(request->plugin_name),
		DB_TEXT(request->environment),
		store_text_or_null(request->version),
		store_text_or_null(request->digest),
		store_text_or_null(request->reason),
		store_text_or_null(request->parameters),
		store_text_or_null(request->operation_key),
	};

	store_send(db, &(struct store_query){ .statement = &change_open,
			       .context = context,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &change_shape,
			       .done = (store_fn)done,
			       .user = user });
}

/* Names of users are not the supervisor's to read. */
static const struct db_statement change_get = {
	.name = "change_get",
	.sql = "SELECT " CHANGE_COLUMNS " FROM changes c WHERE c.number = $1",
	.params = 1,
	.flags = DB_STATEMENT_READS,
};
static const struct db_statement change_get_named = {
	.name = "change_get_named",
	.sql = "SELECT " CHANGE_COLUMNS ", u.name FROM changes c "
	       "LEFT JOIN users u ON u.id = c.actor_id WHERE c.number = $1",
	.params = 1,
	.flags = DB_STATEMENT_READS,
};

void store_change_get(struct db_pool *db, const struct db_context *context, int64_t number,
	store_changes_cb done, void *user)
{
	const struct db_param params[] = { DB_INT(number) };

	store_send(
		db, &(struct store_query){ .statement = context ? &change_get_named : &change_get,
			    .context = context,
			    .params = params,
			    .rows = STORE_ROWS_ONE,
			    .shape = context ? &named_shape : &change_shape,
			    .done = (store_fn)done,
			    .user = user });
}

#define CHANGES_FILTER                                                                         \
	"WHERE ($1::text IS NULL OR c.plugin_name = $1) "                                      \
	"AND ($2::text IS NULL OR c.environment = $2) AND ($3::text IS NULL OR c.state = $3) " \
	"AND ($4::bigint IS NULL OR c.number < $4) ORDER BY c.number DESC LIMIT $5"

static const struct db_statement changes_list = {
	.name = "changes_list",
	.sql = "SELECT " CHANGE_COLUMNS " FROM changes c " CHANGES_FILTER,
	.params = 5,
	.flags = DB_STATEMENT_READS,
};
static const struct db_statement changes_list_named = {
	.name = "changes_list_named",
	.sql = "SELECT " CHANGE_COLUMNS ", u.name FROM changes c "
	       "LEFT JOIN users u ON u.id = c.actor_id " CHANGES_FILTER,
	.params = 5,
	.flags = DB_STATEMENT_READS,
};

void store_changes_list(struct db_pool *db, const struct db_context *context,
	const struct store_changes_filter *filter, store_changes_cb done, void *user)
{
	const struct db_param params[] = {
		DB_TEXT(filter->plugin_name),
		DB_TEXT(filter->environment),
		DB_TEXT(filter->state),
		store_int_or_null(filter->before, 0),
		store_limit(filter->limit),
	};

	store_send(db,
		&(struct store_query){ .statement = context ? &changes_list_named : &changes_list,
			.context = context,
			.params = params,
			.shape = context ? &named_shape : &change_shape,
			.done = (store_fn)done,
			.user = user });
}

static const struct db_statement change_claim = {
	.name = "change_claim",
	.sql = "SELECT " CHANGE_COLUMNS " FROM change_claim($1, $2) c ORDER BY c.number",
	.params = 2,
};

void store_changes_claim(
	struct db_pool *db, const struct store_fence *fence, store_changes_cb done, void *user)
{
	const struct db_param params[] = { store_node(fence), store_token(fence) };

	store_send(db, &(struct store_query){ .statement = &change_claim,
			       .params = params,
			       .shape = &change_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement change_phase = {
	.name = "change_phase",
	.sql = "SELECT change_phase($1, $2, $3, $4, $5, $6)",
	.params = 6,
};

void store_change_phase(struct db_pool *db, const struct store_fence *fence, int64_t number,
	struct span name, struct span state, struct span detail, store_done_cb done, void *user)
{
	const struct db_param params[] = {
		store_node(fence),
		store_token(fence),
		DB_INT(number),
		DB_TEXT(name),
		DB_TEXT(state),
		store_text_or_null(detail),
	};

	store_send(db, &(struct store_query){ .statement = &change_phase,
			       .params = params,
			       .shape = &store_nothing,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement change_wish = {
	.name = "change_wish",
	.sql = "SELECT " INSTALLATION_COLUMNS " FROM change_wish($1, $2, $3, $4, $5, $6, $7) i",
	.params = 7,
};

void store_change_wish(struct db_pool *db, const struct store_fence *fence,
	const struct store_change_wish *wish, store_installations_cb done, void *user)
{
	CLEANUP(mem_freep) char *permissions = NULL;
	const struct db_param params[] = {
		store_node(fence),
		store_token(fence),
		DB_INT(wish->number),
		store_text_or_null(wish->config),
		store_array(wish->permissions, wish->n_permissions, &permissions),
		store_text_or_null(wish->version),
		store_text_or_null(wish->digest),
	};

	store_send(db, &(struct store_query){ .statement = &change_wish,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &store_installation_bare,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement change_commit = {
	.name = "change_commit",
	.sql = "SELECT " INSTALLATION_COLUMNS " FROM change_commit($1, $2, $3, $4) i",
	.params = 4,
};

void store_change_commit(struct db_pool *db, const struct store_fence *fence, int64_t number,
	struct span result, store_installations_cb done, void *user)
{
	const struct db_param params[] = {
		store_node(fence),
		store_token(fence),
		DB_INT(number),
		store_text_or_null(result),
	};

	store_send(db, &(struct store_query){ .statement = &change_commit,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &store_installation_bare,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement change_fail = {
	.name = "change_fail",
	.sql = "SELECT " CHANGE_COLUMNS " FROM change_fail($1, $2, $3, $4::plugin_status, $5) c",
	.params = 5,
};

void store_change_fail(struct db_pool *db, const struct store_fence *fence, int64_t number,
	struct span instance_state, struct span error, store_changes_cb done, void *user)
{
	const struct db_param params[] = {
		store_node(fence),
		store_token(fence),
		DB_INT(number),
		store_text_or_null(instance_state),
		store_text_or_null(error),
	};

	store_send(db, &(struct store_query){ .statement = &change_fail,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &change_shape,
			       .done = (store_fn)done,
			       .user = user });
}
