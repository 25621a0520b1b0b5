/* health.h - from single answers to a status that does not flap
 *
 * A worse status needs `failures` equal-or-worse answers in a row, a better one
 * two equal-or-better ones; a missing answer counts as unhealthy. Until the
 * first answer the status is unknown, and the first answer decides alone. What
 * stays unhealthy for twice `failures` answers in a row is lost: nothing but a new
 * start is left to try. Pure arithmetic. [loop thread]
 */
#ifndef MORTISE_SUPERVISE_HEALTH_H
#define MORTISE_SUPERVISE_HEALTH_H

#include <stdbool.h>

/* From good to bad; the words are the ones of the database's health_status. */
enum health_status {
	HEALTH_STATUS_UNKNOWN,
	HEALTH_STATUS_HEALTHY,
	HEALTH_STATUS_DEGRADED,
	HEALTH_STATUS_UNHEALTHY,
	HEALTH_STATUS_COUNT
};

struct health {
	enum health_status status;
	unsigned failures; /* answers in a row before a worse status counts */
	unsigned worse;    /* how many there were */
	unsigned better;
	unsigned unwell; /* unhealthy answers in a row */
};

void health_init(struct health *h, unsigned failures);

/* Count one answer; true when the status changed. answer is not UNKNOWN. */
bool health_answer(struct health *h, enum health_status answer);
bool health_is_lost(const struct health *h);

const char *health_status_name(enum health_status status);

#endif
