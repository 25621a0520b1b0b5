/* mortise api-key ... - bearer keys for people and programs */
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "codec/json.h"

#define DAY_US       INT64_C(86400000000)
#define DAYS_MAX     3650
#define RATE_MAX     1000000000
#define DEFAULT_RATE 1000

static json_t *scopes_of(const char *list)
{
	struct span rest = span_of(list), scope;
	json_t *scopes = json_array();

	while (span_split(&rest, ',', &scope))
		if (scope.len)
			json_array_append_new(scopes, json_stringn(scope.data, scope.len));
	return scopes;
}

static int api_key_create(struct cli *cli, struct error *err)
{
	CLEANUP(json_freep) json_t *body = json_object(), *key = NULL;
	const char *scopes = cli_value(cli, "scopes");
	uint64_t days = 0, rate = DEFAULT_RATE;
	int rc = cli_number(cli, "days", DAYS_MAX, &days, err);

	if (rc == 0)
		rc = cli_number(cli, "rate", RATE_MAX, &rate, err);
	if (rc < 0)
		return rc;
	json_object_set_new(body, "name", json_string(cli->arguments[0]));
	json_object_set_new(body, "scopes", scopes_of(scopes ? scopes : "read"));
	json_object_set_new(body, "rate_limit", json_integer((json_int_t)rate));
	if (days) {
		char expires[CLOCK_TEXT_SIZE];

		clock_text(clock_real_us() + (int64_t)days * DAY_US, expires);
		json_object_set_new(body, "expires_at", json_string(expires));
	}
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

static int api_key_list(struct cli *cli, struct error *err)
{
	static const char *const headings[] = { "ID", "NAME", "PREFIX", "SCOPES", "EXPIRES",
		"LAST USED", "STATE" };
	CLEANUP(json_freep) json_t *list = NULL;
	struct cli_table *table;
	json_t *item;
	size_t i;
	int rc = client_get(cli, "/v1/keys", &list, err);

	if (rc < 0)
		return rc;
	if (cli->json) {
		cli_json(json_object_get(list, "items"));
		return 0;
	}
	table = cli_table_new(headings, ARRAY_LENGTH(headings));
	json_array_foreach(json_object_get(list, "items"), i, item)
	{
		struct text scopes;
		json_t *scope;
		size_t j;

		text_init(&scopes);
		json_array_foreach(json_object_get(item, "scopes"), j, scope)
			text_printf(&scopes, "%s%s", j ? "," : "", json_string_value(scope));
		cli_table_row(
			table, (const char *[]){ cli_text(item, "id", ""),
				       cli_text(item, "name", ""), cli_text(item, "prefix", ""),
				       scopes.data, cli_text(item, "expires_at", "never"),
				       cli_text(item, "last_used_at", "never"),
				       json_is_true(json_object_get(item, "active")) ? "active"
										     : "revoked" });
		text_done(&scopes);
	}
	cli_table_print(cli, table);
	return 0;
}

static int api_key_revoke(struct cli *cli, struct error *err)
{
	CLEANUP(json_freep) json_t *body = json_pack("{s:s?}", "reason", cli->reason);
	struct text path;
	int rc;

	text_init(&path);
	text_append_string(&path, "/v1/keys/");
	client_escape(&path, cli->arguments[0]);
	text_append_string(&path, "/revoke");
	rc = client_post(cli, path.data, body, NULL, err);
	text_done(&path);
	if (rc == 0)
		cli_done(cli, "key %s is revoked", cli->arguments[0]);
	return rc;
}

const struct cli_command cli_api_key_commands[] = {
	{ "api-key create", "NAME", 1, 1, "make a key for a person or a program",
		"The key goes to stdout, once; the host keeps its SHA-256 only.\n\n"
		"  MORTISE_TOKEN=$(mortise api-key create ci --scopes catalog.read,hello.read "
		"--days 90)",
		{ { "scopes", 's', "LIST", "comma-separated area.verb[:object] (default: read)" },
			{ "days", 'd', "N", "expires after so many days (default: never)" },
			{ "rate", 0, "N",
				"requests an hour; 0: unlimited, which only an ADMIN may give "
				"(default 1000)" } },
		api_key_create },
	{ "api-key list", "", 0, 0, "list keys", NULL, { { 0 } }, api_key_list },
	{ "api-key revoke", "ID", 1, 1, "end a key, within a second", NULL, { { 0 } },
		api_key_revoke },
	{ 0 },
};
