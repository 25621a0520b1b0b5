#include "http/server.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/mem.h"
#include "http/server_priv.h"

/* One connection: bytes come into a block, heads are parsed where they lie, pieces of bodies are
 * handed on from there, and the block is written over once nobody borrows from it. A request whose
 * head lies in a block keeps it; the connection takes another when too little is left. */

#define CONNECTION_MAGIC 0x48434f4eu
/* Less room than this behind the unread bytes, and they are moved to make more. */
#define READ_ROOM 8192
/* Parts that connection_send() takes, and what waits before them. */
#define PARTS_MAX 4

_Static_assert(BLOCK_BYTES >= 2 * HTTP_HEAD_BYTES_MAX, "an unfinished head and room to read");

static const struct {
	const char *name;
	unsigned next;
} states[CONNECTION_COUNT] = {
#define TO(state) (1u << CONNECTION_##state)
	[CONNECTION_OPEN] = { "open", TO(ENDING) | TO(CLOSED) },
	[CONNECTION_ENDING] = { "ending", TO(LINGERING) | TO(CLOSED) },
	[CONNECTION_LINGERING] = { "lingering", TO(CLOSED) },
	[CONNECTION_CLOSED] = { "closed", 0 },
#undef TO
};

static void move_to(struct connection *c, enum connection_state state)
{
	ASSERT(states[c->state].next & 1u << state);
	c->state = state;
}

void connection_touch(struct connection *c)
{
	if (c->running)
		c->again = true;
	else if (c->state != CONNECTION_CLOSED)
		server_add_dirty(c->server, c);
}

void connection_end(struct connection *c, bool linger)
{
	if (c->state == CONNECTION_OPEN)
		move_to(c, CONNECTION_ENDING);
	c->linger |= linger;
}

void connection_break(struct connection *c)
{
	c->broken = true;
	connection_touch(c);
}

bool connection_idle(const struct connection *c)
{
	return list_empty(&c->requests) && c->start == c->end && !c->next && !c->body &&
	       c->out.start == c->out.end;
}

/* The end of requests and connections */

static void free_request(struct http_request *request)
{
	struct connection *c = request->connection;

	if (c->body_owner == request)
		c->body_owner = NULL;
	if (c->dispatching == request)
		c->dispatching = NULL;
	if (!list_empty(&request->link)) {
		list_remove(&request->link);
		c->in_flight--;
		c->server->stats.in_flight -= !request->refusal;
	}
	output_release(c->server, &request->output);
	if (request->block)
		block_unref(c->server, request->block);
	request_put(c->server, request);
}

void connection_advance(struct connection *c)
{
	struct http_request *first;

	while ((first = LIST_FIRST(&c->requests, struct http_request, link)) && first->ended) {
		free_request(first);
		first = LIST_FIRST(&c->requests, struct http_request, link);
		if (!first)
			break;
		if (!first->output.data)
			continue;
		output_append(c->server, &c->out, first->output.data + first->output.start,
			first->output.end - first->output.start);
		output_release(c->server, &first->output);
	}
	c->idle_since_ms = connection_now(c);
}

/* Take the request from its owner. */
static void tell_gone(struct http_request *request, enum http_gone why)
{
	const struct http_owner *owner = request->owner;

	request->owner = NULL;
	if (!owner)
		return;
	request->connection->server->stats.gone++;
	owner->on_gone(request->user, request, why);
}

void connection_close(struct connection *c, bool reset)
{
	struct http_server *server = c->server;

	move_to(c, CONNECTION_CLOSED);
	/* A reset tells the client, even one that reads to the end, that this was not all. */
	if (reset) {
		struct linger off = { 1, 0 };

		(void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &off, sizeof(off));
	}
	if (c->next)
		free_request(TAKE(c->next));
	if (c->in)
		block_unref(server, TAKE(c->in));
	output_release(server, &c->out);
	server_forget(server, c);
}

void connection_fail(struct connection *c, enum http_gone why)
{
	struct http_request *request;
	bool cut = c->out.start != c->out.end;

	c->broken = true;
	while ((request = LIST_FIRST(&c->requests, struct http_request, link))) {
		cut |= request->begun;
		tell_gone(request, why);
		free_request(request);
	}
	connection_close(c, cut);
}

void request_end(struct http_request *request, enum http_gone why, int code, const char *detail)
{
	struct connection *c = request->connection;

	tell_gone(request, why);
	if (request->begun)
		connection_break(c);
	else
		answer_refusal(request, code, detail);
}

