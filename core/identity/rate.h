/* rate.h - how many requests a key has left in this hour
 *
 * Fixed windows of one hour of real time, one counter a key. The counters live in a table of
 * fixed size that the caller hands in: memory shared by all fronts of a node, so that a limit
 * holds for the node and not for each front, or memory of its own. Knows no principal and no
 * clock. [any process that maps the table; lock-free]
 */
#ifndef MORTISE_IDENTITY_RATE_H
#define MORTISE_IDENTITY_RATE_H

#include <stddef.h>
#include <stdint.h>

#define RATE_WINDOW_S 3600

struct rate; /* what the memory holds */

/* Bytes for so many keys at once; keys beyond them share counters, so a limit can only come
 * earlier, never later. */
size_t rate_size(uint32_t keys);

/* The table in memory that is all zeroes or already such a table, size bytes. Borrowed. */
struct rate *rate_at(void *memory, size_t size);

/* Count one request of the key at now. Returns the seconds until the window ends when `limit`
 * (> 0) was reached before (the request does not count), else 0. */
unsigned rate_take(
	struct rate *r, const char key_hash[64], int64_t limit, int64_t now_s, int64_t *left);

#endif
