/* Nothing in here calls a user's callback but deliver(), which runs from the loop only: answers
 * and failures alike are first put on pool->finished. So no callback can pull a connection away
 * from under libpq's results, and none runs inside a call that its user made.
 *
 * Cancelling. A cancel request names a connection, not a statement; one that arrives late hits the
 * statement behind. What is cancelled before its deadline on a connection that we sent a cancel
 * to was rolled back and is sent again. */
#include "db/pool.h"

#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"
#include "db/pool_priv.h"
#include "db/target_priv.h"

#define DEFAULT_CONNECTIONS 2
#define DEFAULT_DEPTH       16
#define POOLER_CONNECTIONS  8
#define DEFAULT_QUEUE       4096
#define DEFAULT_TIMEOUT_MS  5000
/* Parameters of everything that is queued or in flight. */
#define POOL_BYTES_MAX (UINT64_C(64) << 20)
/* A server that has not reacted to cancels by then is taken for dead. */
#define CANCEL_GRACE_NS (5 * CLOCK_NS_PER_SEC)
/* A cancel that comes between two statements, before the one it means has begun, is lost. */
#define CANCEL_AGAIN_NS (100 * CLOCK_NS_PER_MS)
#define REPEAT_MAX      10

static void deliver(struct db_pool *pool);
static void on_deadline(uv_timer_t *timer);

static void on_own_closed(uv_handle_t *handle)
{
	struct db_pool *pool = handle->data;
	db_close_cb closed = pool->closed;
	void *user = pool->closed_user;

	if (--pool->busy > 0)
		return;
	for (unsigned i = 0; i < pool->options.connections; i++)
		map_done(&pool->slots[i].prepared);
	mem_free(pool->slots);
	target_free(pool->target);
	pool->magic = 0;
	mem_free(pool);
	closed(user);
}

/* The last thing that a closing pool waits for is done? */
static void maybe_end(struct db_pool *pool)
{
	if (!pool->closing || pool->ending || pool->busy || pool->delivering ||
		!list_empty(&pool->finished) || !list_empty(&pool->open))
		return;
	pool->ending = true;
	pool->busy = 2;
	uv_close((uv_handle_t *)&pool->timer, on_own_closed);
	uv_close((uv_handle_t *)&pool->idle, on_own_closed);
}

static void on_idle(uv_idle_t *idle)
{
	deliver(idle->data);
}

static void deliver_soon(struct db_pool *pool)
{
	(void)uv_idle_start(&pool->idle, on_idle);
}

void pool_finish(struct db_pool *pool, struct query *q)
{
	list_remove(&q->link);
	list_append(&pool->finished, &q->link);
	deliver_soon(pool);
}

static void report(struct db_pool *pool, enum pool_report what, const struct error *reason)
{
	if (reason)
		pool->reason = *reason;
	pool->to_report = what;
	deliver_soon(pool);
}

static void deliver_state(struct db_pool *pool)
{
	enum pool_report what = pool->to_report;
	struct error reason = pool->reason;

	pool->to_report = REPORT_NOTHING;
	if (what == REPORT_NOTHING || (what == REPORT_CONNECTED && pool->reported == what))
		return;
	pool->reported = what;
	if (pool->options.state && !pool->closing)
		pool->options.state(what == REPORT_CONNECTED,
			what == REPORT_CONNECTED ? NULL : &reason, pool->options.user);
}

static void call_done(struct db_pool *pool, struct query *q)
{
	struct db_transaction *tx = q->tx;
	struct db_result result = q->failure ? result_of_failure(q->failure) : result_of(q->result);

	if (q->done)
		q->done(&result, q->user);
	if (tx)
		transaction_delivered(tx, q);
	query_free(pool, q);
}

static void deliver(struct db_pool *pool)
{
	struct list batch;

	if (pool->delivering)
		return;
	pool->delivering = true;
	deliver_state(pool);
	/* Only what is due now: a callback that tries again at once must not keep us here. */
	list_init(&batch);
	while (!list_empty(&pool->finished)) {
		struct list *first = pool->finished.next;

		list_remove(first);
		list_append(&batch, first);
	}
	while (!list_empty(&batch)) {
		struct query *q = LIST_FIRST(&batch, struct query, link);

		list_remove(&q->link);
		call_done(pool, q);
	}
	pool->delivering = false;
	if (list_empty(&pool->finished) && pool->to_report == REPORT_NOTHING)
		(void)uv_idle_stop(&pool->idle);
	maybe_end(pool);
}