/* Input */

void connection_refuse(struct connection *c, int code, const char *reason)
{
	struct http_request *request = TAKE(c->next);

	c->server->stats.refused++;
	request->magic = REQUEST_MAGIC;
	request->refusal = true;
	request->head.minor = 1;
	list_append(&c->requests, &request->link);
	c->in_flight++;
	connection_end(c, true);
	answer_refusal(request, code, reason);
}

static void begin_body(struct connection *c, struct http_request *request)
{
	const struct http_head *head = &request->head;

	c->body = true;
	c->body_owner = request;
	c->body_chunked = head->chunked;
	c->body_left = head->content_length;
	c->body_got = 0;
	c->drop_left = DROP_BYTES;
	c->body_reading = false;
	http_chunks_init(&c->chunks);
}

/* HTTP/1.0 may need the end of the connection to end an answer. */
static bool may_overlap(const struct http_request *request)
{
	return http_method_safe(request->head.method) && request->head.minor == 1;
}

static void dispatch(struct connection *c)
{
	struct http_server *server = c->server;
	struct http_request *request = TAKE(c->next);

	c->next_complete = false;
	request->magic = REQUEST_MAGIC;
	request->block = c->in;
	c->in->refs++;
	c->start += request->head.len;
	c->floor = c->start;
	request->number = ++server->last_number;
	request->moved_ms = connection_now(c);
	http_request_deadline(request, server->limits.request_ms);
	c->overlap = (c->in_flight == 0 || c->overlap) && may_overlap(request);
	list_append(&c->requests, &request->link);
	c->in_flight++;
	c->uses++;
	server->stats.requests++;
	server->stats.in_flight++;
	if (http_request_has_body(request))
		begin_body(c, request);
	if (!request->head.keep_alive)
		connection_end(c, false);
	else if (server->closing || c->uses >= server->limits.connection_uses)
		connection_end(c, true);

	c->dispatching = request;
	server->on_request(server->user, request);
	ASSERT(!c->dispatching || c->dispatching->ended || c->dispatching->owner);
	c->dispatching = NULL;
}

/* May the request whose head is complete begin beside those in flight? */
static bool its_turn(const struct connection *c)
{
	/* Whoever does not read its answers gets no more of them. */
	if (c->out.end - c->out.start >= c->server->limits.window_bytes)
		return false;
	return c->in_flight == 0 ||
	       (c->overlap && may_overlap(c->next) && c->in_flight < c->server->limits.pipeline);
}

/* False when there is nothing more to do for now. */
static bool read_head(struct connection *c)
{
	struct http_server *server = c->server;
	int rc;

	if (!c->next) {
		if (c->start == c->end)
			return false;
		c->next = request_take(server);
		c->next->connection = c;
		c->head_ms = connection_now(c);
	}
	if (!c->next_complete) {
		rc = http_head_parse(
			&c->next->head, c->in->data + c->start, c->end - c->start, &server->limits);
		if (rc == ERR_AGAIN) {
			server_wake(server, c, c->head_ms + server->limits.head_ms);
			return false;
		}
		if (rc < 0) {
			connection_refuse(c, rc, c->next->head.reason);
			return false;
		}
		if (c->next->head.content_length > server->limits.body_bytes) {
			connection_refuse(
				c, ERR_TOO_LARGE, "the body is longer than http.body_bytes allows");
			return false;
		}
		c->next_complete = true;
	}
	if (!its_turn(c))
		return false;
	dispatch(c);
	return true;
}

void connection_fail_body(struct connection *c, enum http_gone why, int code, const char *detail)
{
	struct http_request *owner = TAKE(c->body_owner);

	c->server->stats.refused++;
	connection_end(c, true);
	if (owner)
		request_end(owner, why, code, detail);
}

/* How many bytes of body may be taken now. */
static uint64_t body_room(const struct connection *c)
{
	const struct http_request *owner = c->body_owner;

	if (!owner)
		return c->drop_left;
	if (!owner->body_wanted || owner->unconsumed >= c->server->limits.window_bytes)
		return 0;
	return c->server->limits.window_bytes - owner->unconsumed;
}

