/* pool.h - statements to PostgreSQL, many in flight, none waited for
 *
 * A pool keeps a few connections open, reconnects them with back-off and sends
 * statements over them in pipeline mode. Each statement is a transaction of its
 * own: its context (who asks), then itself, under one Sync. Statements of one
 * pool may overtake each other; what depends on another's effect is sent in the
 * other's callback, or in a transaction.
 *
 * Every callback runs exactly once, from the loop, never before the call that
 * started it has returned, also when there is no connection, no room, no time or
 * no pool left. Outcomes that differ for the caller:
 *   ERR_UNAVAIL   not connected, or the connection ended before it could happen: it did not happen
 *   ERR_UNKNOWN   the connection ended while it may have been committed
 *   ERR_DEADLINE  it was cancelled at its deadline: it did not happen
 *   ERR_AGAIN     the queue is full, or it lost against a concurrent one (deadlock, serialization):
 *                 it did not happen
 *   ERR_CANCELLED the pool closed first, or the server's administrator cancelled it
 * and whatever code of error.def the statement's SQLSTATE stands for. Connection
 * strings and passwords are in no text and no log. [loop thread]
 */
#ifndef MORTISE_DB_POOL_H
#define MORTISE_DB_POOL_H

#include "db/value.h"

struct uv_loop_s;
struct db_pool;        /* opaque */
struct db_transaction; /* opaque */

typedef void (*db_done_cb)(const struct db_result *result, void *user);
typedef void (*db_close_cb)(void *user);

/* connected: at least one connection is open. Otherwise reason says why there is none. Comes at
 * each change, and first after the first connect or the first failure of it; until it says
 * connected, statements fail with ERR_UNAVAIL. */
typedef void (*db_state_cb)(bool connected, const struct error *reason, void *user);

struct db_pool_options {
	const char *url;         /* URL or key=value string; copied */
	const char *application; /* application_name, for pg_stat_activity */
	unsigned connections;    /* 0: 2, or 8 behind a pooler */
	unsigned depth;          /* statements in flight on one connection; 0: 16 */
	unsigned queue;          /* statements waiting; 0: 4096 */
	unsigned timeout_ms;     /* deadline of statements that name none; 0: 5000 */
	bool pooler;             /* behind PgBouncer: no named prepared statements, one in flight */
	db_state_cb state;       /* may be NULL */
	void *user;
};

/* Start connecting. ERR_CONFIG: the url cannot be read. */
int db_pool_start(struct db_pool **out, struct uv_loop_s *loop,
	const struct db_pool_options *options, struct error *err);

/* Close the connections and end all statements; their callbacks run before closed. */
void db_pool_close(struct db_pool *pool, db_close_cb closed, void *user);

bool db_pool_connected(const struct db_pool *pool);

struct db_request {
	const struct db_statement *statement; /* static */
	const struct db_context *context;     /* NULL: nobody */
	const struct db_param *params;        /* statement->params of them */
	unsigned timeout_ms;                  /* 0: the pool's */
	db_done_cb done;
	void *user;
};

/* Everything in request is copied. */
void db_query(struct db_pool *pool, const struct db_request *request);

/* Several statements that see each other's effects and happen together or not at all. Holds one
 * connection until it ends; at most connections - 1 (at least 1) are open at once, others wait.
 * begun comes with a result: on failure there is no transaction and *out of db_begin is gone when
 * it returns. After success the caller ends it with exactly one of db_commit() and db_rollback().
 * timeout_ms bounds its whole life, the wait for a connection included; past it, it is rolled
 * back and all that comes fails with ERR_DEADLINE. */
struct db_transaction *db_begin(struct db_pool *pool, const struct db_context *context,
	unsigned timeout_ms, db_done_cb begun, void *user);

/* As db_query(), in the transaction; context and timeout_ms of the request are not looked at.
 * After a failure all further statements fail with ERR_STATE. */
void db_transaction_query(struct db_transaction *tx, const struct db_request *request);

/* The end. tx is gone when done returns. A commit succeeds only if every statement did; otherwise
 * all is rolled back and the result is the first failure. ERR_UNKNOWN: the connection ended while
 * COMMIT was under way. A rollback always succeeds. */
void db_commit(struct db_transaction *tx, db_done_cb done, void *user);
void db_rollback(struct db_transaction *tx, db_done_cb done, void *user);

#endif
