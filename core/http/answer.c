#include "http/server.h"

#include <string.h>
#include <sys/socket.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/mem.h"
#include "http/problem.h"
#include "http/server_priv.h"

/* What owners call. An answer is written into the connection's output when its request is the
 * first, else into the request's own, which is appended when its turn comes. Nothing is sent from
 * here but large pieces, which would only be copied otherwise. */

#define DECIMAL_MAX 20
#define HEX_MAX     16
/* Status line, Content-Length, Transfer-Encoding, Connection and the last CRLF. */
#define HEAD_FIXED_BYTES 256

/* Output */

void output_release(struct http_server *server, struct output *out)
{
	if (out->block)
		block_unref(server, out->block);
	else
		mem_free(out->data);
	memset(out, 0, sizeof(*out));
}

static char *output_reserve(struct http_server *server, struct output *out, size_t len)
{
	size_t waiting = out->end - out->start;
	struct output larger = { .cap = out->cap };

	if (!out->data) {
		out->block = block_take(server);
		out->data = out->block->data;
		out->cap = BLOCK_BYTES;
	}
	if (out->cap - out->end >= len)
		return out->data + out->end;
	if (out->cap - waiting >= len) {
		memmove(out->data, out->data + out->start, waiting);
		out->start = 0;
		out->end = waiting;
		return out->data + out->end;
	}
	larger.cap = out->cap;
	while (larger.cap - waiting < len)
		larger.cap *= 2;
	larger.data = mem_alloc(larger.cap);
	memcpy(larger.data, out->data + out->start, waiting);
	larger.end = waiting;
	output_release(server, out);
	*out = larger;
	return out->data + out->end;
}

void output_append(struct http_server *server, struct output *out, const void *data, size_t len)
{
	if (len == 0)
		return;
	memcpy(output_reserve(server, out, len), data, len);
	out->end += len;
}

static bool is_first(const struct http_request *request)
{
	return request->link.prev == &request->connection->requests;
}

static bool is_last(const struct http_request *request)
{
	return request->link.next == &request->connection->requests;
}

struct output *answer_output(struct http_request *request)
{
	return is_first(request) ? &request->connection->out : &request->output;
}

static char *put(char *p, const char *data, size_t len)
{
	memcpy(p, data, len);
	return p + len;
}

#define PUT(p, literal) put((p), "" literal, sizeof(literal) - 1)

static char *put_decimal(char *p, uint64_t value)
{
	char digits[DECIMAL_MAX];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	return put(p, digits + at, sizeof(digits) - at);
}

static char *put_hex(char *p, size_t value)
{
	char digits[HEX_MAX];
	size_t at = sizeof(digits);

	do {
		digits[--at] = "0123456789abcdef"[value & 15];
		value >>= 4;
	} while (value);
	return put(p, digits + at, sizeof(digits) - at);
}

static struct span reason_phrase(int status)
{
	switch (status) {
#define X(code, reason) \
	case code:      \
		return SPAN(reason);
#include "http/status.def"
#undef X
	default:
		/* The phrase may be empty, and is for people only. */
		return SPAN("");
	}
}

/* The request */

/* A pointer that the owner may still use. */
static void check(const struct http_request *request)
{
	ASSERT(request->magic == REQUEST_MAGIC && !request->ended);
	ASSERT(request->owner || request->connection->dispatching == request);
}

void http_request_own(struct http_request *request, const struct http_owner *owner, void *user)
{
	check(request);
	ASSERT(owner && owner->on_gone);
	request->owner = owner;
	request->user = user;
}

void *http_request_user(const struct http_request *request)
{
	return request->user;
}

const struct http_head *http_request_head(const struct http_request *request)
{
	return &request->head;
}

const struct sockaddr *http_request_peer(const struct http_request *request)
{
	return &request->connection->peer.any;
}

uint64_t http_request_number(const struct http_request *request)
{
	return request->number;
}

static uint64_t now_ms(const struct http_request *request)
{
	return uv_now(request->connection->server->loop);
}

void http_request_deadline(struct http_request *request, uint32_t ms)
{
	struct connection *c = request->connection;

	request->deadline_ms = ms ? now_ms(request) + ms : 0;
	if (ms)
		server_wake(c->server, c, request->deadline_ms);
}

void http_request_idle(struct http_request *request, uint32_t ms)
{
	struct connection *c = request->connection;

	request->idle_ms = ms;
	request->moved_ms = now_ms(request);
	if (ms)
		server_wake(c->server, c, request->moved_ms + ms);
}

