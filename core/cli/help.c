#include "cli/help.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/settings.h"
#include "base/text.h"
#include "cli/cli.h"

#define SUGGEST_DISTANCE 2
#define WORD_MAX         32

/* The order of the overview. */
static const struct {
	const char *title;
	const struct cli_command *commands;
} groups[] = {
	{ "The host", cli_host_commands },
	{ "Plugins", cli_plugin_commands },
	{ "Secrets of plugins", cli_secret_commands },
	{ "Changes", cli_change_commands },
	{ "Settings", cli_setting_commands },
	{ "Usage", cli_top_commands },
	{ "Audit trail", cli_audit_commands },
	{ "The catalog", cli_service_commands },
	{ "Packages", cli_package_commands },
	{ "Master keys", cli_key_ring_commands },
	{ "Signing keys", cli_key_commands },
	{ "Trust", cli_trust_commands },
	{ "Logging in", cli_session_commands },
	{ "Second factors", cli_mfa_commands },
	{ "Users", cli_user_commands },
	{ "Teams", cli_team_commands },
	{ "Access", cli_access_commands },
	{ "Privacy", cli_privacy_commands },
	{ "API keys", cli_api_key_commands },
	{ "HTTP", cli_api_commands },
	{ "Database", cli_db_commands },
};

#define for_each_command(command)                                                                \
	for (size_t group_ = 0; group_ < ARRAY_LENGTH(groups); group_++)                         \
		for (const struct cli_command *command = groups[group_].commands; command->path; \
			command++)

static int count_words(const char *path)
{
	int n = 1;

	for (; *path; path++)
		n += *path == ' ';
	return n;
}

/* How many words path and argv share from their beginnings on. */
static int shared_words(const char *path, int argc, char **argv)
{
	struct span rest = span_of(path), word;
	int n = 0;

	while (n + 1 < argc && span_split(&rest, ' ', &word) && span_is(word, argv[n + 1]))
		n++;
	return n;
}

/* How many of argv's words are the beginning of longer paths: 2 of "plugin secret". */
static int group_words(int argc, char **argv)
{
	int most = 0;

	for_each_command(command)
	{
		int n = shared_words(command->path, argc, argv);

		if (n > most && n < count_words(command->path))
			most = n;
	}
	return most;
}

/* "mortise plugin --help" */
static bool asks_for_group(int argc, char **argv)
{
	int n = group_words(argc, argv);

	return n > 0 && argc == n + 2 &&
	       (strcmp(argv[argc - 1], "--help") == 0 || strcmp(argv[argc - 1], "-h") == 0);
}

void help_each_command(void (*visit)(const struct cli_command *command))
{
	for_each_command(command) visit(command);
}

bool help_wanted(int argc, char **argv)
{
	return argc < 2 || asks_for_group(argc, argv) || strcmp(argv[1], "help") == 0 ||
	       strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	       strcmp(argv[1], "--version") == 0;
}

/* Levenshtein's distance, of short words only. */
static size_t distance(const char *a, const char *b)
{
	size_t row[WORD_MAX + 1], n = strlen(b);

	if (strlen(a) > WORD_MAX || n > WORD_MAX)
		return SIZE_MAX;
	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1]; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			size_t change = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			if (row[j] + 1 < change)
				change = row[j] + 1;
			if (row[j - 1] + 1 < change)
				change = row[j - 1] + 1;
			row[j] = change;
		}
	}
	return row[n];
}

/* The first count words of a path. */
static char *first_words(const char *path, int count)
{
	const char *end = path;

	for (; *end; end++)
		if (*end == ' ' && --count == 0)
			break;
	return mem_printf("%.*s", (int)(end - path), path);
}

/* The first count words behind the program's name. */
static char *join_words(char **argv, int count)
{
	struct text words;
	char *taken;

	text_init(&words);
	for (int i = 1; i <= count; i++)
		text_printf(&words, "%s%s", i > 1 ? " " : "", argv[i]);
	taken = text_take(&words);
	text_done(&words);
	return taken;
}

