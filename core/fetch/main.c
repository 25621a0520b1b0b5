/* mortise-fetch: all of a node's requests to other hosts. Wiring.
 *
 * Descriptors: 3 the control channel to the supervisor, 4 the listening socket for fronts, 1 and 2
 * the log pipe. It begins as an own user (exec_as.h) and has neither database nor keys; secrets of
 * plugins pass through it, so its memory is nobody's to read. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <uv.h>

#include "base/error.h"
#include "base/log.h"
#include "channel/channel.h"
#include "channel/protocol.h"
#include "fetch/peers.h"
#include "fetch/transfer.h"

/* A supervisor that stopped beating is dead or stopped; the next one starts us anew. */
#define SUPERVISOR_SILENCE_MS 60000
#define STOP_LOOK_MS          20

struct fetch {
	uv_loop_t *loop;
	uv_timer_t stop;
	uint64_t stop_at_ms;
	struct channel *control;
	struct transfers *transfers; /* NULL before START */
	struct peers *peers;
	bool stopping;
	struct protocol_memory memory;
};

static int begin(struct fetch *f, struct span payload, struct error *err)
{
	struct fetch_start start;
	int rc = decode_fetch_start(&start, payload, &f->memory, err);

	if (rc == 0 && f->transfers)
		rc = error_set(err, ERR_PROTOCOL, "a second start");
	if (rc == 0)
		rc = transfers_new(&f->transfers, f->loop, &start, err);
	if (rc == 0)
		rc = peers_new(&f->peers, f->loop, PROTOCOL_FD_LISTENER, f->transfers, err);
	return rc;
}

static void on_start(struct fetch *f, struct span payload)
{
	struct fetch_ready ready = { 0 };
	struct error err;

	ready.rc = begin(f, payload, &err);
	ready.text = ready.rc < 0 ? span_of(err.text) : SPAN("");
	(void)send_fetch_ready(f->control, 0, &ready);
}

static void on_stop_timer(uv_timer_t *timer)
{
	struct fetch *f = timer->data;

	if (!f->transfers || transfers_count(f->transfers) == 0 || uv_now(f->loop) >= f->stop_at_ms)
		channel_close(f->control);
}

/* What is under way may end. */
static void on_stop(struct fetch *f, uint32_t deadline_ms)
{
	f->stopping = true;
	if (f->peers)
		peers_stop(f->peers);
	f->stop_at_ms = uv_now(f->loop) + deadline_ms;
	(void)uv_timer_start(&f->stop, on_stop_timer, 0, STOP_LOOK_MS);
}

static void on_message(void *user, struct channel_message *message)
{
	struct fetch *f = user;
	struct fetch_stop stop;
	struct error err;

	if (message->type == PROTOCOL_FETCH_START)
		on_start(f, message->payload);
	else if (decode_fetch_stop(&stop, message->payload, &f->memory, &err) == 0)
		on_stop(f, stop.deadline_ms);
	else
		channel_fail(f->control, err.code, err.text);
}

/* Without a supervisor there is nobody to serve. */
static void on_close(void *user, int rc, const char *text)
{
	struct fetch *f = user;

	if (f->stopping && (rc == 0 || rc == ERR_CLOSED))
		_exit(EXIT_SUCCESS);
	log_error("the channel to the supervisor ended, leaving", LOG_INT("code", rc),
		LOG_STR("reason", text));
	_exit(EXIT_FAILURE);
}

static const struct channel_events events = { .on_message = on_message, .on_close = on_close };

int main(void)
{
	struct fetch fetch = { .loop = uv_default_loop() };
	const struct channel_config config = { .peer = "supervisor",
		.events = &events,
		.user = &fetch,
		.limit = protocol_limit,
		.link = PROTOCOL_LINK_SUPERVISOR_TO_FETCH,
		.control = true,
		.silence_ms = SUPERVISOR_SILENCE_MS };
	struct error err;

	log_init("mortise-fetch", LOG_LEVEL_INFO);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)prctl(PR_SET_DUMPABLE, 0);
	if (fcntl(PROTOCOL_FD_CONTROL, F_GETFD) == -1 ||
		fcntl(PROTOCOL_FD_LISTENER, F_SETFL, O_NONBLOCK) == -1) {
		(void)fputs("mortise-fetch is started by mortised: see 'mortise up'\n", stderr);
		return 2;
	}
	protocol_memory_init(&fetch.memory);
	(void)uv_timer_init(fetch.loop, &fetch.stop);
	fetch.stop.data = &fetch;
	if (channel_start(&fetch.control, fetch.loop, PROTOCOL_FD_CONTROL, &config, &err) < 0) {
		log_error("fetch does not start", LOG_ERR(&err));
		return EXIT_FAILURE;
	}
	(void)uv_run(fetch.loop, UV_RUN_DEFAULT);
	return EXIT_FAILURE; /* the end of the control channel ends the process earlier */
}