static void arm(struct db_pool *pool, uint64_t deadline)
{
	uint64_t now = clock_ns();

	pool->next_deadline = deadline;
	if (deadline == NEVER || pool->closing) {
		(void)uv_timer_stop(&pool->timer);
		return;
	}
	uv_update_time(pool->loop);
	(void)uv_timer_start(&pool->timer, on_deadline,
		deadline > now ? (deadline - now) / CLOCK_NS_PER_MS + 1 : 0, 0);
}

void pool_watch_deadline(struct db_pool *pool, uint64_t deadline)
{
	if (deadline < pool->next_deadline)
		arm(pool, deadline);
}

uint64_t pool_deadline(const struct db_pool *pool, unsigned timeout_ms)
{
	return clock_ns() + (timeout_ms ? timeout_ms : pool->options.timeout_ms) * CLOCK_NS_PER_MS;
}

/* Cancel requests: PQcancel() waits for the server, so it runs on libuv's pool. */

struct cancel {
	struct slot *slot;
	PGcancel *request;
};

static void on_cancel(void *user)
{
	struct cancel *c = user;
	char reason[256];

	/* Whether it worked shows at the statement; the grace bounds the wait for that. */
	(void)PQcancel(c->request, reason, sizeof(reason));
}

static void cancel_head(struct slot *slot);

static void on_cancelled(void *user, int cancelled)
{
	struct cancel *c = user;
	struct slot *slot = c->slot;

	(void)cancelled;
	PQfreeCancel(c->request);
	mem_free(c);
	slot->cancelling = false;
	slot->next_cancel = clock_ns() + CANCEL_AGAIN_NS;
	slot->pool->busy--;
	pool_watch_deadline(slot->pool, slot->next_cancel);
	cancel_head(slot);
	maybe_end(slot->pool);
}

/* Stop the statement that the server works on, if its time is over. */
static void cancel_head(struct slot *slot)
{
	struct query *q = LIST_FIRST(&slot->sent, struct query, link);
	struct cancel *c;

	if (!q || !q->overdue || slot->cancelling || slot->conn.state != CONN_OPEN ||
		(q->cancelled_at && clock_ns() < slot->next_cancel))
		return;
	if (!q->cancelled_at)
		q->cancelled_at = clock_ns();
	pool_watch_deadline(slot->pool, q->cancelled_at + CANCEL_GRACE_NS);
	c = mem_zalloc(sizeof(*c));
	c->slot = slot;
	c->request = PQgetCancel(slot->conn.pg);
	if (!c->request)
		BUG("no memory for a cancel request");
	slot->cancelling = true;
	slot->cancels++;
	slot->pool->busy++;
	(void)work_submit(slot->pool->loop, on_cancel, on_cancelled, c);
}

/* Whether q met somebody else's cancel, or a statement that the server has lost; neither has any
 * effect. */
static bool can_repeat(const struct slot *slot, const struct query *q)
{
	if (!q->failure || q->tx || q->overdue || q->repeat >= REPEAT_MAX || slot->pool->closing)
		return false;
	return (slot->cancels && strcmp(q->failure->sqlstate, "57014") == 0) ||
	       strcmp(q->failure->sqlstate, "26000") == 0;
}

static void repeat(struct db_pool *pool, struct query *q)
{
	q->repeat++;
	mem_free(TAKE(q->failure));
	PQclear(TAKE(q->result));
	list_prepend(&pool->queue, &q->link);
	pool->n_queued++;
}

void pool_complete(struct slot *slot, struct query *q)
{
	struct db_pool *pool = slot->pool;
	bool cancelled = q->failure && strcmp(q->failure->sqlstate, "57014") == 0;

	if (can_repeat(slot, q)) {
		if (!cancelled)
			query_forget_prepared(slot, q);
		repeat(pool, q);
		return;
	}
	if (cancelled && q->overdue) {
		mem_free(TAKE(q->failure));
		query_fail(q, ERR_DEADLINE, "the database did not answer in time");
	}
	if (q->tx)
		transaction_completed(q->tx, q);
	pool_finish(pool, q);
}

/* The query stays in flight without anybody behind it; who asked gets the answer now. */
static void leave_ghost(struct db_pool *pool, struct query *q)
{
	struct query *ghost = mem_zalloc(sizeof(*ghost));

	ghost->statement = q->statement;
	ghost->context_statement = q->context_statement;
	ghost->overdue = true;
	ghost->size = sizeof(*ghost);
	ghost->n_steps = q->n_steps;
	ghost->at = q->at;
	memcpy(ghost->steps, q->steps, sizeof(ghost->steps));
	pool->bytes += ghost->size;
	list_prepend(&q->link, &ghost->link);
	query_fail(q, ERR_DEADLINE, "the database did not answer in time");
	pool_finish(pool, q);
}

