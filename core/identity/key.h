/* key.h - the form of keys and tokens
 *
 * A prefix that names the kind, 43 characters of base62 (256 random bits), 6 of base62: the CRC-32
 * (IEEE 802.3) of the 43, most significant digit first. The checksum proves nothing; it lets secret
 * scanners and us tell a key from noise without asking the database. What is stored is the SHA-256
 * of the whole text, sha256_hex() of codec/digest.h, and of an API key its first characters. Knows
 * no table. [any thread]
 */
#ifndef MORTISE_IDENTITY_KEY_H
#define MORTISE_IDENTITY_KEY_H

#include <stdbool.h>

#include "base/text.h"

enum key_kind {
	KEY_API,     /* mrt_: an API key */
	KEY_SESSION, /* mss_: the token of a session */
	KEY_REFRESH, /* msr_: gets a session new tokens, once */
	KEY_KIND_COUNT
};

#define KEY_RANDOM_LEN   43u
#define KEY_CHECKSUM_LEN 6u
#define KEY_LEN          (4u + KEY_RANDOM_LEN + KEY_CHECKSUM_LEN) /* of every kind */
#define KEY_PREFIX_LEN   10u                                      /* shown in lists: no secret */
#define KEY_HASH_LEN     64u                                      /* hex SHA-256 */

/* A new one in out, NUL-terminated; the caller wipes it. */
void key_make(enum key_kind kind, char out[static KEY_LEN + 1]);

/* The kind whose form this has, checksum included; KEY_KIND_COUNT: it is none. */
enum key_kind key_kind_of(struct span text);

/* Has it the form of this kind? */
bool key_well_formed(enum key_kind kind, struct span text);

#endif
