/* A call comes from one worker and is answered once, by CALL_RESULT, unless that worker is gone;
 * or it comes from the host itself and is answered by a callback.
 * It is served by api (the host's extensions) or by another worker (ON_CALL). Whoever serves it
 * may still be at work when the call was answered because of its deadline; so a call is freed when
 * it was answered, nobody serves it any more and its timer is closed.
 *
 * Whose call: one with a parent has the parent's subject, trace and deadline (of a request, or of
 * the call that the worker itself serves); one without runs as the plugin's own account, whose
 * rights are the plugin's permissions. The host has no subject to lend: what a provider asks for
 * the sake of a call of the host, it asks as its own account. */
#include <stdio.h>
#include <uv.h>

#include "api/ext.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "front/link_priv.h"
#include "front/table.h"
#include "identity/authority.h"
#include "identity/principal.h"

#define CALL_MAGIC      0x43414c4cu
#define DEPTH_MAX       8u
#define DEADLINE_MAX_MS 300000u

struct call {
	uint32_t magic;
	struct front *front;
	struct link *caller; /* NULL: gone, or answered; or it is the host's own: */
	api_call_cb done;    /* then this, NULL once it was answered */
	void *user;
	uint64_t id;
	size_t size; /* of json and bytes, as charged to the caller */
	struct principal *who;
	unsigned depth;
	uint64_t deadline_ns;
	char trace[FRONT_REQUEST_ID_SIZE];
	bool mutating;         /* as far as a schema of ours says */
	bool at_work;          /* api or authority will call back */
	struct ext_work *work; /* of api's; NULL: none */
	struct link *server;   /* the worker that serves it; NULL: none */
	uint64_t served_id;
	size_t served_size;
	struct data_call message; /* a copy, while the subject is being found out */
	char *provider;           /* installation that a call of the host goes to, once known */
	struct text copied;
	uv_timer_t timer;
	bool timer_closed;
};

static void on_timer_closed(uv_handle_t *handle);

static void free_if_over(struct call *call)
{
	if (call->caller || call->done || call->at_work || call->server)
		return;
	if (!call->timer_closed) {
		if (!uv_is_closing((uv_handle_t *)&call->timer))
			uv_close((uv_handle_t *)&call->timer, on_timer_closed);
		return;
	}
	principal_unref(call->who);
	/* What the host has to say to a person may be a code. */
	mem_wipe(call->copied.data, call->copied.len);
	text_done(&call->copied);
	mem_free(call->provider);
	call->magic = 0;
	mem_free(call);
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct call *call = handle->data;

	call->timer_closed = true;
	free_if_over(call);
}

/* The caller owes us nothing for it any more. */
static void leave_caller(struct call *call)
{
	struct link *link = call->caller;

	if (!link)
		return;
	call->caller = NULL;
	(void)map_remove_u64(&link->calls, call->id);
	link->calls_out--;
	link->calls_bytes -= call->size;
	link_less(link);
}

static void leave_server(struct call *call)
{
	struct link *link = call->server;

	if (!link)
		return;
	call->server = NULL;
	(void)slots_remove(&link->ids, call->served_id);
	link->served_out--;
	link->served_bytes -= call->served_size;
	link_less(link);
}

static void answer_host(struct call *call, int rc, struct span text, struct span json)
{
	api_call_cb done = call->done;
	struct error err = { 0 };

	call->done = NULL;
	if (rc < 0)
		(void)error_set(&err, rc, "%.*s", SPAN_ARG(text));
	done(call->user, rc < 0 ? &err : NULL, json);
}

static void answer(struct call *call, int rc, struct span text, struct span json, struct span bytes)
{
	struct data_call_result result = { .rc = rc, .text = text };

	if (call->done)
		answer_host(call, rc, text, json);
	if (!call->caller)
		return;
	if (rc == 0 && (json.len > PROTOCOL_JSON_MAX || bytes.len > PROTOCOL_BYTES_MAX)) {
		result.rc = ERR_TOO_LARGE;
		result.text = SPAN("the result is longer than a call may carry");
	} else if (rc == 0) {
		result.json = json;
		result.bytes = bytes;
	}
	(void)send_data_call_result(call->caller->channel, call->id, &result);
	leave_caller(call);
}