bool http_request_has_body(const struct http_request *request)
{
	return request->head.chunked || request->head.content_length > 0;
}

/* Does the client wait for 100 before it sends its body? One that has begun does not. */
static bool waits_for_continue(const struct http_request *request)
{
	const struct connection *c = request->connection;

	return request->head.expect_continue && c->body_owner == request && c->start == c->end &&
	       c->body_got == 0;
}

int http_body_read(struct http_request *request, uint64_t limit_bytes, struct error *err)
{
	struct connection *c = request->connection;
	uint64_t limit = c->server->limits.body_bytes;

	check(request);
	ASSERT(request->owner && request->owner->on_body && !request->body_wanted);
	if (limit_bytes && limit_bytes < limit)
		limit = limit_bytes;
	if (request->head.content_length > limit)
		return error_set(err, ERR_TOO_LARGE, "the body has %llu bytes, the limit is %llu",
			(unsigned long long)request->head.content_length,
			(unsigned long long)limit);
	request->body_limit = limit;
	request->body_wanted = true;
	if (waits_for_continue(request) && !request->begun) {
		struct span interim = SPAN("HTTP/1.1 100 Continue\r\n\r\n");

		output_append(c->server, answer_output(request), interim.data, interim.len);
		request->head.expect_continue = false;
	}
	connection_touch(c);
	return 0;
}

void http_body_consumed(struct http_request *request, size_t n)
{
	check(request);
	ASSERT(n <= request->unconsumed);
	request->unconsumed -= n;
	connection_touch(request->connection);
}

/* The answer */

static bool bodiless(const struct http_request *request, int status)
{
	return request->head.method == HTTP_METHOD_HEAD || status == 204 || status == 205 ||
	       status == 304;
}

/* Written by the server alone, because they are the connection's, not the answer's. */
static bool field_reserved(struct span name)
{
	static const struct span reserved[] = { { "connection", 10 }, { "content-length", 14 },
		{ "transfer-encoding", 17 }, { "date", 4 }, { "server", 6 }, { "keep-alive", 10 },
		{ "proxy-connection", 16 }, { "te", 2 }, { "trailer", 7 }, { "upgrade", 7 } };

	for (size_t i = 0; i < ARRAY_LENGTH(reserved); i++)
		if (span_equal_nocase(name, reserved[i]))
			return true;
	return false;
}

/* Add up the bytes of the answer's own fields in *bytes, if all of it is sound. */
static int check_answer(const struct http_answer *answer, size_t *bytes, struct error *err)
{
	size_t sum = 0;

	if (answer->status < 200 || answer->status > 599)
		return error_set(err, ERR_INVALID, "%d is no status of an answer", answer->status);
	if (!http_value_valid(answer->content_type))
		return error_set(err, ERR_INVALID, "the content type is not a valid header value");
	sum += sizeof("Content-Type: \r\n") + answer->content_type.len;
	for (size_t i = 0; i < answer->field_count; i++) {
		const struct http_answer_field *field = &answer->fields[i];

		if (!http_name_valid(field->name))
			return error_set(
				err, ERR_INVALID, "header %zu of the answer has no valid name", i);
		if (field_reserved(field->name) ||
			(answer->content_type.len &&
				span_equal_nocase(field->name, SPAN("content-type"))))
			return error_set(err, ERR_INVALID, "the header '%.*s' is not the answer's",
				SPAN_ARG(field->name));
		if (!http_value_valid(field->value))
			return error_set(err, ERR_INVALID,
				"the value of the header '%.*s' is not valid",
				SPAN_ARG(field->name));
		sum += field->name.len + field->value.len + 4;
	}
	*bytes = sum;
	return 0;
}

/* Decide whether this is the connection's last answer, while it can still be said. */
static bool must_close(struct http_request *request)
{
	struct connection *c = request->connection;

	/* What ends the connection is the last request's to say. */
	if (!is_last(request))
		return false;
	if (c->server->closing)
		connection_end(c, true);
	if (request->head.minor == 0 && !request->chunked && request->answer_left == UINT64_MAX)
		connection_end(c, true);
	/* A body that nobody wants, and that is too long or too uncertain to be read away. */
	if (c->body && c->body_owner == request && !request->body_wanted &&
		(waits_for_continue(request) || c->body_chunked || c->body_left > DROP_BYTES))
		connection_end(c, true);
	return c->state != CONNECTION_OPEN;
}

