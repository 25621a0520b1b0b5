/* Services are numbered as they first appear and keep their number; teams and providers are
 * numbered labels. A walk marks what it has seen with its own number in place of clearing marks.
 *
 * Who needs a service is not kept: it is counted out of what each needs, in one pass, for the first
 * reverse walk after a change. To keep it would make each change of a service as dear as the number
 * of those that need libc. */
#include "catalog/graph.h"

#include "base/map.h"
#include "base/mem.h"

struct node {
	char *id;
	char *name; /* NULL: it is not there */
	size_t name_len;
	uint32_t team; /* labels; 0: none */
	uint32_t provider;
	uint32_t *needs;
	uint32_t needs_count;
	uint32_t walked; /* by this walk */
	uint32_t depth;  /* in that walk */
	uint32_t via;
};

struct graph {
	struct map ids; /* id -> its number plus 1 */
	struct node *nodes;
	uint32_t count, room;
	size_t there;
	size_t relationships;
	struct map labels; /* team or provider, with a letter before it -> its number */
	uint32_t label_count;
	uint32_t *seen; /* by label: the walk that may see it */
	uint32_t seen_room;
	uint32_t walks;
	uint32_t *queue; /* of a walk: room for every node */
	bool needed_by_known;
	uint32_t *needed_by;    /* all of them, one node's after the other's */
	uint32_t *needed_by_at; /* where a node's begin; count + 1 of them */
};

struct graph *graph_new(void)
{
	struct graph *g = mem_zalloc(sizeof(*g));

	map_init(&g->ids);
	map_init(&g->labels);
	return g;
}

void graph_free(struct graph *g)
{
	if (!g)
		return;
	for (uint32_t i = 0; i < g->count; i++) {
		mem_free(g->nodes[i].id);
		mem_free(g->nodes[i].name);
		mem_free(g->nodes[i].needs);
	}
	map_done(&g->ids);
	map_done(&g->labels);
	mem_free(g->nodes);
	mem_free(g->seen);
	mem_free(g->queue);
	mem_free(g->needed_by);
	mem_free(g->needed_by_at);
	mem_free(g);
}

size_t graph_services(const struct graph *g)
{
	return g->there;
}

static struct node *find(const struct graph *g, struct span id)
{
	uintptr_t number = (uintptr_t)map_get(&g->ids, id);

	return number ? &g->nodes[number - 1] : NULL;
}

/* The number of an id, which is given one. */
static uint32_t number_of(struct graph *g, struct span id)
{
	uintptr_t number = (uintptr_t)map_get(&g->ids, id);

	if (number)
		return (uint32_t)number - 1;
	if (g->count == g->room) {
		g->room = g->room ? 2 * g->room : 1024;
		g->nodes = mem_realloc(g->nodes, g->room * sizeof(*g->nodes));
		g->queue = mem_realloc(g->queue, g->room * sizeof(*g->queue));
	}
	g->nodes[g->count] = (struct node){ .id = mem_printf("%.*s", SPAN_ARG(id)) };
	(void)map_put(&g->ids, id, (void *)((uintptr_t)g->count + 1));
	return g->count++;
}

static uint32_t label_of(struct graph *g, char kind, struct span name, bool add)
{
	char key[256];
	uintptr_t number;

	if (name.len == 0 || name.len >= sizeof(key))
		return 0;
	key[0] = kind;
	memcpy(key + 1, name.data, name.len);
	number = (uintptr_t)map_get(&g->labels, (struct span){ key, name.len + 1 });
	if (number || !add)
		return (uint32_t)number;
	(void)map_put(&g->labels, (struct span){ key, name.len + 1 },
		(void *)((uintptr_t)g->label_count + 1));
	g->label_count++;
	if (g->label_count >= g->seen_room) {
		uint32_t room = g->seen_room ? 2 * g->seen_room : 256;

		g->seen = mem_realloc(g->seen, room * sizeof(*g->seen));
		memset(g->seen + g->seen_room, 0, (room - g->seen_room) * sizeof(*g->seen));
		g->seen_room = room;
	}
	return g->label_count;
}

