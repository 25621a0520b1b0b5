/* feeds.h - what has changed, for caches
 *
 * A feed's rows become visible when their transaction commits, which is not the
 * order of their positions. So a reader goes by transaction: it keeps the horizon
 * that came with its last read and gives it as `since` to the next, and then
 * misses nothing. The channels mortise_authority and mortise_catalog ring.
 */
#ifndef MORTISE_STORE_FEEDS_H
#define MORTISE_STORE_FEEDS_H

#include "store/store.h"

enum store_feed { STORE_FEED_AUTHORITY, STORE_FEED_CATALOG, STORE_FEED_COUNT };

struct store_feed_row {
	int64_t position;
	int64_t transaction;
	struct span kind;
	struct span key;
};

/* horizon: every transaction below it has ended, and its rows have been given. */
typedef void (*store_feed_cb)(const struct error *err, int64_t horizon,
	const struct store_feed_row *rows, size_t n, void *user);

/* Every visible row of transactions from `since` on, rows of transactions above the horizon among
 * them, which come again in the next read: the reader knows them by position. With since 0 there
 * are no rows: it only tells where to begin. ERR_LIMIT: more than STORE_FEED_MAX; begin anew and
 * drop the cache. [front, supervisor] */
#define STORE_FEED_MAX 10000
void store_feed_read(
	struct db_pool *db, enum store_feed feed, int64_t since, store_feed_cb done, void *user);

#endif
