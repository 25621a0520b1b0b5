#include "identity/rate.h"

#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "lib/test.h"

#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

TEST(identity_rate__exactly_the_limit_passes_in_a_window_and_the_next_one_begins_anew)
{
	size_t size = rate_size(64);
	void *memory = mem_zalloc(size);
	struct rate *r = rate_at(memory, size);
	int64_t left = -1, hour = INT64_C(500000) * RATE_WINDOW_S;

	for (int i = 0; i < 5; i++) {
		EXPECT_UINT(rate_take(r, HASH, 5, hour + i, &left), ==, 0);
		EXPECT_INT(left, ==, 4 - i);
	}
	EXPECT_UINT(rate_take(r, HASH, 5, hour + 600, &left), ==, 3000);
	EXPECT_INT(left, ==, 0);
	EXPECT_UINT(rate_take(r, HASH, 5, hour + RATE_WINDOW_S, &left), ==, 0);
	mem_free(memory);
}

TEST(identity_rate__keys_count_apart_and_old_slots_are_used_again)
{
	size_t size = rate_size(16);
	void *memory = mem_zalloc(size);
	struct rate *r = rate_at(memory, size);
	int64_t left;

	for (int64_t hour = 1; hour < 20; hour++) {
		for (unsigned k = 0; k < 16; k++) {
			char hash[65];

			(void)snprintf(hash, sizeof(hash), "%08x%056d", (unsigned)hour * 16 + k, 0);
			EXPECT_UINT(rate_take(r, hash, 1, hour * RATE_WINDOW_S, &left), ==, 0);
			EXPECT_UINT(rate_take(r, hash, 1, hour * RATE_WINDOW_S, &left), >, 0);
		}
	}
	mem_free(memory);
}

TEST(identity_rate__processes_that_share_the_memory_share_the_limit)
{
	enum { PROCESSES = 4, TRIES = 20000, LIMIT = 50000 };
	size_t size = rate_size(64);
	unsigned *passed;
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned sum = 0;

	ck_assert(memory != MAP_FAILED);
	passed = mmap(NULL, sizeof(unsigned) * PROCESSES, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert(passed != MAP_FAILED);
	for (int i = 0; i < PROCESSES; i++) {
		if (fork() == 0) {
			struct rate *r = rate_at(memory, size);
			int64_t left;

			for (int n = 0; n < TRIES; n++)
				passed[i] += rate_take(r, HASH, LIMIT, 7200, &left) == 0;
			_exit(0);
		}
	}
	for (int i = 0; i < PROCESSES; i++)
		ck_assert(wait(NULL) > 0);
	for (int i = 0; i < PROCESSES; i++)
		sum += passed[i];
	EXPECT_UINT(sum, ==, LIMIT);
}
