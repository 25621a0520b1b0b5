#include "store/host_settings.h"

#include "store/store_priv.h"

static void read_setting(struct db_row *r, struct store_host_setting *s)
{
	s->name = db_row_text(r);
	s->value = db_row_text(r);
}
STORE_SHAPE(setting_shape, struct store_host_setting, read_setting, store_host_settings_cb);

static const struct db_statement host_settings_list = {
	.name = "host_settings_list",
	.sql = "SELECT DISTINCT ON (name) name, value FROM host_settings "
	       "WHERE environment IN ('', $1) ORDER BY name, environment DESC LIMIT $2",
	.params = 2,
	.flags = DB_STATEMENT_READS,
};

void store_host_settings_list(struct db_pool *db, const struct db_context *context,
	struct span environment, store_host_settings_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(environment), store_limit(0) };

	store_send(db, &(struct store_query){ .statement = &host_settings_list,
			       .context = context,
			       .params = params,
			       .shape = &setting_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement setting_put = {
	.name = "setting_put",
	.sql = "SELECT setting_put($1, $2, $3)",
	.params = 3,
};

void store_host_setting_put(struct db_pool *db, const struct db_context *context,
	struct span environment, struct span name, struct span value, store_done_cb done,
	void *user)
{
	const struct db_param params[] = {
		DB_TEXT(environment.data ? environment : SPAN("")),
		DB_TEXT(name),
		DB_TEXT(value),
	};

	store_send(db, &(struct store_query){ .statement = &setting_put,
			       .context = context,
			       .params = params,
			       .shape = &store_nothing,
			       .done = (store_fn)done,
			       .user = user });
}