static void forget(struct graph *g, struct node *node)
{
	g->there -= node->name != NULL;
	g->relationships -= node->needs_count;
	g->needed_by_known = false;
	mem_free(TAKE(node->name));
	mem_free(TAKE(node->needs));
	node->needs_count = 0;
	node->team = node->provider = 0;
}

bool graph_put(struct graph *g, const struct graph_service *service)
{
	uint32_t number, *needs = NULL;
	struct node *node;

	if (g->count + service->needs_count >= GRAPH_SERVICES_MAX ||
		g->relationships + service->needs_count > GRAPH_RELATIONSHIPS_MAX)
		return false;
	number = number_of(g, service->id);
	if (service->needs_count > 0)
		needs = mem_calloc(service->needs_count, sizeof(*needs));
	for (size_t i = 0; i < service->needs_count; i++)
		needs[i] = number_of(g, service->needs[i]); /* may move the nodes */
	node = &g->nodes[number];
	forget(g, node);
	node->name = mem_printf("%.*s", SPAN_ARG(service->name));
	node->name_len = strlen(node->name);
	node->team = label_of(g, 't', service->team, true);
	node->provider = label_of(g, 'p', service->provider, true);
	node->needs = needs;
	node->needs_count = (uint32_t)service->needs_count;
	g->there++;
	g->relationships += service->needs_count;
	return true;
}

void graph_remove(struct graph *g, struct span id)
{
	struct node *node = find(g, id);

	if (node)
		forget(g, node);
}

/* ---- who needs it ------------------------------------------------------------------------------
 */

static void learn_needed_by(struct graph *g)
{
	uint32_t *at;

	if (g->needed_by_known)
		return;
	g->needed_by = mem_realloc(g->needed_by, (g->relationships + 1) * sizeof(*g->needed_by));
	g->needed_by_at =
		mem_realloc(g->needed_by_at, ((size_t)g->count + 2) * sizeof(*g->needed_by_at));
	memset(g->needed_by_at, 0, ((size_t)g->count + 2) * sizeof(*g->needed_by_at));
	/* Counted two places on, summed up, and moved one place back by being filled. */
	at = g->needed_by_at + 1;
	for (uint32_t i = 0; i < g->count; i++)
		for (uint32_t n = 0; n < g->nodes[i].needs_count; n++)
			at[g->nodes[i].needs[n] + 1]++;
	for (uint32_t i = 0; i < g->count; i++)
		at[i + 1] += at[i];
	for (uint32_t i = 0; i < g->count; i++)
		for (uint32_t n = 0; n < g->nodes[i].needs_count; n++)
			g->needed_by[at[g->nodes[i].needs[n]]++] = i;
	g->needed_by_known = true;
}

/* ---- walking -----------------------------------------------------------------------------------
 */

static struct span name_of(const struct node *node)
{
	return (struct span){ node->name, node->name_len };
}

static bool sees(const struct graph *g, const struct graph_view *view, const struct node *node)
{
	return node->name && (view->all || (node->team && g->seen[node->team] == g->walks) ||
				     (node->provider && g->seen[node->provider] == g->walks));
}

static void begin_walk(struct graph *g, const struct graph_view *view)
{
	uint32_t label;

	if (++g->walks == 0) { /* once around: old marks would count again */
		for (uint32_t i = 0; i < g->count; i++)
			g->nodes[i].walked = 0;
		if (g->seen_room)
			memset(g->seen, 0, g->seen_room * sizeof(*g->seen));
		g->walks = 1;
	}
	for (size_t i = 0; i < view->teams_count; i++) {
		label = label_of(g, 't', view->teams[i], false);
		if (label)
			g->seen[label] = g->walks;
	}
	label = label_of(g, 'p', view->provider, false);
	if (label)
		g->seen[label] = g->walks;
}

