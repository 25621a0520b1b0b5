/* /v1/usage: what each instance uses now, as 'mortise top' shows it
 *
 * The installations that the asker may see, then the instances of each, asked for at once. */
#include "api/rest_changes_priv.h"
#include "api/rest_priv.h"

#define INSTALLATIONS_MAX 500

struct usage {
	struct rest_call *call;
	json_t *items;
	size_t asked;
	struct error err; /* the first that went wrong */
};

struct part {
	struct usage *usage;
	json_t *head; /* plugin, installation, environment */
};

static void usage_free(void *state)
{
	struct usage *usage = state;

	json_decref(usage->items);
	mem_free(usage);
}

static void on_instances(
	const struct error *err, const struct store_instance *rows, size_t n, void *user)
{
	struct part *part = user;
	struct usage *usage = part->usage;
	struct rest_call *call = usage->call;

	for (size_t i = 0; !err && i < n; i++) {
		json_t *item = json_copy(part->head), *instance = rest_instance_json(&rows[i]);

		(void)json_object_update(item, instance);
		json_decref(instance);
		(void)json_array_append_new(usage->items, item);
	}
	if (err && usage->err.code == 0)
		usage->err = *err;
	json_decref(part->head);
	mem_free(part);
	usage->asked--;
	if (!rest_end(call) || usage->asked > 0)
		return;
	if (usage->err.code)
		rest_problem(call, &usage->err);
	else
		rest_list(call, json_incref(usage->items), "usage", SPAN(""), SPAN_NONE);
}

static void on_installations(
	const struct error *err, const struct store_installation *rows, size_t n, void *user)
{
	struct rest_call *call = user;
	struct usage *usage = call->state;

	if (!rest_end(call))
		return;
	if (err) {
		rest_problem(call, err);
		return;
	}
	if (n == 0) {
		rest_list(call, json_array(), "usage", SPAN(""), SPAN_NONE);
		return;
	}
	usage->asked = n;
	for (size_t i = 0; i < n; i++) {
		struct part *part = mem_zalloc(sizeof(*part));

		part->usage = usage;
		part->head = json_pack("{s:o, s:o, s:o, s:o}", "plugin",
			rest_text(rows[i].plugin_name), "installation_id", rest_text(rows[i].id),
			"environment", rest_text(rows[i].environment), "enabled",
			json_boolean(rows[i].enabled));
		rest_begin(call);
		store_instances_list(
			call->api->options.db, &call->context, rows[i].id, on_instances, part);
	}
}

static void usage(struct rest_call *call)
{
	struct store_installations_filter filter = {
		.environment = call->context.environment,
		.limit = INSTALLATIONS_MAX,
	};
	struct usage *usage = mem_zalloc(sizeof(*usage));

	usage->call = call;
	usage->items = json_array();
	call->state = usage;
	call->state_free = usage_free;
	rest_begin(call);
	store_installations_list(
		call->api->options.db, &call->context, &filter, on_installations, call);
}

const struct rest_route rest_usage_routes[] = {
	REST_ROUTE("GET", "/v1/usage", USAGE_READ, NONE, NONE, usage),
	REST_ROUTES_END,
};
