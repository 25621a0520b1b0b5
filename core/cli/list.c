#include "cli/list.h"

#include <ctype.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "codec/json.h"

#define COLUMNS_MAX 8
#define CELL_SIZE   24
#define NAME_WIDTH  14

void list_query(struct text *path, const struct cli *cli, const char *option, const char *parameter)
{
	const char *value = cli_value(cli, option);

	if (!value)
		return;
	text_append_char(path, strchr(path->data, '?') ? '&' : '?');
	text_printf(path, "%s=", parameter);
	client_escape(path, value);
}

void list_path(struct text *path, const char *prefix, const char *argument)
{
	text_printf(path, "%s/", prefix);
	client_escape(path, argument);
}

/* A cell; what is no string is written into buffer. */
static const char *cell_of(const json_t *value, char buffer[static CELL_SIZE])
{
	if (json_is_boolean(value))
		return json_is_true(value) ? "yes" : "no";
	if (json_is_integer(value)) {
		(void)snprintf(buffer, CELL_SIZE, "%lld", (long long)json_integer_value(value));
		return buffer;
	}
	return json_is_string(value) ? json_string_value(value) : "-";
}

static void heading_of(const char *column, char out[static CELL_SIZE])
{
	size_t n = 0;

	for (; column[n] && n + 1 < CELL_SIZE; n++)
		out[n] = column[n] == '_' ? ' ' : (char)toupper((unsigned char)column[n]);
	out[n] = '\0';
}

int list_print(struct cli *cli, const char *path, const char *const *columns, size_t count,
	struct error *err)
{
	CLEANUP(json_freep) json_t *list = NULL;
	char buffers[COLUMNS_MAX][CELL_SIZE];
	const char *cells[COLUMNS_MAX], *next;
	struct cli_table *table;
	json_t *item;
	size_t i;
	int rc = client_get(cli, path, &list, err);

	if (rc < 0)
		return rc;
	if (cli->json) {
		cli_json(list);
		return 0;
	}
	for (size_t j = 0; j < count; j++) {
		heading_of(columns[j], buffers[j]);
		cells[j] = buffers[j];
	}
	table = cli_table_new(cells, count);
	json_array_foreach(json_object_get(list, "items"), i, item)
	{
		for (size_t j = 0; j < count; j++)
			cells[j] = cell_of(json_object_get(item, columns[j]), buffers[j]);
		cli_table_row(table, cells);
	}
	cli_table_print(cli, table);
	next = cli_text(list, "next", "");
	if (next[0])
		cli_step(cli, "more", "--after %s", next);
	return 0;
}

void list_object(struct cli *cli, const json_t *object)
{
	char buffer[CELL_SIZE], *text;
	const char *name;
	json_t *value;

	if (cli->json) {
		cli_json(object);
		return;
	}
	json_object_foreach((json_t *)(uintptr_t)object, name, value)
	{
		if (json_is_null(value))
			continue;
		printf("%s%-*s%s ", cli_style(cli, stdout, STYLE_DIM), NAME_WIDTH, name,
			cli_style(cli, stdout, STYLE_PLAIN));
		if (json_is_object(value) || json_is_array(value)) {
			text = json_dumps(value, JSON_COMPACT);
			cli_put(stdout, text ? text : "");
			free(text);
		} else {
			cli_put(stdout, cell_of(value, buffer));
		}
		putchar('\n');
	}
}
