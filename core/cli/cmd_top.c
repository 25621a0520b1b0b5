/* mortise top - who uses what, live on a terminal and once off it */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "codec/json.h"

#define REFRESH_MS 2000

static const char *const headings[] = { "PLUGIN", "VERSION", "STATE", "HEALTH", "CPU %", "CPU TIME",
	"MEMORY", "DISK", "RESTARTS", "UP" };

static char *duration(int64_t seconds)
{
	if (seconds < 0)
		return mem_strdup("-");
	if (seconds < 60)
		return mem_printf("%lld s", (long long)seconds);
	if (seconds < 3600)
		return mem_printf("%lld min", (long long)seconds / 60);
	if (seconds < 86400)
		return mem_printf("%lld h", (long long)seconds / 3600);
	return mem_printf("%lld d", (long long)seconds / 86400);
}

static int64_t seconds_since(const char *when)
{
	int64_t us;

	return when && clock_parse(span_of(when), &us) ? (clock_real_us() - us) / 1000000 : -1;
}

static void add_row(struct cli_table *table, const json_t *item)
{
	char memory[CLI_SIZE_TEXT], disk[CLI_SIZE_TEXT];
	CLEANUP(mem_freep)
	char *percent = mem_printf("%.1f", json_number_value(json_object_get(item, "cpu_percent")));
	CLEANUP(mem_freep)
	char *time = mem_printf("%.1f s", (double)cli_integer(item, "cpu_ns", 0) / 1e9);
	CLEANUP(mem_freep)
	char *restarts = mem_printf("%lld", (long long)cli_integer(item, "restarts", 0));
	CLEANUP(mem_freep) char *up = duration(seconds_since(cli_text(item, "started_at", NULL)));

	cli_table_row(table,
		(const char *[]){ cli_text(item, "plugin", ""), cli_text(item, "version", "-"),
			cli_text(item, "state", ""), cli_text(item, "health", ""), percent, time,
			cli_size((uint64_t)cli_integer(item, "memory_bytes", 0), memory),
			cli_size((uint64_t)cli_integer(item, "disk_bytes", 0), disk), restarts,
			up });
}

static int show_once(struct cli *cli, struct error *err)
{
	CLEANUP(json_freep) json_t *usage = NULL;
	struct cli_table *table;
	json_t *item;
	size_t i;
	int rc = client_get(cli, "/v1/usage", &usage, err);

	if (rc < 0)
		return rc;
	if (cli->json) {
		cli_json(json_object_get(usage, "items"));
		return 0;
	}
	table = cli_table_new(headings, ARRAY_LENGTH(headings));
	json_array_foreach(json_object_get(usage, "items"), i, item) add_row(table, item);
	cli_table_print(cli, table);
	return 0;
}

/* True when the person wants out. */
static bool wait_key(void)
{
	struct pollfd in = { STDIN_FILENO, POLLIN, 0 };
	char c;

	if (poll(&in, 1, REFRESH_MS) <= 0)
		return false;
	return read(STDIN_FILENO, &c, 1) != 1 || c == 'q' || c == 'Q';
}

static int show_live(struct cli *cli, struct error *err)
{
	struct termios before, raw;
	int rc;

	if (tcgetattr(STDIN_FILENO, &before) == -1)
		return error_set_errno(err, errno, "read the terminal's mode");
	raw = before;
	/* Keys come at once; Ctrl-C still interrupts. */
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	(void)tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	/* The other screen, and long lines are cut, not wrapped. */
	fputs("\033[?1049h\033[?7l", stdout);
	do {
		fputs("\033[H\033[J", stdout);
		rc = show_once(cli, err);
		printf("\n%srefresh %d s   [q] quit%s", cli_style(cli, stdout, STYLE_DIM),
			REFRESH_MS / 1000, cli_style(cli, stdout, STYLE_PLAIN));
		(void)fflush(stdout);
	} while (rc == 0 && !wait_key());
	fputs("\033[?7h\033[?1049l", stdout);
	(void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
	return rc;
}

static int top(struct cli *cli, struct error *err)
{
	bool terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && cli->live;

	if (cli->json || cli_value(cli, "once") || !terminal)
		return show_once(cli, err);
	return show_live(cli, err);
}

const struct cli_command cli_top_commands[] = {
	{ "top", "", 0, 0, "show what each plugin uses, live on a terminal",
		"CPU is in percent of one core, from the kernel's own clock of the worker.",
		{ { "once", '1', NULL, "print once and leave" } }, top },
	{ 0 },
};
