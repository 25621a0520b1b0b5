#include "supervise/fetch.h"

#include <stdbool.h>
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
#include "supervise/listener.h"

#define FETCH_MAGIC       0x68637465u
#define START_MS          15000
#define QUIET_MS          10000 /* a life as long starts the back-off from zero */
#define RESTART_MAX_MS    5000
#define CLOSE_PATIENCE_MS 1000 /* behind the deadline that it was given */

struct fetch {
	uint32_t magic;
	struct uv_loop_s *loop;
	struct fetch_options o;
	char *path;
	int listener;
	struct child *child; /* NULL: between two lives */
	bool ready;
	bool closing;
	uint64_t started_ns;
	struct backoff backoff;
	uv_timer_t timer; /* of a start, a restart or a close */
	struct protocol_memory memory;
};

static void begin_life(struct fetch *f);

static struct channel *channel_of(const struct fetch *f)
{
	return f->child ? child_channel(f->child) : NULL;
}

static void on_start_deadline(uv_timer_t *timer)
{
	struct fetch *f = CONTAINER_OF(timer, struct fetch, timer);

	if (f->child)
		child_kill(f->child, ERR_DEADLINE, "it was not ready in time");
}

static void on_restart(uv_timer_t *timer)
{
	begin_life(CONTAINER_OF(timer, struct fetch, timer));
}

static int on_ready(struct fetch *f, struct span payload, struct error *err)
{
	struct fetch_ready m;
	int rc = decode_fetch_ready(&m, payload, &f->memory, err);

	if (rc < 0)
		return rc;
	if (f->ready)
		return error_set(err, ERR_PROTOCOL, "fetch_ready twice");
	if (m.rc != 0)
		return error_set(err, error_entry(m.rc)->code, "%.*s", SPAN_ARG(m.text));
	f->ready = true;
	if (f->closing)
		return 0;
	(void)uv_timer_stop(&f->timer);
	log_info("fetch ready", LOG_INT("pid", child_pid(f->child)));
	return 0;
}

static void on_message(void *user, struct channel_message *message)
{
	struct fetch *f = user;
	struct error err = { 0 };
	int rc;

	ASSERT(f->magic == FETCH_MAGIC);
	if (message->type == PROTOCOL_FETCH_READY)
		rc = on_ready(f, message->payload, &err);
	else
		rc = error_set(&err, ERR_PROTOCOL, "unexpected %s", protocol_name(message->type));
	if (rc < 0)
		child_kill(f->child, rc, err.text);
}

static void on_line(void *user, struct span line)
{
	(void)user;
	log_info("fetch said", LOG_SPAN("line", line));
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct fetch *f = CONTAINER_OF(handle, struct fetch, timer);
	void (*on_closed)(void *user) = f->o.on_closed;
	void *user = f->o.user;

	ASSERT(f->magic == FETCH_MAGIC && !f->child);
	(void)close(f->listener);
	(void)unlink(f->path);
	protocol_memory_done(&f->memory);
	mem_free(f->path);
	f->magic = 0;
	mem_free(f);
	on_closed(user);
}

static void report_end(const struct child_end *end, uint64_t wait_ms)
{
	struct text how;

	text_init(&how);
	process_exit_text(&end->exit, &how);
	log_error("fetch ended, starting it again", LOG_STR("how", how.data),
		LOG_STR("why", end->rc ? end->text : "-"), LOG_INT("wait_ms", wait_ms));
	text_done(&how);
}

static void on_end(void *user, const struct child_end *end)
{
	struct fetch *f = user;
	uint64_t wait_ms;

	ASSERT(f->magic == FETCH_MAGIC);
	f->child = NULL;
	f->ready = false;
	if (f->closing) {
		uv_close((uv_handle_t *)&f->timer, on_timer_closed);
		return;
	}
	wait_ms = backoff_next(&f->backoff, (clock_ns() - f->started_ns) / CLOCK_NS_PER_MS);
	report_end(end, wait_ms);
	(void)uv_timer_start(&f->timer, on_restart, wait_ms, 0);
}

static const struct child_events child_events = {
	.on_message = on_message,
	.on_line = on_line,
	.on_end = on_end,
};

static void begin_life(struct fetch *f)
{
	const char *argv[] = { "mortise-fetch", NULL };
	const struct process_fd fds[] = { { f->listener, PROTOCOL_FD_LISTENER } };
	const struct child_options options = { .peer = "fetch",
		.path = f->o.program,
		.argv = argv,
		.rights = &f->o.rights,
		.fds = fds,
		.fd_count = ARRAY_LENGTH(fds),
		.link = PROTOCOL_LINK_FETCH_TO_SUPERVISOR,
		.silence_ms = f->o.silence_ms,
		.events = &child_events,
		.user = f };
	struct error err = { 0 };

	f->started_ns = clock_ns();
	if (child_start(&f->child, f->loop, &options, &err) < 0) {
		uint64_t wait_ms = backoff_next(&f->backoff, 0);

		log_error("fetch not started", LOG_ERR(&err), LOG_INT("wait_ms", wait_ms));
		f->child = NULL;
		(void)uv_timer_start(&f->timer, on_restart, wait_ms, 0);
		return;
	}
	(void)uv_timer_start(&f->timer, on_start_deadline, START_MS, 0);
	if (channel_of(f))
		(void)send_fetch_start(channel_of(f), 0, &f->o.start);
}

int fetch_open(struct fetch **out, struct uv_loop_s *loop, const struct fetch_options *options,
	struct error *err)
{
	struct fetch *f = mem_zalloc(sizeof(*f));
	int rc;

	f->magic = FETCH_MAGIC;
	f->loop = loop;
	f->o = *options;
	f->path = mem_printf("%s/fetch", options->folder);
	rc = listener_open_local(
		&f->listener, f->path, options->rights.change, options->front_gid, err);
	if (rc < 0) {
		mem_free(f->path);
		mem_free(f);
		return rc;
	}
	protocol_memory_init(&f->memory);
	backoff_init(&f->backoff, QUIET_MS, RESTART_MAX_MS, 0);
	(void)uv_timer_init(loop, &f->timer);
	(void)uv_timer_start(&f->timer, on_restart, 0, 0);
	*out = f;
	return 0;
}

const char *fetch_path(const struct fetch *f)
{
	return f->path;
}

static void on_close_deadline(uv_timer_t *timer)
{
	struct fetch *f = CONTAINER_OF(timer, struct fetch, timer);

	if (f->child)
		child_kill(f->child, ERR_DEADLINE, "it did not end in time");
}

void fetch_close(struct fetch *f, uint32_t deadline_ms)
{
	const struct fetch_stop stop = { deadline_ms };

	ASSERT(f->magic == FETCH_MAGIC);
	if (!f->child) {
		if (!f->closing)
			uv_close((uv_handle_t *)&f->timer, on_timer_closed);
		f->closing = true;
		return;
	}
	if (!f->closing && channel_of(f))
		(void)send_fetch_stop(channel_of(f), 0, &stop);
	f->closing = true;
	if (deadline_ms == 0)
		child_kill(f->child, ERR_CANCELLED, "the host stops at once");
	(void)uv_timer_start(&f->timer, on_close_deadline, deadline_ms + CLOSE_PATIENCE_MS, 0);
}