/* Take the next level, of what those at queue[begin..end) lead to; gives its end. */
static uint32_t step(struct graph *g, const struct graph_view *view, bool reverse, uint32_t begin,
	uint32_t end, uint32_t depth)
{
	uint32_t tail = end;

	for (uint32_t i = begin; i < end; i++) {
		uint32_t from = g->queue[i];
		const struct node *source = &g->nodes[from];
		const uint32_t *next =
			reverse ? g->needed_by + g->needed_by_at[from] : source->needs;
		uint32_t count = reverse ? g->needed_by_at[from + 1] - g->needed_by_at[from]
					 : source->needs_count;

		for (uint32_t n = 0; n < count; n++) {
			struct node *node = &g->nodes[next[n]];

			if (node->walked != g->walks) {
				if (!sees(g, view, node))
					continue;
				node->walked = g->walks;
				node->depth = depth;
				node->via = from;
				g->queue[tail++] = next[n];
			} else if (node->depth == depth && node->via != from &&
				   strcmp(source->id, g->nodes[node->via].id) < 0) {
				node->via = from;
			}
		}
	}
	return tail;
}

static bool name_less(const struct graph *g, uint32_t a, uint32_t b)
{
	return span_compare(name_of(&g->nodes[a]), name_of(&g->nodes[b])) < 0;
}

/* heap[0] has the last name of all: move what may be too early there down. */
static void sink(const struct graph *g, uint32_t *heap, size_t count, size_t at)
{
	for (;;) {
		size_t child = 2 * at + 1;
		uint32_t moved = heap[at];

		if (child >= count)
			return;
		if (child + 1 < count && name_less(g, heap[child], heap[child + 1]))
			child++;
		if (!name_less(g, heap[at], heap[child]))
			return;
		heap[at] = heap[child];
		heap[child] = moved;
		at = child;
	}
}

/* Keep the `limit` first names of nodes in its front, sorted; gives how many. Its order is lost. */
static size_t first_names(const struct graph *g, uint32_t *nodes, size_t count, size_t limit)
{
	size_t kept = count < limit ? count : limit;

	for (size_t i = kept / 2; i-- > 0;)
		sink(g, nodes, kept, i);
	for (size_t i = kept; kept > 0 && i < count; i++) {
		if (!name_less(g, nodes[i], nodes[0]))
			continue;
		nodes[0] = nodes[i];
		sink(g, nodes, kept, 0);
	}
	for (size_t end = kept; end > 1; end--) {
		uint32_t last = nodes[0];

		nodes[0] = nodes[end - 1];
		nodes[end - 1] = last;
		sink(g, nodes, end - 1, 0);
	}
	return kept;
}

/* The rows of a level that are behind the walk's position. */
static size_t give_level(const struct graph *g, const struct graph_walk *walk,
	const uint32_t *level, size_t count, unsigned depth, struct graph_row *rows, size_t limit)
{
	uint32_t *chosen;
	size_t n = 0;

	if (depth < walk->after_depth || count == 0)
		return 0;
	chosen = mem_calloc(count, sizeof(*chosen));
	for (size_t i = 0; i < count; i++)
		if (depth > walk->after_depth ||
			span_compare(name_of(&g->nodes[level[i]]), walk->after_name) > 0)
			chosen[n++] = level[i];
	n = first_names(g, chosen, n, limit);
	for (size_t i = 0; i < n; i++) {
		const struct node *node = &g->nodes[chosen[i]];

		rows[i] = (struct graph_row){ .id = span_of(node->id),
			.name = name_of(node),
			.via = span_of(g->nodes[node->via].id),
			.depth = depth };
	}
	mem_free(chosen);
	return n;
}

size_t graph_walk(struct graph *g, const struct graph_view *view, const struct graph_walk *walk,
	struct graph_row *rows)
{
	struct node *start = find(g, walk->start);
	uint32_t begin = 0, end = 1;
	size_t given = 0;

	begin_walk(g, view);
	if (!start || !sees(g, view, start))
		return 0;
	if (walk->reverse)
		learn_needed_by(g);
	start->walked = g->walks;
	start->depth = 0;
	g->queue[0] = (uint32_t)(start - g->nodes);
	for (unsigned depth = 1; depth <= walk->depth && begin < end && given < walk->limit;
		depth++) {
		uint32_t next = step(g, view, walk->reverse, begin, end, depth);

		begin = end;
		end = next;
		given += give_level(g, walk, g->queue + begin, end - begin, depth, rows + given,
			walk->limit - given);
	}
	return given;
}
