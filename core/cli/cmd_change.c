/* mortise history - changes, what came of them, and following one */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/change.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "codec/json.h"

struct follower {
	struct cli *cli;
	size_t shown; /* phases printed so far */
	json_t *last; /* the newest form of the change */
};

static void show_phase(struct cli *cli, const json_t *phase)
{
	const char *state = cli_text(phase, "state", "");
	const char *detail = cli_text(phase, "detail", "");
	double seconds = json_number_value(json_object_get(phase, "seconds"));

	if (strcmp(state, "running") == 0)
		return;
	cli_step(cli, cli_text(phase, "name", "?"), "%s%s%s%s  %.1f s",
		strcmp(state, "done") ? state : "", strcmp(state, "done") && detail[0] ? ": " : "",
		detail, strcmp(state, "done") || detail[0] ? "" : "ok", seconds);
}

/* Phases only grow, so what was shown stays true. A running one is shown when it ends. */
static void show_phases(struct follower *f, const json_t *change)
{
	const json_t *phases = json_object_get(change, "phases");

	for (; f->shown < json_array_size(phases); f->shown++) {
		const json_t *phase = json_array_get(phases, f->shown);

		if (strcmp(cli_text(phase, "state", ""), "running") == 0)
			return;
		show_phase(f->cli, phase);
	}
}

static bool on_change(void *user, const char *event, const json_t *data)
{
	struct follower *f = user;

	if (strcmp(event, "change") != 0)
		return true;
	json_decref(f->last);
	f->last = json_incref((json_t *)data);
	show_phases(f, data);
	return strcmp(cli_text(data, "state", ""), "running") == 0;
}

/* What became of it, as this command's own outcome. */
static int outcome(struct cli *cli, const json_t *change, struct error *err)
{
	const json_t *error = json_object_get(change, "error");
	const char *state = cli_text(change, "state", "running");
	const char *code = cli_text(error, "code", "");
	const char *fix = cli_text(error, "fix", "");
	const char *version;
	int rc;

	if (cli->json)
		cli_json(change);
	if (strcmp(state, "running") == 0) {
		(void)error_set(err, ERR_UNREACHABLE, "change %lld is still running",
			(long long)cli_integer(change, "number", 0));
		return error_fix(err, "look again with 'mortise history %lld'",
			(long long)cli_integer(change, "number", 0));
	}
	if (strcmp(state, "done") == 0) {
		version = cli_text(change, "to_version", "");
		cli_done(cli, "%s%s%s: %s done (change %lld)", cli_text(change, "plugin", ""),
			version[0] ? " " : "", version, cli_text(change, "action", ""),
			(long long)cli_integer(change, "number", 0));
		return 0;
	}
	rc = strncmp(code, "MRT-", 4) == 0 ? error_entry(-(int)strtol(code + 4, NULL, 10))->code
					   : ERR_INTERNAL;
	(void)error_set(err, rc, "%s of %s failed: %s", cli_text(change, "action", "the change"),
		cli_text(change, "plugin", "?"), cli_text(error, "text", state));
	if (fix[0])
		(void)error_fix(err, "%s", fix);
	return rc;
}

int change_follow(struct cli *cli, const json_t *change, struct error *err)
{
	struct follower f = { cli, 0, json_incref((json_t *)change) };
	CLEANUP(mem_freep)
	char *path = mem_printf("/v1/changes/%lld", (long long)cli_integer(change, "number", 0));
	int rc = 0;

	if (strcmp(cli_text(change, "state", "running"), "running") == 0)
		rc = client_events(cli, path, on_change, &f, err);
	if (rc == 0)
		rc = outcome(cli, f.last, err);
	json_decref(f.last);
	return rc;
}

static int history_list(struct cli *cli, struct error *err)
{
	static const char *const headings[] = { "ID", "WHEN", "WHO", "WHAT", "RESULT", "REASON" };
	CLEANUP(json_freep) json_t *list = NULL;
	CLEANUP(mem_freep) char *path = NULL;
	struct cli_table *table;
	uint64_t last = 20;
	json_t *item;
	size_t i;
	int rc = cli_number(cli, "last", 500, &last, err);

	if (rc < 0)
		return rc;
	path = mem_printf("/v1/changes?limit=%llu", (unsigned long long)last);
	rc = client_get(cli, path, &list, err);
	if (rc < 0)
		return rc;
	if (cli->json) {
		cli_json(json_object_get(list, "items"));
		return 0;
	}
	table = cli_table_new(headings, ARRAY_LENGTH(headings));
	json_array_foreach(json_object_get(list, "items"), i, item)
	{
		CLEANUP(mem_freep)
		char *number = mem_printf("%lld", (long long)cli_integer(item, "number", 0));
		CLEANUP(mem_freep)
		char *what = mem_printf("%s %s %s", cli_text(item, "action", ""),
			cli_text(item, "plugin", ""), cli_text(item, "to_version", ""));

		cli_table_row(table,
			(const char *[]){ number, cli_text(item, "created_at", ""),
				cli_text(item, "actor", "-"), what, cli_text(item, "state", ""),
				cli_text(item, "reason", "-") });
	}
	cli_table_print(cli, table);
	return 0;
}

static int history(struct cli *cli, struct error *err)
{
	CLEANUP(json_freep) json_t *change = NULL;
	CLEANUP(mem_freep) char *path = NULL;
	struct follower f = { cli, 0, NULL };
	uint64_t number;
	int rc;

	if (cli->count == 0)
		return history_list(cli, err);
	if (!span_u64(span_of(cli->arguments[0]), INT64_MAX, &number))
		return error_set(err, ERR_USAGE, "'%s' is no change number", cli->arguments[0]);
	path = mem_printf("/v1/changes/%llu", (unsigned long long)number);
	rc = client_get(cli, path, &change, err);
	if (rc < 0)
		return rc;
	if (cli->json) {
		cli_json(change);
		return 0;
	}
	printf("change %llu: %s %s %s, %s\n", (unsigned long long)number,
		cli_text(change, "action", ""), cli_text(change, "plugin", ""),
		cli_text(change, "to_version", ""), cli_text(change, "state", ""));
	show_phases(&f, change);
	return 0;
}

const struct cli_command cli_change_commands[] = {
	{ "history", "[NUMBER]", 0, 1, "list changes, or show one with its phases", NULL,
		{ { "last", 'n', "N", "how many (default 20)" } }, history },
	{ 0 },
};
