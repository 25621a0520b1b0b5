/* front.h - what the parts of the front process share
 *
 * One front serves one listener: it reads HTTP, finds out who asks, and hands the
 * request to api (/v1) or to the worker of a plugin (/api). It holds no state that
 * matters: when it dies the supervisor starts another. [loop thread]
 */
#ifndef MORTISE_FRONT_FRONT_H
#define MORTISE_FRONT_FRONT_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "api/api.h"
#include "base/error.h"
#include "base/list.h"
#include "base/map.h"
#include "base/settings.h"
#include "base/slots.h"
#include "channel/protocol.h"

struct answer_extra;
struct admission;
struct authority;
struct channel;
struct db_pool;
struct hash_pool;
struct http_request;
struct http_server;
struct principal;
struct routes_found;
struct table;
struct table_route;
struct table_worker;

#define FRONT_REQUEST_ID_SIZE BLACK_BOX_TRACE_MAX

struct front {
	uv_loop_t *loop;
	uv_timer_t tick;
	struct settings settings;
	uint32_t slot;
	char *environment;
	char *node;

	struct channel *control;
	struct http_server *server;
	struct db_pool *pool;
	struct authority *authority;
	struct hash_pool *hashes; /* of passwords */
	struct api *api;
	struct admission *admission;

	struct table *table; /* NULL until the first came */
	struct map links;    /* "installation/generation" -> struct link */
	struct slots asked;  /* what the supervisor owes an answer to */
	struct slots timers;
	char *fetch_path;              /* of the socket of mortise-fetch */
	struct channel *fetch;         /* NULL: not connected */
	struct slots fetches;          /* what it was asked and has not answered */
	uint64_t fetch_bytes;          /* the bodies in them */
	struct protocol_memory memory; /* of the message being handled */
	struct text scratch;

	bool database_up;
	bool started; /* database and table were there once */
	bool stopping;
	int exit_code;

	uint64_t boot; /* random; the first half of request ids */
	uint64_t next_request;
};

/* ---- serve.c: requests ----------------------------------------------------------------------- */

/* Of http_server_options: user is the front. */
void serve_request(void *user, struct http_request *request);

/* ---- link.c: the data channels to workers ---------------------------------------------------- */

struct link; /* opaque */

/* Connect to a worker, again and again while the table lists it; answers WORKER_CONNECTED. */
void link_connect(struct front *front, const struct front_worker_connect *message);
/* The table has changed: close links that it no longer lists, report what has drained. */
void links_follow_table(struct front *front);
/* The open link of a worker of the present table, or NULL. */
struct link *link_find(const struct table_worker *worker);
void links_close(struct front *front);

/* ---- forward.c: one HTTP request on its way through a plugin --------------------------------- */

/* Hand the request over to the route's worker. It is answered in every case. */
void forward_start(struct front *front, struct http_request *request, struct principal *who,
	const struct table_route *route, const struct routes_found *params, struct span request_id);

struct forward;
void forward_response(struct forward *f, const struct data_response *message, bool last);
void forward_response_body(struct forward *f, struct span body, bool last);
void forward_response_failed(struct forward *f, const struct data_response_failed *message);
void forward_body_consumed(struct forward *f, uint32_t bytes);
/* For calls that the plugin makes for the request. */
struct principal *forward_who(const struct forward *f);
uint64_t forward_deadline_ns(const struct forward *f);
const char *forward_request_id(const struct forward *f);
/* The link is gone: 502 with an incident, or 503 when the plugin was asked to leave. */
void forward_link_lost(struct forward *f);

/* ---- call.c: calls of plugins and of the host itself ----------------------------------------- */

struct call;
/* message was decoded from a CALL with that id. */
void call_start(struct link *link, uint64_t id, const struct data_call *message);
/* A call that the host makes itself; extension, method and json of message count, and are copied.
 * done comes once, later. */
void call_start_own(struct front *front, const struct data_call *message, uint32_t timeout_ms,
	api_call_cb done, void *user);
void call_cancel(struct call *call);
/* The calling worker is gone. */
void call_caller_lost(struct call *call);
/* The worker that serves the call answered, or is gone (message NULL). */
void call_served(struct call *call, const struct data_on_call_result *message);

/* ---- fetch.c: requests to other hosts -------------------------------------------------------- */

/* As of struct api_host. */
uint64_t fetch_start_http(struct front *front, const struct fetch_http *message, api_fetch_cb done,
	void *user, struct error *err);
uint64_t fetch_start_mail(struct front *front, const struct fetch_mail *message, api_fetch_cb done,
	void *user, struct error *err);
void fetch_cancel(struct front *front, uint64_t id);

/* ---- refuse.c ---- */

/* Answer with a problem, and note it for the audit trail when it is a refusal or a change that
 * failed. who NULL: nobody; extra may be NULL. */
void front_refuse(struct front *front, struct http_request *request, const struct principal *who,
	struct span request_id, const struct error *err, const struct answer_extra *extra);

/* ---- control.c: the channel to the supervisor ------------------------------------------------ */

int control_start(struct front *front, struct error *err);
/* Pass a package on; done(user, message) comes once, with NULL when the supervisor is gone. */
typedef void (*control_staged_cb)(void *user, const struct front_staged *message);
void control_stage(struct front *front, int fd, uint64_t size, struct span user_id,
	control_staged_cb done, void *user);
/* See struct api_host. */
typedef void (*control_key_ring_cb)(void *user, const struct error *err, struct span result);
void control_key_ring(struct front *front, enum key_ring_op op, struct span context,
	struct span data, control_key_ring_cb done, void *user);

/* ---- main.c ---------------------------------------------------------------------------------- */

/* The supervisor's START came: open the database, and serve (and say READY) when there is news of
 * it. */
int front_begin(
	struct front *front, const struct front_start *message, int rate_fd, struct error *err);
/* Finish what is there within the deadline, then leave. */
void front_stop(struct front *front, uint32_t deadline_ms);

#endif
