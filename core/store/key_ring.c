#include "store/key_ring.h"

#include "db/session.h"
#include "store/store_priv.h"

/* Counting envelopes walks all of them. */
#define LONG_MS 120000

int store_key_ring_known(struct db_session *s, bool *known, struct error *err)
{
	struct db_result result;
	struct db_row row;
	int rc = db_session_query(
		s, "SELECT count(*) FROM public.key_ring_keys", NULL, 0, &result, err);

	if (rc < 0)
		return rc;
	row = db_row_at(&result, 0);
	*known = db_row_int(&row, 0) > 0;
	rc = db_row_end(&row, err);
	db_session_clear(&result);
	return rc;
}

int store_key_ring_settle(struct db_session *s, struct span keys, char **current, struct error *err)
{
	const struct db_param params[] = { DB_TEXT(keys) };
	struct db_result result;
	struct db_row row;
	struct span id;
	int rc = db_session_query(
		s, "SELECT public.key_ring_settle($1)", params, ARRAY_LENGTH(params), &result, err);

	if (rc < 0)
		return rc;
	row = db_row_at(&result, 0);
	id = db_row_text(&row);
	rc = db_row_end(&row, err);
	if (rc == 0)
		*current = mem_printf("%.*s", SPAN_ARG(id));
	db_session_clear(&result);
	return rc;
}

static void read_key(struct db_row *r, struct store_key *k)
{
	k->id = db_row_text(r);
	k->fingerprint = db_row_text(r);
	k->state = db_row_text(r);
}
STORE_SHAPE(key_shape, struct store_key, read_key, store_keys_cb);

static const struct db_statement key_ring_look = {
	.name = "key_ring_look",
	.sql = "SELECT id, fingerprint, state FROM key_ring_look($1, $2, $3, $4)",
	.params = 4,
};

