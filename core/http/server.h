/* server.h - serve HTTP/1.1 on a listening socket
 *
 * The server reads, checks, limits and times what clients send and hands each request to its
 * owner; it knows no route. A request is the owner's from http_request_cb until the owner has
 * ended the answer (http_answer_send, http_answer_end, http_answer_problem, http_request_abort)
 * or on_gone was called, whichever is first; exactly one of the two happens, and the pointer is
 * dead after it. What a head's spans borrow from lives as long as the request.
 *
 * No function below calls the owner back before it returns: everything arrives from the loop.
 * Answers may be made inside or after http_request_cb, for pipelined requests in any order;
 * they leave in the order of the requests, as many as are ready in one write. Pipelined requests
 * overlap only while all of them have safe methods. All of this: [loop thread].
 */
#ifndef MORTISE_HTTP_SERVER_H
#define MORTISE_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "http/limits.h"
#include "http/parse.h"

struct error;
struct http_request; /* opaque */
struct http_server;  /* opaque */
struct problem;
struct sockaddr;
struct uv_loop_s;

/* A new request; its head is complete, its body (if any) waits for http_body_read(). The owner
 * answers before it returns, or calls http_request_own(). */
typedef void (*http_request_cb)(void *user, struct http_request *request);
typedef void (*http_closed_cb)(void *user);

struct http_server_options {
	struct uv_loop_s *loop;
	int fd; /* listening, non-blocking or not; stays the caller's, open until closed */
	const char *name; /* the Server header; NULL: none. Borrowed. */
	struct http_limits limits;
	http_request_cb on_request;
	void *user;
};

int http_server_start(
	struct http_server **out, const struct http_server_options *options, struct error *err);

/* Accept no more, say `Connection: close`, close idle connections, finish the requests that are
 * there; after deadline_ms those left are gone (HTTP_GONE_SHUTDOWN). closed(user) is called once,
 * when nothing is left; the server is freed behind it. A second call may only shorten the deadline:
 * its closed and user are not used. */
void http_server_close(
	struct http_server *server, uint32_t deadline_ms, http_closed_cb closed, void *user);

struct http_stats {
	uint64_t accepted, connections;      /* ever, now */
	uint64_t requests, in_flight;        /* given to the owner: ever, now */
	uint64_t refused;                    /* malformed or over a limit, answered by the server */
	uint64_t gone;                       /* on_gone calls */
	uint64_t bytes_received, bytes_sent; /* all of HTTP */
};
void http_server_stats(const struct http_server *server, struct http_stats *out);

/* Why a request ended without the owner. When its answer had not begun, the server has answered
 * (if anybody listens): 504, 408, 400 or 413, 503. Otherwise the connection was cut, so that the
 * client cannot take the answer for a whole one. */
enum http_gone {
	HTTP_GONE_CLIENT,   /* closed or reset the connection */
	HTTP_GONE_DEADLINE, /* the request's deadline or idle time passed */
	HTTP_GONE_SLOW,     /* sent its body or took its answer below limits.min_rate */
	HTTP_GONE_BODY,     /* the body broke the grammar or a limit */
	HTTP_GONE_SHUTDOWN, /* the server's deadline passed */
	HTTP_GONE_COUNT
};

struct http_owner {
	/* A piece of the body, borrowed until return; last with the final piece, which may be
	 * empty. Each byte counts against the window until http_body_consumed(). NULL when
	 * http_body_read() is never called. */
	void (*on_body)(void *user, struct http_request *request, struct span piece, bool last);
	/* After http_answer_write() said ERR_AGAIN: there is room again. May be NULL when the
	 * owner never streams. */
	void (*on_writable)(void *user, struct http_request *request);
	/* The request has ended without its owner. The pointer dies when this returns. */
	void (*on_gone)(void *user, struct http_request *request, enum http_gone why);
};

/* Name the owner; may be called again to hand the request over. owner is borrowed for the life of
 * the request. */
