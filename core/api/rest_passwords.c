/* /v1/users/{user}/password, and the proof of one's own for what asks for it.
 *
 * Who changes his own shows the present one, which counts as a login does: a stolen session guesses
 * no faster than a stranger. An administrator sets another's without it, with the right of changing
 * users (access.users); that ends the other's sessions and leaves his second factor as it is. */
#include "api/rest_priv.h"
#include "api/session_priv.h"
#include "base/mem.h"
#include "codec/json.h"
#include "identity/hash_pool.h"
#include "identity/principal.h"

#define TYPED_MAX 4096u

/* ---- proving one's own -------------------------------------------------------------------------
 */

/* One proof on its way. It has a place in the pool until hash_pool_compare() is called. */
struct proof {
	struct rest_call *call;
	char *password;
	char stored[PASSWORD_HASH_SIZE];
	void (*proved)(struct rest_call *call);
};

static void free_proof(struct proof *p)
{
	mem_wipe(p->password, strlen(p->password));
	mem_free(p->password);
	mem_wipe(p, sizeof(*p));
	mem_free(p);
}

/* err, or the end of the proof; call is answered or goes on. */
static void end_proof(struct proof *p, const struct error *err)
{
	struct rest_call *call = p->call;
	void (*proved)(struct rest_call *) = p->proved;

	free_proof(p);
	if (err)
		rest_problem(call, err);
	else
		proved(call);
}

static void fail_proof(struct proof *p)
{
	struct error err;

	(void)error_set(&err, ERR_PASSWORD_WRONG,
		"the current password is wrong, or was tried too often just now");
	end_proof(p, &err);
}

static void on_proof_settled(const struct error *err, int64_t number, void *user)
{
	struct proof *p = user;

	if (!rest_end(p->call))
		free_proof(p);
	else if (!err && number == 0)
		fail_proof(p);
	else
		end_proof(p, err);
}

static void on_proof_compared(void *user, const struct error *err, bool matches, const char *raised)
{
	struct proof *p = user;
	struct rest_call *call = p->call;

	(void)raised; /* a login brings it up */
	if (!rest_end(call)) {
		free_proof(p);
	} else if (err) {
		end_proof(p, err);
	} else if (!matches) {
		fail_proof(p);
	} else {
		rest_begin(call);
		store_password_proved(call->api->options.db, &call->context, span_of(p->stored),
			span_of(call->peer), on_proof_settled, p);
	}
}

static void on_proof_counted(
	const struct error *err, const struct store_password *rows, size_t n, void *user)
{
	struct proof *p = user;
	struct rest_call *call = p->call;
	struct hash_pool *hashes = call->api->options.hashes;
	struct password_stored stored;

	(void)n;
	if (!rest_end(call)) {
		hash_pool_leave(hashes);
		free_proof(p);
		return;
	}
	if (err) {
		hash_pool_leave(hashes);
		end_proof(p, err);
		return;
	}
	if (rows->password.data && rows->password.len < sizeof(p->stored))
		memcpy(p->stored, rows->password.data, rows->password.len);
	stored = (struct password_stored){ span_of(p->stored), rows->prehashed };
	rest_begin(call);
	hash_pool_compare(
		hashes, span_of(p->password), &stored, rows->denied, on_proof_compared, p);
}

void rest_prove_password(
	struct rest_call *call, struct span password, void (*proved)(struct rest_call *call))
{
	struct store_login_limits limits = session_login_limits(call);
	struct error err;
	struct proof *p;

	if (hash_pool_enter(call->api->options.hashes, &err) < 0) {
		rest_problem(call, &err);
		return;
	}
	p = mem_zalloc(sizeof(*p));
	p->call = call;
	p->password = mem_printf("%.*s", SPAN_ARG(password));
	p->proved = proved;
	rest_begin(call);
	store_password_prove(call->api->options.db, &call->context, span_of(call->peer), &limits,
		on_proof_counted, p);
}

/* ---- setting one -------------------------------------------------------------------------------
 */

struct change {
	struct session_tokens tokens;
	struct span current, fresh; /* borrowed from the body */
	bool end_others;
	bool own;
	char user_id[PRINCIPAL_ID_SIZE];
	char stored[PASSWORD_HASH_SIZE];   /* of one's own */
	char *names[PASSWORD_OWN_MAX - 1]; /* username, name, e-mail address */
};

