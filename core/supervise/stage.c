#include "supervise/stage.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <uv.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "channel/channel.h"
#include "supervise/child.h"

#define STAGE_MAGIC 0x65676174u

/* The answer is kept until the process is gone, so that nothing of the job runs any more when its
 * files are used. */
struct stage {
	uint32_t magic;
	struct child *child; /* NULL: could not be started */
	uv_timer_t timer;
	bool config;
	bool answered;
	struct text payload;
	struct error err;
	stage_package_cb on_package;
	stage_config_cb on_config;
	void *user;
};

static void deliver(struct stage *s)
{
	struct protocol_memory memory;
	struct stage_package_result package;
	struct stage_config_result config;
	struct span payload = text_span(&s->payload);
	int rc = s->answered ? 0 : s->err.code;

	protocol_memory_init(&memory);
	if (rc == 0 && s->config)
		rc = decode_stage_config_result(&config, payload, &memory, &s->err);
	else if (rc == 0)
		rc = decode_stage_package_result(&package, payload, &memory, &s->err);
	if (s->config)
		s->on_config(s->user, rc == 0 ? &config : NULL, rc == 0 ? NULL : &s->err);
	else
		s->on_package(s->user, rc == 0 ? &package : NULL, rc == 0 ? NULL : &s->err);
	protocol_memory_done(&memory);
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct stage *s = CONTAINER_OF(handle, struct stage, timer);

	ASSERT(s->magic == STAGE_MAGIC);
	deliver(s);
	s->magic = 0;
	text_done(&s->payload);
	mem_free(s);
}

static void finish(struct stage *s)
{
	uv_close((uv_handle_t *)&s->timer, on_timer_closed);
}

static void on_timer(uv_timer_t *timer)
{
	struct stage *s = CONTAINER_OF(timer, struct stage, timer);

	if (!s->child)
		finish(s);
	else
		child_kill(s->child, ERR_DEADLINE, "it took longer than stage.timeout_ms");
}

static void on_message(void *user, struct channel_message *message)
{
	struct stage *s = user;
	uint16_t wanted = s->config ? PROTOCOL_STAGE_CONFIG_RESULT : PROTOCOL_STAGE_PACKAGE_RESULT;

	ASSERT(s->magic == STAGE_MAGIC);
	if (message->type != wanted || s->answered) {
		child_kill(s->child, ERR_PROTOCOL, "an answer that nobody asked for");
		return;
	}
	s->answered = true;
	text_append_span(&s->payload, message->payload);
}

static void on_line(void *user, struct span line)
{
	(void)user;
	log_info("stage said", LOG_SPAN("line", line));
}

static void on_end(void *user, const struct child_end *end)
{
	struct stage *s = user;
	struct text how;

	s->child = NULL;
	if (!s->answered) {
		text_init(&how);
		process_exit_text(&end->exit, &how);
		(void)error_set(&s->err, ERR_STAGE_FAILED, "checking the package: %s%s%s",
			end->rc ? end->text : how.data, end->rc ? "; the process was " : "",
			end->rc ? how.data : "");
		text_done(&how);
	}
	finish(s);
}

static const struct child_events child_events = {
	.on_message = on_message,
	.on_line = on_line,
	.on_end = on_end,
};

static struct stage *begin(struct uv_loop_s *loop, const struct stage_options *o, bool config)
{
	const char *argv[] = { "mortise-stage", NULL };
	const struct child_options options = { .peer = "stage",
		.path = o->program,
		.argv = argv,
		.rights = &o->rights,
		.link = PROTOCOL_LINK_STAGE_TO_SUPERVISOR,
		.events = &child_events };
	struct stage *s = mem_zalloc(sizeof(*s));
	struct child_options own = options;

	s->magic = STAGE_MAGIC;
	s->config = config;
	text_init(&s->payload);
	(void)uv_timer_init(loop, &s->timer);
	own.user = s;
	if (child_start(&s->child, loop, &own, &s->err) < 0)
		s->child = NULL;
	(void)uv_timer_start(&s->timer, on_timer, s->child ? o->timeout_ms : 0, 0);
	return s;
}

void stage_check_package(struct uv_loop_s *loop, const struct stage_options *options,
	const struct stage_package *package, int fd, stage_package_cb done, void *user)
{
	struct stage *s = begin(loop, options, false);

	s->on_package = done;
	s->user = user;
	if (s->child && child_channel(s->child))
		(void)protocol_send(
			child_channel(s->child), PROTOCOL_STAGE_PACKAGE, 1, package, 0, fd);
}

void stage_check_config(struct uv_loop_s *loop, const struct stage_options *options,
	const struct stage_config *config, stage_config_cb done, void *user)
{
	struct stage *s = begin(loop, options, true);

	s->on_config = done;
	s->user = user;
	if (s->child && child_channel(s->child))
		(void)send_stage_config(child_channel(s->child), 1, config);
}
