/* digest.h - SHA-256 and HMAC-SHA-256
 *
 * Digests travel as 32 raw bytes and are shown as "sha256:<64 hex>". Running out of memory inside
 * the library ends the process, as mem_alloc() does. [any thread]
 */
#ifndef MORTISE_CODEC_DIGEST_H
#define MORTISE_CODEC_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

#define SHA256_SIZE      32
#define SHA256_HEX_SIZE  65 /* 64 digits and the NUL */
#define DIGEST_TEXT_SIZE 72 /* "sha256:", 64 digits, NUL */

/* A digest that is fed piece by piece. sha256_final() gives the digest of what came since
 * sha256_init() and makes it ready for the next. */
struct sha256 {
	void *context;
};
void sha256_init(struct sha256 *s);
void sha256_update(struct sha256 *s, const void *data, size_t len);
void sha256_final(struct sha256 *s, uint8_t out[static SHA256_SIZE]);
void sha256_done(struct sha256 *s); /* harmless on a zeroed struct */

/* Of one span at once. */
void sha256_of(struct span data, uint8_t out[static SHA256_SIZE]);
void sha256_hex(struct span data, char out[static SHA256_HEX_SIZE]);

/* HMAC-SHA-256 over the parts in a row. */
void hmac_sha256(
	struct span key, const struct span *parts, size_t n, uint8_t out[static SHA256_SIZE]);

/* Whether a and b agree, in a time that does not tell where they differ. */
bool digest_equal(const void *a, const void *b, size_t len);

/* "sha256:<hex>", and back; false when it is not exactly that. */
void digest_text(const uint8_t digest[static SHA256_SIZE], char out[static DIGEST_TEXT_SIZE]);
bool digest_parse(struct span text, uint8_t out[static SHA256_SIZE]);

#endif
