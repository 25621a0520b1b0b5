/* child.h - a process of ours with its control channel and its log pipe, as one life
 *
 * The control channel is descriptor 3 in the child. A child that breaks the
 * protocol or falls silent is killed; one that closes its channel has
 * CHILD_LAST_MS to end by itself. on_end comes when all three are over: the
 * process reaped, its last messages and lines delivered. Knows no meaning of a
 * message. [loop thread]
 */
#ifndef MORTISE_SUPERVISE_CHILD_H
#define MORTISE_SUPERVISE_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/text.h"
#include "supervise/process.h"

struct channel;
struct channel_message;
struct uv_loop_s;
struct child; /* opaque */

#define CHILD_LAST_MS 500

/* rc and text are those of child_kill(), or of what the child did wrong; rc 0: it ended by itself.
 */
struct child_end {
	struct process_exit exit;
	int rc;
	const char *text;
};

struct child_events {
	void (*on_message)(void *user, struct channel_message *message);
	void (*on_line)(void *user, struct span line);
	/* The child is gone when it returns. */
	void (*on_end)(void *user, const struct child_end *end);
};

struct child_options {
	const char *peer; /* "worker of acme/geo" */
	const char *path;
	const char *const *argv;
	const struct process_rights *rights;
	const struct process_fd *fds; /* besides 1, 2 and 3 */
	size_t fd_count;
	uint8_t link; /* PROTOCOL_LINK_..._TO_SUPERVISOR */
	uint32_t silence_ms;
	const struct child_events *events;
	void *user;
};

int child_start(struct child **out, struct uv_loop_s *loop, const struct child_options *options,
	struct error *err);

/* NULL once it is closed. */
struct channel *child_channel(const struct child *c);
pid_t child_pid(const struct child *c);
bool child_usage(const struct child *c, uint64_t *cpu_ns, uint64_t *memory_bytes);

/* SIGKILL, for this reason; the first one counts. */
void child_kill(struct child *c, int rc, const char *text);

#endif
