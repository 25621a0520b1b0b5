/* seal.h - sealed envelopes: secrets that may stand in the database
 *
 * `enc:v1:<key id>:<base64 of iv | AES-256-CBC ciphertext | HMAC-SHA-256 tag>`. An envelope is
 * bound to its context, which names the place ("users.mfa_secret:<id>"): moved to another row it
 * does not open. SQL can make and open the same form with pgcrypto. [any thread]
 */
#ifndef MORTISE_CODEC_SEAL_H
#define MORTISE_CODEC_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

struct error;

#define SEAL_MASTER_SIZE 32
#define SEAL_KEY_ID_MAX  32
#define SEAL_PLAIN_MAX   (1u << 20)

/* One master key. id is 1 to SEAL_KEY_ID_MAX of [A-Za-z0-9_-]. */
struct seal_key {
	char id[SEAL_KEY_ID_MAX + 1];
	uint8_t master[SEAL_MASTER_SIZE];
};

/* Append the envelope of plain, at most SEAL_PLAIN_MAX bytes (ERR_TOO_LARGE). */
int seal_make(struct text *out, const struct seal_key *key, struct span context, struct span plain,
	struct error *err);

/* Append what envelope holds, with the key of the ring that it names. ERR_SEALED: not an envelope,
 * made for another context or with another key, or changed since; which of these is not told.
 * ERR_NOT_FOUND: the ring has no key of that id. The caller wipes out. */
int seal_open(struct text *out, struct span envelope, const struct seal_key *ring, size_t keys,
	struct span context, struct error *err);

/* Whether text begins as an envelope does; *id, the key it names, points into it. */
bool seal_key_id(struct span text, struct span *id);

bool seal_key_id_valid(struct span id);

#endif
