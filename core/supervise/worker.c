#include "supervise/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <uv.h>

#include "base/assert.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "channel/channel.h"
#include "supervise/child.h"
#include "supervise/listener.h"
#include "supervise/plugin_log.h"

#define WORKER_MAGIC     0x6b726f77u
#define STOP_PATIENCE_MS 1000 /* behind the deadline that the worker was given */
#define TEXT_MAX         512  /* of a worker's reason */
#define FIELDS_MAX       32   /* of one log line */

enum phase {
	PHASE_LOADING,
	PHASE_LOADED,
	PHASE_STARTING,
	PHASE_RUNNING,
	PHASE_DRAINING,
	PHASE_STOPPING
};

struct worker {
	uint32_t magic;
	struct child *child;
	enum phase phase;
	bool started;
	bool stopped; /* told to, and it said that it did */
	uint64_t generation;
	char *path; /* of the listening socket */
	int box_fd;
	uv_timer_t timer;  /* the deadline of a start or a stop */
	uint64_t question; /* the open health question, 0: none */
	uint64_t questions;
	uint64_t configuring; /* the open WORKER_CONFIGURE, 0: none */
	struct protocol_memory memory;
	struct plugin_log *log;
	struct error reason; /* it said so itself */
	struct worker_end end;
	struct black_box box;
	char end_text[ERROR_TEXT_MAX];
	uint32_t start_ms;
	const struct worker_events *events;
	void *user;
};

/* A reason that a worker gives: any bytes, any number. */
static void set_reason(struct worker *w, int32_t rc, struct span text)
{
	struct text repaired;

	if (w->reason.code != 0)
		return;
	text_init(&repaired);
	if (text.len > TEXT_MAX)
		text.len = TEXT_MAX;
	text_append_utf8(&repaired, text);
	(void)error_set(&w->reason, error_entry(rc)->code, "%s",
		repaired.len ? repaired.data : error_entry(rc)->text);
	text_done(&repaired);
}

static void host_says(struct worker *w, enum log_level level, const char *text)
{
	plugin_log_write(
		w->log, &(struct plugin_log_line){
				.level = level, .source = "host", .message = span_of(text) });
}

static void on_deadline(uv_timer_t *timer)
{
	struct worker *w = CONTAINER_OF(timer, struct worker, timer);
	char text[128];

	ASSERT(w->magic == WORKER_MAGIC);
	if (w->phase == PHASE_STOPPING) {
		worker_kill(w, ERR_WORKER_STALLED, "it did not stop within its deadline");
		return;
	}
	(void)snprintf(text, sizeof(text), "%s took longer than %u ms",
		w->phase == PHASE_LOADING ? "loading" : "start", (unsigned)w->start_ms);
	worker_kill(w, ERR_WORKER_STALLED, text);
}

static int on_loaded(struct worker *w, struct span payload, struct error *err)
{
	struct worker_loaded m;
	int rc = decode_worker_loaded(&m, payload, &w->memory, err);

	if (rc < 0)
		return rc;
	if (w->phase != PHASE_LOADING)
		return error_set(err, ERR_PROTOCOL, "worker_loaded out of order");
	if (m.rc != 0) {
		set_reason(w, m.rc, m.text);
		worker_kill(w, w->reason.code, w->reason.text);
		return 0;
	}
	w->phase = PHASE_LOADED;
	(void)uv_timer_stop(&w->timer);
	w->events->on_loaded(w->user);
	return 0;
}

static int on_started(struct worker *w, struct span payload, struct error *err)
{
	struct worker_started m;
	int rc = decode_worker_started(&m, payload, &w->memory, err);

	if (rc < 0)
		return rc;
	/* It may have been told to stop meanwhile. */
	if (w->phase == PHASE_STOPPING)
		return 0;
	if (w->phase != PHASE_STARTING)
		return error_set(err, ERR_PROTOCOL, "worker_started out of order");
	if (m.rc != 0) {
		set_reason(w, m.rc, m.text);
		worker_kill(w, w->reason.code, w->reason.text);
		return 0;
	}
	w->phase = PHASE_RUNNING;
	w->started = true;
	(void)uv_timer_stop(&w->timer);
	w->events->on_started(w->user);
	return 0;
}

