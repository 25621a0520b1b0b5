/* /v1/sessions: login, refresh, and whose sessions there are.
 *
 * A login is two transactions with a hash between them: the attempt is counted and committed before
 * the hash is computed, the session begins after it. One answer stands for every refusal: unknown
 * name, wrong password, inactive or blocked account; and each takes one hash. */
#include "api/credentials.h"
#include "api/rest_priv.h"
#include "api/session_priv.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/settings.h"
#include "codec/json.h"
#include "http/server.h"
#include "identity/hash_pool.h"
#include "identity/principal.h"

/* What may be typed: longer passwords than PASSWORD_BYTES_MAX are nobody's, and cost a hash too. */
#define TYPED_MAX       4096u
#define LOGIN_MAX       255u
#define DEVICE_NAME_MAX 255u
#define GRACE_MS_MAX    10000

/* ---- tokens ------------------------------------------------------------------------------------
 */

void session_tokens_make(struct session_tokens *tokens)
{
	key_make(KEY_SESSION, tokens->token);
	key_make(KEY_REFRESH, tokens->refresh);
	sha256_hex(span_of(tokens->token), tokens->token_hash);
	sha256_hex(span_of(tokens->refresh), tokens->refresh_hash);
}

struct store_session_tokens session_tokens_hashes(const struct session_tokens *tokens)
{
	return (struct store_session_tokens){ span_of(tokens->token_hash),
		span_of(tokens->refresh_hash) };
}

static char *cookie(const char *name, struct span token, int64_t until_us)
{
	struct text text;
	char *cookie;

	text_init(&text);
	credentials_cookie(&text, name, token, (until_us - clock_real_us()) / 1000000);
	cookie = text_take(&text);
	text_done(&text);
	return cookie;
}

/* The token's cookie is kept as long as the refresh token's: a page that asks with an expired one
 * is told to refresh. */
static void set_cookies(struct rest_call *call, const struct store_session_given *given,
	const struct session_tokens *tokens)
{
	int64_t until = given->refresh_expires_at ? given->refresh_expires_at : given->expires_at;
	struct span refresh = given->half ? SPAN("") : span_of(tokens->refresh);

	call->cookies[0] = cookie(CREDENTIALS_COOKIE, span_of(tokens->token), until);
	call->cookies[1] = cookie(CREDENTIALS_COOKIE_REFRESH, refresh, until);
}

static void clear_cookies(struct rest_call *call)
{
	call->cookies[0] = cookie(CREDENTIALS_COOKIE, SPAN(""), 0);
	call->cookies[1] = cookie(CREDENTIALS_COOKIE_REFRESH, SPAN(""), 0);
}

json_t *session_given_json(struct rest_call *call, const struct store_session_given *given,
	const struct session_tokens *tokens)
{
	bool shown = !given->by_cookie;

	if (given->by_cookie)
		set_cookies(call, given, tokens);
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:{s:o, s:o, s:o, s:o}, s:o}", "id",
		rest_text(given->session_id), "token",
		shown ? json_string(tokens->token) : json_null(), "refresh_token",
		shown && !given->half ? json_string(tokens->refresh) : json_null(), "expires_at",
		rest_time(given->expires_at), "refresh_expires_at",
		rest_time(given->refresh_expires_at), "user", "id", rest_text(given->user_id),
		"username", rest_text(given->username), "name", rest_text(given->name), "role",
		rest_text(given->role), "second_factor",
		given->half ? json_pack("{s:o}", "methods", rest_texts(given->methods))
			    : json_null());
}

void rest_forget(struct rest_call *call, const char *member)
{
	json_t *value = json_object_get(call->json, member);

	/* jansson frees its strings as they are. */
	if (json_is_string(value))
		mem_wipe((char *)(uintptr_t)json_string_value(value), json_string_length(value));
}

/* ---- login -------------------------------------------------------------------------------------
 */

struct login {
	struct rest_call *call;
	struct session_tokens tokens;
	char user_id[PRINCIPAL_ID_SIZE];
	char stored[PASSWORD_HASH_SIZE];
	struct span password; /* borrowed from the body, as are these */
	struct span device_name;
	bool by_cookie;
};

static void login_free(void *state)
{
	mem_wipe(state, sizeof(struct login));
	mem_free(state);
}

