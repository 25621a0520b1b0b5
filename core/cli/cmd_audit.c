/* mortise audit - search, export and verify the audit trail */
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/audit_verify.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "codec/json.h"

#define PAGE         500
#define IDLE_SECONDS 60 /* sealing takes one, or a few when many rows came at once */
#define LOOK_AGAIN_S 3

/* ---- pages -------------------------------------------------------------------------------------
 */

typedef int (*item_fn)(void *user, const json_t *item, struct error *err);

/* All items of a list, page by page; at most `most` of them. */
static int each_item(struct cli *cli, const char *path, uint64_t most, item_fn each, void *user,
	struct error *err)
{
	struct text page;
	bool more = true;
	int rc = 0;

	text_init(&page);
	text_append_string(&page, path);
	while (rc == 0 && more && most > 0) {
		CLEANUP(json_freep) json_t *list = NULL;
		const char *next;
		json_t *item;
		size_t i;

		rc = client_get(cli, page.data, &list, err);
		json_array_foreach(json_object_get(list, "items"), i, item)
		{
			if (rc == 0 && most > 0)
				rc = each(user, item, err);
			most -= most > 0;
		}
		next = cli_text(list, "next", NULL);
		more = next != NULL;
		text_clear(&page);
		text_printf(&page, "%s%cafter=", path, strchr(path, '?') ? '&' : '?');
		if (next)
			client_escape(&page, next);
	}
	text_done(&page);
	return rc;
}

static void append_filter(const struct cli *cli, struct text *path, const char *option)
{
	const char *value = cli_value(cli, option);

	if (!value)
		return;
	text_printf(path, "&%s=", option);
	client_escape(path, value);
}

/* The path of a search as the command's options say. */
static char *search_path(const struct cli *cli, const char *order, uint64_t limit)
{
	static const char *const filters[] = { "who", "action", "resource", "from", "to", "result",
		"request" };
	struct text path;
	char *taken;

	text_init(&path);
	text_printf(&path, "/v1/audit?order=%s&limit=%llu", order, (unsigned long long)limit);
	for (size_t i = 0; i < ARRAY_LENGTH(filters); i++)
		append_filter(cli, &path, filters[i]);
	if (cli_value(cli, "personal"))
		text_append_string(&path, "&personal=true");
	taken = text_take(&path);
	text_done(&path);
	return taken;
}

/* ---- search ------------------------------------------------------------------------------------
 */

struct search {
	struct cli_table *table;
	json_t *items;
};

static int show_row(void *user, const json_t *row, struct error *err)
{
	struct search *s = user;
	const json_t *who = json_object_get(row, "user"), *what = json_object_get(row, "resource");
	const char *name = cli_text(what, "name", cli_text(what, "id", ""));
	CLEANUP(mem_freep) char *id = mem_printf("%lld", (long long)cli_integer(row, "id", 0));
	CLEANUP(mem_freep)
	char *resource =
		mem_printf("%s%s%s", cli_text(what, "type", "-"), name[0] ? " " : "", name);

	(void)err;
	if (s->items)
		(void)json_array_append(s->items, (json_t *)row);
	else
		cli_table_row(s->table,
			(const char *[]){ id, cli_text(row, "time", ""),
				cli_text(who, "name",
					cli_text(who, "id",
						cli_text(json_object_get(row, "metadata"), "actor",
							"-"))),
				cli_text(row, "action", ""), resource, cli_text(row, "result", ""),
				cli_text(row, "address", "-") });
	return 0;
}

static int audit_search(struct cli *cli, struct error *err)
{
	static const char *const headings[] = { "ROW", "WHEN", "WHO", "WHAT", "ON", "RESULT",
		"FROM" };
	struct search s = { 0 };
	uint64_t last = 50;
	int rc = cli_number(cli, "last", 1000000, &last, err);
	CLEANUP(mem_freep) char *path = NULL;

	if (rc < 0)
		return rc;
	path = search_path(cli, "newest", last < PAGE ? (last ? last : 1) : PAGE);
	if (cli->json)
		s.items = json_array();
	else
		s.table = cli_table_new(headings, ARRAY_LENGTH(headings));
	rc = each_item(cli, path, last, show_row, &s, err);
	if (rc == 0 && cli->json)
		cli_json(s.items);
	else if (rc == 0)
		cli_table_print(cli, s.table);
	json_decref(s.items);
	return rc;
}

/* ---- export ------------------------------------------------------------------------------------
 */

