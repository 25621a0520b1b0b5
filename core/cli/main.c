/* mortise - the command line
 *
 * Finds the command in the tables, reads its options with getopt_long and says
 * what went wrong in one way for all: what, fix, code, exit status.
 */
#include <getopt.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/paths.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/help.h"

static const struct cli_option global_options[] = {
	{ "json", 0, NULL, "print the result as JSON" },
	{ "quiet", 'q', NULL, "print the result only" },
	{ "yes", 'y', NULL, "answer yes to every question" },
	{ "no-input", 0, NULL, "never ask; fail instead" },
	{ "reason", 'm', "TEXT", "why, for the change's record" },
	{ "host", 0, "URL",
		"the host to talk to (MORTISE_HOST; default: the one on this data folder)" },
	{ "data", 0, "DIR", "data folder of the host on this machine (MORTISE_DATA)" },
	{ "help", 'h', NULL, "show the help of the command" },
};

#define GLOBALS ((int)ARRAY_LENGTH(global_options))

static void add_option(
	const struct cli_option *option, int value, struct option *long_form, struct text *letters)
{
	*long_form = (struct option){ option->name,
		option->argument ? required_argument : no_argument, NULL, value };
	if (option->letter) {
		text_append_char(letters, option->letter);
		if (option->argument)
			text_append_char(letters, ':');
	}
}

static int set_global(struct cli *cli, int index, struct error *err)
{
	const char *name = global_options[index].name;

	if (strcmp(name, "json") == 0)
		cli->json = true;
	else if (strcmp(name, "quiet") == 0)
		cli->quiet = true;
	else if (strcmp(name, "yes") == 0)
		cli->yes = true;
	else if (strcmp(name, "no-input") == 0)
		cli->no_input = true;
	else if (strcmp(name, "reason") == 0)
		cli->reason = optarg;
	else if (strcmp(name, "host") == 0)
		cli->host = optarg;
	else if (strcmp(name, "data") == 0)
		return settings_set(&cli->settings, "data", optarg, err);
	return 0;
}

/* The option's place in the value space: the command's own first, then the global ones. */
static int place_of(const struct cli_command *command, int value, int letter)
{
	if (value >= 0x100)
		return value - 0x100;
	for (int i = 0; i < CLI_OPTIONS_MAX && command->options[i].name; i++)
		if (command->options[i].letter == letter)
			return i;
	for (int i = 0; i < GLOBALS; i++)
		if (global_options[i].letter == letter)
			return CLI_OPTIONS_MAX + i;
	return -1;
}

/* Sets *help when --help was among them. */
static int read_options(struct cli *cli, int argc, char **argv, bool *help, struct error *err)
{
	struct option long_forms[CLI_OPTIONS_MAX + ARRAY_LENGTH(global_options) + 1] = { 0 };
	const struct cli_command *command = cli->command;
	struct text letters;
	int n = 0, c, rc = 0;

	text_init(&letters);
	text_append_char(&letters, ':');
	for (int i = 0; i < CLI_OPTIONS_MAX && command->options[i].name; i++)
		add_option(&command->options[i], 0x100 + i, &long_forms[n++], &letters);
	for (int i = 0; i < GLOBALS; i++)
		add_option(&global_options[i], 0x100 + CLI_OPTIONS_MAX + i, &long_forms[n++],
			&letters);
	opterr = 0;
	optind = 1;
	while (rc == 0 && (c = getopt_long(argc, argv, letters.data, long_forms, NULL)) != -1) {
		int place = c == '?' || c == ':' ? -1 : place_of(command, c, c);

		if (c == ':')
			rc = error_set(
				err, ERR_USAGE, "option '%s' needs a value", argv[optind - 1]);
		else if (place < 0)
			rc = error_set(err, ERR_USAGE, "'mortise %s' has no option '%s'",
				command->path, argv[optind - 1]);
		else if (place < CLI_OPTIONS_MAX)
			cli->values[place] = optarg ? optarg : "";
		else if (strcmp(global_options[place - CLI_OPTIONS_MAX].name, "help") == 0)
			*help = true;
		else
			rc = set_global(cli, place - CLI_OPTIONS_MAX, err);
	}
	text_done(&letters);
	cli->arguments = argv + optind;
	cli->count = argc - optind;
	return rc;
}