static int on_health(struct worker *w, uint64_t id, struct span payload, struct error *err)
{
	static const enum health_status of_wire[WORKER_HEALTH_COUNT] = {
		[WORKER_HEALTH_HEALTHY] = HEALTH_STATUS_HEALTHY,
		[WORKER_HEALTH_DEGRADED] = HEALTH_STATUS_DEGRADED,
		[WORKER_HEALTH_UNHEALTHY] = HEALTH_STATUS_UNHEALTHY,
	};
	struct worker_health m;
	struct text detail;
	int rc = decode_worker_health(&m, payload, &w->memory, err);

	if (rc < 0)
		return rc;
	if (m.status >= WORKER_HEALTH_COUNT)
		return error_set(err, ERR_PROTOCOL, "worker_health with status %u", m.status);
	if (id != w->question)
		return 0;
	w->question = 0;
	if (m.detail.len > PROTOCOL_DETAIL_MAX)
		m.detail.len = PROTOCOL_DETAIL_MAX;
	text_init(&detail);
	text_append_utf8(&detail, m.detail);
	w->events->on_health(w->user, of_wire[m.status], text_span(&detail));
	text_done(&detail);
	return 0;
}

static int on_configured(struct worker *w, uint64_t id, struct span payload, struct error *err)
{
	struct worker_configured m;
	struct error why = { 0 };
	struct text repaired;
	int rc = decode_worker_configured(&m, payload, &w->memory, err);

	if (rc < 0)
		return rc;
	if (id != w->configuring)
		return 0;
	w->configuring = 0;
	if (m.rc != 0) {
		if (m.text.len > TEXT_MAX)
			m.text.len = TEXT_MAX;
		text_init(&repaired);
		text_append_utf8(&repaired, m.text);
		(void)error_set(&why, error_entry(m.rc)->code, "%s", repaired.data);
		text_done(&repaired);
	}
	w->events->on_configured(w->user, m.rc ? &why : NULL);
	return 0;
}

static int on_log(struct worker *w, struct span payload, struct error *err)
{
	static const char *const sources[WORKER_LOG_COUNT] = {
		[WORKER_LOG_PLUGIN] = "plugin",
		[WORKER_LOG_HOST] = "host",
	};
	struct plugin_log_field fields[FIELDS_MAX];
	struct worker_log m;
	int rc = decode_worker_log(&m, payload, &w->memory, err);

	if (rc < 0)
		return rc;
	if (m.level >= LOG_LEVEL_COUNT || m.source >= WORKER_LOG_COUNT)
		return error_set(err, ERR_PROTOCOL, "worker_log with level %u", m.level);
	if (m.dropped) {
		char text[96];

		(void)snprintf(text, sizeof(text), "%u lines dropped: the plugin wrote too fast",
			m.dropped);
		host_says(w, LOG_LEVEL_WARN, text);
	}
	if (m.fields.count > FIELDS_MAX)
		m.fields.count = FIELDS_MAX;
	for (uint32_t i = 0; i < m.fields.count; i++)
		fields[i] =
			(struct plugin_log_field){ m.fields.items[i].key, m.fields.items[i].value };
	plugin_log_write(w->log, &(struct plugin_log_line){ .level = (enum log_level)m.level,
					 .source = sources[m.source],
					 .message = m.message,
					 .fields = fields,
					 .field_count = m.fields.count });
	return 0;
}

static int on_stopped(struct worker *w, struct span payload, struct error *err)
{
	struct worker_stopped m;
	int rc = decode_worker_stopped(&m, payload, &w->memory, err);

	if (rc < 0)
		return rc;
	if (w->phase != PHASE_STOPPING)
		return error_set(err, ERR_PROTOCOL, "worker_stopped without being told");
	w->stopped = true;
	if (m.rc != 0)
		plugin_log_write(w->log,
			&(struct plugin_log_line){
				.level = LOG_LEVEL_WARN, .source = "host", .message = m.text });
	for (uint32_t i = 0; i < m.leftovers.count; i++) {
		char count[16];
		const struct plugin_log_field fields[] = {
			{ SPAN("kind"), m.leftovers.items[i].kind },
			{ SPAN("name"), m.leftovers.items[i].name },
			{ SPAN("count"), SPAN_NONE },
		};
		struct plugin_log_field copy[ARRAY_LENGTH(fields)];

		(void)snprintf(count, sizeof(count), "%u", m.leftovers.items[i].count);
		memcpy(copy, fields, sizeof(copy));
		copy[2].value = span_of(count);
		plugin_log_write(w->log, &(struct plugin_log_line){ .level = LOG_LEVEL_WARN,
						 .source = "host",
						 .message = SPAN("left over at stop"),
						 .fields = copy,
						 .field_count = ARRAY_LENGTH(copy) });
	}
	return 0;
}

static int on_metrics(struct worker *w, struct span payload, struct error *err)
{
	struct worker_metrics m;
	int rc = decode_worker_metrics(&m, payload, &w->memory, err);

	if (rc == 0)
		w->events->on_metrics(w->user, &m);
	return rc;
}

