/* key.h - the form of an API key
 *
 * `mrt_`, 43 characters of base62 (256 random bits), 6 of base62: the CRC-32 (IEEE
 * 802.3) of the 43, most significant digit first. The checksum proves nothing; it
 * lets secret scanners and us tell a key from noise without asking the database.
 * What is stored is the SHA-256 of the whole text and its first characters. Knows no
 * table. [any thread]
 */
#ifndef MORTISE_IDENTITY_KEY_H
#define MORTISE_IDENTITY_KEY_H

#include <stdbool.h>

#include "base/text.h"

#define KEY_RANDOM_LEN   43u
#define KEY_CHECKSUM_LEN 6u
#define KEY_LEN          (4u + KEY_RANDOM_LEN + KEY_CHECKSUM_LEN)
#define KEY_PREFIX_LEN   10u /* shown in lists: no secret */
#define KEY_HASH_LEN     64u /* hex SHA-256 */

/* A new key in out, NUL-terminated; the caller wipes it. */
void key_make(char out[static KEY_LEN + 1]);

/* Has it the form of a key, its checksum included? */
bool key_well_formed(struct span text);

/* The database knows a key by the hex SHA-256 of its text: sha256_hex() of codec/digest.h. */

#endif
