/* trust.h - whose signature counts, for what and how long
 *
 * A trust set holds publisher keys and pins of exact package digests. It is filled one by one, or
 * from a folder of small JSON files (`--trust DIR`):
 *
 *   key-<64 hex of its id>.json
 *   {"key_id":"ed25519:<64 hex>","public_key":"<64 hex>","name":"Acme",
 *    "namespaces":["acme","other/one-plugin"],"roles":[],"development":false,
 *    "expires_at":"2030-01-01T00:00:00Z" or null,"state":"active" or "revoked","reason":""}
 *   pin-<64 hex of the digest>.json
 *   {"digest":"sha256:<64 hex>","state":"allowed" or "revoked","expires_at":... or null,
 *    "reason":"why, required"}
 *
 * A namespace is a publisher, one plugin of it, or "*". What a failure leaves is what was there.
 * Knows nothing of packages, and no clock: the caller gives the time.
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

/* In a set it owns its texts; handed in, they are borrowed, and an empty list may be NULL. */
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
	char *reason;       /* of the revocation; "" or NULL: none given */
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
CLEANUP_FUNCTION(struct trust, trust_free)

/* Add a copy of key or pin, over the one of that id or digest. ERR_TRUST_FILE: a rule above is
 * broken, or the id is not that of the public key. ERR_LIMIT: too many. */
int trust_put_key(struct trust *trust, const struct trust_key *key, struct error *err);
int trust_put_pin(struct trust *trust, const struct trust_pin *pin, struct error *err);

/* The set in folder. ERR_NOT_FOUND: no such folder; other names than key-*.json and pin-*.json in
 * it are passed over. *out is the caller's. */
int trust_load(struct trust **out, const char *folder, struct error *err);
/* Write one key or pin into folder (made if absent), durably, over the one that was there. The same
 * rules as trust_put_key(). */
int trust_save_key(const char *folder, const struct trust_key *key, struct error *err);
int trust_save_pin(const char *folder, const struct trust_pin *pin, struct error *err);

/* Keys by id, pins by digest; NULL behind the last. Borrowed until the set changes. */
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
