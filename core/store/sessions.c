#include "store/sessions.h"

#include "base/assert.h"
#include "base/clock.h"
#include "store/store_priv.h"

#define GIVEN_COLUMNS                                                                         \
	"(given).session_id, (given).user_id, (given).name, (given).username, (given).role, " \
	"(given).expires_at, (given).refresh_expires_at, (given).by_cookie, "                 \
	"(given).methods IS NOT NULL, (given).methods"

static void read_given(struct db_row *r, struct store_session_given *g)
{
	g->outcome = db_row_text(r);
	g->session_id = db_row_text(r);
	g->user_id = db_row_text(r);
	g->name = db_row_text(r);
	g->username = db_row_text(r);
	g->role = db_row_text(r);
	g->expires_at = db_row_time(r, 0);
	g->refresh_expires_at = db_row_time(r, 0);
	g->by_cookie = db_row_bool(r);
	g->half = db_row_bool(r);
	g->methods = db_row_array(r);
	g->ended = db_row_int(r, 0);
}
STORE_SHAPE(given_shape, struct store_session_given, read_given, store_sessions_given_cb);

/* ---- login -------------------------------------------------------------------------------------
 */

static void read_login(struct db_row *r, struct store_login *l)
{
	l->user_id = db_row_text(r);
	l->password = db_row_text(r);
	l->prehashed = db_row_bool(r);
	l->denied = db_row_bool(r);
}
STORE_SHAPE(login_shape, struct store_login, read_login, store_logins_cb);

static const struct db_statement auth_login_begin = {
	.name = "auth_login_begin",
	.sql = "SELECT user_id, password, prehashed, denied "
	       "FROM auth_login_begin($1, $2, $3, $4 * interval '1 millisecond')",
	.params = 4,
};

