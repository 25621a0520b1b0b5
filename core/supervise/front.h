/* front.h - one front slot: a listener that stays, and the process that serves it
 *
 * When the process ends it is started again on the same listener, the first time
 * at once, then with back-off, and without end: a host without fronts serves
 * nobody. A life is live from its FRONT_READY to its end. [loop thread]
 */
#ifndef MORTISE_SUPERVISE_FRONT_H
#define MORTISE_SUPERVISE_FRONT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"
#include "channel/protocol.h"
#include "supervise/process.h"

struct error;
struct uv_loop_s;
struct front; /* opaque */

struct front_events {
	void (*on_ready)(void *user, struct front *front);
	/* A life that was live ended; what it owed is void. */
	void (*on_lost)(void *user, struct front *front);
	/* A life ended before it was ever live. */
	void (*on_failed)(void *user, struct front *front, const struct error *err);
	void (*on_table_ack)(void *user, struct front *front, uint64_t number);
	void (*on_connected)(
		void *user, struct front *front, const struct front_worker_connected *connected);
	void (*on_drained)(void *user, struct front *front, const struct front_drained *drained);
	/* An upload: fd is the receiver's to close. */
	void (*on_stage)(void *user, struct front *front, uint64_t id,
		const struct front_stage *stage, int fd);
	/* Answered by front_key_ring_result() before it returns. */
	void (*on_key_ring)(
		void *user, struct front *front, uint64_t id, const struct front_key_ring *message);
	/* After front_close(): the front is gone when it returns. */
	void (*on_closed)(void *user, struct front *front);
};

struct front_options {
	uint32_t slot;
	int listener; /* stays the caller's */
	int counters; /* memory that all fronts share, handed over with the start; the caller's */
	const char *program;
	struct process_rights rights;
	const struct front_start *start; /* outlives the front, with all that it points to */
	uint32_t start_ms;
	uint32_t silence_ms;
	const struct front_events *events;
	void *user;
};

struct front *front_new(struct uv_loop_s *loop, const struct front_options *options);

uint32_t front_slot(const struct front *f);
bool front_live(const struct front *f);
uint64_t front_life(const struct front *f); /* counts processes, from 1 */

/* What a front that is not live would get is dropped: it hears the present state when it is. */
void front_table(struct front *f, const struct front_table *table);
void front_connect(struct front *f, const struct front_worker_connect *connect);
void front_staged(struct front *f, uint64_t id, const struct front_staged *staged);
void front_notify(struct front *f, const struct front_notify *notify);
void front_key_ring_result(
	struct front *f, uint64_t id, const struct front_key_ring_result *result);

/* Let it finish until the deadline, then kill it; deadline 0 kills at once. Calling it again may
 * only hasten. */
void front_close(struct front *f, uint32_t deadline_ms);

#endif
