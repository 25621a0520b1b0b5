/* A link lives from WORKER_CONNECT until a table that once listed its worker does not list it
 * any more, or, for a worker that never came into a table, until RETRIES_UNLISTED attempts in a
 * row have failed. What happens on its channel is handed to the forward or the call that it is
 * for; an id that names none is of something over, and passed over, as the protocol says. */
#include "front/link_priv.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "front/table.h"
#include "identity/principal.h"

#define RETRY_FIRST_MS   20u
#define RETRY_MAX_MS     1000u
#define RETRIES_UNLISTED 5u

static void connect_now(struct link *link);

static char *key_of(struct span installation, uint64_t generation)
{
	return mem_printf("%.*s/%llu", SPAN_ARG(installation), (unsigned long long)generation);
}

static void on_retry_closed(uv_handle_t *handle)
{
	struct link *link = handle->data;

	ASSERT(list_empty(&link->forwards) && link->calls.count == 0);
	slots_done(&link->ids);
	map_done(&link->calls);
	mem_free(link->key);
	mem_free(link->installation);
	mem_free(link->path);
	mem_free(link->plugin);
	mem_free(link->permissions);
	principal_unref(link->account);
	mem_free(link);
}

/* What calls of the worker need to know of it. */
static void remember(struct link *link, const struct table_worker *worker)
{
	if (!link->plugin)
		link->plugin = mem_strdup(worker->plugin);
	if (link->permissions && strcmp(link->permissions, worker->permissions) == 0)
		return;
	mem_free(link->permissions);
	link->permissions = mem_strdup(worker->permissions);
	principal_unref(link->account); /* it holds the permissions */
	link->account = NULL;
}

/* Let the present table find this link (or NULL) for its worker. */
static void bind_worker(struct link *link, struct link *to)
{
	struct table *table = link->front->table;

	for (size_t i = 0; table && i < table_workers(table); i++) {
		struct table_worker *worker = table_worker_at(table, i);

		if (worker->generation != link->generation ||
			strcmp(worker->installation, link->installation) != 0)
			continue;
		worker->link = to;
		if (!to)
			continue;
		link->listed = link->was_listed = true;
		link->draining = worker->draining;
		remember(link, worker);
	}
}

/* The channel is gone; nothing refers to the link any more. */
static void release(struct link *link)
{
	bind_worker(link, NULL);
	(void)map_remove(&link->front->links, span_of(link->key));
	uv_close((uv_handle_t *)&link->retry, on_retry_closed);
}

static void close_link(struct link *link)
{
	if (link->closing)
		return;
	link->closing = true;
	uv_timer_stop(&link->retry);
	if (link->channel)
		channel_close(link->channel);
	else
		release(link);
}

static void tell_connected(struct link *link, int rc, const char *text)
{
	struct front_worker_connected message = {
		.installation = span_of(link->installation),
		.generation = link->generation,
		.rc = rc,
		.text = span_of(text),
	};

	(void)send_front_worker_connected(link->front->control, 0, &message);
}

static void on_retry(uv_timer_t *timer)
{
	struct link *link = timer->data;

	link->retry_running = false;
	connect_now(link);
}

static void connect_later(struct link *link, int rc, const char *text)
{
	uint32_t wait = RETRY_FIRST_MS << (link->attempts < 6 ? link->attempts : 6);

	link->attempts++;
	if (!link->was_listed && link->attempts >= RETRIES_UNLISTED) {
		tell_connected(link, rc, text);
		close_link(link);
		return;
	}
	link->retry_running = true;
	(void)uv_timer_start(&link->retry, on_retry, wait < RETRY_MAX_MS ? wait : RETRY_MAX_MS, 0);
}

void link_less(struct link *link)
{
	struct front_drained message = {
		.installation = span_of(link->installation),
		.generation = link->generation,
	};

	if (!link->draining || link->drained_told || link->requests > 0 || link->served_out > 0 ||
		link->calls_out > 0)
		return;
	link->drained_told = true;
	(void)send_front_drained(link->front->control, 0, &message);
}

/* ---- messages -------------------------------------------------------------------------------- */

