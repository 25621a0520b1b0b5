#include "supervise/backoff.h"

/* The second restart waits this long; long enough to be no spin, short enough to be no outage. */
#define BACKOFF_FIRST_MS  200
#define BACKOFF_DOUBLINGS 20 /* keeps the shift inside 64 bits */

void backoff_init(struct backoff *b, uint64_t window_ms, uint64_t max_ms, unsigned limit)
{
	b->window_ms = window_ms;
	b->max_ms = max_ms;
	b->limit = limit;
	b->count = 0;
}

uint64_t backoff_next(struct backoff *b, uint64_t lived_ms)
{
	uint64_t wait;
	unsigned doublings;

	if (lived_ms >= b->window_ms)
		b->count = 0;
	if (b->limit && b->count >= b->limit)
		return BACKOFF_GIVE_UP;
	b->count++;
	if (b->count == 1)
		return 0;
	doublings = b->count - 2 < BACKOFF_DOUBLINGS ? b->count - 2 : BACKOFF_DOUBLINGS;
	wait = (uint64_t)BACKOFF_FIRST_MS << doublings;
	return wait < b->max_ms ? wait : b->max_ms;
}
