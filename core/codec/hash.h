/* hash.h - digests by the names that documents give them
 *
 * For formats that let their writer choose: "sha256", "sha384" and "sha512", no other. Our own
 * formats know SHA-256 only (digest.h). [any thread]
 */
#ifndef MORTISE_CODEC_HASH_H
#define MORTISE_CODEC_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

#define HASH_SIZE_MAX 64

/* Bytes of its digests; 0: not one of ours. */
size_t hash_size(struct span algorithm);

struct hash {
	void *context;
};
/* algorithm is one of ours. */
void hash_init(struct hash *h, struct span algorithm);
void hash_update(struct hash *h, const void *data, size_t len);
/* Is the digest of what came the one that the lower-case hex digits name? h is done after. */
bool hash_matches(struct hash *h, struct span hex);
void hash_done(struct hash *h); /* harmless on a zeroed struct */

#endif
