/* /v1/plugins: what is known of plugins, whether installed or not */
#include "api/rest_priv.h"
#include "store/packages.h"

#define VERSIONS_MAX 100

struct plugins_page {
	struct rest_call *call;
	unsigned limit;
	char *filters;
};

static void plugins_page_free(void *state)
{
	struct plugins_page *page = state;

	mem_free(page->filters);
	mem_free(page);
}

static json_t *plugin_of(const struct store_plugin *row)
{
	json_t *plugin = json_object();
	const struct {
		const char *name;
		json_t *value;
	} members[] = {
		{ "name", rest_text(row->name) },
		{ "display_name", rest_text(row->display_name) },
		{ "description", rest_text(row->description) },
		{ "current_version", rest_text(row->current_version) },
		{ "latest_version", rest_text(row->latest_version) },
		{ "status", rest_text(row->status) },
		{ "category", rest_text(row->category) },
		{ "tags", rest_texts(row->tags) },
		{ "author", rest_raw(row->author) },
		{ "license", rest_text(row->license) },
		{ "homepage", rest_text(row->homepage) },
		{ "repository", rest_text(row->repository) },
		{ "documentation", rest_text(row->documentation) },
		{ "install_count", json_integer(row->install_count) },
		{ "verified", json_boolean(row->verified) },
		{ "deprecated", json_boolean(row->deprecated) },
		{ "published_at", rest_time(row->published_at) },
		{ "updated_at", rest_time(row->updated_at) },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(members); i++)
		(void)json_object_set_new_nocheck(plugin, members[i].name, members[i].value);
	return plugin;
}

static void on_plugins(
	const struct error *err, const struct store_plugin *rows, size_t n, void *user)
{
	struct plugins_page *page = user;
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
		(void)json_array_append_new(list, plugin_of(&rows[i]));
	rest_list(call, list, "plugins", span_of(page->filters),
		n > page->limit ? rows[page->limit - 1].name : SPAN_NONE);
}

static void list(struct rest_call *call)
{
	struct plugins_page *page = mem_zalloc(sizeof(*page));
	struct span query, after;
	struct rest_query q;

	rest_query_init(&q, call);
	query = rest_query_text(&q, "q");
	page->call = call;
	page->limit =
		(unsigned)rest_query_number(&q, "limit", 1, REST_LIMIT_MAX, REST_LIMIT_DEFAULT);
	page->filters = mem_strdup(q.filters.data);
	after = rest_query_after(&q, "plugins");
	call->state = page;
	call->state_free = plugins_page_free;
	if (rest_query_end(&q)) {
		rest_begin(call);
		store_plugins_list(call->api->options.db, &call->context, query, after,
			page->limit + 1, on_plugins, page);
	}
	rest_query_done(&q);
}

static json_t *version_of(const struct store_plugin_version *row)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:b, s:b, s:b, s:o, s:o}", "version",
		rest_text(row->version), "digest", rest_text(row->digest), "size",
		rest_number(row->size, 0), "changelog", rest_text(row->changelog), "release_notes",
		rest_text(row->release_notes), "breaking", row->breaking, "stable", row->stable,
		"deprecated", row->deprecated, "released_at", rest_time(row->released_at), "key_id",
		rest_text(row->key_id));
}

static void on_versions(
	const struct error *err, const struct store_plugin_version *rows, size_t n, void *user)
{
	struct rest_call *call = user;
	json_t *versions, *plugin;

	if (!rest_end(call))
		return;
	if (err) {
		rest_problem(call, err);
		return;
	}
	versions = json_array();
	for (size_t i = 0; i < n; i++)
		(void)json_array_append_new(versions, version_of(&rows[i]));
	plugin = json_incref(call->state);
	(void)json_object_set_new(plugin, "versions", versions);
	rest_json(call, 200, plugin);
}

static void plugin_free(void *state)
{
	json_decref(state);
}

static void on_plugin(
	const struct error *err, const struct store_plugin *rows, size_t n, void *user)
{
	struct rest_call *call = user;
	json_t *plugin;

	if (!rest_end(call))
		return;
	if (err || n != 1) {
		rest_problem(call, err);
		return;
	}
	plugin = plugin_of(&rows[0]);
	(void)json_object_set_new(plugin, "config_schema", rest_raw(rows[0].config_schema));
	(void)json_object_set_new(plugin, "default_config", rest_raw(rows[0].default_config));
	call->state = plugin;
	call->state_free = plugin_free;
	rest_begin(call);
	store_plugin_versions_list(call->api->options.db, &call->context, span_of(call->plugin),
		VERSIONS_MAX, on_versions, call);
}

static void get(struct rest_call *call)
{
	rest_begin(call);
	store_plugin_get(
		call->api->options.db, &call->context, span_of(call->plugin), on_plugin, call);
}

const struct rest_route rest_plugins_routes[] = {
	REST_ROUTE("GET", "/v1/plugins", PLUGIN_READ, NONE, NONE, list),
	REST_ROUTE("GET", "/v1/plugins/{publisher}/{plugin}", PLUGIN_READ, PLUGIN, NONE, get),
	REST_ROUTES_END,
};
