/* secret.h - a secret from a person or a program, never from an argument
 *
 * Arguments are there for every user of the machine to read, and stay in the shell's history.
 */
#ifndef MORTISE_CLI_SECRET_H
#define MORTISE_CLI_SECRET_H

#include <stdbool.h>
#include <stddef.h>

struct cli;
struct error;
struct text;

/* Append the secret of 1 to max bytes of UTF-8: the file's, less one line break at its end; else,
 * on a terminal, what the person types unseen (twice, to be sure, when it is a new one); else all
 * of standard input, less one line break. ERR_USAGE: nobody is there to type it. The caller wipes
 * out, which has room for max bytes and so leaves no copies behind. */
struct secret_source {
	const char *prompt; /* "Password" */
	const char *file;   /* or NULL; "-" is standard input */
	size_t max;
	bool fresh;
};
int secret_read(
	struct cli *cli, const struct secret_source *source, struct text *out, struct error *err);

#endif
