/* trust.h - whose signatures count
 */
#ifndef MORTISE_STORE_TRUST_H
#define MORTISE_STORE_TRUST_H

#include "store/store.h"

struct store_trust_key {
	struct span key_id;
	struct span public_key; /* 32 bytes */
	struct span name;
	struct db_array namespaces;
	struct db_array roles;
	bool development;
	int64_t expires_at; /* 0: never */
	struct span state;  /* active, revoked */
	struct span reason;
	struct span added_by;
	int64_t added_at;
	int64_t revoked_at;
};
typedef void (*store_trust_keys_cb)(
	const struct error *err, const struct store_trust_key *rows, size_t n, void *user);

/* Revoked ones too, by id. [front with a context; supervisor with NULL] */
void store_trust_keys_list(
	struct db_pool *db, const struct db_context *context, store_trust_keys_cb done, void *user);

struct store_trust_add {
	struct span key_id;
	struct span public_key;
	struct span name;
	const struct span *namespaces;
	size_t n_namespaces;
	const struct span *roles;
	size_t n_roles;
	bool development;
	int64_t expires_at; /* 0: never */
};

/* One row. ERR_ALREADY: it is there with other contents, or revoked. [front, administrators] */
void store_trust_add(struct db_pool *db, const struct db_context *context,
	const struct store_trust_add *key, store_trust_keys_cb done, void *user);
/* One row. ERR_NOT_FOUND. [front, administrators] */
void store_trust_revoke(struct db_pool *db, const struct db_context *context, struct span key_id,
	struct span reason, store_trust_keys_cb done, void *user);

struct store_trust_pin {
	struct span digest;
	struct span reason;
	int64_t expires_at;
};
typedef void (*store_trust_pins_cb)(
	const struct error *err, const struct store_trust_pin *rows, size_t n, void *user);

/* Those that have not expired. [front with a context; supervisor with NULL] */
void store_trust_pins_list(
	struct db_pool *db, const struct db_context *context, store_trust_pins_cb done, void *user);

#endif
