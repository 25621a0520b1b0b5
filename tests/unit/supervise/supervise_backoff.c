#include "supervise/backoff.h"

#include "lib/test.h"

TEST(supervise_backoff__the_first_restart_is_immediate_then_waits_double)
{
	struct backoff b;

	backoff_init(&b, 60000, 1000, 0);
	EXPECT_UINT(backoff_next(&b, 5), ==, 0);
	EXPECT_UINT(backoff_next(&b, 5), ==, 200);
	EXPECT_UINT(backoff_next(&b, 5), ==, 400);
	EXPECT_UINT(backoff_next(&b, 5), ==, 800);
	EXPECT_UINT(backoff_next(&b, 5), ==, 1000);
	for (int i = 0; i < 1000; i++)
		EXPECT_UINT(backoff_next(&b, 5), ==, 1000);
}

TEST(supervise_backoff__it_gives_up_after_the_limit_of_short_lives)
{
	struct backoff b;

	backoff_init(&b, 60000, 30000, 3);
	for (int i = 0; i < 3; i++)
		EXPECT_UINT(backoff_next(&b, 59999), !=, BACKOFF_GIVE_UP);
	EXPECT_UINT(backoff_next(&b, 59999), ==, BACKOFF_GIVE_UP);
	EXPECT_UINT(backoff_next(&b, 59999), ==, BACKOFF_GIVE_UP);
}

TEST(supervise_backoff__a_long_life_starts_from_zero)
{
	struct backoff b;

	backoff_init(&b, 60000, 30000, 2);
	EXPECT_UINT(backoff_next(&b, 1), ==, 0);
	EXPECT_UINT(backoff_next(&b, 1), ==, 200);
	EXPECT_UINT(backoff_next(&b, 60000), ==, 0);
	EXPECT_UINT(backoff_next(&b, 1), ==, 200);
	EXPECT_UINT(backoff_next(&b, 1), ==, BACKOFF_GIVE_UP);
}
