/* /v1/installations: what shall run here, and the changes that make it so
 *
 * Nothing here tells the supervisor anything: a POST writes the row of a change, and the supervisor
 * finds it. */
#include <stdio.h>

#include "api/rest_changes_priv.h"
#include "api/rest_priv.h"
#include "codec/json.h"
#include "http/server.h"
#include "store/changes.h"
#include "store/installations.h"
#include "store/instances.h"

#define TERMINATIONS_MAX 5

static json_t *installation_of(const struct store_installation *row)
{
	json_t *installation = json_object();
	bool committed = row->installed_digest.data != NULL;
	const struct {
		const char *name;
		json_t *value;
	} members[] = {
		{ "id", rest_text(row->id) },
		{ "plugin", rest_text(row->plugin_name) },
		{ "display_name", rest_text(row->display_name) },
		{ "environment", rest_text(row->environment) },
		{ "state", rest_text(row->state) },
		{ "health", rest_text(row->health) },
		{ "enabled", json_boolean(row->enabled) },
		{ "version", committed ? rest_text(row->installed_version) : json_null() },
		{ "digest", rest_text(row->installed_digest) },
		{ "previous_version", rest_text(row->previous_version) },
		{ "wished_version", rest_text(row->wished_version) },
		{ "wished_digest", rest_text(row->wished_digest) },
		{ "permissions", rest_texts(row->permissions) },
		{ "config", rest_raw(row->config) },
		{ "health_check_url", rest_text(row->health_check_url) },
		{ "installed_by", rest_text(row->installed_by) },
		{ "revision", json_integer(row->revision) },
		{ "cpu_percent", rest_real(row->cpu_percent) },
		{ "memory_mb", rest_number(row->memory_mb, -1) },
		{ "disk_mb", rest_number(row->disk_mb, -1) },
		{ "installed_at", rest_time(row->installed_at) },
		{ "updated_at", rest_time(row->updated_at) },
		{ "disabled_at", rest_time(row->disabled_at) },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(members); i++)
		(void)json_object_set_new_nocheck(installation, members[i].name, members[i].value);
	return installation;
}

/* ---- reading -----------------------------------------------------------------------------------
 */

struct installations_page {
	struct rest_call *call;
	unsigned limit;
};

static void installations_page_free(void *state)
{
	mem_free(state);
}

static void on_page(
	const struct error *err, const struct store_installation *rows, size_t n, void *user)
{
	struct installations_page *page = user;
	struct rest_call *call = page->call;
	json_t *list;

	if (!rest_end(call))
		return;
	if (err) {
		rest_problem(call, err);
		return;
	}
	list = json_array();
	for (size_t i = 0; i < n && i < page->limit; i++)
		(void)json_array_append_new(list, installation_of(&rows[i]));
	rest_list(call, list, "installations", SPAN(""),
		n > page->limit ? rows[page->limit - 1].plugin_name : SPAN_NONE);
}

static void list(struct rest_call *call)
{
	struct installations_page *page = mem_zalloc(sizeof(*page));
	struct store_installations_filter filter = { .environment = call->context.environment };
	struct rest_query q;

	rest_query_init(&q, call);
	page->call = call;
	page->limit =
		(unsigned)rest_query_number(&q, "limit", 1, REST_LIMIT_MAX, REST_LIMIT_DEFAULT);
	filter.after = rest_query_after(&q, "installations");
	filter.limit = page->limit + 1;
	call->state = page;
	call->state_free = installations_page_free;
	if (rest_query_end(&q)) {
		rest_begin(call);
		store_installations_list(
			call->api->options.db, &call->context, &filter, on_page, page);
	}
	rest_query_done(&q);
}

void rest_installation_find(struct rest_call *call, store_installations_cb done)
{
	struct store_installations_filter filter = {
		.environment = call->context.environment,
		.plugin_name = span_of(call->plugin),
		.limit = 1,
	};

	rest_begin(call);
	store_installations_list(call->api->options.db, &call->context, &filter, done, call);
}

bool rest_installation_found(struct rest_call *call, const struct error *err, size_t n)
{
	struct error own;

	if (!rest_end(call))
		return false;
	if (!err && n == 1)
		return true;
	if (!err) {
		(void)error_set(&own, ERR_NOT_INSTALLED, "'%s' is not installed in '%s'",
			call->plugin, call->api->environment);
		err = &own;
	}
	rest_problem(call, err);
	return false;
}

static void on_installation(
	const struct error *err, const struct store_installation *rows, size_t n, void *user)
{
	struct rest_call *call = user;

	if (rest_installation_found(call, err, n))
		rest_json(call, 200, installation_of(&rows[0]));
}

static void get(struct rest_call *call)
{
	rest_installation_find(call, on_installation);
}

/* ---- health ------------------------------------------------------------------------------------
 */

static void health_free(void *state)
{
	json_decref(state);
}

