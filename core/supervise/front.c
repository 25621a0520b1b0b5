#include "supervise/front.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <uv.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "channel/channel.h"
#include "supervise/backoff.h"
#include "supervise/child.h"

#define FRONT_MAGIC       0x746e7266u
#define QUIET_MS          10000 /* a life as long starts the back-off from zero */
#define RESTART_MAX_MS    5000
#define CLOSE_PATIENCE_MS 1000 /* behind the deadline that the front was given */

struct front {
	uint32_t magic;
	struct uv_loop_s *loop;
	uint32_t slot;
	int listener;
	int counters;
	char *program;
	char *shim;
	struct process_rights rights;
	const struct front_start *start;
	uint32_t start_ms;
	uint32_t silence_ms;
	struct child *child; /* NULL: between two lives */
	bool live;
	bool closing;
	uint64_t life;
	uint64_t started_ns;
	struct backoff backoff;
	uv_timer_t timer; /* of a start, a restart or a close */
	struct protocol_memory memory;
	const struct front_events *events;
	void *user;
};

static void begin_life(struct front *f);

static struct channel *channel_of(const struct front *f)
{
	return f->child ? child_channel(f->child) : NULL;
}

static void on_start_deadline(uv_timer_t *timer)
{
	struct front *f = CONTAINER_OF(timer, struct front, timer);

	if (f->child)
		child_kill(f->child, ERR_DEADLINE, "it was not ready in time");
}

static void on_restart(uv_timer_t *timer)
{
	begin_life(CONTAINER_OF(timer, struct front, timer));
}

static int on_ready(struct front *f, struct span payload, struct error *err)
{
	struct front_ready m;
	int rc = decode_front_ready(&m, payload, &f->memory, err);

	if (rc < 0)
		return rc;
	if (f->live)
		return error_set(err, ERR_PROTOCOL, "front_ready twice");
	if (m.rc != 0)
		return error_set(err, error_entry(m.rc)->code, "%.*s", SPAN_ARG(m.text));
	if (f->closing)
		return 0;
	f->live = true;
	(void)uv_timer_stop(&f->timer);
	log_info("front ready", LOG_INT("slot", f->slot), LOG_INT("pid", child_pid(f->child)));
	f->events->on_ready(f->user, f);
	return 0;
}

static int on_table_ack(struct front *f, struct span payload, struct error *err)
{
	struct front_table_ack m;
	int rc = decode_front_table_ack(&m, payload, &f->memory, err);

	if (rc == 0)
		f->events->on_table_ack(f->user, f, m.number);
	return rc;
}

static int on_connected(struct front *f, struct span payload, struct error *err)
{
	struct front_worker_connected m;
	int rc = decode_front_worker_connected(&m, payload, &f->memory, err);

	if (rc == 0)
		f->events->on_connected(f->user, f, &m);
	return rc;
}

static int on_drained(struct front *f, struct span payload, struct error *err)
{
	struct front_drained m;
	int rc = decode_front_drained(&m, payload, &f->memory, err);

	if (rc == 0)
		f->events->on_drained(f->user, f, &m);
	return rc;
}

static int on_stage(struct front *f, struct channel_message *message, struct error *err)
{
	struct front_stage m;
	int rc = decode_front_stage(&m, message->payload, &f->memory, err);
	int fd = message->fd;

	if (rc < 0)
		return rc;
	if (fd == -1)
		return error_set(err, ERR_PROTOCOL, "front_stage without a descriptor");
	message->fd = -1;
	f->events->on_stage(f->user, f, message->id, &m, fd);
	return 0;
}

static int on_key_ring(struct front *f, struct channel_message *message, struct error *err)
{
	struct front_key_ring m;
	int rc = decode_front_key_ring(&m, message->payload, &f->memory, err);

	if (rc == 0)
		f->events->on_key_ring(f->user, f, message->id, &m);
	mem_wipe((void *)(uintptr_t)message->payload.data, message->payload.len);
	return rc;
}

