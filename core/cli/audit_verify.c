/* What must hold, beside the hashes, is how sealing works (store/schema/0028_audit.sql): within a
 * chain (xact, id) only grows, every xact is below its pass's horizon, and the ids of a pass are
 * higher than those of the passes before. A horizon that goes back is a database that was restored
 * from a dump: that pass is in the order of ids, and transactions count anew behind it. */
#include "cli/audit_verify.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/audit_anchors.h"
#include "cli/cli.h"
#include "codec/chain.h"
#include "codec/json.h"

struct audit_chain {
	const char *name;
	const char *previous; /* "": it is the first */
	const json_t *chains;
	struct audit_anchors *anchors;
	audit_finding_cb found;
	void *user;
	struct chain_head head; /* as the seals say, once a break was told */
	int64_t sealed_row;     /* of the last seal */
	bool row_differs; /* told with the next seal: a second row of that id may be the right one
			   */
	char row_hash[SHA256_HEX_SIZE]; /* of the last seal */
	uint64_t horizon, xact;
	int64_t id;        /* of the last row in order */
	int64_t pass_id;   /* the highest of this pass */
	int64_t passed_id; /* the highest of the passes before */
	bool restored;     /* in the pass that follows a restore */
	uint64_t anchored; /* the last sequence that an anchor confirmed */
	uint64_t rows, compared;
};

static const char *const names[AUDIT_FINDING_COUNT] = {
	[AUDIT_CHANGED] = "changed",
	[AUDIT_DELETED] = "deleted",
	[AUDIT_INSERTED] = "inserted",
	[AUDIT_REORDERED] = "reordered",
	[AUDIT_SEAL] = "seal",
	[AUDIT_TRUNCATED] = "truncated",
	[AUDIT_UNSEALED] = "unsealed",
};

const char *audit_finding_name(enum audit_finding finding)
{
	return names[finding];
}

__attribute__((format(printf, 4, 5))) static void tell(const struct audit_chain *c,
	enum audit_finding finding, int64_t row_id, const char *format, ...)
{
	char detail[256];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(detail, sizeof(detail), format, args);
	va_end(args);
	c->found(c->user, finding, c->name, row_id, detail);
}

struct audit_chain *audit_chain_new(const json_t *described, const json_t *chains,
	const char *anchors, audit_finding_cb found, void *user)
{
	struct audit_chain *c = mem_zalloc(sizeof(*c));

	c->name = cli_text(described, "chain", "");
	c->previous = cli_text(described, "previous", "");
	c->chains = chains;
	c->found = found;
	c->user = user;
	if (anchors)
		c->anchors = audit_anchors_open(anchors, c->name);
	chain_start(&c->head, span_of(c->name), json_span(json_object_get(described, "previous")),
		json_span(json_object_get(described, "previous_sequence")),
		json_span(json_object_get(described, "previous_hash")));
	return c;
}

void audit_chain_free(struct audit_chain *c)
{
	if (!c)
		return;
	audit_anchors_free(c->anchors);
	mem_free(c);
}

uint64_t audit_chain_rows(const struct audit_chain *c)
{
	return c->rows;
}

uint64_t audit_chain_anchors(const struct audit_chain *c)
{
	return c->compared;
}

/* ---- rows --------------------------------------------------------------------------------------
 */

static uint64_t number_of(struct span text)
{
	uint64_t number = 0;

	(void)span_u64(text, UINT64_MAX, &number);
	return number;
}

static int read_row(const json_t *row, struct span columns[static CHAIN_COLUMNS], struct error *err)
{
	if (json_array_size(row) != CHAIN_COLUMNS)
		return error_set(err, ERR_PROTOCOL, "a row of the audit trail has %zu columns",
			json_array_size(row));
	for (size_t i = 0; i < CHAIN_COLUMNS; i++)
		columns[i] = json_span(json_array_get(row, i));
	return 0;
}

static void tell_changed(struct audit_chain *c)
{
	if (c->row_differs)
		tell(c, AUDIT_CHANGED, c->sealed_row, "the row is not the one that was sealed");
	c->row_differs = false;
}

