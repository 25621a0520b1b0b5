/* A forward has two ends: the HTTP request and the REQUEST on the worker's channel. It lives
 * until both are over; each may end first:
 *
 *   the answer's last byte came      the channel's end is over; HTTP's when the client took it
 *   the client left, or time is up   HTTP's end is over; GONE ends the channel's
 *   the worker died                  the channel's end is over; 502, or the connection is cut
 *
 * Bytes in flight are bounded both ways by PROTOCOL_BODY_WINDOW: a piece of the client's body is
 * given back to HTTP (which then reads on) when the worker has consumed it, a piece of the answer
 * to the worker when HTTP has taken it. */
#include <stdio.h>
#include <uv.h>

#include "api/answer.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "front/link_priv.h"
#include "front/table.h"
#include "http/server.h"
#include "http/target.h"
#include "identity/principal.h"

#define FORWARD_MAGIC   0x46525744u
#define HEADERS_MAX     (HTTP_FIELDS_MAX + 1)
#define EVENT_STREAM    "text/event-stream"
#define PARAM_BYTES_MAX 8192

struct forward {
	uint32_t magic;
	struct front *front;
	struct link *link;            /* NULL: the channel's end is over */
	struct http_request *request; /* NULL: HTTP's end is over */
	struct principal *who;
	uint64_t id;
	struct list in_link;
	uint64_t deadline_ns;
	uint32_t route_ms;
	uint32_t body_out;  /* body bytes that the worker has not consumed */
	uint32_t answer_in; /* answer bytes that we have not given back */
	bool begun;
	bool ended;       /* all of the answer has come */
	struct text held; /* of the answer: what HTTP did not take yet; data NULL: never any */
	char request_id[FRONT_REQUEST_ID_SIZE];
};

static void free_if_over(struct forward *f)
{
	if (f->link || f->request)
		return;
	principal_unref(f->who);
	if (f->held.data)
		text_done(&f->held);
	f->magic = 0;
	mem_free(f);
}

/* The channel's end is over. */
static void leave_link(struct forward *f)
{
	struct link *link = f->link;

	if (!link)
		return;
	f->link = NULL;
	(void)slots_remove(&link->ids, f->id);
	list_remove(&f->in_link);
	link->requests--;
	link_less(link);
}

static void tell_gone(struct forward *f, int rc)
{
	struct data_gone gone = { .rc = rc };

	if (f->link && f->link->channel)
		(void)send_data_gone(f->link->channel, f->id, &gone);
}

/* HTTP's end is over with a problem. */
static void answer_failed(struct forward *f, const struct error *err, bool incident)
{
	struct answer_extra extra = { .incident = incident ? span_of(f->request_id) : SPAN_NONE };

	if (http_answer_begun(f->request))
		http_request_abort(f->request);
	else
		answer_problem(f->request, err, span_of(f->request_id), &extra);
	f->request = NULL;
}

/* ---- the client's side -------------------------------------------------------------------------
 */

static void on_body(void *user, struct http_request *request, struct span piece, bool last)
{
	struct forward *f = user;

	(void)request;
	ASSERT(f->magic == FORWARD_MAGIC);
	if (!f->link) { /* answered already; HTTP drops the rest by itself */
		http_body_consumed(request, piece.len);
		return;
	}
	do {
		struct channel_message message = {
			.type = PROTOCOL_DATA_BODY,
			.id = f->id,
			.payload = piece,
			.fd = -1,
			.credited = true,
		};

		if (piece.len > PROTOCOL_CHUNK_MAX)
			message.payload.len = PROTOCOL_CHUNK_MAX;
		if (message.payload.len > 0)
			piece.data += message.payload.len;
		piece.len -= message.payload.len;
		f->body_out += (uint32_t)message.payload.len;
		if (last && piece.len == 0)
			message.flags = PROTOCOL_LAST;
		(void)channel_send(f->link->channel, &message);
	} while (piece.len > 0);
}

void forward_body_consumed(struct forward *f, uint32_t bytes)
{
	if (bytes > f->body_out) {
		channel_fail(
			f->link->channel, ERR_PROTOCOL, "more of a body consumed than was sent");
		return;
	}
	f->body_out -= bytes;
	if (f->request)
		http_body_consumed(f->request, bytes);
}

