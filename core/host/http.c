/* A request lives twice: for the plugin until it ends it or is told on_gone (its place in the
 * ledger), and on the wire until the answer's last byte went out or the front said GONE (its place
 * in the peer's map). reply() ends the first at once; what does not fit into the window then waits
 * here and follows as credit comes.
 *
 * Every callback may end the request it is about, so after each the request is looked up again.
 */
#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "host/host_priv.h"

#define WINDOW            PROTOCOL_BODY_WINDOW
#define HEADERS_BYTES_MAX 65536 /* of one answer, names and values */
_Static_assert(WINDOW == MORTISE_HTTP_WINDOW, "the window that http.h promises");

enum answer { ANSWER_NONE, ANSWER_BEGUN, ANSWER_ENDED };

struct request {
	struct entry entry;
	struct peer *peer;
	uint64_t wire_id;
	struct route *route;
	char *block; /* what head borrows from */
	struct data_request head;
	char trace[BLACK_BOX_TRACE_MAX];
	int box_place; /* -1: none */
	void *attached;

	uint32_t given; /* body bytes with the plugin, not consumed */
	uint32_t owed;  /* consumed, credit not yet sent */
	bool body_ended;

	enum answer answer;
	struct text headers; /* of the answer: names and values, and their lengths in sizes */
	struct {
		uint32_t name, value;
	} sizes[MORTISE_HTTP_HEADERS_MAX + 1];
	uint32_t header_count;
	uint32_t in_flight; /* answer bytes sent and not consumed */
	struct text rest;   /* of a reply: what is still to be sent */
	size_t rest_sent;
	uint64_t refused;    /* size of the piece that write() refused; 0: none */
	struct list waiting; /* in peer.waiting: for room in the channel */
};

/* ---- the black box ---- */

static void box_add(struct host *h, struct request *r)
{
	r->box_place = -1;
	if (!h->box)
		return;
	if (!h->box_free) {
		h->box->more++;
		return;
	}
	r->box_place = __builtin_ctzll(h->box_free);
	h->box_free &= h->box_free - 1;
	memcpy(h->box->requests[r->box_place], r->trace, sizeof(r->trace));
}

static void box_remove(struct host *h, struct request *r)
{
	if (!h->box)
		return;
	if (r->box_place < 0) {
		h->box->more--;
		return;
	}
	h->box->requests[r->box_place][0] = '\0';
	h->box_free |= UINT64_C(1) << r->box_place;
}

/* ---- life ---- */

/* The request is over on both sides. */
static void release(struct request *r)
{
	struct peer *p = r->peer;
	struct host *h = p->host;

	ASSERT(!r->entry.id);
	(void)map_remove_u64(&p->requests, r->wire_id);
	list_remove(&r->waiting);
	box_remove(h, r);
	text_done(&r->headers);
	text_done(&r->rest);
	mem_free(r->block);
	mem_free(r);
	host_settle(h);
}

/* The plugin is done with it, or told. */
static void end_for_plugin(struct request *r)
{
	ledger_remove(&r->entry);
}

static void on_gone(struct request *r, int32_t why)
{
	struct host *h = r->peer->host;
	uint64_t id = r->entry.id;
	void *attached = r->attached;

	if (!id)
		return;
	end_for_plugin(r);
	if (!h->serve->on_gone || !h->self)
		return;
	host_enter(h, "http.on_gone", r->trace);
	h->serve->on_gone(h->self, id, attached, why);
	host_leave(h);
}

static void send_failed(struct peer *p, uint64_t wire_id, int32_t rc, const char *text)
{
	struct data_response_failed failed = { rc, span_of(text) };

	if (p->channel)
		(void)send_data_response_failed(p->channel, wire_id, &failed);
}

void http_undo(struct entry *entry, int32_t why)
{
	struct request *r = CONTAINER_OF(entry, struct request, entry);

	send_failed(r->peer, r->wire_id, ERR_UNAVAIL, "the plugin stopped before it answered");
	on_gone(r, why);
	release(r);
}

void http_describe(const struct entry *entry, struct text *out)
{
	text_append_span(out, CONTAINER_OF(entry, struct request, entry)->route->name);
}

void http_on_peer_lost(struct peer *p)
{
	size_t at = 0;

	for (const struct map_entry *e; (e = map_next(&p->requests, &at)); at = 0) {
		struct request *r = e->value;

		on_gone(r, MORTISE_E_UNAVAIL);
		release(r);
	}
}

