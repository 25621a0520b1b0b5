#include "cli/proof.h"

#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/secret.h"
#include "codec/json.h"

#define SECRET_MAX      1024
#define CODE_DIGITS_MAX 8 /* what is longer is a backup code */

int proof_ask(struct cli *cli, const char *prompt, const char *file, json_t *body,
	const char *member, struct error *err)
{
	const struct secret_source source = { .prompt = prompt, .file = file, .max = SECRET_MAX };
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

void proof_put_code(json_t *body, const char *code)
{
	size_t len = strspn(code, "0123456789 "), digits = 0;

	for (size_t i = 0; i < len; i++)
		digits += code[i] != ' ';
	(void)json_object_set_new(body,
		code[len] == '\0' && digits <= CODE_DIGITS_MAX ? "code" : "backup_code",
		json_string(code));
}

int proof_ask_code(struct cli *cli, json_t *body, struct error *err)
{
	CLEANUP(json_freep) json_t *typed = json_object();
	int rc = proof_ask(cli, "Code, or a backup code", NULL, typed, "code", err);

	if (rc == 0)
		proof_put_code(body, cli_text(typed, "code", ""));
	return rc;
}
