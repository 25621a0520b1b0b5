/* One query is one round under one Sync: Parse messages that this connection has not seen yet,
 * then the context, then the statement. PostgreSQL makes that one implicit transaction, which
 * commits at the Sync: so the answer to the Sync, not the statement's, decides. A Parse stands
 * first, so that it fails only by itself. */
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "db/pool_priv.h"

#define ALIGN_UP(n, to) (((n) + (to)-1) / (to) * (to))

/* No column comes back: describing and sending them would cost as much as a small read. */
#define PAIR(name, value) "set_config($" #name ", $" #value ", true) IS NOT NULL"
#define PAIRS_2           "SELECT WHERE " PAIR(1, 2) " AND " PAIR(3, 4)
#define PAIRS_3           PAIRS_2 " AND " PAIR(5, 6)
#define PAIRS_4           PAIRS_3 " AND " PAIR(7, 8)
#define PAIRS_5           PAIRS_4 " AND " PAIR(9, 10)
#define PAIRS_6           PAIRS_5 " AND " PAIR(11, 12)
#define PAIRS_7           PAIRS_6 " AND " PAIR(13, 14)
#define PAIRS_8           PAIRS_7 " AND " PAIR(15, 16)
#define SET_CONTEXT(n)                                                   \
	{                                                                \
		"db_context_" #n, PAIRS_##n, 2 * (n), DB_STATEMENT_READS \
	}

static const struct db_statement set_context[CONTEXT_PAIRS_MAX + 1] = {
	[2] = SET_CONTEXT(2),
	[3] = SET_CONTEXT(3),
	[4] = SET_CONTEXT(4),
	[5] = SET_CONTEXT(5),
	[6] = SET_CONTEXT(6),
	[7] = SET_CONTEXT(7),
	[8] = SET_CONTEXT(8),
};

struct query *query_new(struct db_pool *pool, const struct db_request *request, uint64_t deadline,
	struct db_transaction *tx)
{
	const struct db_statement *statement = request->statement;
	size_t n = statement->params, n_context = 0;
	struct db_param settings[2 * CONTEXT_PAIRS_MAX];
	size_t head = ALIGN_UP(sizeof(struct query), sizeof(void *)), middle, size;
	struct error err = { 0 };
	struct query *q;

	ASSERT(n <= DB_PARAMS_MAX);
	if (request->context || (pool->options.pooler && !tx))
		n_context = 2 * context_pairs(request->context, pool->options.pooler, settings);
	if (values_check(settings, n_context, &err) < 0 ||
		values_check(request->params, n, &err) < 0)
		n = n_context = 0;
	middle = ALIGN_UP(values_size(settings, n_context), sizeof(void *));
	size = head + middle + values_size(request->params, n);
	q = mem_alloc(size);
	*q = (struct query){ .statement = statement, .tx = tx, .done = request->done };
	q->user = request->user;
	q->deadline = deadline;
	q->context_statement = n_context ? &set_context[n_context / 2] : NULL;
	q->size = size;
	list_init(&q->link);
	values_write(&q->context, (char *)q + head, settings, n_context);
	values_write(&q->values, (char *)q + head + middle, request->params, n);
	pool->bytes += size;
	if (err.code)
		query_fail(q, err.code, err.text);
	return q;
}

void query_free(struct db_pool *pool, struct query *q)
{
	list_remove(&q->link);
	pool->bytes -= q->size;
	PQclear(q->result);
	mem_free(q->failure);
	/* Parameters may be key hashes and secrets. */
	mem_wipe(q, q->size);
	mem_free(q);
}

void query_fail(struct query *q, int code, const char *text)
{
	if (q->failure)
		return;
	q->failure = mem_zalloc(sizeof(*q->failure));
	error_set(&q->failure->err, code, "%s", text);
}

static void add_step(struct query *q, enum step step)
{
	q->steps[q->n_steps++] = (uint8_t)step;
}

static bool send_prepare(
	struct slot *slot, struct query *q, const struct db_statement *statement, enum step step)
{
	if (slot->pool->options.pooler || map_get_u64(&slot->prepared, (uintptr_t)statement))
		return true;
	(void)map_put_u64(&slot->prepared, (uintptr_t)statement, (void *)(uintptr_t)statement);
	add_step(q, step);
	return PQsendPrepare(slot->conn.pg, statement->name, statement->sql, 0, NULL) == 1;
}

static bool send_values(struct slot *slot, struct query *q, const struct db_statement *statement,
	const struct values *v, enum step step)
{
	add_step(q, step);
	if (slot->pool->options.pooler)
		return PQsendQueryParams(slot->conn.pg, statement->sql, v->n, NULL, v->texts,
			       v->lengths, v->formats, 1) == 1;
	return PQsendQueryPrepared(slot->conn.pg, statement->name, v->n, v->texts, v->lengths,
		       v->formats, 1) == 1;
}

static bool send_context(struct slot *slot, struct query *q)
{
	return !q->context_statement ||
	       send_values(slot, q, q->context_statement, &q->context, STEP_CONTEXT);
}

