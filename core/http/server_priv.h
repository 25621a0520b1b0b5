/* server_priv.h - what the files of the server share
 *
 * server.c: the listener, timers, pools, the end. connection.c: bytes in, requests, bytes out.
 * deadline.c: what takes too long. answer.c: what owners call. Calls go down only: answer.c changes
 * state and marks the connection with connection_touch(); connection.c calls owners back, from
 * connection_run() alone, which the loop enters and which never nests.
 */
#ifndef MORTISE_HTTP_SERVER_PRIV_H
#define MORTISE_HTTP_SERVER_PRIV_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/un.h>

#include <uv.h>

#include "base/list.h"
#include "http/server.h"

#define BLOCK_BYTES 32768
/* Free blocks and requests that a server keeps. */
#define POOL_MAX 256
/* A piece from here on is sent from where it is; below, a copy is cheaper than an iovec. */
#define DIRECT_BYTES 16384
/* The rest of a body that nobody wants is read up to here to keep the connection. */
#define DROP_BYTES    65536
#define REQUEST_MAGIC 0x48524551u
#define WHEEL_SLOTS   512
#define WHEEL_TICK_MS 16
#define DATE_BYTES    37 /* "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n" */

/* Read buffer. The connection holds one reference, each request whose head lies in it another. */
struct block {
	struct block *next_free;
	uint32_t refs;
	char data[BLOCK_BYTES];
	char stagger[192]; /* so that not all blocks begin in the same cache sets */
};

/* Bytes on their way out: data[start, end). */
struct output {
	char *data; /* block's, or an own, larger one */
	struct block *block;
	size_t start, end, cap;
};

struct http_request {
	uint32_t magic;
	struct list link; /* connection->requests */
	struct connection *connection;
	struct block *block; /* holds the head */
	const struct http_owner *owner;
	void *user;
	struct output output; /* while earlier requests are still being answered */
	uint64_t number;
	uint64_t deadline_ms; /* 0: none */
	uint64_t moved_ms;
	uint32_t idle_ms; /* 0: none */

	uint64_t body_limit;
	uint64_t unconsumed;
	bool body_wanted;

	uint64_t answer_left;
	bool begun, ended;
	bool chunked;
	bool headless_body; /* nothing after the head: HEAD, 204, 304 */
	bool blocked;       /* on_writable is due */
	bool refusal;       /* never was an owner's */
	uint16_t added_len;

	/* What is below is not cleared for a new request. */
	struct http_head head;
	char added[HTTP_ADDED_MAX]; /* lines of the answer's head, each with its end */
};

/* OPEN -> ENDING -> LINGERING -> CLOSED, and any -> CLOSED. */
enum connection_state {
	CONNECTION_OPEN,      /* takes requests */
	CONNECTION_ENDING,    /* takes no more; finishes those that are there */
	CONNECTION_LINGERING, /* all said; reads on so that the client gets to see it */
	CONNECTION_CLOSED,
	CONNECTION_COUNT
};

struct connection {
	uint32_t magic;
	uv_poll_t poll;
	struct http_server *server;
	struct list link;  /* server->connections */
	struct list dirty; /* server->dirty */
	struct list wheel; /* a slot of server->wheel */
	struct list idle;  /* server->idle, longest first */
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
	} peer;
	int fd;
	int events;
	enum connection_state state;
	bool running, again;
	bool eof;         /* the client sends no more */
	bool hangup_seen; /* the same, learned while not reading */
	bool broken;      /* nothing can be sent */
	bool linger;
	uint64_t wake_ms; /* when the wheel looks next; not after any deadline */
	uint64_t uses;

	/* Input: the unread bytes are in->data[start, end); below floor lie borrowed heads. */
	struct block *in;
	uint32_t start, end, floor;
	struct http_request *next; /* its head is arriving, or complete and waiting its turn */
	bool next_complete;
	uint64_t head_ms; /* when next began; before the first request, when accepted */
	uint64_t idle_since_ms;
	uint64_t half_close_ms; /* the end of that grace; 0: none */
	uint64_t linger_ms;     /* its end */

	struct list requests; /* in order; the first one's answer is being sent */
	uint32_t in_flight;
	bool overlap; /* all in flight have safe methods */
	struct http_request *dispatching;

	/* The body that is arriving. */
	bool body;
	struct http_request *body_owner; /* NULL: it is dropped */
	bool body_chunked;
	bool body_reading; /* not held up by us */
	uint64_t body_left, body_got;
	uint64_t drop_left;
	struct http_chunks chunks;
	uint64_t body_mark_ms, body_mark;

	struct output out;
	uint64_t sent, sent_mark_ms, sent_mark;
};

