/* worker.h - one worker process: the conversation with it, from START to its end
 *
 * Loading -> loaded (fronts connect) -> starting -> running -> draining ->
 * stopping. One generation of one instance; who starts a successor, and when, is
 * instance.h. Everything the worker says is an outsider's text. [loop thread]
 */
#ifndef MORTISE_SUPERVISE_WORKER_H
#define MORTISE_SUPERVISE_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/text.h"
#include "channel/protocol.h"
#include "supervise/health.h"
#include "supervise/process.h"

struct plugin_log;
struct uv_loop_s;
struct worker; /* opaque */

/* How it ended; rc 0: it was told to stop, and did. What the plugin was doing is only known when
 * box_valid. */
struct worker_end {
	int rc;
	const char *text;
	struct process_exit exit;
	bool started; /* it had been serving */
	bool box_valid;
	const struct black_box *box;
};

struct worker_events {
	/* The plugin is loaded and the worker listens: let fronts connect, then worker_go(). */
	void (*on_loaded)(void *user);
	void (*on_started)(void *user);
	/* One answer to worker_ask(); detail is at most PROTOCOL_DETAIL_MAX, repaired. */
	void (*on_health)(void *user, enum health_status status, struct span detail);
	/* The answer to worker_configure(); NULL: it has taken it. */
	void (*on_configured)(void *user, const struct error *err);
	void (*on_drained)(void *user);
	void (*on_metrics)(void *user, const struct worker_metrics *metrics);
	/* The worker is gone when it returns. */
	void (*on_end)(void *user, const struct worker_end *end);
};

struct worker_options {
	const char *program; /* path of mortise-worker */
	const char *folder;  /* of the listening sockets */
	bool root;           /* the socket is for this group */
	gid_t front_gid;
	const struct worker_start *start; /* the message; encoded at once */
	struct plugin_log *log;           /* outlives the worker */
	uint32_t start_ms;
	uint32_t stall_ms;
	const struct worker_events *events;
	void *user;
};

int worker_begin(struct worker **out, struct uv_loop_s *loop, const struct worker_options *options,
	struct error *err);

const char *worker_path(const struct worker *w); /* of its listening socket */
pid_t worker_pid(const struct worker *w);
bool worker_usage(const struct worker *w, uint64_t *cpu_ns, uint64_t *memory_bytes);

/* Every front is connected: start the plugin. After on_loaded, once. */
void worker_go(struct worker *w);

/* Ask for its health; a question that is still open counts as no answer. After on_started. */
void worker_ask(struct worker *w, uint32_t timeout_ms);

/* Give the plugin a new configuration: on_configured, unless it ends before. One at a time, after
 * on_started. */
void worker_configure(struct worker *w, struct span config);

/* No new work comes: on_drained when nothing is in flight, or at the deadline. */
void worker_drain(struct worker *w, uint32_t deadline_ms);

/* Stop the plugin and end; killed a little after the deadline. In any state. */
void worker_stop(struct worker *w, uint32_t deadline_ms);

void worker_kill(struct worker *w, int rc, const char *text);

#endif