static void on_message(void *user, struct channel_message *message)
{
	struct worker *w = user;
	struct error err = { 0 };
	int rc;

	ASSERT(w->magic == WORKER_MAGIC);
	switch (message->type) {
	case PROTOCOL_WORKER_LOADED:
		rc = on_loaded(w, message->payload, &err);
		break;
	case PROTOCOL_WORKER_STARTED:
		rc = on_started(w, message->payload, &err);
		break;
	case PROTOCOL_WORKER_HEALTH:
		rc = on_health(w, message->id, message->payload, &err);
		break;
	case PROTOCOL_WORKER_CONFIGURED:
		rc = on_configured(w, message->id, message->payload, &err);
		break;
	case PROTOCOL_WORKER_LOG:
		rc = on_log(w, message->payload, &err);
		break;
	case PROTOCOL_WORKER_METRICS:
		rc = on_metrics(w, message->payload, &err);
		break;
	case PROTOCOL_WORKER_DRAINED:
		rc = 0;
		if (w->phase == PHASE_DRAINING)
			w->events->on_drained(w->user);
		break;
	case PROTOCOL_WORKER_STOPPED:
		rc = on_stopped(w, message->payload, &err);
		break;
	default:
		rc = error_set(&err, ERR_PROTOCOL, "unexpected %s", protocol_name(message->type));
	}
	if (rc < 0)
		worker_kill(w, rc, err.text);
}

static void on_line(void *user, struct span line)
{
	struct worker *w = user;

	plugin_log_write(
		w->log, &(struct plugin_log_line){
				.level = LOG_LEVEL_INFO, .source = "stderr", .message = line });
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct worker *w = CONTAINER_OF(handle, struct worker, timer);

	ASSERT(w->magic == WORKER_MAGIC);
	w->magic = 0;
	w->events->on_end(w->user, &w->end);
	(void)unlink(w->path);
	(void)close(w->box_fd);
	protocol_memory_done(&w->memory);
	mem_free(w->path);
	mem_free(w);
}

static void describe_end(struct worker *w, const struct child_end *end)
{
	bool silent = end->rc == ERR_DEADLINE;
	struct text text;

	w->end.exit = end->exit;
	w->end.started = w->started;
	if (w->stopped && end->rc == 0 && end->exit.signal == 0)
		return;
	text_init(&text);
	if (w->reason.code) {
		w->end.rc = w->reason.code;
		text_append_string(&text, w->reason.text);
	} else if (end->rc) {
		w->end.rc = silent ? ERR_WORKER_STALLED : end->rc;
		text_append_string(&text, end->text);
	} else {
		w->end.rc = ERR_WORKER_DIED;
		text_append_string(&text, end->exit.signal ? "the worker was " : "the worker ");
		process_exit_text(&end->exit, &text);
	}
	if (w->end.box_valid && w->box.callback[0])
		text_printf(&text, " in %s", w->box.callback);
	(void)snprintf(w->end_text, sizeof(w->end_text), "%s", text.data);
	text_done(&text);
}

static void on_end(void *user, const struct child_end *end)
{
	struct worker *w = user;

	ASSERT(w->magic == WORKER_MAGIC);
	w->child = NULL;
	w->end.box = &w->box;
	w->end.box_valid = black_box_read(w->box_fd, &w->box, NULL) == 0;
	w->end.text = w->end_text;
	describe_end(w, end);
	uv_close((uv_handle_t *)&w->timer, on_timer_closed);
}

static const struct child_events child_events = {
	.on_message = on_message,
	.on_line = on_line,
	.on_end = on_end,
};

