/* Threats, and where they end: guessing (a try is counted in the database before the code is looked
 * at), replay (store_second_factor_judge() takes a step once), a stolen session (factor_prove()), a
 * client's clock (the host's alone counts), a front that dies (nothing is kept here).
 */
#include "api/second_factor_priv.h"
#include "api/session_priv.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "codec/json.h"
#include "codec/random.h"

#define FRESH_S   600 /* a session that began within it has just shown who it is */
#define NOTIFY_MS 10000

static void state_free(void *user)
{
	struct factor_state *state = user;

	mem_wipe(state->digests.data, state->digests.len);
	text_done(&state->digests);
	text_done(&state->codes_digests);
	mem_wipe(state, sizeof(*state));
	mem_free(state);
}

struct factor_state *factor_state(struct rest_call *call)
{
	struct factor_state *state = call->state;

	if (!state) {
		state = mem_zalloc(sizeof(*state));
		text_init(&state->digests);
		text_init(&state->codes_digests);
		call->state = state;
		call->state_free = state_free;
	}
	return state;
}

void factor_refuse_code(struct rest_call *call)
{
	rest_refuse(call, ERR_FACTOR_CODE, "the code is wrong or was used");
}

/* ---- whose -------------------------------------------------------------------------------------
 */

static void on_status(
	const struct error *err, const struct store_second_factor *rows, size_t n, void *user)
{
	struct rest_call *call = user;
	struct factor_state *state;

	(void)n;
	if (!rest_end(call))
		return;
	if (err) {
		rest_problem(call, err);
		return;
	}
	state = factor_state(call);
	(void)snprintf(state->user_id, sizeof(state->user_id), "%.*s", SPAN_ARG(rows->user_id));
	(void)snprintf(state->account, sizeof(state->account), "%.*s", SPAN_ARG(rows->account));
	state->own = span_is(rows->user_id, call->who->user_id);
	state->found(call);
}

void factor_find_user(struct rest_call *call, factor_step found)
{
	char user[REST_USER_SIZE];

	if (!rest_user(call, user))
		return;
	factor_state(call)->found = found;
	rest_begin(call);
	store_second_factor_status(
		call->api->options.db, &call->context, span_of(user), on_status, call);
}

/* ---- the master keys ---------------------------------------------------------------------------
 */

void factor_ask_key_ring(struct rest_call *call, enum key_ring_op op, const char *column,
	struct span data, api_key_ring_cb done)
{
	const struct api_options *options = &call->api->options;
	char context[80];

	(void)snprintf(context, sizeof(context), "users.%s:%s", column, call->who->user_id);
	rest_begin(call);
	options->host->key_ring(options->host_user, op, span_of(context), data, done, call);
}

/* Digests of a code of the asker's own; into state->digests by on_digests(), which leads on. */
static void ask_digests(struct rest_call *call, struct span data, factor_step coded);

static void on_digests(void *user, const struct error *err, struct span result)
{
	struct rest_call *call = user;
	struct factor_state *state;

	if (!rest_end(call))
		return;
	if (err) {
		rest_problem(call, err);
		return;
	}
	state = factor_state(call);
	text_clear(&state->digests);
	text_append_span(&state->digests, result);
	state->coded(call);
}

static void ask_digests(struct rest_call *call, struct span data, factor_step coded)
{
	factor_state(call)->coded = coded;
	factor_ask_key_ring(call, KEY_RING_DIGEST, "mfa_backup_codes", data, on_digests);
}

/* A code that was sent counts in the session that asked for it and in no other; the words before
 * it keep its digest apart from a backup code's. */
static void ask_sent_digests(struct rest_call *call, struct span code, factor_step coded)
{
	char data[32 + PRINCIPAL_ID_SIZE + FACTOR_TYPED_MAX * 4];
	int len = snprintf(
		data, sizeof(data), "message:%s:%.*s", call->who->session_id, SPAN_ARG(code));

	ask_digests(call, (struct span){ data, (size_t)len }, coded);
	mem_wipe(data, sizeof(data));
}

/* ---- trying a code -----------------------------------------------------------------------------
 */

static void on_judged(const struct error *err, const struct store_second_factor_verdict *rows,
	size_t n, void *user)
{
	struct rest_call *call = user;

	(void)n;
	if (!err && rows->tell.data)
		factor_tell(call->api, rows->tell,
			"Six wrong codes in a row were tried as your second factor, by somebody "
			"who knows your password. If that was not you, change it.");
	if (!rest_end(call))
		return;
	if (err)
		rest_problem(call, err);
	else if (rows->passed)
		factor_state(call)->verified(call);
	else
		factor_refuse_code(call);
}

static void judge(struct rest_call *call)
{
	rest_begin(call);
	store_second_factor_judge(
		call->api->options.db, &call->context, &factor_state(call)->shown, on_judged, call);
}

static void judge_backup(struct rest_call *call)
{
	struct factor_state *state = factor_state(call);

	state->shown.backup = text_span(&state->digests);
	judge(call);
}

