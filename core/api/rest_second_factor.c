/* /v1/users/{user}/second-factor and the second half of a login.
 *
 * A half session may finish, and where nothing is enrolled it may enrol; the database holds it to
 * that. A seed and backup codes leave this process once, in the answer that made them.
 */
#include <stdio.h>

#include "api/second_factor_priv.h"
#include "api/session_priv.h"
#include "base/mem.h"
#include "codec/json.h"
#include "codec/qr.h"

#define PASSWORD_MAX 1024

static const struct {
	const char *segment; /* of the path */
	const char *method;  /* in the database */
} methods[] = { { "totp", "TOTP" }, { "email", "EMAIL" }, { "sms", "SMS" } };

/* ---- reading the request -----------------------------------------------------------------------
 */

static void read_codes(struct json_reader *reader, struct factor_state *state)
{
	state->code = json_read_text(reader, "code", JSON_OPTIONAL, FACTOR_TYPED_MAX);
	state->backup_code = json_read_text(reader, "backup_code", JSON_OPTIONAL, FACTOR_TYPED_MAX);
	if (state->code.data && state->backup_code.data)
		json_reader_fail(reader, "backup_code", "stands beside 'code': send one of them");
}

static void read_proof(struct json_reader *reader, struct factor_state *state)
{
	state->password = json_read_text(reader, "password", JSON_OPTIONAL, PASSWORD_MAX);
	read_codes(reader, state);
}

static void read_enrolment(struct json_reader *reader, struct factor_state *state)
{
	struct span algorithm;

	read_proof(reader, state);
	if (strcmp(state->method, "SMS") == 0)
		state->phone = json_read_text(reader, "phone", JSON_OPTIONAL, 20);
	if (strcmp(state->method, "TOTP") != 0)
		return;
	algorithm = json_read_text(reader, "algorithm", JSON_OPTIONAL, 10);
	state->algorithm = algorithm.data ? totp_algorithm_from(algorithm) : TOTP_SHA1;
	if (state->algorithm == TOTP_ALGORITHM_COUNT)
		json_reader_fail(reader, "algorithm", "is not SHA1, SHA256 or SHA512");
	state->digits = (unsigned)json_read_integer(
		reader, "digits", JSON_OPTIONAL, TOTP_DIGITS_MIN, TOTP_DIGITS_MAX, TOTP_DIGITS_MIN);
}

static void read_confirmation(struct json_reader *reader, struct factor_state *state)
{
	state->code = json_read_text(reader, "code", JSON_REQUIRED, FACTOR_TYPED_MAX);
	state->end_others = json_read_boolean(reader, "end_others", false);
}

/* False: it was wrong, and is answered. */
static bool read_body(struct rest_call *call,
	void (*read)(struct json_reader *reader, struct factor_state *state))
{
	struct json_reader reader;
	struct error err;

	json_reader_init(&reader, call->json, "body", ERR_INVALID, &err);
	read(&reader, factor_state(call));
	if (json_reader_end(&reader) == 0)
		return true;
	rest_problem(call, &err);
	return false;
}

static bool read_method(struct rest_call *call)
{
	char segment[16];

	if (!rest_param(call, "method", segment, sizeof(segment)))
		return false;
	for (size_t i = 0; i < ARRAY_LENGTH(methods); i++)
		if (strcmp(methods[i].segment, segment) == 0) {
			factor_state(call)->method = methods[i].method;
			return true;
		}
	rest_refuse(call, ERR_NOT_FOUND, "a second factor is 'totp', 'email' or 'sms'");
	return false;
}

/* Enrolling is for half sessions too, so its rule asks for no scope: a key still needs one. */
static bool may_enrol(struct rest_call *call)
{
	return call->who->half || rest_may(call, ACCESS_FACTOR_WRITE);
}

static bool is_own(struct rest_call *call)
{
	if (factor_state(call)->own)
		return true;
	rest_refuse(call, ERR_PERMISSION, "only the user himself can do that");
	return false;
}

