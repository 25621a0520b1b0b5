/* mortise login, logout, session ... - sessions of people at this command line and elsewhere */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
#define CODE_MAX     64
#define CODE_TRIES   3
/* Digits of a code; what is longer is a backup code. */
#define CODE_DIGITS_MAX 8

/* ---- login -------------------------------------------------------------------------------------
 */

/* Put a secret into body as member. */
static int ask(struct cli *cli, const char *prompt, const char *file, size_t max, json_t *body,
	const char *member, struct error *err)
{
	const struct secret_source source = { .prompt = prompt, .file = file, .max = max };
	struct text secret;
	int rc;

	text_init(&secret);
	rc = secret_read(cli, &source, &secret, err);
	if (rc == 0)
		(void)json_object_set_new(body, member, json_stringn(secret.data, secret.len));
	mem_wipe(secret.data, secret.len);
	text_done(&secret);
	return rc;
}

static int post(struct cli *cli, const char *path, const json_t *body, bool bare, json_t **out,
	struct error *err)
{
	return client_send(cli,
		&(struct client_request){ .method = "POST",
			.path = path,
			.body = body,
			.upload_fd = -1,
			.bare = bare },
		out, err);
}

static int send_login(struct cli *cli, json_t **answer, struct error *err)
{
	CLEANUP(json_freep) json_t *body = json_object();
	const char *name = cli->count ? cli->arguments[0] : getenv("USER");
	char device[256] = "";
	int rc;

	if (!name || !name[0])
		return error_set(err, ERR_USAGE, "say who logs in: mortise login USER");
	(void)gethostname(device, sizeof(device) - 1);
	(void)json_object_set_new(body, "login", json_string(name));
	(void)json_object_set_new(body, "device_name",
		json_string(cli_value(cli, "device") ? cli_value(cli, "device") : device));
	rc = ask(cli, "Password", cli_value(cli, "password-file"), PASSWORD_MAX, body, "password",
		err);
	return rc < 0 ? rc : post(cli, "/v1/sessions", body, true, answer, err);
}

static bool has_method(const json_t *methods, const char *name)
{
	const json_t *method;
	size_t i;

	json_array_foreach(
		methods, i, method) if (strcmp(json_string_value(method), name) == 0) return true;
	return false;
}

/* Where codes are sent, have one sent. */
static int have_code_sent(struct cli *cli, const json_t *methods, struct error *err)
{
	static const char *const sent[] = { "EMAIL", "SMS" };

	for (size_t i = 0; i < ARRAY_LENGTH(sent); i++) {
		CLEANUP(json_freep) json_t *body = json_pack("{s:s}", "method", sent[i]);
		int rc;

		if (!has_method(methods, sent[i]))
			continue;
		rc = post(cli, "/v1/sessions/current/second-factor", body, false, NULL, err);
		if (rc == 0)
			cli_step(cli, "code", "is on its way by %s", i == 0 ? "e-mail" : "SMS");
		return rc;
	}
	return 0;
}

static int send_code(struct cli *cli, json_t **answer, struct error *err)
{
	CLEANUP(json_freep) json_t *typed = json_object(), *body = NULL;
	const char *code = cli_value(cli, "code");
	size_t digits;
	int rc = 0;

	if (!code)
		rc = ask(cli, "Code, or a backup code", NULL, CODE_MAX, typed, "code", err);
	if (rc < 0)
		return rc;
	if (!code)
		code = cli_text(typed, "code", "");
	digits = strspn(code, "0123456789 ");
	body = json_pack("{s:s}",
		code[digits] == '\0' && digits <= CODE_DIGITS_MAX + 1 ? "code" : "backup_code",
		code);
	return post(cli, "/v1/sessions/current/second-factor", body, false, answer, err);
}

/* The second half: *answer is the half session's, and then the whole one's. */
static int finish_login(struct cli *cli, json_t **answer, struct error *err)
{
	const json_t *methods =
		json_object_get(json_object_get(*answer, "second_factor"), "methods");
	bool person = isatty(STDIN_FILENO) && !cli->no_input && !cli_value(cli, "code");
	json_t *whole = NULL;
	int rc = client_use(cli, cli_text(*answer, "token", ""), err);

	if (rc == 0)
		rc = have_code_sent(cli, methods, err);
	if (rc < 0)
		return rc;
	if (!person && !cli_value(cli, "code")) {
		(void)error_set(err, ERR_SECOND_FACTOR, "the login still owes a second factor");
		return error_fix(err, "give its code with --code");
	}
	rc = send_code(cli, &whole, err);
	for (int i = 1; rc == ERR_FACTOR_CODE && person && i < CODE_TRIES; i++) {
		cli_step(cli, "again", "%s", err->text);
		rc = send_code(cli, &whole, err);
	}
	if (rc < 0)
		return rc;
	json_decref(*answer);
	*answer = whole;
	return 0;
}

