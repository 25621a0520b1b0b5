#include "store/users.h"

#include "store/store_priv.h"

#define COLUMNS                                                                          \
	"id, name, username, avatar, email, phone_number, provider, provider_id, role, " \
	"is_active, "                                                                    \
	"mfa_enabled, preferences, last_login, created_at, updated_at, teams, position"

static void read_user(struct db_row *r, struct store_user *u)
{
	u->id = db_row_text(r);
	u->name = db_row_text(r);
	u->username = db_row_text(r);
	u->avatar = db_row_text(r);
	u->email = db_row_text(r);
	u->phone_number = db_row_text(r);
	u->provider = db_row_text(r);
	u->provider_id = db_row_text(r);
	u->role = db_row_text(r);
	u->active = db_row_bool(r);
	u->second_factor = db_row_bool(r);
	u->preferences = db_row_text(r);
	u->last_login = db_row_time(r, 0);
	u->created_at = db_row_time(r, 0);
	u->updated_at = db_row_time(r, 0);
	u->teams = db_row_text(r);
	u->position = db_row_text(r);
}
STORE_SHAPE(user_shape, struct store_user, read_user, store_users_cb);

static void send_one(struct db_pool *db, const struct db_context *context,
	const struct db_statement *statement, const struct db_param *params, store_users_cb done,
	void *user)
{
	store_send(db, &(struct store_query){ .statement = statement,
			       .context = context,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &user_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement user_get = {
	.name = "user_get",
	.sql = "SELECT " COLUMNS " FROM user_get($1)",
	.params = 1,
	.flags = DB_STATEMENT_READS,
};

void store_user_get(struct db_pool *db, const struct db_context *context, struct span name,
	store_users_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(name) };

	send_one(db, context, &user_get, params, done, user);
}

static const struct db_statement users_list = {
	.name = "users_list",
	.sql = "SELECT " COLUMNS
	       " FROM users_list($1, $2::int, $3, $4::user_role, $5::boolean, $6, $7)",
	.params = 7,
	.flags = DB_STATEMENT_READS,
};

void store_users_list(struct db_pool *db, const struct db_context *context,
	const struct store_users_filter *filter, store_users_cb done, void *user)
{
	const struct db_param params[] = {
		store_text_or_null(filter->after),
		store_limit(filter->limit),
		store_text_or_null(filter->q),
		store_text_or_null(filter->role),
		store_text_or_null(filter->active),
		store_text_or_null(filter->team),
		store_text_or_null(filter->provider),
	};

	store_send(db, &(struct store_query){ .statement = &users_list,
			       .context = context,
			       .params = params,
			       .shape = &user_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement user_create = {
	.name = "user_create",
	.sql = "SELECT " COLUMNS " FROM user_create($1::jsonb, $2)",
	.params = 2,
};

void store_user_create(struct db_pool *db, const struct db_context *context, struct span members,
	struct span hash, store_users_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(members), store_text_or_null(hash) };

	send_one(db, context, &user_create, params, done, user);
}

static const struct db_statement user_change = {
	.name = "user_change",
	.sql = "SELECT " COLUMNS " FROM user_change($1, $2::jsonb, $3)",
	.params = 3,
};

void store_user_change(struct db_pool *db, const struct db_context *context, struct span name,
	struct span patch, int64_t seen, store_users_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(name), DB_TEXT(patch),
		store_time_or_null(seen) };

	send_one(db, context, &user_change, params, done, user);
}

static const struct db_statement user_activate = {
	.name = "user_activate",
	.sql = "SELECT " COLUMNS " FROM user_activate($1, $2, $3)",
	.params = 3,
};

void store_user_activate(struct db_pool *db, const struct db_context *context, struct span name,
	bool active, struct span reason, store_users_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(name), DB_BOOL(active),
		store_text_or_null(reason) };

	send_one(db, context, &user_activate, params, done, user);
}

static const struct db_statement user_delete = {
	.name = "user_delete",
	.sql = "SELECT user_delete($1, $2)",
	.params = 2,
};

void store_user_delete(struct db_pool *db, const struct db_context *context, struct span name,
	struct span reason, store_text_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(name), store_text_or_null(reason) };

	store_send(db, &(struct store_query){ .statement = &user_delete,
			       .context = context,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &store_text,
			       .done = (store_fn)done,
			       .user = user });
}

static void read_membership(struct db_row *r, struct store_membership *m)
{
	m->team_id = db_row_text(r);
	m->team_name = db_row_text(r);
	m->team_display_name = db_row_text(r);
	m->role = db_row_text(r);
}
STORE_SHAPE(membership_shape, struct store_membership, read_membership, store_memberships_cb);

static const struct db_statement user_teams = {
	.name = "user_teams",
	.sql = "SELECT t.id, t.name, t.display_name, m.role "
	       "FROM team_members m JOIN teams t ON t.id = m.team_id "
	       "WHERE m.user_id = $1 AND t.is_active AND t.deleted_at IS NULL "
	       "AND t.name > coalesce($2, '') ORDER BY t.name LIMIT $3",
	.params = 3,
	.flags = DB_STATEMENT_READS,
};

void store_user_teams(struct db_pool *db, const struct db_context *context, struct span user_id,
	struct span after, unsigned limit, store_memberships_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(user_id), store_text_or_null(after),
		store_limit(limit) };

	store_send(db, &(struct store_query){ .statement = &user_teams,
			       .context = context,
			       .params = params,
			       .shape = &membership_shape,
			       .done = (store_fn)done,
			       .user = user });
}
