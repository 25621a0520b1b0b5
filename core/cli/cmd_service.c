/* mortise service ... - read the catalog */
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "codec/json.h"

static void add_query(
	struct text *path, const struct cli *cli, const char *option, const char *parameter)
{
	const char *value = cli_value(cli, option);

	if (!value)
		return;
	text_append_char(path, strchr(path->data, '?') ? '&' : '?');
	text_printf(path, "%s=", parameter);
	client_escape(path, value);
}

static int print_list(struct cli *cli, const char *path, struct error *err)
{
	static const char *const headings[] = { "NAME", "TYPE", "LIFECYCLE", "TEAM",
		"DESCRIPTION" };
	CLEANUP(json_freep) json_t *list = NULL;
	const char *next;
	struct cli_table *table;
	json_t *item;
	size_t i;
	int rc = client_get(cli, path, &list, err);

	if (rc < 0)
		return rc;
	if (cli->json) {
		cli_json(list);
		return 0;
	}
	table = cli_table_new(headings, ARRAY_LENGTH(headings));
	json_array_foreach(json_object_get(list, "items"), i, item) cli_table_row(
		table, (const char *[]){ cli_text(item, "name", ""), cli_text(item, "type", ""),
			       cli_text(item, "lifecycle", ""), cli_text(item, "team", "-"),
			       cli_text(item, "description", "") });
	cli_table_print(cli, table);
	next = cli_text(list, "next", "");
	if (next[0])
		cli_step(cli, "more", "--after %s", next);
	return 0;
}

static int service_list(struct cli *cli, struct error *err)
{
	static const char *const filters[] = { "type", "lifecycle", "team", "tag", "q", "prefix",
		"after", "limit" };
	struct text path;
	int rc;

	text_init(&path);
	text_append_string(&path, "/v1/services");
	for (size_t i = 0; i < ARRAY_LENGTH(filters); i++)
		add_query(&path, cli, filters[i], filters[i]);
	rc = print_list(cli, path.data, err);
	text_done(&path);
	return rc;
}

static int service_show(struct cli *cli, struct error *err)
{
	CLEANUP(json_freep) json_t *service = NULL;
	struct text path;
	int rc;

	text_init(&path);
	text_append_string(&path, "/v1/services/");
	client_escape(&path, cli->arguments[0]);
	rc = client_get(cli, path.data, &service, err);
	text_done(&path);
	if (rc == 0)
		cli_json(service);
	return rc;
}

static int service_dependencies(struct cli *cli, struct error *err)
{
	struct text path;
	int rc;

	text_init(&path);
	text_append_string(&path, "/v1/services/");
	client_escape(&path, cli->arguments[0]);
	text_append_string(&path, "/dependencies");
	add_query(&path, cli, "depth", "depth");
	add_query(&path, cli, "direction", "direction");
	rc = print_list(cli, path.data, err);
	text_done(&path);
	return rc;
}

const struct cli_command cli_service_commands[] = {
	{ "service list", "", 0, 0, "list services of the catalog", NULL,
		{ { "type", 't', "TYPE", "only of this type" },
			{ "lifecycle", 0, "STAGE", "only in this stage" },
			{ "team", 0, "NAME", "only of this team" },
			{ "tag", 0, "TAG", "only with this tag" },
			{ "q", 0, "TEXT", "only those whose name or description has these words" },
			{ "prefix", 0, "TEXT", "only names that begin so" },
			{ "limit", 'n', "N", "how many" },
			{ "after", 0, "CURSOR", "go on from here, as the last answer said" } },
		service_list },
	{ "service show", "NAME", 1, 1, "show one service", NULL, { { 0 } }, service_show },
	{ "service dependencies", "NAME", 1, 1, "what a service needs, or who needs it", NULL,
		{ { "depth", 'd', "N", "how many steps" },
			{ "direction", 0, "WAY",
				"'out' (what it needs; the default) or 'in' (who needs it)" } },
		service_dependencies },
	{ 0 },
};