static int login(struct cli *cli, struct error *err)
{
	CLEANUP(json_freep) json_t *answer = NULL;
	const json_t *factor;
	bool enrols;
	int rc = send_login(cli, &answer, err);

	if (rc < 0)
		return rc;
	factor = json_object_get(answer, "second_factor");
	enrols = json_is_object(factor) && json_array_size(json_object_get(factor, "methods")) == 0;
	if (json_is_object(factor) && !enrols)
		rc = finish_login(cli, &answer, err);
	if (rc == 0)
		rc = session_keep(cli, answer, err);
	if (rc < 0)
		return rc;
	if (cli->json)
		cli_json(json_object_get(answer, "user"));
	cli_done(
		cli, "logged in as %s", cli_text(json_object_get(answer, "user"), "username", "?"));
	if (enrols)
		cli_step(cli, "but", "you owe a second factor: run 'mortise mfa enroll'");
	return 0;
}

static int delete (struct cli *cli, const char *path, json_t **out, struct error *err)
{
	return client_send(cli,
		&(struct client_request){ .method = "DELETE", .path = path, .upload_fd = -1 }, out,
		err);
}

static int logout(struct cli *cli, struct error *err)
{
	CLEANUP(json_freep) json_t *session = NULL;
	int rc = session_kept(cli, &session, err);

	if (rc < 0)
		return rc;
	if (!session)
		return error_set(err, ERR_STATE, "nobody is logged in to this host from here");
	rc = client_use(cli, cli_text(session, "token", ""), err);
	if (rc == 0)
		rc = delete (cli, "/v1/sessions/current", NULL, err);
	if (rc == ERR_SESSION_UNKNOWN) {
		/* Only the token may have expired: the refresh token ends the session too. */
		CLEANUP(mem_freep) char *fresh = NULL;

		rc = session_renew(cli, cli_text(session, "token", ""), &fresh, err);
		if (rc == 0)
			rc = client_use(cli, fresh, err);
		if (rc == 0)
			rc = delete (cli, "/v1/sessions/current", NULL, err);
		rc = rc == ERR_SESSION_UNKNOWN ? 0 : rc;
	}
	if (rc == 0)
		rc = session_forget(cli, err);
	if (rc < 0)
		return rc;
	cli_done(cli, "logged out");
	return 0;
}

/* ---- sessions ----------------------------------------------------------------------------------
 */

static int session_list(struct cli *cli, struct error *err)
{
	static const char *const columns[] = { "id", "current", "device_name", "ip_address",
		"last_activity", "expires_at" };
	struct text path;
	int rc;

	text_init(&path);
	text_append_string(&path, "/v1/sessions");
	list_query(&path, cli, "user", "user");
	rc = list_print(cli, path.data, columns, ARRAY_LENGTH(columns), err);
	text_done(&path);
	return rc;
}

static int session_end(struct cli *cli, struct error *err)
{
	CLEANUP(json_freep) json_t *answer = NULL;
	bool others = cli_value(cli, "others") != NULL;
	struct text path;
	int rc;

	if (others == (cli->count > 0))
		return error_set(err, ERR_USAGE, "name a session, or give --others");
	text_init(&path);
	if (others) {
		text_append_string(&path, "/v1/sessions");
		list_query(&path, cli, "user", "user");
	} else {
		list_path(&path, "/v1/sessions", cli->arguments[0]);
	}
	rc = delete (cli, path.data, &answer, err);
	text_done(&path);
	if (rc < 0)
		return rc;
	if (cli->json)
		cli_json(answer);
	if (cli_integer(answer, "ended", 0) == 0)
		cli_done(cli, "there was nothing to end");
	else
		cli_done(cli, "ended %lld", (long long)cli_integer(answer, "ended", 0));
	return 0;
}

const struct cli_command cli_session_commands[] = {
	{ "login", "[USER]", 0, 1, "log in with a password",
		"Asks for the password, and for a code where a second factor is enrolled. The "
		"session "
		"is kept in the XDG state folder, for this host and this user of the machine, and "
		"is "
		"refreshed by itself. Commands use, in this order: MORTISE_TOKEN, the kept session "
		"of the host, the admin token in the data folder of a host on this machine.\n\n"
		"  mortise login ada\n"
		"  mortise login ada --password-file - < secret",
		{ { "password-file", 0, "FILE",
			  "read the password from FILE ('-': standard input)" },
			{ "code", 0, "CODE", "the second factor's code, or a backup code" },
			{ "device", 0, "NAME",
				"how the session is called in lists; default this "
				"machine's name" },
			{ 0 } },
		login },
	{ "logout", "", 0, 0, "end the kept session of this host", NULL, { { 0 } }, logout },
	{ "session list", "", 0, 0, "list sessions that are not over", NULL,
		{ { "user", 0, "USER", "another's, as an administrator" }, { 0 } }, session_list },
	{ "session end", "[ID]", 0, 1, "end a session",
		"The tokens of an ended session count nowhere from the next second on.",
		{ { "others", 0, NULL, "all but the one that asks" },
			{ "user", 0, "USER", "with --others: all of this user's" }, { 0 } },
		session_end },
	{ 0 },
};
