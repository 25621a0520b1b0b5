/* audit_anchors.h - what nodes wrote down of a chain's head, read along with it
 *
 * Files as core/supervise/audit_anchor.h describes them. Knows no database.
 */
#ifndef MORTISE_CLI_AUDIT_ANCHORS_H
#define MORTISE_CLI_AUDIT_ANCHORS_H

#include <stdbool.h>
#include <stdint.h>

#include "codec/digest.h"

struct audit_anchors; /* opaque */

struct audit_anchor_line {
	char time[32];
	uint64_t sequence;
	int64_t row_id;
	char hash[SHA256_HEX_SIZE];
};

/* Open `<chain>.*.anchors` in folder; never NULL, none may be there. What is appended from now on
 * is not read. */
struct audit_anchors *audit_anchors_open(const char *folder, const char *chain);
void audit_anchors_free(struct audit_anchors *a);

/* The next line, of whatever file, whose sequence is at most upto; false: there is none. Sequences
 * of one file that go back come as they are: *back tells. */
bool audit_anchors_next(
	struct audit_anchors *a, uint64_t upto, struct audit_anchor_line *out, bool *back);

#endif
