/* host_priv.h - what the files of core/host share
 *
 * host.c: states, callbacks, the way home. ledger.c: registrations and what is due when. peer.c:
 * the fronts. One file for each interface of the ABI, named after it.
 */
#ifndef MORTISE_HOST_HOST_PRIV_H
#define MORTISE_HOST_HOST_PRIV_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include <mortise/plugin.h>

#include "base/error.h"
#include "base/list.h"
#include "base/map.h"
#include "base/slots.h"
#include "base/text.h"
#include "channel/protocol.h"
#include "host/host.h"

#define HOST_MAGIC 0x486f7374u

/* new -> creating -> created -> starting -> serving -> draining -> stopping -> destroyed
 *        creating -> destroyed (create failed)          serving -> stopping
 *                    created -> stopping
 *                               starting -> failed -> stopping
 */
enum host_state {
	HOST_NEW,
	HOST_CREATING,
	HOST_CREATED,
	HOST_STARTING,
	HOST_SERVING,
	HOST_DRAINING,
	HOST_FAILED,
	HOST_STOPPING,
	HOST_DESTROYED,
	HOST_STATE_COUNT
};

#define IN(state) (1u << HOST_##state)
/* The tags of abi.h as sets of states. */
#define STATES_HOME                                                                            \
	(IN(CREATING) | IN(CREATED) | IN(STARTING) | IN(SERVING) | IN(DRAINING) | IN(FAILED) | \
		IN(STOPPING))
#define STATES_STARTED  (IN(STARTING) | IN(SERVING) | IN(DRAINING) | IN(FAILED) | IN(STOPPING))
#define STATES_STARTING IN(STARTING)
/* New registrations are refused once the end has begun, for it would have to undo them again. */
#define STATES_REGISTER (IN(CREATING) | IN(CREATED) | IN(STARTING) | IN(SERVING) | IN(DRAINING))

/* ---- the ledger ---- */

enum entry_kind {
	ENTRY_REQUEST = 1,
	ENTRY_INCOMING,
	ENTRY_TIMER,
	ENTRY_CALL,
	ENTRY_WORK,
	ENTRY_PROBE,
	ENTRY_KIND_COUNT
};

/* The first member of everything a plugin has registered. */
struct entry {
	struct host *host;
	uint64_t id; /* 0: not in the ledger (any more) */
	enum entry_kind kind;
};

/* Something to do at a time. The place in the heap, from 1; 0: not armed. */
struct due {
	uint64_t at_ns;
	size_t place;
	void (*fire)(struct due *due);
};

struct ledger {
	struct slots slots;
	uint32_t counts[ENTRY_KIND_COUNT];
};

struct agenda {
	uv_timer_t timer;
	struct due **heap;
	size_t count, places;
};

void ledger_add(struct host *h, struct entry *entry, enum entry_kind kind);
/* The entry with this id and kind, or NULL. */
void *ledger_find(struct host *h, uint64_t id, enum entry_kind kind);
/* Take it out; its id is stale from then on. Harmless when it is out already. */
void ledger_remove(struct entry *entry);
/* Count what stands in the ledger of these kinds (1 << kind) into the report, by kind and name. */
void ledger_report(struct host *h, unsigned kinds);
/* End each entry that is still there, the one way for stop, failed start and failed load: with
 * their callbacks if the instance exists. Work that runs on a thread stays until it returns. */
void ledger_undo(struct host *h);

void agenda_init(struct host *h);
void agenda_done(struct host *h);
void due_set(struct host *h, struct due *due, uint64_t at_ns);
void due_cancel(struct host *h, struct due *due);

/* ---- the fronts ---- */

struct peer {
	struct list link;
	struct host *host;
	struct channel *channel; /* NULL once closed */
	bool named;              /* DATA_FRONT came */
	uint32_t slot;
	struct map requests; /* wire id -> struct request, until it is over on the wire */
	struct map incoming; /* wire id -> struct incoming */
	struct map calls;    /* wire id -> struct call, until its result came */
	uint64_t next_call;
	size_t call_bytes;     /* of calls */
	size_t incoming_bytes; /* of incoming */
	struct list waiting;   /* requests that wait for room in the channel */
};

/* The peer of background calls, or NULL. */
struct peer *peer_primary(struct host *h);
void peer_break(struct peer *p, const char *what);
void peers_close(struct host *h);

/* ---- one request, one call ---- */

struct route {
	struct span name;
	bool bound;
	uint32_t tag;
	char label[BLACK_BOX_CALLBACK_MAX]; /* "http.on_request ping" */
};

void http_on_request(struct peer *p, const struct channel_message *m);
void http_on_body(struct peer *p, const struct channel_message *m);
void http_on_consumed(struct peer *p, uint64_t id, uint32_t bytes);
/* True when id named a request. */
bool http_on_gone(struct peer *p, uint64_t id, int32_t why);
void http_on_room(struct peer *p);
void http_on_peer_lost(struct peer *p);
/* The plugin did not end it in time: tell both sides. */
void http_undo(struct entry *entry, int32_t why);
void http_describe(const struct entry *entry, struct text *out);

