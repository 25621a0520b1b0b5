/* mortise api-key ... - bearer keys for people and programs */
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "codec/json.h"

#define DAY_US   INT64_C(86400000000)
#define DAYS_MAX 3650
#define RATE_MAX 1000000000

/* "a,b" as an array; "" is an empty one. */
static json_t *array_of(const char *list)
{
	struct span rest = span_of(list), item;
	json_t *array = json_array();

	while (span_split(&rest, ',', &item))
		if (item.len > 0)
			(void)json_array_append_new(array, json_stringn(item.data, item.len));
	return array;
}

static char *joined(const json_t *array)
{
	struct text text;
	const json_t *item;
	char *taken;
	size_t i;

	text_init(&text);
	json_array_foreach(array, i, item)
		text_printf(&text, "%s%s", i ? "," : "", json_string_value(item));
	taken = text_take(&text);
	text_done(&text);
	return taken;
}

/* What the options of create and change wish, as members of body. */
static int read_wish(struct cli *cli, json_t *body, struct error *err)
{
	static const struct {
		const char *option, *member;
	} lists[] = { { "scopes", "scopes" }, { "ips", "allowed_ips" },
		{ "origins", "allowed_origins" } };
	uint64_t number = 0;
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LENGTH(lists); i++)
		if (cli_value(cli, lists[i].option))
			(void)json_object_set_new(
				body, lists[i].member, array_of(cli_value(cli, lists[i].option)));
	if (cli_value(cli, "rate")) {
		rc = cli_number(cli, "rate", RATE_MAX, &number, err);
		(void)json_object_set_new(body, "rate_limit", json_integer((json_int_t)number));
	}
	if (rc == 0 && cli_value(cli, "days")) {
		char expires[CLOCK_TEXT_SIZE];

		rc = cli_number(cli, "days", DAYS_MAX, &number, err);
		clock_text(clock_real_us() + (int64_t)number * DAY_US, expires);
		(void)json_object_set_new(
			body, "expires_at", number > 0 ? json_string(expires) : json_null());
	}
	return rc;
}

static int api_key_create(struct cli *cli, struct error *err)
{
	CLEANUP(json_freep)
	json_t *body = json_pack("{s:s, s:s*, s:s*}", "name", cli->arguments[0], "user",
		cli_value(cli, "user"), "team", cli_value(cli, "team"));
	CLEANUP(json_freep) json_t *key = NULL;
	int rc = read_wish(cli, body, err);

	if (rc == 0 && !json_object_get(body, "scopes"))
		(void)json_object_set_new(body, "scopes", array_of("read"));
	if (rc == 0)
		rc = client_post(cli, "/v1/keys", body, &key, err);
	if (rc < 0)
		return rc;
	if (cli->json)
		cli_json(key);
	else
		printf("%s\n", cli_text(key, "key", ""));
	cli_step(cli, "keep it", "this is the only time it is shown; id %s",
		cli_text(key, "id", "?"));
	return 0;
}

static const char *state_of(const json_t *key)
{
	int64_t expires;

	if (!json_is_true(json_object_get(key, "active")))
		return "revoked";
	if (clock_parse(span_of(cli_text(key, "expires_at", "")), &expires) &&
		expires <= clock_real_us())
		return "expired";
	return "active";
}

static void append_query(struct text *path, const char *name, const char *value)
{
	if (!value)
		return;
	text_printf(path, "%s%s=", strchr(path->data, '?') ? "&" : "?", name);
	client_escape(path, value);
}

