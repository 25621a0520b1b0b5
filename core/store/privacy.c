#include "store/privacy.h"

#include "store/store_priv.h"

static void read_privacy(struct db_row *r, struct store_privacy *p)
{
	p->id = db_row_text(r);
	p->user_id = db_row_text(r);
	p->user_name = db_row_text(r);
	p->type = db_row_text(r);
	p->status = db_row_text(r);
	p->details = db_row_text(r);
	p->result = db_row_text(r);
	p->requested_by = db_row_text(r);
	p->requested_at = db_row_time(r, 0);
	p->due_at = db_row_time(r, 0);
	p->processed_by = db_row_text(r);
	p->processed_at = db_row_time(r, 0);
	p->position = db_row_text(r);
}
STORE_SHAPE(privacy_shape, struct store_privacy, read_privacy, store_privacy_cb);

#define PRIVACY_COLUMNS                                                         \
	"id, user_id, user_name, type, status, details, result, requested_by, " \
	"requested_at, due_at, processed_by, processed_at, position"

static void send_one(struct db_pool *db, const struct db_context *context,
	const struct db_statement *statement, const struct db_param *params, store_privacy_cb done,
	void *user)
{
	store_send(db, &(struct store_query){ .statement = statement,
			       .context = context,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &privacy_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement privacy_request = {
	.name = "privacy_request",
	.sql = "SELECT " PRIVACY_COLUMNS " FROM privacy_request($1, $2, $3)",
	.params = 3,
};

void store_privacy_request(struct db_pool *db, const struct db_context *context, struct span user,
	struct span type, struct span details, store_privacy_cb done, void *arg)
{
	const struct db_param params[] = { store_text_or_null(user), DB_TEXT(type),
		DB_TEXT(details) };

	send_one(db, context, &privacy_request, params, done, arg);
}

static const struct db_statement privacy_get = {
	.name = "privacy_get",
	.sql = "SELECT " PRIVACY_COLUMNS " FROM privacy_get($1)",
	.params = 1,
	.flags = DB_STATEMENT_READS,
};

void store_privacy_get(struct db_pool *db, const struct db_context *context, struct span id,
	store_privacy_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(id) };

	send_one(db, context, &privacy_get, params, done, user);
}

static const struct db_statement privacy_list = {
	.name = "privacy_list",
	.sql = "SELECT " PRIVACY_COLUMNS " FROM privacy_list($1, $2, $3, $4, $5)",
	.params = 5,
	.flags = DB_STATEMENT_READS,
};

void store_privacy_list(struct db_pool *db, const struct db_context *context,
	const struct store_privacy_filter *filter, store_privacy_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(filter->after), store_limit(filter->limit),
		DB_TEXT(filter->status), DB_TEXT(filter->type), DB_TEXT(filter->user) };

	store_send(db, &(struct store_query){ .statement = &privacy_list,
			       .context = context,
			       .params = params,
			       .shape = &privacy_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement privacy_complete = {
	.name = "privacy_complete",
	.sql = "SELECT " PRIVACY_COLUMNS " FROM privacy_complete($1, $2)",
	.params = 2,
};

void store_privacy_complete(struct db_pool *db, const struct db_context *context, struct span id,
	struct span note, store_privacy_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(id), store_text_or_null(note) };

	send_one(db, context, &privacy_complete, params, done, user);
}

static const struct db_statement privacy_reject = {
	.name = "privacy_reject",
	.sql = "SELECT " PRIVACY_COLUMNS " FROM privacy_reject($1, $2)",
	.params = 2,
};

void store_privacy_reject(struct db_pool *db, const struct db_context *context, struct span id,
	struct span reason, store_privacy_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(id), DB_TEXT(reason) };

	send_one(db, context, &privacy_reject, params, done, user);
}

static void read_table(struct db_row *r, struct store_privacy_table *t)
{
	t->name = db_row_text(r);
	t->about = db_row_text(r);
}
STORE_SHAPE(table_shape, struct store_privacy_table, read_table, store_privacy_tables_cb);

static const struct db_statement privacy_archive = {
	.name = "privacy_archive",
	.sql = "SELECT table_name, about FROM privacy_archive($1)",
	.params = 1,
};

void store_privacy_archive(struct db_pool *db, const struct db_context *context, struct span id,
	store_privacy_tables_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(id) };

	store_send(db, &(struct store_query){ .statement = &privacy_archive,
			       .context = context,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &table_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static void read_row(struct db_row *r, struct store_privacy_row *row)
{
	row->value = db_row_text(r);
	row->place = db_row_text(r);
}
STORE_SHAPE(row_shape, struct store_privacy_row, read_row, store_privacy_rows_cb);

static const struct db_statement privacy_page = {
	.name = "privacy_page",
	.sql = "SELECT row_value, place FROM privacy_page($1, $2, $3, $4)",
	.params = 4,
	.flags = DB_STATEMENT_READS,
};

void store_privacy_page(struct db_pool *db, const struct db_context *context, struct span id,
	struct span table, struct span place, unsigned limit, store_privacy_rows_cb done,
	void *user)
{
	const struct db_param params[] = { DB_TEXT(id), DB_TEXT(table), DB_TEXT(place),
		store_limit(limit) };

	store_send(db, &(struct store_query){ .statement = &privacy_page,
			       .context = context,
			       .params = params,
			       .shape = &row_shape,
			       .done = (store_fn)done,
			       .user = user });
}