static void on_terminations(
	const struct error *err, const struct store_termination *rows, size_t n, void *user)
{
	struct rest_call *call = user;
	json_t *list, *health;

	if (!rest_end(call))
		return;
	if (err) {
		rest_problem(call, err);
		return;
	}
	list = json_array();
	for (size_t i = 0; i < n; i++)
		(void)json_array_append_new(list,
			json_pack("{s:o, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "at",
				rest_time(rows[i].occurred_at), "node", rest_text(rows[i].node_id),
				"generation", (json_int_t)rows[i].generation, "version",
				rest_text(rows[i].version), "kind", rest_text(rows[i].kind),
				"callback", rest_text(rows[i].callback), "requests",
				rest_raw(rows[i].request_ids), "signal",
				rest_number(rows[i].signal, 0), "exit_status",
				rest_number(rows[i].exit_status, -1), "reason",
				rest_text(rows[i].reason)));
	health = json_incref(call->state);
	(void)json_object_set_new(health, "terminations", list);
	rest_json(call, 200, health);
}

json_t *rest_instance_json(const struct store_instance *row)
{
	json_t *instance = json_object();
	const struct {
		const char *name;
		json_t *value;
	} members[] = {
		{ "node", rest_text(row->node_id) },
		{ "state", rest_text(row->state) },
		{ "version", rest_text(row->version) },
		{ "digest", rest_text(row->digest) },
		{ "generation", json_integer(row->generation) },
		{ "pid", rest_number(row->pid, 0) },
		{ "health", rest_text(row->health) },
		{ "health_detail", rest_raw(row->health_detail) },
		{ "cpu_ns", json_integer(row->cpu_ns) },
		{ "cpu_percent", rest_real(row->cpu_percent) },
		{ "memory_bytes", rest_number(row->memory_bytes, -1) },
		{ "disk_bytes", rest_number(row->disk_bytes, -1) },
		{ "restarts", json_integer(row->restarts) },
		{ "failure", rest_raw(row->failure) },
		{ "started_at", rest_time(row->started_at) },
		{ "sampled_at", rest_time(row->sampled_at) },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(members); i++)
		(void)json_object_set_new_nocheck(instance, members[i].name, members[i].value);
	return instance;
}

static void on_instances(
	const struct error *err, const struct store_instance *rows, size_t n, void *user)
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
		(void)json_array_append_new(list, rest_instance_json(&rows[i]));
	(void)json_object_set_new(call->state, "instances", list);
	rest_begin(call);
	store_terminations_list(call->api->options.db, &call->context,
		json_span(json_object_get(call->state, "id")), 0, TERMINATIONS_MAX, on_terminations,
		call);
}

static void on_health(
	const struct error *err, const struct store_installation *rows, size_t n, void *user)
{
	struct rest_call *call = user;

	if (!rest_installation_found(call, err, n))
		return;
	call->state = json_pack("{s:o, s:o, s:o, s:o, s:o}", "id", rest_text(rows[0].id), "plugin",
		rest_text(rows[0].plugin_name), "state", rest_text(rows[0].state), "health",
		rest_text(rows[0].health), "version", rest_text(rows[0].installed_version));
	call->state_free = health_free;
	rest_begin(call);
	store_instances_list(call->api->options.db, &call->context, rows[0].id, on_instances, call);
}

static void health(struct rest_call *call)
{
	rest_installation_find(call, on_health);
}

/* ---- changing ----------------------------------------------------------------------------------
 */

static void on_opened(
	const struct error *err, const struct store_change *rows, size_t n, void *user)
{
	struct rest_call *call = user;
	char location[48];

	if (!rest_end(call))
		return;
	if (err || n != 1) {
		rest_problem(call, err);
		return;
	}
	(void)snprintf(location, sizeof(location), "/v1/changes/%lld", (long long)rows[0].number);
	rest_created(call, 202, location, rest_change_json(&rows[0]));
}

static void open_change(struct rest_call *call, struct store_change_request *request)
{
	if (!rest_operation_key(call, &request->operation_key))
		return;
	request->environment = call->context.environment;
	rest_begin(call);
	store_change_open(call->api->options.db, &call->context, request, on_opened, call);
}

static bool is_plugin_name(struct span name)
{
	struct span rest = name, publisher;

	return span_split(&rest, '/', &publisher) && publisher.len > 0 && publisher.len <= 30 &&
	       rest.len > 0 && rest.len <= 64 && !memchr(rest.data, '/', rest.len);
}