struct http_server {
	uint32_t magic;
	uv_loop_t *loop;
	struct http_limits limits;
	const char *name;
	size_t name_len;
	http_request_cb on_request;
	void *user;

	uv_poll_t listener;
	uv_timer_t timer, closing_timer;
	uv_prepare_t prepare;
	uv_idle_t idle_turn;
	int fd;
	int handles;
	bool accepting, closing, stopped;
	http_closed_cb closed;
	void *closed_user;

	struct list connections, dirty, idle;
	struct list wheel[WHEEL_SLOTS];
	uint64_t wheel_used[WHEEL_SLOTS / 64];
	uint64_t wheel_tick;  /* done up to here */
	uint64_t timer_at_ms; /* 0: not running */

	struct block *blocks;
	size_t block_count;
	struct http_request *free_requests[POOL_MAX];
	size_t free_request_count;
	uint64_t last_number;
	int64_t date_s;
	char date[DATE_BYTES + 1];
	struct http_stats stats;
};

/* server.c */
struct block *block_take(struct http_server *server);
void block_unref(struct http_server *server, struct block *block);
struct http_request *request_take(struct http_server *server);
void request_put(struct http_server *server, struct http_request *request);
/* Look at the connection at when at the latest. */
void server_wake(struct http_server *server, struct connection *connection, uint64_t when_ms);
/* connection_run() before the loop sleeps. */
void server_add_dirty(struct http_server *server, struct connection *connection);
const char *server_date(struct http_server *server);
/* A connection's descriptor is closed; its memory goes when libuv is done with it. */
void server_forget(struct http_server *server, struct connection *connection);

/* connection.c */
void connection_open(struct http_server *server, int fd, struct connection *fresh);
/* Something changed: connection_run() comes in this turn of the loop. */
void connection_touch(struct connection *connection);
void connection_run(struct connection *connection);
/* End each request with why and close. */
void connection_stop(struct connection *connection, enum http_gone why);
/* Take no further requests. */
void connection_end(struct connection *connection, bool linger);
/* The first request's answer is complete: free it and each next one that is. */
void connection_advance(struct connection *connection);
/* Send or copy the parts, in order, behind what waits. */
void connection_send(struct connection *connection, const struct span *parts, size_t count);
/* No answer can follow: reset the connection once we are out of the caller's way. */
void connection_break(struct connection *connection);

/* Nothing of a request is here, and nothing of an answer. */
bool connection_idle(const struct connection *connection);
/* When an idle one has waited for a request long enough. */
uint64_t connection_rest_ends(const struct connection *connection);
/* The first request for which test holds. Whoever ends a request looks anew, for others may end
 * with it. */
struct http_request *connection_find(
	struct connection *connection, bool (*test)(const struct http_request *));
/* Every request ends with why; answers that are incomplete stay so. */
void connection_fail(struct connection *connection, enum http_gone why);
void connection_close(struct connection *connection, bool reset);
/* Refuse the bytes at hand; behind them nothing can be trusted. */
void connection_refuse(struct connection *connection, int code, const char *reason);
/* The body broke a rule: its request ends, and so does the connection, for what follows cannot be
 * told apart from it. */
void connection_fail_body(
	struct connection *connection, enum http_gone why, int code, const char *detail);
/* End one request without its owner: with an answer if none has begun, else by a cut. */
void request_end(struct http_request *request, enum http_gone why, int code, const char *detail);

static inline uint64_t connection_now(const struct connection *connection)
{
	return uv_now(connection->server->loop);
}

/* deadline.c */
/* The wheel's time for the connection has come. */
void connection_expire(struct connection *connection);

/* answer.c */
struct output *answer_output(struct http_request *request);
void output_append(struct http_server *server, struct output *out, const void *data, size_t len);
void output_release(struct http_server *server, struct output *out);
/* Answer in place of the owner with a problem of this code. */
void answer_refusal(struct http_request *request, int code, const char *detail);

#endif
