/* public_key.h - public keys of the kinds that other people's documents name
 *
 * TUF 1.0.34, section 4.2, names three: ed25519 (RFC 8032), ecdsa over P-256 or P-384 (FIPS 186-5),
 * and RSA-PSS with SHA-256 (RFC 8017). Our own documents know Ed25519 only (sign.h). [any thread]
 */
#ifndef MORTISE_CODEC_PUBLIC_KEY_H
#define MORTISE_CODEC_PUBLIC_KEY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/text.h"
#include "codec/digest.h"

struct error;
struct public_key; /* opaque */

#define PUBLIC_KEY_RSA_BITS_MIN 2048

/* type and scheme as TUF writes them; value is PEM, or for ed25519 64 hex digits as well.
 * ERR_KEY_FILE: an unknown kind, or not a key of it. */
int public_key_parse(struct public_key **out, struct span type, struct span scheme,
	struct span value, struct error *err);
void public_key_free(struct public_key *key);
CLEANUP_FUNCTION(struct public_key, public_key_free)

/* SHA-256 of the key itself (its SubjectPublicKeyInfo), whatever it is called. */
void public_key_digest(const struct public_key *key, uint8_t out[static SHA256_SIZE]);

/* signature is raw bytes: of the key's one length, or strict DER for ecdsa. */
bool public_key_verify(const struct public_key *key, struct span message, struct span signature);

#endif
