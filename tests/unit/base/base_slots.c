#include "base/slots.h"

#include "lib/test.h"

TEST(base_slots__a_released_handle_is_stale_for_ever)
{
	struct slots s;
	int a, b;
	uint64_t first, second;

	slots_init(&s);
	first = slots_add(&s, &a, 1);
	EXPECT_TRUE(slots_remove(&s, first) == &a);
	second = slots_add(&s, &b, 1);
	EXPECT_TRUE((uint32_t)first == (uint32_t)second);
	EXPECT_TRUE(first != second);
	EXPECT_NULL(slots_get(&s, first, 0));
	EXPECT_NULL(slots_remove(&s, first));
	EXPECT_TRUE(slots_get(&s, second, 0) == &b);
	slots_done(&s);
}

TEST(base_slots__a_handle_of_another_kind_or_made_up_is_nothing)
{
	struct slots s;
	int a;
	uint64_t handle;

	slots_init(&s);
	handle = slots_add(&s, &a, 3);
	EXPECT_NULL(slots_get(&s, handle, 4));
	EXPECT_NULL(slots_get(&s, 0, 0));
	EXPECT_NULL(slots_get(&s, UINT64_MAX, 0));
	EXPECT_INT(slots_kind(&s, handle), ==, 3);
	slots_done(&s);
}

TEST(base_slots__next_visits_each_live_handle)
{
	struct slots s;
	int object[40];
	uint64_t handles[40];
	int seen = 0;

	slots_init(&s);
	for (int i = 0; i < 40; i++)
		handles[i] = slots_add(&s, &object[i], 1);
	for (int i = 0; i < 40; i += 2)
		slots_remove(&s, handles[i]);
	for (uint64_t h = slots_next(&s, 0); h; h = slots_next(&s, h))
		seen++;
	EXPECT_INT(seen, ==, 20);
	slots_done(&s);
}