int http_request_add_field(struct http_request *request, struct span name, struct span value)
{
	size_t len = name.len + value.len + 4;
	char *p = request->added + request->added_len;

	check(request);
	if (request->begun || !http_name_valid(name) || field_reserved(name) ||
		!http_value_valid(value) || len > sizeof(request->added) - request->added_len)
		return ERR_INVALID;
	p = put(p, name.data, name.len);
	p = PUT(p, ": ");
	p = put(p, value.data, value.len);
	(void)PUT(p, "\r\n");
	request->added_len = (uint16_t)(request->added_len + len);
	return 0;
}

static char *put_framing(struct http_request *request, char *p, int status, uint64_t length)
{
	bool close;

	if (request->chunked) {
		p = PUT(p, "Transfer-Encoding: chunked\r\n");
	} else if (length != HTTP_LENGTH_UNKNOWN && status != 204) {
		p = PUT(p, "Content-Length: ");
		/* A 205 says that it has none (RFC 9110 section 15.3.6). */
		p = put_decimal(p, status == 205 ? 0 : length);
		p = PUT(p, "\r\n");
	}
	close = must_close(request);
	if (close)
		p = PUT(p, "Connection: close\r\n");
	else if (request->head.minor == 0)
		p = PUT(p, "Connection: keep-alive\r\n");
	return p;
}

static void put_head(struct http_request *request, const struct http_answer *answer,
	uint64_t length, size_t field_bytes)
{
	struct http_server *server = request->connection->server;
	struct output *out = answer_output(request);
	char *start = output_reserve(server, out,
		HEAD_FIXED_BYTES + DATE_BYTES + server->name_len + request->added_len +
			field_bytes);
	struct span reason = reason_phrase(answer->status);
	char *p = PUT(start, "HTTP/1.1 ");

	p = put_decimal(p, (unsigned)answer->status);
	*p++ = ' ';
	p = put(p, reason.data, reason.len);
	p = PUT(p, "\r\n");
	p = put(p, server_date(server), DATE_BYTES);
	if (server->name) {
		p = PUT(p, "Server: ");
		p = put(p, server->name, server->name_len);
		p = PUT(p, "\r\n");
	}
	if (answer->content_type.len) {
		p = PUT(p, "Content-Type: ");
		p = put(p, answer->content_type.data, answer->content_type.len);
		p = PUT(p, "\r\n");
	}
	for (size_t i = 0; i < answer->field_count; i++) {
		const struct http_answer_field *field = &answer->fields[i];

		p = put(p, field->name.data, field->name.len);
		p = PUT(p, ": ");
		if (field->value.len)
			p = put(p, field->value.data, field->value.len);
		p = PUT(p, "\r\n");
	}
	if (request->added_len > 0)
		p = put(p, request->added, request->added_len);
	p = put_framing(request, p, answer->status, length);
	p = PUT(p, "\r\n");
	out->end += (size_t)(p - start);
	ASSERT(out->end <= out->cap);
}

static int begin(struct http_request *request, const struct http_answer *answer, uint64_t length,
	struct error *err)
{
	size_t field_bytes = 0;
	int rc;

	ASSERT(!request->begun);
	rc = check_answer(answer, &field_bytes, err);
	if (rc < 0)
		return rc;
	request->begun = true;
	request->headless_body = bodiless(request, answer->status);
	request->answer_left = length;
	request->chunked = length == HTTP_LENGTH_UNKNOWN && request->head.minor == 1 &&
			   !request->headless_body;
	if (request->headless_body && length == HTTP_LENGTH_UNKNOWN)
		request->answer_left = 0;
	put_head(request, answer, length, field_bytes);
	return 0;
}

/* Nobody reads the rest of the body. */
static void abandon_body(struct http_request *request)
{
	struct connection *c = request->connection;

	if (c->body_owner != request)
		return;
	if (waits_for_continue(request) || (!c->body_chunked && c->body_left > DROP_BYTES))
		connection_end(c, true);
	c->body_owner = NULL;
	c->body_reading = false;
}

static void end(struct http_request *request)
{
	struct connection *c = request->connection;

	abandon_body(request);
	request->ended = true;
	request->owner = NULL;
	if (c->dispatching == request)
		c->dispatching = NULL;
	if (is_first(request))
		connection_advance(c);
	connection_touch(c);
}

