/* clock.h - what time it is
 *
 * Deadlines and intervals are monotonic nanoseconds; what people and the database
 * see is real time in microseconds since 1970, UTC. [any thread]
 */
#ifndef MORTISE_BASE_CLOCK_H
#define MORTISE_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

#define CLOCK_NS_PER_MS  UINT64_C(1000000)
#define CLOCK_NS_PER_SEC UINT64_C(1000000000)

uint64_t clock_ns(void);     /* CLOCK_MONOTONIC */
int64_t clock_real_us(void); /* CLOCK_REALTIME */

/* RFC 3339 in UTC with microseconds: "2026-11-01T00:00:00.000000Z". */
#define CLOCK_TEXT_SIZE 28
void clock_text(int64_t real_us, char out[static CLOCK_TEXT_SIZE]);

/* Parse RFC 3339 with zone "Z" and up to six fraction digits; false when it is none. */
bool clock_parse(struct span text, int64_t *real_us);

#endif
