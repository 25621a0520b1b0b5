/* mortise plugin ... - the life of plugins, from an administrator's side */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/change.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/plugin.h"
#include "codec/json.h"

#define SHOWN_KEY_DIGITS 8

static int upload(struct cli *cli, const char *path, json_t **out, struct error *err)
{
	CLEANUP(io_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd == -1 && errno == ENOENT)
		return error_set(err, ERR_NOT_FOUND, "no package file '%s'", path);
	if (fd == -1 || fstat(fd, &st) == -1)
		return error_set_errno(err, errno, "open '%s'", path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, ERR_USAGE, "'%s' is no file", path);
	return client_send(cli,
		&(struct client_request){ .method = "POST",
			.path = "/v1/packages",
			.upload_fd = fd,
			.type = "application/vnd.mortise.package",
			.label = "upload" },
		out, err);
}

/* "ACME Build (ed25519:9f3c2a11...)" */
static void print_signer(struct cli *cli, const json_t *package)
{
	const json_t *signer = json_object_get(package, "signer");
	const char *id = cli_text(signer, "key_id", "");

	cli_step(cli, "signed", "by %s (%.*s…)", cli_text(signer, "name", "an unnamed key"),
		(int)(strlen("ed25519:") + SHOWN_KEY_DIGITS), id);
}

static void print_plan(struct cli *cli, const json_t *package)
{
	const json_t *permissions =
		json_object_get(json_object_get(package, "manifest"), "permissions");
	const json_t *warning, *permission;
	size_t i;

	cli_step(cli, "package", "%s %s  %.19s…", cli_text(package, "name", "?"),
		cli_text(package, "version", "?"), cli_text(package, "digest", "?"));
	print_signer(cli, package);
	json_array_foreach(permissions, i, permission)
		cli_step(cli, i ? "" : "may", "%s", json_string_value(permission));
	json_array_foreach(json_object_get(package, "warnings"), i, warning)
		cli_step(cli, "warning", "%s", json_string_value(warning));
}

static int read_config(const char *path, json_t **out, struct error *err)
{
	json_error_t why;

	*out = json_load_file(path, JSON_REJECT_DUPLICATES, &why);
	if (!*out)
		return error_set(err, ERR_FORMAT, "configuration '%s', line %d: %s", path, why.line,
			why.text);
	return 0;
}

static int plugin_install(struct cli *cli, struct error *err)
{
	CLEANUP(json_freep) json_t *package = NULL, *body = NULL, *config = NULL, *change = NULL;
	const char *config_path = cli_value(cli, "config");
	bool yes = false;
	int rc = 0;

	if (config_path)
		rc = read_config(config_path, &config, err);
	if (rc == 0)
		rc = upload(cli, cli->arguments[0], &package, err);
	if (rc < 0)
		return rc;
	print_plan(cli, package);
	rc = cli_confirm(cli, "Install it and grant what it asks for?", &yes, err);
	if (rc < 0)
		return rc;
	if (!yes) {
		cli_step(cli, "stopped", "nothing was changed");
		return 0;
	}
	body = json_pack("{s:s, s:s, s:O?, s:O?, s:s?}", "plugin", cli_text(package, "name", ""),
		"digest", cli_text(package, "digest", ""), "permissions",
		json_object_get(json_object_get(package, "manifest"), "permissions"), "config",
		config, "reason", cli->reason);
	rc = client_post(cli, "/v1/installations", body, &change, err);
	return rc < 0 ? rc : change_follow(cli, change, err);
}

/* /v1/<collection>/<publisher>/<plugin><suffix>; a short name is looked up. */
int plugin_path(
	struct cli *cli, const char *collection, const char *suffix, char **out, struct error *err)
{
	CLEANUP(json_freep) json_t *list = NULL;
	const char *name = cli->arguments[0], *found = NULL;
	const char *plugin = strchr(name, '/');
	json_t *item;
	size_t i;
	int rc;

