/* audit_anchor.h - heads of the audit trail's chains, where the database's owner cannot reach
 *
 * FOLDER/<chain>.<node>.anchors is only ever appended to, and on disk before the
 * call returns: one line a head, `time chain sequence row-id seal`. Who cuts the end
 * off the trail and its seals leaves these behind. Copy them to another machine
 * as often as the last of them matters; `mortise audit verify --anchors` reads
 * any folder of them.
 */
#ifndef MORTISE_SUPERVISE_AUDIT_ANCHOR_H
#define MORTISE_SUPERVISE_AUDIT_ANCHOR_H

#include <stddef.h>
#include <stdint.h>

#include "codec/chain.h"

struct error;

struct audit_anchor {
	char chain[CHAIN_NAME_SIZE];
	int64_t row_id; /* that the seal is of */
	struct chain_head head;
};

/* Blocking. [any thread] */
int audit_anchor_append(const char *folder, const char *node, const struct audit_anchor *anchors,
	size_t n, struct error *err);

#endif
