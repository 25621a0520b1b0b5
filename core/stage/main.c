/* mortise-stage - check one package, or one configuration, and exit
 *
 * Started by the supervisor with its control channel as descriptor 3. One message in, one out. What
 * cannot be answered is said on descriptor 2, and the exit code is 1.
 */
#include <stdio.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "channel/channel.h"
#include "channel/protocol.h"
#include "stage/job.h"
#include "stage/limits.h"

static int run_package(struct span payload, int fd, struct protocol_memory *memory,
	struct text *answer, struct error *err)
{
	struct stage_package job;
	int rc = decode_stage_package(&job, payload, memory, err);

	if (rc == 0)
		rc = limits_apply(&job, err);
	if (rc == 0)
		job_package(&job, fd, answer);
	return rc;
}

static int run_config(
	struct span payload, struct protocol_memory *memory, struct text *answer, struct error *err)
{
	struct stage_config job;
	int rc = decode_stage_config(&job, payload, memory, err);

	if (rc == 0)
		rc = limits_apply_small(err);
	if (rc == 0)
		job_config(&job, answer);
	return rc;
}

/* The answer to message, of the type that belongs to it. */
static int run(const struct channel_message *message, uint16_t *type, struct text *answer,
	struct error *err)
{
	struct protocol_memory memory;
	int rc;

	protocol_memory_init(&memory);
	if (message->type == PROTOCOL_STAGE_PACKAGE) {
		*type = PROTOCOL_STAGE_PACKAGE_RESULT;
		rc = run_package(message->payload, message->fd, &memory, answer, err);
	} else if (message->type == PROTOCOL_STAGE_CONFIG) {
		*type = PROTOCOL_STAGE_CONFIG_RESULT;
		rc = run_config(message->payload, &memory, answer, err);
	} else {
		rc = error_set(err, ERR_PROTOCOL, "message 0x%04x is no job", message->type);
	}
	protocol_memory_done(&memory);
	return rc;
}

static int serve(struct channel_line *line, struct error *err)
{
	struct channel_message message, reply = { .fd = -1 };
	struct text answer;
	int rc = limits_begin(err);

	if (rc == 0)
		rc = channel_line_receive(line, &message, err);
	if (rc < 0)
		return rc;
	text_init(&answer);
	rc = run(&message, &reply.type, &answer, err);
	reply.id = message.id;
	reply.payload = text_span(&answer);
	io_closep(&message.fd);
	if (rc == 0)
		rc = channel_line_send(line, &reply, err);
	text_done(&answer);
	return rc;
}

int main(void)
{
	struct channel_line *line = channel_line_new(PROTOCOL_FD_CONTROL, "supervisor",
		protocol_limit, PROTOCOL_LINK_SUPERVISOR_TO_STAGE, true);
	struct error err = { 0 };
	int rc = serve(line, &err);

	channel_line_free(line);
	if (rc < 0)
		(void)fprintf(stderr, "mortise-stage: %s\n", err.text);
	return rc < 0;
}
