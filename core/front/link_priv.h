/* link_priv.h - what link.c shares with forward.c, call.c and fetch.c */
#ifndef MORTISE_FRONT_LINK_PRIV_H
#define MORTISE_FRONT_LINK_PRIV_H

#include <uv.h>

#include "front/front.h"

enum link_kind {
	LINK_REQUEST = 1, /* struct forward: REQUEST */
	LINK_ON_CALL = 2  /* struct call that this worker serves: ON_CALL */
};

struct link {
	struct front *front;
	char *key; /* "installation/generation" */
	char *installation;
	uint64_t generation;
	char *path;
	char *plugin;              /* once a table listed it; NULL before, */
	char *permissions;         /* as is this */
	struct principal *account; /* the plugin's own; NULL: not asked for yet */
	struct channel *channel;   /* NULL: not connected */
	bool open;                 /* the worker has answered the handshake */
	bool listed;               /* by the present table */
	bool was_listed;
	bool draining;
	bool drained_told;
	bool closing;
	bool retry_running;
	unsigned attempts;

	struct slots ids; /* what was sent and is not over: ids of REQUEST and ON_CALL */
	struct list forwards;
	uint32_t requests;
	struct map calls;      /* id of CALL -> struct call */
	uint32_t calls_out;    /* CALLs of this worker that have no result yet, */
	uint64_t calls_bytes;  /* and their json and bytes */
	uint32_t served_out;   /* ON_CALLs to this worker, */
	uint64_t served_bytes; /* and their json and bytes */

	uv_timer_t retry;
};

/* One piece of work less: a draining link may have drained. */
void link_less(struct link *link);

/* A socket that is connected to another process of ours, or an error. */
int link_open_socket(const char *path, struct error *err);

#endif
