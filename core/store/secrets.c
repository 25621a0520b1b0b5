#include "store/secrets.h"

#include "store/store_priv.h"

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool store_secret_name_valid(struct span name)
{
	if (name.len == 0 || name.len > STORE_SECRET_NAME_MAX || !is_letter(name.data[0]))
		return false;
	for (size_t i = 1; i < name.len; i++) {
		char c = name.data[i];

		if (!is_letter(c) && !(c >= '0' && c <= '9') && c != '.' && c != '_' && c != '-')
			return false;
	}
	return true;
}

static void read_secret(struct db_row *r, struct store_secret *s)
{
	s->name = db_row_text(r);
	s->key_id = db_row_text(r);
	s->set_at = db_row_time(r, 0);
	s->set_by = db_row_text(r);
	s->read_at = db_row_time(r, 0);
}
STORE_SHAPE(secret_shape, struct store_secret, read_secret, store_secrets_cb);

static const struct db_statement secret_list = {
	.name = "secret_list",
	.sql = "SELECT name, key_id, set_at, set_by, read_at FROM secret_list($1)",
	.params = 1,
	.flags = DB_STATEMENT_READS,
};

void store_secrets_list(struct db_pool *db, const struct db_context *context,
	struct span installation, store_secrets_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(installation) };

	store_send(db, &(struct store_query){ .statement = &secret_list,
			       .context = context,
			       .params = params,
			       .shape = &secret_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement secret_put = {
	.name = "secret_put",
	.sql = "SELECT secret_put($1, $2, $3)",
	.params = 3,
};

void store_secret_put(struct db_pool *db, const struct db_context *context,
	struct span installation, struct span name, struct span envelope, store_done_cb done,
	void *user)
{
	const struct db_param params[] = { DB_TEXT(installation), DB_TEXT(name),
		DB_TEXT(envelope) };

	store_send(db, &(struct store_query){ .statement = &secret_put,
			       .context = context,
			       .params = params,
			       .shape = &store_nothing,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement secret_remove = {
	.name = "secret_remove",
	.sql = "SELECT secret_remove($1, $2)::int",
	.params = 2,
};

void store_secret_remove(struct db_pool *db, const struct db_context *context,
	struct span installation, struct span name, store_number_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(installation), DB_TEXT(name) };

	store_send(db, &(struct store_query){ .statement = &secret_remove,
			       .context = context,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &store_number,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement secret_get = {
	.name = "secret_get",
	.sql = "SELECT secret_get($1)",
	.params = 1,
};

void store_secret_get(struct db_pool *db, const struct db_context *context, struct span name,
	store_text_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(name) };

	store_send(db, &(struct store_query){ .statement = &secret_get,
			       .context = context,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &store_text,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement secret_unreadable = {
	.name = "secret_unreadable",
	.sql = "SELECT secret_unreadable($1, $2)",
	.params = 2,
};

void store_secret_unreadable(struct db_pool *db, const struct db_context *context, struct span name,
	struct span error, store_done_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(name), DB_TEXT(error) };

	store_send(db, &(struct store_query){ .statement = &secret_unreadable,
			       .context = context,
			       .params = params,
			       .shape = &store_nothing,
			       .done = (store_fn)done,
			       .user = user });
}
