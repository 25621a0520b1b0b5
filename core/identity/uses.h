/* uses.h - how often keys and when sessions were used, written in batches
 *
 * No request writes: what happened is counted here and sent now and then. What could not be sent is
 * counted again, unless it was perhaps written. [loop thread]
 */
#ifndef MORTISE_IDENTITY_USES_H
#define MORTISE_IDENTITY_USES_H

#include <stdint.h>

#include "base/map.h"

struct db_pool;
struct principal;

struct uses {
	struct db_pool *db;
	struct map keys; /* hex digest of the key or token -> struct use */
	struct map sessions;
};

void uses_init(struct uses *u, struct db_pool *db);
void uses_done(struct uses *u); /* after the pool has ended its statements */

/* The key or session of p was used count times, last at last_us (real time). */
void uses_add(struct uses *u, const struct principal *p, int64_t count, int64_t last_us);

/* Send what there is. */
void uses_flush(struct uses *u);

#endif
