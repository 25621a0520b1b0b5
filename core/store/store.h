/* store.h - the tables, one file a subject
 *
 * Each function sends one statement (one transaction) over a pool and returns at
 * once; its callback runs exactly once, later, from the loop (db/pool.h). Rows and
 * the spans, arrays and JSON texts in them are borrowed and end with the callback;
 * on failure there are none. A NULL column is a span without data, or 0 for
 * numbers and times where no other word is given. Times are microseconds since
 * 1970. Every list has a limit, at most STORE_ROWS_MAX rows.
 *
 * Which login may call a function stands with it: [front] with the context of who
 * asks, through the policies; [supervisor] without one. Refusals are those of
 * schema/README.md, as codes of error.def.
 */
#ifndef MORTISE_STORE_STORE_H
#define MORTISE_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "db/value.h"

struct db_pool;

#define STORE_ROWS_MAX 1000

/* A node and its fencing token; every write of the supervisor names them. ERR_FENCED: another
 * process took the node, or its lease ran out. */
struct store_fence {
	struct span node;
	int64_t token;
};

typedef void (*store_done_cb)(const struct error *err, void *user);
typedef void (*store_number_cb)(const struct error *err, int64_t number, void *user);
typedef void (*store_text_cb)(const struct error *err, struct span text, void *user);

#endif