/* ---- status ------------------------------------------------------------------------------------
 */

static void on_status(
	const struct error *err, const struct store_second_factor *rows, size_t n, void *user)
{
	struct rest_call *call = user;

	(void)n;
	if (!rest_end(call))
		return;
	if (err) {
		rest_problem(call, err);
		return;
	}
	rest_json(call, 200,
		json_pack("{s:b, s:o, s:b, s:o, s:I, s:o, s:o, s:o}", "enabled", rows->enabled,
			"method", rest_text(rows->method), "owed", rows->owed, "destination",
			rest_text(rows->destination), "backup_codes",
			(json_int_t)rows->backup_codes, "enrolled_at", rest_time(rows->enrolled_at),
			"locked_until", rest_time(rows->locked_until), "pending",
			rest_text(rows->pending)));
}

static void status(struct rest_call *call)
{
	char user[REST_USER_SIZE];

	if (!rest_user(call, user))
		return;
	rest_begin(call);
	store_second_factor_status(
		call->api->options.db, &call->context, span_of(user), on_status, call);
}

/* ---- begin -------------------------------------------------------------------------------------
 */

/* "Mortise", and which one where it is not the production's. */
static void answer_seed(struct rest_call *call)
{
	struct factor_state *state = factor_state(call);
	const char *environment = call->api->environment;
	char issuer[96] = "Mortise", seed[TOTP_BASE32_MAX + 1];
	struct text uri, svg;
	struct error err;
	int rc;

	if (strcmp(environment, "production") != 0)
		(void)snprintf(issuer, sizeof(issuer), "Mortise %.80s", environment);
	text_init(&uri);
	text_init(&svg);
	totp_append_uri(&uri, &state->totp, span_of(issuer), span_of(state->account));
	totp_base32(&state->totp, seed);
	rc = qr_append_svg(&svg, text_span(&uri), &err);
	if (rc < 0)
		rest_problem(call, &err);
	else
		rest_json(call, 201,
			json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:o}", "method", "TOTP",
				"uri", uri.data, "secret", seed, "svg", svg.data, "algorithm",
				totp_algorithm_name(state->totp.algorithm), "digits",
				(int)state->totp.digits, "period", TOTP_PERIOD_S, "expires_at",
				rest_time(state->expires_at)));
	mem_wipe(seed, sizeof(seed));
	mem_wipe(uri.data, uri.len);
	mem_wipe(svg.data, svg.len);
	text_done(&uri);
	text_done(&svg);
}

static void on_enrolled(const struct error *err, const struct store_second_factor_message *rows,
	size_t n, void *user)
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
	if (strcmp(state->method, "TOTP") == 0) {
		state->expires_at = rows->expires_at;
		answer_seed(call);
	} else {
		factor_send(call, span_of(state->method), rows);
	}
}

static void on_sealed(void *user, const struct error *err, struct span envelope)
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
	rest_begin(call);
	store_second_factor_enrol(call->api->options.db, &call->context,
		&(struct store_second_factor_enrol){ .method = span_of(state->method),
			.secret = envelope,
			.algorithm = span_of(totp_algorithm_name(state->totp.algorithm)),
			.digits = state->totp.digits },
		on_enrolled, call);
}

static void enrol_message(struct rest_call *call)
{
	struct factor_state *state = factor_state(call);

	rest_begin(call);
	store_second_factor_enrol(call->api->options.db, &call->context,
		&(struct store_second_factor_enrol){ .method = span_of(state->method),
			.phone = state->phone,
			.digests = text_span(&state->digests) },
		on_enrolled, call);
}

static void enrol(struct rest_call *call)
{
	struct factor_state *state = factor_state(call);
	char seed[TOTP_BASE32_MAX + 1];

	if (strcmp(state->method, "TOTP") != 0) {
		factor_make_sent(call, enrol_message);
		return;
	}
	totp_make(&state->totp, state->algorithm, state->digits);
	totp_base32(&state->totp, seed);
	factor_ask_key_ring(call, KEY_RING_SEAL, "mfa_secret", span_of(seed), on_sealed);
	mem_wipe(seed, sizeof(seed));
}

