/* SipHash-1-3 over the key (Aumasson and Bernstein; the 1-3 rounds of most hash tables). */
#include "base/map.h"

#include <stdlib.h>
#include <sys/random.h>

#include "base/assert.h"
#include "base/mem.h"

#define MAP_FIRST_PLACES 16

#define ROTATE(x, b) (((x) << (b)) | ((x) >> (64 - (b))))

static void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = ROTATE(v[1], 13) ^ v[0];
	v[0] = ROTATE(v[0], 32);
	v[2] += v[3];
	v[3] = ROTATE(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = ROTATE(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = ROTATE(v[1], 17) ^ v[2];
	v[2] = ROTATE(v[2], 32);
}

static uint64_t hash_key(const struct map *m, struct span key)
{
	uint64_t v[4] = { m->seed[0] ^ UINT64_C(0x736f6d6570736575),
		m->seed[1] ^ UINT64_C(0x646f72616e646f6d),
		m->seed[0] ^ UINT64_C(0x6c7967656e657261),
		m->seed[1] ^ UINT64_C(0x7465646279746573) };
	uint64_t word, last = (uint64_t)key.len << 56;
	size_t i = 0;

	for (; i + 8 <= key.len; i += 8) {
		memcpy(&word, key.data + i, 8);
		v[3] ^= word;
		sip_round(v);
		v[0] ^= word;
	}
	for (size_t j = 0; i + j < key.len; j++)
		last |= (uint64_t)(unsigned char)key.data[i + j] << (8 * j);
	v[3] ^= last;
	sip_round(v);
	v[0] ^= last;
	v[2] ^= 0xff;
	sip_round(v);
	sip_round(v);
	sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void map_init(struct map *m)
{
	memset(m, 0, sizeof(*m));
	if (getrandom(m->seed, sizeof(m->seed), 0) != (ssize_t)sizeof(m->seed))
		BUG("getrandom failed");
}

void map_done(struct map *m)
{
	for (size_t i = 0; i < m->places; i++)
		mem_free((void *)m->entries[i].key.data);
	mem_free(m->entries);
	m->entries = NULL;
	m->count = m->places = 0;
}

/* The entry of key, or the empty place where it would stand. */
static struct map_entry *find(const struct map *m, struct span key, uint64_t hash)
{
	size_t i = hash & (m->places - 1);

	while (m->entries[i].key.data &&
		(m->entries[i].hash != hash || !span_equal(m->entries[i].key, key)))
		i = (i + 1) & (m->places - 1);
	return &m->entries[i];
}

static void grow(struct map *m)
{
	struct map_entry *old = m->entries;
	size_t places = m->places;

	m->places = places ? places * 2 : MAP_FIRST_PLACES;
	m->entries = mem_calloc(m->places, sizeof(*m->entries));
	for (size_t i = 0; i < places; i++)
		if (old[i].key.data)
			*find(m, old[i].key, old[i].hash) = old[i];
	mem_free(old);
}

void *map_get(const struct map *m, struct span key)
{
	if (m->count == 0)
		return NULL;
	return find(m, key, hash_key(m, key))->value;
}

void *map_put(struct map *m, struct span key, void *value)
{
	uint64_t hash = hash_key(m, key);
	struct map_entry *entry;
	void *before;

	ASSERT(value);
	if ((m->count + 1) * 4 > m->places * 3)
		grow(m);
	entry = find(m, key, hash);
	before = entry->value;
	if (!entry->key.data) {
		entry->key = (struct span){ mem_copy(key.data, key.len), key.len };
		entry->hash = hash;
		m->count++;
	}
	entry->value = value;
	return before;
}

void *map_remove(struct map *m, struct span key)
{
	struct map_entry *entry;
	size_t hole, i;
	void *value;

	if (m->count == 0)
		return NULL;
	entry = find(m, key, hash_key(m, key));
	if (!entry->key.data)
		return NULL;
	value = entry->value;
	mem_free((void *)entry->key.data);
	m->count--;
	/* Close the hole: move back each follower that the hole would hide from its own place. */
	hole = i = (size_t)(entry - m->entries);
	for (;;) {
		size_t home;

		i = (i + 1) & (m->places - 1);
		if (!m->entries[i].key.data)
			break;
		home = m->entries[i].hash & (m->places - 1);
		if (((i - home) & (m->places - 1)) >= ((i - hole) & (m->places - 1))) {
			m->entries[hole] = m->entries[i];
			hole = i;
		}
	}
	m->entries[hole] = (struct map_entry){ 0 };
	return value;
}

const struct map_entry *map_next(const struct map *m, size_t *at)
{
	while (*at < m->places) {
		const struct map_entry *entry = &m->entries[(*at)++];

		if (entry->key.data)
			return entry;
	}
	return NULL;
}