static int rc_of_gone(enum http_gone why)
{
	switch (why) {
	case HTTP_GONE_DEADLINE:
		return ERR_DEADLINE;
	case HTTP_GONE_BODY:
		return ERR_FORMAT;
	case HTTP_GONE_SHUTDOWN:
		return ERR_UNAVAIL;
	default:
		return ERR_CANCELLED;
	}
}

static void on_gone(void *user, struct http_request *request, enum http_gone why)
{
	struct forward *f = user;

	(void)request;
	ASSERT(f->magic == FORWARD_MAGIC);
	f->request = NULL;
	tell_gone(f, rc_of_gone(why));
	leave_link(f);
	free_if_over(f);
}

static void give_back(struct forward *f, size_t bytes)
{
	struct data_response_consumed consumed = { .bytes = (uint32_t)bytes };

	f->answer_in -= (uint32_t)bytes;
	if (f->link && bytes > 0)
		(void)send_data_response_consumed(f->link->channel, f->id, &consumed);
}

static void end_answer(struct forward *f)
{
	http_answer_end(f->request);
	f->request = NULL;
}

/* Hand HTTP what it takes; it takes all of a piece or nothing. */
static void write_answer(struct forward *f)
{
	if (f->held.len > 0) {
		int rc = http_answer_write(f->request, text_span(&f->held));

		if (rc == ERR_AGAIN)
			return;
		if (rc < 0) { /* more than the plugin had announced */
			http_request_abort(f->request);
			f->request = NULL;
			tell_gone(f, ERR_CANCELLED);
			leave_link(f);
			return;
		}
		give_back(f, f->held.len);
		text_clear(&f->held);
	}
	if (f->ended)
		end_answer(f);
}

static void on_writable(void *user, struct http_request *request)
{
	struct forward *f = user;

	(void)request;
	ASSERT(f->magic == FORWARD_MAGIC);
	write_answer(f);
	free_if_over(f);
}

static const struct http_owner owner = {
	.on_body = on_body,
	.on_writable = on_writable,
	.on_gone = on_gone,
};

/* ---- the worker's side -------------------------------------------------------------------------
 */

/* Fields of the answer that are the host's to say. */
static bool is_hosts_field(struct span name)
{
	static const char *const names[] = { "connection", "content-length", "content-type", "date",
		"keep-alive", "server", "te", "trailer", "transfer-encoding", "upgrade",
		"x-request-id" };

	for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
		if (span_equal_nocase(name, span_of(names[i])))
			return true;
	return false;
}

static void answer_of(const struct forward *f, const struct data_response *message,
	struct http_answer *answer, struct http_answer_field fields[static HEADERS_MAX])
{
	*answer = (struct http_answer){ .status = (int)message->status, .fields = fields };
	fields[answer->field_count++] =
		(struct http_answer_field){ SPAN("X-Request-Id"), span_of(f->request_id) };
	for (uint32_t i = 0; i < message->headers.count && answer->field_count < HEADERS_MAX; i++) {
		const struct protocol_pair *pair = &message->headers.items[i];

		if (span_equal_nocase(pair->key, SPAN("content-type")))
			answer->content_type = pair->value;
		if (!is_hosts_field(pair->key))
			fields[answer->field_count++] =
				(struct http_answer_field){ pair->key, pair->value };
	}
}

static void refuse_answer(struct forward *f, const struct error *why)
{
	struct error err;

	(void)error_set(&err, ERR_PLUGIN_ANSWER,
		"plugin '%s' gave an answer that is not valid HTTP",
		f->link->plugin ? f->link->plugin : "?");
	log_warn("a plugin's answer is not valid, answering 502",
		LOG_STR("plugin", f->link->plugin), LOG_STR("request", f->request_id),
		LOG_ERR(why));
	answer_failed(f, &err, false);
}

/* The head is out. */
static void begin_stream(struct forward *f, const struct http_answer *answer)
{
	struct span type = answer->content_type;

	f->begun = true;
	/* A stream of events has no end in sight: what counts is that it moves. */
	if (type.len >= sizeof(EVENT_STREAM) - 1 &&
		strncasecmp(type.data, EVENT_STREAM, sizeof(EVENT_STREAM) - 1) == 0) {
		http_request_deadline(f->request, 0);
		http_request_idle(f->request, f->route_ms);
	}
}

static void hold(struct forward *f, struct span piece)
{
	if (piece.len == 0)
		return;
	if (!f->held.data)
		text_init(&f->held);
	text_append_span(&f->held, piece);
}

