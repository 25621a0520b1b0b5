/* A transaction owns a slot from its grant until the slot is out of it: nobody else's statement is
 * sent there, so what is in flight there is its own, in order. Whatever way it ends, the slot goes
 * back only when the server says that no transaction is open on it. */
#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "db/pool_priv.h"

#define ROLLBACK_TIMEOUT_NS (2 * CLOCK_NS_PER_SEC)

static const struct db_statement begin = { .name = "db_begin", .sql = "BEGIN" };
static const struct db_statement commit = { .name = "db_commit", .sql = "COMMIT" };
static const struct db_statement rollback = {
	.name = "db_rollback",
	.sql = "ROLLBACK",
	.flags = DB_STATEMENT_READS,
};

bool transaction_ends_with(const struct query *q)
{
	return q->statement == &commit || q->statement == &rollback;
}

static void set_failure(struct db_transaction *tx, int code, const char *text)
{
	if (tx->failure)
		return;
	tx->failure = mem_zalloc(sizeof(*tx->failure));
	error_set(&tx->failure->err, code, "%s", text);
}

static void free_transaction(struct db_transaction *tx)
{
	ASSERT(!tx->slot && !tx->begin);
	list_remove(&tx->link);
	mem_free(tx->failure);
	tx->magic = 0;
	mem_free(tx);
}

struct db_transaction *db_begin(struct db_pool *pool, const struct db_context *context,
	unsigned timeout_ms, db_done_cb begun, void *user)
{
	static const struct db_context nobody;
	struct db_request request = { .statement = &begin, .done = begun, .user = user };
	struct db_transaction *tx = mem_zalloc(sizeof(*tx));

	ASSERT(pool->magic == POOL_MAGIC && begun);
	tx->magic = TRANSACTION_MAGIC;
	tx->pool = pool;
	tx->deadline = pool_deadline(pool, timeout_ms);
	request.context = context ? context : &nobody;
	tx->begin = query_new(pool, &request, tx->deadline, tx);
	if (pool->closing)
		query_fail(tx->begin, ERR_CANCELLED, "the database connection was closed");
	else if (pool->n_open == 0)
		query_fail(tx->begin, ERR_UNAVAIL, "the database is not connected");
	else if (pool->n_queued >= pool->options.queue)
		query_fail(tx->begin, ERR_AGAIN, "too many database statements are waiting");
	if (tx->begin->failure) {
		list_append(&pool->open, &tx->link);
		pool_finish(pool, TAKE(tx->begin));
		return tx;
	}
	list_append(&pool->waiting, &tx->link);
	pool->n_queued++;
	pool_watch_deadline(pool, tx->deadline);
	pool_dispatch(pool);
	return tx;
}

void db_transaction_query(struct db_transaction *tx, const struct db_request *request)
{
	struct db_request bare = *request;
	struct query *q;

	ASSERT(tx->magic == TRANSACTION_MAGIC && tx->state == TRANSACTION_OPEN && request->done);
	bare.context = NULL;
	q = query_new(tx->pool, &bare, tx->deadline, tx);
	if (tx->failure && (!tx->slot || tx->leaving))
		query_fail(q, tx->failure->err.code, tx->failure->err.text);
	else if (tx->failure)
		query_fail(q, ERR_STATE, "an earlier statement of this transaction failed");
	else if (tx->slot->n_sent >= tx->pool->options.depth)
		query_fail(q, ERR_AGAIN, "too many statements of this transaction are waiting");
	if (q->failure) {
		set_failure(tx, q->failure->err.code, q->failure->err.text);
		pool_finish(tx->pool, q);
		return;
	}
	pool_watch_deadline(tx->pool, tx->deadline);
	pool_send(tx->slot, q);
}

/* After a commit that cannot be: the reason is the first failure. */
static void fail_commit(struct db_transaction *tx, struct query *q)
{
	set_failure(tx, ERR_STATE, "the database rolled the transaction back");
	mem_free(TAKE(q->failure));
	q->failure = mem_copy(tx->failure, sizeof(*tx->failure));
}