static void fail_protocol(struct link *link, const struct error *err)
{
	channel_fail(link->channel, err->code, err->text);
}

static void on_body_consumed(struct link *link, struct forward *f, struct channel_message *message)
{
	struct data_body_consumed consumed;
	struct error err;

	if (decode_data_body_consumed(&consumed, message->payload, &link->front->memory, &err) < 0)
		fail_protocol(link, &err);
	else if (f)
		forward_body_consumed(f, consumed.bytes);
}

static void on_response(struct link *link, struct forward *f, struct channel_message *message)
{
	struct data_response response;
	struct error err;

	if (decode_data_response(&response, message->payload, &link->front->memory, &err) < 0)
		fail_protocol(link, &err);
	else if (f)
		forward_response(f, &response, message->flags & PROTOCOL_LAST);
}

static void on_response_failed(
	struct link *link, struct forward *f, struct channel_message *message)
{
	struct data_response_failed failed;
	struct error err;

	if (decode_data_response_failed(&failed, message->payload, &link->front->memory, &err) < 0)
		fail_protocol(link, &err);
	else if (f)
		forward_response_failed(f, &failed);
}

static void on_call(struct link *link, struct channel_message *message)
{
	struct data_call call;
	struct error err;

	if (decode_data_call(&call, message->payload, &link->front->memory, &err) < 0)
		fail_protocol(link, &err);
	else if (map_get_u64(&link->calls, message->id))
		channel_fail(link->channel, ERR_PROTOCOL, "two calls have the same id");
	else if (link->calls_out >= PROTOCOL_CALLS ||
		 link->calls_bytes + call.json.len + call.bytes.len > PROTOCOL_CALL_WINDOW)
		channel_fail(link->channel, ERR_PROTOCOL, "more calls than there are credits for");
	else
		call_start(link, message->id, &call);
}

static void on_call_cancel(struct link *link, uint64_t id)
{
	struct call *call = map_get_u64(&link->calls, id);

	if (call)
		call_cancel(call);
}

static void on_on_call_result(struct link *link, struct channel_message *message)
{
	struct data_on_call_result result;
	struct call *call = slots_get(&link->ids, message->id, LINK_ON_CALL);
	struct error err;

	if (decode_data_on_call_result(&result, message->payload, &link->front->memory, &err) < 0)
		fail_protocol(link, &err);
	else if (call)
		call_served(call, &result);
}

static void on_message(void *user, struct channel_message *message)
{
	struct link *link = user;
	struct forward *f = slots_get(&link->ids, message->id, LINK_REQUEST);

	switch (message->type) {
	case PROTOCOL_DATA_BODY_CONSUMED:
		on_body_consumed(link, f, message);
		break;
	case PROTOCOL_DATA_RESPONSE:
		on_response(link, f, message);
		break;
	case PROTOCOL_DATA_RESPONSE_BODY:
		if (f)
			forward_response_body(f, message->payload, message->flags & PROTOCOL_LAST);
		break;
	case PROTOCOL_DATA_RESPONSE_FAILED:
		on_response_failed(link, f, message);
		break;
	case PROTOCOL_DATA_CALL:
		on_call(link, message);
		break;
	case PROTOCOL_DATA_CALL_CANCEL:
		on_call_cancel(link, message->id);
		break;
	case PROTOCOL_DATA_ON_CALL_RESULT:
		on_on_call_result(link, message);
		break;
	default:
		channel_fail(link->channel, ERR_PROTOCOL, "not a message of a worker");
	}
}

static void on_open(void *user)
{
	struct link *link = user;

	link->open = true;
	link->attempts = 0;
	tell_connected(link, 0, "");
}

/* Everything that was under way on the channel ends. */
static void lose_all(struct link *link)
{
	uint64_t id = 0;
	size_t at;
	const struct map_entry *entry;

	while ((id = slots_next(&link->ids, 0)) != 0) {
		if (slots_kind(&link->ids, id) == LINK_REQUEST)
			forward_link_lost(slots_get(&link->ids, id, LINK_REQUEST));
		else
			call_served(slots_get(&link->ids, id, LINK_ON_CALL), NULL);
	}
	for (at = 0; (entry = map_next(&link->calls, &at)) != NULL; at = 0)
		call_caller_lost(entry->value);
}