static void change_free(void *state)
{
	struct change *change = state;

	for (size_t i = 0; i < ARRAY_LENGTH(change->names); i++)
		mem_free(change->names[i]);
	mem_wipe(change, sizeof(*change));
	mem_free(change);
}

static void on_set(
	const struct error *err, const struct store_session_given *rows, size_t n, void *user)
{
	struct rest_call *call = user;
	struct change *change;
	json_t *session = NULL;

	(void)n;
	if (!rest_end(call))
		return;
	if (err) {
		rest_problem(call, err);
		return;
	}
	change = call->state;
	if (rows->session_id.data)
		session = session_given_json(call, rows, &change->tokens);
	rest_json(call, 200,
		json_pack("{s:I, s:o}", "ended", (json_int_t)rows->ended, "session",
			session ? session : json_null()));
}

static void on_hashed(void *user, const struct error *err, const char *hash)
{
	struct rest_call *call = user;
	struct store_password_new password;
	struct change *change;

	if (!rest_end(call))
		return;
	rest_forget(call, "new");
	if (err) {
		rest_problem(call, err);
		return;
	}
	change = call->state;
	session_tokens_make(&change->tokens);
	password = (struct store_password_new){
		.user_id = span_of(change->user_id),
		.current = change->own ? span_of(change->stored) : SPAN_NONE,
		.hash = span_of(hash),
		.address = span_of(call->peer),
		.end_others = change->end_others,
		.tokens = session_tokens_hashes(&change->tokens),
	};
	rest_begin(call);
	store_password_set(call->api->options.db, &call->context, &password, on_set, call);
}

static void set(struct rest_call *call)
{
	struct hash_pool *hashes = call->api->options.hashes;
	struct change *change = call->state;
	struct span names[ARRAY_LENGTH(change->names)];
	struct error err;

	rest_forget(call, "current");
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
		names[i] = span_of(change->names[i]);
	if (password_check(change->fresh, names, ARRAY_LENGTH(names), &err) < 0 ||
		hash_pool_enter(hashes, &err) < 0) {
		rest_problem(call, &err);
		return;
	}
	rest_begin(call);
	hash_pool_make(hashes, change->fresh, on_hashed, call);
}

static char *copy_name(struct span name)
{
	return name.data ? mem_printf("%.*s", SPAN_ARG(name)) : NULL;
}

static void keep_facts(struct change *change, const struct store_password *row)
{
	change->own = row->own;
	if (row->user_id.len < sizeof(change->user_id))
		memcpy(change->user_id, row->user_id.data, row->user_id.len);
	if (row->password.data && row->password.len < sizeof(change->stored))
		memcpy(change->stored, row->password.data, row->password.len);
	change->names[0] = copy_name(row->username);
	change->names[1] = copy_name(row->name);
	change->names[2] = copy_name(row->email);
}

static void on_facts(
	const struct error *err, const struct store_password *rows, size_t n, void *user)
{
	struct rest_call *call = user;
	struct change *change;

	(void)n;
	if (!rest_end(call))
		return;
	if (err) {
		rest_problem(call, err);
		return;
	}
	change = call->state;
	keep_facts(change, rows);
	/* Who sets another's password may become him. */
	if (!change->own && !rest_may(call, ACCESS_USER_ADMIN))
		return;
	if (!change->own)
		set(call);
	else if (change->current.data)
		rest_prove_password(call, change->current, set);
	else
		rest_invalid(call, "/current", "is missing: it is your own password");
}

static void change_password(struct rest_call *call)
{
	struct change *change = mem_zalloc(sizeof(*change));
	struct json_reader reader;
	char whose[REST_USER_SIZE];
	struct error err;

	call->state = change;
	call->state_free = change_free;
	json_reader_init(&reader, call->json, "body", ERR_INVALID, &err);
	change->current = json_read_text(&reader, "current", JSON_OPTIONAL, TYPED_MAX);
	change->fresh = json_read_text(&reader, "new", JSON_REQUIRED, TYPED_MAX);
	change->end_others = json_read_boolean(&reader, "end_others", false);
	if (json_reader_end(&reader) < 0) {
		rest_problem(call, &err);
		return;
	}
	if (!rest_user(call, whose))
		return;
	rest_begin(call);
	store_password_facts(call->api->options.db, &call->context, span_of(whose), on_facts, call);
}

const struct rest_route rest_passwords_routes[] = {
	REST_ROUTE(
		"POST", "/v1/users/{user}/password", PASSWORD_WRITE, NONE, JSON, change_password),
	REST_ROUTES_END,
};
