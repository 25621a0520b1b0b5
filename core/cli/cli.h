/* cli.h - what every command shares: its description, its options, its voice
 *
 * A command is one entry of a table: path, arguments, options, help and a
 * function. Results go to stdout, progress and errors to stderr; with --json a
 * result is one JSON value and an error one JSON object. Everything here runs in
 * the main thread.
 */
#ifndef MORTISE_CLI_CLI_H
#define MORTISE_CLI_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/settings.h"

struct client;
struct error;
struct text;

#define CLI_OPTIONS_MAX 12

struct cli_option {
	const char *name;     /* "expires"; NULL ends the list */
	char letter;          /* 'e', or 0 */
	const char *argument; /* "DAYS"; NULL for a switch */
	const char *help;
};

struct cli;

struct cli_command {
	const char *path;      /* "plugin install"; NULL ends a table */
	const char *arguments; /* "FILE" */
	int least, most;       /* how many arguments */
	const char *summary;   /* one line */
	const char *details;   /* paragraphs and an example, or NULL */
	struct cli_option options[CLI_OPTIONS_MAX];
	int (*run)(struct cli *cli, struct error *err);
};

/* The tables of the cmd_*.c files. */
extern const struct cli_command cli_user_commands[], cli_team_commands[], cli_access_commands[],
	cli_host_commands[], cli_plugin_commands[], cli_change_commands[], cli_package_commands[],
	cli_key_commands[], cli_trust_commands[], cli_service_commands[], cli_api_key_commands[],
	cli_api_commands[], cli_db_commands[], cli_top_commands[], cli_audit_commands[],
	cli_setting_commands[], cli_session_commands[], cli_mfa_commands[], cli_secret_commands[],
	cli_key_ring_commands[], cli_privacy_commands[];

struct cli {
	const struct cli_command *command;
	struct settings settings;
	char **arguments;
	int count;
	const char *
		values[CLI_OPTIONS_MAX]; /* of the command's options; "" for a switch that is set */
	bool json, quiet, yes, no_input;
	const char *reason;
	bool colour_out, colour_err; /* each stream is a terminal that wants it */
	bool live;                   /* stderr is a terminal that can be animated */
	struct client *client;       /* made on first use: cli_client() */
	const char *host, *token;
};

/* The value of the command's option by its name: NULL when it was not given. */
const char *cli_value(const struct cli *cli, const char *option);
/* The same as a number of at most max. ERR_USAGE names the option. Unchanged when not given. */
int cli_number(
	const struct cli *cli, const char *option, uint64_t max, uint64_t *out, struct error *err);

/* The data folder. The caller's. */
int cli_data(struct cli *cli, char **out, struct error *err);

/* Ask "question [y/N] "; true for yes or with --yes. Off a terminal or with --no-input:
 * ERR_USAGE, which says to give --yes. 0 and *yes = false: the person declined. */
int cli_confirm(struct cli *cli, const char *question, bool *yes, struct error *err);

/* SGR codes by meaning; "" without colour. */
enum cli_style {
	STYLE_PLAIN,
	STYLE_GOOD,
	STYLE_WARN,
	STYLE_BAD,
	STYLE_DIM,
	STYLE_BOLD,
	STYLE_COUNT
};
const char *cli_style(const struct cli *cli, FILE *stream, enum cli_style style);

/* A fact to stderr, unless --quiet: "  word     text". */
__attribute__((format(printf, 3, 4))) void cli_step(
	struct cli *cli, const char *word, const char *format, ...);
/* The last word to stderr, with a green tick, unless --quiet or --json. */
__attribute__((format(printf, 2, 3))) void cli_done(struct cli *cli, const char *format, ...);

/* Print a JSON value to stdout, indented on a terminal and one line off it. */
void cli_json(const json_t *value);

/* A bar on one line of stderr: nothing off a terminal. label is at most 10 characters; done ==
 * total ends the line. */
void cli_progress(struct cli *cli, const char *label, uint64_t done, uint64_t total);

/* Tables: columns aligned by display width, headings dim, nothing cut off a terminal. */
struct cli_table;
struct cli_table *cli_table_new(const char *const *headings, size_t columns);
void cli_table_row(struct cli_table *table, const char *const *cells);
void cli_table_print(struct cli *cli, struct cli_table *table); /* and free it */

/* Write what others said, on one line: a control character, which could move the cursor or forge a
 * line, becomes '?', a line break a blank. */
void cli_put(FILE *stream, const char *s);

/* 1536 as "1.5 kB"; the buffer is the caller's. */
#define CLI_SIZE_TEXT 24
const char *cli_size(uint64_t bytes, char out[static CLI_SIZE_TEXT]);

/* A string member, or fallback; never NULL for a non-NULL fallback. Borrowed. */
const char *cli_text(const json_t *object, const char *key, const char *fallback);
int64_t cli_integer(const json_t *object, const char *key, int64_t fallback);

#endif
