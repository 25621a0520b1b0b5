#include "cli/cli.h"

#include <locale.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"

#define BAR_CELLS  24
#define COLUMN_GAP 2

const char *cli_style(const struct cli *cli, FILE *stream, enum cli_style style)
{
	static const char *const codes[STYLE_COUNT] = { "\033[0m", "\033[32m", "\033[33m",
		"\033[31m", "\033[2m", "\033[1m" };

	return (stream == stdout ? cli->colour_out : cli->colour_err) ? codes[style] : "";
}

/* Append the next character of *s, made harmless, and step behind it: what is shown must not move
 * the cursor. C1 is U+0080 to U+009F. */
static void append_harmless(struct text *t, const char **s)
{
	unsigned char c = (unsigned char)(*s)[0], next = (unsigned char)(*s)[1];
	bool c1 = c == 0xc2 && next >= 0x80 && next < 0xa0;

	if (c == '\n' || c == '\t')
		c = ' ';
	text_append_char(t, c < ' ' || c == 0x7f || c1 ? '?' : (char)c);
	*s += c1 ? 2 : 1;
}

void cli_put(FILE *stream, const char *s)
{
	struct text t;

	text_init(&t);
	while (*s)
		append_harmless(&t, &s);
	(void)fwrite(t.data, 1, t.len, stream);
	text_done(&t);
}

__attribute__((format(printf, 1, 0))) static void put_formatted(const char *format, va_list args)
{
	CLEANUP(mem_freep) char *text = NULL;
	va_list again;
	int len;

	va_copy(again, args);
	len = vsnprintf(NULL, 0, format, again);
	va_end(again);
	text = mem_alloc((size_t)len + 1);
	(void)vsnprintf(text, (size_t)len + 1, format, args);
	cli_put(stderr, text);
	fputc('\n', stderr);
}

void cli_step(struct cli *cli, const char *word, const char *format, ...)
{
	va_list args;

	if (cli->quiet)
		return;
	fprintf(stderr, "  %s%-10s%s", cli_style(cli, stderr, STYLE_DIM), word,
		cli_style(cli, stderr, STYLE_PLAIN));
	va_start(args, format);
	put_formatted(format, args);
	va_end(args);
}

void cli_done(struct cli *cli, const char *format, ...)
{
	va_list args;

	if (cli->quiet || cli->json)
		return;
	fprintf(stderr, "%s✓%s ", cli_style(cli, stderr, STYLE_GOOD),
		cli_style(cli, stderr, STYLE_PLAIN));
	va_start(args, format);
	put_formatted(format, args);
	va_end(args);
}

void cli_json(const json_t *value)
{
	size_t flags = isatty(STDOUT_FILENO) ? JSON_INDENT(2) : JSON_COMPACT;

	json_dumpf(value, stdout, flags | JSON_ENCODE_ANY);
	putchar('\n');
}

void cli_progress(struct cli *cli, const char *label, uint64_t done, uint64_t total)
{
	char size[CLI_SIZE_TEXT];
	int cells;

	if (!cli->live || cli->quiet || total == 0)
		return;
	cells = (int)(done * BAR_CELLS / total);
	fprintf(stderr, "\r  %s%-10s%s", cli_style(cli, stderr, STYLE_DIM), label,
		cli_style(cli, stderr, STYLE_PLAIN));
	for (int i = 0; i < BAR_CELLS; i++)
		fputs(i < cells ? "█" : "░", stderr);
	fprintf(stderr, " %3d %%  %s\033[K", (int)(done * 100 / total), cli_size(total, size));
	if (done >= total)
		fputs("\r\033[K", stderr);
	(void)fflush(stderr);
}

const char *cli_size(uint64_t bytes, char out[static CLI_SIZE_TEXT])
{
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB" };
	double value = (double)bytes;
	size_t unit = 0;

	for (; value >= 1000 && unit + 1 < ARRAY_LENGTH(units); unit++)
		value /= 1000;
	(void)snprintf(
		out, CLI_SIZE_TEXT, unit && value < 10 ? "%.1f %s" : "%.0f %s", value, units[unit]);
	return out;
}

struct cli_table {
	size_t columns, rows, cap;
	char **cells; /* the headings are row 0 */
};

struct cli_table *cli_table_new(const char *const *headings, size_t columns)
{
	struct cli_table *table = mem_zalloc(sizeof(*table));

	table->columns = columns;
	cli_table_row(table, headings);
	return table;
}

/* The first line: a cell is one line. */
static char *printable(const char *s)
{
	struct text t;
	char *out;

	text_init(&t);
	while (s && *s && *s != '\n')
		append_harmless(&t, &s);
	out = text_take(&t);
	text_done(&t);
	return out;
}

void cli_table_row(struct cli_table *table, const char *const *cells)
{
	if ((table->rows + 1) * table->columns > table->cap) {
		table->cap = table->cap ? table->cap * 2 : 16 * table->columns;
		table->cells = mem_realloc(table->cells, table->cap * sizeof(*table->cells));
	}
	for (size_t i = 0; i < table->columns; i++)
		table->cells[table->rows * table->columns + i] = printable(cells[i]);
	table->rows++;
}

static size_t display_width(const char *s)
{
	wchar_t wide[1024];
	size_t n = mbstowcs(wide, s, ARRAY_LENGTH(wide));
	int width = n == (size_t)-1 ? -1 : wcswidth(wide, n);

	return width < 0 ? strlen(s) : (size_t)width;
}

void cli_table_print(struct cli *cli, struct cli_table *table)
{
	size_t *widths = mem_calloc(table->columns, sizeof(*widths));

	for (size_t i = 0; i < table->rows * table->columns; i++) {
		size_t width = display_width(table->cells[i]);

		if (width > widths[i % table->columns])
			widths[i % table->columns] = width;
	}
	for (size_t row = cli->quiet ? 1 : 0; row < table->rows; row++) {
		if (row == 0)
			fputs(cli_style(cli, stdout, STYLE_DIM), stdout);
		for (size_t i = 0; i < table->columns; i++) {
			const char *cell = table->cells[row * table->columns + i];
			size_t pad = widths[i] - display_width(cell) + COLUMN_GAP;

			printf("%s%*s", cell, i + 1 < table->columns ? (int)pad : 0, "");
		}
		if (row == 0)
			fputs(cli_style(cli, stdout, STYLE_PLAIN), stdout);
		putchar('\n');
	}
	for (size_t i = 0; i < table->rows * table->columns; i++)
		mem_free(table->cells[i]);
	mem_free(table->cells);
	mem_free(table);
	mem_free(widths);
}

const char *cli_text(const json_t *object, const char *key, const char *fallback)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : fallback;
}

int64_t cli_integer(const json_t *object, const char *key, int64_t fallback)
{
	const json_t *value = json_object_get(object, key);

	if (json_is_integer(value))
		return json_integer_value(value);
	if (json_is_real(value))
		return (int64_t)json_real_value(value);
	/* 64-bit numbers travel as strings. */
	if (json_is_string(value))
		return strtoll(json_string_value(value), NULL, 10);
	return fallback;
}

int cli_confirm(struct cli *cli, const char *question, bool *yes, struct error *err)
{
	char answer[16];

	*yes = cli->yes;
	if (cli->yes)
		return 0;
	if (cli->no_input || !isatty(STDIN_FILENO))
		return error_set(err, ERR_USAGE, "nobody is there to confirm: give --yes");
	fprintf(stderr, "%s [y/N] ", question);
	(void)fflush(stderr);
	if (fgets(answer, sizeof(answer), stdin))
		*yes = answer[0] == 'y' || answer[0] == 'Y';
	return 0;
}
