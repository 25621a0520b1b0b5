#include "fetch/peers.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include <uv.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "channel/channel.h"
#include "channel/protocol.h"
#include "fetch/transfer.h"

#define FRONT_SILENCE_MS 15000
#define ACCEPTS_A_TURN   16
#define ACCEPT_PAUSE_MS  200

struct peers {
	uv_loop_t *loop;
	int fd;
	struct transfers *transfers;
	uv_poll_t listener;
	uv_timer_t again;
	bool stopped;
	struct list list; /* of struct peer */
	struct protocol_memory memory;
};

struct peer {
	struct peers *all;
	struct list link;
	struct channel *channel;
	struct map pending; /* id -> struct pending */
};

struct pending {
	struct peer *peer;
	uint64_t id;
	struct transfer *transfer;
};

static void end_pending(struct pending *p)
{
	(void)map_remove_u64(&p->peer->pending, p->id);
	mem_free(p);
}

static void send_failure(struct peer *peer, uint64_t id, const struct error *err)
{
	const struct fetch_result result = { .rc = err->code, .text = span_of(err->text) };

	(void)send_fetch_result(peer->channel, id, &result);
}

static void on_done(void *user, const struct fetch_result *result)
{
	struct pending *p = user;

	(void)send_fetch_result(p->peer->channel, p->id, result);
	end_pending(p);
}

static struct pending *pending_new(struct peer *peer, uint64_t id)
{
	struct pending *p = mem_zalloc(sizeof(*p));

	p->peer = peer;
	p->id = id;
	(void)map_put_u64(&peer->pending, id, p);
	return p;
}

static void start(struct peer *peer, struct channel_message *message)
{
	struct transfers *transfers = peer->all->transfers;
	struct protocol_memory *memory = &peer->all->memory;
	struct fetch_http http;
	struct fetch_mail mail;
	struct pending *p;
	struct error err;
	bool is_http = message->type == PROTOCOL_FETCH_HTTP;
	int rc = is_http ? decode_fetch_http(&http, message->payload, memory, &err)
			 : decode_fetch_mail(&mail, message->payload, memory, &err);

	if (rc < 0 || map_get_u64(&peer->pending, message->id) ||
		peer->pending.count >= PROTOCOL_FETCHES) {
		channel_fail(peer->channel, ERR_PROTOCOL, "a request that may not be sent");
		return;
	}
	if (peer->all->stopped) {
		(void)error_set(&err, ERR_UNAVAIL, "the host stops");
		send_failure(peer, message->id, &err);
		return;
	}
	p = pending_new(peer, message->id);
	rc = is_http ? transfer_http(&p->transfer, transfers, &http, on_done, p, &err)
		     : transfer_mail(&p->transfer, transfers, &mail, on_done, p, &err);
	if (rc < 0) {
		send_failure(peer, message->id, &err);
		end_pending(p);
	}
}

static void cancel(struct peer *peer, uint64_t id)
{
	struct pending *p = map_get_u64(&peer->pending, id);
	struct error err;

	if (!p)
		return;
	if (transfer_may_have_acted(p->transfer))
		(void)error_set(&err, ERR_UNKNOWN, "cancelled when it had been sent");
	else
		(void)error_set(&err, ERR_CANCELLED, "cancelled");
	transfer_abort(p->transfer);
	send_failure(peer, id, &err);
	end_pending(p);
}

static void on_message(void *user, struct channel_message *message)
{
	struct peer *peer = user;

	if (message->type == PROTOCOL_FETCH_CANCEL)
		cancel(peer, message->id);
	else
		start(peer, message);
}

/* Nobody is left to hear of what the front asked for. */
static void on_close(void *user, int rc, const char *text)
{
	struct peer *peer = user;
	const struct map_entry *entry;
	size_t at = 0;

	if (rc != 0 && rc != ERR_CLOSED)
		log_warn("the channel to a front ended", LOG_INT("code", rc),
			LOG_STR("reason", text));
	while ((entry = map_next(&peer->pending, &at)) != NULL) {
		struct pending *p = entry->value;

		transfer_abort(p->transfer);
		end_pending(p);
		at = 0;
	}
	map_done(&peer->pending);
	list_remove(&peer->link);
	mem_free(peer);
}

static const struct channel_events events = { .on_message = on_message, .on_close = on_close };

/* ---- accepting --------------------------------------------------------------------------------
 */

static void admit(struct peers *peers, int fd)
{
	const struct channel_config config = { .peer = "front",
		.events = &events,
		.limit = protocol_limit,
		.link = PROTOCOL_LINK_FRONT_TO_FETCH,
		.silence_ms = FRONT_SILENCE_MS };
	struct channel_config own = config;
	struct peer *peer = mem_zalloc(sizeof(*peer));
	struct error err;

	peer->all = peers;
	map_init(&peer->pending);
	own.user = peer;
	if (channel_start(&peer->channel, peers->loop, fd, &own, &err) == 0) {
		list_append(&peers->list, &peer->link);
		return;
	}
	log_warn("front not served", LOG_ERR(&err));
	mem_free(peer);
}

static void on_listener(uv_poll_t *poll, int status, int ready);

static void on_again(uv_timer_t *timer)
{
	struct peers *peers = timer->data;

	if (!peers->stopped)
		(void)uv_poll_start(&peers->listener, UV_READABLE, on_listener);
}

static void on_listener(uv_poll_t *poll, int status, int ready)
{
	struct peers *peers = poll->data;

	(void)status;
	(void)ready;
	for (int i = 0; i < ACCEPTS_A_TURN; i++) {
		int fd = accept4(peers->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd != -1) {
			admit(peers, fd);
			continue;
		}
		/* Out of descriptors: the loop must not spin on fronts that wait. */
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) {
			(void)uv_poll_stop(&peers->listener);
			(void)uv_timer_start(&peers->again, on_again, ACCEPT_PAUSE_MS, 0);
		}
		return;
	}
}

static uint64_t pending_bytes(void *user)
{
	struct peers *peers = user;
	uint64_t bytes = 0;

	list_for_each(struct peer, peer, &peers->list, link)
		bytes += channel_pending(peer->channel);
	return bytes;
}

int peers_new(struct peers **out, struct uv_loop_s *loop, int fd, struct transfers *transfers,
	struct error *err)
{
	struct peers *peers = mem_zalloc(sizeof(*peers));
	int rc;

	peers->loop = loop;
	peers->fd = fd;
	peers->transfers = transfers;
	list_init(&peers->list);
	protocol_memory_init(&peers->memory);
	rc = uv_poll_init(loop, &peers->listener, fd);
	if (rc == 0)
		rc = uv_timer_init(loop, &peers->again);
	peers->listener.data = peers->again.data = peers;
	if (rc == 0)
		rc = uv_poll_start(&peers->listener, UV_READABLE, on_listener);
	if (rc != 0) {
		mem_free(peers);
		return error_set(err, ERR_SYSTEM, "listen to fronts: %s", uv_strerror(rc));
	}
	transfers_count_pending(transfers, pending_bytes, peers);
	*out = peers;
	return 0;
}

void peers_stop(struct peers *peers)
{
	peers->stopped = true;
	(void)uv_poll_stop(&peers->listener);
}
