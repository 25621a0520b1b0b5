#include "store/api_keys.h"

#include "base/assert.h"
#include "base/clock.h"
#include "store/store_priv.h"

static void read_authority(struct db_row *r, struct store_authority *a)
{
	a->key_id = db_row_text(r);
	a->user_id = db_row_text(r);
	a->team_id = db_row_text(r);
	a->role = db_row_text(r);
	a->scopes = db_row_array(r);
	a->rate_limit = db_row_int(r, 0);
	a->expires_at = db_row_time(r, 0);
	a->allowed_ips = db_row_array(r);
	a->allowed_origins = db_row_array(r);
	a->user_name = db_row_text(r);
	a->user_provider = db_row_text(r);
}
STORE_SHAPE(authority_shape, struct store_authority, read_authority, store_authorities_cb);

static const struct db_statement auth_api_key = {
	.name = "auth_api_key",
	.sql = "SELECT key_id, user_id, team_id, role, scopes, rate_limit, expires_at, "
	       "allowed_ips::text[], allowed_origins, user_name, user_provider "
	       "FROM auth_api_key($1)",
	.params = 1,
	.flags = DB_STATEMENT_READS,
};

void store_api_key_find(
	struct db_pool *db, struct span key_hash, store_authorities_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(key_hash) };

	store_send(db, &(struct store_query){ .statement = &auth_api_key,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &authority_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement auth_api_keys_used = {
	.name = "auth_api_keys_used",
	.sql = "SELECT auth_api_keys_used($1, $2, $3)",
	.params = 3,
};

struct use_columns {
	struct text hashes;
	struct text counts;
	struct text times;
};

static void append_use(struct use_columns *c, const struct store_api_key_use *use, char separator)
{
	char time[CLOCK_TEXT_SIZE];

	clock_text(use->last_used_at, time);
	text_printf(&c->hashes, "%c\"%.*s\"", separator, SPAN_ARG(use->key_hash));
	text_printf(&c->counts, "%c%lld", separator, (long long)use->count);
	text_printf(&c->times, "%c%s", separator, time);
}

void store_api_keys_used(struct db_pool *db, const struct store_api_key_use *uses, size_t n,
	store_number_cb done, void *user)
{
	struct use_columns c;

	ASSERT(n > 0 && n <= STORE_ROWS_MAX);
	text_init(&c.hashes);
	text_init(&c.counts);
	text_init(&c.times);
	for (size_t i = 0; i < n; i++)
		append_use(&c, &uses[i], i ? ',' : '{');
	text_append_char(&c.hashes, '}');
	text_append_char(&c.counts, '}');
	text_append_char(&c.times, '}');
	store_send(db, &(struct store_query){ .statement = &auth_api_keys_used,
			       .params =
				       (const struct db_param[]){
					       DB_TEXT(text_span(&c.hashes)),
					       DB_TEXT(text_span(&c.counts)),
					       DB_TEXT(text_span(&c.times)),
				       },
			       .rows = STORE_ROWS_ONE,
			       .shape = &store_number,
			       .done = (store_fn)done,
			       .user = user });
	text_done(&c.hashes);
	text_done(&c.counts);
	text_done(&c.times);
}

static void read_rate(struct db_row *r, struct store_rate *rate)
{
	rate->granted = db_row_int(r, 0);
	rate->rest = db_row_int(r, 0);
	rate->limit = db_row_int(r, 0);
	rate->ends_in_ms = db_row_int(r, 0);
}
STORE_SHAPE(rate_shape, struct store_rate, read_rate, store_rates_cb);

static const struct db_statement auth_rate_take = {
	.name = "auth_rate_take",
	.sql = "SELECT granted, rest, key_limit, ends_in_ms FROM auth_rate_take($1, $2, $3)",
	.params = 3,
};

void store_rate_take(struct db_pool *db, struct span key_hash, unsigned need, unsigned extra,
	store_rates_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(key_hash), DB_INT(need), DB_INT(extra) };

	store_send(db, &(struct store_query){ .statement = &auth_rate_take,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &rate_shape,
			       .done = (store_fn)done,
			       .user = user });
}

#define KEY_COLUMNS                                                                       \
	"id, user_id, team_id, team, name, key_prefix, scopes, rate_limit, allowed_ips, " \
	"allowed_origins, usage_count, last_used_at, expires_at, is_active, revoked_at, " \
	"revoked_reason, created_at, created_by "

static void read_key(struct db_row *r, struct store_api_key *k)
{
	k->id = db_row_text(r);
	k->user_id = db_row_text(r);
	k->team_id = db_row_text(r);
	k->team = db_row_text(r);
	k->name = db_row_text(r);
	k->key_prefix = db_row_text(r);
	k->scopes = db_row_array(r);
	k->rate_limit = db_row_int(r, 0);
	k->allowed_ips = db_row_array(r);
	k->allowed_origins = db_row_array(r);
	k->usage_count = db_row_int(r, 0);
	k->last_used_at = db_row_time(r, 0);
	k->expires_at = db_row_time(r, 0);
	k->active = db_row_bool(r);
	k->revoked_at = db_row_time(r, 0);
	k->revoked_reason = db_row_text(r);
	k->created_at = db_row_time(r, 0);
	k->created_by = db_row_text(r);
}
STORE_SHAPE(key_shape, struct store_api_key, read_key, store_api_keys_cb);

static const struct db_statement auth_api_key_create = {
	.name = "auth_api_key_create",
	.sql = "SELECT " KEY_COLUMNS
	       "FROM auth_api_key_create($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
	.params = 12,
};

void store_api_key_create(struct db_pool *db, const struct db_context *context,
	const struct store_api_key_create *key, store_api_keys_cb done, void *user)
{
	CLEANUP(mem_freep) char *scopes = NULL;
	CLEANUP(mem_freep) char *ips = NULL;
	CLEANUP(mem_freep) char *origins = NULL;
	const struct db_param params[] = {
		store_text_or_null(key->user),
		store_text_or_null(key->team),
		DB_TEXT(key->name),
		DB_TEXT(key->key_hash),
		DB_TEXT(key->key_prefix),
		store_array(key->scopes, key->n_scopes, &scopes),
		DB_INT(key->rate_limit),
		store_time_or_null(key->expires_at),
		store_array(key->n_allowed_ips ? key->allowed_ips : NULL, key->n_allowed_ips, &ips),
		store_array(key->n_allowed_origins ? key->allowed_origins : NULL,
			key->n_allowed_origins, &origins),
		store_text_or_null(key->operation),
		store_text_or_null(key->body),
	};

	store_send(db, &(struct store_query){ .statement = &auth_api_key_create,
			       .context = context,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &key_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement auth_api_key_change = {
	.name = "auth_api_key_change",
	.sql = "SELECT " KEY_COLUMNS "FROM auth_api_key_change($1, $2)",
	.params = 2,
};

void store_api_key_change(struct db_pool *db, const struct db_context *context, struct span key_id,
	struct span patch, store_api_keys_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(key_id), DB_TEXT(patch) };

	store_send(db, &(struct store_query){ .statement = &auth_api_key_change,
			       .context = context,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &key_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement auth_api_key_get = {
	.name = "auth_api_key_get",
	.sql = "SELECT " KEY_COLUMNS "FROM auth_api_key_get($1)",
	.params = 1,
	.flags = DB_STATEMENT_READS,
};

void store_api_key_get(struct db_pool *db, const struct db_context *context, struct span key_id,
	store_api_keys_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(key_id) };

	store_send(db, &(struct store_query){ .statement = &auth_api_key_get,
			       .context = context,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &key_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement auth_api_key_revoke = {
	.name = "auth_api_key_revoke",
	.sql = "SELECT auth_api_key_revoke($1, $2)::int",
	.params = 2,
};

void store_api_key_revoke(struct db_pool *db, const struct db_context *context, struct span key_id,
	struct span reason, store_number_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(key_id), store_text_or_null(reason) };

	store_send(db, &(struct store_query){ .statement = &auth_api_key_revoke,
			       .context = context,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &store_number,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement auth_api_keys_list = {
	.name = "auth_api_keys_list",
	.sql = "SELECT " KEY_COLUMNS "FROM auth_api_keys_list($1, $2, $3, $4)",
	.params = 4,
	.flags = DB_STATEMENT_READS,
};

void store_api_keys_list(struct db_pool *db, const struct db_context *context, struct span owner,
	struct span team, struct span before, unsigned limit, store_api_keys_cb done, void *user)
{
	const struct db_param params[] = { store_text_or_null(owner), store_text_or_null(team),
		store_text_or_null(before), store_limit(limit) };

	store_send(db, &(struct store_query){ .statement = &auth_api_keys_list,
			       .context = context,
			       .params = params,
			       .shape = &key_shape,
			       .done = (store_fn)done,
			       .user = user });
}
