/* nodes.h - which nodes there are, and what one of them does for all
 */
#ifndef MORTISE_STORE_NODES_H
#define MORTISE_STORE_NODES_H

#include "store/store.h"

struct store_node {
	struct span id;
	struct span environment;
	int64_t fencing_token;
	int64_t lease_until;
};
typedef void (*store_nodes_cb)(
	const struct error *err, const struct store_node *rows, size_t n, void *user);

struct store_node_lease {
	struct span node;
	struct span environment;
	int64_t token;   /* 0: take the node, whoever held it; the caller holds its folder's lock */
	unsigned ttl_ms; /* a second to an hour */
	struct span facts; /* JSON; none: as they are */
};

/* Take or renew. One row. [supervisor] */
void store_node_lease(
	struct db_pool *db, const struct store_node_lease *lease, store_nodes_cb done, void *user);

/* At an orderly stop. [supervisor] */
void store_node_release(
	struct db_pool *db, const struct store_fence *fence, store_done_cb done, void *user);

/* Take or renew a named lease of the node's environment. The number is 1, or 0 while another node
 * holds it. [supervisor] */
void store_lease_take(struct db_pool *db, const struct store_fence *fence, struct span name,
	unsigned ttl_ms, store_number_cb done, void *user);

#endif