static const struct {
	const char *heading;
	const char *object; /* NULL: a member of the row itself */
	const char *member;
} columns[] = {
	{ "id", NULL, "id" },
	{ "time", NULL, "time" },
	{ "user_id", "user", "id" },
	{ "user_name", "user", "name" },
	{ "action", NULL, "action" },
	{ "resource_type", "resource", "type" },
	{ "resource_id", "resource", "id" },
	{ "resource_name", "resource", "name" },
	{ "old", NULL, "old" },
	{ "new", NULL, "new" },
	{ "address", NULL, "address" },
	{ "user_agent", NULL, "user_agent" },
	{ "session", NULL, "session" },
	{ "request", NULL, "request" },
	{ "result", NULL, "result" },
	{ "error", NULL, "error" },
	{ "metadata", NULL, "metadata" },
};

struct export
{
	FILE *to;
	bool csv;
	uint64_t rows;
};

/* RFC 4180. A spreadsheet takes what begins with one of these for a formula: it gets a quote. */
static void put_cell(FILE *to, const char *s)
{
	(void)fputc('"', to);
	if (s[0] && strchr("=+-@\t\r", s[0]))
		(void)fputc('\'', to);
	for (; *s; s++) {
		if (*s == '"')
			(void)fputc('"', to);
		(void)fputc(*s, to);
	}
	(void)fputc('"', to);
}

static void put_csv(FILE *to, const json_t *row)
{
	for (size_t i = 0; i < ARRAY_LENGTH(columns); i++) {
		const json_t *from =
			columns[i].object ? json_object_get(row, columns[i].object) : row;
		const json_t *value = json_object_get(from, columns[i].member);

		if (i > 0)
			(void)fputc(',', to);
		if (json_is_string(value)) {
			put_cell(to, json_string_value(value));
		} else if (value && !json_is_null(value)) {
			char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

			put_cell(to, text);
			free(text);
		}
	}
	(void)fputs("\r\n", to);
}

static int put_row(void *user, const json_t *row, struct error *err)
{
	struct export *e = user;

	if (e->csv) {
		put_csv(e->to, row);
	} else {
		(void)json_dumpf(row, e->to, JSON_COMPACT);
		(void)fputc('\n', e->to);
	}
	e->rows++;
	return ferror(e->to) ? error_set_errno(err, errno, "write the export") : 0;
}

static int audit_export(struct cli *cli, struct error *err)
{
	const char *format = cli_value(cli, "format"), *output = cli_value(cli, "output");
	CLEANUP(mem_freep) char *path = search_path(cli, "oldest", PAGE);
	struct export e = { .to = stdout, .csv = format && strcmp(format, "csv") == 0 };
	int rc;

	if (format && !e.csv && strcmp(format, "jsonl") != 0)
		return error_set(err, ERR_USAGE, "'%s' is no format: use 'jsonl' or 'csv'", format);
	if (output)
		e.to = fopen(output, "wxe");
	if (!e.to)
		return error_set_errno(err, errno, "make '%s'", output);
	for (size_t i = 0; e.csv && i < ARRAY_LENGTH(columns); i++)
		(void)fprintf(e.to, "%s%s", columns[i].heading,
			i + 1 < ARRAY_LENGTH(columns) ? "," : "\r\n");
	rc = each_item(cli, path, UINT64_MAX, put_row, &e, err);
	if ((output ? fclose(e.to) : fflush(e.to)) != 0 && rc == 0)
		rc = error_set_errno(err, errno, "write the export");
	if (rc == 0)
		cli_done(cli, "%llu rows", (unsigned long long)e.rows);
	return rc;
}

/* ---- verify ------------------------------------------------------------------------------------
 */

struct verify {
	struct cli *cli;
	json_t *chains; /* the host's description of all of them */
	json_t *findings;
	char *anchors; /* the folder; NULL: without */
	uint64_t rows, compared;
};

static void on_finding(void *user, enum audit_finding finding, const char *chain, int64_t row_id,
	const char *detail)
{
	struct verify *v = user;

	(void)json_array_append_new(v->findings,
		json_pack("{s:s, s:s, s:o, s:s}", "found", audit_finding_name(finding), "chain",
			chain, "row", row_id ? json_integer(row_id) : json_null(), "detail",
			detail));
}

static int on_seal(void *user, const json_t *item, struct error *err)
{
	return audit_chain_seal(user, item, err);
}

static int on_stray(void *user, const json_t *item, struct error *err)
{
	return audit_chain_stray(user, item, err);
}