/* The next piece within room bytes: 0, ERR_AGAIN for none, or a refusal. */
static int next_piece(struct connection *c, uint64_t room, struct span *piece, bool *last)
{
	const char *data = c->in->data + c->start;
	size_t have = c->end - c->start;
	size_t used;
	int rc;

	if (have > room)
		have = (size_t)room;
	if (c->body_chunked) {
		rc = http_chunks_parse(&c->chunks, data, have, &used, piece);
		c->start += (uint32_t)used;
		*last = rc == 0 && piece->len == 0;
		return rc;
	}
	if (have == 0)
		return ERR_AGAIN;
	if (have > c->body_left)
		have = (size_t)c->body_left;
	*piece = (struct span){ data, have };
	c->start += (uint32_t)have;
	c->body_left -= have;
	*last = c->body_left == 0;
	return 0;
}

static bool read_body(struct connection *c)
{
	struct http_request *owner = c->body_owner;
	uint64_t room = body_room(c);
	struct span piece;
	bool last;
	int rc;

	if (room == 0) {
		c->body_reading = false;
		if (!owner)
			connection_end(c, true);
		return false;
	}
	if (!c->body_reading) {
		c->body_reading = true;
		c->body_mark_ms = connection_now(c);
		c->body_mark = c->body_got;
		server_wake(c->server, c, c->body_mark_ms + c->server->limits.rate_grace_ms);
	}
	if (c->start == c->end)
		return false;
	rc = next_piece(c, room, &piece, &last);
	if (rc == ERR_AGAIN)
		return false;
	if (rc < 0) {
		connection_fail_body(c, HTTP_GONE_BODY, rc, c->chunks.reason);
		return false;
	}
	c->body_got += piece.len;
	if (!owner)
		c->drop_left -= piece.len;
	else if (c->body_got > owner->body_limit) {
		connection_fail_body(
			c, HTTP_GONE_BODY, ERR_TOO_LARGE, "the body is longer than allowed");
		return false;
	}
	if (last) {
		c->body = false;
		c->body_owner = NULL;
	}
	if (owner) {
		owner->unconsumed += piece.len;
		owner->moved_ms = connection_now(c);
		owner->owner->on_body(owner->user, owner, piece, last);
	}
	return true;
}

static void take_input(struct connection *c)
{
	for (bool more = true; more && !c->broken;) {
		if (c->body && (c->state == CONNECTION_OPEN || c->body_owner))
			more = read_body(c);
		else if (c->state == CONNECTION_OPEN)
			more = read_head(c);
		else
			more = false;
	}
	if (c->start == c->end)
		c->start = c->end = c->floor;
}

/* Room to read behind the unread bytes; false when there is none, which is our back-pressure. */
static bool make_room(struct connection *c)
{
	uint32_t pending = c->end - c->start;
	struct block *block;

	if (!c->in) {
		c->in = block_take(c->server);
		c->start = c->end = c->floor = 0;
		return true;
	}
	if (c->in->refs == 1)
		c->floor = 0;
	if (pending == 0)
		c->start = c->end = c->floor;
	if (BLOCK_BYTES - c->end >= READ_ROOM)
		return true;
	/* A head that waits its turn must not move. */
	if (c->next_complete)
		return c->end < BLOCK_BYTES;
	if (BLOCK_BYTES - c->floor - pending >= BLOCK_BYTES / 2) {
		memmove(c->in->data + c->floor, c->in->data + c->start, pending);
		c->start = c->floor;
	} else if (pending < BLOCK_BYTES / 2) {
		block = block_take(c->server);
		memcpy(block->data, c->in->data + c->start, pending);
		block_unref(c->server, c->in);
		c->in = block;
		c->start = c->floor = 0;
	}
	c->end = c->start + pending;
	return c->end < BLOCK_BYTES;
}

static bool wants_input(const struct connection *c)
{
	bool held = c->next_complete || (c->body && body_room(c) == 0);

	if (c->eof || c->broken)
		return false;
	if (c->state == CONNECTION_OPEN || (c->state == CONNECTION_ENDING && c->body_owner))
		return !held || c->end < BLOCK_BYTES;
	return c->state == CONNECTION_LINGERING;
}

static void on_eof(struct connection *c)
{
	c->eof = true;
	c->half_close_ms = connection_now(c) + c->server->limits.half_close_ms;
	server_wake(c->server, c, c->half_close_ms);
}

static void receive(struct connection *c)
{
	ssize_t n;

	if (c->eof || !make_room(c))
		return;
	n = recv(c->fd, c->in->data + c->end, BLOCK_BYTES - c->end, 0);
	if (n > 0) {
		c->server->stats.bytes_received += (uint64_t)n;
		/* Behind the last answer everything is read and nothing is looked at. */
		if (c->state == CONNECTION_OPEN || c->state == CONNECTION_ENDING)
			c->end += (uint32_t)n;
	} else if (n == 0) {
		on_eof(c);
	} else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
		c->broken = true;
	}
}

