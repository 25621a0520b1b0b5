/* graph.h - who needs whom, in memory, walked as somebody may see it
 *
 * Holds of each service what a walk asks for: its id, its name for the order, who may see it (team
 * and provider), and what it needs. No content: the rows of an answer are read from the database,
 * through its policies. A service that was never put is not there, though others may need it.
 * Knows no database and no context: whose graph is up to date, and what an asker may see, is told
 * (follow.h). [loop thread]
 */
#ifndef MORTISE_CATALOG_GRAPH_H
#define MORTISE_CATALOG_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

#define GRAPH_SERVICES_MAX      1000000u
#define GRAPH_RELATIONSHIPS_MAX 8000000u

struct graph; /* opaque */

struct graph *graph_new(void);
void graph_free(struct graph *g);

/* A service as it is now; what it was before is forgotten. team, provider: none when empty. False:
 * the graph is as large as it may be, and does not hold it. */
struct graph_service {
	struct span id;
	struct span name;
	struct span team;
	struct span provider;
	const struct span *needs; /* ids */
	size_t needs_count;
};
bool graph_put(struct graph *g, const struct graph_service *service);

/* It is there no more. */
void graph_remove(struct graph *g, struct span id);

size_t graph_services(const struct graph *g); /* that are there */

/* What the asker may see: all, or what is of one of his teams or of his provider. */
struct graph_view {
	bool all;
	const struct span *teams;
	size_t teams_count;
	struct span provider;
};

struct graph_walk {
	struct span start; /* id */
	unsigned depth;
	bool reverse;         /* who needs it */
	unsigned after_depth; /* rows behind (after_depth, after_name); 0: from the first */
	struct span after_name;
	size_t limit;
};

struct graph_row {
	struct span id;
	struct span name;
	struct span via; /* the id it was reached from: of several the first */
	unsigned depth;
};

/* Breadth first, each service once, at its smallest depth and without the start; by depth and name,
 * bytewise. What the view does not see is neither given nor walked through. rows has room for
 * walk->limit; gives how many there are. Their spans end with the next change of the graph. */
size_t graph_walk(struct graph *g, const struct graph_view *view, const struct graph_walk *walk,
	struct graph_row *rows);

#endif
