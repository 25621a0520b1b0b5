#include "base/clock.h"
#include "base/mem.h"
#include "host/host_priv.h"

/* An answered probe leaves the ledger at once and is told a turn later, so that no event comes from
 * within host_probe() though the plugin may answer from within its callback.
 */
struct probe {
	struct entry entry;
	struct list link; /* in host.probes */
	struct due due;
	uint64_t ask;
	uint32_t status; /* told when due */
	struct text detail;
};

static void release(struct probe *p)
{
	due_cancel(p->entry.host, &p->due);
	ledger_remove(&p->entry);
	list_remove(&p->link);
	text_done(&p->detail);
	mem_free(p);
}

static void on_due(struct due *due)
{
	struct probe *p = CONTAINER_OF(due, struct probe, due);
	struct host *h = p->entry.host;

	ledger_remove(&p->entry);
	h->events->on_health(h->user, p->ask, p->status, text_span(&p->detail));
	release(p);
}

/* The answer is known: tell it when this turn is over. */
static void settle(struct probe *p, uint32_t status, struct span detail)
{
	struct host *h = p->entry.host;

	p->status = status;
	text_clear(&p->detail);
	text_append_span(&p->detail, detail);
	ledger_remove(&p->entry);
	due_set(h, &p->due, 0);
}

void probe_undo(struct entry *entry)
{
	settle(CONTAINER_OF(entry, struct probe, entry), WORKER_HEALTH_UNHEALTHY,
		SPAN("the plugin stopped before it answered"));
}

void probes_done(struct host *h)
{
	list_for_each_safe(struct probe, p, &h->probes, link) {
		release(p);
	}
}

void host_probe(struct host *h, uint64_t ask, uint32_t timeout_ms)
{
	struct probe *p = ledger_find(h, h->probe, ENTRY_PROBE);

	if (p)
		settle(p, WORKER_HEALTH_UNHEALTHY,
			SPAN("the plugin did not answer before the next probe"));
	p = mem_zalloc(sizeof(*p));
	text_init(&p->detail);
	p->ask = ask;
	p->due.fire = on_due;
	list_append(&h->probes, &p->link);
	ledger_add(h, &p->entry, ENTRY_PROBE);
	h->probe = p->entry.id;
	/* That this runs says that the home thread returns. */
	if (!h->health || h->state != HOST_SERVING) {
		settle(p, WORKER_HEALTH_HEALTHY, SPAN(""));
		return;
	}
	p->status = WORKER_HEALTH_UNHEALTHY;
	text_printf(
		&p->detail, "the plugin did not answer its health probe within %u ms", timeout_ms);
	due_set(h, &p->due, clock_ns() + timeout_ms * CLOCK_NS_PER_MS);
	host_enter(h, "health.probe", NULL);
	h->health->probe(h->self, h->probe);
	host_leave(h);
}

int32_t health_report(
	struct mortise_host *handle, mortise_id probe, int32_t health, struct mortise_str detail)
{
	static const uint32_t words[] = {
		[MORTISE_HEALTHY] = WORKER_HEALTH_HEALTHY,
		[MORTISE_DEGRADED] = WORKER_HEALTH_DEGRADED,
		[MORTISE_UNHEALTHY] = WORKER_HEALTH_UNHEALTHY,
	};
	int32_t rc;
	struct host *h = host_at_home(handle, "core.report", STATES_STARTED, &rc);
	struct probe *p = h ? ledger_find(h, probe, ENTRY_PROBE) : NULL;

	if (!h)
		return rc;
	if (health < MORTISE_HEALTHY || health > MORTISE_UNHEALTHY || !str_valid(detail))
		return MORTISE_E_INVALID;
	if (!p)
		return MORTISE_E_STALE;
	if (detail.size > MORTISE_HEALTH_DETAIL_MAX)
		detail.size = MORTISE_HEALTH_DETAIL_MAX;
	settle(p, words[health], span_from(detail));
	return 0;
}