static void prove_to_enrol(struct rest_call *call)
{
	if (is_own(call))
		factor_prove(call, enrol);
}

static void begin(struct rest_call *call)
{
	if (may_enrol(call) && read_method(call) && read_body(call, read_enrolment))
		factor_find_user(call, prove_to_enrol);
}

/* ---- confirm -----------------------------------------------------------------------------------
 */

static json_t *confirmed(struct rest_call *call)
{
	return json_pack("{s:s, s:o}", "method", factor_state(call)->method, "backup_codes",
		factor_codes_json(call));
}

/* The session that enrolled because it owed a factor is whole now. */
static void finish_enrolling(struct rest_call *call)
{
	if (call->who->half)
		rest_promote_session(call, confirmed(call));
	else
		rest_json(call, 200, confirmed(call));
}

static void on_others_ended(const struct error *err, int64_t number, void *user)
{
	struct rest_call *call = user;

	(void)number;
	if (!rest_end(call))
		return;
	if (err)
		rest_problem(call, err);
	else
		finish_enrolling(call);
}

static void on_confirmed(const struct error *err, struct span email, void *user)
{
	struct rest_call *call = user;

	if (!err && email.data)
		factor_tell(call->api, email, "A second factor was enrolled for your account.");
	if (!rest_end(call))
		return;
	if (err) {
		rest_problem(call, err);
	} else if (!email.data) {
		factor_refuse_code(call);
	} else if (factor_state(call)->end_others) {
		rest_begin(call);
		store_sessions_end(call->api->options.db, &call->context, call->context.user_id,
			SPAN("a second factor was enrolled"), on_others_ended, call);
	} else {
		finish_enrolling(call);
	}
}

static void confirm_with_codes(struct rest_call *call)
{
	struct factor_state *state = factor_state(call);

	rest_begin(call);
	store_second_factor_confirm(call->api->options.db, &call->context, span_of(state->method),
		&state->shown, text_span(&state->codes_digests), on_confirmed, call);
}

static void make_codes(struct rest_call *call)
{
	factor_make_codes(call, confirm_with_codes);
}

static void read_enrolled(struct rest_call *call)
{
	if (is_own(call))
		factor_read_enrolment(call, span_of(factor_state(call)->method), make_codes);
}

static void confirm(struct rest_call *call)
{
	if (may_enrol(call) && read_method(call) && read_body(call, read_confirmation))
		factor_find_user(call, read_enrolled);
}

/* ---- new backup codes --------------------------------------------------------------------------
 */

static void on_replaced(const struct error *err, struct span email, void *user)
{
	struct rest_call *call = user;

	if (!err)
		factor_tell(call->api, email,
			"New backup codes were made for your account. The old ones count no more.");
	if (!rest_end(call))
		return;
	if (err)
		rest_problem(call, err);
	else
		rest_json(call, 201, json_pack("{s:o}", "backup_codes", factor_codes_json(call)));
}

static void replace_codes(struct rest_call *call)
{
	rest_begin(call);
	store_second_factor_backup(call->api->options.db, &call->context,
		text_span(&factor_state(call)->codes_digests), on_replaced, call);
}

static void make_new_codes(struct rest_call *call)
{
	factor_make_codes(call, replace_codes);
}

static void prove_to_replace(struct rest_call *call)
{
	if (is_own(call))
		factor_prove(call, make_new_codes);
}

static void new_backup_codes(struct rest_call *call)
{
	if (read_body(call, read_proof))
		factor_find_user(call, prove_to_replace);
}

/* ---- disable and reset -------------------------------------------------------------------------
 */

