/* /v1/settings: what an administrator changes while the host runs, kept in the database for all
 * nodes. What a process reads once, at its start, stands in base/settings.def instead.
 */
#include "api/rest_priv.h"
#include "base/mem.h"
#include "codec/json.h"
#include "store/host_settings.h"

#define WORDS_MAX 4

/* The policies of the schema read these; the first word holds while nothing is set. */
static const struct {
	const char *name;
	const char *words[WORDS_MAX];
	const char *help;
} settings[] = {
	{ "auth.second_factor", { "optional", "admins", "everyone" },
		"who must have a second factor; who has none can only enrol" },
	{ "catalog.visibility", { "team", "everyone" },
		"who sees a service: members of its team, or everyone" },
};

static json_t *setting_of(size_t setting, struct span value)
{
	json_t *words = json_array();

	for (size_t i = 0; i < WORDS_MAX && settings[setting].words[i]; i++)
		(void)json_array_append_new(words, json_string(settings[setting].words[i]));
	return json_pack("{s:s, s:o, s:o, s:s}", "name", settings[setting].name, "value",
		value.data ? rest_raw(value) : json_string(settings[setting].words[0]), "values",
		words, "help", settings[setting].help);
}

static void on_settings(
	const struct error *err, const struct store_host_setting *rows, size_t n, void *user)
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
	for (size_t s = 0; s < ARRAY_LENGTH(settings); s++) {
		struct span value = SPAN_NONE;

		for (size_t i = 0; i < n; i++)
			if (span_is(rows[i].name, settings[s].name))
				value = rows[i].value;
		(void)json_array_append_new(list, setting_of(s, value));
	}
	rest_list(call, list, "settings", SPAN(""), SPAN_NONE);
}

static void list(struct rest_call *call)
{
	rest_begin(call);
	store_host_settings_list(call->api->options.db, &call->context,
		span_of(call->api->environment), on_settings, call);
}

static size_t find_setting(const char *name)
{
	size_t s = 0;

	while (s < ARRAY_LENGTH(settings) && strcmp(settings[s].name, name) != 0)
		s++;
	return s;
}

static bool takes(size_t setting, struct span word)
{
	for (size_t i = 0; i < WORDS_MAX && settings[setting].words[i]; i++)
		if (span_is(word, settings[setting].words[i]))
			return true;
	return false;
}

static void on_put(const struct error *err, void *user)
{
	struct rest_call *call = user;

	if (!rest_end(call))
		return;
	if (err)
		rest_problem(call, err);
	else
		rest_json(call, 200,
			json_pack("{s:O}", "value", json_object_get(call->json, "value")));
}

/* The word as JSON text; every word of the table is without anything to escape. */
static void put_word(
	struct rest_call *call, const char *name, struct span environment, struct span word)
{
	struct text json;

	text_init(&json);
	text_append_json(&json, word);
	rest_begin(call);
	store_host_setting_put(call->api->options.db, &call->context, environment, span_of(name),
		text_span(&json), on_put, call);
	text_done(&json);
}

static void put(struct rest_call *call)
{
	struct span word, environment;
	struct json_reader reader;
	struct error err;
	char name[64];
	size_t setting;

	if (!rest_param(call, "name", name, sizeof(name)))
		return;
	setting = find_setting(name);
	if (setting == ARRAY_LENGTH(settings)) {
		rest_refuse(call, ERR_NOT_FOUND, "there is no such setting");
		return;
	}
	json_reader_init(&reader, call->json, "body", ERR_INVALID, &err);
	word = json_read_text(&reader, "value", JSON_REQUIRED, 64);
	environment = json_read_text(&reader, "environment", JSON_OPTIONAL, 50);
	if (word.data && !takes(setting, word))
		json_reader_fail(
			&reader, "value", "is none of the values that GET /v1/settings lists");
	if (json_reader_end(&reader) < 0)
		rest_problem(call, &err);
	else
		put_word(call, settings[setting].name, environment, word);
}

const struct rest_route rest_settings_routes[] = {
	REST_ROUTE("GET", "/v1/settings", SETTING_READ, NONE, NONE, list),
	REST_ROUTE("PUT", "/v1/settings/{name}", SETTING_WRITE, NONE, JSON, put),
	REST_ROUTES_END,
};