struct store_login_limits session_login_limits(const struct rest_call *call)
{
	const struct settings *settings = call->api->options.settings;

	return (struct store_login_limits){ .free_attempts = (int64_t)settings->auth_free_attempts,
		.block_ms = (int64_t)settings->auth_block_ms };
}

static void refuse_login(struct rest_call *call)
{
	rest_refuse(
		call, ERR_LOGIN, "login and password do not fit, or the account cannot log in now");
}

static void on_begun(
	const struct error *err, const struct store_session_given *rows, size_t n, void *user)
{
	struct rest_call *call = user;
	struct login *login;

	if (!rest_end(call))
		return;
	login = call->state;
	if (err)
		rest_problem(call, err);
	else if (n == 0)
		refuse_login(call);
	else
		rest_json(call, 201, session_given_json(call, rows, &login->tokens));
}

static void begin_session(struct login *login, const char *raised)
{
	struct rest_call *call = login->call;
	const struct settings *settings = call->api->options.settings;
	struct store_session_new session = {
		.user_id = span_of(login->user_id),
		.password = span_of(login->stored),
		.raised = span_of(raised),
		.address = span_of(call->peer),
		.token_ms = (int64_t)settings->session_token_ms,
		.idle_ms = (int64_t)settings->session_idle_ms,
		.absolute_ms = (int64_t)settings->session_absolute_ms,
		.by_cookie = login->by_cookie,
		.device_name = login->device_name,
	};

	session_tokens_make(&login->tokens);
	session.tokens = session_tokens_hashes(&login->tokens);
	rest_begin(call);
	store_login_finish(call->api->options.db, &call->context, &session, on_begun, call);
}

static void on_compared(void *user, const struct error *err, bool matches, const char *raised)
{
	struct rest_call *call = user;

	if (!rest_end(call))
		return;
	rest_forget(call, "password");
	if (err)
		rest_problem(call, err);
	else if (matches)
		begin_session(call->state, raised);
	else
		refuse_login(call);
}

static void on_counted(
	const struct error *err, const struct store_login *rows, size_t n, void *user)
{
	struct rest_call *call = user;
	struct hash_pool *hashes = call->api->options.hashes;
	struct password_stored stored;
	struct login *login;

	(void)n;
	if (!rest_end(call)) {
		hash_pool_leave(hashes);
		return;
	}
	if (err) {
		hash_pool_leave(hashes);
		rest_problem(call, err);
		return;
	}
	login = call->state;
	if (rows->user_id.len < sizeof(login->user_id))
		memcpy(login->user_id, rows->user_id.data ? rows->user_id.data : "",
			rows->user_id.len);
	if (rows->password.len < sizeof(login->stored))
		memcpy(login->stored, rows->password.data ? rows->password.data : "",
			rows->password.len);
	stored = (struct password_stored){ span_of(login->stored), rows->prehashed };
	rest_begin(call);
	hash_pool_compare(hashes, login->password, &stored, rows->denied, on_compared, call);
}

static bool read_login(struct rest_call *call, struct login *login, struct span *name)
{
	struct json_reader reader;
	struct error err;

	json_reader_init(&reader, call->json, "body", ERR_INVALID, &err);
	*name = json_read_text(&reader, "login", JSON_REQUIRED, LOGIN_MAX);
	login->password = json_read_text(&reader, "password", JSON_REQUIRED, TYPED_MAX);
	login->device_name = json_read_text(&reader, "device_name", JSON_OPTIONAL, DEVICE_NAME_MAX);
	login->by_cookie = json_read_boolean(&reader, "cookie", false);
	if (json_reader_end(&reader) == 0)
		return true;
	rest_problem(call, &err);
	return false;
}

/* What sets cookies, or is asked by them, must come from our own pages. Answers when it does not.
 */
static bool is_from_own_page(struct rest_call *call)
{
	struct error err;

	if (credentials_check_origin(http_request_head(call->request),
		    call->api->options.settings->http_origins, &err) == 0)
		return true;
	rest_problem(call, &err);
	return false;
}

