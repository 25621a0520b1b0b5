/* mortise privacy ... - what people ask about what is kept of them, and the answers */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/list.h"
#include "codec/json.h"

/* KEY=VALUE arguments behind the type, as the members that a rectification changes. */
static int read_changes(const struct cli *cli, json_t *body, struct error *err)
{
	json_t *changes = json_object();

	(void)json_object_set_new(body, "changes", changes);
	for (int i = 1; i < cli->count; i++) {
		const char *equals = strchr(cli->arguments[i], '=');
		CLEANUP(mem_freep) char *key = NULL;

		if (!equals || equals == cli->arguments[i])
			return error_set(
				err, ERR_USAGE, "'%s' is not KEY=VALUE", cli->arguments[i]);
		key = mem_printf("%.*s", (int)(equals - cli->arguments[i]), cli->arguments[i]);
		if (json_object_set_new(changes, key, json_string(equals + 1)) == -1)
			return error_set(err, ERR_USAGE, "'%s' is not UTF-8", cli->arguments[i]);
	}
	return 0;
}

static void tell(struct cli *cli, const json_t *request)
{
	if (cli->json)
		cli_json(request);
	else
		printf("%s\n", cli_text(request, "id", ""));
}

static int privacy_request(struct cli *cli, struct error *err)
{
	CLEANUP(json_freep) json_t *request = NULL;
	CLEANUP(json_freep)
	json_t *body = json_pack("{s:s, s:s?, s:s?}", "type", cli->arguments[0], "user",
		cli_value(cli, "user"), "reason", cli->reason);
	int rc = cli->count > 1 ? read_changes(cli, body, err) : 0;

	if (rc == 0)
		rc = client_post(cli, "/v1/privacy", body, &request, err);
	if (rc < 0)
		return rc;
	tell(cli, request);
	cli_done(cli, "asked; an administrator decides until %.10s",
		cli_text(request, "due_at", ""));
	return 0;
}

static int privacy_list(struct cli *cli, struct error *err)
{
	static const char *const columns[] = { "id", "type", "status", "user", "requested_at",
		"due_at", "overdue" };
	static const char *const filters[] = { "status", "type", "user", "limit", "after" };
	struct text path;
	int rc;

	text_init(&path);
	text_append_string(&path, "/v1/privacy");
	for (size_t i = 0; i < ARRAY_LENGTH(filters); i++)
		list_query(&path, cli, filters[i], filters[i]);
	rc = list_print(cli, path.data, columns, ARRAY_LENGTH(columns), err);
	text_done(&path);
	return rc;
}

static int get_request(struct cli *cli, json_t **out, struct error *err)
{
	struct text path;
	int rc;

	text_init(&path);
	list_path(&path, "/v1/privacy", cli->arguments[0]);
	rc = client_get(cli, path.data, out, err);
	text_done(&path);
	return rc;
}

static int privacy_show(struct cli *cli, struct error *err)
{
	CLEANUP(json_freep) json_t *request = NULL;
	int rc = get_request(cli, &request, err);

	if (rc == 0)
		list_object(cli, request);
	return rc;
}

static int decide(struct cli *cli, const char *how, const json_t *body, struct error *err)
{
	CLEANUP(json_freep) json_t *request = NULL;
	struct text path;
	int rc;

	text_init(&path);
	list_path(&path, "/v1/privacy", cli->arguments[0]);
	text_append_string(&path, how);
	rc = client_post(cli, path.data, body, &request, err);
	text_done(&path);
	if (rc < 0)
		return rc;
	if (cli->json)
		cli_json(request);
	else
		cli_done(cli, "%s request of %s %s", cli_text(request, "type", ""),
			cli_text(request, "user", ""), cli_text(request, "status", ""));
	return 0;
}