static int check_count(const struct cli *cli, struct error *err)
{
	const struct cli_command *command = cli->command;

	if (cli->count >= command->least && cli->count <= command->most)
		return 0;
	return error_set(err, ERR_USAGE, "'mortise %s' takes %s, not %d argument%s", command->path,
		command->arguments[0] ? command->arguments : "no arguments", cli->count,
		cli->count == 1 ? "" : "s");
}

static bool wants_colour(FILE *stream)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(fileno(stream)) && !(no && no[0]) && term && strcmp(term, "dumb") != 0;
}

static void report(struct cli *cli, const struct error *err)
{
	const struct error_entry *entry = error_entry(err->code);
	char code[16];
	json_t *out;

	(void)snprintf(code, sizeof(code), "MRT-%d", -entry->code);
	if (cli->json) {
		out = json_pack("{s:{s:s, s:s, s:s, s:s}}", "error", "code", code, "name",
			entry->name, "text", err->text, "fix", error_advice(err));
		json_dumpf(out, stderr, JSON_COMPACT);
		fputc('\n', stderr);
		json_decref(out);
		return;
	}
	fprintf(stderr, "%s✗%s ", cli_style(cli, stderr, STYLE_BAD),
		cli_style(cli, stderr, STYLE_PLAIN));
	cli_put(stderr, err->text);
	fputs("\n  fix   ", stderr);
	cli_put(stderr, error_advice(err));
	fprintf(stderr, "\n  more  mortise help %s\n", code);
}

static int run(struct cli *cli, int argc, char **argv, struct error *err)
{
	bool help = false;
	int words, rc;

	rc = settings_init(&cli->settings, err);
	if (rc < 0)
		return rc;
	cli->host = getenv("MORTISE_HOST");
	cli->token = getenv("MORTISE_TOKEN");
	if (help_wanted(argc, argv))
		return help_run(cli, argc, argv, global_options, GLOBALS, err);
	rc = help_find(argc, argv, &cli->command, &words, err);
	if (rc < 0)
		return rc;
	/* getopt_long() starts behind argv[0], which is the last word of the command's path here.
	 */
	rc = read_options(cli, argc - words, argv + words, &help, err);
	if (rc == 0 && help) {
		help_print(cli, cli->command, global_options, GLOBALS);
		return 0;
	}
	if (rc == 0)
		rc = check_count(cli, err);
	if (rc == 0)
		rc = cli->command->run(cli, err);
	if (rc == ERR_USAGE && !err->fix[0])
		(void)error_fix(err, "see 'mortise %s --help'", cli->command->path);
	return rc;
}

const char *cli_value(const struct cli *cli, const char *option)
{
	for (int i = 0; i < CLI_OPTIONS_MAX && cli->command->options[i].name; i++)
		if (strcmp(cli->command->options[i].name, option) == 0)
			return cli->values[i];
	return NULL;
}

int cli_number(
	const struct cli *cli, const char *option, uint64_t max, uint64_t *out, struct error *err)
{
	const char *value = cli_value(cli, option);

	if (!value)
		return 0;
	if (!span_u64(span_of(value), max, out))
		return error_set(err, ERR_USAGE, "--%s takes a number of at most %llu, not '%s'",
			option, (unsigned long long)max, value);
	return 0;
}

int cli_data(struct cli *cli, char **out, struct error *err)
{
	return paths_data(out, &cli->settings, err);
}

int main(int argc, char **argv)
{
	struct error err = { 0 };
	struct cli cli = { 0 };
	int rc;

	(void)setlocale(LC_CTYPE, "");
	cli.colour_out = wants_colour(stdout);
	cli.colour_err = wants_colour(stderr);
	cli.live = cli.colour_err;
	rc = run(&cli, argc, argv, &err);
	client_free(cli.client);
	settings_done(&cli.settings);
	/* A result that nobody could read is no success. */
	if (fflush(stdout) == EOF && rc == 0)
		rc = error_set(&err, ERR_SYSTEM, "the output could not be written");
	if (rc == 0)
		return 0;
	if (rc > 0)
		return rc;
	report(&cli, &err);
	return error_entry(rc)->exit_code;
}
