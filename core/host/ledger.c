/* The agenda is a binary heap ordered by time under one uv_timer, so that a deadline costs no
 * handle of its own; places begin at 1.
 */
#include "host/host_priv.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"

#define FIRST_PLACES 16

static const char *const kind_names[ENTRY_KIND_COUNT] = {
	[ENTRY_REQUEST] = "request",
	[ENTRY_INCOMING] = "incoming call",
	[ENTRY_TIMER] = "timer",
	[ENTRY_CALL] = "call",
	[ENTRY_WORK] = "work",
	[ENTRY_PROBE] = "probe",
};

void ledger_add(struct host *h, struct entry *entry, enum entry_kind kind)
{
	entry->host = h;
	entry->kind = kind;
	entry->id = slots_add(&h->ledger.slots, entry, (uint8_t)kind);
	h->ledger.counts[kind]++;
}

void *ledger_find(struct host *h, uint64_t id, enum entry_kind kind)
{
	return slots_get(&h->ledger.slots, id, (uint8_t)kind);
}

void ledger_remove(struct entry *entry)
{
	if (!entry->id)
		return;
	(void)slots_remove(&entry->host->ledger.slots, entry->id);
	entry->host->ledger.counts[entry->kind]--;
	entry->id = 0;
}

static void describe(const struct entry *entry, struct text *out)
{
	if (entry->kind == ENTRY_REQUEST)
		http_describe(entry, out);
	else if (entry->kind == ENTRY_INCOMING)
		incoming_describe(entry, out);
	else if (entry->kind == ENTRY_CALL)
		call_describe(entry, out);
}

/* Adds to the line of the same kind and name, or makes one. */
static void report_one(struct host *h, const struct entry *entry)
{
	struct span kind = span_of(kind_names[entry->kind]);
	struct text name;

	text_init(&name);
	describe(entry, &name);
	for (uint32_t i = 0; i < h->leftover_count; i++) {
		struct leftover *l = &h->leftovers[i];

		if (span_equal(l->kind, kind) && strcmp(l->name, name.data) == 0) {
			l->count++;
			text_done(&name);
			return;
		}
	}
	h->leftovers = mem_realloc(h->leftovers, (h->leftover_count + 1) * sizeof(*h->leftovers));
	h->leftovers[h->leftover_count++] = (struct leftover){ kind, text_take(&name), 1 };
	text_done(&name);
}

void ledger_report(struct host *h, unsigned kinds)
{
	for (uint64_t id = slots_next(&h->ledger.slots, 0); id;
		id = slots_next(&h->ledger.slots, id)) {
		const struct entry *entry = slots_get(&h->ledger.slots, id, 0);

		if (kinds & (1u << entry->kind))
			report_one(h, entry);
	}
}

void ledger_undo(struct host *h)
{
	/* A callback may end other entries, but not add any: the states refuse it. */
	for (uint64_t id = slots_next(&h->ledger.slots, 0); id;
		id = slots_next(&h->ledger.slots, id)) {
		struct entry *entry = slots_get(&h->ledger.slots, id, 0);

		switch (entry->kind) {
		case ENTRY_REQUEST:
			http_undo(entry, MORTISE_E_UNAVAIL);
			break;
		case ENTRY_INCOMING:
			incoming_undo(entry, MORTISE_E_UNAVAIL);
			break;
		case ENTRY_TIMER:
			timer_undo(entry);
			break;
		case ENTRY_CALL:
			call_undo(entry);
			break;
		case ENTRY_WORK:
			work_undo(entry);
			break;
		case ENTRY_PROBE:
			probe_undo(entry);
			break;
		case ENTRY_KIND_COUNT:
			BUG("kind of entry");
		}
	}
}

/* ---- the agenda ---- */

static void put(struct agenda *a, struct due *due, size_t place)
{
	a->heap[place] = due;
	due->place = place;
}

static void sift_up(struct agenda *a, struct due *due, size_t place)
{
	while (place > 1 && a->heap[place / 2]->at_ns > due->at_ns) {
		put(a, a->heap[place / 2], place);
		place /= 2;
	}
	put(a, due, place);
}

static void sift_down(struct agenda *a, struct due *due, size_t place)
{
	for (;;) {
		size_t child = place * 2;

		if (child > a->count)
			break;
		if (child < a->count && a->heap[child + 1]->at_ns < a->heap[child]->at_ns)
			child++;
		if (a->heap[child]->at_ns >= due->at_ns)
			break;
		put(a, a->heap[child], place);
		place = child;
	}
	put(a, due, place);
}

static void on_timer(uv_timer_t *timer);

/* Set the timer for the first; libuv counts from its own, older, idea of now. */
static void arm(struct host *h)
{
	struct agenda *a = &h->agenda;
	uint64_t now = clock_ns(), wait_ms = 0;

	if (h->closing)
		return;
	if (a->count == 0) {
		(void)uv_timer_stop(&a->timer);
		return;
	}
	if (a->heap[1]->at_ns > now)
		wait_ms = (a->heap[1]->at_ns - now + CLOCK_NS_PER_MS - 1) / CLOCK_NS_PER_MS;
	if (wait_ms)
		uv_update_time(h->loop);
	(void)uv_timer_start(&a->timer, on_timer, wait_ms, 0);
}

/* One turn fires what is due when it begins, so that a timer of 0 ms does not starve the loop. */
static void on_timer(uv_timer_t *timer)
{
	struct host *h = timer->data;
	struct agenda *a = &h->agenda;
	uint64_t now = clock_ns();
	size_t most = a->count;

	while (most-- > 0 && a->count > 0 && a->heap[1]->at_ns <= now) {
		struct due *due = a->heap[1];

		due_cancel(h, due);
		due->fire(due);
	}
	arm(h);
}

void due_cancel(struct host *h, struct due *due)
{
	struct agenda *a = &h->agenda;
	size_t place = due->place;
	struct due *last;

	if (!place)
		return;
	ASSERT(a->heap[place] == due);
	due->place = 0;
	last = a->heap[a->count--];
	if (last == due)
		return;
	sift_down(a, last, place);
	sift_up(a, last, last->place);
}

void due_set(struct host *h, struct due *due, uint64_t at_ns)
{
	struct agenda *a = &h->agenda;

	due_cancel(h, due);
	if (a->count + 1 >= a->places) {
		a->places = a->places ? a->places * 2 : FIRST_PLACES;
		a->heap = mem_realloc(a->heap, a->places * sizeof(*a->heap));
	}
	due->at_ns = at_ns;
	sift_up(a, due, ++a->count);
	if (due->place == 1)
		arm(h);
}

void agenda_init(struct host *h)
{
	(void)uv_timer_init(h->loop, &h->agenda.timer);
	h->agenda.timer.data = h;
}

void agenda_done(struct host *h)
{
	for (size_t i = 1; i <= h->agenda.count; i++)
		h->agenda.heap[i]->place = 0;
	mem_free(h->agenda.heap);
	h->agenda.heap = NULL;
	h->agenda.count = h->agenda.places = 0;
}
