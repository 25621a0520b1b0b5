/* mortise key-ring ... - the master keys that seal secrets in the database */
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "codec/json.h"

#define POLL_NS 500000000L

static const json_t *rotation_of(const json_t *ring)
{
	return json_object_get(ring, "rotation");
}

static bool is_over(const json_t *rotation)
{
	const char *state = cli_text(rotation, "state", "done");

	return strcmp(state, "done") == 0 || strcmp(state, "failed") == 0;
}

static void print_keys(struct cli *cli, const json_t *ring)
{
	static const char *const headings[] = { "KEY", "STATE", "ENVELOPES", "SINCE",
		"FINGERPRINT" };
	struct cli_table *table = cli_table_new(headings, ARRAY_LENGTH(headings));
	const json_t *key;
	size_t i;

	json_array_foreach(json_object_get(ring, "keys"), i, key)
	{
		const char *made = cli_text(key, "made_at", "");
		const char *current = cli_text(key, "current_at", made);
		CLEANUP(mem_freep)
		char *envelopes = mem_printf("%lld", (long long)cli_integer(key, "envelopes", 0));
		CLEANUP(mem_freep)
		char *fingerprint = mem_printf("%.16s…", cli_text(key, "fingerprint", ""));

		cli_table_row(table,
			(const char *[]){ cli_text(key, "id", ""), cli_text(key, "state", ""),
				envelopes, cli_text(key, "retired_at", current), fingerprint });
	}
	cli_table_print(cli, table);
}

static void print_rotation(struct cli *cli, const json_t *rotation)
{
	const json_t *place;
	size_t i;

	if (!json_is_object(rotation))
		return;
	cli_step(cli, "rotation", "%lld, %s: %lld of %lld envelopes sealed anew",
		(long long)cli_integer(rotation, "number", 0), cli_text(rotation, "state", ""),
		(long long)cli_integer(rotation, "resealed", 0),
		(long long)cli_integer(rotation, "total", 0));
	if (cli_text(rotation, "waits_for", "")[0])
		cli_step(cli, "waits for", "%s", cli_text(rotation, "waits_for", ""));
	if (cli_text(rotation, "error", "")[0])
		cli_step(cli, "error", "%s", cli_text(rotation, "error", ""));
	json_array_foreach(json_object_get(rotation, "unreadable"), i, place)
		cli_step(cli, i ? "" : "unreadable", "%s", json_string_value(place));
}

static int key_ring_list(struct cli *cli, struct error *err)
{
	CLEANUP(json_freep) json_t *ring = NULL;
	int rc = client_get(cli, "/v1/key-ring", &ring, err);

	if (rc < 0)
		return rc;
	if (cli->json) {
		cli_json(ring);
		return 0;
	}
	print_keys(cli, ring);
	print_rotation(cli, rotation_of(ring));
	return 0;
}

static int key_ring_columns(struct cli *cli, struct error *err)
{
	static const char *const headings[] = { "TABLE", "COLUMN", "KEPT AS", "HOW" };
	CLEANUP(json_freep) json_t *ring = NULL;
	const json_t *columns, *column;
	struct cli_table *table;
	size_t i, storage = 0;
	int rc = client_get(cli, "/v1/key-ring", &ring, err);

	if (rc < 0)
		return rc;
	columns = json_object_get(ring, "columns");
	if (cli->json) {
		cli_json(columns);
		return 0;
	}
	table = cli_table_new(headings, ARRAY_LENGTH(headings));
	json_array_foreach(columns, i, column)
	{
		const char *means = cli_text(column, "means", "?");

		storage += strcmp(means, "storage") == 0;
		cli_table_row(table, (const char *[]){ cli_text(column, "table", ""),
					     cli_text(column, "column", ""), means,
					     cli_text(column, "note", "") });
	}
	cli_table_print(cli, table);
	cli_step(
		cli, "storage", "%zu of these rest on the encryption of disk and backups", storage);
	return 0;
}

/* ---- rotating ---- */

/* Each thing once: what it waits for, then how far it is. */
static void show_progress(struct cli *cli, const json_t *rotation, char **said)
{
	const char *waits_for = cli_text(rotation, "waits_for", "");
	int64_t done = cli_integer(rotation, "resealed", 0);
	int64_t total = cli_integer(rotation, "total", 0);

	if (waits_for[0] && (!*said || strcmp(*said, waits_for) != 0)) {
		cli_step(cli, "waiting", "until %s has the new key: copy the key ring to it",
			waits_for);
		mem_free(*said);
		*said = mem_strdup(waits_for);
	}
	if (strcmp(cli_text(rotation, "state", ""), "sealing") == 0 && total > 0 && done < total)
		cli_progress(cli, "sealing", (uint64_t)done, (uint64_t)total);
}

