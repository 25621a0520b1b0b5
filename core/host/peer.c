/* Each front is one channel. A request, an incoming call and the calls made for them live and die
 * with the channel that brought them; background calls go to the open channel of the lowest slot.
 */
#include "base/assert.h"
#include "base/mem.h"
#include "channel/channel.h"
#include "host/host_priv.h"

/* A front beats each second; a silent one is replaced by the supervisor, but its requests should
 * not wait for that. */
#define FRONT_SILENCE_MS 15000

struct peer *peer_primary(struct host *h)
{
	struct peer *best = NULL;

	list_for_each(struct peer, p, &h->peers, link) {
		/* Of two with one slot the later is the successor; it stands behind. */
		if (p->channel && p->named && (!best || p->slot <= best->slot))
			best = p;
	}
	return best;
}

void peer_break(struct peer *p, const char *what)
{
	channel_fail(p->channel, ERR_PROTOCOL, what);
}

static void on_front(struct peer *p, const struct channel_message *m)
{
	struct data_front front;

	if (decode_data_front(&front, m->payload, &p->host->memory, NULL) < 0 || p->named) {
		peer_break(p, "a front names itself once");
		return;
	}
	p->named = true;
	p->slot = front.slot;
}

static void on_consumed(struct peer *p, const struct channel_message *m)
{
	struct data_response_consumed consumed;

	if (decode_data_response_consumed(&consumed, m->payload, &p->host->memory, NULL) < 0)
		peer_break(p, "malformed credit");
	else
		http_on_consumed(p, m->id, consumed.bytes);
}

/* The reasons a plugin is told are those of http.h and call.h. */
static int32_t reason_of(int32_t rc)
{
	switch (rc) {
	case MORTISE_E_DEADLINE:
	case MORTISE_E_UNAVAIL:
	case MORTISE_E_TOO_LARGE:
	case MORTISE_E_FORMAT:
		return rc;
	default:
		return MORTISE_E_CANCELLED;
	}
}

static void on_gone(struct peer *p, const struct channel_message *m)
{
	struct data_gone gone;

	if (decode_data_gone(&gone, m->payload, &p->host->memory, NULL) < 0) {
		peer_break(p, "malformed end of a request");
		return;
	}
	if (!http_on_gone(p, m->id, reason_of(gone.rc)))
		(void)call_on_gone(p, m->id, reason_of(gone.rc));
	host_settle(p->host);
}

static void on_message(void *user, struct channel_message *m)
{
	struct peer *p = user;

	if (!p->named && m->type != PROTOCOL_DATA_FRONT) {
		peer_break(p, "a front names itself first");
		return;
	}
	switch (m->type) {
	case PROTOCOL_DATA_FRONT:
		on_front(p, m);
		break;
	case PROTOCOL_DATA_REQUEST:
		http_on_request(p, m);
		break;
	case PROTOCOL_DATA_BODY:
		http_on_body(p, m);
		break;
	case PROTOCOL_DATA_RESPONSE_CONSUMED:
		on_consumed(p, m);
		break;
	case PROTOCOL_DATA_GONE:
		on_gone(p, m);
		break;
	case PROTOCOL_DATA_CALL_RESULT:
		call_on_result(p, m);
		break;
	case PROTOCOL_DATA_ON_CALL:
		call_on_incoming(p, m);
		break;
	default:
		BUG("the channel let a message of another link pass");
	}
}

static void on_writable(void *user)
{
	http_on_room(user);
}

static void on_close(void *user, int rc, const char *text)
{
	struct peer *p = user;
	struct host *h = p->host;

	if (rc == ERR_PROTOCOL)
		host_note(h, "a front broke the protocol", "error", text);
	p->channel = NULL;
	http_on_peer_lost(p);
	call_on_peer_lost(p);
	list_remove(&p->link);
	map_done(&p->requests);
	map_done(&p->incoming);
	map_done(&p->calls);
	mem_free(p);
	host_settle(h);
}

static const struct channel_events events = {
	.on_message = on_message,
	.on_writable = on_writable,
	.on_close = on_close,
};

int host_serve(struct host *h, int fd, struct error *err)
{
	struct peer *p = mem_zalloc(sizeof(*p));
	struct channel_config config = {
		.peer = "front",
		.events = &events,
		.user = p,
		.limit = protocol_limit,
		.link = PROTOCOL_LINK_FRONT_TO_WORKER,
		.silence_ms = FRONT_SILENCE_MS,
	};
	int rc = channel_start(&p->channel, h->loop, fd, &config, err);

	if (rc < 0) {
		mem_free(p);
		return rc;
	}
	p->host = h;
	map_init(&p->requests);
	map_init(&p->incoming);
	map_init(&p->calls);
	list_init(&p->waiting);
	list_append(&h->peers, &p->link);
	return 0;
}

void peers_close(struct host *h)
{
	list_for_each(struct peer, p, &h->peers, link) {
		if (p->channel)
			channel_close(p->channel);
	}
}

void host_forked(struct host *h)
{
	list_for_each(struct peer, p, &h->peers, link) {
		if (p->channel)
			channel_forked(p->channel);
	}
}
