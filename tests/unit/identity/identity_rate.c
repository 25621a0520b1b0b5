#include "identity/rate.h"

#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "lib/test.h"

#define HASH    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define HOUR_MS (UINT64_C(1000) * RATE_WINDOW_S)

static void keep(struct rate *r, const char *hash, uint32_t count, uint32_t rest, uint64_t ends_ms,
	uint64_t now_ms)
{
	const struct rate_block block = {
		.taken = count, .count = count, .rest = rest, .limit = 100, .ends_ms = ends_ms
	};

	rate_keep(r, hash, &block, now_ms);
}

static enum rate_answer take(struct rate *r, const char *hash, uint64_t now_ms)
{
	struct rate_state state;

	return rate_take(r, hash, 100, now_ms, &state);
}

TEST(identity_rate__a_block_is_used_up_and_the_next_one_is_asked_for)
{
	size_t size = rate_size(64);
	void *memory = mem_zalloc(size);
	struct rate *r = rate_at(memory, size);
	struct rate_state state;

	EXPECT_INT(rate_take(r, HASH, 100, 1000, &state), ==, RATE_EMPTY);
	EXPECT_UINT(state.extra, ==, 0); /* the first question asks for no more than waits */
	keep(r, HASH, 3, 97, 9000, 1000);
	for (uint64_t i = 0; i < 3; i++) {
		EXPECT_INT(rate_take(r, HASH, 100, 1000, &state), ==, RATE_TAKEN);
		EXPECT_UINT(state.left, ==, 99 - i);
		EXPECT_UINT(state.ends_ms, ==, 9000);
	}
	EXPECT_INT(rate_take(r, HASH, 100, 1000, &state), ==, RATE_EMPTY);
	EXPECT_UINT(state.extra, ==, 3); /* as many again as it took */
	mem_free(memory);
}

TEST(identity_rate__what_the_database_has_no_more_of_is_spent_until_the_hour_ends)
{
	size_t size = rate_size(64);
	void *memory = mem_zalloc(size);
	struct rate *r = rate_at(memory, size);
	struct rate_state state;

	keep(r, HASH, 1, 0, 9000, 1000);
	EXPECT_INT(take(r, HASH, 1000), ==, RATE_TAKEN);
	EXPECT_INT(rate_take(r, HASH, 100, 8999, &state), ==, RATE_SPENT);
	EXPECT_UINT(state.ends_ms, ==, 9000);
	/* A limit that was raised is the database's to answer. */
	EXPECT_INT(rate_take(r, HASH, 101, 8999, &state), ==, RATE_EMPTY);
	rate_keep(r, HASH,
		&(struct rate_block){
			.taken = 1, .count = 1, .rest = 8, .limit = 110, .ends_ms = 9000 },
		8999);
	EXPECT_INT(rate_take(r, HASH, 110, 8999, &state), ==, RATE_TAKEN);
	EXPECT_UINT(state.left, ==, 8);
	EXPECT_INT(rate_take(r, HASH, 110, 8999, &state), ==, RATE_EMPTY);
	EXPECT_INT(take(r, HASH, 9000), ==, RATE_EMPTY);
	mem_free(memory);
}

TEST(identity_rate__requests_of_an_hour_end_with_it)
{
	size_t size = rate_size(64);
	void *memory = mem_zalloc(size);
	struct rate *r = rate_at(memory, size);

	keep(r, HASH, 50, 50, 9000, 1000);
	EXPECT_INT(take(r, HASH, 8999), ==, RATE_TAKEN);
	EXPECT_INT(take(r, HASH, 9000), ==, RATE_EMPTY);
	keep(r, HASH, 1, 99, 9000 + HOUR_MS, 9100);
	EXPECT_INT(take(r, HASH, 9100), ==, RATE_TAKEN); /* and not with those of before */
	EXPECT_INT(take(r, HASH, 9100), ==, RATE_EMPTY);
	/* A block that comes when its hour is over counts for nothing, before or after another. */
	keep(r, HASH, 5, 95, 9000, 9100);
	EXPECT_INT(take(r, HASH, 9100), ==, RATE_EMPTY);
	mem_free(memory);
}

TEST(identity_rate__blocks_of_one_hour_add_up_whatever_their_estimates_of_its_end)
{
	size_t size = rate_size(64);
	void *memory = mem_zalloc(size);
	struct rate *r = rate_at(memory, size);
	struct rate_state state;

	keep(r, HASH, 2, 10, 9000, 1000);
	keep(r, HASH, 2, 8, 8990, 1000);
	for (int i = 0; i < 4; i++)
		EXPECT_INT(rate_take(r, HASH, 100, 8995, &state), ==, RATE_TAKEN);
	EXPECT_UINT(state.ends_ms, ==, 9000);
	EXPECT_INT(take(r, HASH, 8995), ==, RATE_EMPTY);
	mem_free(memory);
}

TEST(identity_rate__keys_never_use_each_others_requests_and_old_places_are_used_again)
{
	enum { PLACES = 16, KEYS = 40 };
	size_t size = rate_size(PLACES);
	void *memory = mem_zalloc(size);
	struct rate *r = rate_at(memory, size);

	for (uint64_t hour = 1; hour < 20; hour++) {
		uint64_t now = hour * HOUR_MS, ends = now + HOUR_MS;
		unsigned held = 0;

		for (unsigned k = 0; k < KEYS; k++) {
			char hash[65];

			(void)snprintf(
				hash, sizeof(hash), "%016x%048d", (unsigned)hour * KEYS + k, 0);
			keep(r, hash, 1, 0, ends, now);
		}
		for (unsigned k = 0; k < KEYS; k++) {
			char hash[65];
			enum rate_answer answer;

			(void)snprintf(
				hash, sizeof(hash), "%016x%048d", (unsigned)hour * KEYS + k, 0);
			answer = take(r, hash, now);
			held += answer == RATE_TAKEN;
			EXPECT_INT(take(r, hash, now), ==,
				answer == RATE_TAKEN ? RATE_SPENT : RATE_EMPTY);
		}
		EXPECT_UINT(held, ==, PLACES);
	}
	mem_free(memory);
}

TEST(identity_rate__processes_that_share_the_memory_share_what_is_held)
{
	enum { PROCESSES = 4, BLOCKS = 50, BLOCK = 1000 };
	size_t size = rate_size(64);
	unsigned *passed, sum = 0;
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ck_assert(memory != MAP_FAILED);
	passed = mmap(NULL, sizeof(unsigned) * PROCESSES, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert(passed != MAP_FAILED);
	for (int i = 0; i < PROCESSES; i++) {
		if (fork() == 0) {
			struct rate *r = rate_at(memory, size);

			for (int n = 0; n < BLOCKS; n++) {
				keep(r, HASH, BLOCK, 1, HOUR_MS, 1);
				while (take(r, HASH, 1) == RATE_TAKEN)
					passed[i]++;
			}
			_exit(0);
		}
	}
	for (int i = 0; i < PROCESSES; i++)
		ck_assert(wait(NULL) > 0);
	for (int i = 0; i < PROCESSES; i++)
		sum += passed[i];
	EXPECT_UINT(sum, ==, PROCESSES * BLOCKS * BLOCK);
}
