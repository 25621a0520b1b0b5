/* bed.h - a host with a fixture plugin on a loop, and fronts that speak the real protocol to it */
#ifndef MORTISE_TESTS_UNIT_HOST_BED_H
#define MORTISE_TESTS_UNIT_HOST_BED_H

#include <uv.h>

#include "base/text.h"
#include "channel/protocol.h"
#include "host/host.h"
#include "lib/test.h"

#define BED_FRONTS   3
#define BED_REQUESTS 8

/* What a front saw of one request. */
struct answer {
	uint32_t status;
	int64_t length;
	struct text headers; /* "name: value\n" */
	struct text body;
	uint64_t body_bytes; /* also when the body is not kept */
	int done;            /* LAST, RESPONSE_FAILED or the like came */
	int failed;          /* rc of RESPONSE_FAILED */
	uint64_t consumed;   /* credit that came back for the request's body */
	uint32_t unconsumed; /* answer bytes not given back, with keep_credit */
};

struct front {
	struct bed *bed;
	struct channel *channel;
	int closed;                          /* rc + 1 when closed by the worker's side */
	struct answer answers[BED_REQUESTS]; /* id 1.. at [0].. */
	bool keep_credit;                    /* do not give credit back by itself */
	bool drop_body;                      /* count it only */
	/* calls */
	int calls, cancels, call_results;
	uint64_t call_id, call_parent;
	struct text call; /* "extension method json" of the last */
	int on_call_rc;
	struct text on_call_json;
	uint64_t on_call_bytes;
};

struct bed {
	uv_loop_t loop;
	uv_timer_t tick;
	struct host *host;
	struct black_box box;
	struct text log;     /* "message key=value\n" */
	struct text metrics; /* "name labels value\n" */
	bool deaf;           /* on_log and on_metrics take nothing */
	int drained, stopped, closed;
	int stopped_rc;
	struct text leftovers; /* "kind name count\n" */
	int healths;
	uint64_t health_ask;
	uint32_t health;
	char detail[256];
	struct front fronts[BED_FRONTS];
};

/* A bed whose START is what the plugin's note says; routes and provides end with NULL. */
void bed_init(struct bed *b, const char *plugin, const char *config, const char *const *routes,
	const char *const *provides);
/* The same with a change of START before the host is made. */
void bed_init_with(struct bed *b, const char *plugin, const char *config, const char *const *routes,
	const char *const *provides, void (*change)(struct worker_start *));
/* host_load() and host_start(), which must succeed. */
void bed_serve(struct bed *b);
/* Stop, close and check that nothing is left. */
void bed_done(struct bed *b);

/* UV_RUN_ONCE may wait after a timer made the condition true; the bed's tick ends the wait. */
#define BED_RUN_UNTIL(b, condition) \
	while (!(condition))        \
	(void)uv_run(&(b)->loop, UV_RUN_ONCE)

struct front *bed_front(struct bed *b, int place, uint32_t slot);
void front_close(struct front *f);
/* id 1..BED_REQUESTS. body NULL: none, with LAST; else BODY frames follow by front_body(). */
void front_request(struct front *f, uint64_t id, const char *route, const char *query, bool body);
void front_body(struct front *f, uint64_t id, struct span piece, bool last);
void front_gone(struct front *f, uint64_t id, int32_t rc);
void front_consumed(struct front *f, uint64_t id, uint32_t bytes);
/* Request without a body; run until it is answered. */
struct answer *front_get(struct front *f, uint64_t id, const char *route, const char *query);

#endif