static int verify_chain(struct verify *v, const json_t *described, struct error *err)
{
	const char *name = cli_text(described, "chain", "");
	struct audit_chain *c = audit_chain_new(described, v->chains, v->anchors, on_finding, v);
	CLEANUP(mem_freep)
	char *seals = mem_printf("/v1/audit/chains/%s?limit=%d", name, PAGE);
	CLEANUP(mem_freep)
	char *strays = mem_printf("/v1/audit/chains/%s/strays?limit=%d", name, PAGE);
	int rc = each_item(v->cli, seals, UINT64_MAX, on_seal, c, err);

	if (rc == 0) {
		audit_chain_end(c);
		rc = each_item(v->cli, strays, UINT64_MAX, on_stray, c, err);
	}
	v->rows += audit_chain_rows(c);
	v->compared += audit_chain_anchors(c);
	audit_chain_free(c);
	return rc;
}

static bool is_chain(const struct verify *v, const char *name, size_t len)
{
	const json_t *chain;
	size_t i;

	json_array_foreach(v->chains, i, chain)
	{
		const char *known = cli_text(chain, "chain", "");

		if (strlen(known) == len && memcmp(known, name, len) == 0)
			return true;
	}
	return false;
}

static int read_chains(struct verify *v, struct error *err)
{
	CLEANUP(json_freep) json_t *list = NULL;
	int rc = client_get(v->cli, "/v1/audit/chains", &list, err);

	if (rc < 0)
		return rc;
	json_decref(v->chains);
	v->chains = json_incref(json_object_get(list, "items"));
	return 0;
}

/* Anchors of chains that the database does not know any more. It is asked behind the files: a chain
 * may have begun since it was asked before. */
static int verify_files(struct verify *v, struct error *err)
{
	CLEANUP(mem_freep) char *pattern = mem_printf("%s/*.anchors", v->anchors);
	glob_t found = { 0 };
	int rc = 0;

	if (glob(pattern, 0, NULL, &found) == 0)
		rc = read_chains(v, err);
	for (size_t i = 0; rc == 0 && i < found.gl_pathc; i++) {
		char *name = strrchr(found.gl_pathv[i], '/') + 1;
		size_t len = strcspn(name, ".");

		if (is_chain(v, name, len))
			continue;
		name[len] = '\0';
		on_finding(v, AUDIT_TRUNCATED, name, 0,
			"there are anchors of this chain, and no seal of it is left");
	}
	globfree(&found);
	return rc;
}

static const char *idle_since(const struct verify *v)
{
	return cli_text(json_array_get(v->chains, 0), "idle_since", "");
}

/* Seconds from an RFC 3339 time to now. */
static double seconds_since(const char *when)
{
	struct tm tm = { 0 };

	return strptime(when, "%Y-%m-%dT%H:%M:%S", &tm) ? difftime(time(NULL), timegm(&tm)) : 0;
}

/* A row that has waited for long may be of a transaction that has just ended, so look twice. */
static int verify_sealing(struct verify *v, struct error *err)
{
	CLEANUP(mem_freep) char *first = mem_strdup(idle_since(v));
	int rc;

	if (!first[0] || seconds_since(first) < IDLE_SECONDS)
		return 0;
	(void)sleep(LOOK_AGAIN_S);
	rc = read_chains(v, err);
	if (rc == 0 && strcmp(idle_since(v), first) == 0)
		on_finding(v, AUDIT_UNSEALED, "-", 0,
			"rows wait for their seals and no open transaction holds them up: no node "
			"seals");
	return rc;
}

static void show(const struct verify *v)
{
	static const char *const headings[] = { "FOUND", "CHAIN", "ROW", "WHAT" };
	struct cli_table *table = cli_table_new(headings, ARRAY_LENGTH(headings));
	const json_t *finding;
	size_t i;

	json_array_foreach(v->findings, i, finding)
	{
		CLEANUP(mem_freep)
		char *row = mem_printf("%lld", (long long)cli_integer(finding, "row", 0));

		cli_table_row(
			table, (const char *[]){ cli_text(finding, "found", ""),
				       cli_text(finding, "chain", ""), strcmp(row, "0") ? row : "-",
				       cli_text(finding, "detail", "") });
	}
	cli_table_print(v->cli, table);
}