/* Output */

/* Send from iov; returns how many bytes the kernel took. */
static size_t send_some(struct connection *c, struct iovec *iov, size_t count)
{
	struct msghdr message = { .msg_iov = iov, .msg_iovlen = count };
	ssize_t n;

	do
		n = count == 1 ? send(c->fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL)
			       : sendmsg(c->fd, &message, MSG_NOSIGNAL);
	while (n == -1 && errno == EINTR);
	if (n == -1) {
		if (errno != EAGAIN && errno != EWOULDBLOCK) {
			c->broken = true;
			connection_touch(c);
		}
		return 0;
	}
	c->sent += (uint64_t)n;
	c->server->stats.bytes_sent += (uint64_t)n;
	return (size_t)n;
}

static void out_sent(struct connection *c, size_t n)
{
	c->out.start += n;
	if (c->out.start == c->out.end)
		output_release(c->server, &c->out);
}

/* From here on the client must take bytes at limits.min_rate. */
static void begin_waiting(struct connection *c)
{
	if (c->out.start == c->out.end || c->sent_mark_ms)
		return;
	c->sent_mark_ms = connection_now(c);
	c->sent_mark = c->sent;
	server_wake(c->server, c, c->sent_mark_ms + c->server->limits.rate_grace_ms);
}

static void flush(struct connection *c)
{
	if (c->out.start != c->out.end && !c->broken) {
		struct iovec iov = { c->out.data + c->out.start, c->out.end - c->out.start };

		out_sent(c, send_some(c, &iov, 1));
	}
	if (c->out.start == c->out.end)
		c->sent_mark_ms = 0;
	else
		begin_waiting(c);
}

void connection_send(struct connection *c, const struct span *parts, size_t count)
{
	struct iovec iov[PARTS_MAX + 1];
	size_t waiting = c->out.end - c->out.start, used = 0;
	size_t sent;

	ASSERT(count <= PARTS_MAX);
	if (c->broken)
		return;
	/* When the kernel was full just now, it still is. */
	if (c->sent_mark_ms) {
		for (size_t i = 0; i < count; i++)
			output_append(c->server, &c->out, parts[i].data, parts[i].len);
		return;
	}
	if (waiting)
		iov[used++] = (struct iovec){ c->out.data + c->out.start, waiting };
	for (size_t i = 0; i < count; i++)
		iov[used++] = (struct iovec){ (void *)parts[i].data, parts[i].len };
	sent = send_some(c, iov, used);
	if (waiting)
		out_sent(c, sent < waiting ? sent : waiting);
	sent -= sent < waiting ? sent : waiting;
	for (size_t i = 0; i < count; i++) {
		size_t skip = sent < parts[i].len ? sent : parts[i].len;

		output_append(c->server, &c->out, parts[i].data + skip, parts[i].len - skip);
		sent -= skip;
	}
	begin_waiting(c);
}

/* Tell the owner of the answer that is on its way, once a turn, that there is room. */
static void tell_writable(struct connection *c)
{
	struct http_request *first = LIST_FIRST(&c->requests, struct http_request, link);

	if (!first || !first->blocked || first->ended || !first->owner ||
		c->out.end - c->out.start > c->server->limits.window_bytes / 2)
		return;
	first->blocked = false;
	first->owner->on_writable(first->user, first);
}

/* What is left to do when input and output have had their turn */

static void linger_or_close(struct connection *c)
{
	bool unread = c->start != c->end || c->body || c->next;

	if (c->eof || !(c->linger || unread)) {
		connection_close(c, false);
		return;
	}
	/* To close over unread bytes is to reset, and a reset may overtake the answer. */
	move_to(c, CONNECTION_LINGERING);
	(void)shutdown(c->fd, SHUT_WR);
	c->start = c->end = c->floor;
	c->linger_ms = connection_now(c) + c->server->limits.linger_ms;
	server_wake(c->server, c, c->linger_ms);
}

uint64_t connection_rest_ends(const struct connection *c)
{
	const struct http_limits *limits = &c->server->limits;

	if (c->uses)
		return c->idle_since_ms + limits->idle_ms;
	/* Its first request may be on the way, so it gets a moment even when we are closing. */
	return c->head_ms + (c->server->closing ? limits->half_close_ms : limits->head_ms);
}

