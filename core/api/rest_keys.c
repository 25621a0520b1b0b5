/* /v1/keys: bearer keys. The key itself leaves this process once, in the answer that made it. */
#include "api/rest_priv.h"
#include "base/clock.h"
#include "codec/digest.h"
#include "codec/json.h"
#include "identity/key.h"
#include "identity/principal.h"
#include "store/api_keys.h"

#define NETWORKS_MAX 32
#define RATE_DEFAULT 1000
#define RATE_MAX     1000000000

static json_t *key_of(const struct store_api_key *row)
{
	json_t *key = json_object();
	const struct {
		const char *name;
		json_t *value;
	} members[] = {
		{ "id", rest_text(row->id) },
		{ "team_id", rest_text(row->team_id) },
		{ "name", rest_text(row->name) },
		{ "prefix", rest_text(row->key_prefix) },
		{ "scopes", rest_texts(row->scopes) },
		{ "rate_limit", json_integer(row->rate_limit) },
		{ "usage_count", json_integer(row->usage_count) },
		{ "last_used_at", rest_time(row->last_used_at) },
		{ "expires_at", rest_time(row->expires_at) },
		{ "active", json_boolean(row->active) },
		{ "revoked_at", rest_time(row->revoked_at) },
		{ "revoked_reason", rest_text(row->revoked_reason) },
		{ "created_at", rest_time(row->created_at) },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(members); i++)
		(void)json_object_set_new_nocheck(key, members[i].name, members[i].value);
	return key;
}

static void on_keys(const struct error *err, const struct store_api_key *rows, size_t n, void *user)
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
		(void)json_array_append_new(list, key_of(&rows[i]));
	rest_list(call, list, "keys", SPAN(""), SPAN_NONE);
}

static void list(struct rest_call *call)
{
	struct rest_query q;
	struct span user;

	rest_query_init(&q, call);
	user = rest_query_text(&q, "user");
	if (rest_query_end(&q)) {
		rest_begin(call);
		store_api_keys_list(call->api->options.db, &call->context,
			user.data ? user : call->context.user_id, on_keys, call);
	}
	rest_query_done(&q);
}

static void secret_free(void *state)
{
	mem_wipe(state, KEY_LEN + 1);
	mem_free(state);
}

static void on_created(const struct error *err, struct span id, void *user)
{
	struct rest_call *call = user;

	if (!rest_end(call))
		return;
	if (err) {
		rest_problem(call, err);
		return;
	}
	rest_json(call, 201,
		json_pack("{s:o, s:s, s:O, s:O}", "id", rest_text(id), "key", call->state, "name",
			json_object_get(call->json, "name"), "scopes",
			json_object_get(call->json, "scopes")));
}

/* Strings of an array of the body. */
static size_t read_strings(struct json_reader *reader, const char *name, enum json_need need,
	struct span *out, size_t max)
{
	const json_t *array = json_read_array(reader, name, need, max);
	size_t n = 0;

	for (size_t i = 0; i < json_array_size(array); i++) {
		out[n] = json_span(json_array_get(array, i));
		if (!out[n].data)
			json_reader_fail(reader, name, "holds something that is no string");
		else
			n++;
	}
	return n;
}

/* A key gives no more than its maker's own key has. */
static bool within_own_scopes(struct rest_call *call, const struct store_api_key_create *key)
{
	for (size_t i = 0; i < key->n_scopes; i++) {
		struct span scope = key->scopes[i];

		if (!scope_valid(scope)) {
			rest_invalid(call, "/scopes", "holds what is no scope");
			return false;
		}
		if (!scopes_hold(&call->who->scopes, scope)) {
			struct error err;

			(void)error_set(&err, ERR_PERMISSION,
				"the scope '%.*s' is more than your own key has", SPAN_ARG(scope));
			rest_problem(call, &err);
			return false;
		}
	}
	return true;
}

static void create(struct rest_call *call)
{
	struct span scopes[SCOPES_MAX], ips[NETWORKS_MAX], origins[NETWORKS_MAX], expires;
	struct store_api_key_create key = { 0 };
	char *secret = mem_zalloc(KEY_LEN + 1), hash[SHA256_HEX_SIZE];
	struct json_reader reader;
	struct error err;

	call->state = secret;
	call->state_free = secret_free;
	json_reader_init(&reader, call->json, "body", ERR_INVALID, &err);
	key.name = json_read_text(&reader, "name", JSON_REQUIRED, 255);
	key.user_id = json_read_text(&reader, "user_id", JSON_OPTIONAL, 30);
	key.team_id = json_read_text(&reader, "team_id", JSON_OPTIONAL, 30);
	key.n_scopes = read_strings(&reader, "scopes", JSON_REQUIRED, scopes, SCOPES_MAX);
	key.n_allowed_ips = read_strings(&reader, "allowed_ips", JSON_OPTIONAL, ips, NETWORKS_MAX);
	key.n_allowed_origins =
		read_strings(&reader, "allowed_origins", JSON_OPTIONAL, origins, NETWORKS_MAX);
	key.rate_limit =
		json_read_integer(&reader, "rate_limit", JSON_OPTIONAL, 0, RATE_MAX, RATE_DEFAULT);
	expires = json_read_text(&reader, "expires_at", JSON_OPTIONAL, 40);
	if (expires.data && !clock_parse(expires, &key.expires_at))
		json_reader_fail(&reader, "expires_at", "is no time in RFC 3339 with 'Z'");
	if (json_reader_end(&reader) < 0) {
		rest_problem(call, &err);
		return;
	}
	key.scopes = scopes;
	key.allowed_ips = ips;
	key.allowed_origins = origins;
	if (!within_own_scopes(call, &key))
		return;
	if (!key.user_id.data && !key.team_id.data)
		key.user_id = call->context.user_id;
	key_make(KEY_API, secret);
	sha256_hex(span_of(secret), hash);
	key.key_hash = span_of(hash);
	key.key_prefix = (struct span){ secret, KEY_PREFIX_LEN };
	rest_begin(call);
	store_api_key_create(call->api->options.db, &call->context, &key, on_created, call);
}

static void on_revoked(const struct error *err, int64_t number, void *user)
{
	struct rest_call *call = user;

	if (!rest_end(call))
		return;
	if (err)
		rest_problem(call, err);
	else
		rest_json(call, 200,
			json_pack("{s:b, s:b}", "revoked", 1, "was_active", number != 0));
}

static void revoke(struct rest_call *call)
{
	struct json_reader reader;
	struct span reason;
	struct error err;
	char id[64];

	json_reader_init(&reader, call->json, "body", ERR_INVALID, &err);
	reason = json_read_text(&reader, "reason", JSON_OPTIONAL, 255);
	if (json_reader_end(&reader) < 0) {
		rest_problem(call, &err);
		return;
	}
	if (!rest_param(call, "id", id, sizeof(id)))
		return;
	rest_begin(call);
	store_api_key_revoke(
		call->api->options.db, &call->context, span_of(id), reason, on_revoked, call);
}

const struct rest_route rest_keys_routes[] = {
	REST_ROUTE("GET", "/v1/keys", KEY_READ, NONE, NONE, list),
	REST_ROUTE("POST", "/v1/keys", KEY_WRITE, NONE, JSON, create),
	REST_ROUTE("POST", "/v1/keys/{id}/revoke", KEY_WRITE, NONE, JSON, revoke),
	REST_ROUTES_END,
};