static void append_body(struct http_request *request, struct span body)
{
	struct connection *c = request->connection;

	if (body.len >= DIRECT_BYTES && is_first(request))
		connection_send(c, &body, 1);
	else
		output_append(c->server, answer_output(request), body.data, body.len);
}

static int send_whole(struct http_request *request, const struct http_answer *answer,
	struct span body, struct error *err)
{
	int rc = begin(request, answer, body.len, err);

	if (rc < 0)
		return rc;
	if (!request->headless_body)
		append_body(request, body);
	end(request);
	return 0;
}

int http_answer_send(struct http_request *request, const struct http_answer *answer,
	struct span body, struct error *err)
{
	check(request);
	return send_whole(request, answer, body, err);
}

int http_answer_begin(struct http_request *request, const struct http_answer *answer,
	uint64_t length, struct error *err)
{
	int rc;

	check(request);
	rc = begin(request, answer, length, err);
	if (rc < 0)
		return rc;
	connection_touch(request->connection);
	return 0;
}

size_t http_answer_waiting(const struct http_request *request)
{
	const struct output *out = is_first(request) ? &request->connection->out : &request->output;

	return out->end - out->start;
}

static void append_chunk(struct http_request *request, struct span piece)
{
	struct connection *c = request->connection;
	struct output *out = answer_output(request);
	char frame[HEX_MAX + 2];
	size_t len = (size_t)(PUT(put_hex(frame, piece.len), "\r\n") - frame);

	if (piece.len >= DIRECT_BYTES && is_first(request)) {
		const struct span parts[] = { { frame, len }, piece, SPAN("\r\n") };

		connection_send(c, parts, ARRAY_LENGTH(parts));
		return;
	}
	(void)output_reserve(c->server, out, len + piece.len + 2);
	output_append(c->server, out, frame, len);
	output_append(c->server, out, piece.data, piece.len);
	output_append(c->server, out, "\r\n", 2);
}

int http_answer_write(struct http_request *request, struct span piece)
{
	struct connection *c = request->connection;

	check(request);
	ASSERT(request->begun);
	request->moved_ms = now_ms(request);
	if (http_answer_waiting(request) >= c->server->limits.window_bytes) {
		request->blocked = true;
		return ERR_AGAIN;
	}
	if (piece.len == 0 || request->headless_body)
		return 0;
	if (request->answer_left != HTTP_LENGTH_UNKNOWN) {
		if (piece.len > request->answer_left)
			return ERR_INVALID;
		request->answer_left -= piece.len;
	}
	/* A chunk of no bytes would be the end. */
	if (request->chunked)
		append_chunk(request, piece);
	else
		append_body(request, piece);
	connection_touch(c);
	return 0;
}

void http_answer_end(struct http_request *request)
{
	struct connection *c = request->connection;

	check(request);
	ASSERT(request->begun);
	if (request->chunked)
		output_append(c->server, answer_output(request), "0\r\n\r\n", 5);
	else if (!request->headless_body && request->answer_left != HTTP_LENGTH_UNKNOWN &&
		 request->answer_left > 0)
		connection_break(c);
	end(request);
}

static int send_problem(struct http_request *request, const struct problem *problem,
	const struct http_answer_field *fields, size_t field_count, struct error *err)
{
	const struct http_answer answer = {
		.status = problem_status(problem),
		.content_type = SPAN("application/problem+json"),
		.fields = fields,
		.field_count = field_count,
	};
	struct text body;
	int rc;

	text_init(&body);
	problem_write(&body, problem);
	rc = send_whole(request, &answer, text_span(&body), err);
	text_done(&body);
	return rc;
}

int http_answer_problem(struct http_request *request, const struct problem *problem,
	const struct http_answer_field *fields, size_t field_count, struct error *err)
{
	check(request);
	return send_problem(request, problem, fields, field_count, err);
}

void answer_refusal(struct http_request *request, int code, const char *detail)
{
	struct error reason = { 0 };
	const struct problem problem = { .error = &reason };
	int rc;

	(void)error_set(&reason, code, "%s", detail);
	rc = send_problem(request, &problem, NULL, 0, NULL);
	ASSERT(rc == 0);
}

bool http_answer_begun(const struct http_request *request)
{
	return request->begun;
}

void http_request_abort(struct http_request *request)
{
	struct connection *c = request->connection;

	check(request);
	request->begun = true;
	request->owner = NULL;
	if (c->body_owner == request)
		c->body_owner = NULL;
	if (c->dispatching == request)
		c->dispatching = NULL;
	connection_break(c);
}