	if (plugin) {
		CLEANUP(mem_freep) char *publisher = mem_printf("%.*s", (int)(plugin - name), name);
		struct text path;

		text_init(&path);
		text_printf(&path, "/v1/%s/", collection);
		client_escape(&path, publisher);
		text_append_char(&path, '/');
		client_escape(&path, plugin + 1);
		text_append_string(&path, suffix);
		*out = text_take(&path);
		text_done(&path);
		return 0;
	}
	rc = client_get(cli, "/v1/plugins?limit=500", &list, err);
	if (rc < 0)
		return rc;
	json_array_foreach(json_object_get(list, "items"), i, item)
	{
		const char *full = cli_text(item, "name", "");
		const char *slash = strchr(full, '/');

		if (!slash || strcmp(slash + 1, name) != 0)
			continue;
		if (found)
			return error_set(err, ERR_CONFLICT, "'%s' may be '%s' or '%s': say which",
				name, found, full);
		found = full;
	}
	if (!found) {
		(void)error_set(err, ERR_NOT_FOUND, "no plugin '%s'", name);
		return error_fix(err, "'mortise plugin list' shows the ones there are");
	}
	*out = mem_printf("/v1/%s/%s%s", collection, found, suffix);
	return 0;
}

static int act(struct cli *cli, const char *suffix, struct error *err)
{
	CLEANUP(mem_freep) char *path = NULL;
	CLEANUP(json_freep) json_t *body = json_pack("{s:s?}", "reason", cli->reason);
	CLEANUP(json_freep) json_t *change = NULL;
	int rc = plugin_path(cli, "installations", suffix, &path, err);

	if (rc == 0)
		rc = client_post(cli, path, body, &change, err);
	return rc < 0 ? rc : change_follow(cli, change, err);
}

static int plugin_disable(struct cli *cli, struct error *err)
{
	return act(cli, "/disable", err);
}

static int plugin_enable(struct cli *cli, struct error *err)
{
	return act(cli, "/enable", err);
}

static int plugin_uninstall(struct cli *cli, struct error *err)
{
	bool yes;
	int rc = cli_confirm(cli, "Uninstall it? What it stored goes with it.", &yes, err);

	if (rc < 0 || !yes)
		return rc;
	return act(cli, "/uninstall", err);
}

static int plugin_list(struct cli *cli, struct error *err)
{
	static const char *const headings[] = { "PLUGIN", "VERSION", "STATE", "HEALTH", "SINCE" };
	CLEANUP(json_freep) json_t *list = NULL;
	struct cli_table *table;
	json_t *item;
	size_t i;
	int rc = client_get(cli, "/v1/installations?limit=500", &list, err);

	if (rc < 0)
		return rc;
	if (cli->json) {
		cli_json(json_object_get(list, "items"));
		return 0;
	}
	if (json_array_size(json_object_get(list, "items")) == 0) {
		cli_step(cli, "none",
			"no plugin is installed; next: mortise plugin install FILE.mpk");
		return 0;
	}
	table = cli_table_new(headings, ARRAY_LENGTH(headings));
	json_array_foreach(json_object_get(list, "items"), i, item) cli_table_row(table,
		(const char *[]){ cli_text(item, "plugin", ""), cli_text(item, "version", "-"),
			cli_text(item, "state", "-"), cli_text(item, "health", "-"),
			cli_text(item, "installed_at", "-") });
	cli_table_print(cli, table);
	return 0;
}

static void print_members(const json_t *object)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)object, key, value)
	{
		CLEANUP(mem_freep) char *text = NULL;

		if (json_is_null(value))
			continue;
		text = json_is_string(value) ? mem_strdup(json_string_value(value))
					     : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
		printf("%-22s ", key);
		cli_put(stdout, text);
		putchar('\n');
	}
}

