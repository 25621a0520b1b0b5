/* timer.h - mortise.timer/1: call me later, or again and again
 *
 * A timer belongs to the instance and dies with it. Work that is due once for a
 * whole environment needs more than a timer: every node has its own.
 */
#ifndef MORTISE_TIMER_H
#define MORTISE_TIMER_H

#include "abi.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MORTISE_TIMER_1 "mortise.timer/1"

typedef void (*mortise_timer_cb)(struct mortise_instance *self, void *user);

struct mortise_timer_1 {
	/* [home] Call fn after first_ms and then every every_ms, or once if every_ms
	 * is 0. Never from inside start() itself, also with first_ms 0. A late timer
	 * fires once, not several times. LIMIT: 1024 timers run already. The id of a
	 * timer that fires once is stale in its callback. timer may be NULL.
	 */
	int32_t (*start)(struct mortise_host *host, uint64_t first_ms, uint64_t every_ms,
		mortise_timer_cb fn, void *user, mortise_id *timer);

	/* [home] fn is not called any more. */
	int32_t (*stop)(struct mortise_host *host, mortise_id timer);
};

#ifdef __cplusplus
}
#endif

#endif
