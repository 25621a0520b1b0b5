#include "store/teams.h"

#include "store/store_priv.h"

#define TEAM                                                                                   \
	"id, name, display_name, description, avatar, parent, settings, metadata, is_active, " \
	"provider, members, created_at, updated_at"
#define MEMBER "user_id, username, name, is_active, role, joined_at, position"

static void read_team(struct db_row *r, struct store_team *t)
{
	t->id = db_row_text(r);
	t->name = db_row_text(r);
	t->display_name = db_row_text(r);
	t->description = db_row_text(r);
	t->avatar = db_row_text(r);
	t->parent = db_row_text(r);
	t->settings = db_row_text(r);
	t->metadata = db_row_text(r);
	t->active = db_row_bool(r);
	t->provider = db_row_text(r);
	t->members = db_row_int(r, 0);
	t->created_at = db_row_time(r, 0);
	t->updated_at = db_row_time(r, 0);
}
STORE_SHAPE(team_shape, struct store_team, read_team, store_teams_cb);

static void send_team(struct db_pool *db, const struct db_context *context,
	const struct db_statement *statement, const struct db_param *params, store_teams_cb done,
	void *user)
{
	store_send(db, &(struct store_query){ .statement = statement,
			       .context = context,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &team_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static void send_text(struct db_pool *db, const struct db_context *context,
	const struct db_statement *statement, const struct db_param *params, store_text_cb done,
	void *user)
{
	store_send(db, &(struct store_query){ .statement = statement,
			       .context = context,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &store_text,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement team_get = {
	.name = "team_get",
	.sql = "SELECT " TEAM " FROM team_get($1)",
	.params = 1,
	.flags = DB_STATEMENT_READS,
};

void store_team_get(struct db_pool *db, const struct db_context *context, struct span name,
	store_teams_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(name) };

	send_team(db, context, &team_get, params, done, user);
}

static const struct db_statement teams_list = {
	.name = "teams_list",
	.sql = "SELECT " TEAM " FROM teams_list($1, $2::int, $3, $4, $5)",
	.params = 5,
	.flags = DB_STATEMENT_READS,
};

void store_teams_list(struct db_pool *db, const struct db_context *context,
	const struct store_teams_filter *filter, store_teams_cb done, void *user)
{
	const struct db_param params[] = {
		store_text_or_null(filter->after),
		store_limit(filter->limit),
		store_text_or_null(filter->q),
		store_text_or_null(filter->parent),
		store_text_or_null(filter->member),
	};

	store_send(db, &(struct store_query){ .statement = &teams_list,
			       .context = context,
			       .params = params,
			       .shape = &team_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement team_create = {
	.name = "team_create",
	.sql = "SELECT " TEAM " FROM team_create($1::jsonb)",
	.params = 1,
};

void store_team_create(struct db_pool *db, const struct db_context *context, struct span members,
	store_teams_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(members) };

	send_team(db, context, &team_create, params, done, user);
}

static const struct db_statement team_change = {
	.name = "team_change",
	.sql = "SELECT " TEAM " FROM team_change($1, $2::jsonb, $3)",
	.params = 3,
};

void store_team_change(struct db_pool *db, const struct db_context *context, struct span name,
	struct span patch, int64_t seen, store_teams_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(name), DB_TEXT(patch),
		store_time_or_null(seen) };

	send_team(db, context, &team_change, params, done, user);
}

static const struct db_statement team_delete = {
	.name = "team_delete",
	.sql = "SELECT team_delete($1, $2)",
	.params = 2,
};

void store_team_delete(struct db_pool *db, const struct db_context *context, struct span name,
	struct span reason, store_text_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(name), store_text_or_null(reason) };

	send_text(db, context, &team_delete, params, done, user);
}

static void read_member(struct db_row *r, struct store_member *m)
{
	m->user_id = db_row_text(r);
	m->username = db_row_text(r);
	m->name = db_row_text(r);
	m->active = db_row_bool(r);
	m->role = db_row_text(r);
	m->joined_at = db_row_time(r, 0);
	m->position = db_row_text(r);
}
STORE_SHAPE(member_shape, struct store_member, read_member, store_members_cb);

static const struct db_statement members_list = {
	.name = "members_list",
	.sql = "SELECT " MEMBER " FROM members_list($1, $2, $3::int)",
	.params = 3,
	.flags = DB_STATEMENT_READS,
};

void store_members_list(struct db_pool *db, const struct db_context *context, struct span team,
	struct span after, unsigned limit, store_members_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(team), store_text_or_null(after),
		store_limit(limit) };

	store_send(db, &(struct store_query){ .statement = &members_list,
			       .context = context,
			       .params = params,
			       .shape = &member_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement member_put[] = {
	[STORE_MEMBER_ADD] = {
		.name = "member_add",
		.sql = "SELECT " MEMBER " FROM member_add($1, $2, $3::team_role)",
		.params = 3,
	},
	[STORE_MEMBER_CHANGE] = {
		.name = "member_change",
		.sql = "SELECT " MEMBER " FROM member_change($1, $2, $3::team_role)",
		.params = 3,
	},
};

void store_member_put(struct db_pool *db, const struct db_context *context,
	enum store_member_change change, struct span team, struct span member, struct span role,
	store_members_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(team), DB_TEXT(member), DB_TEXT(role) };

	store_send(db, &(struct store_query){ .statement = &member_put[change],
			       .context = context,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &member_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement member_remove = {
	.name = "member_remove",
	.sql = "SELECT member_remove($1, $2)",
	.params = 2,
};

void store_member_remove(struct db_pool *db, const struct db_context *context, struct span team,
	struct span member, store_text_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(team), DB_TEXT(member) };

	send_text(db, context, &member_remove, params, done, user);
}
