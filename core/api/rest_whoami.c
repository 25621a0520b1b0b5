/* /v1/whoami: who the host takes the caller for */
#include "api/rest_priv.h"
#include "identity/principal.h"
#include "store/users.h"

static void on_user(const struct error *err, const struct store_user *rows, size_t n, void *user)
{
	struct rest_call *call = user;
	json_t *scopes;

	if (!rest_end(call))
		return;
	if (err || n != 1) {
		rest_problem(call, err);
		return;
	}
	scopes = json_array();
	for (size_t i = 0; i < call->who->scopes.count; i++)
		(void)json_array_append_new(scopes, rest_text(call->who->scopes.list[i]));
	rest_json(call, 200,
		json_pack("{s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:o, s:s, s:I, s:o, s:s, s:s}", "id",
			rest_text(rows[0].id), "name", rest_text(rows[0].name), "username",
			rest_text(rows[0].username), "email", rest_text(rows[0].email), "provider",
			rest_text(rows[0].provider), "role", role_name(call->who->role), "team_id",
			call->who->team_id[0] ? json_string(call->who->team_id) : json_null(),
			"scopes", scopes, "key_id", call->who->key_id, "rate_limit",
			(json_int_t)call->who->rate_limit, "expires_at",
			rest_time(call->who->expires_us), "environment", call->api->environment,
			"node", call->api->node));
}

static void whoami(struct rest_call *call)
{
	rest_begin(call);
	store_user_get(call->api->options.db, &call->context, call->context.user_id, on_user, call);
}

const struct rest_route rest_whoami_routes[] = {
	REST_ROUTE("GET", "/v1/whoami", WHOAMI, NONE, NONE, whoami),
	REST_ROUTES_END,
};
