/* An outgoing call has two lives like a request: for the plugin until its done ran, on the wire
 * until its result came. A call whose deadline passed here is done for the plugin, and keeps its
 * place in the credits until the front answers, which it does exactly once.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "host/host_priv.h"

#define NAME_MAX_BYTES 64 /* of an extension and of a method */
_Static_assert(PROTOCOL_JSON_MAX == MORTISE_CALL_JSON_MAX, "what call.h promises");
_Static_assert(PROTOCOL_BYTES_MAX == MORTISE_CALL_BYTES_MAX, "what call.h promises");

struct call {
	struct entry entry;
	struct peer *peer; /* NULL: it has no front (any more) */
	uint64_t wire_id;
	size_t size; /* charged to the peer's window */
	struct due due;
	int32_t local; /* what done says when due */
	char *name;
	mortise_id cause; /* as the plugin gave it; told with the result, stale or not */
	mortise_call_done_cb done;
	void *user;
};

struct incoming {
	struct entry entry;
	struct peer *peer;
	uint64_t wire_id;
	size_t size;
	uint64_t deadline_ns;
	char *name;
	char trace[BLACK_BOX_TRACE_MAX];
};

/* ---- outgoing ---- */

static void release_call(struct call *c)
{
	struct host *h = c->entry.host;

	due_cancel(h, &c->due);
	ledger_remove(&c->entry);
	if (c->peer) {
		(void)map_remove_u64(&c->peer->calls, c->wire_id);
		c->peer->call_bytes -= c->size;
	}
	mem_free(c->name);
	mem_free(c);
}

/* Tell the plugin, once. */
static void tell_done(struct call *c, int32_t rc, struct mortise_call_result_1 *result)
{
	struct host *h = c->entry.host;

	if (!c->entry.id)
		return;
	result->cause = c->cause;
	due_cancel(h, &c->due);
	ledger_remove(&c->entry);
	if (!h->self)
		return;
	host_enter(h, "call.done", NULL);
	c->done(h->self, c->user, rc, result);
	host_leave(h);
	host_settle(h);
}

static void tell_failed(struct call *c, int32_t rc, const char *text)
{
	struct mortise_call_result_1 result = { .text = mortise_str_from(text) };

	tell_done(c, rc, &result);
}

/* The front answers all the same, with CANCELLED or the outcome that was faster. */
static void ask_cancel(struct call *c)
{
	if (c->peer && c->peer->channel)
		(void)protocol_send_signal(c->peer->channel, PROTOCOL_DATA_CALL_CANCEL, c->wire_id);
}

static void on_due(struct due *due)
{
	struct call *c = CONTAINER_OF(due, struct call, due);

	if (!c->peer) {
		tell_failed(c, c->local, "no front is connected");
		release_call(c);
		return;
	}
	ask_cancel(c);
	tell_failed(c, MORTISE_E_DEADLINE, "the call was not answered in time");
}

static bool key_valid(struct mortise_str key)
{
	if (!str_valid(key) || key.size > MORTISE_CALL_KEY_MAX)
		return false;
	for (uint64_t i = 0; i < key.size; i++) {
		char c = key.data[i];

		if (!(c >= '0' && c <= '9') && !((c | 0x20) >= 'a' && (c | 0x20) <= 'z') &&
			(c == '\0' || !strchr("._:-", c)))
			return false;
	}
	return true;
}

static bool name_valid(struct mortise_str name)
{
	return str_valid(name) && name.size > 0 && name.size <= NAME_MAX_BYTES;
}

static int32_t check_args(const struct mortise_call_args_1 *args)
{
	if (!args || !name_valid(args->extension) || !name_valid(args->method) ||
		!str_valid(args->json) || !str_valid(args->bytes) ||
		!key_valid(args->operation_key) || args->reserved != 0)
		return MORTISE_E_INVALID;
	if (args->json.size > MORTISE_CALL_JSON_MAX || args->bytes.size > MORTISE_CALL_BYTES_MAX)
		return MORTISE_E_TOO_LARGE;
	return 0;
}

/* Who carries it, and until when. */
static int32_t find_way(struct host *h, const struct mortise_call_args_1 *args, struct cause *cause)
{
	const struct incoming *in = ledger_find(h, args->cause, ENTRY_INCOMING);
	uint32_t timeout_ms = args->timeout_ms ? args->timeout_ms : MORTISE_CALL_TIMEOUT_MS;
	uint64_t latest = clock_ns() + timeout_ms * CLOCK_NS_PER_MS;

	*cause = (struct cause){ 0 };
	if (in)
		*cause = (struct cause){ in->peer, in->wire_id, in->deadline_ns };
	else if (args->cause && !http_cause(h, args->cause, cause))
		return MORTISE_E_STALE;
	else if (!args->cause)
		cause->peer = peer_primary(h);
	if (cause->peer && !cause->peer->channel)
		cause->peer = NULL;
	if (cause->deadline_ns == 0 || cause->deadline_ns > latest)
		cause->deadline_ns = latest;
	return 0;
}

