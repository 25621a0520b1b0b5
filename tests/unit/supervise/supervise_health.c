#include "supervise/health.h"

#include "lib/test.h"

TEST(supervise_health__the_first_answer_decides)
{
	struct health h;

	health_init(&h, 3);
	EXPECT_INT(h.status, ==, HEALTH_STATUS_UNKNOWN);
	EXPECT_TRUE(health_answer(&h, HEALTH_STATUS_HEALTHY));
	EXPECT_INT(h.status, ==, HEALTH_STATUS_HEALTHY);
}

TEST(supervise_health__one_bad_answer_changes_nothing)
{
	struct health h;

	health_init(&h, 3);
	(void)health_answer(&h, HEALTH_STATUS_HEALTHY);
	EXPECT_FALSE(health_answer(&h, HEALTH_STATUS_UNHEALTHY));
	EXPECT_FALSE(health_answer(&h, HEALTH_STATUS_UNHEALTHY));
	EXPECT_FALSE(health_answer(&h, HEALTH_STATUS_HEALTHY));
	EXPECT_FALSE(health_answer(&h, HEALTH_STATUS_UNHEALTHY));
	EXPECT_FALSE(health_answer(&h, HEALTH_STATUS_DEGRADED));
	EXPECT_TRUE(health_answer(&h, HEALTH_STATUS_UNHEALTHY));
	EXPECT_INT(h.status, ==, HEALTH_STATUS_UNHEALTHY);
}

TEST(supervise_health__recovery_needs_two_good_answers)
{
	struct health h;

	health_init(&h, 1);
	(void)health_answer(&h, HEALTH_STATUS_UNHEALTHY);
	EXPECT_FALSE(health_answer(&h, HEALTH_STATUS_HEALTHY));
	EXPECT_FALSE(health_answer(&h, HEALTH_STATUS_UNHEALTHY));
	EXPECT_FALSE(health_answer(&h, HEALTH_STATUS_HEALTHY));
	EXPECT_TRUE(health_answer(&h, HEALTH_STATUS_HEALTHY));
	EXPECT_INT(h.status, ==, HEALTH_STATUS_HEALTHY);
}
