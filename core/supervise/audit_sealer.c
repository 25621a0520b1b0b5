/* Seals the audit trail: each second, on the one node that holds the lease
 *
 *   read -> heads of the chains that rows belong to -> seals -> anchors -> read, while there is
 * more
 *
 * The database gives rows in their order and takes the seals only if nobody else moved on meanwhile
 * (schema/0028); the hashes are made here. A seal is anchored after it is committed: when the node
 * dies in between, the next holder's first anchor covers it. Rows wait while an older transaction
 * is open anywhere in the cluster; `mortise audit verify` says since when.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "store/audit.h"
#include "supervise/audit_anchor.h"
#include "supervise/supervisor_priv.h"

#define TICK_MS   1000
#define LEASE_MS  5000 /* five ticks: longer than a slow disk's fsync */
#define BATCH     500u
#define HEADS_MAX 16u /* chains within one batch: a month, rarely two */
#define LOG_US    (60 * (int64_t)1000000)
#define NUMBER    24

struct row {
	char chain[CHAIN_NAME_SIZE];
	char id[NUMBER], xact[NUMBER], sequence[NUMBER];
	char hash[SHA256_HEX_SIZE], seal[SHA256_HEX_SIZE];
};

struct sealer {
	struct supervisor *s;
	uv_timer_t timer;
	char *folder;
	bool busy;
	bool closing;
	bool anchored; /* the head that was there when we took the lease, too */
	bool failing;  /* said once */
	bool full;
	char state[128], horizon[NUMBER];
	struct row rows[BATCH];
	size_t n;
	struct audit_anchor heads[HEADS_MAX]; /* as the database has them */
	size_t head_count;
	struct audit_anchor next[HEADS_MAX]; /* as they are once the seals are there */
	struct error anchor_error;           /* of the work on the pool */
	int anchor_rc;
	int64_t logged_us;
};

static void read_on(struct sealer *a);

static void on_timer_closed(uv_handle_t *handle)
{
	struct sealer *a = CONTAINER_OF(handle, struct sealer, timer);

	mem_free(a->folder);
	mem_free(a);
}

static bool over(struct sealer *a)
{
	if (a->closing)
		uv_close((uv_handle_t *)&a->timer, on_timer_closed);
	return a->closing;
}

/* Until the next tick. What we believed of the chains may not be so any more. */
static void rest(struct sealer *a)
{
	a->busy = false;
	a->head_count = 0;
}

static void fail(struct sealer *a, const struct error *err)
{
	if (!a->failing)
		log_error("the audit trail is not sealed, trying again each second", LOG_ERR(err));
	a->failing = true;
	rest(a);
}

/* ---- anchors -----------------------------------------------------------------------------------
 */

static void append_anchors(void *user)
{
	struct sealer *a = user;

	a->anchor_rc = audit_anchor_append(
		a->folder, a->s->o.node, a->heads, a->head_count, &a->anchor_error);
}

static void on_anchors(void *user, int cancelled)
{
	struct sealer *a = user;
	const struct audit_anchor *last = &a->heads[a->head_count - 1];

	(void)cancelled;
	if (over(a))
		return;
	if (a->anchor_rc < 0) {
		a->anchored = false; /* the next tick's first work */
		fail(a, &a->anchor_error);
		return;
	}
	if (a->failing)
		log_info("the audit trail is sealed again");
	a->failing = false;
	a->anchored = true;
	if (clock_real_us() - a->logged_us >= LOG_US) {
		a->logged_us = clock_real_us();
		log_info("audit trail sealed", LOG_STR("chain", last->chain),
			LOG_INT("sequence", last->head.sequence), LOG_INT("row", last->row_id),
			LOG_STR("seal", last->head.hash));
	}
	if (a->full)
		read_on(a);
	else
		rest(a);
}

static void anchor(struct sealer *a)
{
	(void)work_submit(a->s->loop, append_anchors, on_anchors, a);
}

/* ---- seals -------------------------------------------------------------------------------------
 */

static struct audit_anchor *head_of(struct sealer *a, const char *chain)
{
	for (size_t i = 0; i < a->head_count; i++)
		if (strcmp(a->heads[i].chain, chain) == 0)
			return &a->heads[i];
	return NULL;
}

static void on_sealed(const struct error *err, int64_t number, void *user)
{
	struct sealer *a = user;

	if (over(a))
		return;
	if (err) {
		fail(a, err);
		return;
	}
	if (number == 0) { /* another environment's sealer was faster */
		rest(a);
		return;
	}
	ASSERT(number == (int64_t)a->n);
	memcpy(a->heads, a->next, a->head_count * sizeof(*a->heads));
	if (FAULT_POINT("audit.anchor")) {
		(void)error_set(&a->anchor_error, ERR_FAULT, "fault point 'audit.anchor'");
		fail(a, &a->anchor_error);
		return;
	}
	anchor(a);
}

static void seal_row(struct sealer *a, struct row *row)
{
	struct audit_anchor *next = &a->next[head_of(a, row->chain) - a->heads];

	chain_next(&next->head, span_of(row->id), span_of(a->horizon), row->hash);
	next->row_id = strtoll(row->id, NULL, 10);
	memcpy(row->seal, next->head.hash, sizeof(row->seal));
	(void)snprintf(row->sequence, sizeof(row->sequence), "%llu",
		(unsigned long long)next->head.sequence);
}