static void send_call(
	struct call *c, const struct mortise_call_args_1 *args, const struct cause *cause)
{
	struct data_call message = {
		.parent = cause->wire_id,
		.extension = span_from(args->extension),
		.method = span_from(args->method),
		.json = args->json.size ? span_from(args->json) : SPAN("{}"),
		.bytes = span_from(args->bytes),
		.operation_key = span_from(args->operation_key),
		.deadline_ns = cause->deadline_ns,
	};
	struct peer *p = cause->peer;

	c->peer = p;
	c->wire_id = ++p->next_call;
	c->size = args->json.size + args->bytes.size;
	p->call_bytes += c->size;
	(void)map_put_u64(&p->calls, c->wire_id, c);
	(void)send_data_call(p->channel, c->wire_id, &message);
}

static int32_t call_call(struct mortise_host *handle, const struct mortise_call_args_1 *args,
	mortise_call_done_cb done, void *user, mortise_id *operation)
{
	int32_t rc;
	struct host *h = host_at_home(handle, "call.call", STATES_REGISTER & STATES_STARTED, &rc);
	struct cause cause;
	struct call *c;

	if (!h)
		return rc;
	rc = done ? check_args(args) : MORTISE_E_INVALID;
	if (rc == 0)
		rc = find_way(h, args, &cause);
	if (rc != 0)
		return rc;
	if (cause.peer && (cause.peer->calls.count >= PROTOCOL_CALLS ||
				  cause.peer->call_bytes + args->json.size + args->bytes.size >
					  PROTOCOL_CALL_WINDOW))
		return MORTISE_E_AGAIN;
	if (h->ledger.counts[ENTRY_CALL] >= PROTOCOL_CALLS * PROTOCOL_CALLS)
		return MORTISE_E_AGAIN;
	c = mem_zalloc(sizeof(*c));
	c->due.fire = on_due;
	c->cause = args->cause;
	c->done = done;
	c->user = user;
	c->name = mem_printf("%.*s %.*s", SPAN_ARG(span_from(args->extension)),
		SPAN_ARG(span_from(args->method)));
	ledger_add(h, &c->entry, ENTRY_CALL);
	if (cause.peer) {
		send_call(c, args, &cause);
		due_set(h, &c->due, cause.deadline_ns);
	} else {
		c->local = MORTISE_E_UNAVAIL;
		due_set(h, &c->due, 0);
	}
	if (operation)
		*operation = c->entry.id;
	return 0;
}

int32_t call_cancel(struct host *h, mortise_id operation)
{
	struct call *c = ledger_find(h, operation, ENTRY_CALL);

	if (!c)
		return MORTISE_E_STALE;
	ask_cancel(c);
	if (!c->peer)
		c->local = MORTISE_E_CANCELLED;
	return 0;
}

void call_on_result(struct peer *p, const struct channel_message *m)
{
	struct call *c = map_get_u64(&p->calls, m->id);
	struct mortise_call_result_1 result = { 0 };
	struct data_call_result message;

	if (!c || decode_data_call_result(&message, m->payload, &p->host->memory, NULL) < 0) {
		peer_break(p, c ? "malformed result" : "a result for no call");
		return;
	}
	if (message.rc > 0)
		message.rc = MORTISE_E_INTERNAL;
	if (message.rc == 0) {
		result.json = str_of(message.json);
		result.bytes = str_of(message.bytes);
	} else {
		result.text = str_of(message.text);
	}
	tell_done(c, message.rc, &result);
	release_call(c);
}

static void lose_call(struct call *c)
{
	struct peer *p = c->peer;

	(void)map_remove_u64(&p->calls, c->wire_id);
	c->peer = NULL;
	tell_failed(c, MORTISE_E_UNKNOWN, "the front that carried the call is gone");
	release_call(c);
}

void call_undo(struct entry *entry)
{
	struct call *c = CONTAINER_OF(entry, struct call, entry);

	ask_cancel(c);
	tell_failed(c, MORTISE_E_CANCELLED, "the plugin is stopping");
	/* With a front it stays until the result comes or the front goes. */
	if (!c->peer)
		release_call(c);
}

void call_describe(const struct entry *entry, struct text *out)
{
	text_append_string(out, CONTAINER_OF(entry, struct call, entry)->name);
}

/* ---- incoming ---- */

static void release_incoming(struct incoming *in)
{
	struct host *h = in->entry.host;

	ledger_remove(&in->entry);
	(void)map_remove_u64(&in->peer->incoming, in->wire_id);
	in->peer->incoming_bytes -= in->size;
	mem_free(in->name);
	mem_free(in);
	host_settle(h);
}

static void refuse(struct peer *p, uint64_t wire_id, int32_t rc, const char *text)
{
	struct data_on_call_result result = { .rc = rc, .text = span_of(text) };

	if (p->channel)
		(void)send_data_on_call_result(p->channel, wire_id, &result);
}

static bool provides(const struct host *h, struct span extension)
{
	for (uint32_t i = 0; i < h->start.provides.count; i++)
		if (span_equal(h->start.provides.items[i], extension))
			return h->call_serve != NULL;
	return false;
}

