/* mortise service ... - read the catalog */
#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/list.h"
#include "codec/json.h"

static int service_list(struct cli *cli, struct error *err)
{
	static const char *const columns[] = { "name", "type", "lifecycle", "team", "description" };
	static const char *const filters[] = { "type", "lifecycle", "team", "tag", "q", "after",
		"limit" };
	struct text path;
	int rc;

	text_init(&path);
	text_append_string(&path, "/v1/services");
	for (size_t i = 0; i < ARRAY_LENGTH(filters); i++)
		list_query(&path, cli, filters[i], filters[i]);
	rc = list_print(cli, path.data, columns, ARRAY_LENGTH(columns), err);
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
	static const char *const columns[] = { "name", "type", "depth" };
	struct text path;
	int rc;

	text_init(&path);
	text_append_string(&path, "/v1/services/");
	client_escape(&path, cli->arguments[0]);
	text_append_string(&path, "/dependencies");
	list_query(&path, cli, "depth", "depth");
	list_query(&path, cli, "direction", "direction");
	list_query(&path, cli, "limit", "limit");
	list_query(&path, cli, "after", "after");
	rc = list_print(cli, path.data, columns, ARRAY_LENGTH(columns), err);
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