static void on_message(void *user, struct channel_message *message)
{
	struct front *f = user;
	struct error err = { 0 };
	int rc;

	ASSERT(f->magic == FRONT_MAGIC);
	if (!f->live && message->type != PROTOCOL_FRONT_READY) {
		child_kill(f->child, ERR_PROTOCOL, "it spoke before it was ready");
		return;
	}
	switch (message->type) {
	case PROTOCOL_FRONT_READY:
		rc = on_ready(f, message->payload, &err);
		break;
	case PROTOCOL_FRONT_TABLE_ACK:
		rc = on_table_ack(f, message->payload, &err);
		break;
	case PROTOCOL_FRONT_WORKER_CONNECTED:
		rc = on_connected(f, message->payload, &err);
		break;
	case PROTOCOL_FRONT_DRAINED:
		rc = on_drained(f, message->payload, &err);
		break;
	case PROTOCOL_FRONT_STAGE:
		rc = on_stage(f, message, &err);
		break;
	case PROTOCOL_FRONT_KEY_RING:
		rc = on_key_ring(f, message, &err);
		break;
	default:
		rc = error_set(&err, ERR_PROTOCOL, "unexpected %s", protocol_name(message->type));
	}
	if (rc < 0)
		child_kill(f->child, rc, err.text);
}

/* The front's own log, in our format already; only its bytes are not to be trusted. */
static void on_line(void *user, struct span line)
{
	struct front *f = user;
	bool plain = utf8_valid(line);

	for (size_t i = 0; i < line.len && plain; i++)
		plain = (unsigned char)line.data[i] >= ' ' && line.data[i] != 0x7f;
	if (plain)
		(void)dprintf(STDERR_FILENO, "%.*s\n", SPAN_ARG(line));
	else
		log_warn("front said", LOG_INT("slot", f->slot), LOG_SPAN("line", line));
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct front *f = CONTAINER_OF(handle, struct front, timer);

	ASSERT(f->magic == FRONT_MAGIC && !f->child);
	f->magic = 0;
	f->events->on_closed(f->user, f);
	protocol_memory_done(&f->memory);
	mem_free(f->program);
	mem_free(f->shim);
	mem_free(f);
}

static void report_end(struct front *f, const struct child_end *end, uint64_t wait_ms)
{
	struct text how;

	text_init(&how);
	process_exit_text(&end->exit, &how);
	log_error("front ended, starting it again", LOG_INT("slot", f->slot),
		LOG_STR("how", how.data), LOG_STR("why", end->rc ? end->text : "-"),
		LOG_INT("wait_ms", wait_ms));
	text_done(&how);
}

static void on_end(void *user, const struct child_end *end)
{
	struct front *f = user;
	bool was_live = f->live;
	uint64_t wait_ms;

	ASSERT(f->magic == FRONT_MAGIC);
	f->child = NULL;
	f->live = false;
	if (f->closing) {
		uv_close((uv_handle_t *)&f->timer, on_timer_closed);
	} else {
		wait_ms = backoff_next(&f->backoff, (clock_ns() - f->started_ns) / CLOCK_NS_PER_MS);
		report_end(f, end, wait_ms);
		(void)uv_timer_start(&f->timer, on_restart, wait_ms, 0);
	}
	if (was_live) {
		f->events->on_lost(f->user, f);
	} else if (!f->closing) {
		struct error err = { 0 };

		(void)error_set(&err, ERR_FRONT, "front %u: %s", f->slot,
			end->rc ? end->text : "it ended before it was ready");
		f->events->on_failed(f->user, f, &err);
	}
}

static const struct child_events child_events = {
	.on_message = on_message,
	.on_line = on_line,
	.on_end = on_end,
};