void http_request_own(struct http_request *request, const struct http_owner *owner, void *user);
void *http_request_user(const struct http_request *request);

const struct http_head *http_request_head(const struct http_request *request);
/* The other end of the connection: AF_INET, AF_INET6 or AF_UNIX. */
const struct sockaddr *http_request_peer(const struct http_request *request);
/* A number that no other request of this server has; from 1. */
uint64_t http_request_number(const struct http_request *request);

/* The answer must be complete in ms from now; 0: no deadline. In its place, or beside it: gone when
 * for so long nothing of body or answer moved (streams of events); 0: no idle limit. A request
 * begins with limits.request_ms and no idle limit. */
void http_request_deadline(struct http_request *request, uint32_t ms);
void http_request_idle(struct http_request *request, uint32_t ms);

/* Has the client announced a body? */
bool http_request_has_body(const struct http_request *request);

/* Start the body, `100 Continue` first if the client waits for it. on_body follows, at least once.
 * limit_bytes 0 means limits.body_bytes, which also bounds it. ERR_TOO_LARGE: its Content-Length is
 * above that (nothing has started; answer 413). A body that turns out longer is HTTP_GONE_BODY with
 * 413.
 *
 * Whoever wants the body calls this before the answer begins: an answer that begins without it
 * closes the connection, unless what is left of the body is short. An answer that ends before the
 * body does drops the rest, or closes the connection when that is long. */
int http_body_read(struct http_request *request, uint64_t limit_bytes, struct error *err);
/* n bytes of on_body are dealt with; the client may send as many more. */
void http_body_consumed(struct http_request *request, size_t n);

struct http_answer_field {
	struct span name, value;
};

struct http_answer {
	int status;               /* 200 to 599 */
	struct span content_type; /* may be none */
	const struct http_answer_field *fields;
	size_t field_count;
};

#define HTTP_LENGTH_UNKNOWN UINT64_MAX

/* A whole answer. body is copied or sent before it returns, and dropped where HTTP wants none
 * (HEAD, 204, 304). ERR_INVALID: the status, or a field that is not valid HTTP or that the server
 * writes itself (Connection, Content-Length, Transfer-Encoding, Date, ...); then nothing happened
 * and the request is still the owner's. */
int http_answer_send(struct http_request *request, const struct http_answer *answer,
	struct span body, struct error *err);

/* An answer in pieces of length bytes in all, or HTTP_LENGTH_UNKNOWN (chunked). Errors as above. */
int http_answer_begin(struct http_request *request, const struct http_answer *answer,
	uint64_t length, struct error *err);
/* Append to it; the bytes are sent or copied. ERR_AGAIN: the client is slow and nothing was taken,
 * on_writable follows; at most the window and one piece are ever held. ERR_INVALID: more than the
 * announced length. */
int http_answer_write(struct http_request *request, struct span piece);
/* Bytes of this answer that still wait in our memory. */
size_t http_answer_waiting(const struct http_request *request);
/* It is complete. Ending short of the announced length cuts the connection. */
void http_answer_end(struct http_request *request);

/* A whole answer that is a problem document, with further fields (WWW-Authenticate, Retry-After...)
 * which may be NULL. Errors as for http_answer_send(). */
int http_answer_problem(struct http_request *request, const struct problem *problem,
	const struct http_answer_field *fields, size_t field_count, struct error *err);

/* A field beside those of whatever answer will be sent, also one that the server makes itself. Both
 * are copied; all of a request have room in HTTP_ADDED_MAX bytes, 4 of them for each field's
 * punctuation. ERR_INVALID: not valid HTTP, a field that the server writes itself, no room left, or
 * the answer has begun. */
#define HTTP_ADDED_MAX 192
int http_request_add_field(struct http_request *request, struct span name, struct span value);

/* Has begin or send been called? */
bool http_answer_begun(const struct http_request *request);

/* Give up: cut the connection, so that the client sees an incomplete answer. */
void http_request_abort(struct http_request *request);

#endif