static int not_found(int argc, char **argv, struct error *err)
{
	int group = group_words(argc, argv);
	CLEANUP(mem_freep) char *known = join_words(argv, group);
	CLEANUP(mem_freep) char *typed = NULL, *best = NULL;
	size_t least = SUGGEST_DISTANCE + 1;

	if (group && argc == group + 1) {
		(void)error_set(err, ERR_USAGE, "'mortise %s' needs a subcommand", known);
		return error_fix(err, "see 'mortise help %s'", known);
	}
	typed = join_words(argv, group + 1);
	(void)error_set(err, ERR_USAGE, "there is no command 'mortise %s'", typed);
	for_each_command(command)
	{
		int words = count_words(command->path);
		int both = words < argc ? words : argc - 1;
		CLEANUP(mem_freep) char *mine = first_words(command->path, both);
		CLEANUP(mem_freep) char *theirs = join_words(argv, both);
		size_t d = distance(theirs, mine);

		if (words > group && shared_words(command->path, argc, argv) == group &&
			d < least) {
			least = d;
			mem_free(best);
			best = TAKE(mine);
		}
	}
	if (!best)
		return error_fix(err, "see 'mortise help%s%s'", group ? " " : "", known);
	return error_fix(err, "did you mean 'mortise %s'?", best);
}

int help_find(int argc, char **argv, const struct cli_command **out, int *words, struct error *err)
{
	const struct cli_command *best = NULL;
	int most = 0;

	for_each_command(command)
	{
		int n = shared_words(command->path, argc, argv);

		if (n > most && n == count_words(command->path)) {
			most = n;
			best = command;
		}
	}
	if (!best)
		return not_found(argc, argv, err);
	*out = best;
	*words = most;
	return 0;
}

static void print_options(const struct cli_option *options, int count)
{
	for (int i = 0; i < count && options[i].name; i++) {
		CLEANUP(mem_freep)
		char *left = mem_printf("%s%.1s%s--%s%s%s", options[i].letter ? "-" : "  ",
			options[i].letter ? &options[i].letter : "",
			options[i].letter ? ", " : "  ", options[i].name,
			options[i].argument ? " " : "",
			options[i].argument ? options[i].argument : "");

		printf("  %-26s %s\n", left, options[i].help);
	}
}

void help_print(struct cli *cli, const struct cli_command *command,
	const struct cli_option *globals, int count)
{
	const char *bold = cli_style(cli, stdout, STYLE_BOLD);
	const char *plain = cli_style(cli, stdout, STYLE_PLAIN);

	printf("%smortise %s%s - %s\n\n", bold, command->path, plain, command->summary);
	printf("usage: mortise %s%s%s [options]\n", command->path, command->arguments[0] ? " " : "",
		command->arguments);
	if (command->details)
		printf("\n%s\n", command->details);
	if (command->options[0].name) {
		printf("\n%soptions%s\n", bold, plain);
		print_options(command->options, CLI_OPTIONS_MAX);
	}
	printf("\n%soptions of every command%s\n", bold, plain);
	print_options(globals, count);
}

/* Those of the commands that share their first count words with argv: all of them for 0. */
static void print_group(struct cli *cli, const char *title, const struct cli_command *commands,
	int count, char **argv)
{
	bool any = false;

	for (; commands->path; commands++) {
		CLEANUP(mem_freep)
		char *left = mem_printf("%s %s", commands->path, commands->arguments);

		if (shared_words(commands->path, count + 1, argv) < count)
			continue;
		if (!any)
			printf("\n%s%s%s\n", cli_style(cli, stdout, STYLE_BOLD), title,
				cli_style(cli, stdout, STYLE_PLAIN));
		any = true;
		printf("  %-42s %s\n", left, commands->summary);
	}
}

static void print_overview(struct cli *cli)
{
	printf("%smortise%s - a plugin host for internal developer platforms\n\n"
	       "usage: mortise COMMAND [arguments] [options]\n",
		cli_style(cli, stdout, STYLE_BOLD), cli_style(cli, stdout, STYLE_PLAIN));
	for (size_t i = 0; i < ARRAY_LENGTH(groups); i++)
		print_group(cli, groups[i].title, groups[i].commands, 0, NULL);
	printf("\nhelp on one: mortise COMMAND --help   topics: mortise help exit-codes | settings "
	       "| errors | MRT-NNNN\n"
	       "start here:  mortise up\n");
}