static void end(struct db_transaction *tx, bool committing, db_done_cb done, void *user)
{
	struct db_request request = { .statement = &rollback, .done = done, .user = user };
	struct query *q;

	ASSERT(tx->magic == TRANSACTION_MAGIC && tx->state == TRANSACTION_OPEN && done);
	tx->state = TRANSACTION_ENDING;
	tx->committing = committing;
	if (committing && !tx->failure)
		request.statement = &commit;
	q = query_new(tx->pool, &request, tx->deadline, tx);
	if (tx->slot) {
		/* A rollback may come when all time is spent. */
		if (request.statement == &rollback)
			q->deadline = clock_ns() + ROLLBACK_TIMEOUT_NS;
		pool_watch_deadline(tx->pool, q->deadline);
		pool_send(tx->slot, q);
		return;
	}
	if (committing)
		fail_commit(tx, q);
	pool_finish(tx->pool, q);
}

void db_commit(struct db_transaction *tx, db_done_cb done, void *user)
{
	end(tx, true, done, user);
}

void db_rollback(struct db_transaction *tx, db_done_cb done, void *user)
{
	end(tx, false, done, user);
}

static bool is_rolled_back(const struct query *q)
{
	return q->result && strcmp(PQcmdStatus(q->result), "COMMIT") != 0;
}

static void completed_end(struct db_transaction *tx, struct query *q)
{
	tx->leaving = true;
	if (!tx->committing)
		mem_free(TAKE(q->failure));
	else if (q->statement == &rollback || (!q->failure && is_rolled_back(q)))
		fail_commit(tx, q);
}

/* q is answered, or settled with its connection's end. What was only settled is no failure of the
 * transaction yet: a COMMIT behind it may have worked. */
void transaction_completed(struct db_transaction *tx, struct query *q)
{
	if (transaction_ends_with(q)) {
		completed_end(tx, q);
		return;
	}
	if (q->failure && q->failure->sqlstate[0] && !tx->failure)
		tx->failure = mem_copy(q->failure, sizeof(*q->failure));
	if (q->statement != &begin)
		return;
	if (q->failure)
		tx->leaving = true;
	else
		tx->state = TRANSACTION_OPEN;
}

void transaction_delivered(struct db_transaction *tx, const struct query *q)
{
	if (transaction_ends_with(q) || (q->statement == &begin && q->failure))
		free_transaction(tx);
}

static struct slot *slot_for_transaction(struct db_pool *pool)
{
	struct slot *best = NULL;

	for (unsigned i = 0; i < pool->options.connections; i++) {
		struct slot *s = &pool->slots[i];

		if (s->conn.state == CONN_OPEN && !s->owner && !s->rolling_back && !s->cancelling &&
			(!best || s->n_sent < best->n_sent))
			best = s;
	}
	return best;
}

/* Of several connections one is always left for everything else. */
static void grant(struct db_pool *pool)
{
	unsigned most = pool->options.connections > 1 ? pool->options.connections - 1 : 1;

	while (!list_empty(&pool->waiting) && pool->n_transactions < most) {
		struct db_transaction *tx = LIST_FIRST(&pool->waiting, struct db_transaction, link);
		struct slot *slot = slot_for_transaction(pool);

		if (!slot)
			return;
		list_remove(&tx->link);
		list_append(&pool->open, &tx->link);
		pool->n_queued--;
		pool->n_transactions++;
		tx->state = TRANSACTION_BEGINNING;
		tx->slot = slot;
		slot->owner = tx;
	}
}

static bool in_transaction(const struct slot *slot)
{
	PGTransactionStatusType status = PQtransactionStatus(slot->conn.pg);

	return status == PQTRANS_INTRANS || status == PQTRANS_INERROR;
}

