/* chain.h - hashes of audit rows, and the chain over them
 *
 * The form, for whoever verifies the trail with a program of his own. A frame is
 * the length of a text in bytes, in decimal, a colon, and the text; the frame of
 * NULL is a single '-'. Numbers are decimal, hashes 64 lower-case hex digits.
 *
 *   row    SHA-256 of frame("mortise-audit-row-1") and a frame of each column, in
 *          the order of chain_columns[], as the text that PostgreSQL gives it;
 *          created_at as microseconds since 1970
 *   start  SHA-256 of frame("mortise-audit-chain-1"), frame(name of the chain),
 *          frame(name), frame(sequence) and frame(seal) of the seal made last in
 *          another chain; the very first chain has three '-' there
 *   seal   SHA-256 of frame("mortise-audit-seal-1"), frame(the seal before, or the
 *          start), frame(sequence, from 1), frame(row's id), frame(horizon),
 *          frame(row)
 *
 * Knows no database. [any thread]
 */
#ifndef MORTISE_CODEC_CHAIN_H
#define MORTISE_CODEC_CHAIN_H

#include <stdint.h>

#include "base/text.h"
#include "codec/digest.h"

#define CHAIN_COLUMNS    17
#define CHAIN_NAME_SIZE  16 /* "2026_11", and its NUL */
#define CHAIN_COLUMN_ID  0
#define CHAIN_COLUMN_XID 16
extern const char *const chain_columns[CHAIN_COLUMNS];

/* A column that is NULL is a span without data. */
void chain_row(const struct span columns[static CHAIN_COLUMNS], char out[static SHA256_HEX_SIZE]);

/* Where a chain stands: its last seal, or its start with sequence 0. */
struct chain_head {
	uint64_t sequence;
	char hash[SHA256_HEX_SIZE];
};

/* previous: SPAN_NONE for all three when there is none. */
void chain_start(struct chain_head *head, struct span name, struct span previous,
	struct span previous_sequence, struct span previous_hash);

/* One seal further. */
void chain_next(
	struct chain_head *head, struct span row_id, struct span horizon, const char *row_hash);

#endif