static void answer_error(struct call *call, const struct error *err)
{
	answer(call, err->code, span_of(err->text), SPAN_NONE, SPAN_NONE);
}

static void tell_server_gone(struct call *call, int rc)
{
	struct data_gone gone = { .rc = rc };

	if (call->server && call->server->channel)
		(void)send_data_gone(call->server->channel, call->served_id, &gone);
}

static void on_deadline(uv_timer_t *timer)
{
	struct call *call = timer->data;
	bool begun = call->at_work || call->server;
	struct error err;

	ASSERT(call->magic == CALL_MAGIC);
	tell_server_gone(call, ERR_DEADLINE);
	leave_server(call);
	if (call->work)
		ext_call_cancel(call->work);
	if (begun && call->mutating)
		(void)error_set(
			&err, ERR_UNKNOWN, "the deadline passed while it may have been done");
	else
		(void)error_set(&err, ERR_DEADLINE, "the call's deadline passed");
	answer_error(call, &err);
	free_if_over(call);
}

/* ---- served by api -----------------------------------------------------------------------------
 */

static void on_done(void *user, int rc, struct span text, struct span json, struct span bytes)
{
	struct call *call = user;

	ASSERT(call->magic == CALL_MAGIC);
	call->at_work = false;
	call->work = NULL;
	answer(call, rc, text, json, bytes);
	free_if_over(call);
}

static struct ext_call describe(const struct call *call, const struct data_call *message)
{
	return (struct ext_call){
		.extension = message->extension,
		.method = message->method,
		.json = message->json,
		.bytes = message->bytes,
		.operation_key = message->operation_key,
		.who = call->who,
		.installation = call->caller ? span_of(call->caller->installation) : SPAN_NONE,
		.permissions = call->caller ? call->caller->permissions : NULL,
		.request_id = span_of(call->trace),
		.deadline_ns = call->deadline_ns,
	};
}

static int start_ours(struct call *call, const struct data_call *message, struct error *err)
{
	struct ext_call ext = describe(call, message);
	int rc = ext_call_start(call->front->api, &ext, on_done, call, &call->work, err);

	call->at_work = rc == 0;
	call->mutating = ext_is_mutating(message->extension, message->method);
	return rc;
}

/* ---- served by another worker ------------------------------------------------------------------
 */

/* *out is the open link of the provider. missing is the error where there is none. */
static int find_provider(struct front *front, struct span extension, int missing, struct link **out,
	struct error *err)
{
	const struct table_worker *worker =
		front->table ? table_provider(front->table, extension) : NULL;

	if (!worker)
		return error_set(
			err, missing, "no plugin provides '%.*s' here", SPAN_ARG(extension));
	if (!link_find(worker))
		return error_set(err, ERR_UNAVAIL,
			"plugin '%s', which provides '%.*s', is not running", worker->plugin,
			SPAN_ARG(extension));
	*out = link_find(worker);
	return 0;
}

static int start_theirs(
	struct call *call, struct link *link, const struct data_call *message, struct error *err)
{
	struct data_on_call on_call = {
		.extension = message->extension,
		.method = message->method,
		.json = message->json,
		.bytes = message->bytes,
		.caller = call->caller ? span_of(call->caller->plugin) : SPAN(""),
		.operation_key = message->operation_key,
		.deadline_ns = call->deadline_ns,
		.trace = span_of(call->trace),
	};

	if (ext_is_lent(message->extension)) {
		struct ext_call ext = describe(call, message);
		int rc = ext_check_lent(&ext, err);

		if (rc < 0)
			return rc;
		call->mutating = ext_is_mutating(message->extension, message->method);
	}
	if (link->served_out >= PROTOCOL_CALLS ||
		link->served_bytes + call->size > PROTOCOL_CALL_WINDOW)
		return error_set(
			err, ERR_LIMIT, "plugin '%s' has too many calls to serve", link->plugin);
	call->server = link;
	call->served_size = call->size;
	call->served_id = slots_add(&link->ids, call, LINK_ON_CALL);
	link->served_out++;
	link->served_bytes += call->size;
	(void)send_data_on_call(link->channel, call->served_id, &on_call);
	return 0;
}