bool query_send(struct slot *slot, struct query *q)
{
	/* In a transaction the context follows BEGIN, the only one that has one there. */
	bool before = !q->tx;

	q->n_steps = q->at = 0;
	list_remove(&q->link);
	list_append(&slot->sent, &q->link);
	slot->n_sent++;
	if (q->context_statement &&
		!send_prepare(slot, q, q->context_statement, STEP_PREPARE_CONTEXT))
		return false;
	if (!send_prepare(slot, q, q->statement, STEP_PREPARE))
		return false;
	if (before && !send_context(slot, q))
		return false;
	if (!send_values(slot, q, q->statement, &q->values, STEP_STATEMENT))
		return false;
	if (!before && !send_context(slot, q))
		return false;
	return PQpipelineSync(slot->conn.pg) == 1;
}

static void forget_prepared(struct slot *slot, const struct query *q, enum step step)
{
	const struct db_statement *statement = NULL;

	if (step == STEP_PREPARE_CONTEXT)
		statement = q->context_statement;
	else if (step == STEP_PREPARE)
		statement = q->statement;
	if (statement)
		(void)map_remove_u64(&slot->prepared, (uintptr_t)statement);
}

void query_forget_prepared(struct slot *slot, const struct query *q)
{
	(void)map_remove_u64(&slot->prepared, (uintptr_t)q->statement);
	if (q->context_statement)
		(void)map_remove_u64(&slot->prepared, (uintptr_t)q->context_statement);
}

static void take_failure(struct slot *slot, struct query *q, const PGresult *r)
{
	if (q->at < q->n_steps)
		forget_prepared(slot, q, q->steps[q->at]);
	slot->ended = conn_hear(&slot->conn, r) || slot->ended;
	if (!q->failure) {
		q->failure = mem_zalloc(sizeof(*q->failure));
		failure_from_result(q->failure, r, q->statement->name);
		log_debug("database statement failed", LOG_STR("statement", q->statement->name),
			LOG_STR("sqlstate", q->failure->sqlstate),
			LOG_STR("detail", q->failure->detail));
	}
	if (q->at < q->n_steps)
		q->at++;
}

static void take_step(struct slot *slot, struct query *q, PGresult *r)
{
	enum step step;

	ASSERT(q->at < q->n_steps);
	step = q->steps[q->at++];
	if (PQresultStatus(r) == PGRES_PIPELINE_ABORTED)
		forget_prepared(slot, q, step);
	if (step != STEP_STATEMENT || PQresultStatus(r) == PGRES_PIPELINE_ABORTED) {
		PQclear(r);
		return;
	}
	q->result = r;
}

/* Returns false when r is libpq's word for a dead connection, not an answer. */
static bool take_result(struct slot *slot, PGresult *r)
{
	struct query *q = LIST_FIRST(&slot->sent, struct query, link);

	switch (PQresultStatus(r)) {
	case PGRES_PIPELINE_SYNC:
		PQclear(r);
		list_remove(&q->link);
		slot->n_sent--;
		pool_complete(slot, q);
		return true;
	case PGRES_COMMAND_OK:
	case PGRES_TUPLES_OK:
	case PGRES_EMPTY_QUERY:
	case PGRES_PIPELINE_ABORTED:
		take_step(slot, q, r);
		return true;
	default:
		break;
	}
	if (!PQresultErrorField(r, PG_DIAG_SQLSTATE)) {
		PQclear(r);
		return false;
	}
	take_failure(slot, q, r);
	PQclear(r);
	return true;
}

void query_take_results(struct slot *slot)
{
	unsigned empty = 0;

	/* libpq ends the results of each step with a NULL; two in a row mean that it has none. */
	while (!list_empty(&slot->sent) && empty < 2 && !PQisBusy(slot->conn.pg)) {
		PGresult *r = PQgetResult(slot->conn.pg);

		empty = r ? 0 : empty + 1;
		if (r && !take_result(slot, r))
			return;
	}
}

/* The statement was answered, so the commit may have happened. */
static bool may_be_committed(const struct query *q)
{
	return q->result && !(q->statement->flags & DB_STATEMENT_READS);
}

void query_settle_lost(const struct slot *slot, struct query *q)
{
	bool reads = q->statement->flags & DB_STATEMENT_READS;

	/* An error without FATAL rolled it back; FATAL did, unless it came behind the answer. */
	if (q->failure && !(slot->ended && may_be_committed(q)))
		return;
	mem_free(TAKE(q->failure));
	if (q->tx && !transaction_ends_with(q))
		query_fail(q, ERR_UNAVAIL, "the database connection ended within the transaction");
	else if (reads && q->overdue)
		query_fail(q, ERR_DEADLINE, "the database did not answer in time");
	else if (reads && slot->pool->closing)
		query_fail(q, ERR_CANCELLED, "the database connection was closed");
	else if (reads || (slot->ended && q->at == 0))
		query_fail(q, ERR_UNAVAIL, "the database connection ended");
	else
		query_fail(q, ERR_UNKNOWN,
			"the database connection ended before it said whether this was committed");
}