/* A further row of the id that the last seal is of. */
static void check_second(struct audit_chain *c, const struct span *columns)
{
	char hash[SHA256_HEX_SIZE];

	chain_row(columns, hash);
	/* One of the two is what was sealed, or neither: the other one came in either way. */
	if (c->row_differs && strcmp(hash, c->row_hash) == 0)
		c->row_differs = false;
	tell(c, AUDIT_INSERTED, c->sealed_row, "a second row has the number of a sealed one");
}

static void check_order(
	struct audit_chain *c, int64_t row_id, uint64_t horizon, const struct span *columns)
{
	uint64_t xact = number_of(columns[CHAIN_COLUMN_XID]);

	if (horizon != c->horizon) {
		c->restored = horizon < c->horizon;
		if (c->pass_id > c->passed_id)
			c->passed_id = c->pass_id;
		c->horizon = horizon;
	}
	if (row_id <= c->passed_id)
		tell(c, AUDIT_INSERTED, row_id,
			"its number is lower than those of rows that were sealed before it was "
			"written");
	else if (c->restored)
		xact = 0;
	else if (xact >= horizon)
		tell(c, AUDIT_REORDERED, row_id, "its transaction was not over when it was sealed");
	else if (xact < c->xact || (xact == c->xact && row_id <= c->id))
		tell(c, AUDIT_REORDERED, row_id,
			"it is sealed behind a row that was written later");
	c->xact = xact;
	c->id = row_id;
	if (row_id > c->pass_id)
		c->pass_id = row_id;
}

/* ---- seals -------------------------------------------------------------------------------------
 */

static void adopt(struct audit_chain *c, uint64_t sequence, const char *hash)
{
	c->head.sequence = sequence;
	(void)snprintf(c->head.hash, sizeof(c->head.hash), "%s", hash);
}

/* True: the seal follows from the one before. What comes is compared with what it says either way.
 */
static bool check_seal(struct audit_chain *c, uint64_t sequence, int64_t row_id, const json_t *item)
{
	const char *hash = cli_text(item, "hash", "");
	char id[24];

	if (sequence != c->head.sequence + 1) {
		tell(c, AUDIT_SEAL, row_id, "seals %llu to %llu are missing",
			(unsigned long long)c->head.sequence + 1, (unsigned long long)sequence - 1);
		adopt(c, sequence, hash);
		return false;
	}
	(void)snprintf(id, sizeof(id), "%lld", (long long)row_id);
	chain_next(&c->head, span_of(id), json_span(json_object_get(item, "horizon")), c->row_hash);
	if (strcmp(c->head.hash, hash) == 0)
		return true;
	tell(c, AUDIT_SEAL, row_id, "seal %llu does not follow from the one before",
		(unsigned long long)sequence);
	adopt(c, sequence, hash);
	return false;
}

/* Anchors up to here, the head included. */
static void check_anchors(struct audit_chain *c)
{
	struct audit_anchor_line line;
	bool back;

	while (c->anchors && audit_anchors_next(c->anchors, c->head.sequence, &line, &back)) {
		c->compared++;
		if (back)
			tell(c, AUDIT_TRUNCATED, line.row_id,
				"at %s the trail ended with seal %llu, which had gone further "
				"before",
				line.time, (unsigned long long)line.sequence);
		if (line.sequence != c->head.sequence)
			continue; /* the gap was told, or the file went back */
		if (strcmp(line.hash, c->head.hash) == 0)
			c->anchored = line.sequence;
		else
			tell(c, AUDIT_SEAL, line.row_id,
				"seal %llu is not the one that was anchored at %s: something "
				"behind "
				"seal %llu was made anew",
				(unsigned long long)line.sequence, line.time,
				(unsigned long long)c->anchored);
	}
}