void store_key_ring_look(struct db_pool *db, const struct store_fence *fence,
	const struct span *usable, size_t n, struct span used, store_keys_cb done, void *user)
{
	CLEANUP(mem_freep) char *keys = NULL;
	const struct db_param params[] = { store_node(fence), store_token(fence),
		store_array(usable, n, &keys), DB_TEXT(used) };

	store_send(db, &(struct store_query){ .statement = &key_ring_look,
			       .params = params,
			       .shape = &key_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static void read_rotation(struct db_row *r, struct store_rotation *o)
{
	o->number = db_row_int(r, 0);
	o->state = db_row_text(r);
	o->to_key = db_row_text(r);
}
STORE_SHAPE(rotation_shape, struct store_rotation, read_rotation, store_rotation_cb);

static const struct db_statement rotation_claim = {
	.name = "key_ring_claim",
	.sql = "SELECT number, state, to_key "
	       "FROM key_ring_claim($1, $2, $3::bigint * interval '1 millisecond')",
	.params = 3,
};

void store_rotation_claim(struct db_pool *db, const struct store_fence *fence, unsigned ttl_ms,
	store_rotation_cb done, void *user)
{
	const struct db_param params[] = { store_node(fence), store_token(fence), DB_INT(ttl_ms) };

	store_send(db, &(struct store_query){ .statement = &rotation_claim,
			       .params = params,
			       .shape = &rotation_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement rotation_coming = {
	.name = "key_ring_coming",
	.sql = "SELECT key_ring_coming($1, $2, $3, $4, $5)",
	.params = 5,
};

void store_rotation_coming(struct db_pool *db, const struct store_fence *fence, int64_t number,
	struct span id, struct span fingerprint, store_done_cb done, void *user)
{
	const struct db_param params[] = { store_node(fence), store_token(fence), DB_INT(number),
		DB_TEXT(id), DB_TEXT(fingerprint) };

	store_send(db, &(struct store_query){ .statement = &rotation_coming,
			       .params = params,
			       .shape = &store_nothing,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement rotation_fail = {
	.name = "key_ring_fail",
	.sql = "SELECT key_ring_fail($1, $2, $3, $4)",
	.params = 4,
};

void store_rotation_fail(struct db_pool *db, const struct store_fence *fence, int64_t number,
	struct span error, store_done_cb done, void *user)
{
	const struct db_param params[] = { store_node(fence), store_token(fence), DB_INT(number),
		DB_TEXT(error) };

	store_send(db, &(struct store_query){ .statement = &rotation_fail,
			       .params = params,
			       .shape = &store_nothing,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement rotation_spread = {
	.name = "key_ring_spread",
	.sql = "SELECT key_ring_spread($1, $2, $3)",
	.params = 3,
};

void store_rotation_spread(struct db_pool *db, const struct store_fence *fence, int64_t number,
	store_text_cb done, void *user)
{
	const struct db_param params[] = { store_node(fence), store_token(fence), DB_INT(number) };

	store_send(db, &(struct store_query){ .statement = &rotation_spread,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &store_text,
			       .timeout_ms = LONG_MS,
			       .done = (store_fn)done,
			       .user = user });
}

static void read_envelope(struct db_row *r, struct store_envelope *e)
{
	e->place = db_row_text(r);
	e->context = db_row_text(r);
	e->envelope = db_row_text(r);
}
STORE_SHAPE(envelope_shape, struct store_envelope, read_envelope, store_envelopes_cb);

static const struct db_statement rotation_stale = {
	.name = "key_ring_stale",
	.sql = "SELECT place, context, envelope FROM key_ring_stale($1, $2, $3)",
	.params = 3,
	.flags = DB_STATEMENT_READS,
};

void store_rotation_stale(struct db_pool *db, int64_t number, struct span after, unsigned limit,
	store_envelopes_cb done, void *user)
{
	const struct db_param params[] = { DB_INT(number), DB_TEXT(after), store_limit(limit) };

	store_send(db, &(struct store_query){ .statement = &rotation_stale,
			       .params = params,
			       .shape = &envelope_shape,
			       .timeout_ms = LONG_MS,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement rotation_reseal = {
	.name = "key_ring_reseal",
	.sql = "SELECT key_ring_reseal($1, $2, $3, $4::bigint * interval '1 millisecond', "
	       "$5, $6, $7)",
	.params = 7,
};

void store_rotation_reseal(struct db_pool *db, const struct store_fence *fence,
	const struct store_reseal *reseal, store_number_cb done, void *user)
{
	CLEANUP(mem_freep) char *places = NULL, *old = NULL, *fresh = NULL;
	const struct db_param params[] = { store_node(fence), store_token(fence),
		DB_INT(reseal->number), DB_INT(reseal->ttl_ms),
		store_array(reseal->places, reseal->n, &places),
		store_array(reseal->old_envelopes, reseal->n, &old),
		store_array(reseal->new_envelopes, reseal->n, &fresh) };

	store_send(db, &(struct store_query){ .statement = &rotation_reseal,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &store_number,
			       .timeout_ms = LONG_MS,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement rotation_finish = {
	.name = "key_ring_finish",
	.sql = "SELECT key_ring_finish($1, $2, $3, $4)::int",
	.params = 4,
};

void store_rotation_finish(struct db_pool *db, const struct store_fence *fence, int64_t number,
	const struct span *unreadable, size_t n, store_number_cb done, void *user)
{
	CLEANUP(mem_freep) char *places = NULL;
	const struct db_param params[] = { store_node(fence), store_token(fence), DB_INT(number),
		store_array(unreadable, n, &places) };

	store_send(db, &(struct store_query){ .statement = &rotation_finish,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &store_number,
			       .timeout_ms = LONG_MS,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement key_ring_rotate = {
	.name = "key_ring_rotate",
	.sql = "SELECT key_ring_rotate($1)",
	.params = 1,
};

void store_key_ring_rotate(struct db_pool *db, const struct db_context *context, struct span reason,
	store_number_cb done, void *user)
{
	const struct db_param params[] = { store_text_or_null(reason) };

	store_send(db, &(struct store_query){ .statement = &key_ring_rotate,
			       .context = context,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &store_number,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement key_ring_retire = {
	.name = "key_ring_retire",
	.sql = "SELECT key_ring_retire($1)",
	.params = 1,
};

void store_key_ring_retire(struct db_pool *db, const struct db_context *context, struct span id,
	store_done_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(id) };

	store_send(db, &(struct store_query){ .statement = &key_ring_retire,
			       .context = context,
			       .params = params,
			       .shape = &store_nothing,
			       .timeout_ms = LONG_MS,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement key_ring_show = {
	.name = "key_ring_show",
	.sql = "SELECT key_ring_show()",
	.flags = DB_STATEMENT_READS,
};

void store_key_ring_show(
	struct db_pool *db, const struct db_context *context, store_text_cb done, void *user)
{
	store_send(db, &(struct store_query){ .statement = &key_ring_show,
			       .context = context,
			       .rows = STORE_ROWS_ONE,
			       .shape = &store_text,
			       .done = (store_fn)done,
			       .user = user });
}