bool http_on_gone(struct peer *p, uint64_t id, int32_t why)
{
	struct request *r = map_get_u64(&p->requests, id);

	if (!r)
		return false;
	on_gone(r, why);
	release(r);
	return true;
}

/* ---- the request arrives ---- */

static struct route *find_route(struct host *h, struct span name)
{
	for (uint32_t i = 0; i < h->start.routes.count; i++)
		if (h->routes[i].bound && span_equal(h->routes[i].name, name))
			return &h->routes[i];
	return NULL;
}

/* Copy the payload, and decode the copy into one block with room for its lists. */
static int copy_head(struct request *r, struct span payload, struct protocol_memory *memory)
{
	struct data_request seen;
	size_t pairs;
	struct protocol_pair *items;

	if (decode_data_request(&seen, payload, memory, NULL) < 0)
		return ERR_PROTOCOL;
	pairs = (size_t)seen.params.count + seen.headers.count;
	r->block = mem_alloc(pairs * sizeof(*items) + payload.len + 1);
	items = (struct protocol_pair *)(void *)r->block;
	memcpy(r->block + pairs * sizeof(*items), payload.data, payload.len);
	payload.data = r->block + pairs * sizeof(*items);
	if (decode_data_request(&r->head, payload, memory, NULL) < 0)
		BUG("a copy decodes otherwise");
	if (pairs) {
		if (r->head.params.count)
			memcpy(items, r->head.params.items, r->head.params.count * sizeof(*items));
		if (r->head.headers.count)
			memcpy(items + r->head.params.count, r->head.headers.items,
				r->head.headers.count * sizeof(*items));
	}
	r->head.params.items = items;
	r->head.headers.items = items + r->head.params.count;
	return 0;
}

static void copy_trace(struct request *r)
{
	size_t len = r->head.trace.len;

	if (len >= sizeof(r->trace))
		len = sizeof(r->trace) - 1;
	memcpy(r->trace, r->head.trace.data, len);
}

static struct request *find(struct host *h, uint64_t id)
{
	return ledger_find(h, id, ENTRY_REQUEST);
}

/* Give back credit in few messages, yet never so late that the front runs dry. */
static void return_credit(struct request *r)
{
	struct data_body_consumed consumed = { r->owed };

	if (!r->owed || r->body_ended)
		return;
	if (r->owed < WINDOW / 4 && r->given + r->owed <= WINDOW / 2)
		return;
	r->owed = 0;
	if (r->peer->channel)
		(void)send_data_body_consumed(r->peer->channel, r->wire_id, &consumed);
}

static void give_body(struct request *r, struct span piece, bool last)
{
	struct host *h = r->peer->host;

	r->body_ended = last;
	if (!h->serve->on_body) {
		r->owed += (uint32_t)piece.len;
		return_credit(r);
		return;
	}
	r->given += (uint32_t)piece.len;
	host_enter(h, "http.on_body", r->trace);
	h->serve->on_body(h->self, r->entry.id, r->attached, str_of(piece), last);
	host_leave(h);
}

static void start_request(struct request *r, bool last)
{
	struct host *h = r->peer->host;
	uint64_t id = r->entry.id;
	struct mortise_http_request_1 head = {
		.method = str_of(r->head.method),
		.path = str_of(r->head.path),
		.query = str_of(r->head.query),
		.body_size = last                 ? 0
			     : r->head.length < 0 ? MORTISE_HTTP_SIZE_UNKNOWN
						  : (uint64_t)r->head.length,
		.deadline_ns = r->head.deadline_ns,
	};

	host_enter(h, r->route->label, r->trace);
	h->serve->on_request(h->self, id, r->route->tag, &head);
	host_leave(h);
	r = last ? find(h, id) : NULL;
	if (r)
		give_body(r, SPAN(""), true);
}

