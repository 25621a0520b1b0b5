/* /v1/installations/{publisher}/{plugin}/secrets: values go in and never come out
 *
 * The value passes through this process once, on its way to the supervisor's key ring; what is kept
 * is the envelope that comes back, sealed for this installation and this name. A value never
 * stands in a URL, a log, an audit row or an answer, and its bytes here are wiped once it is on its
 * way. Only the plugin itself reads it (ext_secret.c). */
#include <stdio.h>

#include "api/rest_changes_priv.h"
#include "api/rest_priv.h"
#include "codec/json.h"
#include "store/secrets.h"

#define PLACE_MAX 160

static void on_list(const struct error *err, const struct store_secret *rows, size_t n, void *user)
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
		(void)json_array_append_new(list,
			json_pack("{s:o, s:o, s:o, s:o, s:o}", "name", rest_text(rows[i].name),
				"key", rest_text(rows[i].key_id), "set_at",
				rest_time(rows[i].set_at), "set_by", rest_text(rows[i].set_by),
				"read_at", rest_time(rows[i].read_at)));
	rest_list(call, list, "secrets", SPAN(""), SPAN_NONE);
}

static void on_list_found(
	const struct error *err, const struct store_installation *rows, size_t n, void *user)
{
	struct rest_call *call = user;

	if (!rest_installation_found(call, err, n))
		return;
	rest_begin(call);
	store_secrets_list(call->api->options.db, &call->context, rows[0].id, on_list, call);
}

static void list(struct rest_call *call)
{
	rest_installation_find(call, on_list_found);
}

/* ---- setting -----------------------------------------------------------------------------------
 */

struct setting {
	char installation[REST_ID_SIZE];
	char name[STORE_SECRET_NAME_MAX + 1];
};

static void setting_free(void *state)
{
	mem_free(state);
}

/* The name of the path, into the call's state; false: answered. */
static bool read_name(struct rest_call *call)
{
	struct setting *s = mem_zalloc(sizeof(*s));

	call->state = s;
	call->state_free = setting_free;
	if (!rest_param(call, "name", s->name, sizeof(s->name)))
		return false;
	if (store_secret_name_valid(span_of(s->name)))
		return true;
	rest_invalid(call, "name",
		"is not a letter followed by at most 63 letters, digits, '.', '_' and '-'");
	return false;
}

static void on_put(const struct error *err, void *user)
{
	struct rest_call *call = user;
	const struct setting *s = call->state;

	if (!rest_end(call))
		return;
	if (err)
		rest_problem(call, err);
	else
		rest_json(call, 200, json_pack("{s:s, s:b}", "name", s->name, "set", 1));
}

static void on_sealed(void *user, const struct error *err, struct span envelope)
{
	struct rest_call *call = user;
	const struct setting *s = call->state;

	if (!rest_end(call))
		return;
	if (err) {
		rest_problem(call, err);
		return;
	}
	rest_begin(call);
	store_secret_put(call->api->options.db, &call->context, span_of(s->installation),
		span_of(s->name), envelope, on_put, call);
}

static void wipe(struct span s)
{
	mem_wipe((void *)(uintptr_t)s.data, s.len);
}

static void on_put_found(
	const struct error *err, const struct store_installation *rows, size_t n, void *user)
{
	struct rest_call *call = user;
	struct setting *s = call->state;
	struct span value = json_span(json_object_get(call->json, "value"));
	char place[PLACE_MAX];

	if (rest_installation_found(call, err, n)) {
		(void)snprintf(
			s->installation, sizeof(s->installation), "%.*s", SPAN_ARG(rows[0].id));
		(void)snprintf(place, sizeof(place), "plugin_installations.secrets:%s:%s",
			s->installation, s->name);
		rest_begin(call);
		call->api->options.host->key_ring(call->api->options.host_user, KEY_RING_SEAL,
			span_of(place), value, on_sealed, call);
		wipe(value);
	}
}

/* {"value"} */
static void put(struct rest_call *call)
{
	struct json_reader reader;
	struct span value;
	struct error err;

	json_reader_init(&reader, call->json, "body", ERR_INVALID, &err);
	value = json_read_text(&reader, "value", JSON_REQUIRED, KEY_RING_DATA_MAX);
	if (value.data && (value.len == 0 || value.len > KEY_RING_DATA_MAX))
		json_reader_fail(&reader, "value", "is not 1 to %u bytes long", KEY_RING_DATA_MAX);
	if (json_reader_end(&reader) < 0) {
		rest_problem(call, &err);
		return;
	}
	wipe(text_span(&call->body));
	if (read_name(call))
		rest_installation_find(call, on_put_found);
}

/* ---- removing ----------------------------------------------------------------------------------
 */

static void on_removed(const struct error *err, int64_t number, void *user)
{
	struct rest_call *call = user;
	const struct setting *s = call->state;
	struct error own;

	if (!rest_end(call))
		return;
	if (!err && number == 0) {
		(void)error_set(
			&own, ERR_NOT_FOUND, "'%s' has no secret '%s'", call->plugin, s->name);
		(void)error_fix(
			&own, "'mortise plugin secret list %s' shows what there is", call->plugin);
		err = &own;
	}
	if (err)
		rest_problem(call, err);
	else
		rest_json(call, 200, json_pack("{s:s, s:b}", "name", s->name, "removed", 1));
}

static void on_remove_found(
	const struct error *err, const struct store_installation *rows, size_t n, void *user)
{
	struct rest_call *call = user;
	const struct setting *s = call->state;

	if (!rest_installation_found(call, err, n))
		return;
	rest_begin(call);
	store_secret_remove(call->api->options.db, &call->context, rows[0].id, span_of(s->name),
		on_removed, call);
}

static void remove_one(struct rest_call *call)
{
	if (read_name(call))
		rest_installation_find(call, on_remove_found);
}

#define SECRETS "/v1/installations/{publisher}/{plugin}/secrets"

const struct rest_route rest_secrets_routes[] = {
	REST_ROUTE("GET", SECRETS, SECRET_READ, PLUGIN, NONE, list),
	REST_ROUTE("PUT", SECRETS "/{name}", SECRET_WRITE, PLUGIN, JSON, put),
	REST_ROUTE("DELETE", SECRETS "/{name}", SECRET_WRITE, PLUGIN, NONE, remove_one),
	REST_ROUTES_END,
};