static void give(struct incoming *in, const struct data_on_call *message)
{
	struct host *h = in->entry.host;
	struct mortise_call_incoming_1 incoming = {
		.extension = str_of(message->extension),
		.method = str_of(message->method),
		.json = str_of(message->json),
		.bytes = str_of(message->bytes),
		.operation_key = str_of(message->operation_key),
		.caller = str_of(message->caller),
		.deadline_ns = message->deadline_ns,
	};

	host_enter(h, "call.on_call", in->trace);
	h->call_serve->on_call(h->self, in->entry.id, &incoming);
	host_leave(h);
}

void call_on_incoming(struct peer *p, const struct channel_message *m)
{
	struct host *h = p->host;
	struct data_on_call message;
	struct incoming *in;
	size_t size;

	if (decode_data_on_call(&message, m->payload, &h->memory, NULL) < 0) {
		peer_break(p, "malformed call");
		return;
	}
	size = message.json.len + message.bytes.len;
	if (map_get_u64(&p->incoming, m->id) || p->incoming.count >= PROTOCOL_CALLS ||
		p->incoming_bytes + size > PROTOCOL_CALL_WINDOW) {
		peer_break(p, "a call id twice, or more calls than the credits allow");
		return;
	}
	if (h->state != HOST_SERVING || !provides(h, message.extension)) {
		refuse(p, m->id,
			h->state != HOST_SERVING ? MORTISE_E_UNAVAIL : MORTISE_E_UNSUPPORTED,
			"the plugin does not serve this extension now");
		return;
	}
	in = mem_zalloc(sizeof(*in));
	in->peer = p;
	in->wire_id = m->id;
	in->size = size;
	in->deadline_ns = message.deadline_ns;
	in->name = mem_printf("%.*s %.*s", SPAN_ARG(message.extension), SPAN_ARG(message.method));
	(void)snprintf(in->trace, sizeof(in->trace), "%.*s", SPAN_ARG(message.trace));
	p->incoming_bytes += size;
	(void)map_put_u64(&p->incoming, m->id, in);
	ledger_add(h, &in->entry, ENTRY_INCOMING);
	give(in, &message);
}

static int32_t call_answer(struct mortise_host *handle, mortise_id call, int32_t rc,
	const struct mortise_call_result_1 *result)
{
	static const struct mortise_call_result_1 empty;
	struct data_on_call_result message = { .rc = rc };
	int32_t refused;
	struct host *h = host_at_home(handle, "call.answer", STATES_STARTED, &refused);
	struct incoming *in = h ? ledger_find(h, call, ENTRY_INCOMING) : NULL;

	if (!h)
		return refused;
	if (!result)
		result = &empty;
	if (rc > 0 || !str_valid(result->json) || !str_valid(result->bytes) ||
		!str_valid(result->text))
		return MORTISE_E_INVALID;
	if (!in)
		return MORTISE_E_STALE;
	if (result->json.size > MORTISE_CALL_JSON_MAX ||
		result->bytes.size > MORTISE_CALL_BYTES_MAX)
		return MORTISE_E_TOO_LARGE;
	if (rc == 0) {
		message.json = result->json.size ? span_from(result->json) : SPAN("{}");
		message.bytes = span_from(result->bytes);
	} else {
		/* As much as every other error text of the host has. */
		message.text = span_from(result->text);
		if (message.text.len > ERROR_TEXT_MAX)
			message.text.len = ERROR_TEXT_MAX;
	}
	if (in->peer->channel)
		(void)send_data_on_call_result(in->peer->channel, in->wire_id, &message);
	release_incoming(in);
	return 0;
}

static void tell_gone(struct incoming *in, int32_t why)
{
	struct host *h = in->entry.host;
	uint64_t id = in->entry.id;

	ledger_remove(&in->entry);
	if (!h->call_serve->on_call_gone || !h->self)
		return;
	host_enter(h, "call.on_call_gone", in->trace);
	h->call_serve->on_call_gone(h->self, id, why);
	host_leave(h);
}

void incoming_undo(struct entry *entry, int32_t why)
{
	struct incoming *in = CONTAINER_OF(entry, struct incoming, entry);

	refuse(in->peer, in->wire_id, MORTISE_E_UNAVAIL, "the plugin stopped before it answered");
	tell_gone(in, why);
	release_incoming(in);
}

void incoming_describe(const struct entry *entry, struct text *out)
{
	text_append_string(out, CONTAINER_OF(entry, struct incoming, entry)->name);
}

bool call_on_gone(struct peer *p, uint64_t id, int32_t why)
{
	struct incoming *in = map_get_u64(&p->incoming, id);

	if (!in)
		return false;
	tell_gone(in, why);
	release_incoming(in);
	return true;
}

void call_on_peer_lost(struct peer *p)
{
	const struct map_entry *e;

	for (size_t at = 0; (e = map_next(&p->incoming, &at)); at = 0) {
		struct incoming *in = e->value;

		tell_gone(in, MORTISE_E_UNAVAIL);
		release_incoming(in);
	}
	for (size_t at = 0; (e = map_next(&p->calls, &at)); at = 0)
		lose_call(e->value);
}

const struct mortise_call_1 host_call_1 = { call_call, call_answer };
