/* http.h - mortise.http/1 and mortise.http.serve/1: serve the routes of the manifest
 *
 * The manifest declares each route with its name, method, pattern, scope,
 * deadline and body limit; start() binds the names the plugin serves. The host
 * has checked scope and limits before the plugin hears of a request.
 *
 * One request, in order:
 *   on_request   once
 *   on_body      once or more, as the body arrives, the last one with last = 1
 *                (with an empty piece if there is no body)
 *   on_writable  whenever write() said AGAIN and there is room again
 *   on_gone      once, if the request ended before the plugin ended it
 * The plugin ends a request with reply(), end() or abort(), from any callback
 * and as late as it likes within the deadline. From then on its id is stale and
 * no callback about it comes, so whatever attach() gave is released in one of
 * two places: where the plugin ends the request, or in on_gone. A reply before
 * the body has come is fine; the host discards the rest.
 */
#ifndef MORTISE_HTTP_H
#define MORTISE_HTTP_H

#include "abi.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MORTISE_HTTP_1       "mortise.http/1"
#define MORTISE_HTTP_SERVE_1 "mortise.http.serve/1"

#define MORTISE_HTTP_WINDOW       262144     /* bytes on the way, each direction, per request */
#define MORTISE_HTTP_REPLY_MAX    16777216   /* bytes of one reply(); stream what is larger */
#define MORTISE_HTTP_HEADERS_MAX  64         /* add_header() calls per answer */
#define MORTISE_HTTP_SIZE_UNKNOWN UINT64_MAX /* the client did not announce the body's size */

struct mortise_http_request_1 {
	struct mortise_str method; /* "GET" */
	struct mortise_str path;   /* as received: /api/hello/b%C3%A4r, without the query */
	struct mortise_str query;  /* as received, what follows '?'; empty if none */
	uint64_t body_size;        /* bytes announced, 0 for none, or MORTISE_HTTP_SIZE_UNKNOWN */
	uint64_t deadline_ns;      /* on the clock of core now_ns() */
};

struct mortise_http_1 {
	/* [home, starting] Serve the route that the manifest calls by this name; tag
	 * comes back in on_request. NOT_FOUND: the manifest has no such route.
	 * CONFLICT: bound already. STATE: the plugin does not offer
	 * mortise.http.serve/1. A route of the manifest that start() leaves unbound
	 * makes the start fail.
	 */
	int32_t (*bind)(struct mortise_host *host, struct mortise_str route, uint32_t tag);

	/* [home, started] Let user come along in every later callback about this request. */
	int32_t (*attach)(struct mortise_host *host, mortise_id request, void *user);

	/* [home, started] A header of the request, its name in any case. Several of one
	 * name are joined with ", ". NOT_FOUND: there is none. The host passes neither
	 * Authorization nor Cookie on: who asks is a question for identity/1.
	 */
	int32_t (*header)(struct mortise_host *host, mortise_id request, struct mortise_str name,
		struct mortise_str *out);

	/* [home, started] What stands in place of {name} in the pattern, percent-decoded,
	 * never empty. NOT_FOUND: the pattern has no such parameter.
	 */
	int32_t (*path_param)(struct mortise_host *host, mortise_id request,
		struct mortise_str name, struct mortise_str *out);

	/* [home, started] The first value of name in the query, percent-decoded and '+'
	 * taken as a space; empty for "?name". NOT_FOUND: not given. FORMAT: bad percent
	 * escape or not UTF-8.
	 */
	int32_t (*query_param)(struct mortise_host *host, mortise_id request,
		struct mortise_str name, struct mortise_str *out);

	/* [home, started] Say that n bytes of body given to on_body are dealt with, so
	 * that as many more may come; at most MORTISE_HTTP_WINDOW are given and not
	 * consumed at any time. What is never consumed stops the client. INVALID: more
	 * than was given.
	 */
	int32_t (*consume)(struct mortise_host *host, mortise_id request, uint64_t n);

	/* [home, started] Add a header to the answer, before reply() or begin(). INVALID:
	 * not a header name or value, or one that is the host's business (Connection,
	 * Content-Length, Content-Type, Date, Keep-Alive, Server, TE, Trailer,
	 * Transfer-Encoding, Upgrade). LIMIT: MORTISE_HTTP_HEADERS_MAX reached. STATE:
	 * the head has been sent.
	 */
	int32_t (*add_header)(struct mortise_host *host, mortise_id request,
		struct mortise_str name, struct mortise_str value);

	/* [home, started] Answer in one piece and end the request. status 200 to 599; an
	 * empty content_type sends none. 0 says accepted, not delivered. STATE: begin()
	 * was called. TOO_LARGE: body over MORTISE_HTTP_REPLY_MAX. On an error the
	 * request goes on.
	 */
	int32_t (*reply)(struct mortise_host *host, mortise_id request, int32_t status,
		struct mortise_str content_type, struct mortise_str body);

	/* [home, started] Send the head; write() and end() follow. STATE: called before. */
	int32_t (*begin)(struct mortise_host *host, mortise_id request, int32_t status,
		struct mortise_str content_type);

	/* [home, started] Send the next piece, all of it. AGAIN: it does not fit into the
	 * window now and nothing was taken; on_writable comes once when it would fit.
	 * TOO_LARGE: over MORTISE_HTTP_WINDOW, so it never fits. STATE: before begin().
	 */
	int32_t (*write)(struct mortise_host *host, mortise_id request, struct mortise_str piece);

	/* [home, started] The answer is complete; ends the request. STATE: before begin(). */
	int32_t (*end)(struct mortise_host *host, mortise_id request);

	/* [home, started] Give up; ends the request. Before the head was sent the client
	 * gets a 500 problem; after it the connection is cut, so that the client sees that
	 * the answer is not complete.
	 */
	int32_t (*abort)(struct mortise_host *host, mortise_id request);
};

/* Offered by a plugin that binds routes. */
struct mortise_http_serve_1 {
	/* [home] A request for the route that was bound with tag. head is borrowed. */
	void (*on_request)(struct mortise_instance *self, mortise_id request, uint32_t tag,
		const struct mortise_http_request_1 *head);

	/* [home] The next piece of the body; what the plugin is done with it gives back
	 * with consume(), now or later. last is 1 on the last piece, else 0. NULL here:
	 * the host discards bodies.
	 */
	void (*on_body)(struct mortise_instance *self, mortise_id request, void *user,
		struct mortise_str piece, uint32_t last);

	/* [home] There is room for the piece that write() refused. May be NULL. */
	void (*on_writable)(struct mortise_instance *self, mortise_id request, void *user);

	/* [home] The request is over, and its id stale, though the plugin did not end it.
	 * why is CANCELLED: the client left; DEADLINE: the time of the route or of a drain
	 * is over; UNAVAIL: the front is gone; TOO_LARGE: the body broke the route's limit;
	 * FORMAT: the client's body was malformed. Calls made for the request still get
	 * their done. May be NULL.
	 */
	void (*on_gone)(struct mortise_instance *self, mortise_id request, void *user, int32_t why);
};

#ifdef __cplusplus
}
#endif

#endif