void call_on_result(struct peer *p, const struct channel_message *m);
void call_on_incoming(struct peer *p, const struct channel_message *m);
bool call_on_gone(struct peer *p, uint64_t id, int32_t why);
void call_on_peer_lost(struct peer *p);
void call_undo(struct entry *entry);
void call_describe(const struct entry *entry, struct text *out);
void incoming_undo(struct entry *entry, int32_t why);
void incoming_describe(const struct entry *entry, struct text *out);
/* What of a cause a call for it needs: its peer, its id there and its deadline. */
struct cause {
	struct peer *peer;
	uint64_t wire_id;
	uint64_t deadline_ns; /* 0: none */
};
bool http_cause(struct host *h, uint64_t id, struct cause *out);

void timer_undo(struct entry *entry);
void work_undo(struct entry *entry);
void probe_undo(struct entry *entry);
void probes_done(struct host *h);
int32_t health_report(/* core/1 report() */
	struct mortise_host *handle, mortise_id probe, int32_t health, struct mortise_str detail);
int32_t call_cancel(struct host *h, mortise_id operation); /* STALE: no such call */
int32_t work_cancel_1(struct host *h, mortise_id operation);

/* ---- metrics ---- */

struct metrics {
	pthread_mutex_t lock;
	struct slots ids;   /* of struct metric */
	struct map metrics; /* name -> struct metric */
	struct map series;  /* name and values -> struct series */
	uint64_t refused;   /* records over the limit of series */
	struct due due;
	atomic_bool dirty;
};
void metrics_init(struct host *h);
void metrics_done(struct host *h);
void metrics_wake(struct host *h); /* at home: see that changed series are sent soon */
void metrics_flush(struct host *h);

/* ---- the host ---- */

struct leftover {
	struct span kind; /* a literal */
	char *name;
	uint32_t count;
};

struct host {
	struct mortise_host abi; /* first: what the plugin holds */
	uint32_t magic;
	_Atomic enum host_state state;
	struct uv_loop_s *loop;
	pthread_t home;
	const struct host_events *events;
	void *user;
	struct black_box *box;
	uint64_t box_free; /* bit n: box->requests[n] is free */

	struct text start_bytes; /* what `start` borrows from */
	struct protocol_memory start_memory;
	struct worker_start start;
	struct text config;
	struct route *routes; /* start.routes.count */
	struct span *bound;   /* names of those that are bound */
	uint32_t bound_count;

	const struct mortise_plugin *plugin;
	struct mortise_instance *self; /* NULL: not created, or destroyed */
	const struct mortise_http_serve_1 *serve;
	const struct mortise_call_serve_1 *call_serve;
	const struct mortise_config_apply_1 *apply;
	const struct mortise_health_1 *health;

	const char *inside;  /* the callback that runs, or NULL */
	struct list scratch; /* strings given out during this callback */
	struct ledger ledger;
	struct agenda agenda;
	struct list peers;
	struct protocol_memory memory;
	struct metrics metrics;

	/* The way home, from any thread. */
	uv_async_t async;
	pthread_mutex_t lock;
	struct list posts;
	uint32_t posts_count;
	struct list lines;
	uint32_t lines_count;
	_Atomic uint32_t lines_dropped;
	struct {
		const char *function;
		int32_t code;
	} reported[64]; /* misbehaviour that was reported once */

	struct due drain_due;
	uint64_t drain_ns; /* the drain's deadline */
	bool drain_told;   /* on_drained was called */
	struct due stop_due;
	uint64_t stop_ns;
	bool stop_told;
	struct leftover *leftovers;
	uint32_t leftover_count;
	uint64_t probe;     /* the last one; in the ledger while it is out */
	struct list probes; /* those that were not told yet */
	bool closing;
	int handles;
};

/* The one function that moves the state; asserts that the drawing has the move. */
void host_move(struct host *h, enum host_state to);

/* Begin and end a callback of the plugin. callback is a literal or lives as long. */
void host_enter(struct host *h, const char *callback, const char *trace);
void host_leave(struct host *h);

/* The host behind the handle a plugin gave, if function may be called now: on the home thread and
 * in one of these states. Else NULL, with *rc set and the misbehaviour reported. */
struct host *host_at_home(
	struct mortise_host *handle, const char *function, unsigned states, int32_t *rc);
/* The same for an [any] function; only a destroyed instance is refused. */
struct host *host_at_any(struct mortise_host *handle, int32_t *rc);

/* Memory that lives until the present callback returns. */
char *host_scratch(struct host *h, size_t size);

/* A line about the plugin, with its callback. [any thread] */
void host_note(struct host *h, const char *message, const char *key, const char *value);

/* Something ended: is the drain, or the stop, complete? */
void host_settle(struct host *h);
/* A peer or the last work ended: may a closing host go? */
void host_try_close(struct host *h);

static inline struct mortise_str str_of(struct span s)
{
	return (struct mortise_str){ s.data, s.len };
}

static inline struct span span_from(struct mortise_str s)
{
	return (struct span){ s.data, s.size };
}

/* A string from a plugin: has bytes where it says so. */
static inline bool str_valid(struct mortise_str s)
{
	return s.data || s.size == 0;
}

/* interfaces */
extern const struct mortise_core_1 host_core_1;
extern const struct mortise_http_1 host_http_1;
extern const struct mortise_timer_1 host_timer_1;
extern const struct mortise_work_1 host_work_1;
extern const struct mortise_metrics_1 host_metrics_1;
extern const struct mortise_config_1 host_config_1;
extern const struct mortise_call_1 host_call_1;

/* load.c: everything before create(). */
int load_plugin(struct host *h, struct error *err);
/* Whether this host has the interface, whoever offers it. */
bool load_offers(const char *id);

#endif
