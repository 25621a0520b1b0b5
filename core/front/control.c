/* The control channel: what the supervisor tells this front, and its end. Without a supervisor a
 * front has no reason to be: when the channel ends, the process does. */
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

#include "api/api.h"
#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "front/front.h"
#include "front/table.h"
#include "identity/authority.h"

enum asked_kind { UPLOAD = 1, SECRET };

struct upload {
	control_staged_cb done;
	void *user;
};

struct secret {
	control_key_ring_cb done;
	void *user;
};

/* ---- uploads -----------------------------------------------------------------------------------
 */

void control_stage(struct front *front, int fd, uint64_t size, struct span user_id,
	control_staged_cb done, void *user)
{
	struct upload *upload = mem_zalloc(sizeof(*upload));
	struct front_stage message = { .user = user_id, .size = size };
	uint64_t id;

	upload->done = done;
	upload->user = user;
	id = slots_add(&front->asked, upload, UPLOAD);
	/* When it cannot be sent the channel is closing, and its end answers all uploads. */
	(void)protocol_send(front->control, PROTOCOL_FRONT_STAGE, id, &message, 0, fd);
}

static void end_upload(struct front *front, uint64_t id, const struct front_staged *message)
{
	struct upload *upload = slots_get(&front->asked, id, UPLOAD);

	if (!upload)
		return;
	(void)slots_remove(&front->asked, id);
	upload->done(upload->user, message);
	mem_free(upload);
}

/* ---- the key ring ------------------------------------------------------------------------------
 */

void control_key_ring(struct front *front, enum key_ring_op op, struct span context,
	struct span data, control_key_ring_cb done, void *user)
{
	struct secret *secret = mem_zalloc(sizeof(*secret));
	const struct front_key_ring message = { .op = op, .context = context, .data = data };

	secret->done = done;
	secret->user = user;
	(void)send_front_key_ring(
		front->control, slots_add(&front->asked, secret, SECRET), &message);
}

static void end_secret(
	struct front *front, uint64_t id, const struct front_key_ring_result *message)
{
	struct secret *secret = slots_get(&front->asked, id, SECRET);
	struct error err = { 0 };

	if (!secret)
		return;
	(void)slots_remove(&front->asked, id);
	if (message->rc != 0)
		(void)error_set(
			&err, error_entry(message->rc)->code, "%.*s", SPAN_ARG(message->text));
	secret->done(secret->user, err.code ? &err : NULL, message->result);
	mem_free(secret);
}

/* ---- messages ----------------------------------------------------------------------------------
 */

static int on_start(struct front *front, struct channel_message *message, struct error *err)
{
	struct front_ready ready = { 0 };
	struct front_start start;
	int rc = decode_front_start(&start, message->payload, &front->memory, err);
	int rate_fd = message->fd;

	if (rc < 0)
		return rc;
	if (front->pool)
		return error_set(err, ERR_PROTOCOL, "a second start");
	rc = front_begin(front, &start, rate_fd, err);
	if (rc == 0) /* READY follows, when it serves */
		return 0;
	ready.rc = rc;
	ready.text = span_of(err->text);
	(void)send_front_ready(front->control, 0, &ready);
	log_error("front does not start", LOG_ERR(err));
	return 0;
}

static int on_table(struct front *front, struct channel_message *message, struct error *err)
{
	struct front_table_ack ack;
	struct front_table decoded;
	struct table *table = NULL, *old = front->table;
	int rc = decode_front_table(&decoded, message->payload, &front->memory, err);

	if (rc == 0)
		rc = table_new(&table, &decoded, err);
	if (rc < 0)
		return rc;
	front->table = table;
	front->started = front->started || front->database_up;
	links_follow_table(front);
	table_free(old);
	ack.number = table_number(table);
	(void)send_front_table_ack(front->control, 0, &ack);
	return 0;
}

static int on_connect(struct front *front, struct channel_message *message, struct error *err)
{
	struct front_worker_connect connect;
	int rc = decode_front_worker_connect(&connect, message->payload, &front->memory, err);

	if (rc == 0)
		link_connect(front, &connect);
	return rc;
}

static int on_staged(struct front *front, struct channel_message *message, struct error *err)
{
	struct front_staged staged;
	int rc = decode_front_staged(&staged, message->payload, &front->memory, err);

	if (rc == 0)
		end_upload(front, message->id, &staged);
	return rc;
}

static int on_key_ring(struct front *front, struct channel_message *message, struct error *err)
{
	struct front_key_ring_result result;
	int rc = decode_front_key_ring_result(&result, message->payload, &front->memory, err);

	if (rc == 0)
		end_secret(front, message->id, &result);
	mem_wipe((void *)(uintptr_t)message->payload.data, message->payload.len);
	return rc;
}

static int on_notify(struct front *front, struct channel_message *message, struct error *err)
{
	struct front_notify notify;
	int rc = decode_front_notify(&notify, message->payload, &front->memory, err);

	if (rc < 0 || !front->api)
		return rc;
	if (span_is(notify.topic, "mortise_authority"))
		authority_ring(front->authority);
	else
		api_notify(front->api, notify.topic, notify.payload);
	return 0;
}

static int on_stop(struct front *front, struct channel_message *message, struct error *err)
{
	struct front_stop stop;
	int rc = decode_front_stop(&stop, message->payload, &front->memory, err);

	if (rc == 0)
		front_stop(front, stop.deadline_ms);
	return rc;
}

static void on_message(void *user, struct channel_message *message)
{
	struct front *front = user;
	struct error err;
	int rc;

	switch (message->type) {
	case PROTOCOL_FRONT_START:
		rc = on_start(front, message, &err);
		break;
	case PROTOCOL_FRONT_TABLE:
		rc = on_table(front, message, &err);
		break;
	case PROTOCOL_FRONT_WORKER_CONNECT:
		rc = on_connect(front, message, &err);
		break;
	case PROTOCOL_FRONT_STAGED:
		rc = on_staged(front, message, &err);
		break;
	case PROTOCOL_FRONT_NOTIFY:
		rc = on_notify(front, message, &err);
		break;
	case PROTOCOL_FRONT_KEY_RING_RESULT:
		rc = on_key_ring(front, message, &err);
		break;
	case PROTOCOL_FRONT_STOP:
		rc = on_stop(front, message, &err);
		break;
	default:
		rc = error_set(&err, ERR_PROTOCOL, "not a message for a front");
	}
	if (rc < 0)
		channel_fail(front->control, err.code, err.text);
}

static void on_close(void *user, int rc, const char *text)
{
	struct front *front = user;

	front->control = NULL;
	if (front->stopping && (rc == 0 || rc == ERR_CLOSED))
		_exit(front->exit_code);
	log_error("the channel to the supervisor ended, leaving", LOG_INT("code", rc),
		LOG_STR("reason", text));
	_exit(EXIT_FAILURE);
}

static const struct channel_events events = {
	.on_message = on_message,
	.on_close = on_close,
};

int control_start(struct front *front, struct error *err)
{
	struct channel_config config = {
		.peer = "supervisor",
		.events = &events,
		.user = front,
		.limit = protocol_limit,
		.link = PROTOCOL_LINK_SUPERVISOR_TO_FRONT,
		.control = true,
	};

	return channel_start(&front->control, front->loop, PROTOCOL_FD_CONTROL, &config, err);
}