static void on_disabled(const struct error *err, struct span email, void *user)
{
	struct rest_call *call = user;

	if (!err)
		factor_tell(call->api, email,
			"The second factor of your account was taken away. If that was not you, "
			"change your password and ask an administrator.");
	if (!rest_end(call))
		return;
	if (err)
		rest_problem(call, err);
	else
		rest_json(call, 200, json_pack("{s:b}", "enabled", 0));
}

static void disable_now(struct rest_call *call)
{
	rest_begin(call);
	store_second_factor_disable(call->api->options.db, &call->context,
		span_of(factor_state(call)->user_id), on_disabled, call);
}

/* An administrator's program has a key and no session: it has nothing more to show. */
static void prove_to_disable(struct rest_call *call)
{
	if (!factor_state(call)->own && !rest_may(call, ACCESS_USER_ADMIN))
		return;
	if (factor_state(call)->own || call->who->session_id[0])
		factor_prove(call, disable_now);
	else
		disable_now(call);
}

static void disable(struct rest_call *call)
{
	if (read_body(call, read_proof))
		factor_find_user(call, prove_to_disable);
}

/* ---- the second half of a login ----------------------------------------------------------------
 */

static void promote(struct rest_call *call)
{
	rest_promote_session(call, json_object());
}

static void on_noted(const struct error *err, const struct store_second_factor_message *rows,
	size_t n, void *user)
{
	struct rest_call *call = user;

	(void)n;
	if (!rest_end(call))
		return;
	if (err)
		rest_problem(call, err);
	else
		factor_send(call, span_of(factor_state(call)->method), rows);
}

static void note_sent(struct rest_call *call)
{
	struct factor_state *state = factor_state(call);

	rest_begin(call);
	store_second_factor_send(call->api->options.db, &call->context, span_of(state->method),
		text_span(&state->digests), on_noted, call);
}

static void read_finish(struct json_reader *reader, struct factor_state *state)
{
	struct span method = json_read_text(reader, "method", JSON_OPTIONAL, 10);

	read_codes(reader, state);
	if (!method.data && !state->code.data && !state->backup_code.data)
		json_reader_fail(reader, "code", "is missing: send it, 'backup_code' or 'method'");
	if (!method.data)
		return;
	if (state->code.data || state->backup_code.data)
		json_reader_fail(reader, "method", "stands beside a code: it asks for one");
	for (size_t i = 0; i < ARRAY_LENGTH(methods); i++)
		if (span_is(method, methods[i].method))
			state->method = methods[i].method;
	if (!state->method || strcmp(state->method, "TOTP") == 0)
		json_reader_fail(reader, "method", "is not SMS or EMAIL");
}

static void finish(struct rest_call *call)
{
	if (!call->who->session_id[0]) {
		rest_refuse(call, ERR_STATE, "a key has no second factor, a session has");
		return;
	}
	if (!read_body(call, read_finish))
		return;
	if (factor_state(call)->method)
		factor_make_sent(call, note_sent);
	else if (!call->who->half)
		rest_refuse(call, ERR_STATE, "the login is finished already");
	else
		factor_verify(call, promote);
}

const struct rest_route rest_second_factor_routes[] = {
	REST_ROUTE("GET", "/v1/users/{user}/second-factor", FACTOR_READ, NONE, NONE, status),
	REST_ROUTE("DELETE", "/v1/users/{user}/second-factor", FACTOR_WRITE, NONE, JSON, disable),
	REST_ROUTE("POST", "/v1/users/{user}/second-factor/backup-codes", FACTOR_WRITE, NONE, JSON,
		new_backup_codes),
	REST_ROUTE(
		"POST", "/v1/users/{user}/second-factor/{method}", FACTOR_ENROL, NONE, JSON, begin),
	REST_ROUTE("POST", "/v1/users/{user}/second-factor/{method}/confirm", FACTOR_ENROL, NONE,
		JSON, confirm),
	REST_ROUTE(
		"POST", "/v1/sessions/current/second-factor", SESSION_FINISH, NONE, JSON, finish),
	REST_ROUTES_END,
};
