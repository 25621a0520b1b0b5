#include "store/audit.h"

#include "store/store_priv.h"

#define PAGE_TIMEOUT_MS   30000
#define STRAYS_TIMEOUT_MS 600000 /* a month's rows against its seals */

/* The composite of schema/0028, column by column. */
#define TEXT_COLUMNS(r)                                                                   \
	"(" r ").id, (" r ").user_id, (" r ").action, (" r ").resource_type, (" r         \
	").resource_id, (" r ").resource_name, (" r ").old_value, (" r ").new_value, (" r \
	").ip_address, (" r ").user_agent, (" r ").session_id, (" r ").request_id, (" r   \
	").status, (" r ").error_message, (" r ").metadata, (" r ").created_at, (" r ").xact"

static void read_columns(struct db_row *r, struct span columns[static CHAIN_COLUMNS])
{
	for (size_t i = 0; i < CHAIN_COLUMNS; i++)
		columns[i] = db_row_text(r);
}

/* ---- sealing ---- */

static void read_unsealed(struct db_row *r, struct store_unsealed *u)
{
	u->state = db_row_text(r);
	u->horizon = db_row_text(r);
	u->last_chain = db_row_text(r);
	u->chain = db_row_text(r);
	read_columns(r, u->columns);
}
STORE_SHAPE(unsealed_shape, struct store_unsealed, read_unsealed, store_unsealed_cb);

static const struct db_statement audit_unsealed = {
	.name = "audit_unsealed",
	.sql = "SELECT u.state, u.horizon, u.last_chain, u.chain, " TEXT_COLUMNS(
		"u.r") " FROM audit_unsealed($1, $2, $3::bigint * interval '1 millisecond', $4) u",
	.params = 4,
};

void store_audit_unsealed(struct db_pool *db, const struct store_fence *fence, unsigned ttl_ms,
	unsigned limit, store_unsealed_cb done, void *user)
{
	const struct db_param params[] = { store_node(fence), store_token(fence), DB_INT(ttl_ms),
		store_limit(limit) };

	store_send(db, &(struct store_query){ .statement = &audit_unsealed,
			       .params = params,
			       .shape = &unsealed_shape,
			       .timeout_ms = PAGE_TIMEOUT_MS,
			       .done = (store_fn)done,
			       .user = user });
}

static void read_chain(struct db_row *r, struct store_chain *c)
{
	c->name = db_row_text(r);
	c->previous = db_row_text(r);
	c->previous_sequence = db_row_text(r);
	c->previous_hash = db_row_text(r);
	c->sequence = db_row_int(r, 0);
	c->row_id = db_row_int(r, 0);
	c->hash = db_row_text(r);
	c->below = db_row_text(r);
	c->waiting_since = db_row_time(r, 0);
	c->idle_since = db_row_time(r, 0);
}
STORE_SHAPE(chain_shape, struct store_chain, read_chain, store_chains_cb);

static const struct db_statement audit_chain_head = {
	.name = "audit_chain_head",
	.sql = "SELECT name, previous, previous_sequence::text, previous_hash, sequence, row_id, "
	       "chain_hash, NULL::text, NULL::timestamptz, NULL::timestamptz "
	       "FROM audit_chain_head($1, $2, $3)",
	.params = 3,
};

