#include "store/users.h"

#include "store/store_priv.h"

static void read_user(struct db_row *r, struct store_user *u)
{
	u->id = db_row_text(r);
	u->name = db_row_text(r);
	u->username = db_row_text(r);
	u->email = db_row_text(r);
	u->provider = db_row_text(r);
	u->provider_id = db_row_text(r);
	u->role = db_row_text(r);
	u->active = db_row_bool(r);
	u->created_at = db_row_time(r, 0);
}
STORE_SHAPE(user_shape, struct store_user, read_user, store_users_cb);

static const struct db_statement user_get = {
	.name = "user_get",
	.sql = "SELECT id, name, username, email, provider, provider_id, role, is_active, "
	       "created_at FROM users WHERE id = $1 AND deleted_at IS NULL",
	.params = 1,
	.flags = DB_STATEMENT_READS,
};

void store_user_get(struct db_pool *db, const struct db_context *context, struct span id,
	store_users_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(id) };

	store_send(db, &(struct store_query){ .statement = &user_get,
			       .context = context,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &user_shape,
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
	       "ORDER BY t.name LIMIT $2",
	.params = 2,
	.flags = DB_STATEMENT_READS,
};

void store_user_teams(struct db_pool *db, const struct db_context *context, struct span user_id,
	store_memberships_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(user_id), store_limit(0) };

	store_send(db, &(struct store_query){ .statement = &user_teams,
			       .context = context,
			       .params = params,
			       .shape = &membership_shape,
			       .done = (store_fn)done,
			       .user = user });
}
