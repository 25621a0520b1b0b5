/* The channel to mortise-fetch: opened when first needed, and again when needed after it ended. The
 * supervisor keeps the socket, so what is sent while there is no process waits for the next one. A
 * process that ends takes what it was doing with it: whatever may have had an effect is then
 * ERR_UNKNOWN, all else ERR_UNAVAIL. */
#include <stdbool.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "channel/channel.h"
#include "front/link_priv.h"

#define FETCH_SILENCE_MS 15000

enum { FETCH = 1 };

struct asked {
	api_fetch_cb done;
	void *user;
	uint64_t bytes;
	bool acts; /* what was sent may have an effect */
};

static void end(struct front *front, uint64_t id, const struct fetch_result *result)
{
	struct asked *a = slots_remove(&front->fetches, id);

	if (!a)
		return;
	front->fetch_bytes -= a->bytes;
	a->done(a->user, result);
	mem_free(a);
}

static void on_message(void *user, struct channel_message *message)
{
	struct front *front = user;
	struct fetch_result result;
	struct error err;

	if (message->type != PROTOCOL_FETCH_RESULT)
		(void)error_set(&err, ERR_PROTOCOL, "not a message for a front");
	else if (decode_fetch_result(&result, message->payload, &front->memory, &err) == 0) {
		end(front, message->id, &result);
		return;
	}
	channel_fail(front->fetch, err.code, err.text);
}

static void on_close(void *user, int rc, const char *text)
{
	const struct fetch_result unknown = { .rc = ERR_UNKNOWN,
		.text = SPAN("mortise-fetch ended; perhaps it was done") };
	const struct fetch_result unavail = { .rc = ERR_UNAVAIL,
		.text = SPAN("mortise-fetch ended; it is started again") };
	struct front *front = user;
	uint64_t id;

	front->fetch = NULL;
	if (!front->stopping)
		log_warn("mortise-fetch's channel ended", LOG_INT("code", rc),
			LOG_STR("reason", text));
	while ((id = slots_next(&front->fetches, 0)) != 0) {
		struct asked *a = slots_get(&front->fetches, id, FETCH);

		end(front, id, a->acts ? &unknown : &unavail);
	}
}

static const struct channel_events events = { .on_message = on_message, .on_close = on_close };

static int connect_to_fetch(struct front *front, struct error *err)
{
	const struct channel_config config = { .peer = "mortise-fetch",
		.events = &events,
		.user = front,
		.limit = protocol_limit,
		.link = PROTOCOL_LINK_FETCH_TO_FRONT,
		.silence_ms = FETCH_SILENCE_MS };
	int fd = link_open_socket(front->fetch_path, err), rc;

	if (fd < 0)
		return error_set(err, ERR_UNAVAIL, "mortise-fetch cannot be reached");
	rc = channel_start(&front->fetch, front->loop, fd, &config, err);
	if (rc < 0)
		front->fetch = NULL;
	return rc;
}

static uint64_t start(struct front *front, uint16_t type, const void *message, struct asked asked,
	struct error *err)
{
	struct asked *a;
	uint64_t id;

	if (front->fetches.count >= PROTOCOL_FETCHES ||
		front->fetch_bytes + asked.bytes > PROTOCOL_FETCH_WINDOW) {
		(void)error_set(
			err, ERR_LIMIT, "too many requests to other hosts wait in this front");
		return 0;
	}
	if (!front->fetch && connect_to_fetch(front, err) < 0)
		return 0;
	a = mem_copy(&asked, sizeof(asked));
	id = slots_add(&front->fetches, a, FETCH);
	front->fetch_bytes += a->bytes;
	/* When it cannot be sent the channel is closing, and its end answers. */
	(void)protocol_send(front->fetch, type, id, message, 0, -1);
	return id;
}

uint64_t fetch_start_http(struct front *front, const struct fetch_http *message, api_fetch_cb done,
	void *user, struct error *err)
{
	bool acts = !span_is(message->method, "GET") && !span_is(message->method, "HEAD");

	return start(front, PROTOCOL_FETCH_HTTP, message,
		(struct asked){ done, user, message->body.len, acts }, err);
}

uint64_t fetch_start_mail(struct front *front, const struct fetch_mail *message, api_fetch_cb done,
	void *user, struct error *err)
{
	return start(front, PROTOCOL_FETCH_MAIL, message,
		(struct asked){ done, user, message->message.len, true }, err);
}

void fetch_cancel(struct front *front, uint64_t id)
{
	if (slots_get(&front->fetches, id, FETCH) && front->fetch)
		(void)protocol_send_signal(front->fetch, PROTOCOL_FETCH_CANCEL, id);
}
