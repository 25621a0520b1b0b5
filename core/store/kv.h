/* kv.h - what plugins keep; the context's plugin says whose
 *
 * All of it [front].
 */
#ifndef MORTISE_STORE_KV_H
#define MORTISE_STORE_KV_H

#include "store/store.h"

struct store_kv {
	struct span key;   /* of list */
	struct span value; /* of get: JSON, or none */
	struct span bytes; /* of get: bytes, or none */
	int64_t size;      /* of list */
	int64_t etag;
	int64_t expires_at; /* 0: never */
};
typedef void (*store_kv_cb)(
	const struct error *err, const struct store_kv *rows, size_t n, void *user);

/* One row. ERR_NOT_FOUND. */
void store_kv_get(struct db_pool *db, const struct db_context *context, struct span key,
	store_kv_cb done, void *user);
/* Keys that begin with prefix, behind `after`, in byte order. */
void store_kv_list(struct db_pool *db, const struct db_context *context, struct span prefix,
	struct span after, unsigned limit, store_kv_cb done, void *user);

struct store_kv_put {
	struct span key;
	struct span value; /* exactly one of value (JSON) and bytes */
	struct span bytes;
	int64_t etag;   /* -1: whatever is there; 0: only if nothing is */
	int64_t ttl_ms; /* 0: for ever */
	struct span operation;
};

/* The number is the new etag. ERR_CONFLICT: the etag did not match. */
void store_kv_put(struct db_pool *db, const struct db_context *context,
	const struct store_kv_put *put, store_number_cb done, void *user);
/* etag -1: whatever is there. The number is 1, or 0 when there was nothing to delete. */
void store_kv_delete(struct db_pool *db, const struct db_context *context, struct span key,
	int64_t etag, struct span operation, store_number_cb done, void *user);

#endif
