/* fetch.h - mortise-fetch, kept running
 *
 * The listening socket is made once and outlives each process, so that a front which connects while
 * there is none is served by the next. What fronts ask and what comes back passes by the
 * supervisor. [loop thread]
 */
#ifndef MORTISE_SUPERVISE_FETCH_H
#define MORTISE_SUPERVISE_FETCH_H

#include <stdint.h>
#include <sys/types.h>

#include "channel/protocol.h"
#include "supervise/process.h"

struct error;
struct fetch; /* opaque */
struct uv_loop_s;

/* All of it, and what start points to, outlives the fetch. */
struct fetch_options {
	const char *program; /* path of mortise-fetch */
	const char *folder;  /* of sockets, which only fronts may enter */
	struct process_rights rights;
	gid_t front_gid; /* who may connect, when rights.change is set */
	struct fetch_start start;
	uint32_t silence_ms;
	void (*on_closed)(void *user);
	void *user;
};

/* ERR_SYSTEM, ERR_TOO_LARGE: the socket cannot be made. A process that does not start is started
 * again, for ever. */
int fetch_open(struct fetch **out, struct uv_loop_s *loop, const struct fetch_options *options,
	struct error *err);

const char *fetch_path(const struct fetch *f); /* of its socket */

/* Let it end what it does until the deadline, then kill it; 0 kills at once. on_closed comes when
 * it is gone, and f with it. Calling it again may only hasten. */
void fetch_close(struct fetch *f, uint32_t deadline_ms);

#endif
