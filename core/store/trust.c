#include "store/trust.h"

#include "store/store_priv.h"

#define KEY_COLUMNS                                                                             \
	"key_id, public_key, name, namespaces, roles, development, expires_at, state, reason, " \
	"added_by, added_at, revoked_at"

static void read_key(struct db_row *r, struct store_trust_key *k)
{
	k->key_id = db_row_text(r);
	k->public_key = db_row_text(r);
	k->name = db_row_text(r);
	k->namespaces = db_row_array(r);
	k->roles = db_row_array(r);
	k->development = db_row_bool(r);
	k->expires_at = db_row_time(r, 0);
	k->state = db_row_text(r);
	k->reason = db_row_text(r);
	k->added_by = db_row_text(r);
	k->added_at = db_row_time(r, 0);
	k->revoked_at = db_row_time(r, 0);
}
STORE_SHAPE(key_shape, struct store_trust_key, read_key, store_trust_keys_cb);

static const struct db_statement trust_keys_list = {
	.name = "trust_keys_list",
	.sql = "SELECT " KEY_COLUMNS " FROM trust_keys ORDER BY key_id LIMIT $1",
	.params = 1,
	.flags = DB_STATEMENT_READS,
};

void store_trust_keys_list(
	struct db_pool *db, const struct db_context *context, store_trust_keys_cb done, void *user)
{
	const struct db_param params[] = { store_limit(0) };

	store_send(db, &(struct store_query){ .statement = &trust_keys_list,
			       .context = context,
			       .params = params,
			       .shape = &key_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement trust_add = {
	.name = "trust_add",
	.sql = "SELECT " KEY_COLUMNS " FROM trust_add($1, $2, $3, $4, $5, $6, $7)",
	.params = 7,
};

void store_trust_add(struct db_pool *db, const struct db_context *context,
	const struct store_trust_add *key, store_trust_keys_cb done, void *user)
{
	CLEANUP(mem_freep) char *namespaces = NULL;
	CLEANUP(mem_freep) char *roles = NULL;
	const struct db_param params[] = {
		DB_TEXT(key->key_id),
		DB_BYTES(key->public_key),
		DB_TEXT(key->name),
		store_array(key->namespaces, key->n_namespaces, &namespaces),
		store_array(key->roles, key->n_roles, &roles),
		DB_BOOL(key->development),
		store_time_or_null(key->expires_at),
	};

	store_send(db, &(struct store_query){ .statement = &trust_add,
			       .context = context,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &key_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement trust_revoke = {
	.name = "trust_revoke",
	.sql = "SELECT " KEY_COLUMNS " FROM trust_revoke($1, $2)",
	.params = 2,
};

void store_trust_revoke(struct db_pool *db, const struct db_context *context, struct span key_id,
	struct span reason, store_trust_keys_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(key_id), store_text_or_null(reason) };

	store_send(db, &(struct store_query){ .statement = &trust_revoke,
			       .context = context,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &key_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static void read_pin(struct db_row *r, struct store_trust_pin *p)
{
	p->digest = db_row_text(r);
	p->reason = db_row_text(r);
	p->expires_at = db_row_time(r, 0);
}
STORE_SHAPE(pin_shape, struct store_trust_pin, read_pin, store_trust_pins_cb);

static const struct db_statement trust_pins_list = {
	.name = "trust_pins_list",
	.sql = "SELECT digest, reason, expires_at FROM trust_pins WHERE expires_at > now() "
	       "ORDER BY digest LIMIT $1",
	.params = 1,
	.flags = DB_STATEMENT_READS,
};

void store_trust_pins_list(
	struct db_pool *db, const struct db_context *context, store_trust_pins_cb done, void *user)
{
	const struct db_param params[] = { store_limit(0) };

	store_send(db, &(struct store_query){ .statement = &trust_pins_list,
			       .context = context,
			       .params = params,
			       .shape = &pin_shape,
			       .done = (store_fn)done,
			       .user = user });
}
