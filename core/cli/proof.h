/* proof.h - passwords and codes on their way into the body of a request
 *
 * Main thread.
 */
#ifndef MORTISE_CLI_PROOF_H
#define MORTISE_CLI_PROOF_H

#include <jansson.h>

struct cli;
struct error;

/* Ask as secret_read() does, and put it into body as member. */
int proof_ask(struct cli *cli, const char *prompt, const char *file, json_t *body,
	const char *member, struct error *err);

/* Put a code into body: "code" when it is one of an authenticator or of a message, else
 * "backup_code". */
void proof_put_code(json_t *body, const char *code);

/* Ask for either kind. */
int proof_ask_code(struct cli *cli, json_t *body, struct error *err);

#endif