void http_on_request(struct peer *p, const struct channel_message *m)
{
	struct host *h = p->host;
	struct request *r;

	if (map_get_u64(&p->requests, m->id) || p->requests.count >= PROTOCOL_REQUESTS) {
		peer_break(p, "a request id twice, or too many requests");
		return;
	}
	if (h->state != HOST_SERVING) {
		send_failed(p, m->id, ERR_UNAVAIL, "the plugin takes no requests now");
		return;
	}
	r = mem_zalloc(sizeof(*r));
	if (copy_head(r, m->payload, &h->memory) < 0) {
		mem_free(r);
		peer_break(p, "malformed request");
		return;
	}
	r->route = find_route(h, r->head.route);
	if (!r->route) {
		mem_free(r->block);
		mem_free(r);
		send_failed(p, m->id, ERR_INTERNAL, "the plugin has no route of that name");
		return;
	}
	r->peer = p;
	r->wire_id = m->id;
	text_init(&r->headers);
	text_init(&r->rest);
	list_init(&r->waiting);
	copy_trace(r);
	box_add(h, r);
	ledger_add(h, &r->entry, ENTRY_REQUEST);
	(void)map_put_u64(&p->requests, m->id, r);
	start_request(r, (m->flags & PROTOCOL_LAST) != 0);
}

void http_on_body(struct peer *p, const struct channel_message *m)
{
	struct request *r = map_get_u64(&p->requests, m->id);

	/* It is over, or ended by the plugin: the rest of the body is nobody's. */
	if (!r || !r->entry.id)
		return;
	if (r->body_ended || r->given + r->owed + m->payload.len > WINDOW) {
		peer_break(p, "a body beyond its end or its window");
		return;
	}
	give_body(r, m->payload, (m->flags & PROTOCOL_LAST) != 0);
}

/* ---- the answer leaves ---- */

static uint32_t window_left(const struct request *r)
{
	return WINDOW - r->in_flight;
}

static bool channel_room(struct request *r)
{
	if (!r->peer->channel)
		return false;
	if (channel_writable(r->peer->channel))
		return true;
	if (list_empty(&r->waiting))
		list_append(&r->peer->waiting, &r->waiting);
	return false;
}

/* Pieces of at most PROTOCOL_CHUNK_MAX; the last one with LAST, if it is the end. */
static void send_body(struct request *r, struct span body, bool last)
{
	do {
		struct span piece = body;

		if (piece.len > PROTOCOL_CHUNK_MAX)
			piece.len = PROTOCOL_CHUNK_MAX;
		body.len -= piece.len;
		if (body.len)
			body.data += piece.len;
		r->in_flight += (uint32_t)piece.len;
		if (r->peer->channel)
			(void)channel_send(r->peer->channel,
				&(struct channel_message){
					.type = PROTOCOL_DATA_RESPONSE_BODY,
					.flags = last && body.len == 0 ? PROTOCOL_LAST : 0,
					.id = r->wire_id,
					.payload = piece,
					.fd = -1,
					.credited = true,
				});
	} while (body.len > 0);
}

/* Send of a reply's rest what window and channel take; the request is over with its end. */
static void pump(struct request *r)
{
	while (r->rest_sent < r->rest.len && window_left(r) > 0 && channel_room(r)) {
		struct span piece = { r->rest.data + r->rest_sent, r->rest.len - r->rest_sent };

		if (piece.len > window_left(r))
			piece.len = window_left(r);
		if (piece.len > PROTOCOL_CHUNK_MAX)
			piece.len = PROTOCOL_CHUNK_MAX;
		r->rest_sent += piece.len;
		send_body(r, piece, r->rest_sent == r->rest.len);
	}
	if (r->rest_sent == r->rest.len)
		release(r);
}

static void maybe_writable(struct request *r)
{
	struct host *h = r->peer->host;

	if (!r->refused || r->refused > window_left(r) || !channel_room(r))
		return;
	r->refused = 0;
	if (!h->serve->on_writable)
		return;
	host_enter(h, "http.on_writable", r->trace);
	h->serve->on_writable(h->self, r->entry.id, r->attached);
	host_leave(h);
}

void http_on_consumed(struct peer *p, uint64_t id, uint32_t bytes)
{
	struct request *r = map_get_u64(&p->requests, id);

	if (!r)
		return;
	if (bytes > r->in_flight) {
		peer_break(p, "more credit than was used");
		return;
	}
	r->in_flight -= bytes;
	if (r->answer == ANSWER_ENDED)
		pump(r);
	else
		maybe_writable(r);
}

void http_on_room(struct peer *p)
{
	struct list ready;

	list_init(&ready);
	while (!list_empty(&p->waiting)) {
		struct list *link = p->waiting.next;

		list_remove(link);
		list_append(&ready, link);
	}
	/* Who finds the channel full again goes back to p->waiting by itself. */
	while (!list_empty(&ready)) {
		struct request *r = LIST_FIRST(&ready, struct request, waiting);

		list_remove(&r->waiting);
		if (r->answer == ANSWER_ENDED)
			pump(r);
		else
			maybe_writable(r);
	}
}

