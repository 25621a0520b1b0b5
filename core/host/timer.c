#include "base/clock.h"
#include "base/mem.h"
#include "host/host_priv.h"

#define TIMERS_MAX 1024 /* timer.h promises it */

struct timer {
	struct entry entry;
	struct due due;
	uint64_t every_ns;
	mortise_timer_cb fn;
	void *user;
};

static uint64_t ns_of(uint64_t ms)
{
	/* Past any life of a process; keeps the sum with now from wrapping. */
	const uint64_t longest_ms = UINT64_C(1) << 42;

	return (ms < longest_ms ? ms : longest_ms) * CLOCK_NS_PER_MS;
}

static void release(struct timer *t)
{
	due_cancel(t->entry.host, &t->due);
	ledger_remove(&t->entry);
	mem_free(t);
}

static void on_due(struct due *due)
{
	struct timer *t = CONTAINER_OF(due, struct timer, due);
	struct host *h = t->entry.host;
	mortise_timer_cb fn = t->fn;
	void *user = t->user;

	if (t->every_ns) {
		uint64_t now = clock_ns(), next = due->at_ns + t->every_ns;

		due_set(h, due, next > now ? next : now + t->every_ns);
	} else {
		release(t);
	}
	host_enter(h, "timer", NULL);
	fn(h->self, user);
	host_leave(h);
}

static int32_t timer_start(struct mortise_host *handle, uint64_t first_ms, uint64_t every_ms,
	mortise_timer_cb fn, void *user, mortise_id *timer)
{
	struct timer *t;
	int32_t rc;
	struct host *h = host_at_home(handle, "timer.start", STATES_REGISTER, &rc);

	if (!h)
		return rc;
	if (!fn)
		return MORTISE_E_INVALID;
	if (h->ledger.counts[ENTRY_TIMER] >= TIMERS_MAX)
		return MORTISE_E_LIMIT;
	t = mem_zalloc(sizeof(*t));
	t->due.fire = on_due;
	t->every_ns = ns_of(every_ms);
	t->fn = fn;
	t->user = user;
	ledger_add(h, &t->entry, ENTRY_TIMER);
	due_set(h, &t->due, clock_ns() + ns_of(first_ms));
	if (timer)
		*timer = t->entry.id;
	return 0;
}

static int32_t timer_stop(struct mortise_host *handle, mortise_id timer)
{
	int32_t rc;
	struct host *h = host_at_home(handle, "timer.stop", STATES_HOME, &rc);
	struct timer *t = h ? ledger_find(h, timer, ENTRY_TIMER) : NULL;

	if (!h)
		return rc;
	if (!t)
		return MORTISE_E_STALE;
	release(t);
	return 0;
}

void timer_undo(struct entry *entry)
{
	release(CONTAINER_OF(entry, struct timer, entry));
}

const struct mortise_timer_1 host_timer_1 = { timer_start, timer_stop };