static void expire_queue(struct db_pool *pool, uint64_t now, uint64_t *next)
{
	list_for_each_safe(struct query, q, &pool->queue, link) {
		if (q->deadline > now) {
			*next = q->deadline < *next ? q->deadline : *next;
			continue;
		}
		pool->n_queued--;
		query_fail(q, ERR_DEADLINE, "no database connection was free in time");
		pool_finish(pool, q);
	}
}

static void expire_sent(struct slot *slot, uint64_t now, uint64_t *next)
{
	struct query *head = LIST_FIRST(&slot->sent, struct query, link);
	struct error err;
	uint64_t again;

	list_for_each_safe(struct query, q, &slot->sent, link) {
		if (q->overdue)
			continue;
		if (q->deadline > now) {
			*next = q->deadline < *next ? q->deadline : *next;
			continue;
		}
		q->overdue = true;
		/* What reads needs no outcome. What writes waits for its turn and is cancelled
		 * there, so that it can be told what came of it. */
		if (q != head && !q->tx && q->statement->flags & DB_STATEMENT_READS)
			leave_ghost(slot->pool, q);
	}
	cancel_head(slot);
	if (!head || !head->cancelled_at)
		return;
	if (head->cancelled_at + CANCEL_GRACE_NS <= now) {
		error_set(&err, ERR_UNAVAIL, "the database does not react to a cancel");
		conn_lose(&slot->conn, &err);
		return;
	}
	again = slot->cancelling ? head->cancelled_at + CANCEL_GRACE_NS : slot->next_cancel;
	*next = again < *next ? again : *next;
}

static void on_deadline(uv_timer_t *timer)
{
	struct db_pool *pool = timer->data;
	uint64_t now = clock_ns(), next = NEVER, next_transaction;

	pool->next_deadline = NEVER;
	expire_queue(pool, now, &next);
	for (unsigned i = 0; i < pool->options.connections; i++)
		expire_sent(&pool->slots[i], now, &next);
	next_transaction = transactions_expire(pool, now);
	next = next_transaction < next ? next_transaction : next;
	if (next < pool->next_deadline)
		arm(pool, next);
	pool_dispatch(pool);
	deliver(pool);
}

/* PgBouncer gives a server connection to another client at each answer to a Sync, even when the
 * first half of our next round is on its way there and the second half is not read yet (1.18 counts
 * Syncs alone): statement and asker would part. So the next round waits for that answer. Within
 * BEGIN and COMMIT it keeps the connection. */
static struct slot *free_slot(struct db_pool *pool)
{
	unsigned depth = pool->options.pooler ? 1 : pool->options.depth;
	struct slot *best = NULL;

	for (unsigned i = 0; i < pool->options.connections; i++) {
		struct slot *s = &pool->slots[i];

		if (s->conn.state == CONN_OPEN && !s->owner && !s->rolling_back && !s->cancelling &&
			s->n_sent < depth && (!best || s->n_sent < best->n_sent))
			best = s;
	}
	return best;
}

void pool_send(struct slot *slot, struct query *q)
{
	if (query_send(slot, q))
		conn_flush(&slot->conn);
	else
		conn_lose_broken(&slot->conn);
}

void pool_dispatch(struct db_pool *pool)
{
	transactions_advance(pool);
	while (!list_empty(&pool->queue)) {
		struct slot *slot = free_slot(pool);

		if (!slot)
			return;
		pool->n_queued--;
		pool_send(slot, LIST_FIRST(&pool->queue, struct query, link));
	}
}

/* Nothing that waits can be sent. */
static void fail_waiting(struct db_pool *pool, int code, const char *text)
{
	list_for_each_safe(struct query, q, &pool->queue, link) {
		query_fail(q, code, text);
		pool_finish(pool, q);
	}
	pool->n_queued = 0;
	transactions_fail_waiting(pool, code, text);
}

static void settle_sent(struct slot *slot)
{
	list_for_each_safe(struct query, q, &slot->sent, link) {
		query_settle_lost(slot, q);
		if (q->tx)
			transaction_completed(q->tx, q);
		pool_finish(slot->pool, q);
	}
	slot->n_sent = 0;
	transaction_lost_slot(slot);
}

static void on_opened(struct conn *c)
{
	struct slot *slot = c->user;
	struct db_pool *pool = slot->pool;

	if (PQenterPipelineMode(c->pg) != 1)
		BUG("a new connection refuses pipeline mode");
	map_done(&slot->prepared);
	map_init(&slot->prepared);
	slot->ended = false;
	slot->cancels = 0;
	slot->up = true;
	pool->n_open++;
	report(pool, REPORT_CONNECTED, NULL);
	pool_dispatch(pool);
	deliver(pool);
}