static void judge_message(struct rest_call *call)
{
	struct factor_state *state = factor_state(call);

	state->shown.message = text_span(&state->digests);
	judge(call);
}

/* What is no backup code is a wrong one. */
static void try_backup_code(struct rest_call *call)
{
	char code[BACKUP_CODE_LEN + 1];

	if (!backup_code_read(factor_state(call)->backup_code, code)) {
		judge(call);
		return;
	}
	ask_digests(call, span_of(code), judge_backup);
	mem_wipe(code, sizeof(code));
}

/* The envelope's seed, and the step that the code belongs to. */
static bool read_step(struct rest_call *call, struct span base32)
{
	struct factor_state *state = factor_state(call);
	uint64_t used = state->shown.step;
	struct error err;

	if (totp_read_base32(&state->totp, base32, &err) < 0) {
		rest_problem(call, &err);
		return false;
	}
	state->shown.step = 0;
	(void)totp_find(&state->totp, state->code, clock_real_us(), used, &state->shown.step);
	return true;
}

static void on_seed(void *user, const struct error *err, struct span base32)
{
	struct rest_call *call = user;

	if (!rest_end(call))
		return;
	if (err)
		rest_problem(call, err);
	else if (read_step(call, base32))
		factor_state(call)->read(call);
}

/* From what is enrolled to what was shown; state->read or state->coded follow. */
static void read_code(struct rest_call *call, const struct store_second_factor_try *try,
	factor_step on_step, factor_step on_message)
{
	struct factor_state *state = factor_state(call);

	if (!span_is(try->method, "TOTP")) {
		ask_sent_digests(call, state->code, on_message);
		return;
	}
	state->totp.algorithm = totp_algorithm_from(try->algorithm);
	state->totp.digits = (unsigned)try->digits;
	state->shown.step = (uint64_t)try->last_step;
	state->read = on_step;
	factor_ask_key_ring(call, KEY_RING_OPEN, "mfa_secret", try->secret, on_seed);
}

static void on_try(
	const struct error *err, const struct store_second_factor_try *rows, size_t n, void *user)
{
	struct rest_call *call = user;
	struct error locked;

	(void)n;
	if (!rest_end(call))
		return;
	if (err) {
		rest_problem(call, err);
		return;
	}
	if (rows->retry_after_s > 0) {
		(void)error_set(&locked, ERR_FACTOR_LOCKED,
			"too many wrong codes: the second factor is locked for %lld s",
			(long long)rows->retry_after_s);
		rest_problem_later(call, &locked, (unsigned)rows->retry_after_s);
		return;
	}
	if (factor_state(call)->backup_code.data)
		try_backup_code(call);
	else
		read_code(call, rows, judge, judge_message);
}

void factor_verify(struct rest_call *call, factor_step verified)
{
	factor_state(call)->verified = verified;
	rest_begin(call);
	store_second_factor_try(call->api->options.db, &call->context, on_try, call);
}

/* ---- trying the code of an enrolment -----------------------------------------------------------
 */

static void shown_message(struct rest_call *call)
{
	struct factor_state *state = factor_state(call);

	state->shown.message = text_span(&state->digests);
	state->verified(call);
}

static void shown_step(struct rest_call *call)
{
	factor_state(call)->verified(call);
}

static void on_enrolment(
	const struct error *err, const struct store_second_factor_try *rows, size_t n, void *user)
{
	struct rest_call *call = user;

	(void)n;
	if (!rest_end(call))
		return;
	if (err)
		rest_problem(call, err);
	else
		read_code(call, rows, shown_step, shown_message);
}

void factor_read_enrolment(struct rest_call *call, struct span method, factor_step read)
{
	factor_state(call)->verified = read;
	rest_begin(call);
	store_second_factor_enrolment(
		call->api->options.db, &call->context, method, on_enrolment, call);
}

/* ---- showing again who one is ------------------------------------------------------------------
 */

static void prove_code(struct rest_call *call)
{
	struct factor_state *state = factor_state(call);

	if (state->code.data || state->backup_code.data)
		factor_verify(call, state->proved);
	else if (state->enabled && !state->fresh)
		rest_refuse(call, ERR_FACTOR_PROOF, "a code of the second factor is missing");
	else
		state->proved(call);
}

static void on_password(struct rest_call *call)
{
	rest_forget(call, "password");
	prove_code(call);
}

static void on_proof(
	const struct error *err, const struct store_second_factor_proof *rows, size_t n, void *user)
{
	struct rest_call *call = user;
	struct factor_state *state;

	(void)n;
	if (!rest_end(call))
		return;
	if (err) {
		rest_problem(call, err);
		return;
	}
	state = factor_state(call);
	state->fresh = rows->fresh;
	state->enabled = rows->enabled;
	if (state->password.data)
		rest_prove_password(call, state->password, on_password);
	else if (rows->fresh)
		prove_code(call);
	else
		rest_refuse(call, ERR_FACTOR_PROOF,
			rows->has_password ? "the password is missing"
					   : "the session did not just begin");
}

