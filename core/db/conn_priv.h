/* conn_priv.h - one connection on the loop: resolve, connect, watch, reconnect
 *
 * Whoever uses it (a pool, a listener) speaks libpq on c->pg while it is open;
 * this keeps it open. The three callbacks never run inside a call of conn_*()
 * but conn_flush() and conn_lose(), which may call lost().
 */
#ifndef MORTISE_DB_CONN_PRIV_H
#define MORTISE_DB_CONN_PRIV_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/error.h"

struct target;
struct conn;

struct conn_use {
	void (*opened)(struct conn *c);
	void (*input)(struct conn *c); /* bytes came in, or may have */
	/* Connecting failed, or what was open is open no more. c->pg, where it was open, is still
	 * there until this returns. */
	void (*lost)(struct conn *c, const struct error *reason);
	void (*closed)(struct conn *c);
};

/* waiting -> resolving -> connecting -> open -> waiting    any -> closing -> closed
 * waiting -> connecting, when there is no name to resolve  resolving, connecting -> waiting */
enum conn_state {
	CONN_WAITING,
	CONN_RESOLVING,
	CONN_CONNECTING,
	CONN_OPEN,
	CONN_CLOSING,
	CONN_CLOSED,
	CONN_STATE_COUNT
};

struct conn {
	enum conn_state state;
	PGconn *pg; /* while connecting and open */
	const struct conn_use *use;
	void *user;
	uv_loop_t *loop;
	const struct target *target; /* borrowed */
	struct target *resolved;     /* target with addresses, while connecting */
	size_t resolving;            /* index of the host being resolved */
	uv_getaddrinfo_t resolver;
	uv_timer_t timer; /* back-off while waiting, deadline while connecting */
	uv_poll_t *poll;
	int watched;        /* UV_READABLE | UV_WRITABLE */
	char farewell[128]; /* what the server said when it ended the connection */
	unsigned attempts;
	uint64_t opened_at;
	unsigned handles; /* what closed() waits for */
};

/* The first attempt begins at once. */
void conn_start(struct conn *c, uv_loop_t *loop, const struct target *target,
	const struct conn_use *use, void *user);

/* Remember what the server says in r, if with it the connection ends. True then. */
bool conn_hear(struct conn *c, const PGresult *r);

/* Send what libpq holds, now or when the socket takes it. */
void conn_flush(struct conn *c);

/* Give this connection up; a new one follows after a pause. */
void conn_lose(struct conn *c, const struct error *reason);

/* The same, for the reason that libpq gives. */
void conn_lose_broken(struct conn *c);

/* closed() comes once, later; lost() no more. */
void conn_close(struct conn *c);

#endif
