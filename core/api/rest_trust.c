/* /v1/trust: whose signatures count on this host */

#include "api/rest_priv.h"
#include "base/clock.h"
#include "codec/json.h"
#include "store/trust.h"

#define PUBLIC_KEY_SIZE 32
#define NAMES_MAX       64
#define KEY_ID_MAX      80

static json_t *trust_of(const struct store_trust_key *row)
{
	char hex[2 * PUBLIC_KEY_SIZE + 1] = "";

	if (row->public_key.len == PUBLIC_KEY_SIZE)
		hex_encode(row->public_key.data, PUBLIC_KEY_SIZE, hex);
	return json_pack("{s:o, s:s, s:o, s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o}", "key_id",
		rest_text(row->key_id), "public_key", hex, "name", rest_text(row->name),
		"namespaces", rest_texts(row->namespaces), "roles", rest_texts(row->roles),
		"development", row->development, "expires_at", rest_time(row->expires_at), "state",
		rest_text(row->state), "reason", rest_text(row->reason), "added_by",
		rest_text(row->added_by), "added_at", rest_time(row->added_at), "revoked_at",
		rest_time(row->revoked_at));
}

static void on_list(
	const struct error *err, const struct store_trust_key *rows, size_t n, void *user)
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
		(void)json_array_append_new(list, trust_of(&rows[i]));
	rest_list(call, list, "trust", SPAN(""), SPAN_NONE);
}

static void list(struct rest_call *call)
{
	rest_begin(call);
	store_trust_keys_list(call->api->options.db, &call->context, on_list, call);
}

static void on_added(
	const struct error *err, const struct store_trust_key *rows, size_t n, void *user)
{
	struct rest_call *call = user;

	if (!rest_end(call))
		return;
	if (err || n != 1)
		rest_problem(call, err);
	else
		rest_json(call, 201, trust_of(&rows[0]));
}

static size_t read_names(struct json_reader *reader, const char *name, enum json_need need,
	struct span out[static NAMES_MAX])
{
	const json_t *array = json_read_array(reader, name, need, NAMES_MAX);
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

static void add(struct rest_call *call)
{
	struct span namespaces[NAMES_MAX], roles[NAMES_MAX], expires, hex;
	struct store_trust_add key = { 0 };
	unsigned char public_key[PUBLIC_KEY_SIZE];
	struct json_reader reader;
	struct error err;

	json_reader_init(&reader, call->json, "body", ERR_INVALID, &err);
	key.key_id = json_read_text(&reader, "key_id", JSON_REQUIRED, KEY_ID_MAX);
	hex = json_read_text(&reader, "public_key", JSON_REQUIRED, 2 * PUBLIC_KEY_SIZE);
	key.name = json_read_text(&reader, "name", JSON_REQUIRED, 255);
	key.n_namespaces = read_names(&reader, "namespaces", JSON_REQUIRED, namespaces);
	key.n_roles = read_names(&reader, "roles", JSON_OPTIONAL, roles);
	key.development = json_read_boolean(&reader, "development", false);
	expires = json_read_text(&reader, "expires_at", JSON_OPTIONAL, 40);
	if (expires.data && !clock_parse(expires, &key.expires_at))
		json_reader_fail(&reader, "expires_at", "is no time in RFC 3339 with 'Z'");
	if (hex.data && !hex_decode(hex, public_key, sizeof(public_key)))
		json_reader_fail(&reader, "public_key", "is not 64 lower-case hex digits");
	if (json_reader_end(&reader) < 0) {
		rest_problem(call, &err);
		return;
	}
	key.public_key = (struct span){ (const char *)public_key, sizeof(public_key) };
	key.namespaces = namespaces;
	key.roles = roles;
	rest_begin(call);
	store_trust_add(call->api->options.db, &call->context, &key, on_added, call);
}

static void on_revoked(
	const struct error *err, const struct store_trust_key *rows, size_t n, void *user)
{
	struct rest_call *call = user;

	if (!rest_end(call))
		return;
	if (err || n != 1)
		rest_problem(call, err);
	else
		rest_json(call, 200, trust_of(&rows[0]));
}

static void revoke(struct rest_call *call)
{
	struct json_reader reader;
	char id[KEY_ID_MAX + 1];
	struct span reason;
	struct error err;

	json_reader_init(&reader, call->json, "body", ERR_INVALID, &err);
	reason = json_read_text(&reader, "reason", JSON_REQUIRED, 1000);
	if (json_reader_end(&reader) < 0) {
		rest_problem(call, &err);
		return;
	}
	if (!rest_param(call, "key_id", id, sizeof(id)))
		return;
	rest_begin(call);
	store_trust_revoke(
		call->api->options.db, &call->context, span_of(id), reason, on_revoked, call);
}

const struct rest_route rest_trust_routes[] = {
	REST_ROUTE("GET", "/v1/trust", TRUST_READ, NONE, NONE, list),
	REST_ROUTE("POST", "/v1/trust", TRUST_WRITE, NONE, JSON, add),
	REST_ROUTE("POST", "/v1/trust/{key_id}/revoke", TRUST_WRITE, NONE, JSON, revoke),
	REST_ROUTES_END,
};