static void login(struct rest_call *call)
{
	struct login *login = mem_zalloc(sizeof(*login));
	struct store_login_limits limits = session_login_limits(call);
	struct span name;
	struct error err;

	login->call = call;
	call->state = login;
	call->state_free = login_free;
	if (!read_login(call, login, &name))
		return;
	if (login->by_cookie && !is_from_own_page(call))
		return;
	if (hash_pool_enter(call->api->options.hashes, &err) < 0) {
		rest_problem(call, &err);
		return;
	}
	rest_begin(call);
	store_login_begin(call->api->options.db, &call->context, name, span_of(call->peer), &limits,
		on_counted, call);
}

/* ---- the second factor was right ---------------------------------------------------------------
 */

struct promotion {
	struct rest_call *call;
	struct session_tokens tokens;
	json_t *extra;
};

static void on_promoted(
	const struct error *err, const struct store_session_given *rows, size_t n, void *user)
{
	struct promotion *p = user;
	struct rest_call *call = p->call;
	json_t *answer;

	(void)n;
	if (rest_end(call)) {
		if (err) {
			rest_problem(call, err);
		} else {
			answer = session_given_json(call, rows, &p->tokens);
			(void)json_object_update(answer, p->extra);
			rest_json(call, 200, answer);
		}
	}
	json_decref(p->extra);
	mem_wipe(p, sizeof(*p));
	mem_free(p);
}

void rest_promote_session(struct rest_call *call, json_t *extra)
{
	struct promotion *p = mem_zalloc(sizeof(*p));
	struct store_session_tokens hashes;

	p->call = call;
	p->extra = extra;
	session_tokens_make(&p->tokens);
	hashes = session_tokens_hashes(&p->tokens);
	rest_begin(call);
	store_session_promote(call->api->options.db, &call->context, &hashes, on_promoted, p);
}

/* ---- refresh -----------------------------------------------------------------------------------
 */

static void tokens_free(void *state)
{
	mem_wipe(state, sizeof(struct session_tokens));
	mem_free(state);
}

static void on_refreshed(
	const struct error *err, const struct store_session_given *rows, size_t n, void *user)
{
	struct rest_call *call = user;

	(void)n;
	if (!rest_end(call))
		return;
	if (err)
		rest_problem(call, err);
	else if (span_is(rows->outcome, "refreshed"))
		rest_json(call, 200, session_given_json(call, rows, call->state));
	else if (span_is(rows->outcome, "twice"))
		rest_refuse(call, ERR_REFRESH_TWICE,
			"another request has refreshed the session a moment ago");
	else if (span_is(rows->outcome, "reused"))
		rest_refuse(call, ERR_REFRESH_REUSED,
			"the refresh token was used before; the session is over");
	else
		rest_refuse(call, ERR_REFRESH, "the refresh token does not count");
}

static bool read_refresh(struct rest_call *call, struct credentials *credentials)
{
	struct json_reader reader;
	struct error err;
	struct span given;
	int rc;

	json_reader_init(&reader, call->json, "body", ERR_INVALID, &err);
	given = json_read_text(&reader, "refresh_token", JSON_OPTIONAL, TYPED_MAX);
	rc = json_reader_end(&reader);
	if (rc == 0)
		rc = credentials_read_refresh(
			http_request_head(call->request), given, credentials, &err);
	if (rc == 0 && !credentials->token.data)
		rc = error_set(&err, ERR_AUTHENTICATION, "no refresh token came with the request");
	if (rc == 0 && !key_well_formed(KEY_REFRESH, credentials->token))
		rc = error_set(&err, ERR_REFRESH, "what came with the request is no refresh token");
	if (rc == 0)
		return true;
	rest_problem(call, &err);
	return false;
}

static void refresh(struct rest_call *call)
{
	const struct settings *settings = call->api->options.settings;
	int64_t grace_ms = settings->session_grace_ms < GRACE_MS_MAX
				   ? (int64_t)settings->session_grace_ms
				   : GRACE_MS_MAX;
	struct session_tokens *tokens = mem_zalloc(sizeof(*tokens));
	struct store_session_tokens hashes;
	struct credentials credentials;
	char spent[SHA256_HEX_SIZE];

	call->state = tokens;
	call->state_free = tokens_free;
	if (!read_refresh(call, &credentials))
		return;
	if (credentials.by_cookie && !is_from_own_page(call))
		return;
	sha256_hex(credentials.token, spent);
	session_tokens_make(tokens);
	hashes = session_tokens_hashes(tokens);
	rest_begin(call);
	store_session_refresh(call->api->options.db, &call->context, span_of(spent), &hashes,
		credentials.by_cookie, grace_ms, on_refreshed, call);
}