static void begin_life(struct front *f)
{
	const char *argv[] = { "mortise-front", NULL };
	const struct process_fd fds[] = { { f->listener, PROTOCOL_FD_LISTENER } };
	char peer[32];
	const struct child_options options = { .peer = peer,
		.path = f->program,
		.argv = argv,
		.rights = &f->rights,
		.fds = fds,
		.fd_count = ARRAY_LENGTH(fds),
		.link = PROTOCOL_LINK_FRONT_TO_SUPERVISOR,
		.silence_ms = f->silence_ms,
		.events = &child_events,
		.user = f };
	struct error err = { 0 };

	(void)snprintf(peer, sizeof(peer), "front %u", f->slot);
	f->started_ns = clock_ns();
	f->life++;
	if (child_start(&f->child, f->loop, &options, &err) < 0) {
		uint64_t wait_ms = backoff_next(&f->backoff, 0);

		log_error("front not started", LOG_INT("slot", f->slot), LOG_ERR(&err));
		f->child = NULL;
		(void)uv_timer_start(&f->timer, on_restart, wait_ms, 0);
		return;
	}
	(void)uv_timer_start(&f->timer, on_start_deadline, f->start_ms, 0);
	if (channel_of(f))
		(void)protocol_send(
			channel_of(f), PROTOCOL_FRONT_START, 0, f->start, 0, f->counters);
}

struct front *front_new(struct uv_loop_s *loop, const struct front_options *options)
{
	struct front *f = mem_zalloc(sizeof(*f));

	f->magic = FRONT_MAGIC;
	f->loop = loop;
	f->slot = options->slot;
	f->listener = options->listener;
	f->counters = options->counters;
	f->program = mem_strdup(options->program);
	f->shim = mem_strdup(options->rights.shim);
	f->rights = options->rights;
	f->rights.shim = f->shim;
	f->start = options->start;
	f->start_ms = options->start_ms;
	f->silence_ms = options->silence_ms;
	f->events = options->events;
	f->user = options->user;
	protocol_memory_init(&f->memory);
	backoff_init(&f->backoff, QUIET_MS, RESTART_MAX_MS, 0);
	(void)uv_timer_init(loop, &f->timer);
	/* From the loop, so that no callback comes before this returned. */
	(void)uv_timer_start(&f->timer, on_restart, 0, 0);
	return f;
}

uint32_t front_slot(const struct front *f)
{
	return f->slot;
}

bool front_live(const struct front *f)
{
	return f->live && channel_of(f);
}

uint64_t front_life(const struct front *f)
{
	return f->life;
}

void front_table(struct front *f, const struct front_table *table)
{
	if (front_live(f))
		(void)send_front_table(channel_of(f), 0, table);
}

void front_connect(struct front *f, const struct front_worker_connect *connect)
{
	if (front_live(f))
		(void)send_front_worker_connect(channel_of(f), 0, connect);
}

void front_staged(struct front *f, uint64_t id, const struct front_staged *staged)
{
	if (front_live(f))
		(void)send_front_staged(channel_of(f), id, staged);
}

void front_notify(struct front *f, const struct front_notify *notify)
{
	if (front_live(f))
		(void)send_front_notify(channel_of(f), 0, notify);
}

void front_key_ring_result(struct front *f, uint64_t id, const struct front_key_ring_result *result)
{
	if (front_live(f))
		(void)send_front_key_ring_result(channel_of(f), id, result);
}

static void on_close_deadline(uv_timer_t *timer)
{
	struct front *f = CONTAINER_OF(timer, struct front, timer);

	if (f->child)
		child_kill(f->child, ERR_DEADLINE, "it did not end in time");
}

void front_close(struct front *f, uint32_t deadline_ms)
{
	const struct front_stop stop = { deadline_ms };

	ASSERT(f->magic == FRONT_MAGIC);
	if (!f->child) {
		if (!f->closing)
			uv_close((uv_handle_t *)&f->timer, on_timer_closed);
		f->closing = true;
		return;
	}
	if (!f->closing && channel_of(f))
		(void)send_front_stop(channel_of(f), 0, &stop);
	f->closing = true;
	if (deadline_ms == 0)
		child_kill(f->child, ERR_CANCELLED, "the host stops at once");
	(void)uv_timer_start(&f->timer, on_close_deadline, deadline_ms + CLOSE_PATIENCE_MS, 0);
}