static int say_outcome(struct cli *cli, const json_t *rotation, struct error *err)
{
	size_t unreadable = json_array_size(json_object_get(rotation, "unreadable"));

	/* The bar's line, if there was one, is at its end now. */
	cli_progress(cli, "sealing", 1, 1);
	if (cli->json)
		cli_json(rotation);
	if (strcmp(cli_text(rotation, "state", ""), "failed") == 0)
		return error_set(err, ERR_KEY_RING, "the key ring was not rotated: %s",
			cli_text(rotation, "error", "no reason was given"));
	if (unreadable) {
		if (!cli->json)
			print_rotation(cli, rotation);
		(void)error_set(err, ERR_SEALED, "%zu envelopes do not open and keep their old key",
			unreadable);
		return error_fix(err, "set these secrets again, or remove them; then the old key "
				      "can be retired");
	}
	cli_done(cli, "key %s seals now; envelopes sealed anew: %lld",
		cli_text(rotation, "to", "?"), (long long)cli_integer(rotation, "resealed", 0));
	return 0;
}

static int follow(struct cli *cli, int64_t number, struct error *err)
{
	CLEANUP(mem_freep) char *said = NULL;

	for (;;) {
		CLEANUP(json_freep) json_t *ring = NULL;
		const struct timespec pause = { 0, POLL_NS };
		int rc = client_get(cli, "/v1/key-ring", &ring, err);
		const json_t *rotation = rotation_of(ring);

		if (rc < 0)
			return rc;
		if (cli_integer(rotation, "number", 0) != number || is_over(rotation))
			return say_outcome(cli, rotation, err);
		show_progress(cli, rotation, &said);
		(void)nanosleep(&pause, NULL);
	}
}

static int key_ring_rotate(struct cli *cli, struct error *err)
{
	CLEANUP(json_freep) json_t *body = json_pack("{s:s?}", "reason", cli->reason);
	CLEANUP(json_freep) json_t *asked = NULL;
	int rc;

	rc = client_post(cli, "/v1/key-ring/rotate", body, &asked, err);
	if (rc < 0)
		return rc;
	if (!cli_value(cli, "no-wait"))
		return follow(cli, cli_integer(asked, "number", 0), err);
	if (cli->json)
		cli_json(asked);
	cli_done(cli, "rotation %lld is asked for", (long long)cli_integer(asked, "number", 0));
	return 0;
}

static int key_ring_retire(struct cli *cli, struct error *err)
{
	CLEANUP(json_freep) json_t *body = json_object();
	struct text path;
	bool yes;
	int rc = cli_confirm(cli,
		"Destroy this key? Secrets in older backups of the database cannot be read "
		"without it.",
		&yes, err);

	if (rc < 0 || !yes)
		return rc;
	text_init(&path);
	text_append_string(&path, "/v1/key-ring/keys/");
	client_escape(&path, cli->arguments[0]);
	text_append_string(&path, "/retire");
	rc = client_post(cli, path.data, body, NULL, err);
	text_done(&path);
	if (rc == 0)
		cli_done(cli, "key %s is retired", cli->arguments[0]);
	return rc;
}

const struct cli_command cli_key_ring_commands[] = {
	{ "key-ring list", "", 0, 0, "list the master keys, what they seal, and the last rotation",
		"Keys are named by id and fingerprint; the keys themselves stand only in the file "
		"of the key ring (setting key_ring), which every node of a database needs.",
		{ { 0 } }, key_ring_list },
	{ "key-ring columns", "", 0, 0,
		"list what the classification wants encrypted, and how it is",
		"What is neither a hash nor an envelope needs an encrypted disk under the "
		"database, "
		"and encrypted backups.",
		{ { 0 } }, key_ring_columns },
	{ "key-ring rotate", "", 0, 0, "seal every secret anew with a new master key",
		"Requests go on meanwhile. Where nodes do not share the file, the new key waits "
		"until it was copied to each node that runs. A rotation that a crash cut short "
		"goes on by itself.",
		{ { "no-wait", 0, NULL,
			"do not wait for the end; 'key-ring list' shows how far "
			"it is" } },
		key_ring_rotate },
	{ "key-ring retire", "KEY", 1, 1, "destroy a master key that no envelope names any more",
		"Secrets in backups that were taken while the key was in use cannot be read "
		"without it: keep a copy of the key ring with such backups, or let them expire "
		"first.",
		{ { 0 } }, key_ring_retire },
	{ 0 },
};