static void append_header(struct request *r, struct span name, struct span value)
{
	r->sizes[r->header_count].name = (uint32_t)name.len;
	r->sizes[r->header_count].value = (uint32_t)value.len;
	r->header_count++;
	text_append_span(&r->headers, name);
	text_append_span(&r->headers, value);
}

static void send_head(struct request *r, int32_t status, struct span content_type, struct span body,
	int64_t length, bool last)
{
	struct protocol_pair pairs[MORTISE_HTTP_HEADERS_MAX + 1];
	struct data_response response = {
		.status = (uint32_t)status, .length = length, .headers = { pairs, 0 }, .body = body
	};
	const char *at;

	if (content_type.len)
		append_header(r, SPAN("content-type"), content_type);
	at = r->headers.data;
	for (uint32_t i = 0; i < r->header_count; i++) {
		pairs[i].key = (struct span){ at, r->sizes[i].name };
		pairs[i].value = (struct span){ at + r->sizes[i].name, r->sizes[i].value };
		at += r->sizes[i].name + r->sizes[i].value;
	}
	response.headers.count = r->header_count;
	r->in_flight += (uint32_t)body.len;
	if (r->peer->channel)
		(void)protocol_send(r->peer->channel, PROTOCOL_DATA_RESPONSE, r->wire_id, &response,
			last ? PROTOCOL_LAST : 0, -1);
}

/* ---- what the plugin may call ---- */

/* The request of this id in a call that may be made now; else NULL with *rc. */
static struct request *request_at_home(
	struct mortise_host *handle, const char *function, mortise_id id, int32_t *rc)
{
	struct host *h = host_at_home(handle, function, STATES_STARTED, rc);
	struct request *r = h ? find(h, id) : NULL;

	if (h && !r)
		*rc = MORTISE_E_STALE;
	return r;
}

static int32_t http_bind(struct mortise_host *handle, struct mortise_str route, uint32_t tag)
{
	int32_t rc;
	struct host *h = host_at_home(handle, "http.bind", STATES_STARTING, &rc);

	if (!h)
		return rc;
	if (!str_valid(route))
		return MORTISE_E_INVALID;
	if (!h->serve)
		return MORTISE_E_STATE;
	for (uint32_t i = 0; i < h->start.routes.count; i++) {
		if (!span_equal(h->routes[i].name, span_from(route)))
			continue;
		if (h->routes[i].bound)
			return MORTISE_E_CONFLICT;
		h->routes[i].bound = true;
		h->routes[i].tag = tag;
		return 0;
	}
	return MORTISE_E_NOT_FOUND;
}

static int32_t http_attach(struct mortise_host *handle, mortise_id request, void *user)
{
	int32_t rc;
	struct request *r = request_at_home(handle, "http.attach", request, &rc);

	if (r)
		r->attached = user;
	return rc;
}

/* Copy into memory that lives as long as the promise: until the callback returns. */
static struct mortise_str keep(struct host *h, struct span s)
{
	char *copy = host_scratch(h, s.len + 1);

	if (s.len)
		memcpy(copy, s.data, s.len);
	copy[s.len] = '\0';
	return mortise_str_of(copy, s.len);
}

static int32_t http_header(struct mortise_host *handle, mortise_id request, struct mortise_str name,
	struct mortise_str *out)
{
	int32_t rc;
	struct request *r = request_at_home(handle, "http.header", request, &rc);
	struct text joined;
	uint32_t found = 0;

	if (!r)
		return rc;
	if (!str_valid(name) || !out)
		return MORTISE_E_INVALID;
	text_init(&joined);
	for (uint32_t i = 0; i < r->head.headers.count; i++) {
		const struct protocol_pair *pair = &r->head.headers.items[i];

		if (!span_equal_nocase(pair->key, span_from(name)))
			continue;
		if (found++)
			text_append_string(&joined, ", ");
		text_append_span(&joined, pair->value);
	}
	if (found)
		*out = keep(r->entry.host, text_span(&joined));
	text_done(&joined);
	return found ? 0 : MORTISE_E_NOT_FOUND;
}

static int32_t http_path_param(struct mortise_host *handle, mortise_id request,
	struct mortise_str name, struct mortise_str *out)
{
	int32_t rc;
	struct request *r = request_at_home(handle, "http.path_param", request, &rc);

