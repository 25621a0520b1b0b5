#include "store/second_factor.h"

#include "store/store_priv.h"

static void read_status(struct db_row *r, struct store_second_factor *f)
{
	f->user_id = db_row_text(r);
	f->account = db_row_text(r);
	f->enabled = db_row_bool(r);
	f->method = db_row_text(r);
	f->owed = db_row_bool(r);
	f->destination = db_row_text(r);
	f->backup_codes = db_row_int(r, 0);
	f->enrolled_at = db_row_time(r, 0);
	f->locked_until = db_row_time(r, 0);
	f->pending = db_row_text(r);
}
STORE_SHAPE(status_shape, struct store_second_factor, read_status, store_second_factors_cb);

static const struct db_statement second_factor_status = {
	.name = "second_factor_status",
	.sql = "SELECT user_id, account, enabled, method, owed, destination, backup_codes, "
	       "enrolled_at, "
	       "locked_until, pending FROM second_factor_status($1)",
	.params = 1,
	.flags = DB_STATEMENT_READS,
};

void store_second_factor_status(struct db_pool *db, const struct db_context *context,
	struct span user_id, store_second_factors_cb done, void *user)
{
	store_send(db, &(struct store_query){ .statement = &second_factor_status,
			       .context = context,
			       .params = (const struct db_param[]){ DB_TEXT(user_id) },
			       .rows = STORE_ROWS_ONE,
			       .shape = &status_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static void read_proof(struct db_row *r, struct store_second_factor_proof *p)
{
	p->fresh = db_row_bool(r);
	p->enabled = db_row_bool(r);
	p->method = db_row_text(r);
	p->has_password = db_row_bool(r);
}
STORE_SHAPE(
	proof_shape, struct store_second_factor_proof, read_proof, store_second_factor_proofs_cb);

static const struct db_statement second_factor_proof = {
	.name = "second_factor_proof",
	.sql = "SELECT fresh, enabled, method, has_password "
	       "FROM second_factor_proof(make_interval(secs => $1))",
	.params = 1,
};

void store_second_factor_proof(struct db_pool *db, const struct db_context *context,
	unsigned fresh_s, store_second_factor_proofs_cb done, void *user)
{
	store_send(db, &(struct store_query){ .statement = &second_factor_proof,
			       .context = context,
			       .params = (const struct db_param[]){ DB_REAL(fresh_s) },
			       .rows = STORE_ROWS_ONE,
			       .shape = &proof_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static void read_try(struct db_row *r, struct store_second_factor_try *t)
{
	t->method = db_row_text(r);
	t->secret = db_row_text(r);
	t->algorithm = db_row_text(r);
	t->digits = db_row_int(r, 0);
	t->last_step = db_row_int(r, 0);
	t->retry_after_s = db_row_int(r, 0);
}
STORE_SHAPE(try_shape, struct store_second_factor_try, read_try, store_second_factor_tries_cb);

static const struct db_statement second_factor_try = {
	.name = "second_factor_try",
	.sql = "SELECT method, secret, algorithm, digits, last_step, retry_after_s "
	       "FROM second_factor_try()",
};

void store_second_factor_try(struct db_pool *db, const struct db_context *context,
	store_second_factor_tries_cb done, void *user)
{
	store_send(db, &(struct store_query){ .statement = &second_factor_try,
			       .context = context,
			       .rows = STORE_ROWS_ONE,
			       .shape = &try_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static void read_verdict(struct db_row *r, struct store_second_factor_verdict *v)
{
	v->passed = db_row_bool(r);
	v->tell = db_row_text(r);
}
STORE_SHAPE(verdict_shape, struct store_second_factor_verdict, read_verdict,
	store_second_factor_verdicts_cb);

static const struct db_statement second_factor_judge = {
	.name = "second_factor_judge",
	.sql = "SELECT passed, tell FROM second_factor_judge($1, string_to_array($2, ' '), "
	       "string_to_array($3, ' '))",
	.params = 3,
};

void store_second_factor_judge(struct db_pool *db, const struct db_context *context,
	const struct store_second_factor_shown *shown, store_second_factor_verdicts_cb done,
	void *user)
{
	const struct db_param params[] = { DB_INT(shown->step), store_text_or_null(shown->backup),
		store_text_or_null(shown->message) };

	store_send(db, &(struct store_query){ .statement = &second_factor_judge,
			       .context = context,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &verdict_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static void read_message(struct db_row *r, struct store_second_factor_message *m)
{
	m->destination = db_row_text(r);
	m->expires_at = db_row_time(r, 0);
	m->retry_after_s = db_row_int(r, 0);
}
STORE_SHAPE(message_shape, struct store_second_factor_message, read_message,
	store_second_factor_messages_cb);

/* The newest key's digest is the one that is kept. */
static const struct db_statement second_factor_send = {
	.name = "second_factor_send",
	.sql = "SELECT destination, expires_at, retry_after_s "
	       "FROM second_factor_send($1, split_part($2, ' ', 1))",
	.params = 2,
};

void store_second_factor_send(struct db_pool *db, const struct db_context *context,
	struct span method, struct span digests, store_second_factor_messages_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(method), DB_TEXT(digests) };

	store_send(db, &(struct store_query){ .statement = &second_factor_send,
			       .context = context,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &message_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement second_factor_enrol = {
	.name = "second_factor_enrol",
	.sql = "SELECT destination, expires_at, retry_after_s "
	       "FROM second_factor_enrol($1, $2, $3, $4, $5, split_part($6, ' ', 1))",
	.params = 6,
};

void store_second_factor_enrol(struct db_pool *db, const struct db_context *context,
	const struct store_second_factor_enrol *enrol, store_second_factor_messages_cb done,
	void *user)
{
	const struct db_param params[] = { DB_TEXT(enrol->method),
		store_text_or_null(enrol->secret), store_text_or_null(enrol->algorithm),
		store_int_or_null(enrol->digits, 0), store_text_or_null(enrol->phone),
		store_text_or_null(enrol->digests) };

	store_send(db, &(struct store_query){ .statement = &second_factor_enrol,
			       .context = context,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &message_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement second_factor_enrolment = {
	.name = "second_factor_enrolment",
	.sql = "SELECT $1::varchar, secret, algorithm, digits, 0::bigint, 0 "
	       "FROM second_factor_enrolment($1)",
	.params = 1,
};

void store_second_factor_enrolment(struct db_pool *db, const struct db_context *context,
	struct span method, store_second_factor_tries_cb done, void *user)
{
	store_send(db, &(struct store_query){ .statement = &second_factor_enrolment,
			       .context = context,
			       .params = (const struct db_param[]){ DB_TEXT(method) },
			       .rows = STORE_ROWS_ONE,
			       .shape = &try_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement second_factor_confirm = {
	.name = "second_factor_confirm",
	.sql = "SELECT second_factor_confirm($1, $2, string_to_array($3, ' '), "
	       "string_to_array($4, ' '))",
	.params = 4,
};

void store_second_factor_confirm(struct db_pool *db, const struct db_context *context,
	struct span method, const struct store_second_factor_shown *shown, struct span backup,
	store_text_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(method), DB_INT(shown->step),
		store_text_or_null(shown->message), DB_TEXT(backup) };

	store_send(db, &(struct store_query){ .statement = &second_factor_confirm,
			       .context = context,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &store_text,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement second_factor_disable = {
	.name = "second_factor_disable",
	.sql = "SELECT email FROM second_factor_disable($1)",
	.params = 1,
};

void store_second_factor_disable(struct db_pool *db, const struct db_context *context,
	struct span user_id, store_text_cb done, void *user)
{
	store_send(db, &(struct store_query){ .statement = &second_factor_disable,
			       .context = context,
			       .params = (const struct db_param[]){ DB_TEXT(user_id) },
			       .rows = STORE_ROWS_ONE,
			       .shape = &store_text,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement second_factor_backup = {
	.name = "second_factor_backup",
	.sql = "SELECT email FROM second_factor_backup(string_to_array($1, ' '))",
	.params = 1,
};

void store_second_factor_backup(struct db_pool *db, const struct db_context *context,
	struct span backup, store_text_cb done, void *user)
{
	store_send(db, &(struct store_query){ .statement = &second_factor_backup,
			       .context = context,
			       .params = (const struct db_param[]){ DB_TEXT(backup) },
			       .rows = STORE_ROWS_ONE,
			       .shape = &store_text,
			       .done = (store_fn)done,
			       .user = user });
}