static int outcome(struct verify *v, struct error *err)
{
	size_t n = json_array_size(v->findings);
	const char *waiting = cli_text(json_array_get(v->chains, 0), "waiting_since", "");

	if (v->cli->json) {
		CLEANUP(json_freep)
		json_t *out = json_pack("{s:I, s:I, s:O, s:o}", "rows", (json_int_t)v->rows,
			"anchors", (json_int_t)v->compared, "findings", v->findings,
			"waiting_since", waiting[0] ? json_string(waiting) : json_null());

		cli_json(out);
	} else if (n > 0) {
		show(v);
	}
	if (waiting[0])
		cli_step(v->cli, "waiting", "rows since %s have no seal yet", waiting);
	if (n > 0)
		return error_set(err, ERR_TAMPERED,
			"the audit trail does not verify: %zu finding%s", n, n == 1 ? "" : "s");
	cli_done(v->cli, "%llu rows as they were written, %llu anchors agree",
		(unsigned long long)v->rows, (unsigned long long)v->compared);
	return 0;
}

/* The folder of anchors, which the end of the trail cannot be verified without. */
static int find_anchors(struct cli *cli, char **out, struct error *err)
{
	const char *named = cli_value(cli, "anchors");
	CLEANUP(mem_freep) char *data = NULL, *folder = NULL;
	int rc;

	if (cli_value(cli, "no-anchors"))
		return 0;
	if (named) {
		folder = mem_strdup(named);
	} else {
		rc = cli_data(cli, &data, err);
		if (rc < 0)
			return rc;
		folder = mem_printf("%s/audit", data);
	}
	if (access(folder, R_OK | X_OK) == 0) {
		*out = TAKE(folder);
		return 0;
	}
	(void)error_set_errno(err, errno, "read the anchors in '%s'", folder);
	(void)error_fix(err,
		"run it on the host's own machine as its user, name a copy with --anchors "
		"DIR, or give --no-anchors: then nobody sees whether the end is missing");
	return ERR_SYSTEM;
}

static int audit_verify(struct cli *cli, struct error *err)
{
	struct verify v = { .cli = cli, .findings = json_array() };
	const char *only = cli_value(cli, "chain");
	const json_t *chain;
	bool any = false;
	size_t i;
	int rc = find_anchors(cli, &v.anchors, err);

	if (rc == 0)
		rc = read_chains(&v, err);
	json_array_foreach(v.chains, i, chain)
	{
		if (rc < 0 || (only && strcmp(only, cli_text(chain, "chain", "")) != 0))
			continue;
		any = true;
		rc = verify_chain(&v, chain, err);
	}
	if (rc == 0 && only && !any)
		rc = error_set(err, ERR_NOT_FOUND, "there is no chain '%s'", only);
	if (rc == 0 && !only && v.anchors)
		rc = verify_files(&v, err);
	if (rc == 0 && !only)
		rc = verify_sealing(&v, err);
	if (rc == 0)
		rc = outcome(&v, err);
	json_decref(v.chains);
	json_decref(v.findings);
	mem_free(v.anchors);
	return rc;
}

#define FILTERS                                                                            \
	{ "who", 'u', "USER", "by whom: an id, a username, or an actor that is no user" }, \
		{ "action", 'a', "NAME", "what: 'user.update', or 'user.*'" },             \
		{ "resource", 'r', "TYPE[:ID]", "on what" },                               \
		{ "from", 0, "TIME", "not before, in RFC 3339 with 'Z'" },                 \
		{ "to", 0, "TIME", "not after" },                                          \
		{ "result", 0, "WORD", "success, failure or error" },                      \
		{ "request", 0, "ID", "of one request" },                                  \
	{                                                                                  \
		"personal", 0, NULL,                                                       \
			"show what is kept for the persons' eyes; the asking is audited"   \
	}

const struct cli_command cli_audit_commands[] = {
	{ "audit search", "", 0, 0, "who did what, newest first", NULL,
		{ FILTERS, { "last", 'n', "N", "how many (default 50)" } }, audit_search },
	{ "audit export", "", 0, 0, "the same as JSON lines or CSV, oldest first",
		"Months that left the table are part of it. Nothing is kept in memory but a page.",
		{ FILTERS, { "format", 'f', "FORMAT", "jsonl (default) or csv" },
			{ "output", 'o', "FILE", "a new file, instead of stdout" } },
		audit_export },
	{ "audit verify", "", 0, 0, "is the trail still what was written?",
		"Hashes every row anew and compares with seals and anchors. Exit code 7 when "
		"something "
		"was changed, deleted, inserted, reordered or cut off, with the rows.",
		{ { "chain", 'c', "NAME", "one month only: '2026_11'" },
			{ "anchors", 0, "DIR",
				"folder of anchors, of several nodes too (default DATA/audit)" },
			{ "no-anchors", 0, NULL, "without: the end may be missing" } },
		audit_verify },
	{ 0 },
};