void store_audit_chain_head(struct db_pool *db, const struct store_fence *fence, struct span name,
	store_chains_cb done, void *user)
{
	const struct db_param params[] = { store_node(fence), store_token(fence), DB_TEXT(name) };

	store_send(db, &(struct store_query){ .statement = &audit_chain_head,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &chain_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement audit_seal = {
	.name = "audit_seal",
	.sql = "SELECT audit_seal($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
	.params = 11,
};

void store_audit_seal(struct db_pool *db, const struct store_fence *fence,
	const struct store_seals *seals, store_number_cb done, void *user)
{
	const struct span *const lists[] = { seals->chains, seals->sequences, seals->row_ids,
		seals->xacts, seals->row_hashes, seals->chain_hashes };
	char *memory[ARRAY_LENGTH(lists)] = { NULL };
	struct db_param params[5 + ARRAY_LENGTH(lists)] = { store_node(fence), store_token(fence),
		DB_TEXT(seals->state), DB_TEXT(seals->horizon), DB_BOOL(seals->full) };

	for (size_t i = 0; i < ARRAY_LENGTH(lists); i++)
		params[5 + i] = store_array(lists[i], seals->n, &memory[i]);
	store_send(db, &(struct store_query){ .statement = &audit_seal,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &store_number,
			       .timeout_ms = PAGE_TIMEOUT_MS,
			       .done = (store_fn)done,
			       .user = user });
	for (size_t i = 0; i < ARRAY_LENGTH(lists); i++)
		mem_free(memory[i]);
}

/* ---- verifying ---- */

static const struct db_statement audit_chains = {
	.name = "audit_chains",
	.sql = "SELECT name, previous, previous_sequence::text, previous_hash, sequence, row_id, "
	       "chain_hash, below, waiting_since, idle_since FROM audit_chains_list()",
	.flags = DB_STATEMENT_READS,
};

void store_audit_chains(
	struct db_pool *db, const struct db_context *context, store_chains_cb done, void *user)
{
	store_send(db, &(struct store_query){ .statement = &audit_chains,
			       .context = context,
			       .shape = &chain_shape,
			       .timeout_ms = PAGE_TIMEOUT_MS,
			       .done = (store_fn)done,
			       .user = user });
}

static void read_seal(struct db_row *r, struct store_seal *s)
{
	s->sequence = db_row_int(r, 0);
	s->row_id = db_row_int(r, 0);
	s->horizon = db_row_text(r);
	s->row_hash = db_row_text(r);
	s->chain_hash = db_row_text(r);
	read_columns(r, s->columns);
}
STORE_SHAPE(seal_shape, struct store_seal, read_seal, store_seals_cb);

static const struct db_statement audit_chain_page = {
	.name = "audit_chain_page",
	.sql = "SELECT p.sequence, p.row_id, p.horizon, p.row_hash, p.chain_hash, " TEXT_COLUMNS(
		"p.r") " FROM audit_chain_page($1, $2, $3) p",
	.params = 3,
	.flags = DB_STATEMENT_READS,
};

void store_audit_chain_page(struct db_pool *db, const struct db_context *context, struct span chain,
	int64_t after, unsigned limit, store_seals_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(chain), DB_INT(after), store_limit(limit) };

	store_send(db, &(struct store_query){ .statement = &audit_chain_page,
			       .context = context,
			       .params = params,
			       .shape = &seal_shape,
			       .timeout_ms = PAGE_TIMEOUT_MS,
			       .done = (store_fn)done,
			       .user = user });
}

static void read_stray(struct db_row *r, struct store_stray *s)
{
	s->row_id = db_row_int(r, 0);
	s->created_at = db_row_time(r, 0);
	s->action = db_row_text(r);
	s->inserted = db_row_bool(r);
}
STORE_SHAPE(stray_shape, struct store_stray, read_stray, store_strays_cb);

static const struct db_statement audit_strays = {
	.name = "audit_strays",
	.sql = "SELECT id, created_at, action, inserted FROM audit_strays($1, $2, $3)",
	.params = 3,
	.flags = DB_STATEMENT_READS,
};

void store_audit_strays(struct db_pool *db, const struct db_context *context, struct span chain,
	int64_t after, unsigned limit, store_strays_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(chain), DB_INT(after), store_limit(limit) };

	store_send(db, &(struct store_query){ .statement = &audit_strays,
			       .context = context,
			       .params = params,
			       .shape = &stray_shape,
			       .timeout_ms = STRAYS_TIMEOUT_MS,
			       .done = (store_fn)done,
			       .user = user });
}

/* ---- reading ---- */

static void read_row(struct db_row *r, struct store_audit_row *a)
{
	a->id = db_row_int(r, 0);
	a->created_at = db_row_time(r, 0);
	a->user_id = db_row_text(r);
	a->user_name = db_row_text(r);
	a->action = db_row_text(r);
	a->resource_type = db_row_text(r);
	a->resource_id = db_row_text(r);
	a->resource_name = db_row_text(r);
	a->old_value = db_row_text(r);
	a->new_value = db_row_text(r);
	a->ip_address = db_row_text(r);
	a->user_agent = db_row_text(r);
	a->session_id = db_row_text(r);
	a->request_id = db_row_text(r);
	a->status = db_row_text(r);
	a->error = db_row_text(r);
	a->metadata = db_row_text(r);
}
STORE_SHAPE(row_shape, struct store_audit_row, read_row, store_audit_rows_cb);

static const struct db_statement audit_search = {
	.name = "audit_search",
	.sql = "SELECT id, created_at, user_id, user_name, action, resource_type, resource_id, "
	       "resource_name, old_value, new_value, ip_address, user_agent, session_id, "
	       "request_id, status, error_message, metadata "
	       "FROM audit_search($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
	.params = 13,
};

void store_audit_search(struct db_pool *db, const struct db_context *context,
	const struct store_audit_filter *f, store_audit_rows_cb done, void *user)
{
	const struct db_param params[] = {
		store_text_or_null(f->who),
		store_text_or_null(f->action),
		store_text_or_null(f->resource_type),
		store_text_or_null(f->resource),
		store_time_or_null(f->from),
		store_time_or_null(f->to),
		store_text_or_null(f->status),
		store_text_or_null(f->request),
		DB_BOOL(f->personal),
		DB_BOOL(f->oldest_first),
		f->after_id ? DB_TIME(f->after_time) : DB_NULL,
		store_int_or_null(f->after_id, 0),
		store_limit(f->limit),
	};

	store_send(db, &(struct store_query){ .statement = &audit_search,
			       .context = context,
			       .params = params,
			       .shape = &row_shape,
			       .timeout_ms = PAGE_TIMEOUT_MS,
			       .done = (store_fn)done,
			       .user = user });
}

/* ---- refusals ---- */

static const struct db_statement audit_refusals = {
	.name = "audit_refusals",
	.sql = "SELECT audit_refusals($1)",
	.params = 1,
};

void store_audit_refusals(struct db_pool *db, struct span json, store_number_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(json) };

	store_send(db, &(struct store_query){ .statement = &audit_refusals,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &store_number,
			       .done = (store_fn)done,
			       .user = user });
}
