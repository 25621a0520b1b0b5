/* pool_priv.h - what pool.c, query.c and transaction.c share */
#ifndef MORTISE_DB_POOL_PRIV_H
#define MORTISE_DB_POOL_PRIV_H

#include <uv.h>

#include "base/list.h"
#include "base/map.h"
#include "db/conn_priv.h"
#include "db/pool.h"
#include "db/value_priv.h"

#define POOL_MAGIC        0x6d7a6470u
#define TRANSACTION_MAGIC 0x6d7a6474u
#define NEVER             UINT64_MAX

enum step { STEP_PREPARE_CONTEXT, STEP_PREPARE, STEP_CONTEXT, STEP_STATEMENT, STEP_COUNT };

/* One statement on its way: in the pool's queue, in flight on a slot, or done and waiting for its
 * callback. */
struct query {
	struct list link;
	const struct db_statement *statement;
	const struct db_statement *context_statement; /* NULL: without context */
	struct db_transaction *tx;                    /* NULL: a transaction of its own */
	db_done_cb done;                              /* NULL: nobody waits for it (any more) */
	void *user;
	uint64_t deadline;
	uint64_t cancelled_at; /* when it was first cancelled at the head of its slot; 0: not */
	struct failure *failure;
	PGresult *result;
	struct values context;
	struct values values;
	bool overdue;
	uint8_t steps[STEP_COUNT];
	uint8_t n_steps;
	uint8_t at;     /* steps answered */
	uint8_t repeat; /* times sent again */
	size_t size;
};

/* A connection with what is in flight on it, in order. */
struct slot {
	struct conn conn;
	struct db_pool *pool;
	struct list sent;
	unsigned n_sent;
	struct map prepared;          /* statement pointer -> itself */
	struct db_transaction *owner; /* keeps everybody else off */
	bool rolling_back;            /* the ROLLBACK of a left transaction is under way */
	bool up;                      /* counted in pool->n_open */
	bool ended;                   /* the server said that it ends the connection */
	bool cancelling;              /* a cancel request is under way */
	uint64_t next_cancel;         /* not before, for the same statement */
	unsigned cancels;             /* since the connection was opened */
};

enum pool_report { REPORT_NOTHING, REPORT_CONNECTED, REPORT_GONE };

struct db_pool {
	uint32_t magic;
	uv_loop_t *loop;
	struct target *target;
	struct db_pool_options options;
	struct slot *slots;
	unsigned n_open;
	struct list queue;
	unsigned n_queued;
	size_t bytes;            /* of all queries */
	struct list finished;    /* callbacks to come */
	struct list waiting;     /* transactions without a slot */
	struct list open;        /* transactions with one, and those that lost theirs */
	unsigned n_transactions; /* slots owned or rolling back */
	uint64_t next_deadline;
	uv_timer_t timer;
	uv_idle_t idle; /* runs while callbacks are due that no event will bring */
	bool delivering;
	enum pool_report reported;
	enum pool_report to_report;
	struct error reason;
	bool closing;
	bool ending;   /* all is done but closing our own handles */
	unsigned busy; /* connections, cancels and handles that closed() waits for */
	db_close_cb closed;
	void *closed_user;
};

/* waiting -> beginning -> open -> ending    waiting, beginning: gone after a failed begin */
enum transaction_state {
	TRANSACTION_WAITING,   /* for a slot */
	TRANSACTION_BEGINNING, /* BEGIN is sent, or waits for the slot to drain */
	TRANSACTION_OPEN,
	TRANSACTION_ENDING,
	TRANSACTION_STATE_COUNT
};

struct db_transaction {
	uint32_t magic;
	enum transaction_state state;
	struct list link;
	struct db_pool *pool;
	struct slot *slot; /* NULL: none yet, or left or lost */
	uint64_t deadline;
	struct query *begin;     /* until it is sent */
	struct failure *failure; /* the first */
	bool committing;         /* its end was asked for with db_commit() */
	bool leaving;            /* over, as far as the slot is concerned */
};

/* query.c */

/* With a failure in it when a parameter is not valid. */
struct query *query_new(struct db_pool *pool, const struct db_request *request, uint64_t deadline,
	struct db_transaction *tx);
void query_free(struct db_pool *pool, struct query *q);
/* Give it a failure of our own, unless it has one. */
void query_fail(struct query *q, int code, const char *text);
/* Put all of it into libpq's buffer and into slot->sent. On failure it is in slot->sent too, and
 * the connection has to be given up. */
bool query_send(struct slot *slot, struct query *q);
/* Take what the server has answered; each completed query is given to pool_complete(). */
void query_take_results(struct slot *slot);
/* Prepare its statements anew when they are next sent. */
void query_forget_prepared(struct slot *slot, const struct query *q);
/* What a query that was in flight on a lost connection comes to. */
void query_settle_lost(const struct slot *slot, struct query *q);

/* pool.c */
uint64_t pool_deadline(const struct db_pool *pool, unsigned timeout_ms);
void pool_watch_deadline(struct db_pool *pool, uint64_t deadline);
void pool_dispatch(struct db_pool *pool);
void pool_send(struct slot *slot, struct query *q);
void pool_complete(struct slot *slot, struct query *q);
void pool_finish(struct db_pool *pool, struct query *q); /* its callback is due */

/* transaction.c */
void transactions_advance(struct db_pool *pool);
void transaction_completed(struct db_transaction *tx, struct query *q);
void transaction_delivered(struct db_transaction *tx, const struct query *q);
void transaction_lost_slot(struct slot *slot);
void transactions_fail_waiting(struct db_pool *pool, int code, const char *text);
/* Act on deadlines that have passed; returns the next one. */
uint64_t transactions_expire(struct db_pool *pool, uint64_t now);
bool transaction_ends_with(const struct query *q);

#endif