void store_login_begin(struct db_pool *db, const struct db_context *context, struct span login,
	struct span address, const struct store_login_limits *limits, store_logins_cb done,
	void *user)
{
	const struct db_param params[] = { DB_TEXT(login), DB_TEXT(address),
		DB_INT(limits->free_attempts), DB_INT(limits->block_ms) };

	store_send(db, &(struct store_query){ .statement = &auth_login_begin,
			       .context = context,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &login_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement auth_login_finish = {
	.name = "auth_login_finish",
	.sql = "SELECT NULL::text, " GIVEN_COLUMNS ", 0::bigint "
	       "FROM auth_login_finish($1, $2, $3, $4, $5, $6, $7 * interval '1 millisecond', "
	       "$8 * interval '1 millisecond', $9 * interval '1 millisecond', $10, $11) given",
	.params = 11,
};

void store_login_finish(struct db_pool *db, const struct db_context *context,
	const struct store_session_new *session, store_sessions_given_cb done, void *user)
{
	const struct db_param params[] = {
		DB_TEXT(session->user_id),
		DB_TEXT(session->password),
		store_text_or_null(session->raised),
		DB_TEXT(session->tokens.token),
		DB_TEXT(session->tokens.refresh),
		DB_TEXT(session->address),
		DB_INT(session->token_ms),
		DB_INT(session->idle_ms),
		DB_INT(session->absolute_ms),
		DB_BOOL(session->by_cookie),
		store_text_or_null(session->device_name),
	};

	store_send(db, &(struct store_query){ .statement = &auth_login_finish,
			       .context = context,
			       .params = params,
			       .shape = &given_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement session_promote = {
	.name = "session_promote",
	.sql = "SELECT NULL::text, " GIVEN_COLUMNS
	       ", 0::bigint FROM session_promote($1, $2, $3) given",
	.params = 3,
};

void store_session_promote(struct db_pool *db, const struct db_context *context,
	const struct store_session_tokens *tokens, store_sessions_given_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(context->session_id), DB_TEXT(tokens->token),
		DB_TEXT(tokens->refresh) };

	store_send(db, &(struct store_query){ .statement = &session_promote,
			       .context = context,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &given_shape,
			       .done = (store_fn)done,
			       .user = user });
}

/* ---- use and refresh ---------------------------------------------------------------------------
 */

static void read_authority(struct db_row *r, struct store_session_authority *a)
{
	a->session_id = db_row_text(r);
	a->user_id = db_row_text(r);
	a->role = db_row_text(r);
	a->user_name = db_row_text(r);
	a->user_provider = db_row_text(r);
	a->half = db_row_bool(r);
	a->by_cookie = db_row_bool(r);
	a->expires_at = db_row_time(r, 0);
	a->idle_us = db_row_int(r, 0);
}
STORE_SHAPE(authority_shape, struct store_session_authority, read_authority,
	store_session_authorities_cb);

static const struct db_statement auth_session = {
	.name = "auth_session",
	.sql = "SELECT session_id, user_id, role, user_name, user_provider, half, by_cookie, "
	       "expires_at, idle_us FROM auth_session($1)",
	.params = 1,
	.flags = DB_STATEMENT_READS,
};

void store_session_find(
	struct db_pool *db, struct span token_hash, store_session_authorities_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(token_hash) };

	store_send(db, &(struct store_query){ .statement = &auth_session,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &authority_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement auth_sessions_used = {
	.name = "auth_sessions_used",
	.sql = "SELECT auth_sessions_used($1, $2)",
	.params = 2,
};

void store_sessions_used(struct db_pool *db, const struct store_session_use *uses, size_t n,
	store_number_cb done, void *user)
{
	char time[CLOCK_TEXT_SIZE];
	struct text hashes, times;

	ASSERT(n > 0 && n <= STORE_ROWS_MAX);
	text_init(&hashes);
	text_init(&times);
	for (size_t i = 0; i < n; i++) {
		char separator = i ? ',' : '{';

		clock_text(uses[i].last_used_at, time);
		text_printf(&hashes, "%c\"%.*s\"", separator, SPAN_ARG(uses[i].token_hash));
		text_printf(&times, "%c%s", separator, time);
	}
	text_append_char(&hashes, '}');
	text_append_char(&times, '}');
	store_send(db, &(struct store_query){ .statement = &auth_sessions_used,
			       .params =
				       (const struct db_param[]){
					       DB_TEXT(text_span(&hashes)),
					       DB_TEXT(text_span(&times)),
				       },
			       .rows = STORE_ROWS_ONE,
			       .shape = &store_number,
			       .done = (store_fn)done,
			       .user = user });
	text_done(&hashes);
	text_done(&times);
}

static const struct db_statement auth_session_refresh = {
	.name = "auth_session_refresh",
	.sql = "SELECT outcome, " GIVEN_COLUMNS ", 0::bigint "
	       "FROM auth_session_refresh($1, $2, $3, $4, $5 * interval '1 millisecond')",
	.params = 5,
};

void store_session_refresh(struct db_pool *db, const struct db_context *context,
	struct span refresh, const struct store_session_tokens *tokens, bool by_cookie,
	int64_t grace_ms, store_sessions_given_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(refresh), DB_TEXT(tokens->token),
		DB_TEXT(tokens->refresh), DB_BOOL(by_cookie), DB_INT(grace_ms) };

	store_send(db, &(struct store_query){ .statement = &auth_session_refresh,
			       .context = context,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &given_shape,
			       .done = (store_fn)done,
			       .user = user });
}

/* ---- looking and ending ------------------------------------------------------------------------
 */

static void read_session(struct db_row *r, struct store_session *s)
{
	s->id = db_row_text(r);
	s->user_id = db_row_text(r);
	s->ip_address = db_row_text(r);
	s->user_agent = db_row_text(r);
	s->device_name = db_row_text(r);
	s->half = db_row_bool(r);
	s->by_cookie = db_row_bool(r);
	s->created_at = db_row_time(r, 0);
	s->last_activity = db_row_time(r, 0);
	s->expires_at = db_row_time(r, 0);
}
STORE_SHAPE(session_shape, struct store_session, read_session, store_sessions_cb);

static const struct db_statement auth_sessions_list = {
	.name = "auth_sessions_list",
	.sql = "SELECT id, user_id, ip_address, user_agent, device_name, half, by_cookie, "
	       "created_at, last_activity, expires_at FROM auth_sessions_list($1) LIMIT $2",
	.params = 2,
	.flags = DB_STATEMENT_READS,
};

void store_sessions_list(struct db_pool *db, const struct db_context *context, struct span whose,
	store_sessions_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(whose), store_limit(0) };

	store_send(db, &(struct store_query){ .statement = &auth_sessions_list,
			       .context = context,
			       .params = params,
			       .shape = &session_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static void send_end(struct db_pool *db, const struct db_context *context,
	const struct db_statement *statement, const struct db_param *params, store_number_cb done,
	void *user)
{
	store_send(db, &(struct store_query){ .statement = statement,
			       .context = context,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &store_number,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement auth_session_end = {
	.name = "auth_session_end",
	.sql = "SELECT auth_session_end($1, $2)::int",
	.params = 2,
};

void store_session_end(struct db_pool *db, const struct db_context *context, struct span id,
	struct span reason, store_number_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(id), DB_TEXT(reason) };

	send_end(db, context, &auth_session_end, params, done, user);
}

static const struct db_statement auth_sessions_end = {
	.name = "auth_sessions_end",
	.sql = "SELECT auth_sessions_end($1, $2)",
	.params = 2,
};

void store_sessions_end(struct db_pool *db, const struct db_context *context, struct span whose,
	struct span reason, store_number_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(whose), DB_TEXT(reason) };

	send_end(db, context, &auth_sessions_end, params, done, user);
}

/* ---- passwords ---------------------------------------------------------------------------------
 */

static void read_password(struct db_row *r, struct store_password *p)
{
	p->user_id = db_row_text(r);
	p->password = db_row_text(r);
	p->prehashed = db_row_bool(r);
	p->denied = db_row_bool(r);
	p->own = db_row_bool(r);
	p->username = db_row_text(r);
	p->name = db_row_text(r);
	p->email = db_row_text(r);
}
STORE_SHAPE(password_shape, struct store_password, read_password, store_passwords_cb);

#define PASSWORD_COLUMNS "user_id, password, prehashed, denied, own, username, name, email "

static const struct db_statement auth_password_facts = {
	.name = "auth_password_facts",
	.sql = "SELECT " PASSWORD_COLUMNS "FROM auth_password_facts($1)",
	.params = 1,
	.flags = DB_STATEMENT_READS,
};

void store_password_facts(struct db_pool *db, const struct db_context *context, struct span whose,
	store_passwords_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(whose) };

	store_send(db, &(struct store_query){ .statement = &auth_password_facts,
			       .context = context,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &password_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement auth_password_prove = {
	.name = "auth_password_prove",
	.sql = "SELECT " PASSWORD_COLUMNS
	       "FROM auth_password_prove($1, $2, $3 * interval '1 millisecond')",
	.params = 3,
};

void store_password_prove(struct db_pool *db, const struct db_context *context, struct span address,
	const struct store_login_limits *limits, store_passwords_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(address), DB_INT(limits->free_attempts),
		DB_INT(limits->block_ms) };

	store_send(db, &(struct store_query){ .statement = &auth_password_prove,
			       .context = context,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &password_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement auth_password_proved = {
	.name = "auth_password_proved",
	.sql = "SELECT auth_password_proved($1, $2)::int",
	.params = 2,
};

void store_password_proved(struct db_pool *db, const struct db_context *context,
	struct span password, struct span address, store_number_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(password), DB_TEXT(address) };

	store_send(db, &(struct store_query){ .statement = &auth_password_proved,
			       .context = context,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &store_number,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement auth_password_set = {
	.name = "auth_password_set",
	.sql = "SELECT NULL::text, " GIVEN_COLUMNS ", ended::bigint "
	       "FROM auth_password_set($1, $2, $3, $4, $5, $6, $7)",
	.params = 7,
};

void store_password_set(struct db_pool *db, const struct db_context *context,
	const struct store_password_new *password, store_sessions_given_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(password->user_id),
		store_text_or_null(password->current), DB_TEXT(password->hash),
		DB_TEXT(password->address), DB_BOOL(password->end_others),
		DB_TEXT(password->tokens.token), DB_TEXT(password->tokens.refresh) };

	store_send(db, &(struct store_query){ .statement = &auth_password_set,
			       .context = context,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &given_shape,
			       .done = (store_fn)done,
			       .user = user });
}
