/* mortise user ... - people and their roles */
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/list.h"
#include "cli/secret.h"
#include "cli/session.h"
#include "codec/json.h"

#define PASSWORD_MAX 1024

/* Members of a user that options write; an empty value clears one. */
static const char *const members[][2] = { { "name", "name" }, { "email", "email" },
	{ "username", "username" }, { "role", "role" }, { "phone", "phone_number" },
	{ "avatar", "avatar" }, { "provider", "provider" }, { "provider-id", "provider_id" } };

static json_t *members_of(const struct cli *cli)
{
	json_t *body = json_object();

	for (size_t i = 0; i < ARRAY_LENGTH(members); i++) {
		const char *value = cli_value(cli, members[i][0]);

		if (value)
			(void)json_object_set_new(
				body, members[i][1], value[0] ? json_string(value) : json_null());
	}
	return body;
}

static int user_list(struct cli *cli, struct error *err)
{
	static const char *const columns[] = { "username", "name", "role", "active", "provider",
		"email", "id" };
	static const char *const filters[] = { "q", "role", "team", "provider", "active", "limit",
		"after" };
	struct text path;
	int rc;

	text_init(&path);
	text_append_string(&path, "/v1/users");
	for (size_t i = 0; i < ARRAY_LENGTH(filters); i++)
		list_query(&path, cli, filters[i], filters[i]);
	rc = list_print(cli, path.data, columns, ARRAY_LENGTH(columns), err);
	text_done(&path);
	return rc;
}

static int user_show(struct cli *cli, struct error *err)
{
	CLEANUP(json_freep) json_t *user = NULL;
	struct text path;
	int rc;

	text_init(&path);
	list_path(&path, "/v1/users", cli->count ? cli->arguments[0] : "me");
	rc = client_get(cli, path.data, &user, err);
	text_done(&path);
	if (rc == 0)
		list_object(cli, user);
	return rc;
}

/* Put a password into body as member. */
static int add_secret(struct cli *cli, json_t *body, const char *member,
	const struct secret_source *source, struct error *err)
{
	struct text password;
	int rc;

	text_init(&password);
	rc = secret_read(cli, source, &password, err);
	if (rc == 0)
		(void)json_object_set_new(body, member, json_stringn(password.data, password.len));
	mem_wipe(password.data, password.len);
	text_done(&password);
	return rc;
}

static int user_create(struct cli *cli, struct error *err)
{
	CLEANUP(json_freep) json_t *body = members_of(cli), *user = NULL;
	const char *provider = cli_value(cli, "provider");
	const struct secret_source password = { "Password", cli_value(cli, "password-file"),
		PASSWORD_MAX, true };
	int rc = 0;

	(void)json_object_set_new(body, "username", json_string(cli->arguments[0]));
	if (!cli_value(cli, "name"))
		(void)json_object_set_new(body, "name", json_string(cli->arguments[0]));
	if (!cli_value(cli, "email"))
		return error_set(err, ERR_USAGE, "a user has an e-mail address: --email ADDRESS");
	if (!provider || strcmp(provider, "local") == 0)
		rc = add_secret(cli, body, "password", &password, err);
	if (rc == 0)
		rc = client_post(cli, "/v1/users", body, &user, err);
	if (rc < 0)
		return rc;
	if (cli->json)
		cli_json(user);
	cli_done(cli, "%s is a user, %s", cli->arguments[0], cli_text(user, "role", "?"));
	return 0;
}

static int send_to_user(struct cli *cli, const char *method, const char *verb, const json_t *body,
	json_t **user, struct error *err)
{
	struct text path;
	int rc;

	text_init(&path);
	list_path(&path, "/v1/users", cli->arguments[0]);
	text_append_string(&path, verb);
	if (strcmp(method, "DELETE") == 0 && cli->reason) {
		text_append_string(&path, "?reason=");
		client_escape(&path, cli->reason);
	}
	rc = client_send(cli,
		&(struct client_request){
			.method = method, .path = path.data, .body = body, .upload_fd = -1 },
		user, err);
	text_done(&path);
	return rc;
}

static int user_change(struct cli *cli, struct error *err)
{
	CLEANUP(json_freep) json_t *body = members_of(cli), *user = NULL;
	int rc;

	if (json_object_size(body) == 0)
		return error_set(err, ERR_USAGE, "say what to change: --role, --name, ...");
	rc = send_to_user(cli, "PATCH", "", body, &user, err);
	if (rc == 0)
		list_object(cli, user);
	return rc;
}

static int set_active(struct cli *cli, const char *verb, const char *done, struct error *err)
{
	CLEANUP(json_freep) json_t *body = json_pack("{s:s*}", "reason", cli->reason);
	CLEANUP(json_freep) json_t *user = NULL;
	int rc = send_to_user(cli, "POST", verb, body, &user, err);

	if (rc < 0)
		return rc;
	if (cli->json)
		cli_json(user);
	cli_done(cli, "%s is %s", cli->arguments[0], done);
	return 0;
}

static int user_deactivate(struct cli *cli, struct error *err)
{
	return set_active(cli, "/deactivate", "inactive; the sessions have ended", err);
}

static int user_activate(struct cli *cli, struct error *err)
{
	return set_active(cli, "/activate", "active", err);
}