static int make_box(struct worker *w, struct error *err)
{
	w->box_fd = memfd_create("mortise-black-box", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (w->box_fd == -1)
		return error_set_errno(err, errno, "make a black box");
	/* The worker may write it and nothing more: reading a page of a file that it cut short
	 * would end us. */
	if (ftruncate(w->box_fd, BLACK_BOX_SIZE) == -1 ||
		fcntl(w->box_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == -1)
		return error_set_errno(err, errno, "size a black box");
	return 0;
}

static int begin_child(struct worker *w, struct uv_loop_s *loop, const struct worker_options *o,
	int listener, struct error *err)
{
	const char *argv[] = { "mortise-worker", NULL };
	const struct process_fd fds[] = { { listener, PROTOCOL_FD_LISTENER },
		{ w->box_fd, PROTOCOL_FD_BLACK_BOX } };
	CLEANUP(mem_freep)
	char *peer = mem_printf("worker of %.*s", SPAN_ARG(o->start->plugin));
	const struct child_options options = { .peer = peer,
		.path = o->program,
		.argv = argv,
		.fds = fds,
		.fd_count = ARRAY_LENGTH(fds),
		.link = PROTOCOL_LINK_WORKER_TO_SUPERVISOR,
		.silence_ms = o->stall_ms,
		.events = &child_events,
		.user = w };

	return child_start(&w->child, loop, &options, err);
}

int worker_begin(struct worker **out, struct uv_loop_s *loop, const struct worker_options *options,
	struct error *err)
{
	CLEANUP(io_closep) int listener = -1;
	struct worker *w = mem_zalloc(sizeof(*w));
	int rc;

	w->magic = WORKER_MAGIC;
	w->box_fd = -1;
	w->generation = options->start->generation;
	w->start_ms = options->start_ms;
	w->log = options->log;
	w->events = options->events;
	w->user = options->user;
	w->path = mem_printf("%s/%llx", options->folder, (unsigned long long)w->generation);
	rc = listener_open_local(&listener, w->path, options->root, options->front_gid, err);
	if (rc == 0)
		rc = make_box(w, err);
	if (rc == 0)
		rc = begin_child(w, loop, options, listener, err);
	if (rc < 0) {
		(void)unlink(w->path);
		io_closep(&w->box_fd);
		mem_free(w->path);
		mem_free(w);
		return rc;
	}
	protocol_memory_init(&w->memory);
	(void)uv_timer_init(loop, &w->timer);
	(void)uv_timer_start(&w->timer, on_deadline, w->start_ms, 0);
	if (child_channel(w->child))
		(void)send_worker_start(child_channel(w->child), 0, options->start);
	*out = w;
	return 0;
}

const char *worker_path(const struct worker *w)
{
	return w->path;
}

pid_t worker_pid(const struct worker *w)
{
	return w->child ? child_pid(w->child) : 0;
}

bool worker_usage(const struct worker *w, uint64_t *cpu_ns, uint64_t *memory_bytes)
{
	return w->child && child_usage(w->child, cpu_ns, memory_bytes);
}

static struct channel *channel_of(const struct worker *w)
{
	return w->child ? child_channel(w->child) : NULL;
}

void worker_go(struct worker *w)
{
	ASSERT(w->magic == WORKER_MAGIC && w->phase == PHASE_LOADED);
	w->phase = PHASE_STARTING;
	(void)uv_timer_start(&w->timer, on_deadline, w->start_ms, 0);
	if (channel_of(w))
		(void)protocol_send_signal(channel_of(w), PROTOCOL_WORKER_GO, 0);
}

void worker_ask(struct worker *w, uint32_t timeout_ms)
{
	const struct worker_health_ask m = { timeout_ms };

	ASSERT(w->magic == WORKER_MAGIC);
	if (w->question)
		w->events->on_health(w->user, HEALTH_STATUS_UNHEALTHY, SPAN("no answer"));
	w->question = ++w->questions;
	if (channel_of(w))
		(void)send_worker_health_ask(channel_of(w), w->question, &m);
}

void worker_configure(struct worker *w, struct span config)
{
	const struct worker_configure m = { config };

	ASSERT(w->magic == WORKER_MAGIC && w->configuring == 0);
	w->configuring = ++w->questions;
	if (channel_of(w))
		(void)send_worker_configure(channel_of(w), w->configuring, &m);
}

void worker_drain(struct worker *w, uint32_t deadline_ms)
{
	const struct worker_drain m = { deadline_ms };

	ASSERT(w->magic == WORKER_MAGIC);
	if (w->phase != PHASE_RUNNING)
		return;
	w->phase = PHASE_DRAINING;
	if (channel_of(w))
		(void)send_worker_drain(channel_of(w), 0, &m);
}

void worker_stop(struct worker *w, uint32_t deadline_ms)
{
	const struct worker_stop m = { deadline_ms };
	/* One that has not begun has nothing to stop. */
	bool early = w->phase < PHASE_STARTING;

	ASSERT(w->magic == WORKER_MAGIC);
	if (w->phase == PHASE_STOPPING)
		return;
	w->phase = PHASE_STOPPING;
	if (early) {
		w->stopped = true;
		worker_kill(w, ERR_CANCELLED, "stopped before it had started");
		return;
	}
	(void)uv_timer_start(&w->timer, on_deadline, deadline_ms + STOP_PATIENCE_MS, 0);
	if (channel_of(w))
		(void)send_worker_stop(channel_of(w), 0, &m);
}

void worker_kill(struct worker *w, int rc, const char *text)
{
	ASSERT(w->magic == WORKER_MAGIC);
	if (w->child)
		child_kill(w->child, rc, text);
}