static void on_close(void *user, int rc, const char *text)
{
	struct link *link = user;
	char reason[ERROR_TEXT_MAX];

	(void)snprintf(reason, sizeof(reason), "%s", text ? text : "");
	link->channel = NULL;
	link->open = false;
	lose_all(link);
	slots_done(&link->ids);
	slots_init(&link->ids);
	if (link->closing) {
		release(link);
		return;
	}
	log_warn("worker's channel ended, connecting again",
		LOG_STR("installation", link->installation),
		LOG_INT("generation", link->generation), LOG_INT("code", rc),
		LOG_SPAN("reason", span_of(reason)));
	connect_later(link, rc, reason);
}

static const struct channel_events events = {
	.on_open = on_open,
	.on_message = on_message,
	.on_close = on_close,
};

int link_open_socket(const char *path, struct error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t len = strlen(path);
	int fd;

	if (len >= sizeof(address.sun_path))
		return error_set(err, ERR_INVALID, "socket path '%s' is too long", path);
	memcpy(address.sun_path, path, len + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return error_set_errno(err, errno, "make a socket");
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == -1) {
		int errnum = errno;

		(void)close(fd);
		return error_set_errno(err, errnum, "connect to '%s'", path);
	}
	return fd;
}

static void connect_now(struct link *link)
{
	struct front *front = link->front;
	struct channel_config config = {
		.peer = link->installation,
		.events = &events,
		.user = link,
		.limit = protocol_limit,
		.link = PROTOCOL_LINK_WORKER_TO_FRONT,
		.silence_ms = (uint32_t)front->settings.worker_stall_ms,
	};
	struct data_front hello = { .slot = front->slot };
	struct error err;
	int rc, fd = link_open_socket(link->path, &err);

	rc = fd < 0 ? fd : channel_start(&link->channel, front->loop, fd, &config, &err);
	if (rc < 0) {
		link->channel = NULL;
		connect_later(link, rc, err.text);
		return;
	}
	(void)send_data_front(link->channel, 0, &hello);
}

void link_connect(struct front *front, const struct front_worker_connect *message)
{
	char *key = key_of(message->installation, message->generation);
	struct link *link = map_get(&front->links, span_of(key));

	if (link) { /* asked again: the answer is what it is now */
		mem_free(key);
		if (link->open)
			tell_connected(link, 0, "");
		return;
	}
	link = mem_zalloc(sizeof(*link));
	link->front = front;
	link->key = key;
	link->installation = mem_printf("%.*s", SPAN_ARG(message->installation));
	link->generation = message->generation;
	link->path = mem_printf("%.*s", SPAN_ARG(message->path));
	list_init(&link->forwards);
	slots_init(&link->ids);
	map_init(&link->calls);
	(void)uv_timer_init(front->loop, &link->retry);
	link->retry.data = link;
	(void)map_put(&front->links, span_of(key), link);
	bind_worker(link, link);
	connect_now(link);
}

struct link *link_find(const struct table_worker *worker)
{
	return worker->link && worker->link->open ? worker->link : NULL;
}

/* One at a time: closing changes the map. */
static struct link *next_unlisted(struct front *front)
{
	map_for_each(entry, &front->links) {
		struct link *link = entry->value;

		if (link->was_listed && !link->listed && !link->closing)
			return link;
	}
	return NULL;
}

void links_follow_table(struct front *front)
{
	struct link *link;

	map_for_each(entry, &front->links) {
		link = entry->value;
		link->listed = false;
		bind_worker(link, link);
	}
	while ((link = next_unlisted(front)) != NULL)
		close_link(link);
	map_for_each(entry, &front->links)
		link_less(entry->value);
}

void links_close(struct front *front)
{
	size_t at;
	const struct map_entry *entry;

	for (;;) {
		struct link *open = NULL;

		for (at = 0; !open && (entry = map_next(&front->links, &at)) != NULL;)
			if (!((struct link *)entry->value)->closing)
				open = entry->value;
		if (!open)
			return;
		close_link(open);
	}
}