/* ---- looking and ending ------------------------------------------------------------------------
 */

static json_t *session_of(const struct rest_call *call, const struct store_session *row)
{
	return json_pack("{s:o, s:o, s:b, s:b, s:b, s:o, s:o, s:o, s:o, s:o, s:o}", "id",
		rest_text(row->id), "user_id", rest_text(row->user_id), "current",
		span_is(row->id, call->who->session_id), "half", row->half, "cookie",
		row->by_cookie, "device_name", rest_text(row->device_name), "ip_address",
		rest_text(row->ip_address), "user_agent", rest_text(row->user_agent), "created_at",
		rest_time(row->created_at), "last_activity", rest_time(row->last_activity),
		"expires_at", rest_time(row->expires_at));
}

static void on_sessions(
	const struct error *err, const struct store_session *rows, size_t n, void *user)
{
	struct rest_call *call = user;
	json_t *list;

	if (!rest_end(call))
		return;
	if (err) {
		rest_problem(call, err);
		return;
	}
	list = json_array();
	for (size_t i = 0; i < n; i++)
		(void)json_array_append_new(list, session_of(call, &rows[i]));
	rest_list(call, list, "sessions", SPAN(""), SPAN_NONE);
}

/* `?user`: an id or a username; the asker's own without it. */
static struct span read_whose(struct rest_query *q)
{
	struct span user = rest_query_text(q, "user");

	return user.data && !span_is(user, "me") ? user : q->call->context.user_id;
}

static void list(struct rest_call *call)
{
	struct rest_query q;
	struct span whose;

	rest_query_init(&q, call);
	whose = read_whose(&q);
	if (rest_query_end(&q)) {
		rest_begin(call);
		store_sessions_list(
			call->api->options.db, &call->context, whose, on_sessions, call);
	}
	rest_query_done(&q);
}

static void on_ended(const struct error *err, int64_t number, void *user)
{
	struct rest_call *call = user;

	if (!rest_end(call))
		return;
	if (err)
		rest_problem(call, err);
	else
		rest_json(call, 200, json_pack("{s:I}", "ended", (json_int_t)number));
}

static void end_one(struct rest_call *call)
{
	char id[REST_ID_SIZE];

	if (!rest_param(call, "id", id, sizeof(id)))
		return;
	rest_begin(call);
	store_session_end(
		call->api->options.db, &call->context, span_of(id), SPAN("ended"), on_ended, call);
}

static void end_others(struct rest_call *call)
{
	struct rest_query q;
	struct span whose;

	rest_query_init(&q, call);
	whose = read_whose(&q);
	if (rest_query_end(&q)) {
		rest_begin(call);
		store_sessions_end(call->api->options.db, &call->context, whose, SPAN("ended"),
			on_ended, call);
	}
	rest_query_done(&q);
}

static void end_current(struct rest_call *call)
{
	if (!call->who->session_id[0]) {
		rest_refuse(call, ERR_STATE, "it was a key that asked, and no session");
		return;
	}
	if (call->who->by_cookie)
		clear_cookies(call);
	rest_begin(call);
	store_session_end(call->api->options.db, &call->context, call->context.session_id,
		SPAN("logged out"), on_ended, call);
}

const struct rest_route rest_sessions_routes[] = {
	REST_ROUTE("POST", "/v1/sessions", SESSION_LOGIN, NONE, JSON, login),
	REST_ROUTE("POST", "/v1/sessions/refresh", SESSION_REFRESH, NONE, JSON, refresh),
	REST_ROUTE("GET", "/v1/sessions", SESSION_READ, NONE, NONE, list),
	REST_ROUTE("DELETE", "/v1/sessions", SESSION_WRITE, NONE, NONE, end_others),
	REST_ROUTE("DELETE", "/v1/sessions/current", SESSION_FINISH, NONE, NONE, end_current),
	REST_ROUTE("DELETE", "/v1/sessions/{id}", SESSION_WRITE, NONE, NONE, end_one),
	REST_ROUTES_END,
};
