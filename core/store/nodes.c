#include "store/nodes.h"

#include "store/store_priv.h"

static void read_node(struct db_row *r, struct store_node *n)
{
	n->id = db_row_text(r);
	n->environment = db_row_text(r);
	n->fencing_token = db_row_int(r, 0);
	n->lease_until = db_row_time(r, 0);
}
STORE_SHAPE(node_shape, struct store_node, read_node, store_nodes_cb);

static const struct db_statement node_lease = {
	.name = "node_lease",
	.sql = "SELECT id, environment, fencing_token, lease_until "
	       "FROM node_lease($1, $2, $3, $4::bigint * interval '1 millisecond', $5)",
	.params = 5,
};

void store_node_lease(
	struct db_pool *db, const struct store_node_lease *lease, store_nodes_cb done, void *user)
{
	const struct db_param params[] = {
		DB_TEXT(lease->node),
		DB_TEXT(lease->environment),
		store_int_or_null(lease->token, 0),
		DB_INT(lease->ttl_ms),
		store_text_or_null(lease->facts),
	};

	store_send(db, &(struct store_query){ .statement = &node_lease,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &node_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement node_release = {
	.name = "node_release",
	.sql = "SELECT node_release($1, $2)",
	.params = 2,
};

void store_node_release(
	struct db_pool *db, const struct store_fence *fence, store_done_cb done, void *user)
{
	const struct db_param params[] = { store_node(fence), store_token(fence) };

	store_send(db, &(struct store_query){ .statement = &node_release,
			       .params = params,
			       .shape = &store_nothing,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement lease_take = {
	.name = "lease_take",
	.sql = "SELECT lease_take($1, $2, $3, $4::bigint * interval '1 millisecond')::int",
	.params = 4,
};

void store_lease_take(struct db_pool *db, const struct store_fence *fence, struct span name,
	unsigned ttl_ms, store_number_cb done, void *user)
{
	const struct db_param params[] = {
		store_node(fence),
		store_token(fence),
		DB_TEXT(name),
		DB_INT(ttl_ms),
	};

	store_send(db, &(struct store_query){ .statement = &lease_take,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &store_number,
			       .done = (store_fn)done,
			       .user = user });
}
