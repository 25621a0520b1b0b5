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

TEST(supervise_health__what_stays_unhealthy_is_lost_and_one_good_answer_begins_anew)
{
	struct health h;

	health_init(&h, 2);
	for (unsigned i = 0; i < 3; i++) {
		(void)health_answer(&h, HEALTH_STATUS_UNHEALTHY);
		EXPECT_FALSE(health_is_lost(&h));
	}
	(void)health_answer(&h, HEALTH_STATUS_DEGRADED);
	for (unsigned i = 0; i < 3; i++) {
		(void)health_answer(&h, HEALTH_STATUS_UNHEALTHY);
		EXPECT_FALSE(health_is_lost(&h));
	}
	(void)health_answer(&h, HEALTH_STATUS_UNHEALTHY);
	EXPECT_TRUE(health_is_lost(&h));
	health_init(&h, 2);
	EXPECT_FALSE(health_is_lost(&h));
}
