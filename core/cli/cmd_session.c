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
#include "cli/proof.h"
#include "cli/session.h"
#include "codec/json.h"

#define CODE_TRIES 3

/* ---- login -------------------------------------------------------------------------------------
 */

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
	rc = proof_ask(cli, "Password", cli_value(cli, "password-file"), body, "password", err);
	return rc < 0 ? rc : post(cli, "/v1/sessions", body, true, answer, err);
}

static bool has_method(const json_t *methods, const char *name)
{
	const json_t *method;
	size_t i;

	json_array_foreach(methods, i, method)
	{
		if (strcmp(json_string_value(method), name) == 0)
			return true;
	}
	return false;
}

/* The method by which codes are sent, or NULL. */
static const char *sent_by(const json_t *methods)
{
	return has_method(methods, "EMAIL") ? "EMAIL" : has_method(methods, "SMS") ? "SMS" : NULL;
}

/* Who gets no code can still give a backup code. */
static void have_code_sent(struct cli *cli, const char *method)
{
	CLEANUP(json_freep) json_t *body = json_pack("{s:s}", "method", method);
	struct error err = { 0 };

	if (post(cli, "/v1/sessions/current/second-factor", body, false, NULL, &err) == 0)
		cli_step(cli, "code", "is on its way by %s",
			strcmp(method, "SMS") == 0 ? "SMS" : "e-mail");
	else
		cli_step(cli, "no code", "%s; a backup code does, too", err.text);
}

static int send_code(struct cli *cli, json_t **answer, struct error *err)
{
	CLEANUP(json_freep) json_t *body = json_object();
	int rc = 0;

	if (cli_value(cli, "code"))
		proof_put_code(body, cli_value(cli, "code"));
	else
		rc = proof_ask_code(cli, body, err);
	if (rc < 0)
		return rc;
	return post(cli, "/v1/sessions/current/second-factor", body, false, answer, err);
}

/* The second half: *answer is the half session's, and then the whole one's. */
static int finish_login(struct cli *cli, json_t **answer, struct error *err)
{
	const char *method =
		sent_by(json_object_get(json_object_get(*answer, "second_factor"), "methods"));
	bool person = isatty(STDIN_FILENO) && !cli->no_input && !cli_value(cli, "code");
	json_t *whole = NULL;
	int rc = client_use(cli, cli_text(*answer, "token", ""), err);

	if (rc < 0)
		return rc;
	if (!person && !cli_value(cli, "code")) {
		/* A code that is sent counts in this half session alone, which ends here. */
		(void)error_set(err, ERR_SECOND_FACTOR, "the login still owes a second factor");
		return error_fix(err, method ? "log in at a terminal, where a code can be sent, "
					       "or give a backup code with --code"
					     : "give its code with --code");
	}
	if (person && method)
		have_code_sent(cli, method);
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
	if (!session) {
		(void)error_set(err, ERR_STATE, "nobody is logged in to this host from here");
		return error_fix(err, "nothing is left to end; 'mortise login' begins a session");
	}
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
			{ "code", 0, "CODE", "the code of an authenticator, or a backup code" },
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