static int user_delete(struct cli *cli, struct error *err)
{
	CLEANUP(mem_freep)
	char *question = mem_printf("Delete %s, and end all sessions and keys?", cli->arguments[0]);
	CLEANUP(json_freep) json_t *gone = NULL;
	bool yes;
	int rc = cli_confirm(cli, question, &yes, err);

	if (rc < 0 || !yes)
		return rc;
	rc = send_to_user(cli, "DELETE", "", NULL, &gone, err);
	if (rc < 0)
		return rc;
	if (cli->json)
		cli_json(gone);
	cli_done(cli, "%s is deleted", cli->arguments[0]);
	return 0;
}

#define USER "USER is an id, a username, or 'me'."

static int read_passwords(struct cli *cli, json_t *body, struct error *err)
{
	const struct secret_source current = { "Current password", cli_value(cli, "current-file"),
		PASSWORD_MAX, false };
	const struct secret_source fresh = { "New password", cli_value(cli, "password-file"),
		PASSWORD_MAX, true };
	int rc = 0;

	/* Who sets another's is not asked for it. */
	if (cli->count == 0 || current.file)
		rc = add_secret(cli, body, "current", &current, err);
	return rc < 0 ? rc : add_secret(cli, body, "new", &fresh, err);
}

/* The kept session has new tokens, where it was the one that asked. */
static int keep_session(struct cli *cli, const json_t *session, struct error *err)
{
	CLEANUP(json_freep) json_t *kept = NULL;
	int rc = session_kept(cli, &kept, err);

	if (rc < 0 || strcmp(cli_text(kept, "id", "-"), cli_text(session, "id", "")) != 0)
		return rc;
	return session_keep(cli, session, err);
}

static int user_password(struct cli *cli, struct error *err)
{
	CLEANUP(json_freep) json_t *body = json_object(), *answer = NULL;
	struct text path;
	int rc;

	if (cli_value(cli, "end-others"))
		(void)json_object_set_new(body, "end_others", json_true());
	rc = read_passwords(cli, body, err);
	if (rc < 0)
		return rc;
	text_init(&path);
	list_path(&path, "/v1/users", cli->count ? cli->arguments[0] : "me");
	text_append_string(&path, "/password");
	rc = client_post(cli, path.data, body, &answer, err);
	text_done(&path);
	if (rc == 0)
		rc = keep_session(cli, json_object_get(answer, "session"), err);
	if (rc < 0)
		return rc;
	cli_done(cli, "the password is set; %lld other sessions ended",
		(long long)cli_integer(answer, "ended", 0));
	return 0;
}

const struct cli_command cli_user_commands[] = {
	{ "user list", "", 0, 0, "list users", NULL,
		{ { "q", 0, "TEXT", "only those whose name holds this" },
			{ "role", 0, "ROLE", "only with this role" },
			{ "team", 0, "TEAM", "only members of this team" },
			{ "provider", 0, "NAME",
				"only of this provider; 'plugin' and 'team' show their accounts" },
			{ "active", 0, "true|false", "only active ones, or only inactive ones" },
			{ "limit", 'n', "N", "how many" },
			{ "after", 0, "CURSOR", "go on from here, as the last answer said" } },
		user_list },
	{ "user show", "[USER]", 0, 1, "show a user; yourself without a name", USER, { { 0 } },
		user_show },
	{ "user create", "USERNAME", 1, 1, "make a user",
		"The password is asked for, or read from --password-file or standard input; it is "
		"never an argument.\n"
		"  mortise user create ada --email ada@example.org --role PLATFORM_ENGINEER",
		{ { "email", 0, "ADDRESS", "e-mail address" },
			{ "name", 0, "TEXT", "name for people (default: the username)" },
			{ "role", 0, "ROLE",
				"ADMIN, PLATFORM_ENGINEER, DEVELOPER (the default) or VIEWER" },
			{ "phone", 0, "NUMBER", "telephone number, like +4930123456" },
			{ "avatar", 0, "URL", "picture" },
			{ "password-file", 0, "FILE", "the password is in this file; - is stdin" },
			{ "provider", 0, "NAME",
				"who vouches for the user (default: local, with a password)" },
			{ "provider-id", 0, "ID", "the user's id there" } },
		user_create },
	{ "user change", "USER", 1, 1, "change a user",
		USER " An empty value clears a member: --avatar ''.",
		{ { "role", 0, "ROLE", "ADMIN, PLATFORM_ENGINEER, DEVELOPER or VIEWER" },
			{ "name", 0, "TEXT", "name for people" },
			{ "username", 0, "NAME", "name to log in with" },
			{ "email", 0, "ADDRESS", "e-mail address" },
			{ "phone", 0, "NUMBER", "telephone number, like +4930123456" },
			{ "avatar", 0, "URL", "picture" } },
		user_change },
	{ "user password", "[USER]", 0, 1, "set a password; your own without a name",
		"Your own asks for the current one first. As an administrator you set another's, "
		"which "
		"ends that user's sessions; the second factor stays as it is.",
		{ { "current-file", 0, "FILE", "the current password is in this file" },
			{ "password-file", 0, "FILE", "the new one is in this file; - is stdin" },
			{ "end-others", 0, NULL, "end all sessions but the one that asks" } },
		user_password },
	{ "user deactivate", "USER", 1, 1, "let a user in no more, and end the sessions",
		USER " Keys count for nothing until the user is active again.", { { 0 } },
		user_deactivate },
	{ "user activate", "USER", 1, 1, "let a user in again", USER, { { 0 } }, user_activate },
	{ "user delete", "USER", 1, 1, "delete a user, with sessions and keys",
		USER " Names are free again; what the user did stays in the history.", { { 0 } },
		user_delete },
	{ 0 },
};
