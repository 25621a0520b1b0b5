/* api_keys.h - API keys, by the hash of their text
 */
#ifndef MORTISE_STORE_API_KEYS_H
#define MORTISE_STORE_API_KEYS_H

#include "store/store.h"

struct store_authority {
	struct span key_id;
	struct span user_id; /* of a team's key: the team's service account */
	struct span team_id;
	struct span role;
	struct db_array scopes;
	int64_t rate_limit;              /* requests an hour; 0: unlimited */
	int64_t expires_at;              /* 0: never */
	struct db_array allowed_ips;     /* networks as text; no items: any */
	struct db_array allowed_origins; /* no items: any */
	struct span user_name;
	struct span user_provider;
};
typedef void (*store_authorities_cb)(
	const struct error *err, const struct store_authority *rows, size_t n, void *user);

/* One row; ERR_NOT_FOUND: unknown, revoked, expired, or its owner is inactive. [front] */
void store_api_key_find(
	struct db_pool *db, struct span key_hash, store_authorities_cb done, void *user);

struct store_api_key_use {
	struct span key_hash;
	int64_t count;
	int64_t last_used_at;
};

/* Add up to STORE_ROWS_MAX uses; the number is how many keys were found. [front] */
void store_api_keys_used(struct db_pool *db, const struct store_api_key_use *uses, size_t n,
	store_number_cb done, void *user);

struct store_rate {
	int64_t granted;
	int64_t rest; /* of the hour, behind what was granted */
	int64_t limit;
	int64_t ends_in_ms;
};
typedef void (*store_rates_cb)(
	const struct error *err, const struct store_rate *rows, size_t n, void *user);

/* Take need requests out of the key's hour, and up to extra more while there are plenty. One row;
 * ERR_NOT_FOUND: there is no such key. [front] */
void store_rate_take(struct db_pool *db, struct span key_hash, unsigned need, unsigned extra,
	store_rates_cb done, void *user);

struct store_api_key {
	struct span id;
	struct span user_id; /* NULL: a team's own */
	struct span team_id;
	struct span team; /* its name */
	struct span name;
	struct span key_prefix;
	struct db_array scopes;
	int64_t rate_limit;
	struct db_array allowed_ips;
	struct db_array allowed_origins;
	int64_t usage_count;
	int64_t last_used_at;
	int64_t expires_at;
	bool active;
	int64_t revoked_at;
	struct span revoked_reason;
	int64_t created_at;
	struct span created_by;
};
typedef void (*store_api_keys_cb)(
	const struct error *err, const struct store_api_key *rows, size_t n, void *user);

struct store_api_key_create {
	struct span user; /* id or name; one of user and team may be none */
	struct span team; /* name */
	struct span name;
	struct span key_hash;
	struct span key_prefix;
	const struct span *scopes;
	size_t n_scopes;
	int64_t rate_limit; /* 0: unlimited, administrators only */
	int64_t expires_at; /* 0: never */
	const struct span *allowed_ips;
	size_t n_allowed_ips; /* 0: any */
	const struct span *allowed_origins;
	size_t n_allowed_origins; /* 0: any */
	struct span operation;    /* Idempotency-Key, or none */
	struct span body;         /* the hash of what was asked for, with an operation */
};

/* One row. ERR_KEY_MADE: the operation has made its key before, and its id is in the text. [front]
 */
void store_api_key_create(struct db_pool *db, const struct db_context *context,
	const struct store_api_key_create *key, store_api_keys_cb done, void *user);
/* One row; patch is a JSON object of columns, what is not in it stays. ERR_NOT_FOUND: there is none
 * that the asker may manage. [front] */
void store_api_key_change(struct db_pool *db, const struct db_context *context, struct span key_id,
	struct span patch, store_api_keys_cb done, void *user);
/* One row; ERR_NOT_FOUND. [front] */
void store_api_key_get(struct db_pool *db, const struct db_context *context, struct span key_id,
	store_api_keys_cb done, void *user);
/* The number is 0 when it was revoked before. ERR_NOT_FOUND. [front] */
void store_api_key_revoke(struct db_pool *db, const struct db_context *context, struct span key_id,
	struct span reason, store_number_cb done, void *user);

/* Newest first, those before the id `before` (NULL: from the start), of the team where one is
 * named, else of the user (id or name). [front] */
void store_api_keys_list(struct db_pool *db, const struct db_context *context, struct span owner,
	struct span team, struct span before, unsigned limit, store_api_keys_cb done, void *user);

#endif