static int privacy_complete(struct cli *cli, struct error *err)
{
	CLEANUP(json_freep) json_t *request = NULL;
	CLEANUP(json_freep) json_t *body = json_pack("{s:s?}", "note", cli->reason);
	CLEANUP(mem_freep) char *question = NULL;
	bool yes = false;
	int rc = get_request(cli, &request, err);

	if (rc < 0)
		return rc;
	if (strcmp(cli_text(request, "type", ""), "deletion") == 0) {
		question = mem_printf("Erase all that names '%s'? Nothing brings it back.",
			cli_text(request, "user", ""));
		rc = cli_confirm(cli, question, &yes, err);
		if (rc < 0 || !yes)
			return rc;
	}
	return decide(cli, "/complete", body, err);
}

static int privacy_reject(struct cli *cli, struct error *err)
{
	CLEANUP(json_freep) json_t *body = json_pack("{s:s?}", "reason", cli->reason);

	if (!cli->reason)
		return error_set(err, ERR_USAGE, "say why with --reason: the person is told");
	return decide(cli, "/reject", body, err);
}

/* To a file that is nobody else's to read, and that is there only when it is whole. */
static int privacy_export(struct cli *cli, struct error *err)
{
	const char *file = cli->arguments[1];
	CLEANUP(mem_freep) char *part = mem_printf("%s.part", file);
	struct client_request request = { .method = "GET", .upload_fd = -1 };
	struct text path;
	FILE *out = stdout;
	int fd, rc;

	if (strcmp(file, "-") != 0) {
		fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
		out = fd == -1 ? NULL : fdopen(fd, "w");
		if (!out)
			return error_set_errno(err, errno, "make '%s'", part);
	}
	text_init(&path);
	list_path(&path, "/v1/privacy", cli->arguments[0]);
	text_append_string(&path, "/archive");
	request.path = path.data;
	rc = client_copy(cli, &request, out, err);
	text_done(&path);
	if (out == stdout)
		return rc;
	if (fclose(out) != 0 && rc == 0)
		rc = error_set_errno(err, errno, "write '%s'", part);
	if (rc == 0 && rename(part, file) == -1)
		rc = error_set_errno(err, errno, "rename to '%s'", file);
	if (rc < 0)
		(void)unlink(part);
	else
		cli_done(cli, "written to %s", file);
	return rc;
}

const struct cli_command cli_privacy_commands[] = {
	{ "privacy request", "TYPE [KEY=VALUE...]", 1, 6, "ask about what is kept of you",
		"TYPE is access or portability (all that is kept, as one JSON archive), deletion, "
		"rectification (of name, username, email, phone_number, avatar) or restriction.\n"
		"An administrator decides within 30 days, and may ask for others.\n\n"
		"  mortise privacy request rectification name='Ada Lovelace'",
		{ { "user", 'u', "USER", "of whom, for administrators (default: you)" } },
		privacy_request },
	{ "privacy list", "", 0, 0, "list requests and when they are due", NULL,
		{ { "status", 's', "STATUS", "pending, in_progress, completed or rejected" },
			{ "type", 't', "TYPE", "of that type" },
			{ "user", 'u', "USER", "of that user" },
			{ "limit", 'n', "N", "how many (default 50)" },
			{ "after", 0, "CURSOR", "go on behind a page" } },
		privacy_list },
	{ "privacy show", "ID", 1, 1, "show one request and what came of it", NULL, { { 0 } },
		privacy_show },
	{ "privacy complete", "ID", 1, 1, "do what a request asks for",
		"Access and portability make the archive available. Deletion removes what is the "
		"person's own, empties what is kept of names and addresses, and destroys the key "
		"of "
		"what the audit trail says of him. Restriction deactivates the account.",
		{ { 0 } }, privacy_complete },
	{ "privacy reject", "ID", 1, 1, "refuse a request, or take one's own back",
		"  mortise privacy reject ID -m 'who asked is not the person'", { { 0 } },
		privacy_reject },
	{ "privacy export", "ID FILE", 2, 2, "write the archive of a request to a file",
		"FILE '-' is standard output; a file takes the place of an older one. Its owner "
		"alone can read it.",
		{ { 0 } }, privacy_export },
	{ 0 },
};