static int show(struct cli *cli, const char *collection, const char *suffix, struct error *err)
{
	CLEANUP(mem_freep) char *path = NULL;
	CLEANUP(json_freep) json_t *answer = NULL;
	int rc = plugin_path(cli, collection, suffix, &path, err);

	if (rc == 0)
		rc = client_get(cli, path, &answer, err);
	if (rc < 0)
		return rc;
	if (cli->json)
		cli_json(answer);
	else
		print_members(answer);
	return 0;
}

static int plugin_show(struct cli *cli, struct error *err)
{
	return show(cli, "plugins", "", err);
}

static int plugin_health(struct cli *cli, struct error *err)
{
	return show(cli, "installations", "/health", err);
}

/* ---- configuration ---- */

/* KEY=VALUE into config; VALUE is JSON, or else a text. */
static int set_member(json_t *config, const char *argument, struct error *err)
{
	const char *equals = strchr(argument, '=');
	CLEANUP(mem_freep) char *key = NULL;
	json_t *value;

	if (!equals || equals == argument)
		return error_set(err, ERR_USAGE, "'%s' is not KEY=VALUE", argument);
	key = mem_printf("%.*s", (int)(equals - argument), argument);
	value = json_loads(equals + 1, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
	if (!value)
		value = json_string(equals + 1);
	if (!value || json_object_set_new(config, key, value) == -1)
		return error_set(err, ERR_USAGE, "'%s' is not UTF-8", argument);
	return 0;
}

static int edit_config(struct cli *cli, json_t *config, struct error *err)
{
	const char *unset = cli_value(cli, "unset");

	if (unset && json_object_del(config, unset) == -1)
		return error_set(err, ERR_NOT_FOUND, "'%s' is not set", unset);
	for (int i = 1; i < cli->count; i++) {
		int rc = set_member(config, cli->arguments[i], err);

		if (rc < 0)
			return rc;
	}
	return 0;
}

static int plugin_configure(struct cli *cli, struct error *err)
{
	CLEANUP(mem_freep) char *path = NULL, *action = NULL;
	CLEANUP(json_freep) json_t *now = NULL, *config = NULL, *body = NULL, *change = NULL;
	const char *file = cli_value(cli, "file");
	int rc;

	if (!file && cli->count == 1 && !cli_value(cli, "unset"))
		return error_set(
			err, ERR_USAGE, "nothing to set: give KEY=VALUE, --unset or --file");
	rc = file ? read_config(file, &config, err) : 0;
	if (rc == 0)
		rc = plugin_path(cli, "installations", "", &path, err);
	if (rc == 0)
		rc = client_get(cli, path, &now, err);
	if (rc < 0)
		return rc;
	if (!config)
		config = json_incref(json_object_get(now, "config"));
	rc = edit_config(cli, config, err);
	if (rc < 0)
		return rc;
	/* What somebody else set since it was read is not undone. */
	body = json_pack("{s:O, s:I, s:s?}", "config", config, "revision",
		(json_int_t)cli_integer(now, "revision", 0), "reason", cli->reason);
	action = mem_printf("%s/configure", path);
	rc = client_post(cli, action, body, &change, err);
	return rc < 0 ? rc : change_follow(cli, change, err);
}

static int plugin_config(struct cli *cli, struct error *err)
{
	CLEANUP(mem_freep) char *path = NULL;
	CLEANUP(json_freep) json_t *answer = NULL;
	int rc = plugin_path(cli, "installations", "", &path, err);

	if (rc == 0)
		rc = client_get(cli, path, &answer, err);
	if (rc < 0)
		return rc;
	if (cli->json)
		cli_json(json_object_get(answer, "config"));
	else
		print_members(json_object_get(answer, "config"));
	return 0;
}

static bool print_log_line(void *user, const char *event, const json_t *data)
{
	struct cli *cli = user;

	(void)event;
	if (cli->json) {
		cli_json(data);
	} else {
		const char *level = cli_text(data, "level", "info");
		enum cli_style style = strcmp(level, "error") == 0  ? STYLE_BAD
				       : strcmp(level, "warn") == 0 ? STYLE_WARN
								    : STYLE_DIM;
		json_t *fields = json_object_get(data, "fields"), *value;
		const char *key;

		printf("%s%s %-5s%s ", cli_style(cli, stdout, style), cli_text(data, "time", ""),
			level, cli_style(cli, stdout, STYLE_PLAIN));
		cli_put(stdout, cli_text(data, "message", ""));
		json_object_foreach(fields, key, value)
		{
			putchar(' ');
			cli_put(stdout, key);
			putchar('=');
			cli_put(stdout, json_is_string(value) ? json_string_value(value) : "?");
		}
		putchar('\n');
	}
	return fflush(stdout) == 0;
}

static int plugin_logs(struct cli *cli, struct error *err)
{
	CLEANUP(mem_freep) char *path = NULL, *suffix = NULL;
	CLEANUP(json_freep) json_t *answer = NULL;
	uint64_t lines = 100;
	json_t *line;
	size_t i;
	int rc = cli_number(cli, "lines", 10000, &lines, err);

	if (rc < 0)
		return rc;
	suffix = mem_printf("/logs?lines=%llu", (unsigned long long)lines);
	rc = plugin_path(cli, "installations", suffix, &path, err);
	if (rc < 0)
		return rc;
	if (cli_value(cli, "follow"))
		return client_events(cli, path, print_log_line, cli, err);
	rc = client_get(cli, path, &answer, err);
	if (rc < 0)
		return rc;
	json_array_foreach(json_object_get(answer, "items"), i, line)(void)
		print_log_line(cli, "line", line);
	return 0;
}

const struct cli_command cli_plugin_commands[] = {
	{ "plugin install", "FILE.mpk", 1, 1, "install a plugin from its package",
		"Uploads the package, shows who signed it and what it asks for, and follows the "
		"change\n"
		"until the plugin serves. An unsigned or unknown package is refused (exit code "
		"7).\n\n"
		"  mortise plugin install hello-1.0.0.mpk -m \"CHG-4711\"",
		{ { "config", 'c', "FILE",
			"configuration as JSON; the package's schema checks it" } },
		plugin_install },
	{ "plugin list", "", 0, 0, "show what is installed", NULL, { { 0 } }, plugin_list },
	{ "plugin show", "NAME", 1, 1, "show all that is known of a plugin", NULL, { { 0 } },
		plugin_show },
	{ "plugin config", "NAME", 1, 1, "show a plugin's configuration", NULL, { { 0 } },
		plugin_config },
	{ "plugin configure", "NAME [KEY=VALUE...]", 1, 64, "change a plugin's configuration",
		"The package's schema checks it. A plugin that takes it while it runs does; "
		"another "
		"one\n"
		"starts anew beside the running one. One that is refused leaves the old "
		"configuration.\n"
		"VALUE is JSON, or else a text.\n\n"
		"  mortise plugin configure notify smtp_port=587 'from=ops@example.org'",
		{ { "file", 'f', "FILE",
			  "the whole configuration as JSON, instead of the present one" },
			{ "unset", 'u', "KEY", "leave KEY to the schema's default" } },
		plugin_configure },
	{ "plugin disable", "NAME", 1, 1, "take a plugin out of service and keep it", NULL,
		{ { 0 } }, plugin_disable },
	{ "plugin enable", "NAME", 1, 1, "put a disabled plugin back into service", NULL, { { 0 } },
		plugin_enable },
	{ "plugin uninstall", "NAME", 1, 1, "remove a plugin", NULL, { { 0 } }, plugin_uninstall },
	{ "plugin logs", "NAME", 1, 1, "show what a plugin logged", NULL,
		{ { "lines", 'n', "N", "how many of the last lines (default 100)" },
			{ "follow", 'f', NULL, "go on with new lines as they come" } },
		plugin_logs },
	{ "plugin health", "NAME", 1, 1, "show a plugin's health and what it uses", NULL, { { 0 } },
		plugin_health },
	{ 0 },
};
