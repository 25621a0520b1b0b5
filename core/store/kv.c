#include "store/kv.h"

#include "store/store_priv.h"

static void read_pair(struct db_row *r, struct store_kv *k)
{
	k->value = db_row_text(r);
	k->bytes = db_row_text(r);
	k->etag = db_row_int(r, 0);
	k->expires_at = db_row_time(r, 0);
}
STORE_SHAPE(pair_shape, struct store_kv, read_pair, store_kv_cb);

static const struct db_statement kv_get = {
	.name = "kv_get",
	.sql = "SELECT value, bytes, etag, expires_at FROM kv_get($1)",
	.params = 1,
	.flags = DB_STATEMENT_READS,
};

void store_kv_get(struct db_pool *db, const struct db_context *context, struct span key,
	store_kv_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(key) };

	store_send(db, &(struct store_query){ .statement = &kv_get,
			       .context = context,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &pair_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static void read_key(struct db_row *r, struct store_kv *k)
{
	k->key = db_row_text(r);
	k->etag = db_row_int(r, 0);
	k->size = db_row_int(r, 0);
	k->expires_at = db_row_time(r, 0);
}
STORE_SHAPE(key_shape, struct store_kv, read_key, store_kv_cb);

static const struct db_statement kv_list = {
	.name = "kv_list",
	.sql = "SELECT key, etag, size, expires_at FROM kv_list($1, $2, $3)",
	.params = 3,
	.flags = DB_STATEMENT_READS,
};

void store_kv_list(struct db_pool *db, const struct db_context *context, struct span prefix,
	struct span after, unsigned limit, store_kv_cb done, void *user)
{
	const struct db_param params[] = {
		DB_TEXT(prefix.data ? prefix : SPAN("")),
		DB_TEXT(after),
		store_limit(limit),
	};

	store_send(db, &(struct store_query){ .statement = &kv_list,
			       .context = context,
			       .params = params,
			       .shape = &key_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement kv_put = {
	.name = "kv_put",
	.sql = "SELECT kv_put($1, $2, $3, $4, $5::bigint * interval '1 millisecond', $6)",
	.params = 6,
};

void store_kv_put(struct db_pool *db, const struct db_context *context,
	const struct store_kv_put *put, store_number_cb done, void *user)
{
	const struct db_param params[] = {
		DB_TEXT(put->key),
		DB_TEXT(put->value),
		DB_BYTES(put->bytes),
		store_int_or_null(put->etag, -1),
		store_int_or_null(put->ttl_ms, 0),
		store_text_or_null(put->operation),
	};

	store_send(db, &(struct store_query){ .statement = &kv_put,
			       .context = context,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &store_number,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement kv_delete = {
	.name = "kv_delete",
	.sql = "SELECT kv_delete($1, $2, $3)::int",
	.params = 3,
};

void store_kv_delete(struct db_pool *db, const struct db_context *context, struct span key,
	int64_t etag, struct span operation, store_number_cb done, void *user)
{
	const struct db_param params[] = {
		DB_TEXT(key),
		store_int_or_null(etag, -1),
		store_text_or_null(operation),
	};

	store_send(db, &(struct store_query){ .statement = &kv_delete,
			       .context = context,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &store_number,
			       .done = (store_fn)done,
			       .user = user });
}