void factor_prove(struct rest_call *call, factor_step proved)
{
	factor_state(call)->proved = proved;
	rest_begin(call);
	store_second_factor_proof(call->api->options.db, &call->context, FRESH_S, on_proof, call);
}

/* ---- backup codes ------------------------------------------------------------------------------
 */

static void digest_next_code(struct rest_call *call);

static void on_code_digests(void *user, const struct error *err, struct span digests)
{
	struct rest_call *call = user;
	struct factor_state *state;
	struct span newest;

	if (!rest_end(call))
		return;
	if (err) {
		rest_problem(call, err);
		return;
	}
	state = factor_state(call);
	(void)span_split(&digests, ' ', &newest);
	if (state->codes_digested++ > 0)
		text_append_char(&state->codes_digests, ' ');
	text_append_span(&state->codes_digests, newest);
	if (state->codes_digested < BACKUP_CODE_COUNT)
		digest_next_code(call);
	else
		state->made(call);
}

static void digest_next_code(struct rest_call *call)
{
	struct factor_state *state = factor_state(call);
	char *code = state->codes[state->codes_digested];

	backup_code_make(code);
	factor_ask_key_ring(
		call, KEY_RING_DIGEST, "mfa_backup_codes", span_of(code), on_code_digests);
}

void factor_make_codes(struct rest_call *call, factor_step made)
{
	factor_state(call)->made = made;
	digest_next_code(call);
}

json_t *factor_codes_json(struct rest_call *call)
{
	json_t *codes = json_array();

	for (size_t i = 0; i < BACKUP_CODE_COUNT; i++)
		(void)json_array_append_new(codes, json_string(factor_state(call)->codes[i]));
	return codes;
}

/* ---- messages ----------------------------------------------------------------------------------
 */

void factor_make_sent(struct rest_call *call, factor_step coded)
{
	struct factor_state *state = factor_state(call);

	random_text(state->sent, FACTOR_SENT_LEN, "0123456789");
	ask_sent_digests(call, span_of(state->sent), coded);
}

/* "a***@example.org", "***17": enough to know one's own. */
static json_t *masked(const char *destination)
{
	const char *at = strrchr(destination, '@');
	char text[sizeof(((struct factor_state *)0)->destination) + 8];
	size_t len = strlen(destination);

	if (at)
		(void)snprintf(text, sizeof(text), "%.1s***%s", destination, at);
	else
		(void)snprintf(text, sizeof(text), "***%s", destination + (len > 2 ? len - 2 : 0));
	return json_string(text);
}

static void on_sent(void *user, const struct error *err, struct span json)
{
	struct rest_call *call = user;
	const struct factor_state *state;
	struct error unsent;

	(void)json;
	if (!rest_end(call))
		return;
	if (err) {
		(void)error_set(&unsent, ERR_FACTOR_UNSENT, "the code could not be sent: %.900s",
			err->text);
		rest_problem(call, &unsent);
		return;
	}
	state = factor_state(call);
	rest_json(call, 202,
		json_pack("{s:o, s:o}", "sent_to", masked(state->destination), "expires_at",
			rest_time(state->expires_at)));
}

static void ask_notify(struct api *api, struct span method, struct span to, const char *subject,
	const char *words, api_call_cb done, void *user)
{
	json_t *message = json_pack("{s:s, s:o, s:s, s:s}", "channel",
		span_is(method, "SMS") ? "sms" : "email", "to", rest_text(to), "subject", subject,
		"text", words);
	char *text = json_dumps(message, JSON_COMPACT);

	api->options.host->call(api->options.host_user, SPAN("notify/1"), SPAN("send"),
		span_of(text), NOTIFY_MS, done, user);
	mem_wipe(text, strlen(text));
	free(text);
	json_decref(message);
}

void factor_send(struct rest_call *call, struct span method,
	const struct store_second_factor_message *message)
{
	struct factor_state *state = factor_state(call);
	struct error wait;
	char words[128];

	if (message->retry_after_s > 0) {
		(void)error_set(&wait, ERR_FACTOR_SENT, "a code was sent already");
		rest_problem_later(call, &wait, (unsigned)message->retry_after_s);
		return;
	}
	(void)snprintf(state->destination, sizeof(state->destination), "%.*s",
		SPAN_ARG(message->destination));
	state->expires_at = message->expires_at;
	(void)snprintf(words, sizeof(words),
		"%s is your code. Nobody of us will ever ask you for it.", state->sent);
	rest_begin(call);
	ask_notify(call->api, method, message->destination, "Your code", words, on_sent, call);
	mem_wipe(words, sizeof(words));
}

static void on_told(void *user, const struct error *err, struct span json)
{
	(void)user;
	(void)json;
	/* Without a provider there is nothing to tell by; audit and event have it in any case. */
	if (err && err->code != ERR_NOT_FOUND)
		log_warn("a user was not told of a change of his second factor", LOG_ERR(err));
}

void factor_tell(struct api *api, struct span email, const char *what)
{
	ask_notify(api, SPAN("EMAIL"), email, "Your second factor", what, on_told, NULL);
}
