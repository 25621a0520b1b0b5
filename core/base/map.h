/* map.h - a hash map from byte strings or 64-bit numbers to pointers
 *
 * Open addressing with linear probing and backward-shift deletion; keys are hashed with SipHash
 * under a random key, so an outsider cannot choose keys that collide. The map copies the key and
 * borrows the value. Adding may move entries: no iteration across map_put() or map_remove(). Not
 * thread-safe.
 */
#ifndef MORTISE_BASE_MAP_H
#define MORTISE_BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

struct map_entry {
	struct span key; /* NULL data: an empty place */
	void *value;
	uint64_t hash;
};

struct map {
	struct map_entry *entries;
	size_t count;
	size_t places; /* 0 or a power of two */
	uint64_t seed[2];
};

void map_init(struct map *m);
void map_done(struct map *m); /* releases keys, not values */

/* The value, or NULL. */
void *map_get(const struct map *m, struct span key);
/* Set; returns the value that was there before, or NULL. value is not NULL. */
void *map_put(struct map *m, struct span key, void *value);
/* Remove; returns the value that was there, or NULL. */
void *map_remove(struct map *m, struct span key);

static inline struct span map_u64_(const uint64_t *key)
{
	return (struct span){ (const char *)key, sizeof(*key) };
}
#define map_get_u64(m, key)        map_get((m), map_u64_(&(uint64_t){ (key) }))
#define map_put_u64(m, key, value) map_put((m), map_u64_(&(uint64_t){ (key) }), (value))
#define map_remove_u64(m, key)     map_remove((m), map_u64_(&(uint64_t){ (key) }))

/* The first entry at or after place *at, which moves behind it; NULL at the end. Start with 0. */
const struct map_entry *map_next(const struct map *m, size_t *at);
#define map_for_each(entry, m)                                                            \
	for (size_t entry##_at_ = 0, entry##_once_ = 1; entry##_once_; entry##_once_ = 0) \
		for (const struct map_entry *entry; (entry = map_next((m), &entry##_at_));)

#endif
