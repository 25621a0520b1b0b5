#include <stdint.h>

#include "base/error.h"
#include "http/server_priv.h"

/* What ends because it takes too long. A connection is looked at when its time in the wheel has
 * come, which is never after its first deadline; what is not due yet is filed again. */

static bool too_slow(const struct connection *c, uint64_t bytes, uint64_t since_ms)
{
	return bytes * 1000 < (uint64_t)c->server->limits.min_rate * (connection_now(c) - since_ms);
}

/* When the request's time is up, unless it moves; UINT64_MAX: never. */
static uint64_t request_ends(const struct http_request *request)
{
	uint64_t total = request->deadline_ms ? request->deadline_ms : UINT64_MAX;
	uint64_t idle = request->idle_ms ? request->moved_ms + request->idle_ms : UINT64_MAX;

	if (request->ended || !request->owner)
		return UINT64_MAX;
	return total < idle ? total : idle;
}

static bool time_is_up(const struct http_request *request)
{
	return connection_now(request->connection) >= request_ends(request);
}

static bool sends_head(const struct connection *c)
{
	return c->next && !c->next_complete;
}

static bool half_closed(const struct connection *c)
{
	return c->half_close_ms && !list_empty(&c->requests);
}

static uint64_t rate_ends(const struct connection *c, uint64_t mark_ms)
{
	return mark_ms + c->server->limits.rate_grace_ms;
}

static void take_earlier(uint64_t *first, bool counts, uint64_t at_ms)
{
	if (counts && at_ms < *first)
		*first = at_ms;
}

/* The time of the next deadline. */
static uint64_t next_deadline(const struct connection *c)
{
	const struct http_limits *limits = &c->server->limits;
	uint64_t first = UINT64_MAX;

	take_earlier(&first, c->state == CONNECTION_LINGERING, c->linger_ms);
	take_earlier(&first, half_closed(c), c->half_close_ms);
	take_earlier(&first, c->sent_mark_ms, rate_ends(c, c->sent_mark_ms));
	take_earlier(&first, c->body && c->body_reading, rate_ends(c, c->body_mark_ms));
	take_earlier(&first, sends_head(c), c->head_ms + limits->head_ms);
	take_earlier(&first, connection_idle(c), connection_rest_ends(c));
	list_for_each(struct http_request, request, &c->requests, link)
		take_earlier(&first, true, request_ends(request));
	return first;
}

static void check_body_rate(struct connection *c)
{
	if (!c->body || !c->body_reading || connection_now(c) < rate_ends(c, c->body_mark_ms))
		return;
	if (too_slow(c, c->body_got - c->body_mark, c->body_mark_ms)) {
		connection_fail_body(
			c, HTTP_GONE_SLOW, ERR_HTTP_SLOW, "the body arrives too slowly");
		connection_touch(c);
		return;
	}
	c->body_mark_ms = connection_now(c);
	c->body_mark = c->body_got;
}

/* False: the connection is closed. */
static bool check_answer_rate(struct connection *c)
{
	if (!c->sent_mark_ms || connection_now(c) < rate_ends(c, c->sent_mark_ms))
		return true;
	if (too_slow(c, c->sent - c->sent_mark, c->sent_mark_ms)) {
		connection_fail(c, HTTP_GONE_SLOW);
		return false;
	}
	c->sent_mark_ms = connection_now(c);
	c->sent_mark = c->sent;
	return true;
}

void connection_expire(struct connection *c)
{
	uint64_t now = connection_now(c);
	struct http_request *request;
	uint64_t next;

	if (c->state == CONNECTION_LINGERING && now >= c->linger_ms) {
		connection_close(c, false);
		return;
	}
	if (half_closed(c) && now >= c->half_close_ms) {
		connection_fail(c, HTTP_GONE_CLIENT);
		return;
	}
	if (connection_idle(c) && c->state == CONNECTION_OPEN && now >= connection_rest_ends(c)) {
		connection_close(c, false);
		return;
	}
	if (!check_answer_rate(c))
		return;
	check_body_rate(c);
	while ((request = connection_find(c, time_is_up)))
		request_end(request, HTTP_GONE_DEADLINE, ERR_DEADLINE, "the request's time is up");
	if (sends_head(c) && now >= c->head_ms + c->server->limits.head_ms) {
		connection_refuse(c, ERR_HTTP_SLOW, "the request's head did not arrive in time");
		connection_touch(c);
	}
	next = next_deadline(c);
	if (next != UINT64_MAX)
		server_wake(c->server, c, next);
}