/* Chains that began behind this very seal. */
static void check_links(const struct audit_chain *c)
{
	const json_t *chain;
	size_t i;

	json_array_foreach((json_t *)c->chains, i, chain)
	{
		if (strcmp(cli_text(chain, "previous", ""), c->name) != 0 ||
			number_of(json_span(json_object_get(chain, "previous_sequence"))) !=
				c->head.sequence ||
			strcmp(cli_text(chain, "previous_hash", ""), c->head.hash) == 0)
			continue;
		tell(c, AUDIT_SEAL, c->sealed_row,
			"seal %llu is not the one that chain %s begins with",
			(unsigned long long)c->head.sequence, cli_text(chain, "chain", ""));
	}
}

/* Chains that began behind a seal which is gone, and the one that this one began behind. */
static void check_ends(const struct audit_chain *c)
{
	bool there = !c->previous[0];
	const json_t *chain;
	size_t i;

	json_array_foreach((json_t *)c->chains, i, chain)
	{
		uint64_t end = number_of(json_span(json_object_get(chain, "previous_sequence")));

		there = there || strcmp(cli_text(chain, "chain", ""), c->previous) == 0;
		if (strcmp(cli_text(chain, "previous", ""), c->name) == 0 && end > c->head.sequence)
			tell(c, AUDIT_TRUNCATED, 0,
				"seals %llu to %llu are gone, behind which chain %s began",
				(unsigned long long)c->head.sequence + 1, (unsigned long long)end,
				cli_text(chain, "chain", ""));
	}
	if (!there)
		tell(c, AUDIT_TRUNCATED, 0, "it began behind chain %s, which is gone", c->previous);
}

int audit_chain_seal(struct audit_chain *c, const json_t *item, struct error *err)
{
	uint64_t sequence = (uint64_t)cli_integer(item, "sequence", 0);
	int64_t row_id = cli_integer(item, "row_id", 0);
	uint64_t horizon = number_of(json_span(json_object_get(item, "horizon")));
	const json_t *row = json_object_get(item, "row");
	struct span columns[CHAIN_COLUMNS] = { SPAN_NONE };
	char hash[SHA256_HEX_SIZE];

	if (sequence == 0 || row_id == 0 || !row)
		return error_set(err, ERR_PROTOCOL, "an item of chain %s is no seal", c->name);
	if (json_is_array(row) && read_row(row, columns, err) < 0)
		return ERR_PROTOCOL;
	if (sequence == c->head.sequence) {
		check_second(c, columns);
		return 0;
	}
	tell_changed(c);
	c->sealed_row = row_id;
	(void)snprintf(c->row_hash, sizeof(c->row_hash), "%s", cli_text(item, "row_hash", ""));
	(void)check_seal(c, sequence, row_id, item);
	c->rows++;
	if (columns[CHAIN_COLUMN_ID].data) {
		chain_row(columns, hash);
		c->row_differs = strcmp(hash, c->row_hash) != 0;
		if (!c->row_differs)
			check_order(c, row_id, horizon, columns);
	} else {
		tell(c, AUDIT_DELETED, row_id, "seal %llu is of a row that is not there",
			(unsigned long long)sequence);
	}
	check_anchors(c);
	check_links(c);
	return 0;
}

int audit_chain_stray(struct audit_chain *c, const json_t *item, struct error *err)
{
	int64_t row_id = cli_integer(item, "row_id", 0);

	if (row_id == 0)
		return error_set(err, ERR_PROTOCOL, "an item of chain %s is no row", c->name);
	if (json_is_true(json_object_get(item, "inserted")))
		tell(c, AUDIT_INSERTED, row_id, "no seal names it, and all of its time are sealed");
	return 0;
}

void audit_chain_end(struct audit_chain *c)
{
	struct audit_anchor_line line, last = { 0 };
	bool back;

	tell_changed(c);
	while (c->anchors && audit_anchors_next(c->anchors, UINT64_MAX, &line, &back))
		if (line.sequence > last.sequence)
			last = line;
	if (last.sequence > c->head.sequence)
		tell(c, AUDIT_TRUNCATED, last.row_id,
			"seals %llu to %llu are gone, the last was anchored at %s",
			(unsigned long long)c->head.sequence + 1, (unsigned long long)last.sequence,
			last.time);
	check_ends(c);
}
