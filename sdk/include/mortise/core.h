/* core.h - mortise.core/1: clock, log, the way home, cancelling, health answers
 *
 * Every host offers it and every plugin needs it; MORTISE_PLUGIN() says so in
 * the note by itself.
 */
#ifndef MORTISE_CORE_H
#define MORTISE_CORE_H

#include "abi.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MORTISE_CORE_1 "mortise.core/1"

#define MORTISE_LOG_ERROR   0 /* somebody must act */
#define MORTISE_LOG_WARNING 1 /* we carried on, and say how */
#define MORTISE_LOG_NOTICE  2
#define MORTISE_LOG_DEBUG   3

#define MORTISE_HEALTHY   0
#define MORTISE_DEGRADED  1 /* serves, but not all of it or not well */
#define MORTISE_UNHEALTHY 2 /* does not do its work; people are told, but it is not restarted */

#define MORTISE_LOG_FIELDS_MAX    32   /* fields of one log line */
#define MORTISE_LOG_SIZE_MAX      8192 /* message, keys and values together; cut there */
#define MORTISE_HEALTH_DETAIL_MAX 1024 /* bytes; cut there */

typedef void (*mortise_post_cb)(struct mortise_instance *self, void *user);

struct mortise_core_1 {
	/* [any] Nanoseconds on a monotonic clock with no meaning but differences;
	 * deadlines are given on it.
	 */
	uint64_t (*now_ns)(struct mortise_host *host);

	/* [any] Write a line to the log of this installation, which `mortise plugin logs`
	 * shows. Never blocks: a flood is dropped and counted. Text that is not UTF-8 is mended,
	 * control characters are escaped. fields may be NULL when count is 0.
	 */
	void (*log)(struct mortise_host *host, int32_t level, struct mortise_str message,
		const struct mortise_field *fields, uint32_t count);

	/* [any] Run fn(self, user) at home, once, after the present callback has
	 * returned. Posts of one thread keep their order. On 0 it will run, at the
	 * latest before destroy(). AGAIN: 4096 wait already. STATE: destroy() is near.
	 */
	int32_t (*post)(struct mortise_host *host, mortise_post_cb fn, void *user);

	/* [home] End a work or call operation early. Its done callback still comes,
	 * once and later, with CANCELLED or with the outcome that was faster.
	 * STALE: done has run already.
	 */
	int32_t (*cancel)(struct mortise_host *host, mortise_id operation);

	/* [home, started] Answer a health probe (health.h) with one of the three
	 * words above and a short text for people, which may be empty. STALE: it was
	 * answered, or its time is over.
	 */
	int32_t (*report)(struct mortise_host *host, mortise_id probe, int32_t health,
		struct mortise_str detail);
};

#ifdef __cplusplus
}
#endif

#endif