/* {"plugin","version"|"digest","config"?,"permissions"?,"health_check_url"?,"reason"?} */
static void install(struct rest_call *call)
{
	struct store_change_request request = { .action = SPAN("install") };
	CLEANUP(json_freep) json_t *parameters = json_object();
	const json_t *config, *permissions;
	struct span environment, url;
	struct json_reader reader;
	struct text text;
	struct error err;

	json_reader_init(&reader, call->json, "body", ERR_INVALID, &err);
	request.plugin_name = json_read_text(&reader, "plugin", JSON_REQUIRED, 95);
	request.version = json_read_text(&reader, "version", JSON_OPTIONAL, 50);
	request.digest = json_read_text(&reader, "digest", JSON_OPTIONAL, 71);
	request.reason = json_read_text(&reader, "reason", JSON_OPTIONAL, 1000);
	environment = json_read_text(&reader, "environment", JSON_OPTIONAL, 50);
	url = json_read_text(&reader, "health_check_url", JSON_OPTIONAL, 500);
	config = json_read_object(&reader, "config", JSON_OPTIONAL);
	permissions = json_read_array(&reader, "permissions", JSON_OPTIONAL, 64);
	if (environment.data && !span_is(environment, call->api->environment))
		json_reader_fail(&reader, "environment",
			"is not the one that this node serves, '%s'", call->api->environment);
	if (json_reader_end(&reader) < 0) {
		rest_problem(call, &err);
		return;
	}
	if (!is_plugin_name(request.plugin_name)) {
		rest_invalid(call, "/plugin", "is not 'publisher/plugin'");
		return;
	}
	if (!rest_allowed(call, request.plugin_name))
		return;
	if (config)
		(void)json_object_set(parameters, "config", (json_t *)(uintptr_t)config);
	if (permissions)
		(void)json_object_set(parameters, "permissions", (json_t *)(uintptr_t)permissions);
	if (url.data)
		(void)json_object_set_new(parameters, "health_check_url", rest_text(url));
	text_init(&text);
	json_append(&text, parameters);
	request.parameters = text_span(&text);
	open_change(call, &request);
	text_done(&text);
}

static void act(struct rest_call *call, struct span action)
{
	struct store_change_request request = {
		.action = action,
		.plugin_name = span_of(call->plugin),
	};
	struct json_reader reader;
	struct error err;

	json_reader_init(&reader, call->json, "body", ERR_INVALID, &err);
	request.reason = json_read_text(&reader, "reason", JSON_OPTIONAL, 1000);
	if (json_reader_end(&reader) < 0) {
		rest_problem(call, &err);
		return;
	}
	open_change(call, &request);
}

/* {"config","revision"?,"reason"?}: the whole configuration, over the schema's defaults. revision
 * is the one that it was made from: a change by somebody else since then is a conflict. */
static void configure(struct rest_call *call)
{
	struct store_change_request request = {
		.action = SPAN("configure"),
		.plugin_name = span_of(call->plugin),
	};
	CLEANUP(json_freep) json_t *parameters = json_object();
	const json_t *config;
	struct json_reader reader;
	struct text text;
	struct error err;
	int64_t revision;

	json_reader_init(&reader, call->json, "body", ERR_INVALID, &err);
	config = json_read_object(&reader, "config", JSON_REQUIRED);
	revision = json_read_integer(&reader, "revision", JSON_OPTIONAL, 1, INT64_MAX, 0);
	request.reason = json_read_text(&reader, "reason", JSON_OPTIONAL, 1000);
	if (json_reader_end(&reader) < 0) {
		rest_problem(call, &err);
		return;
	}
	(void)json_object_set(parameters, "config", (json_t *)(uintptr_t)config);
	if (revision)
		(void)json_object_set_new(parameters, "revision", json_integer(revision));
	text_init(&text);
	json_append(&text, parameters);
	request.parameters = text_span(&text);
	open_change(call, &request);
	text_done(&text);
}

static void disable(struct rest_call *call)
{
	act(call, SPAN("disable"));
}

static void enable(struct rest_call *call)
{
	act(call, SPAN("enable"));
}

static void uninstall(struct rest_call *call)
{
	act(call, SPAN("uninstall"));
}

#define ONE "/v1/installations/{publisher}/{plugin}"

const struct rest_route rest_installations_routes[] = {
	REST_ROUTE("GET", "/v1/installations", INSTALLATION_READ, NONE, NONE, list),
	REST_ROUTE("POST", "/v1/installations", INSTALLATION_CHANGE, BODY, JSON, install),
	REST_ROUTE("GET", ONE, INSTALLATION_READ, PLUGIN, NONE, get),
	REST_ROUTE("GET", ONE "/health", INSTALLATION_READ, PLUGIN, NONE, health),
	REST_ROUTE("POST", ONE "/configure", INSTALLATION_CHANGE, PLUGIN, JSON, configure),
	REST_ROUTE("POST", ONE "/disable", INSTALLATION_CHANGE, PLUGIN, JSON, disable),
	REST_ROUTE("POST", ONE "/enable", INSTALLATION_CHANGE, PLUGIN, JSON, enable),
	REST_ROUTE("POST", ONE "/uninstall", INSTALLATION_CHANGE, PLUGIN, JSON, uninstall),
	REST_ROUTES_END,
};