/* All pages of the list. */
static int fetch_list(struct cli *cli, json_t *items, struct error *err)
{
	CLEANUP(mem_freep) char *after = NULL;
	struct text path;
	int rc;

	text_init(&path);
	do {
		CLEANUP(json_freep) json_t *page = NULL;

		text_clear(&path);
		text_append_string(&path, "/v1/keys?limit=500");
		append_query(&path, "user", cli_value(cli, "user"));
		append_query(&path, "team", cli_value(cli, "team"));
		append_query(&path, "after", after);
		rc = client_get(cli, path.data, &page, err);
		mem_free(TAKE(after));
		if (rc == 0) {
			(void)json_array_extend(items, json_object_get(page, "items"));
			if (cli_text(page, "next", NULL))
				after = mem_strdup(cli_text(page, "next", NULL));
		}
	} while (rc == 0 && after);
	text_done(&path);
	return rc;
}

static int api_key_list(struct cli *cli, struct error *err)
{
	static const char *const headings[] = { "ID", "NAME", "PREFIX", "SCOPES", "EXPIRES",
		"LAST USED", "STATE" };
	CLEANUP(json_freep) json_t *items = json_array();
	struct cli_table *table;
	json_t *key;
	size_t i;
	int rc = fetch_list(cli, items, err);

	if (rc < 0)
		return rc;
	if (cli->json) {
		cli_json(items);
		return 0;
	}
	table = cli_table_new(headings, ARRAY_LENGTH(headings));
	json_array_foreach(items, i, key)
	{
		CLEANUP(mem_freep) char *scopes = joined(json_object_get(key, "scopes"));

		cli_table_row(
			table, (const char *[]){ cli_text(key, "id", ""), cli_text(key, "name", ""),
				       cli_text(key, "prefix", ""), scopes,
				       cli_text(key, "expires_at", "never"),
				       cli_text(key, "last_used_at", "never"), state_of(key) });
	}
	cli_table_print(cli, table);
	return 0;
}

static char *path_of(const struct cli *cli, const char *action)
{
	struct text path;
	char *taken;

	text_init(&path);
	text_append_string(&path, "/v1/keys/");
	client_escape(&path, cli->arguments[0]);
	text_append_string(&path, action);
	taken = text_take(&path);
	text_done(&path);
	return taken;
}

static void put_line(const char *name, const char *value)
{
	printf("%-10s ", name);
	cli_put(stdout, value);
	printf("\n");
}

static void show(struct cli *cli, const json_t *key)
{
	static const struct {
		const char *label, *member, *without;
	} lines[] = { { "id", "id", "" }, { "name", "name", "" }, { "prefix", "prefix", "" },
		{ "user", "user_id", "-" }, { "team", "team", "-" }, { "scopes", "scopes", "" },
		{ "rate", "rate_limit", "" }, { "ips", "allowed_ips", "any" },
		{ "origins", "allowed_origins", "any" }, { "created", "created_at", "" },
		{ "expires", "expires_at", "never" }, { "last used", "last_used_at", "never" },
		{ "used", "usage_count", "" }, { "revoked", "revoked_at", "no" },
		{ "reason", "revoked_reason", "-" } };

	if (cli->json) {
		cli_json(key);
		return;
	}
	for (size_t i = 0; i < ARRAY_LENGTH(lines); i++) {
		const json_t *value = json_object_get(key, lines[i].member);
		CLEANUP(mem_freep) char *text = NULL;

		if (json_is_array(value) && json_array_size(value) > 0)
			text = joined(value);
		else if (json_is_integer(value))
			text = mem_printf("%lld", (long long)json_integer_value(value));
		else
			text = mem_strdup(cli_text(key, lines[i].member, lines[i].without));
		put_line(lines[i].label, text);
	}
}

static int api_key_show(struct cli *cli, struct error *err)
{
	CLEANUP(mem_freep) char *path = path_of(cli, "");
	CLEANUP(json_freep) json_t *key = NULL;
	int rc = client_get(cli, path, &key, err);

	if (rc == 0)
		show(cli, key);
	return rc;
}

