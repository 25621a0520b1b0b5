/* mortise service ... - read the catalog */
#include <ctype.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "codec/json.h"

#define COLUMNS_MAX 8
#define NUMBER_SIZE 24

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

/* Print one page of path as a table of the members that columns names; headings are theirs in
 * capitals. */
static int print_list(struct cli *cli, const char *path, const char *const *columns, size_t count,
	struct error *err)
{
	CLEANUP(json_freep) json_t *list = NULL;
	const char *cells[COLUMNS_MAX], *next;
	char numbers[COLUMNS_MAX][NUMBER_SIZE];
	struct cli_table *table;
	json_t *item;
	size_t i, j;
	int rc = client_get(cli, path, &list, err);

	if (rc < 0)
		return rc;
	if (cli->json) {
		cli_json(list);
		return 0;
	}
	for (j = 0; j < count; j++) {
		size_t n = 0;

		for (; columns[j][n] && n + 1 < NUMBER_SIZE; n++)
			numbers[j][n] = (char)toupper((unsigned char)columns[j][n]);
		numbers[j][n] = '\0';
		cells[j] = numbers[j];
	}
	table = cli_table_new(cells, count);
	json_array_foreach(json_object_get(list, "items"), i, item)
	{
		for (j = 0; j < count; j++) {
			const json_t *value = json_object_get(item, columns[j]);

			(void)snprintf(numbers[j], NUMBER_SIZE, "%lld",
				(long long)json_integer_value(value));
			cells[j] = json_is_integer(value) ? numbers[j]
							  : cli_text(item, columns[j], "-");
		}
		cli_table_row(table, cells);
	}
	cli_table_print(cli, table);
	next = cli_text(list, "next", "");
	if (next[0])
		cli_step(cli, "more", "--after %s", next);
	return 0;
}

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
		add_query(&path, cli, filters[i], filters[i]);
	rc = print_list(cli, path.data, columns, ARRAY_LENGTH(columns), err);
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
	add_query(&path, cli, "depth", "depth");
	add_query(&path, cli, "direction", "direction");
	add_query(&path, cli, "limit", "limit");
	add_query(&path, cli, "after", "after");
	rc = print_list(cli, path.data, columns, ARRAY_LENGTH(columns), err);
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