static void on_input(struct conn *c)
{
	struct slot *slot = c->user;

	query_take_results(slot);
	cancel_head(slot);
	pool_dispatch(slot->pool);
	deliver(slot->pool);
}

static void on_lost(struct conn *c, const struct error *reason)
{
	struct slot *slot = c->user;
	struct db_pool *pool = slot->pool;

	if (slot->up) {
		slot->up = false;
		pool->n_open--;
	}
	settle_sent(slot);
	if (pool->n_open > 0)
		return;
	fail_waiting(pool, ERR_UNAVAIL, "the database is not connected");
	if (pool->reported != REPORT_GONE || strcmp(pool->reason.text, reason->text) != 0)
		report(pool, REPORT_GONE, reason);
}

static void on_slot_closed(struct conn *c)
{
	struct slot *slot = c->user;

	slot->pool->busy--;
	maybe_end(slot->pool);
}

static const struct conn_use slot_use = { on_opened, on_input, on_lost, on_slot_closed };

static unsigned or_default(unsigned value, unsigned fallback)
{
	return value ? value : fallback;
}

int db_pool_start(struct db_pool **out, struct uv_loop_s *loop,
	const struct db_pool_options *options, struct error *err)
{
	struct target *target;
	struct db_pool *pool;
	int rc;

	rc = target_new(&target, options->url, options->application, err);
	if (rc < 0)
		return rc;
	pool = mem_zalloc(sizeof(*pool));
	pool->magic = POOL_MAGIC;
	pool->loop = loop;
	pool->target = target;
	pool->options = *options;
	pool->options.url = NULL;
	pool->options.connections = or_default(
		options->connections, options->pooler ? POOLER_CONNECTIONS : DEFAULT_CONNECTIONS);
	pool->options.depth = or_default(options->depth, DEFAULT_DEPTH);
	pool->options.queue = or_default(options->queue, DEFAULT_QUEUE);
	pool->options.timeout_ms = or_default(options->timeout_ms, DEFAULT_TIMEOUT_MS);
	list_init(&pool->queue);
	list_init(&pool->finished);
	list_init(&pool->waiting);
	list_init(&pool->open);
	pool->next_deadline = NEVER;
	(void)uv_timer_init(loop, &pool->timer);
	(void)uv_idle_init(loop, &pool->idle);
	pool->timer.data = pool->idle.data = pool;
	pool->slots = mem_calloc(pool->options.connections, sizeof(*pool->slots));
	for (unsigned i = 0; i < pool->options.connections; i++) {
		struct slot *slot = &pool->slots[i];

		slot->pool = pool;
		list_init(&slot->sent);
		map_init(&slot->prepared);
		conn_start(&slot->conn, loop, target, &slot_use, slot);
		pool->busy++;
	}
	*out = pool;
	return 0;
}

void db_pool_close(struct db_pool *pool, db_close_cb closed, void *user)
{
	ASSERT(pool->magic == POOL_MAGIC && !pool->closing);
	pool->closing = true;
	pool->closed = closed;
	pool->closed_user = user;
	arm(pool, NEVER);
	fail_waiting(pool, ERR_CANCELLED, "the database connection was closed");
	for (unsigned i = 0; i < pool->options.connections; i++) {
		settle_sent(&pool->slots[i]);
		conn_close(&pool->slots[i].conn);
	}
	deliver_soon(pool);
}

bool db_pool_connected(const struct db_pool *pool)
{
	return pool->n_open > 0 && !pool->closing;
}

void db_query(struct db_pool *pool, const struct db_request *request)
{
	struct query *q;

	ASSERT(pool->magic == POOL_MAGIC && request->done);
	q = query_new(pool, request, pool_deadline(pool, request->timeout_ms), NULL);
	if (pool->closing)
		query_fail(q, ERR_CANCELLED, "the database connection was closed");
	else if (pool->n_open == 0)
		query_fail(q, ERR_UNAVAIL, "the database is not connected");
	else if (pool->n_queued >= pool->options.queue || pool->bytes > POOL_BYTES_MAX)
		query_fail(q, ERR_AGAIN, "too many database statements are waiting");
	if (q->failure) {
		pool_finish(pool, q);
		return;
	}
	list_append(&pool->queue, &q->link);
	pool->n_queued++;
	pool_watch_deadline(pool, q->deadline);
	pool_dispatch(pool);
}