void call_served(struct call *call, const struct data_on_call_result *message)
{
	struct error err;

	ASSERT(call->magic == CALL_MAGIC);
	leave_server(call);
	if (!message) {
		(void)error_set(&err, ERR_UNKNOWN, "the plugin that served the call ended");
		answer_error(call, &err);
	} else if (message->rc == 0) {
		answer(call, 0, SPAN_NONE, message->json, message->bytes);
	} else {
		/* A plugin says only what the ABI knows; anything else is its own defect. */
		int rc = message->rc <= ERR_INVALID && message->rc >= ERR_FORMAT ? message->rc
										 : ERR_INTERNAL;

		answer(call, rc, message->text, SPAN_NONE, SPAN_NONE);
	}
	free_if_over(call);
}

/* ---- begin and end -----------------------------------------------------------------------------
 */

static void dispatch(struct call *call, const struct data_call *message)
{
	struct link *link;
	struct error err;
	int rc;

	if (ext_is_ours(message->extension)) {
		rc = start_ours(call, message, &err);
	} else {
		rc = find_provider(call->front, message->extension, ERR_UNSUPPORTED, &link, &err);
		if (rc == 0)
			rc = start_theirs(call, link, message, &err);
	}
	if (rc < 0)
		answer_error(call, &err);
	free_if_over(call);
}

static struct span keep(struct text *copied, struct span s)
{
	struct span kept = { (const char *)copied->len, s.len };

	text_append_span(copied, s);
	return kept;
}

/* message's spans end with the message: copy them while the account is asked for. */
static void keep_message(struct call *call, const struct data_call *message)
{
	struct span *spans[] = { &call->message.extension, &call->message.method,
		&call->message.json, &call->message.bytes, &call->message.operation_key };

	call->message = *message;
	for (size_t i = 0; i < ARRAY_LENGTH(spans); i++)
		*spans[i] = keep(&call->copied, *spans[i]);
	for (size_t i = 0; i < ARRAY_LENGTH(spans); i++)
		spans[i]->data = call->copied.data + (uintptr_t)spans[i]->data;
}

static void on_account(void *user, int rc, struct principal *account, const struct error *err)
{
	struct call *call = user;

	ASSERT(call->magic == CALL_MAGIC);
	call->at_work = false;
	if (!call->caller) {
		free_if_over(call);
		return;
	}
	if (rc < 0) {
		answer_error(call, err);
		free_if_over(call);
		return;
	}
	if (!call->caller->account)
		call->caller->account = principal_ref(account);
	call->who = principal_ref(account);
	dispatch(call, &call->message);
}

static void start_background(struct call *call, const struct data_call *message)
{
	if (call->caller->account) {
		call->who = principal_ref(call->caller->account);
		dispatch(call, message);
		return;
	}
	keep_message(call, message);
	call->at_work = true;
	authority_account(call->front->authority, span_of(call->caller->installation),
		call->caller->permissions, on_account, call);
}

/* Subject, trace, depth and deadline from what the call is made for. */
static int inherit(struct call *call, uint64_t parent, struct error *err)
{
	const struct slots *ids = &call->caller->ids;
	const struct forward *request = slots_get(ids, parent, LINK_REQUEST);
	const struct call *above = slots_get(ids, parent, LINK_ON_CALL);
	uint64_t deadline_ns;

	if (!request && !above)
		return error_set(err, ERR_STALE, "what the call is made for is over");
	call->who = principal_ref(request ? forward_who(request) : above->who);
	call->depth = request ? 1 : above->depth + 1;
	deadline_ns = request ? forward_deadline_ns(request) : above->deadline_ns;
	if (deadline_ns < call->deadline_ns)
		call->deadline_ns = deadline_ns;
	(void)snprintf(call->trace, sizeof(call->trace), "%s",
		request ? forward_request_id(request) : above->trace);
	if (call->depth > DEPTH_MAX)
		return error_set(
			err, ERR_LIMIT, "calls within calls are more than %u deep", DEPTH_MAX);
	return 0;
}

static void start_timer(struct call *call)
{
	uint64_t now = clock_ns(), ms;

	if (call->deadline_ns > now + DEADLINE_MAX_MS * CLOCK_NS_PER_MS)
		call->deadline_ns = now + DEADLINE_MAX_MS * CLOCK_NS_PER_MS;
	ms = call->deadline_ns > now ? (call->deadline_ns - now) / CLOCK_NS_PER_MS : 0;
	(void)uv_timer_start(&call->timer, on_deadline, ms, 0);
}

