/* A feed read shows what was committed before it was sent, so an asker waits for one that is sent
 * after he came; those who come while one is out share the next. The ids that it names are read
 * again (a refill), whatever has become of them; one refill is out at a time, and an asker waits
 * for the one that holds his ids, and for one before it.
 *
 * To begin, the horizon is noted and then all is read in pages: what changes meanwhile comes with
 * the first feed read after. */
#include "catalog/follow.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "catalog/graph.h"
#include "store/feeds.h"
#include "store/graph.h"

#define FOLLOW_MAGIC 0x464f4c4cu
#define NEEDS_MAX    10000u /* of one service; with more there is no graph */
#define REFILL_MAX   4000u  /* ids; more, and all is read anew */
/* A feed row is kept a day. A graph that nobody asked for so long has not seen all of them go by.
 */
#define IDLE_NS  (600 * CLOCK_NS_PER_SEC)
#define RETRY_NS CLOCK_NS_PER_SEC

enum follow_state {
	FOLLOW_NONE,
	FOLLOW_READING, /* a page of it, or the horizon before the first, is out */
	FOLLOW_LIVE
};

struct waiter {
	struct list link;
	follow_cb done;
	void *user;
};

struct follow {
	uint32_t magic;
	struct db_pool *db;
	enum follow_state state;
	struct graph *graph;
	uint64_t asked_ns;
	uint64_t failed_ns;
	char *last_id; /* read so far */

	int64_t horizon;
	struct map seen; /* positions of feed rows that will come again */
	bool feed_out;
	struct list for_feed; /* waiting for the feed read that is out */
	struct list for_next; /* for the one after */
	bool refill_out;
	struct map dirty;       /* ids for the next refill */
	struct map refilling;   /* ids of the one that is out */
	struct list for_refill; /* waiting for the one that is out */
	struct list for_next_refill;
};

struct follow *follow_new(struct db_pool *db)
{
	struct follow *f = mem_zalloc(sizeof(*f));

	f->magic = FOLLOW_MAGIC;
	f->db = db;
	map_init(&f->seen);
	map_init(&f->dirty);
	map_init(&f->refilling);
	list_init(&f->for_feed);
	list_init(&f->for_next);
	list_init(&f->for_refill);
	list_init(&f->for_next_refill);
	return f;
}

void follow_free(struct follow *f)
{
	if (!f)
		return;
	ASSERT(!f->feed_out && !f->refill_out && f->state != FOLLOW_READING);
	graph_free(f->graph);
	map_done(&f->seen);
	map_done(&f->dirty);
	map_done(&f->refilling);
	mem_free(f->last_id);
	f->magic = 0;
	mem_free(f);
}

static void move_all(struct list *from, struct list *to)
{
	list_for_each_safe(struct waiter, w, from, link) {
		list_remove(&w->link);
		list_append(to, &w->link);
	}
}

/* Answer those who wait in the list now; they may ask again at once. */
static void answer(struct list *waiters)
{
	struct list now;

	list_init(&now);
	move_all(waiters, &now);
	while (!list_empty(&now)) {
		struct waiter *w = LIST_FIRST(&now, struct waiter, link);

		list_remove(&w->link);
		w->done(w->user);
		mem_free(w);
	}
}

static void clear(struct map *m)
{
	map_done(m);
	map_init(m);
}

/* There is no graph any more. What is out comes back to none. */
static void drop(struct follow *f)
{
	struct list all;

	list_init(&all);
	graph_free(TAKE(f->graph));
	f->state = FOLLOW_NONE;
	f->horizon = 0;
	clear(&f->seen);
	clear(&f->dirty);
	mem_free(TAKE(f->last_id));
	move_all(&f->for_feed, &all);
	move_all(&f->for_next, &all);
	move_all(&f->for_refill, &all);
	move_all(&f->for_next_refill, &all);
	answer(&all);
}

/* Rows into the graph; false: they do not fit. */
static bool take(struct graph *g, const struct store_graph_row *rows, size_t n)
{
	CLEANUP(mem_freep) struct span *needs = mem_calloc(NEEDS_MAX + 1, sizeof(*needs));

	for (size_t i = 0; i < n; i++) {
		struct db_array ids = rows[i].needs;
		struct graph_service service = { .id = rows[i].id,
			.name = rows[i].name,
			.team = rows[i].team,
			.provider = rows[i].provider,
			.needs = needs };

		if (ids.count > NEEDS_MAX)
			return false;
		while (db_array_next(&ids, &needs[service.needs_count]))
			service.needs_count++;
		if (!graph_put(g, &service))
			return false;
	}
	return true;
}

/* ---- reading it all ----------------------------------------------------------------------------
 */

static void fail_reading(struct follow *f)
{
	f->failed_ns = clock_ns();
	drop(f);
}

static void on_page(
	const struct error *err, const struct store_graph_row *rows, size_t n, void *user)
{
	struct follow *f = user;

	ASSERT(f->magic == FOLLOW_MAGIC && f->state == FOLLOW_READING);
	if (err || !take(f->graph, rows, n)) {
		fail_reading(f);
		return;
	}
	if (n < STORE_GRAPH_PAGE) {
		f->state = FOLLOW_LIVE;
		mem_free(TAKE(f->last_id));
		return;
	}
	mem_free(f->last_id);
	f->last_id = mem_printf("%.*s", SPAN_ARG(rows[n - 1].id));
	store_graph_page(f->db, span_of(f->last_id), on_page, f);
}

