/* Method: open addressing over a power of two of slots of two words, each changed by
 * compare-and-swap alone, since several processes map the table. A slot is claimed by
 * writing the first eight bytes of the key's hash as its tag; a slot whose window has
 * passed may be claimed anew. Two keys in one slot, or a process that still counts into a
 * slot just taken over, can make a limit come early by a request, never late.
 *
 * A count is one word, window number above and requests below, so that beginning a new
 * window and counting its first request is one step. */
#include "identity/rate.h"

#include <stdatomic.h>
#include <string.h>

#include "base/assert.h"

#define PROBES       16u
#define COUNT_BITS   32
#define COUNT_MASK   UINT64_C(0xffffffff)
#define WINDOW(word) ((word) >> COUNT_BITS)

struct rate_slot {
	_Atomic uint64_t tag; /* 0: free */
	_Atomic uint64_t word;
};

struct rate {
	_Atomic uint64_t places; /* a power of two */
	struct rate_slot slots[];
};

static uint64_t power_of_two_from(uint64_t n)
{
	uint64_t p = 1;

	while (p < n)
		p <<= 1;
	return p;
}

size_t rate_size(uint32_t keys)
{
	return sizeof(struct rate) + power_of_two_from(keys ? keys : 1) * sizeof(struct rate_slot);
}

struct rate *rate_at(void *memory, size_t size)
{
	struct rate *r = memory;
	uint64_t places = 1, none = 0;

	ASSERT(size >= rate_size(1));
	while (sizeof(*r) + places * 2 * sizeof(struct rate_slot) <= size)
		places <<= 1;
	(void)atomic_compare_exchange_strong(&r->places, &none, places);
	return r;
}

static struct rate_slot *slot_of(struct rate *r, uint64_t tag, uint64_t window)
{
	uint64_t mask = atomic_load_explicit(&r->places, memory_order_relaxed) - 1;

	for (uint64_t i = 0; i < PROBES && i <= mask; i++) {
		struct rate_slot *slot = &r->slots[(tag + i) & mask];
		uint64_t seen = atomic_load(&slot->tag);

		if (seen == tag)
			return slot;
		if (seen == 0 && atomic_compare_exchange_strong(&slot->tag, &seen, tag))
			return slot;
		if (seen == tag)
			return slot;
	}
	for (uint64_t i = 0; i < PROBES && i <= mask; i++) {
		struct rate_slot *slot = &r->slots[(tag + i) & mask];
		uint64_t seen = atomic_load(&slot->tag);

		if (WINDOW(atomic_load(&slot->word)) < window &&
			atomic_compare_exchange_strong(&slot->tag, &seen, tag))
			return slot;
	}
	return &r->slots[tag & mask];
}

unsigned rate_take(
	struct rate *r, const char key_hash[64], int64_t limit, int64_t now_s, int64_t *left)
{
	uint64_t window = (uint64_t)now_s / RATE_WINDOW_S, tag, word, next;
	struct rate_slot *slot;

	ASSERT(limit > 0);
	memcpy(&tag, key_hash, sizeof(tag));
	slot = slot_of(r, tag, window);
	word = atomic_load(&slot->word);
	do {
		if (WINDOW(word) != window) {
			next = (window << COUNT_BITS) | 1;
		} else if ((word & COUNT_MASK) >= (uint64_t)limit) {
			*left = 0;
			return (unsigned)(RATE_WINDOW_S - now_s % RATE_WINDOW_S);
		} else {
			next = word + 1;
		}
	} while (!atomic_compare_exchange_weak(&slot->word, &word, next));
	*left = limit - (int64_t)(next & COUNT_MASK);
	return 0;
}