void call_start(struct link *link, uint64_t id, const struct data_call *message)
{
	struct call *call = mem_zalloc(sizeof(*call));
	struct error err;
	int rc = 0;

	call->magic = CALL_MAGIC;
	call->front = link->front;
	call->caller = link;
	call->id = id;
	call->size = message->json.len + message->bytes.len;
	call->depth = 1;
	call->deadline_ns = message->deadline_ns;
	text_init(&call->copied);
	(void)uv_timer_init(link->front->loop, &call->timer);
	call->timer.data = call;
	(void)map_put_u64(&link->calls, id, call);
	link->calls_out++;
	link->calls_bytes += call->size;

	if (!link->permissions) /* no table has said yet what it may do */
		rc = error_set(&err, ERR_UNAVAIL, "the plugin is not serving yet");
	else if (message->parent)
		rc = inherit(call, message->parent, &err);
	if (rc < 0) {
		answer_error(call, &err);
		free_if_over(call);
		return;
	}
	start_timer(call);
	if (message->parent)
		dispatch(call, message);
	else
		start_background(call, message);
}

/* ---- calls of the host itself ------------------------------------------------------------------
 */

static void begin_own(struct call *call);

static void on_provider_account(
	void *user, int rc, struct principal *account, const struct error *err)
{
	struct call *call = user;

	ASSERT(call->magic == CALL_MAGIC);
	call->at_work = false;
	if (call->done && rc < 0)
		answer_error(call, err);
	if (!call->done) {
		free_if_over(call);
		return;
	}
	call->who = principal_ref(account);
	begin_own(call);
}

/* Once to ask for the account of the provider, and once more with it: the provider may be another
 * by then, or gone. */
static void begin_own(struct call *call)
{
	const struct data_call *message = &call->message;
	struct link *link = NULL;
	struct error err;
	int rc = find_provider(call->front, message->extension, ERR_NOT_FOUND, &link, &err);

	if (rc == 0 && !call->who) {
		call->provider = mem_strdup(link->installation);
		call->at_work = true;
		authority_account(call->front->authority, span_of(link->installation),
			link->permissions, on_provider_account, call);
		return;
	}
	if (rc == 0 && strcmp(call->provider, link->installation) != 0)
		rc = error_set(&err, ERR_UNAVAIL, "another plugin provides '%.*s' now",
			SPAN_ARG(message->extension));
	if (rc == 0)
		rc = start_theirs(call, link, message, &err);
	if (rc < 0)
		answer_error(call, &err);
	free_if_over(call);
}

static void on_begin_own(uv_timer_t *timer)
{
	struct call *call = timer->data;

	start_timer(call);
	begin_own(call);
}

void call_start_own(struct front *front, const struct data_call *message, uint32_t timeout_ms,
	api_call_cb done, void *user)
{
	struct call *call = mem_zalloc(sizeof(*call));

	call->magic = CALL_MAGIC;
	call->front = front;
	call->done = done;
	call->user = user;
	call->size = message->json.len;
	call->deadline_ns = clock_ns() + timeout_ms * CLOCK_NS_PER_MS;
	text_init(&call->copied);
	keep_message(call, message);
	(void)uv_timer_init(front->loop, &call->timer);
	call->timer.data = call;
	(void)uv_timer_start(&call->timer, on_begin_own, 0, 0); /* done comes later, never now */
}

void call_cancel(struct call *call)
{
	struct error err;

	/* What api does may be done by now: its result is the answer. */
	if (call->work)
		ext_call_cancel(call->work);
	if (!call->server)
		return;
	tell_server_gone(call, ERR_CANCELLED);
	leave_server(call);
	(void)error_set(&err, ERR_CANCELLED, "the call was cancelled");
	answer_error(call, &err);
	free_if_over(call);
}

void call_caller_lost(struct call *call)
{
	tell_server_gone(call, ERR_UNAVAIL);
	if (call->work)
		ext_call_cancel(call->work);
	leave_server(call);
	leave_caller(call);
	free_if_over(call);
}
