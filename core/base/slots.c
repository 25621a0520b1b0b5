#include "base/slots.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

#define FIRST_PLACES 16

static uint64_t handle_of(uint32_t index, uint32_t generation)
{
	return (uint64_t)generation << 32 | index;
}

static struct slot *find(const struct slots *s, uint64_t handle)
{
	uint32_t index = (uint32_t)handle;

	if (index >= s->places)
		return NULL;
	if (!s->slots[index].object || s->slots[index].generation != handle >> 32)
		return NULL;
	return &s->slots[index];
}

void slots_init(struct slots *s)
{
	memset(s, 0, sizeof(*s));
}

void slots_done(struct slots *s)
{
	mem_free(s->slots);
	slots_init(s);
}

static void grow(struct slots *s)
{
	uint32_t places = s->places ? s->places * 2 : FIRST_PLACES;

	ASSERT(places > s->places);
	s->slots = mem_realloc(s->slots, places * sizeof(*s->slots));
	for (uint32_t i = places; i-- > s->places;) {
		s->slots[i] = (struct slot){ NULL, 1, s->first_free, 0 };
		s->first_free = i + 1;
	}
	s->places = places;
}

uint64_t slots_add(struct slots *s, void *object, uint8_t kind)
{
	struct slot *slot;
	uint32_t index;

	ASSERT(object && kind);
	if (s->first_free == 0)
		grow(s);
	index = s->first_free - 1;
	slot = &s->slots[index];
	s->first_free = slot->next_free;
	slot->object = object;
	slot->kind = kind;
	s->count++;
	return handle_of(index, slot->generation);
}

void *slots_get(const struct slots *s, uint64_t handle, uint8_t kind)
{
	const struct slot *slot = find(s, handle);

	return slot && (kind == 0 || slot->kind == kind) ? slot->object : NULL;
}

uint8_t slots_kind(const struct slots *s, uint64_t handle)
{
	const struct slot *slot = find(s, handle);

	return slot ? slot->kind : 0;
}

void *slots_remove(struct slots *s, uint64_t handle)
{
	struct slot *slot = find(s, handle);
	void *object;

	if (!slot)
		return NULL;
	object = slot->object;
	slot->object = NULL;
	slot->kind = 0;
	s->count--;
	if (slot->generation == UINT32_MAX)
		return object;
	slot->generation++;
	slot->next_free = s->first_free;
	s->first_free = (uint32_t)handle + 1;
	return object;
}

uint64_t slots_next(const struct slots *s, uint64_t after)
{
	uint32_t index = after ? (uint32_t)after + 1 : 0;

	for (; index < s->places; index++)
		if (s->slots[index].object)
			return handle_of(index, s->slots[index].generation);
	return 0;
}