static void on_horizon(const struct error *err, int64_t horizon, const struct store_feed_row *rows,
	size_t n, void *user)
{
	struct follow *f = user;

	(void)rows;
	(void)n;
	ASSERT(f->magic == FOLLOW_MAGIC && f->state == FOLLOW_READING);
	if (err) {
		fail_reading(f);
		return;
	}
	f->horizon = horizon;
	store_graph_page(f->db, SPAN(""), on_page, f);
}

static void begin_reading(struct follow *f)
{
	/* What is out belongs to a graph that was dropped: not before it has come back. */
	if (f->feed_out || f->refill_out ||
		(f->failed_ns != 0 && clock_ns() - f->failed_ns < RETRY_NS))
		return;
	f->state = FOLLOW_READING;
	f->graph = graph_new();
	store_feed_read(f->db, STORE_FEED_CATALOG, 0, on_horizon, f);
}

/* ---- refills -----------------------------------------------------------------------------------
 */

static void begin_refill(struct follow *f);

static void on_refill(
	const struct error *err, const struct store_graph_row *rows, size_t n, void *user)
{
	struct follow *f = user;

	ASSERT(f->magic == FOLLOW_MAGIC && f->refill_out);
	f->refill_out = false;
	if (f->state == FOLLOW_LIVE) {
		map_for_each(entry, &f->refilling)
			graph_remove(f->graph, entry->key);
		if (err || !take(f->graph, rows, n))
			fail_reading(f);
	}
	clear(&f->refilling);
	if (f->state != FOLLOW_LIVE)
		return;
	answer(&f->for_refill);
	if (f->state == FOLLOW_LIVE && !f->refill_out && f->dirty.count > 0)
		begin_refill(f);
}

static void begin_refill(struct follow *f)
{
	CLEANUP(mem_freep) struct span *ids = mem_calloc(f->dirty.count, sizeof(*ids));
	struct map taken = f->dirty;
	size_t n = 0;

	f->dirty = f->refilling;
	f->refilling = taken;
	move_all(&f->for_next_refill, &f->for_refill);
	map_for_each(entry, &f->refilling)
		ids[n++] = entry->key;
	f->refill_out = true;
	store_graph_services(f->db, ids, n, on_refill, f);
}

/* ---- the feed ----------------------------------------------------------------------------------
 */

static void read_feed(struct follow *f);

/* Note the ids of rows that are new, and remember those that will come again. */
static void note(struct follow *f, const struct store_feed_row *rows, size_t n, int64_t horizon)
{
	struct map again;

	map_init(&again);
	for (size_t i = 0; i < n; i++) {
		uint64_t position = (uint64_t)rows[i].position;

		if (!map_get_u64(&f->seen, position) && !span_is(rows[i].kind, "team"))
			(void)map_put(&f->dirty, rows[i].key, f);
		if (rows[i].transaction >= horizon)
			(void)map_put_u64(&again, position, f);
	}
	map_done(&f->seen);
	f->seen = again;
	f->horizon = horizon;
}

/* Those of this feed read: on to a refill, or answered. */
static void serve(struct follow *f)
{
	if (f->dirty.count > 0) {
		move_all(&f->for_feed, &f->for_next_refill);
		if (!f->refill_out)
			begin_refill(f);
	} else if (f->refill_out) {
		move_all(&f->for_feed, &f->for_refill);
	} else {
		answer(&f->for_feed);
	}
}

static void on_feed(const struct error *err, int64_t horizon, const struct store_feed_row *rows,
	size_t n, void *user)
{
	struct follow *f = user;

	ASSERT(f->magic == FOLLOW_MAGIC && f->feed_out);
	f->feed_out = false;
	if (f->state != FOLLOW_LIVE)
		return;
	if (err) {
		fail_reading(f);
		return;
	}
	note(f, rows, n, horizon);
	if (f->dirty.count > REFILL_MAX) {
		drop(f);
		begin_reading(f);
		return;
	}
	serve(f);
	if (f->state == FOLLOW_LIVE && !f->feed_out && !list_empty(&f->for_next))
		read_feed(f);
}

static void read_feed(struct follow *f)
{
	move_all(&f->for_next, &f->for_feed);
	f->feed_out = true;
	store_feed_read(f->db, STORE_FEED_CATALOG, f->horizon, on_feed, f);
}

int follow_ask(struct follow *f, follow_cb done, void *user)
{
	uint64_t now = clock_ns();
	struct waiter *w;

	ASSERT(f->magic == FOLLOW_MAGIC);
	if (f->state == FOLLOW_LIVE && now - f->asked_ns > IDLE_NS)
		drop(f);
	f->asked_ns = now;
	if (f->state == FOLLOW_NONE)
		begin_reading(f);
	if (f->state != FOLLOW_LIVE)
		return ERR_AGAIN;
	w = mem_zalloc(sizeof(*w));
	list_init(&w->link);
	w->done = done;
	w->user = user;
	list_append(&f->for_next, &w->link);
	if (!f->feed_out)
		read_feed(f);
	return 0;
}

struct graph *follow_graph(const struct follow *f)
{
	return f->state == FOLLOW_LIVE ? f->graph : NULL;
}