static void send_rollback(struct slot *slot)
{
	struct db_request request = { .statement = &rollback };

	slot->rolling_back = true;
	pool_watch_deadline(slot->pool, clock_ns() + ROLLBACK_TIMEOUT_NS);
	pool_send(slot, query_new(slot->pool, &request, clock_ns() + ROLLBACK_TIMEOUT_NS, NULL));
}

static void leave_slot(struct slot *slot)
{
	slot->owner->slot = NULL;
	slot->owner = NULL;
	if (in_transaction(slot))
		send_rollback(slot);
	else
		slot->pool->n_transactions--;
}

static void advance_slot(struct slot *slot)
{
	struct db_transaction *tx = slot->owner;

	if (slot->n_sent > 0 || slot->conn.state != CONN_OPEN)
		return;
	if (slot->rolling_back && in_transaction(slot)) {
		conn_lose_broken(&slot->conn);
	} else if (slot->rolling_back) {
		slot->rolling_back = false;
		slot->pool->n_transactions--;
	} else if (tx && tx->leaving) {
		leave_slot(slot);
	} else if (tx && tx->begin) {
		pool_send(slot, TAKE(tx->begin));
	}
}

void transactions_advance(struct db_pool *pool)
{
	/* Slots that come free first, so that they can be granted. */
	for (unsigned i = 0; i < pool->options.connections; i++)
		advance_slot(&pool->slots[i]);
	if (list_empty(&pool->waiting))
		return;
	grant(pool);
	for (unsigned i = 0; i < pool->options.connections; i++)
		advance_slot(&pool->slots[i]);
}

static void fail_begin(struct db_transaction *tx, int code, const char *text)
{
	struct query *q = TAKE(tx->begin);

	query_fail(q, code, text);
	tx->leaving = true;
	pool_finish(tx->pool, q);
}

void transaction_lost_slot(struct slot *slot)
{
	struct db_transaction *tx = slot->owner;

	if (tx || slot->rolling_back)
		slot->pool->n_transactions--;
	slot->rolling_back = false;
	slot->owner = NULL;
	if (!tx)
		return;
	tx->slot = NULL;
	if (tx->begin)
		fail_begin(tx, ERR_UNAVAIL, "the database connection ended");
	else
		set_failure(
			tx, ERR_UNAVAIL, "the database connection ended within the transaction");
}

static void fail_waiting(struct db_transaction *tx, int code, const char *text)
{
	tx->pool->n_queued--;
	list_remove(&tx->link);
	list_append(&tx->pool->open, &tx->link);
	fail_begin(tx, code, text);
}

void transactions_fail_waiting(struct db_pool *pool, int code, const char *text)
{
	list_for_each_safe(struct db_transaction, tx, &pool->waiting, link)
		fail_waiting(tx, code, text);
}

/* Its time is over: roll back what is there once nothing of it is in flight. */
static void expire(struct db_transaction *tx)
{
	if (tx->begin) {
		fail_begin(tx, ERR_DEADLINE, "no database connection was free in time");
	} else if (tx->state == TRANSACTION_OPEN) {
		tx->leaving = true;
		set_failure(tx, ERR_DEADLINE, "the transaction was not ended in time");
	}
}

uint64_t transactions_expire(struct db_pool *pool, uint64_t now)
{
	uint64_t next = NEVER;

	list_for_each_safe(struct db_transaction, waiting, &pool->waiting, link) {
		if (waiting->deadline <= now)
			fail_waiting(
				waiting, ERR_DEADLINE, "no database connection was free in time");
		else if (waiting->deadline < next)
			next = waiting->deadline;
	}
	list_for_each_safe(struct db_transaction, tx, &pool->open, link) {
		if (tx->leaving || !tx->slot)
			continue;
		if (tx->deadline <= now)
			expire(tx);
		else if (tx->deadline < next)
			next = tx->deadline;
	}
	return next;
}
