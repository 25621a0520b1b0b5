/* /v1/key-ring: which master keys there are, and the rotation to another
 *
 * Never a key: ids and fingerprints. A rotation is asked for by a row, which a supervisor finds. */
#include "api/rest_priv.h"
#include "codec/json.h"
#include "store/key_ring.h"

#define REASON_MAX 255
#define KEY_ID_MAX 32

static void on_shown(const struct error *err, struct span json, void *user)
{
	struct rest_call *call = user;

	if (!rest_end(call))
		return;
	if (err)
		rest_problem(call, err);
	else
		rest_json(call, 200, rest_raw(json));
}

static void show(struct rest_call *call)
{
	rest_begin(call);
	store_key_ring_show(call->api->options.db, &call->context, on_shown, call);
}

static void on_asked(const struct error *err, int64_t number, void *user)
{
	struct rest_call *call = user;

	if (!rest_end(call))
		return;
	if (err)
		rest_problem(call, err);
	else
		rest_created(call, 202, "/v1/key-ring",
			json_pack("{s:I, s:s}", "number", (json_int_t)number, "state", "asked"));
}

/* {"reason"?} */
static void rotate(struct rest_call *call)
{
	struct json_reader reader;
	struct span reason;
	struct error err;

	json_reader_init(&reader, call->json, "body", ERR_INVALID, &err);
	reason = json_read_text(&reader, "reason", JSON_OPTIONAL, REASON_MAX);
	if (json_reader_end(&reader) < 0) {
		rest_problem(call, &err);
		return;
	}
	rest_begin(call);
	store_key_ring_rotate(call->api->options.db, &call->context, reason, on_asked, call);
}

static void on_retired(const struct error *err, void *user)
{
	struct rest_call *call = user;

	if (!rest_end(call))
		return;
	if (err)
		rest_problem(call, err);
	else
		rest_json(call, 200, json_pack("{s:s}", "state", "retired"));
}

static void retire(struct rest_call *call)
{
	struct json_reader reader;
	struct error err;
	char id[KEY_ID_MAX + 1];

	json_reader_init(&reader, call->json, "body", ERR_INVALID, &err);
	if (json_reader_end(&reader) < 0) {
		rest_problem(call, &err);
		return;
	}
	if (!rest_param(call, "id", id, sizeof(id)))
		return;
	rest_begin(call);
	store_key_ring_retire(call->api->options.db, &call->context, span_of(id), on_retired, call);
}

const struct rest_route rest_key_ring_routes[] = {
	REST_ROUTE("GET", "/v1/key-ring", KEY_RING_READ, NONE, NONE, show),
	REST_ROUTE("POST", "/v1/key-ring/rotate", KEY_RING_WRITE, NONE, JSON, rotate),
	REST_ROUTE("POST", "/v1/key-ring/keys/{id}/retire", KEY_RING_WRITE, NONE, JSON, retire),
	REST_ROUTES_END,
};