	if (!r)
		return rc;
	if (!str_valid(name) || !out)
		return MORTISE_E_INVALID;
	for (uint32_t i = 0; i < r->head.params.count; i++) {
		if (!span_equal(r->head.params.items[i].key, span_from(name)))
			continue;
		*out = keep(r->entry.host, r->head.params.items[i].value);
		return 0;
	}
	return MORTISE_E_NOT_FOUND;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decoding with '+' as space; false on a bad escape. */
static bool decode_query(struct span in, struct text *out)
{
	for (size_t i = 0; i < in.len; i++) {
		int high, low;

		if (in.data[i] != '%') {
			text_append_char(out, in.data[i] == '+' ? ' ' : in.data[i]);
			continue;
		}
		if (i + 2 >= in.len)
			return false;
		high = hex_digit(in.data[i + 1]);
		low = hex_digit(in.data[i + 2]);
		if (high < 0 || low < 0)
			return false;
		text_append_char(out, (char)(high << 4 | low));
		i += 2;
	}
	return true;
}

/* *value: still encoded. A name with a bad escape is no name anybody asks for. */
static bool find_query_param(struct span query, struct span name, struct span *value)
{
	struct span rest = query, part;
	struct text key;
	bool found = false;

	text_init(&key);
	while (!found && span_split(&rest, '&', &part)) {
		struct span raw;

		text_clear(&key);
		*value = part;
		(void)span_split(value, '=', &raw);
		found = decode_query(raw, &key) && span_equal(text_span(&key), name);
	}
	text_done(&key);
	return found;
}

static int32_t http_query_param(struct mortise_host *handle, mortise_id request,
	struct mortise_str name, struct mortise_str *out)
{
	int32_t rc;
	struct request *r = request_at_home(handle, "http.query_param", request, &rc);
	struct span value;
	struct text decoded;

	if (!r)
		return rc;
	if (!str_valid(name) || name.size == 0 || !out)
		return MORTISE_E_INVALID;
	if (!find_query_param(r->head.query, span_from(name), &value))
		return MORTISE_E_NOT_FOUND;
	text_init(&decoded);
	if (!decode_query(value, &decoded) || !utf8_valid(text_span(&decoded)))
		rc = MORTISE_E_FORMAT;
	else
		*out = keep(r->entry.host, text_span(&decoded));
	text_done(&decoded);
	return rc;
}

static int32_t http_consume(struct mortise_host *handle, mortise_id request, uint64_t n)
{
	int32_t rc;
	struct request *r = request_at_home(handle, "http.consume", request, &rc);

	if (!r)
		return rc;
	if (n > r->given)
		return MORTISE_E_INVALID;
	r->given -= (uint32_t)n;
	r->owed += (uint32_t)n;
	return_credit(r);
	return 0;
}

/* RFC 9110: a token, and a value of visible characters, spaces and tabs. */
static bool token_valid(struct mortise_str s)
{
	if (!str_valid(s) || s.size == 0)
		return false;
	for (uint64_t i = 0; i < s.size; i++) {
		char c = s.data[i];

		if (!(c >= '0' && c <= '9') && !((c | 0x20) >= 'a' && (c | 0x20) <= 'z') &&
			(c == '\0' || !strchr("!#$%&'*+-.^_`|~", c)))
			return false;
	}
	return true;
}

static bool value_valid(struct mortise_str s)
{
	if (!str_valid(s))
		return false;
	for (uint64_t i = 0; i < s.size; i++) {
		unsigned char c = (unsigned char)s.data[i];

		if ((c < ' ' && c != '\t') || c == 0x7f)
			return false;
	}
	return s.size == 0 || (s.data[0] != ' ' && s.data[0] != '\t' && s.data[s.size - 1] != ' ' &&
				      s.data[s.size - 1] != '\t');
}

static bool is_hosts(struct mortise_str name)
{
	static const char *const names[] = { "connection", "content-length", "content-type", "date",
		"keep-alive", "server", "te", "trailer", "transfer-encoding", "upgrade" };

	for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
		if (span_equal_nocase(span_from(name), span_of(names[i])))
			return true;
	return false;
}

static int32_t http_add_header(struct mortise_host *handle, mortise_id request,
	struct mortise_str name, struct mortise_str value)
{
	int32_t rc;
	struct request *r = request_at_home(handle, "http.add_header", request, &rc);

