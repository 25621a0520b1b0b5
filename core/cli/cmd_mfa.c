/* mortise mfa ... - the second factor of one's own login, and as an administrator of others' */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/list.h"
#include "cli/proof.h"
#include "cli/session.h"
#include "codec/json.h"
#include "codec/qr.h"

#define PROOFS_MAX 3 /* password, code, and the answer */

/* ---- proofs ------------------------------------------------------------------------------------
 */

static bool is_asked(const struct cli *cli)
{
	return isatty(STDIN_FILENO) && !cli->no_input;
}

/* What is missing in body of password and code, from the options or from the person. False: there
 * is nothing more to show, or nobody to ask. */
static bool add_proof(struct cli *cli, json_t *body, int *rc, struct error *err)
{
	const char *file = cli_value(cli, "password-file"), *code = cli_value(cli, "code");

	if (!json_object_get(body, "password") && (file || is_asked(cli))) {
		*rc = proof_ask(cli, "Password", file, body, "password", err);
		return true;
	}
	if (json_object_get(body, "code") || json_object_get(body, "backup_code"))
		return false;
	if (code)
		proof_put_code(body, code);
	else if (is_asked(cli))
		*rc = proof_ask_code(cli, body, err);
	else
		return false;
	return true;
}

/* Send; as long as the host wants a proof and there is one, send again with it. */
static int send_with_proof(struct cli *cli, const char *method, const char *path, json_t *body,
	json_t **out, struct error *err)
{
	const struct client_request request = {
		.method = method, .path = path, .body = body, .upload_fd = -1
	};
	int rc = client_send(cli, &request, out, err);

	for (int i = 0; rc == ERR_FACTOR_PROOF && i < PROOFS_MAX; i++) {
		if (!add_proof(cli, body, &rc, err)) {
			(void)error_fix(err, "give --password-file FILE (and --code CODE, if a "
					     "second factor is enrolled), or log in again");
			break;
		}
		if (rc == ERR_FACTOR_PROOF || rc == 0)
			rc = client_send(cli, &request, out, err);
	}
	return rc;
}

static char *path_of(const char *user, const char *rest)
{
	struct text path;
	char *taken;

	text_init(&path);
	text_append_string(&path, "/v1/users/");
	client_escape(&path, user);
	text_printf(&path, "/second-factor%s", rest);
	taken = text_take(&path);
	text_done(&path);
	return taken;
}

/* ---- enrolling ---------------------------------------------------------------------------------
 */

static const char *method_of(const struct cli *cli)
{
	const char *method = cli_value(cli, "method");

	return method ? method : "totp";
}

static int check_method(const struct cli *cli, struct error *err)
{
	static const char *const methods[] = { "totp", "email", "sms" };

	for (size_t i = 0; i < ARRAY_LENGTH(methods); i++)
		if (strcmp(methods[i], method_of(cli)) == 0)
			return 0;
	return error_set(err, ERR_USAGE, "'%s' is no method: totp, email or sms", method_of(cli));
}

static void print_codes(struct cli *cli, const json_t *answer)
{
	const json_t *codes = json_object_get(answer, "backup_codes");
	json_t *code;
	size_t i;

	json_array_foreach(codes, i, code) printf("%s\n", json_string_value(code));
	cli_step(cli, "keep them",
		"each of these logs you in once when the device is gone; they "
		"are not shown again");
}

static int send_confirmation(
	struct cli *cli, const char *code, const char *method, struct error *err)
{
	CLEANUP(mem_freep) char *rest = mem_printf("/%s/confirm", method);
	CLEANUP(mem_freep) char *path = path_of("me", rest);
	CLEANUP(json_freep) json_t *answer = NULL;
	CLEANUP(json_freep)
	json_t *body = json_pack(
		"{s:s, s:b}", "code", code, "end_others", cli_value(cli, "end-others") != NULL);
	int rc = client_post(cli, path, body, &answer, err);

	/* Who owed a factor has a whole session from here on. */
	if (rc == 0 && json_object_get(answer, "token"))
		rc = session_keep(cli, answer, err);
	if (rc < 0)
		return rc;
	if (cli->json)
		cli_json(answer);
	else
		print_codes(cli, answer);
	cli_done(cli, "the second factor counts from your next login on");
	return 0;
}