void forward_response(struct forward *f, const struct data_response *message, bool last)
{
	struct http_answer_field fields[HEADERS_MAX];
	struct http_answer answer;
	struct error err;
	uint64_t length = message->length < 0 ? HTTP_LENGTH_UNKNOWN : (uint64_t)message->length;
	int rc;

	if (f->begun) {
		channel_fail(f->link->channel, ERR_PROTOCOL, "two answers to one request");
		return;
	}
	answer_of(f, message, &answer, fields);
	if (last)
		rc = http_answer_send(f->request, &answer, message->body, &err);
	else
		rc = http_answer_begin(f->request, &answer, length, &err);
	if (rc < 0) {
		refuse_answer(f, &err);
		tell_gone(f, ERR_CANCELLED);
		leave_link(f);
	} else if (last) {
		f->request = NULL;
		leave_link(f);
	} else {
		begin_stream(f, &answer);
		if (message->body.len > 0)
			forward_response_body(f, message->body, false);
		return;
	}
	free_if_over(f);
}

void forward_response_body(struct forward *f, struct span body, bool last)
{
	if (!f->begun || f->answer_in + body.len > PROTOCOL_BODY_WINDOW) {
		channel_fail(f->link->channel, ERR_PROTOCOL,
			f->begun ? "more of an answer than the window" : "a body before its head");
		return;
	}
	f->answer_in += (uint32_t)body.len;
	f->ended = last;
	if (f->held.len == 0 && body.len > 0 && http_answer_write(f->request, body) == 0)
		give_back(f, last ? 0 : body.len);
	else
		hold(f, body);
	if (last)
		leave_link(f);
	write_answer(f);
	free_if_over(f);
}

void forward_response_failed(struct forward *f, const struct data_response_failed *message)
{
	struct error err;

	if (message->rc == ERR_UNAVAIL)
		(void)error_set(&err, ERR_UNAVAIL,
			"plugin '%s' is leaving and did not take the request", f->link->plugin);
	else
		(void)error_set(
			&err, ERR_INTERNAL, "plugin '%s' gave up on the request", f->link->plugin);
	log_info("a plugin gave up on a request", LOG_STR("plugin", f->link->plugin),
		LOG_STR("request", f->request_id), LOG_SPAN("reason", message->text));
	if (f->request)
		answer_failed(f, &err, false);
	leave_link(f);
	free_if_over(f);
}

void forward_link_lost(struct forward *f)
{
	struct error err;

	(void)error_set(&err, ERR_PLUGIN_CRASHED,
		"plugin '%s' ended while it worked on this request, incident %s", f->link->plugin,
		f->request_id);
	log_error("request lost with its worker", LOG_STR("incident", f->request_id),
		LOG_STR("plugin", f->link->plugin), LOG_STR("installation", f->link->installation),
		LOG_INT("generation", f->link->generation));
	if (f->request)
		answer_failed(f, &err, true);
	leave_link(f);
	free_if_over(f);
}

/* ---- the request's head ------------------------------------------------------------------------
 */

static bool is_dropped(struct span name, struct span connection)
{
	static const char *const names[] = { "authorization", "cookie", "connection", "keep-alive",
		"te", "trailer", "transfer-encoding", "upgrade", "expect", "proxy-authorization",
		"proxy-connection", "x-request-id" };
	struct span part;

	for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
		if (span_equal_nocase(name, span_of(names[i])))
			return true;
	while (span_split(&connection, ',', &part)) {
		while (part.len > 0 && part.data[0] == ' ') {
			part.data++;
			part.len--;
		}
		if (span_equal_nocase(part, name))
			return true;
	}
	return false;
}

/* The fields in lower case; their names are written to the front's scratch text, which must not
 * move while they are used. */
static uint32_t copy_headers(struct text *scratch, const struct http_head *head,
	struct protocol_pair pairs[static HTTP_FIELDS_MAX])
{
	struct span connection = http_head_get(head, HTTP_HEADER_CONNECTION);
	char *at;
	uint32_t n = 0;

	text_clear(scratch);
	at = text_reserve(scratch, head->len);
	for (size_t i = 0; i < head->field_count; i++) {
		struct span name, value;

		http_head_field(head, i, &name, &value);
		if (is_dropped(name, connection))
			continue;
		for (size_t c = 0; c < name.len; c++)
			at[c] = (char)(name.data[c] >= 'A' && name.data[c] <= 'Z'
					       ? name.data[c] | 0x20
					       : name.data[c]);
		pairs[n++] = (struct protocol_pair){ { at, name.len }, value };
		at += name.len;
	}
	return n;
}

