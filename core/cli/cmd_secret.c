/* mortise plugin secret ... - what only a plugin may read, and nobody gets back */
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/plugin.h"
#include "cli/secret.h"
#include "codec/json.h"

#define SECRET_MAX 8192

static int secret_path(struct cli *cli, char **out, struct error *err)
{
	struct text suffix;
	int rc;

	text_init(&suffix);
	text_append_string(&suffix, "/secrets/");
	client_escape(&suffix, cli->arguments[1]);
	rc = plugin_path(cli, "installations", suffix.data, out, err);
	text_done(&suffix);
	return rc;
}

static int secret_set(struct cli *cli, struct error *err)
{
	const struct secret_source source = { .prompt = cli->arguments[1],
		.file = cli_value(cli, "file"),
		.max = SECRET_MAX,
		.fresh = true };
	CLEANUP(json_freep) json_t *body = NULL;
	CLEANUP(mem_freep) char *path = NULL;
	struct text value;
	int rc = secret_path(cli, &path, err);

	if (rc < 0)
		return rc;
	text_init(&value);
	rc = secret_read(cli, &source, &value, err);
	if (rc == 0) {
		body = json_pack("{s:s}", "value", value.data);
		rc = client_send(cli,
			&(struct client_request){
				.method = "PUT", .path = path, .body = body, .upload_fd = -1 },
			NULL, err);
	}
	mem_wipe(value.data, value.cap);
	text_done(&value);
	if (rc == 0)
		cli_done(cli, "secret %s of %s is set", cli->arguments[1], cli->arguments[0]);
	return rc;
}

static int secret_list(struct cli *cli, struct error *err)
{
	static const char *const headings[] = { "NAME", "SET", "BY", "KEY", "LAST READ" };
	CLEANUP(json_freep) json_t *list = NULL;
	CLEANUP(mem_freep) char *path = NULL;
	struct cli_table *table;
	json_t *item;
	size_t i;
	int rc = plugin_path(cli, "installations", "/secrets", &path, err);

	if (rc == 0)
		rc = client_get(cli, path, &list, err);
	if (rc < 0)
		return rc;
	if (cli->json) {
		cli_json(json_object_get(list, "items"));
		return 0;
	}
	table = cli_table_new(headings, ARRAY_LENGTH(headings));
	json_array_foreach(json_object_get(list, "items"), i, item) cli_table_row(
		table, (const char *[]){ cli_text(item, "name", ""), cli_text(item, "set_at", "-"),
			       cli_text(item, "set_by", "-"), cli_text(item, "key", ""),
			       cli_text(item, "read_at", "never") });
	cli_table_print(cli, table);
	return 0;
}

static int secret_remove(struct cli *cli, struct error *err)
{
	CLEANUP(mem_freep) char *path = NULL;
	bool yes;
	int rc = cli_confirm(cli, "Remove it? The plugin cannot work with it any more.", &yes, err);

	if (rc < 0 || !yes)
		return rc;
	rc = secret_path(cli, &path, err);
	if (rc == 0)
		rc = client_send(cli,
			&(struct client_request){
				.method = "DELETE", .path = path, .upload_fd = -1 },
			NULL, err);
	if (rc == 0)
		cli_done(cli, "secret %s of %s is removed", cli->arguments[1], cli->arguments[0]);
	return rc;
}

const struct cli_command cli_secret_commands[] = {
	{ "plugin secret set", "NAME SECRET", 2, 2, "set a secret that only the plugin can read",
		"The value is asked for, or read from standard input or a file; it is never an "
		"argument, and nobody gets it back. A line break at its end is not part of it.\n\n"
		"  pass show mail | mortise plugin secret set notify smtp_password",
		{ { "file", 'f', "FILE", "read the value from a file ('-': standard input)" } },
		secret_set },
	{ "plugin secret list", "NAME", 1, 1, "list the secrets that are set, without their values",
		NULL, { { 0 } }, secret_list },
	{ "plugin secret remove", "NAME SECRET", 2, 2, "remove a secret", NULL, { { 0 } },
		secret_remove },
	{ 0 },
};