	if (!r)
		return rc;
	if (!token_valid(name) || !value_valid(value) || is_hosts(name))
		return MORTISE_E_INVALID;
	if (r->answer != ANSWER_NONE)
		return MORTISE_E_STATE;
	if (r->header_count >= MORTISE_HTTP_HEADERS_MAX ||
		name.size + value.size > HEADERS_BYTES_MAX - r->headers.len)
		return MORTISE_E_LIMIT;
	append_header(r, span_from(name), span_from(value));
	return 0;
}

static int32_t check_head(const struct request *r, int32_t status, struct mortise_str content_type)
{
	if (status < 200 || status > 599 || !value_valid(content_type) || content_type.size > 1024)
		return MORTISE_E_INVALID;
	return r->answer == ANSWER_NONE ? 0 : MORTISE_E_STATE;
}

static int32_t http_reply(struct mortise_host *handle, mortise_id request, int32_t status,
	struct mortise_str content_type, struct mortise_str body)
{
	int32_t rc;
	struct request *r = request_at_home(handle, "http.reply", request, &rc);
	struct span first = span_from(body);

	if (!r)
		return rc;
	rc = check_head(r, status, content_type);
	if (rc != 0)
		return rc;
	if (!str_valid(body))
		return MORTISE_E_INVALID;
	if (body.size > MORTISE_HTTP_REPLY_MAX)
		return MORTISE_E_TOO_LARGE;
	end_for_plugin(r);
	r->answer = ANSWER_ENDED;
	if (first.len > PROTOCOL_CHUNK_MAX)
		first.len = PROTOCOL_CHUNK_MAX;
	/* A channel that is full gets the head alone: small, and one for each request. */
	if (r->peer->channel && !channel_writable(r->peer->channel))
		first.len = 0;
	send_head(r, status, span_from(content_type), first, (int64_t)body.size,
		first.len == body.size);
	if (body.size > first.len)
		text_append(&r->rest, body.data + first.len, body.size - first.len);
	pump(r);
	return 0;
}

static int32_t http_begin(struct mortise_host *handle, mortise_id request, int32_t status,
	struct mortise_str content_type)
{
	int32_t rc;
	struct request *r = request_at_home(handle, "http.begin", request, &rc);

	if (!r)
		return rc;
	rc = check_head(r, status, content_type);
	if (rc != 0)
		return rc;
	r->answer = ANSWER_BEGUN;
	send_head(r, status, span_from(content_type), SPAN(""), -1, false);
	return 0;
}

static int32_t http_write(struct mortise_host *handle, mortise_id request, struct mortise_str piece)
{
	int32_t rc;
	struct request *r = request_at_home(handle, "http.write", request, &rc);

	if (!r)
		return rc;
	if (!str_valid(piece))
		return MORTISE_E_INVALID;
	if (r->answer != ANSWER_BEGUN)
		return MORTISE_E_STATE;
	if (piece.size > WINDOW)
		return MORTISE_E_TOO_LARGE;
	if (piece.size == 0)
		return 0;
	if (piece.size > window_left(r) || !channel_room(r)) {
		r->refused = piece.size;
		return MORTISE_E_AGAIN;
	}
	send_body(r, span_from(piece), false);
	return 0;
}

static int32_t http_end(struct mortise_host *handle, mortise_id request)
{
	int32_t rc;
	struct request *r = request_at_home(handle, "http.end", request, &rc);

	if (!r)
		return rc;
	if (r->answer != ANSWER_BEGUN)
		return MORTISE_E_STATE;
	send_body(r, SPAN(""), true);
	end_for_plugin(r);
	release(r);
	return 0;
}

static int32_t http_abort(struct mortise_host *handle, mortise_id request)
{
	int32_t rc;
	struct request *r = request_at_home(handle, "http.abort", request, &rc);

	if (!r)
		return rc;
	send_failed(r->peer, r->wire_id, ERR_INTERNAL, "the plugin gave up");
	end_for_plugin(r);
	release(r);
	return 0;
}

bool http_cause(struct host *h, uint64_t id, struct cause *out)
{
	const struct request *r = find(h, id);

	if (r)
		*out = (struct cause){ r->peer, r->wire_id, r->head.deadline_ns };
	return r != NULL;
}

const struct mortise_http_1 host_http_1 = {
	.bind = http_bind,
	.attach = http_attach,
	.header = http_header,
	.path_param = http_path_param,
	.query_param = http_query_param,
	.consume = http_consume,
	.add_header = http_add_header,
	.reply = http_reply,
	.begin = http_begin,
	.write = http_write,
	.end = http_end,
	.abort = http_abort,
};
