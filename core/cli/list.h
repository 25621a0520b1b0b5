/* list.h - a list or one thing of the host's API, on the screen
 *
 * What most commands that show something share: the query from options, a page as a table with
 * the cursor of the next, and one object as lines.
 */
#ifndef MORTISE_CLI_LIST_H
#define MORTISE_CLI_LIST_H

#include <jansson.h>
#include <stddef.h>

struct cli;
struct error;
struct text;

/* Append `parameter=value` of the option, if it was given. */
void list_query(
	struct text *path, const struct cli *cli, const char *option, const char *parameter);

/* Append "PREFIX/ARGUMENT" with the argument as one path component. */
void list_path(struct text *path, const char *prefix, const char *argument);

/* Print one page of path as a table of the members that columns names; headings are theirs in
 * capitals. */
int list_print(struct cli *cli, const char *path, const char *const *columns, size_t count,
	struct error *err);

/* Print an object: its members as lines, or as JSON with --json. */
void list_object(struct cli *cli, const json_t *object);

#endif
