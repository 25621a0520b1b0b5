/* The manual page mortise(1), from the same tables as every other help text. */
#include <stdio.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/settings.h"
#include "cli/cli.h"
#include "cli/help.h"

/* man(7): a backslash and a minus are escaped, and no line of text begins with a control character.
 */
static void put_text(const char *s)
{
	bool line_start = true;

	for (; *s; s++) {
		if (line_start && (*s == '.' || *s == '\''))
			fputs("\\&", stdout);
		if (*s == '\\')
			fputs("\\e", stdout);
		else if (*s == '-')
			fputs("\\-", stdout);
		else
			putchar(*s);
		line_start = *s == '\n';
	}
}

static void put_option(const struct cli_option *option)
{
	puts(".TP");
	fputs(".B ", stdout);
	if (option->letter)
		printf("\\-%c, ", option->letter);
	fputs("\\-\\-", stdout);
	put_text(option->name);
	if (option->argument)
		printf(" \\fI%s\\fR", option->argument);
	putchar('\n');
	put_text(option->help);
	putchar('\n');
}

static void put_command(const struct cli_command *command)
{
	fputs(".SS mortise ", stdout);
	put_text(command->path);
	if (command->arguments[0])
		printf(" \\fI%s\\fR", command->arguments);
	putchar('\n');
	put_text(command->summary);
	puts(".");
	if (command->details) {
		puts(".PP\n.nf");
		put_text(command->details);
		puts("\n.fi");
	}
	for (int i = 0; i < CLI_OPTIONS_MAX && command->options[i].name; i++)
		put_option(&command->options[i]);
}

static void put_settings(const struct settings *settings)
{
	struct setting setting;
	char *value;

	for (size_t i = 0; settings_at(settings, i, &setting, &value); i++) {
		mem_free(value);
		fputs(".TP\n.B ", stdout);
		put_text(setting.variable);
		fputs("\n", stdout);
		put_text(setting.help);
		if (setting.fallback[0]) {
			fputs(" (default: ", stdout);
			put_text(setting.fallback);
			puts(")");
		} else {
			puts("");
		}
	}
}

void help_man(const struct cli *cli, const struct cli_option *globals, int count)
{
	puts(".TH MORTISE 1 \"\" \"Mortise " MORTISE_VERSION "\" \"Mortise manual\"\n"
	     ".SH NAME\nmortise \\- a plugin host for internal developer platforms\n"
	     ".SH SYNOPSIS\n.B mortise\n\\fICOMMAND\\fR [\\fIarguments\\fR] [\\fIoptions\\fR]\n"
	     ".SH DESCRIPTION\n"
	     "Starts and stops the host on this machine, and installs and watches plugins on any "
	     "host over its\n"
	     "HTTP API. Results go to standard output, progress and errors to standard error.\n"
	     ".SH OPTIONS OF EVERY COMMAND");
	for (int i = 0; i < count; i++)
		put_option(&globals[i]);
	puts(".SH COMMANDS");
	help_each_command(put_command);
	puts(".SH ENVIRONMENT\n.TP\n.B MORTISE_HOST\nThe host to talk to.\n.TP\n.B MORTISE_TOKEN\n"
	     "The API key (default: the file admin.token in the data folder).\n.TP\n.B "
	     "NO_COLOR\nNo colour.");
	put_settings(&cli->settings);
	puts(".SH EXIT STATUS\n.nf");
	help_print_exit_codes();
	puts(".fi\n.SH SEE ALSO\n.BR mortised (8)");
}
