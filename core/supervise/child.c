#include "supervise/child.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <uv.h>

#include "base/assert.h"
#include "base/mem.h"
#include "channel/channel.h"
#include "channel/protocol.h"
#include "supervise/lines.h"

#define CHILD_MAGIC 0x646c6863u

struct child {
	uint32_t magic;
	struct process *process; /* NULL: reaped */
	struct channel *channel; /* NULL: closed */
	struct lines *lines;
	uv_timer_t timer; /* patience: with the process, or with the channel of a dead one */
	unsigned living;  /* of process, channel, lines, timer */
	const struct child_events *events;
	void *user;
	struct process_exit exit;
	struct error reason;
};

static void on_timer_closed(uv_handle_t *handle);

static void part_ended(struct child *c)
{
	ASSERT(c->living > 0);
	c->living--;
	/* The timer goes last. */
	if (c->living == 1)
		uv_close((uv_handle_t *)&c->timer, on_timer_closed);
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct child *c = CONTAINER_OF(handle, struct child, timer);
	struct child_end end = { c->exit, c->reason.code, c->reason.text };

	ASSERT(c->magic == CHILD_MAGIC && c->living == 1);
	c->magic = 0;
	c->events->on_end(c->user, &end);
	mem_free(c);
}

static void on_patience_over(uv_timer_t *timer)
{
	struct child *c = CONTAINER_OF(timer, struct child, timer);

	if (c->process)
		child_kill(c, ERR_CLOSED, "it closed its control channel and did not end");
	else if (c->channel)
		channel_close(c->channel);
}

static void on_message(void *user, struct channel_message *message)
{
	struct child *c = user;

	ASSERT(c->magic == CHILD_MAGIC);
	c->events->on_message(c->user, message);
}

static void on_channel_close(void *user, int rc, const char *text)
{
	struct child *c = user;

	ASSERT(c->magic == CHILD_MAGIC);
	c->channel = NULL;
	if (c->process) {
		if (rc == ERR_CLOSED || rc == 0)
			(void)uv_timer_start(&c->timer, on_patience_over, CHILD_LAST_MS, 0);
		else
			child_kill(c, rc, text);
	}
	part_ended(c);
}

static const struct channel_events channel_events = {
	.on_message = on_message,
	.on_close = on_channel_close,
};

static void on_line(void *user, struct span line)
{
	struct child *c = user;

	c->events->on_line(c->user, line);
}

static void on_lines_closed(void *user)
{
	part_ended(user);
}

static void on_exit_of(void *user, const struct process_exit *exit)
{
	struct child *c = user;

	ASSERT(c->magic == CHILD_MAGIC);
	c->process = NULL;
	c->exit = *exit;
	lines_close(c->lines, on_lines_closed);
	/* Its last messages are read before the end of the stream; a process that it forked may
	 * hold the other end open for ever. */
	if (c->channel)
		(void)uv_timer_start(&c->timer, on_patience_over, CHILD_LAST_MS, 0);
	part_ended(c);
}

static int start_process(struct child *c, struct uv_loop_s *loop, const struct child_options *o,
	int control, int writer, struct error *err)
{
	struct process_fd fds[PROCESS_FDS_MAX];
	struct process_options options = {
		.path = o->path, .argv = o->argv, .rights = o->rights, .fds = fds
	};
	size_t n = 0;

	ASSERT(o->fd_count + 3 <= PROCESS_FDS_MAX);
	fds[n++] = (struct process_fd){ writer, STDOUT_FILENO };
	fds[n++] = (struct process_fd){ writer, STDERR_FILENO };
	fds[n++] = (struct process_fd){ control, PROTOCOL_FD_CONTROL };
	for (size_t i = 0; i < o->fd_count; i++)
		fds[n++] = o->fds[i];
	options.fd_count = n;
	return process_start(&c->process, loop, &options, on_exit_of, c, err);
}

static int start_parts(struct child *c, struct uv_loop_s *loop, const struct child_options *o,
	const int ends[2], struct error *err)
{
	struct channel_config config = { .peer = o->peer,
		.events = &channel_events,
		.user = c,
		.limit = protocol_limit,
		.link = o->link,
		.control = true,
		.silence_ms = o->silence_ms };
	int writer, rc;

	rc = lines_start(&c->lines, loop, on_line, c, &writer, err);
	if (rc < 0) {
		(void)close(ends[0]);
		return rc;
	}
	rc = start_process(c, loop, o, ends[1], writer, err);
	(void)close(writer);
	if (rc < 0) {
		(void)close(ends[0]);
		lines_close(c->lines, NULL);
		return rc;
	}
	c->living = 4;
	rc = channel_start(&c->channel, loop, ends[0], &config, err);
	if (rc < 0) {
		/* There is a process already, so this is an end like others. */
		c->living--;
		child_kill(c, rc, "no control channel");
	}
	return 0;
}

int child_start(struct child **out, struct uv_loop_s *loop, const struct child_options *options,
	struct error *err)
{
	struct child *c;
	int ends[2], rc;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == -1)
		return error_set_errno(err, errno, "make a control channel");
	c = mem_zalloc(sizeof(*c));
	c->magic = CHILD_MAGIC;
	c->events = options->events;
	c->user = options->user;
	rc = start_parts(c, loop, options, ends, err);
	(void)close(ends[1]);
	if (rc < 0) {
		c->magic = 0;
		mem_free(c);
		return rc;
	}
	(void)uv_timer_init(loop, &c->timer);
	*out = c;
	return 0;
}

struct channel *child_channel(const struct child *c)
{
	return c->channel;
}

pid_t child_pid(const struct child *c)
{
	return c->process ? process_pid(c->process) : 0;
}

bool child_usage(const struct child *c, uint64_t *cpu_ns, uint64_t *memory_bytes)
{
	return c->process && process_usage(c->process, cpu_ns, memory_bytes);
}

void child_kill(struct child *c, int rc, const char *text)
{
	ASSERT(c->magic == CHILD_MAGIC);
	if (c->reason.code == 0)
		(void)error_set(&c->reason, rc, "%s", text);
	if (c->process)
		process_kill(c->process, SIGKILL);
}
