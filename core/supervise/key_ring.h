/* key_ring.h - the master keys, and all that is done with them
 *
 * The keys stand in one file of mode 0600 and in this memory, which is locked, left out of core
 * files and wiped at the end; nowhere else. Which of them seals is not the file's to say but the
 * database's (store/key_ring.h), so that several nodes move to a new key together. A retired key
 * is destroyed but for the half that only checks digests. Knows no table but the names of places.
 * [main thread, loop thread; the functions that touch the file: any one thread]
 */
#ifndef MORTISE_SUPERVISE_KEY_RING_H
#define MORTISE_SUPERVISE_KEY_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/text.h"
#include "codec/digest.h"
#include "codec/seal.h"

struct error;
struct key_ring; /* opaque */

#define KEY_RING_KEYS_MAX 64

/* Read the file at path. ERR_NOT_FOUND: there is none. ERR_KEY_RING: it is not ours alone to read,
 * or not of the form; the line is named, its content never. */
int key_ring_open(struct key_ring **out, const char *path, struct error *err);

/* Make the file at path with one key. ERR_CONFLICT: there is one, made meanwhile. */
int key_ring_make(struct key_ring **out, const char *path, struct error *err);

void key_ring_free(struct key_ring *ring);
CLEANUP_FUNCTION(struct key_ring, key_ring_free)

/* What is told of a key to anyone: its id and its fingerprint, 64 hex digits from which nothing of
 * the key follows. */
struct key_ring_entry {
	char id[SEAL_KEY_ID_MAX + 1];
	char fingerprint[SHA256_HEX_SIZE];
	bool retired; /* opens and seals nothing any more */
};

const char *key_ring_path(const struct key_ring *ring);
size_t key_ring_count(const struct key_ring *ring);
/* Oldest first. */
void key_ring_entry(const struct key_ring *ring, size_t i, struct key_ring_entry *out);
/* Whether the ring can use the key of this id and fingerprint. */
bool key_ring_has(const struct key_ring *ring, struct span id, struct span fingerprint);

/* The key that seals from here on; until then nothing is sealed. ERR_NOT_FOUND: not in the ring. */
int key_ring_use(struct key_ring *ring, struct span id, struct error *err);
/* Its id; "" before key_ring_use(). */
const char *key_ring_used(const struct key_ring *ring);

/* From which the passwords of the database's logins follow when its owner has none; 32 bytes, the
 * same for the life of the ring. */
struct span key_ring_login_secret(const struct key_ring *ring);

/* A copy of what the file says now, with the same key in use where it still can be. */
int key_ring_reopen(struct key_ring **out, const struct key_ring *ring, struct error *err);

/* Add a new key to the file, and make *out the ring with it. Several processes may do so at once:
 * the file is read again under a lock. */
int key_ring_add(struct key_ring **out, const struct key_ring *ring, struct error *err);
/* Destroy the key of this id in the file, but for the half that checks digests; *out is the ring
 * without it. A key that is retired or not there is left as it is. */
int key_ring_retire(
	struct key_ring **out, const struct key_ring *ring, struct span id, struct error *err);

/* Do what a front asks: op is an enum key_ring_op of channel/protocol.h, checked here like the
 * rest. The result is appended to out, which the caller wipes. ERR_INVALID: no such op, or not for
 * this place; ERR_TOO_LARGE; ERR_SEALED and ERR_NOT_FOUND as seal_open(). */
int key_ring_serve(const struct key_ring *ring, uint32_t op, struct span context, struct span data,
	struct text *out, struct error *err);

/* Open an envelope with whatever key made it, and seal it with the one in use. The plain text never
 * leaves this function. */
int key_ring_reseal(const struct key_ring *ring, struct span context, struct span envelope,
	struct text *out, struct error *err);

#endif
