/* sign.h - Ed25519 keys and signatures (RFC 8032)
 *
 * A public key is 32 raw bytes; its id is "ed25519:" and the hex SHA-256 of them. Files hold keys
 * as PEM (PKCS #8 for the private, SubjectPublicKeyInfo for the public half, RFC 8410), so any
 * tool that knows Ed25519 can make and read them. [any thread]
 */
#ifndef MORTISE_CODEC_SIGN_H
#define MORTISE_CODEC_SIGN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/text.h"

struct error;

#define SIGN_PUBLIC_SIZE    32
#define SIGN_SIGNATURE_SIZE 64
#define SIGN_KEY_ID_SIZE    73 /* "ed25519:", 64 digits, NUL */

struct sign_key; /* a private key; opaque */

void sign_key_generate(struct sign_key **out);
void sign_key_free(struct sign_key *key);
CLEANUP_FUNCTION(struct sign_key, sign_key_free)
const uint8_t *sign_key_public(const struct sign_key *key);

/* Sign message. The same key and message always give the same signature. */
void sign_message(const struct sign_key *key, struct span message,
	uint8_t signature[static SIGN_SIGNATURE_SIZE]);
bool sign_verify(const uint8_t public_key[static SIGN_PUBLIC_SIZE], struct span message,
	const uint8_t signature[static SIGN_SIGNATURE_SIZE]);

void sign_key_id(
	const uint8_t public_key[static SIGN_PUBLIC_SIZE], char out[static SIGN_KEY_ID_SIZE]);
/* "ed25519:" and 64 lower-case hex digits. */
bool sign_key_id_valid(struct span id);

/* PEM, both ways. ERR_KEY_FILE: not PEM of an Ed25519 key of that half. A private key that is
 * written comes out in a text that the caller wipes. */
int sign_key_parse(struct sign_key **out, struct span pem, struct error *err);
int sign_public_parse(uint8_t out[static SIGN_PUBLIC_SIZE], struct span pem, struct error *err);
void sign_key_write(const struct sign_key *key, struct text *pem);
void sign_public_write(const uint8_t public_key[static SIGN_PUBLIC_SIZE], struct text *pem);

#endif
