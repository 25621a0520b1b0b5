/* trust.h - whose signature counts, for what and how long
 *
 * A trust set holds publisher keys and pins of exact package digests. It is built from one JSON
 * document, {"keys":[KEY...],"pins":[PIN...]} (how it is handed to another process), or from a
 * folder of small files, one KEY or PIN each (`--trust DIR`):
 *
 *   key-<64 hex of its id>.json
 *   {"key_id":"ed25519:<64 hex>","public_key":"<64 hex>","name":"Acme",
 *    "namespaces":["acme","other/one-plugin"],"roles":[],"development":false,
 *    "expires_at":"2030-01-01T00:00:00Z" or null,"state":"active" or "revoked","reason":""}
 *   pin-<64 hex of the digest>.json
 *   {"digest":"sha256:<64 hex>","state":"allowed" or "revoked","expires_at":... or null,
 *    "reason":"why, required"}
 *
 * A namespace is a publisher, one plugin of it, or "*". The set is unchanged by a failure. It
 * decides nothing about files and knows no clock: the caller gives the time.
 */
#ifndef MORTISE_PACKAGE_TRUST_H
#define MORTISE_PACKAGE_TRUST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/text.h"
#include "codec/digest.h"
#include "codec/sign.h"

struct error;

#define TRUST_KEYS_MAX       1000
#define TRUST_PINS_MAX       1000
#define TRUST_NAMESPACES_MAX 64
#define TRUST_ROLES_MAX      16
#define TRUST_NAME_MAX       255 /* characters */
#define TRUST_REASON_MAX     1000
#define TRUST_FILE_MAX       (64u << 10)
#define TRUST_DOCUMENT_MAX   (4u << 20)

struct trust_key {
	char id[SIGN_KEY_ID_SIZE];
	uint8_t public_key[SIGN_PUBLIC_SIZE];
	char *name;
	char **namespaces;
	size_t namespace_count;
	char **roles;
	size_t role_count;
	bool development; /* counts only where the environment is "development" */
	bool revoked;
	int64_t expires_us; /* real time; 0: never */
	char *reason;       /* of the revocation; "" otherwise */
};

struct trust_pin {
	char digest[DIGEST_TEXT_SIZE];
	bool revoked; /* this digest is refused whoever signed it */
	int64_t expires_us;
	char *reason;
};

struct trust; /* opaque */

void trust_new(struct trust **out);
void trust_free(struct trust *trust);
CLEANUP_FUNCTION(struct trust *, trust_free)

/* Add all of a document, of one KEY, or of one PIN. ERR_TRUST_FILE: not of that form, or the key id
 * is not that of the public key. A key or pin that is there already is replaced. */
int trust_add_document(struct trust *trust, struct span json, struct error *err);
int trust_add_key(struct trust *trust, struct span json, struct error *err);
int trust_add_pin(struct trust *trust, struct span json, struct error *err);

/* The set in folder. ERR_NOT_FOUND: no such folder; other names than key-*.json and pin-*.json in
 * it are passed over. *out is the caller's. */
int trust_load(struct trust **out, const char *folder, struct error *err);
/* Write one key or pin into folder (made if absent), durably, over the one that was there. */
int trust_save_key(const char *folder, const struct trust_key *key, struct error *err);
int trust_save_pin(const char *folder, const struct trust_pin *pin, struct error *err);

/* The whole set as a document. */
void trust_append_document(struct text *out, const struct trust *trust);
/* One key as its file has it. */
void trust_append_key(struct text *out, const struct trust_key *key);

/* In the order they came; NULL behind the last. Borrowed until the set changes. */
const struct trust_key *trust_key_at(const struct trust *trust, size_t index);
const struct trust_pin *trust_pin_at(const struct trust *trust, size_t index);
/* NULL when there is none. */
const struct trust_key *trust_find_key(const struct trust *trust, struct span id);
const struct trust_pin *trust_find_pin(const struct trust *trust, struct span digest);

/* Whether key may sign at this time in this environment: 0, ERR_KEY_REVOKED, ERR_KEY_EXPIRED or
 * ERR_KEY_DEVELOPMENT. */
int trust_check_key(
	const struct trust_key *key, const char *environment, int64_t now_us, struct error *err);
/* Whether key may sign plugin ("publisher/plugin"): 0 or ERR_KEY_NAMESPACE. */
int trust_check_namespace(const struct trust_key *key, struct span plugin, struct error *err);

/* "*", "publisher" or "publisher/plugin". */
bool trust_namespace_valid(struct span text);

#endif
