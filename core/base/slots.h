/* slots.h - handles: 64-bit numbers that name an object and know when it is gone
 *
 * A handle is slot index and generation. Releasing a slot makes its handle stale
 * for ever (a slot whose generation is spent is not used again); looking up a
 * stale or made-up handle gives NULL, never another object. 0 is no handle. The
 * table borrows the objects. Not thread-safe.
 */
#ifndef MORTISE_BASE_SLOTS_H
#define MORTISE_BASE_SLOTS_H

#include <stddef.h>
#include <stdint.h>

struct slot {
	void *object;        /* NULL when free */
	uint32_t generation; /* of the present or the next handle, from 1 */
	uint32_t next_free;
	uint8_t kind;
};

struct slots {
	struct slot *slots;
	uint32_t places;
	uint32_t first_free; /* index + 1; 0: none */
	uint32_t count;
};

void slots_init(struct slots *s);
void slots_done(struct slots *s);

/* A new handle for object (not NULL) of a kind that the caller chooses, 1 to 255. */
uint64_t slots_add(struct slots *s, void *object, uint8_t kind);
/* The object, if handle is live and of that kind (0: of any), else NULL. */
void *slots_get(const struct slots *s, uint64_t handle, uint8_t kind);
/* The kind of a live handle, else 0. */
uint8_t slots_kind(const struct slots *s, uint64_t handle);
/* Release; returns the object, or NULL when handle was not live. */
void *slots_remove(struct slots *s, uint64_t handle);
/* The next live handle after `after` in slot order, 0 at the end; begin with 0. */
uint64_t slots_next(const struct slots *s, uint64_t after);

#endif
