#include "supervise/health.h"

#include "base/assert.h"

#define ANSWERS_TO_RECOVER 2
/* Times `failures`: the first ones make it unhealthy and tell people, as many again end its worker.
 */
#define FAILURES_TO_LOSE 2

static const char *const names[HEALTH_STATUS_COUNT] = {
	[HEALTH_STATUS_UNKNOWN] = "unknown",
	[HEALTH_STATUS_HEALTHY] = "healthy",
	[HEALTH_STATUS_DEGRADED] = "degraded",
	[HEALTH_STATUS_UNHEALTHY] = "unhealthy",
};

void health_init(struct health *h, unsigned failures)
{
	h->status = HEALTH_STATUS_UNKNOWN;
	h->failures = failures ? failures : 1;
	h->worse = 0;
	h->better = 0;
	h->unwell = 0;
}

bool health_answer(struct health *h, enum health_status answer)
{
	ASSERT(answer > HEALTH_STATUS_UNKNOWN && answer < HEALTH_STATUS_COUNT);
	h->unwell = answer == HEALTH_STATUS_UNHEALTHY ? h->unwell + 1 : 0;
	h->worse = answer > h->status ? h->worse + 1 : 0;
	h->better = answer < h->status ? h->better + 1 : 0;
	if (answer == h->status)
		return false;
	if (h->status != HEALTH_STATUS_UNKNOWN && h->worse < h->failures &&
		h->better < ANSWERS_TO_RECOVER)
		return false;
	h->status = answer;
	h->worse = 0;
	h->better = 0;
	return true;
}

bool health_is_lost(const struct health *h)
{
	return h->unwell >= FAILURES_TO_LOSE * h->failures;
}

const char *health_status_name(enum health_status status)
{
	ASSERT((unsigned)status < HEALTH_STATUS_COUNT);
	return names[status];
}
