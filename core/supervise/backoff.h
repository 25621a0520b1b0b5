/* backoff.h - when to start a process again, and when to stop trying
 *
 * The first restart is immediate, each further one waits twice as long. A life
 * that lasted longer than the window starts the count from zero; after `limit`
 * restarts of shorter lives the answer is BACKOFF_GIVE_UP. limit 0 never gives
 * up. Pure arithmetic: the caller brings the time. [loop thread]
 */
#ifndef MORTISE_SUPERVISE_BACKOFF_H
#define MORTISE_SUPERVISE_BACKOFF_H

#include <stdint.h>

#define BACKOFF_GIVE_UP UINT64_MAX

struct backoff {
	uint64_t window_ms;
	uint64_t max_ms; /* longest wait */
	unsigned limit;
	unsigned count; /* restarts since the last quiet time */
};

void backoff_init(struct backoff *b, uint64_t window_ms, uint64_t max_ms, unsigned limit);

/* A life of lived_ms has ended: how long to wait before the next, or BACKOFF_GIVE_UP. */
uint64_t backoff_next(struct backoff *b, uint64_t lived_ms);

#endif
