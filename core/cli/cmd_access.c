/* mortise access ... - who may do what, and why */
#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/list.h"
#include "codec/json.h"

static int access_list(struct cli *cli, struct error *err)
{
	static const char *const columns[] = { "action", "scope", "least_role", "asks_for" };

	return list_print(cli, "/v1/access", columns, ARRAY_LENGTH(columns), err);
}

static void print_steps(struct cli *cli, const json_t *answer)
{
	const json_t *step;
	size_t i;

	json_array_foreach(json_object_get(answer, "steps"), i, step)
	{
		bool allows = json_is_true(json_object_get(step, "allows"));

		printf("  %s%s%s ", cli_style(cli, stdout, allows ? STYLE_GOOD : STYLE_BAD),
			allows ? "✓" : "✗", cli_style(cli, stdout, STYLE_PLAIN));
		cli_put(stdout, cli_text(step, "rule", "?"));
		printf("  %s", cli_style(cli, stdout, STYLE_DIM));
		cli_put(stdout, cli_text(step, "why", ""));
		printf("%s\n", cli_style(cli, stdout, STYLE_PLAIN));
	}
}

static int access_explain(struct cli *cli, struct error *err)
{
	static const char *const parameters[] = { "user", "action", "resource" };
	CLEANUP(json_freep) json_t *answer = NULL;
	struct text path;
	bool allowed;
	int rc;

	text_init(&path);
	text_append_string(&path, "/v1/access/explain");
	for (int i = 0; i < cli->count; i++) {
		text_printf(&path, "%c%s=", i ? '&' : '?', parameters[i]);
		client_escape(&path, cli->arguments[i]);
	}
	list_query(&path, cli, "scopes", "scopes");
	list_query(&path, cli, "plugin", "plugin");
	rc = client_get(cli, path.data, &answer, err);
	text_done(&path);
	if (rc < 0)
		return rc;
	if (cli->json) {
		cli_json(answer);
		return 0;
	}
	allowed = json_is_true(json_object_get(answer, "allowed"));
	printf("%s%s%s: ", cli_style(cli, stdout, allowed ? STYLE_GOOD : STYLE_BAD),
		allowed ? "allowed" : "refused", cli_style(cli, stdout, STYLE_PLAIN));
	cli_put(stdout, cli_text(answer, "decided_by", "?"));
	fputs(", ", stdout);
	cli_put(stdout, cli_text(answer, "why", ""));
	putchar('\n');
	print_steps(cli, answer);
	return 0;
}

const struct cli_command cli_access_commands[] = {
	{ "access explain", "USER ACTION [RESOURCE]", 2, 3,
		"say why a user may do something, or not",
		"ACTION is one that 'mortise access list' shows, a scope of a plugin's route "
		"(hello.read), or a plugin's call (catalog/1.apply, with --plugin). RESOURCE is "
		"the "
		"name of a service, team, plugin or user. The rules are shown in the order in "
		"which "
		"they are asked; the first that refuses decides.\n"
		"  mortise access explain ada team.write payments",
		{ { "scopes", 0, "LIST", "as with a key of these scopes (default: *)" },
			{ "plugin", 0, "NAME", "as when this plugin asks for the user" } },
		access_explain },
	{ "access list", "", 0, 0, "list the actions, and what each takes", NULL, { { 0 } },
		access_list },
	{ 0 },
};