static void rest(struct connection *c)
{
	struct http_server *server = c->server;

	c->floor = 0;
	if (c->in)
		block_unref(server, TAKE(c->in));
	c->start = c->end = 0;
	list_remove(&c->idle);
	if (c->uses)
		list_append(&server->idle, &c->idle);
	server_wake(server, c, connection_rest_ends(c));
}

static void settle(struct connection *c)
{
	bool answered = list_empty(&c->requests) && c->out.start == c->out.end;

	if (c->broken) {
		connection_fail(c, HTTP_GONE_CLIENT);
	} else if (c->state == CONNECTION_LINGERING) {
		if (c->eof)
			connection_close(c, false);
	} else if (c->eof && c->body_owner && c->start == c->end) {
		/* The rest of the body will never come. */
		connection_fail(c, HTTP_GONE_CLIENT);
	} else if (answered && c->state == CONNECTION_ENDING) {
		linger_or_close(c);
	} else if (answered && c->eof) {
		connection_close(c, false);
	} else if (connection_idle(c)) {
		if (c->server->closing && c->uses)
			connection_close(c, false);
		else
			rest(c);
	}
}

static void on_event(uv_poll_t *poll, int status, int events);

static void watch(struct connection *c)
{
	int events = 0;

	if (c->state == CONNECTION_CLOSED)
		return;
	if (wants_input(c))
		events |= UV_READABLE;
	if (c->out.start != c->out.end)
		events |= UV_WRITABLE;
	/* Stay open to the news that the client is gone. */
	if (!(events & UV_READABLE))
		events |= c->eof || c->hangup_seen ? UV_PRIORITIZED : UV_DISCONNECT;
	if (events == c->events)
		return;
	c->events = events;
	(void)uv_poll_start(&c->poll, events, on_event);
}

void connection_run(struct connection *c)
{
	if (c->state == CONNECTION_CLOSED)
		return;
	ASSERT(c->magic == CONNECTION_MAGIC && !c->running);
	c->running = true;
	c->again = false;
	/* At the end a request may have come that we did not see yet; pipelined ones are the
	 * client's to repeat. */
	if (c->server->closing && connection_idle(c))
		receive(c);
	else if (c->server->closing && c->in_flight)
		connection_end(c, true);
	if (c->state != CONNECTION_LINGERING) {
		take_input(c);
		/* What was touched so far is done by what follows. */
		c->again = false;
		flush(c);
		tell_writable(c);
		c->again |= c->next_complete && its_turn(c);
	}
	settle(c);
	watch(c);
	c->running = false;
	if (c->again)
		connection_touch(c);
}

static void on_event(uv_poll_t *poll, int status, int events)
{
	struct connection *c = poll->data;

	list_remove(&c->idle);
	if (status < 0)
		c->broken = true;
	else if (events & UV_READABLE)
		receive(c);
	else if (events & UV_PRIORITIZED)
		c->broken = true;
	if (status >= 0 && (events & UV_DISCONNECT)) {
		c->hangup_seen = true;
		/* A body that we hold up ourselves may be all there, in the kernel. */
		if (!c->body && !c->half_close_ms) {
			c->half_close_ms = connection_now(c) + c->server->limits.half_close_ms;
			server_wake(c->server, c, c->half_close_ms);
		}
	}
	connection_run(c);
}

void connection_open(struct http_server *server, int fd, struct connection *c)
{
	c->magic = CONNECTION_MAGIC;
	c->server = server;
	c->fd = fd;
	c->poll.data = c;
	c->head_ms = connection_now(c);
	list_init(&c->dirty);
	list_init(&c->wheel);
	list_init(&c->idle);
	list_init(&c->requests);
	list_append(&server->connections, &c->link);
	server_wake(server, c, c->head_ms + server->limits.head_ms);
	watch(c);
}

struct http_request *connection_find(
	struct connection *c, bool (*test)(const struct http_request *))
{
	list_for_each(struct http_request, request, &c->requests, link) {
		if (test(request))
			return request;
	}
	return NULL;
}

static bool not_begun(const struct http_request *request)
{
	return !request->begun;
}

void connection_stop(struct connection *c, enum http_gone why)
{
	struct http_request *request;

	connection_end(c, true);
	if (why == HTTP_GONE_SHUTDOWN) {
		while ((request = connection_find(c, not_begun)))
			request_end(request, why, ERR_UNAVAIL, "this process is shutting down");
		flush(c);
	}
	connection_fail(c, why);
}