static void put_seals(struct sealer *a)
{
	struct span lists[6][BATCH];
	struct store_seals seals = {
		.state = span_of(a->state),
		.horizon = span_of(a->horizon),
		.full = a->full,
		.n = a->n,
		.chains = lists[0],
		.sequences = lists[1],
		.row_ids = lists[2],
		.xacts = lists[3],
		.row_hashes = lists[4],
		.chain_hashes = lists[5],
	};
	struct store_fence fence = supervisor_fence(a->s);

	memcpy(a->next, a->heads, a->head_count * sizeof(*a->heads));
	for (size_t i = 0; i < a->n; i++) {
		struct row *row = &a->rows[i];

		seal_row(a, row);
		lists[0][i] = span_of(row->chain);
		lists[1][i] = span_of(row->sequence);
		lists[2][i] = span_of(row->id);
		lists[3][i] = span_of(row->xact);
		lists[4][i] = span_of(row->hash);
		lists[5][i] = span_of(row->seal);
	}
	store_audit_seal(a->s->o.db, &fence, &seals, on_sealed, a);
}

/* ---- heads -------------------------------------------------------------------------------------
 */

static void add_head(struct sealer *a, const struct store_chain *chain)
{
	struct audit_anchor *head = &a->heads[a->head_count++];

	(void)snprintf(head->chain, sizeof(head->chain), "%.*s", SPAN_ARG(chain->name));
	chain_start(&head->head, chain->name, chain->previous, chain->previous_sequence,
		chain->previous_hash);
	head->row_id = chain->row_id;
	if (chain->sequence == 0)
		return;
	head->head.sequence = (uint64_t)chain->sequence;
	(void)snprintf(head->head.hash, sizeof(head->head.hash), "%.*s", SPAN_ARG(chain->hash));
}

static void next_head(struct sealer *a);

static void on_head(const struct error *err, const struct store_chain *rows, size_t n, void *user)
{
	struct sealer *a = user;

	(void)n;
	if (over(a))
		return;
	if (err) {
		fail(a, err);
		return;
	}
	add_head(a, rows);
	if (a->n == 0)
		anchor(a);
	else
		next_head(a);
}

static void ask_head(struct sealer *a, struct span chain)
{
	struct store_fence fence = supervisor_fence(a->s);

	store_audit_chain_head(a->s->o.db, &fence, chain, on_head, a);
}

static void next_head(struct sealer *a)
{
	for (size_t i = 0; i < a->n; i++) {
		if (head_of(a, a->rows[i].chain))
			continue;
		if (a->head_count < HEADS_MAX) {
			ask_head(a, span_of(a->rows[i].chain));
			return;
		}
		a->n = i; /* the rest is the next batch */
		a->full = true;
	}
	put_seals(a);
}

/* ---- rows --------------------------------------------------------------------------------------
 */

#define COPY(to, from) (void)snprintf((to), sizeof(to), "%.*s", SPAN_ARG(from))

static void on_unsealed(
	const struct error *err, const struct store_unsealed *rows, size_t n, void *user)
{
	struct sealer *a = user;

	if (over(a))
		return;
	if (err) {
		fail(a, err);
		return;
	}
	if (n == 0) { /* another node's work */
		a->anchored = false;
		rest(a);
		return;
	}
	a->n = rows[0].chain.data ? n : 0;
	a->full = n == BATCH;
	a->head_count = 0;
	COPY(a->state, rows[0].state);
	COPY(a->horizon, rows[0].horizon);
	for (size_t i = 0; i < a->n; i++) {
		COPY(a->rows[i].chain, rows[i].chain);
		COPY(a->rows[i].id, rows[i].columns[CHAIN_COLUMN_ID]);
		COPY(a->rows[i].xact, rows[i].columns[CHAIN_COLUMN_XID]);
		chain_row(rows[i].columns, a->rows[i].hash);
	}
	if (a->n > 0)
		next_head(a);
	else if (!a->anchored && rows[0].last_chain.data)
		ask_head(a, rows[0].last_chain);
	else
		rest(a);
}

static void read_on(struct sealer *a)
{
	struct store_fence fence = supervisor_fence(a->s);

	store_audit_unsealed(a->s->o.db, &fence, LEASE_MS, BATCH, on_unsealed, a);
}

static void on_tick(uv_timer_t *timer)
{
	struct sealer *a = CONTAINER_OF(timer, struct sealer, timer);

	if (a->busy || supervisor_fence(a->s).token == 0)
		return;
	a->busy = true;
	read_on(a);
}

struct sealer *sealer_new(struct supervisor *s)
{
	struct sealer *a = mem_zalloc(sizeof(*a));

	a->s = s;
	a->folder = mem_printf("%s/audit", s->o.data);
	(void)uv_timer_init(s->loop, &a->timer);
	(void)uv_timer_start(&a->timer, on_tick, TICK_MS, TICK_MS);
	return a;
}

void sealer_close(struct sealer *a)
{
	(void)uv_timer_stop(&a->timer);
	a->closing = true;
	if (!a->busy)
		(void)over(a);
}