void help_print_exit_codes(void)
{
	puts("0    done\n"
	     "1    failed\n"
	     "2    wrong usage or a setting that is not valid\n"
	     "3    partly done (N of M)\n"
	     "4    not authenticated or not permitted\n"
	     "5    not found\n"
	     "6    conflict, or not possible in this state\n"
	     "7    verification failed: checksum, signature or policy\n"
	     "8    unhealthy, and rolled back\n"
	     "75   the host cannot be reached or is busy; try again\n"
	     "130  interrupted");
}

static void print_settings(const struct cli *cli)
{
	struct setting setting;
	char *value;

	for (size_t i = 0; settings_at(&cli->settings, i, &setting, &value); i++) {
		/* What stands for no value is in the words of those that may have none. */
		printf("%s\n    %s\n    %s or %s%s%s%s%s\n", setting.name, setting.help,
			setting.flag, setting.variable, setting.fallback[0] ? "; default " : "",
			setting.fallback, strcmp(value, setting.fallback) == 0 ? "" : "; now ",
			strcmp(value, setting.fallback) == 0 ? "" : value);
		mem_free(value);
	}
}

static void print_errors(void)
{
	size_t count;
	const struct error_entry *entries = error_entries(&count);

	for (size_t i = 0; i < count; i++)
		printf("MRT-%d  %-20s %s\n", -entries[i].code, entries[i].name, entries[i].text);
}

static int print_error(const char *id, struct error *err)
{
	const struct error_entry *entry;
	uint64_t number;

	if (!span_u64(span_of(id + 4), 9999, &number) ||
		(entry = error_entry(-(int)number), entry->code != -(int)number))
		return error_set(err, ERR_NOT_FOUND, "there is no error '%s'", id);
	printf("MRT-%d %s: %s\n\n  fix          %s\n  HTTP status  %d\n  exit code    %d\n",
		-entry->code, entry->name, entry->text, entry->fix, entry->http_status,
		entry->exit_code);
	return 0;
}

static int help_on(struct cli *cli, int argc, char **argv, const struct cli_option *globals,
	int count, struct error *err)
{
	const struct cli_command *command;
	int words;

	if (strncmp(argv[2], "MRT-", 4) == 0)
		return print_error(argv[2], err);
	words = group_words(argc - 1, argv + 1);
	if (words && argc == words + 2) {
		for (size_t i = 0; i < ARRAY_LENGTH(groups); i++)
			print_group(cli, groups[i].title, groups[i].commands, words, argv + 1);
		return 0;
	}
	if (help_find(argc - 1, argv + 1, &command, &words, err) < 0)
		return err->code;
	help_print(cli, command, globals, count);
	return 0;
}

int help_run(struct cli *cli, int argc, char **argv, const struct cli_option *globals, int count,
	struct error *err)
{
	if (argc >= 2 && strcmp(argv[1], "--version") == 0) {
		puts("mortise " MORTISE_VERSION);
		return 0;
	}
	/* "mortise plugin --help" is "mortise help plugin". */
	if (asks_for_group(argc, argv)) {
		memmove(argv + 2, argv + 1, (size_t)(argc - 2) * sizeof(*argv));
		return help_on(cli, argc, argv, globals, count, err);
	}
	if (argc < 3) {
		print_overview(cli);
		return 0;
	}
	if (strcmp(argv[2], "exit-codes") == 0)
		help_print_exit_codes();
	else if (strcmp(argv[2], "settings") == 0)
		print_settings(cli);
	else if (strcmp(argv[2], "errors") == 0)
		print_errors();
	else if (strcmp(argv[2], "man") == 0)
		help_man(cli, globals, count);
	else
		return help_on(cli, argc, argv, globals, count, err);
	return 0;
}
