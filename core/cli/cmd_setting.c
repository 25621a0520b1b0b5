/* mortise setting ... - what an administrator changes while the host runs */
#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "codec/json.h"

static int setting_list(struct cli *cli, struct error *err)
{
	static const char *const headings[] = { "NAME", "VALUE", "VALUES", "WHAT" };
	CLEANUP(json_freep) json_t *list = NULL;
	struct cli_table *table;
	json_t *item, *word;
	size_t i, j;
	int rc = client_get(cli, "/v1/settings", &list, err);

	if (rc < 0)
		return rc;
	if (cli->json) {
		cli_json(json_object_get(list, "items"));
		return 0;
	}
	table = cli_table_new(headings, ARRAY_LENGTH(headings));
	json_array_foreach(json_object_get(list, "items"), i, item)
	{
		struct text words;

		text_init(&words);
		json_array_foreach(json_object_get(item, "values"), j, word)
			text_printf(&words, "%s%s", j ? ", " : "", json_string_value(word));
		cli_table_row(table,
			(const char *[]){ cli_text(item, "name", ""), cli_text(item, "value", ""),
				words.data, cli_text(item, "help", "") });
		text_done(&words);
	}
	cli_table_print(cli, table);
	return 0;
}

static int setting_set(struct cli *cli, struct error *err)
{
	CLEANUP(json_freep)
	json_t *body = json_pack("{s:s, s:s*}", "value", cli->arguments[1], "environment",
		cli_value(cli, "environment"));
	struct text path;
	int rc;

	text_init(&path);
	text_append_string(&path, "/v1/settings/");
	client_escape(&path, cli->arguments[0]);
	rc = client_send(cli,
		&(struct client_request){
			.method = "PUT", .path = path.data, .body = body, .upload_fd = -1 },
		NULL, err);
	text_done(&path);
	if (rc == 0)
		cli_done(cli, "%s is %s", cli->arguments[0], cli->arguments[1]);
	return rc;
}

const struct cli_command cli_setting_commands[] = {
	{ "setting list", "", 0, 0, "list what can be set while the host runs", NULL, { { 0 } },
		setting_list },
	{ "setting set", "NAME VALUE", 2, 2, "set it, for all nodes",
		"  mortise setting set auth.second_factor everyone",
		{ { "environment", 'e', "NAME",
			"in that environment only (default: in all that have none of their "
			"own)" } },
		setting_set },
	{ 0 },
};
