/* Method: open addressing over a power of two of slots, each word changed by compare-and-swap
 * alone, since several processes map the table and any of them may die between two steps.
 *
 * What counts is one word: when the hour ends, whether the database has any left, and how many
 * requests are held. So "the hour has ended" and "one is taken" cannot come apart, and a slot whose
 * hour has ended may be claimed by another key: what its word holds is worth nothing. The other
 * fields are hints; read torn or stale they cost a question more, never a request. */
#include "identity/rate.h"

#include <stdatomic.h>
#include <stdbool.h>

#include "base/assert.h"

#define PROBES    16u
#define LEFT_BITS 20
#define LEFT_MASK ((UINT64_C(1) << LEFT_BITS) - 1)
#define SPENT     (UINT64_C(1) << LEFT_BITS)
#define ENDS(w)   ((w) >> (LEFT_BITS + 1))
#define LEFT(w)   ((w)&LEFT_MASK)
/* Two estimates of one hour's end differ by a round trip, two hours' ends by an hour. */
#define SAME_HOUR_MS (RATE_WINDOW_S * UINT64_C(500))

struct rate_slot {
	_Atomic uint64_t tag; /* 0: free */
	_Atomic uint64_t word;
	_Atomic uint32_t rest;  /* hint: what the database had left */
	_Atomic uint32_t limit; /* hint: of which limit */
	_Atomic uint32_t taken; /* hint: what this node took in the hour */
	uint32_t unused;
};

struct rate {
	_Atomic uint64_t places; /* a power of two */
	struct rate_slot slots[];
};

static uint64_t make_word(uint64_t ends_ms, bool spent, uint64_t left)
{
	if (left > LEFT_MASK)
		left = LEFT_MASK;
	return ends_ms << (LEFT_BITS + 1) | (spent ? SPENT : 0) | left;
}

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

/* 64 bits of the hash: keys with equal tags would share an hour. */
static uint64_t tag_of(const char key_hash[64])
{
	uint64_t tag = 0;

	for (int i = 0; i < 16; i++) {
		char c = key_hash[i];

		tag = tag << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
	}
	return tag ? tag : 1;
}

static struct rate_slot *find(struct rate *r, uint64_t tag)
{
	uint64_t mask = atomic_load_explicit(&r->places, memory_order_relaxed) - 1;

	for (uint64_t i = 0; i < PROBES && i <= mask; i++) {
		struct rate_slot *slot = &r->slots[(tag + i) & mask];

		if (atomic_load(&slot->tag) == tag)
			return slot;
	}
	return NULL;
}

/* A free place, or one whose hour has ended. */
static struct rate_slot *claim(struct rate *r, uint64_t tag, uint64_t now_ms)
{
	uint64_t mask = atomic_load_explicit(&r->places, memory_order_relaxed) - 1;

	for (uint64_t i = 0; i < PROBES && i <= mask; i++) {
		struct rate_slot *slot = &r->slots[(tag + i) & mask];
		uint64_t seen = atomic_load(&slot->tag);

		if ((seen == 0 || ENDS(atomic_load(&slot->word)) <= now_ms) &&
			atomic_compare_exchange_strong(&slot->tag, &seen, tag))
			return slot;
		if (seen == tag)
			return slot;
	}
	return NULL;
}

/* A node asks for as much again as it took before, so what it may leave unused is bounded by what
 * it has used. */
static uint32_t extra_of(uint32_t taken)
{
	return taken < RATE_BLOCK_MAX ? taken : RATE_BLOCK_MAX;
}

enum rate_answer rate_take(struct rate *r, const char key_hash[64], uint32_t limit, uint64_t now_ms,
	struct rate_state *out)
{
	uint64_t tag = tag_of(key_hash), word;
	struct rate_slot *slot = find(r, tag);

	*out = (struct rate_state){ 0 };
	if (!slot)
		return RATE_EMPTY;
	word = atomic_load(&slot->word);
	do {
		/* The tag is looked at after the word: once the slot is another key's, so is what
		 * the word holds, and it has changed since. */
		if (ENDS(word) <= now_ms || atomic_load(&slot->tag) != tag)
			return RATE_EMPTY;
		out->ends_ms = ENDS(word);
		if (LEFT(word) == 0) {
			if ((word & SPENT) && atomic_load(&slot->limit) >= limit)
				return RATE_SPENT;
			out->extra = extra_of(atomic_load(&slot->taken));
			return RATE_EMPTY;
		}
	} while (!atomic_compare_exchange_weak(&slot->word, &word, word - 1));
	out->left = LEFT(word) - 1 + ((word & SPENT) ? 0 : atomic_load(&slot->rest));
	return RATE_TAKEN;
}

/* raised: what was spent before was spent of a lower limit. */
static uint64_t word_with(
	uint64_t word, const struct rate_block *block, bool raised, uint64_t now_ms)
{
	uint64_t ends = ENDS(word);
	bool spent = !raised && (word & SPENT);

	if (ends <= now_ms || ends + SAME_HOUR_MS < block->ends_ms)
		return make_word(block->ends_ms, block->rest == 0, block->count);
	if (block->ends_ms + SAME_HOUR_MS < ends)
		return word; /* of an hour that is over in the database */
	return make_word(ends > block->ends_ms ? ends : block->ends_ms, spent || block->rest == 0,
		LEFT(word) + block->count);
}

void rate_keep(
	struct rate *r, const char key_hash[64], const struct rate_block *block, uint64_t now_ms)
{
	uint64_t tag = tag_of(key_hash), word;
	struct rate_slot *slot = find(r, tag);
	bool raised;

	if (block->ends_ms <= now_ms)
		return;
	if (!slot)
		slot = claim(r, tag, now_ms);
	if (!slot)
		return;
	word = atomic_load(&slot->word);
	if (ENDS(word) <= now_ms)
		atomic_store(&slot->taken, 0);
	atomic_store(&slot->rest, block->rest);
	raised = atomic_exchange(&slot->limit, block->limit) < block->limit;
	(void)atomic_fetch_add(&slot->taken, block->taken);
	while (!atomic_compare_exchange_weak(
		&slot->word, &word, word_with(word, block, raised, now_ms)))
		;
}
