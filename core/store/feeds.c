#include "store/feeds.h"

#include "base/assert.h"
#include "store/store_priv.h"

/* Without a feed row (position 0) it carries the horizon alone. */
struct horizon_row {
	int64_t horizon;
	struct store_feed_row row;
};

static void read_row(struct db_row *r, void *row)
{
	struct horizon_row *h = row;

	h->horizon = db_row_int(r, 0);
	h->row.position = db_row_int(r, 0);
	h->row.transaction = db_row_int(r, 0);
	h->row.kind = db_row_text(r);
	h->row.key = db_row_text(r);
}

static void call_rows(store_fn fn, const struct error *err, const void *rows, size_t n, void *user)
{
	const struct horizon_row *h = rows;
	CLEANUP(mem_freep) struct store_feed_row *out = NULL;
	struct error limit;

	if (!err && n > STORE_FEED_MAX) {
		error_set(&limit, ERR_LIMIT, "more has changed than a cache can follow");
		err = &limit;
	}
	if (err) {
		((store_feed_cb)fn)(err, 0, NULL, 0, user);
		return;
	}
	ASSERT(n > 0);
	if (h->row.position == 0)
		n = 0;
	out = mem_calloc(n + 1, sizeof(*out));
	for (size_t i = 0; i < n; i++)
		out[i] = h[i].row;
	((store_feed_cb)fn)(NULL, h->horizon, out, n, user);
}

static const struct store_shape feed_shape = { sizeof(struct horizon_row), read_row, call_rows };

#define FEED_SQL(table)                                                              \
	"SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint, f.position, " \
	"f.xact::text::bigint, f.kind, f.key FROM (VALUES (1)) one(x) "              \
	"LEFT JOIN " table " f ON $1::bigint > 0 AND f.xact >= $1::text::xid8 "      \
	"ORDER BY f.position LIMIT $2"

static const struct db_statement feeds[STORE_FEED_COUNT] = {
	[STORE_FEED_AUTHORITY] = { "feed_authority", FEED_SQL("authority_feed"), 2,
		DB_STATEMENT_READS },
	[STORE_FEED_CATALOG] = { "feed_catalog", FEED_SQL("catalog_feed"), 2, DB_STATEMENT_READS },
};

void store_feed_read(
	struct db_pool *db, enum store_feed feed, int64_t since, store_feed_cb done, void *user)
{
	const struct db_param params[] = { DB_INT(since), DB_INT(STORE_FEED_MAX + 1) };

	store_send(db, &(struct store_query){ .statement = &feeds[feed],
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &feed_shape,
			       .done = (store_fn)done,
			       .user = user });
}