static int api_key_change(struct cli *cli, struct error *err)
{
	CLEANUP(json_freep) json_t *body = json_pack("{s:s*}", "name", cli_value(cli, "name"));
	CLEANUP(mem_freep) char *path = path_of(cli, "");
	CLEANUP(json_freep) json_t *key = NULL;
	const struct client_request request = {
		.method = "PATCH", .path = path, .body = body, .upload_fd = -1
	};
	int rc = read_wish(cli, body, err);

	if (rc == 0 && json_object_size(body) == 0)
		return error_set(err, ERR_USAGE, "no option says what to change");
	if (rc == 0)
		rc = client_send(cli, &request, &key, err);
	if (rc < 0)
		return rc;
	if (cli->json)
		cli_json(key);
	cli_done(cli, "API key %s is changed", cli->arguments[0]);
	return 0;
}

static int api_key_revoke(struct cli *cli, struct error *err)
{
	CLEANUP(json_freep) json_t *body = json_pack("{s:s*}", "reason", cli->reason);
	CLEANUP(mem_freep) char *path = path_of(cli, "/revoke");
	CLEANUP(json_freep) json_t *answer = NULL;
	int rc = client_post(cli, path, body, &answer, err);

	if (rc < 0)
		return rc;
	if (cli->json)
		cli_json(answer);
	cli_done(cli, "API key %s is revoked", cli->arguments[0]);
	return 0;
}

#define OPTION_RATE                                                                      \
	{                                                                                \
		"rate", 0, "N",                                                          \
			"requests an hour, over all nodes; 0: unlimited, which only an " \
			"ADMIN may give (a new key's default: 1000)"                     \
	}
#define OPTION_IPS                                                                         \
	{                                                                                  \
		"ips", 0, "LIST",                                                          \
			"comma-separated addresses and networks that it may be used from " \
			"(a new key's default: any): 192.0.2.7,2001:db8::/32"              \
	}
#define OPTION_ORIGINS                                                           \
	{                                                                        \
		"origins", 0, "LIST",                                            \
			"comma-separated origins whose pages may use it (a new " \
			"key's default: any): https://portal.example"            \
	}

const struct cli_command cli_api_key_commands[] = {
	{ "api-key create", "NAME", 1, 1, "make a key for a person, a team or a program",
		"The key goes to stdout, once; the host keeps its SHA-256 only. It never does more "
		"than\nits owner may at that moment.\n\n"
		"  MORTISE_TOKEN=$(mortise api-key create ci --scopes catalog.read,hello.read "
		"--days 90)",
		{ { "scopes", 's', "LIST", "comma-separated area.verb[:object] (default: read)" },
			{ "days", 'd', "N", "expires after so many days (default: never)" },
			OPTION_RATE, OPTION_IPS, OPTION_ORIGINS,
			{ "user", 'u', "USER", "whose it is (default: yours); others' as ADMIN" },
			{ "team", 't', "TEAM",
				"the team's own key, which acts as its service account, as OWNER "
				"or MAINTAINER" } },
		api_key_create },
	{ "api-key list", "", 0, 0, "list keys, newest first", NULL,
		{ { "user", 'u', "USER", "that user's (default: yours)" },
			{ "team", 't', "TEAM", "that team's" } },
		api_key_list },
	{ "api-key show", "ID", 1, 1, "show one key, but not its text", NULL, { { 0 } },
		api_key_show },
	{ "api-key change", "ID", 1, 1, "change a key's name, scopes, limits or places",
		"Its text stays. An empty list of --ips or --origins takes the bound away, as "
		"--days "
		"0\ndoes the expiry.",
		{ { "name", 'n', "NAME", "another name" },
			{ "scopes", 's', "LIST", "comma-separated area.verb[:object]" },
			{ "days", 'd', "N", "expires after so many days from now" }, OPTION_RATE,
			OPTION_IPS, OPTION_ORIGINS },
		api_key_change },
	{ "api-key revoke", "ID", 1, 1, "end a key, within a second", NULL, { { 0 } },
		api_key_revoke },
	{ 0 },
};
