/* graph.h - what a graph of the catalog is made of
 *
 * Ids, names and who may see them, of every service, whoever asks: for a copy in
 * memory, never for an answer. What an asker may see of it is his view.
 */
#ifndef MORTISE_STORE_GRAPH_H
#define MORTISE_STORE_GRAPH_H

#include "store/store.h"

/* A service that is not removed, and the ids that it needs. */
struct store_graph_row {
	struct span id;
	struct span name;
	struct span team; /* id; none: of no team */
	struct span provider;
	struct db_array needs;
};
typedef void (*store_graph_cb)(
	const struct error *err, const struct store_graph_row *rows, size_t n, void *user);

/* STORE_GRAPH_PAGE services by id, behind this one; fewer is the end. [front] */
#define STORE_GRAPH_PAGE 1000u
void store_graph_page(struct db_pool *db, struct span after, store_graph_cb done, void *user);

/* Those of these that are there. [front] */
void store_graph_services(
	struct db_pool *db, const struct span *ids, size_t n, store_graph_cb done, void *user);

struct store_graph_view {
	struct span service_id;
	bool all;
	struct db_array teams; /* ids */
	struct span provider;
};
typedef void (*store_graph_view_cb)(
	const struct error *err, const struct store_graph_view *rows, size_t n, void *user);

/* What the asker may see, as the policies of services say, and the service of this name or id. One
 * row. ERR_NOT_FOUND: none, or not for him. [front] */
void store_graph_view(struct db_pool *db, const struct db_context *context, struct span name_or_id,
	store_graph_view_cb done, void *user);

#endif
