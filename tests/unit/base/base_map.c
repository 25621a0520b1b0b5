#include "base/map.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "lib/test.h"

#define KEYS 2000

TEST(base_map__agrees_with_an_array_under_random_changes)
{
	static int present[KEYS];
	struct map m;
	char name[16];
	size_t count = 0;

	map_init(&m);
	srandom(1);
	for (int step = 0; step < 100000; step++) {
		int k = (int)(random() % KEYS);
		int len = snprintf(name, sizeof(name), "key%d", k);
		struct span key = { name, (size_t)len };

		if (random() % 2) {
			void *before = map_put(&m, key, &present[k]);

			EXPECT_TRUE((before != NULL) == present[k]);
			count += !present[k];
			present[k] = 1;
		} else {
			void *removed = map_remove(&m, key);

			EXPECT_TRUE((removed != NULL) == present[k]);
			count -= (size_t)present[k];
			present[k] = 0;
		}
		EXPECT_UINT(m.count, ==, count);
	}
	for (int k = 0; k < KEYS; k++) {
		int len = snprintf(name, sizeof(name), "key%d", k);

		EXPECT_TRUE(
			(map_get(&m, (struct span){ name, (size_t)len }) != NULL) == present[k]);
	}
	map_done(&m);
}

TEST(base_map__iterates_over_each_entry_once)
{
	struct map m;
	int seen[100] = { 0 };

	map_init(&m);
	for (uint64_t k = 0; k < 100; k++)
		map_put_u64(&m, k, &seen[k]);
	map_for_each(entry, &m)
		++*(int *)entry->value;
	for (int k = 0; k < 100; k++)
		EXPECT_INT(seen[k], ==, 1);
	map_done(&m);
}