static int decode_params(const struct routes_found *found, char *buffer,
	struct protocol_pair pairs[static ROUTES_PARAMS_MAX], struct error *err)
{
	size_t used = 0;

	for (size_t i = 0; i < found->count; i++) {
		struct span value;

		if (http_decode(found->values[i], false, buffer + used, PARAM_BYTES_MAX - used,
			    &value) < 0)
			return error_set(err, ERR_INVALID, "'%.*s' in the path is not UTF-8",
				SPAN_ARG(found->names[i]));
		pairs[i] = (struct protocol_pair){ found->names[i], value };
		if (value.data == buffer + used)
			used += value.len;
	}
	return 0;
}

/* Fill params and headers, and send it all. */
static int send_request(struct forward *f, const struct table_route *route,
	const struct routes_found *found, bool body, struct error *err)
{
	const struct http_head *head = http_request_head(f->request);
	struct protocol_pair headers[HTTP_FIELDS_MAX], params[ROUTES_PARAMS_MAX];
	char decoded[PARAM_BYTES_MAX];
	struct data_request message = {
		.route = span_of(route->name),
		.method = span_of(http_method_name(head->method)),
		.path = head->path,
		.query = head->query,
		.params = { params, (uint32_t)found->count },
		.length = head->chunked ? -1 : (int64_t)head->content_length,
		.deadline_ns = f->deadline_ns,
		.trace = span_of(f->request_id),
	};
	int rc = decode_params(found, decoded, params, err);

	if (rc < 0)
		return rc;
	message.headers.count = copy_headers(&f->front->scratch, head, headers);
	message.headers.items = headers;
	rc = protocol_send(f->link->channel, PROTOCOL_DATA_REQUEST, f->id, &message,
		body ? 0 : PROTOCOL_LAST, -1);
	return rc < 0 ? error_set(err, ERR_UNAVAIL, "the plugin cannot take the request") : 0;
}

/* May the route's worker take one more request with this body? */
static int check_start(const struct table_route *route, const struct link *link,
	struct http_request *request, struct error *err)
{
	const struct http_head *head = http_request_head(request);

	if (!link)
		return error_set(err, ERR_UNAVAIL, "plugin '%s' is not running right now",
			route->worker->plugin);
	if (link->requests >= PROTOCOL_REQUESTS)
		return error_set(err, ERR_OVERLOADED, "plugin '%s' has %u requests under way",
			route->worker->plugin, link->requests);
	if (http_request_has_body(request) &&
		(route->body_limit == 0 ||
			(!head->chunked && head->content_length > route->body_limit)))
		return error_set(err, ERR_TOO_LARGE, "the route takes a body of at most %llu bytes",
			(unsigned long long)route->body_limit);
	return 0;
}

void forward_start(struct front *front, struct http_request *request, struct principal *who,
	const struct table_route *route, const struct routes_found *params, struct span request_id)
{
	bool body = http_request_has_body(request);
	struct link *link = link_find(route->worker);
	struct forward *f;
	struct error err;

	if (check_start(route, link, request, &err) < 0) {
		answer_problem(request, &err, request_id, NULL);
		return;
	}
	f = mem_zalloc(sizeof(*f));
	f->magic = FORWARD_MAGIC;
	f->front = front;
	f->link = link;
	f->request = request;
	f->who = principal_ref(who);
	f->route_ms = route->deadline_ms;
	f->deadline_ns = clock_ns() + route->deadline_ms * CLOCK_NS_PER_MS;
	memcpy(f->request_id, request_id.data, request_id.len);
	f->id = slots_add(&link->ids, f, LINK_REQUEST);
	list_append(&link->forwards, &f->in_link);
	link->requests++;
	http_request_own(request, &owner, f);
	http_request_deadline(request, route->deadline_ms);
	if (send_request(f, route, params, body, &err) < 0 ||
		(body && http_body_read(request, route->body_limit, &err) < 0)) {
		answer_failed(f, &err, false);
		tell_gone(f, ERR_CANCELLED);
		leave_link(f);
		free_if_over(f);
	}
}

struct principal *forward_who(const struct forward *f)
{
	return f->who;
}

uint64_t forward_deadline_ns(const struct forward *f)
{
	return f->deadline_ns;
}

const char *forward_request_id(const struct forward *f)
{
	return f->request_id;
}
