/* help.h - find a command, and say what there is
 *
 * All help text is made from the command tables, so it cannot differ from what
 * the commands take.
 */
#ifndef MORTISE_CLI_HELP_H
#define MORTISE_CLI_HELP_H

#include <stdbool.h>

struct cli;
struct cli_command;
struct cli_option;
struct error;

/* True for no command at all, help, --help, -h and --version. */
bool help_wanted(int argc, char **argv);
int help_run(struct cli *cli, int argc, char **argv, const struct cli_option *globals, int count,
	struct error *err);

/* The command that argv[1...] names, and of how many words. ERR_USAGE with a suggestion. */
int help_find(int argc, char **argv, const struct cli_command **out, int *words, struct error *err);

void help_print(struct cli *cli, const struct cli_command *command,
	const struct cli_option *globals, int count);

/* The manual page mortise(1) in man(7) form, to stdout (man.c). */
void help_man(const struct cli *cli, const struct cli_option *globals, int count);

/* Each command in the order of the overview. */
void help_each_command(void (*visit)(const struct cli_command *command));
void help_print_exit_codes(void);

#endif
