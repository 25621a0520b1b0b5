/* rate.h - the requests that this node may still admit for a key in this hour
 *
 * The hour, its limit and what is left of it are the database's (auth_rate_take). A node takes
 * requests from there in blocks and admits out of what it holds, so that all nodes together never
 * admit more than the limit. This is the table of blocks: of fixed size, in memory that the caller
 * hands in and that all fronts of a node share. Knows no principal, no database and no clock.
 * [any process that maps the table; lock-free]
 */
#ifndef MORTISE_IDENTITY_RATE_H
#define MORTISE_IDENTITY_RATE_H

#include <stddef.h>
#include <stdint.h>

#define RATE_WINDOW_S 3600
/* A node never holds more unused requests of a key than this. */
#define RATE_BLOCK_MAX 65535u

struct rate; /* what the memory holds */

/* Bytes for so many keys at once; for keys beyond them no block is held, each request asks. */
size_t rate_size(uint32_t keys);

/* The table in memory that is all zeroes or already such a table, size bytes. Borrowed. */
struct rate *rate_at(void *memory, size_t size);

enum rate_answer {
	RATE_TAKEN, /* one request is counted */
	RATE_EMPTY, /* ask the database for a block */
	RATE_SPENT, /* all requests of the hour are given out */
	RATE_ANSWER_COUNT
};

struct rate_state {
	uint64_t left;    /* here, and in the database when it was last asked */
	uint64_t ends_ms; /* of the hour, in the caller's clock; 0 when nothing is known of it */
	uint32_t extra;   /* RATE_EMPTY: what to ask for beyond the requests that wait */
};

/* Count one request of the key. now_ms is of a clock that all processes of the node share and that
 * never steps (CLOCK_MONOTONIC); limit is the key's, > 0: one that was raised is asked for anew. */
enum rate_answer rate_take(struct rate *r, const char key_hash[64], uint32_t limit, uint64_t now_ms,
	struct rate_state *out);

struct rate_block {
	uint32_t taken; /* requests that the database gave, */
	uint32_t count; /* and those of them that nobody has used */
	uint32_t rest;  /* what it had left then */
	uint32_t limit; /* as the database knew it */
	uint64_t
		ends_ms; /* not later than the hour's true end: when it was asked + what was left */
};

/* Hold a block. One whose hour has ended, or for which there is no place, is dropped. */
void rate_keep(
	struct rate *r, const char key_hash[64], const struct rate_block *block, uint64_t now_ms);

#endif