static int confirm_on_terminal(struct cli *cli, struct error *err)
{
	CLEANUP(json_freep) json_t *typed = json_object();
	int rc = proof_ask(cli, "The code", NULL, typed, "code", err);

	return rc < 0 ? rc
		      : send_confirmation(cli, cli_text(typed, "code", ""), method_of(cli), err);
}

static int show_seed(struct cli *cli, const json_t *begun, int svg_fd, struct error *err)
{
	const char *uri = cli_text(begun, "uri", ""), *svg = cli_text(begun, "svg", "");
	struct text qr;
	int rc = svg_fd != -1 ? io_write_all(svg_fd, svg, strlen(svg), err) : 0;

	if (rc < 0)
		return rc;
	if (cli->json) {
		cli_json(begun);
		return 0;
	}
	text_init(&qr);
	if (isatty(STDOUT_FILENO) && svg_fd == -1) {
		rc = qr_append_terminal(&qr, span_of(uri), cli->colour_out, err);
		if (rc == 0)
			(void)fwrite(qr.data, 1, qr.len, stdout);
	}
	mem_wipe(qr.data, qr.len);
	text_done(&qr);
	if (rc == 0)
		printf("%s\n", uri);
	return rc;
}

static int mfa_enroll(struct cli *cli, struct error *err)
{
	CLEANUP(mem_freep) char *rest = mem_printf("/%s", method_of(cli));
	CLEANUP(mem_freep) char *path = path_of("me", rest);
	CLEANUP(json_freep) json_t *body = json_object(), *begun = NULL;
	bool totp = strcmp(method_of(cli), "totp") == 0;
	const char *svg = cli_value(cli, "svg");
	CLEANUP(io_closep) int svg_fd = -1;
	uint64_t digits = 0;
	int rc = check_method(cli, err);

	if (rc == 0)
		rc = cli_number(cli, "digits", 8, &digits, err);
	if (rc < 0)
		return rc;
	if (cli_value(cli, "phone"))
		json_object_set_new(body, "phone", json_string(cli_value(cli, "phone")));
	if (cli_value(cli, "algorithm"))
		json_object_set_new(body, "algorithm", json_string(cli_value(cli, "algorithm")));
	if (digits)
		json_object_set_new(body, "digits", json_integer((json_int_t)digits));
	if (svg && !totp)
		return error_set(err, ERR_USAGE, "--svg goes with the method totp");
	if (svg) {
		/* Before a seed is made that could not be shown. Nobody else may read it. */
		svg_fd = open(svg, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (svg_fd == -1)
			return error_set_errno(err, errno, "make '%s'", svg);
	}
	rc = send_with_proof(cli, "POST", path, body, &begun, err);
	if (rc < 0 && svg)
		(void)unlink(svg);
	if (rc == 0 && totp)
		rc = show_seed(cli, begun, svg_fd, err);
	else if (rc == 0 && cli->json)
		cli_json(begun);
	if (rc < 0)
		return rc;
	if (!totp)
		cli_step(cli, "sent", "to %s", cli_text(begun, "sent_to", "?"));
	if (!cli->json && is_asked(cli))
		return confirm_on_terminal(cli, err);
	cli_step(cli, "next", "mortise mfa confirm CODE%s%s", totp ? "" : " --method ",
		totp ? "" : method_of(cli));
	return 0;
}

static int mfa_confirm(struct cli *cli, struct error *err)
{
	int rc = check_method(cli, err);

	return rc < 0 ? rc : send_confirmation(cli, cli->arguments[0], method_of(cli), err);
}

/* ---- the rest ----------------------------------------------------------------------------------
 */

static int mfa_status(struct cli *cli, struct error *err)
{
	CLEANUP(mem_freep) char *path = path_of(cli->count ? cli->arguments[0] : "me", "");
	CLEANUP(json_freep) json_t *status = NULL;
	int rc = client_get(cli, path, &status, err);

	if (rc == 0)
		list_object(cli, status);
	return rc;
}

static int mfa_disable(struct cli *cli, struct error *err)
{
	const char *user = cli->count ? cli->arguments[0] : "me";
	CLEANUP(mem_freep) char *path = path_of(user, "");
	CLEANUP(json_freep) json_t *body = json_object();
	bool yes;
	int rc = cli_confirm(cli, "Take the second factor away?", &yes, err);

	if (rc < 0 || !yes)
		return rc;
	rc = send_with_proof(cli, "DELETE", path, body, NULL, err);
	if (rc == 0)
		cli_done(cli, "the second factor is gone");
	return rc;
}

/* For a proof by code in a session that is whole already; a login has its codes sent by itself. */
static int mfa_send(struct cli *cli, struct error *err)
{
	CLEANUP(mem_freep) char *path = path_of("me", "");
	CLEANUP(json_freep) json_t *status = NULL, *body = NULL, *sent = NULL;
	const char *method;
	int rc = client_get(cli, path, &status, err);

	if (rc < 0)
		return rc;
	method = cli_text(status, "method", "");
	if (strcmp(method, "EMAIL") != 0 && strcmp(method, "SMS") != 0) {
		(void)error_set(err, ERR_STATE,
			method[0] ? "codes come from the authenticator"
				  : "no second factor is enrolled");
		return error_fix(err, method[0] ? "give the code that it shows as --code"
						: "run 'mortise mfa enroll'");
	}
	body = json_pack("{s:s}", "method", method);
	rc = client_post(cli, "/v1/sessions/current/second-factor", body, &sent, err);
	if (rc < 0)
		return rc;
	if (cli->json)
		cli_json(sent);
	cli_done(cli, "a code is on its way to %s", cli_text(sent, "sent_to", "?"));
	return 0;
}

static int mfa_backup_codes(struct cli *cli, struct error *err)
{
	CLEANUP(mem_freep) char *path = path_of("me", "/backup-codes");
	CLEANUP(json_freep) json_t *body = json_object(), *answer = NULL;
	int rc = send_with_proof(cli, "POST", path, body, &answer, err);

	if (rc < 0)
		return rc;
	if (cli->json)
		cli_json(answer);
	else
		print_codes(cli, answer);
	return 0;
}

#define PROOF_OPTIONS                                                                      \
	{ "password-file", 0, "FILE",                                                      \
		"your password, where the login is not fresh ('-': standard "              \
		"input)" },                                                                \
	{                                                                                  \
		"code", 0, "CODE", "a code of the present second factor, or a backup code" \
	}

const struct cli_command cli_mfa_commands[] = {
	{ "mfa status", "[USER]", 0, 1, "show the second factor of a login", NULL, { { 0 } },
		mfa_status },
	{ "mfa enroll", "", 0, 0, "enrol a second factor, or another in its place",
		"Shows a QR code for an authenticator and asks for the code that it shows then; "
		"ten backup codes follow. Off a terminal it prints the otpauth URI, and 'mortise "
		"mfa confirm' ends it.\n\n"
		"  mortise mfa enroll\n"
		"  mortise mfa enroll --method sms --phone +14155550100",
		{ { "method", 0, "NAME", "totp, email or sms (default: totp)" },
			{ "phone", 0, "NUMBER", "where codes go (default: your account's)" },
			{ "algorithm", 0, "NAME", "SHA1, SHA256 or SHA512 (default: SHA1)" },
			{ "digits", 0, "N", "of a code, 6 to 8 (default: 6)" },
			{ "svg", 0, "FILE", "write the QR code there instead, for you alone" },
			{ "end-others", 0, NULL, "end your other sessions" }, PROOF_OPTIONS },
		mfa_enroll },
	{ "mfa confirm", "CODE", 1, 1, "end an enrolment with the code that came of it", NULL,
		{ { "method", 0, "NAME", "totp, email or sms (default: totp)" },
			{ "end-others", 0, NULL, "end your other sessions" } },
		mfa_confirm },
	{ "mfa disable", "[USER]", 0, 1, "take a second factor away",
		"Of another user as an ADMIN. The user is told by mail where a plugin provides "
		"notify/1.",
		{ PROOF_OPTIONS }, mfa_disable },
	{ "mfa send", "", 0, 0, "have a code sent, to be given as --code",
		"By the enrolled method, e-mail or SMS. It counts in the session of this login.",
		{ { 0 } }, mfa_send },
	{ "mfa backup-codes", "", 0, 0, "make new backup codes; the old ones end", NULL,
		{ PROOF_OPTIONS }, mfa_backup_codes },
	{ 0 },
};
