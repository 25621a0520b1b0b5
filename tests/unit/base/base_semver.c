#include "base/semver.h"

#include "base/mem.h"
#include "lib/test.h"

TEST(base_semver__what_the_standard_calls_valid_is)
{
	static const char *const good[] = { "0.0.4", "1.2.3", "10.20.30", "1.1.2-prerelease+meta",
		"1.1.2+meta", "1.0.0-alpha", "1.0.0-alpha.0valid", "1.0.0-rc.1+build.1",
		"1.2.3----RC-SNAPSHOT.12.9.1--.12", "1.0.0+0.build.1-rc.10000aaa-kk-0.1",
		"1.0.0-0A.is.legal", "18446744073709551615.0.0" };
	static const char *const bad[] = { "", "1", "1.2", "1.2.3-", "1.2.3+", "1.2.3-0123",
		"1.2.3-a..b", "01.1.1", "1.01.1", "1.1.01", "1.2.3.DEV", "v1.2.3", " 1.2.3",
		"1.2.3 ", "-1.0.3", "1.2.3-\xc3\xa4", "1.0.0+a+b", "18446744073709551616.0.0",
		"1.0.0-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" };
	struct semver v;

	for (size_t i = 0; i < ARRAY_LENGTH(good); i++)
		ck_assert_msg(semver_parse(span_of(good[i]), &v), "%s", good[i]);
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
		ck_assert_msg(!semver_parse(span_of(bad[i]), &v), "%s", bad[i]);
}

TEST(base_semver__the_order_is_that_of_the_standard)
{
	static const char *const rising[] = { "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta",
		"1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.1",
		"1.2.0", "1.10.0", "2.0.0" };
	struct semver a, b;

	for (size_t i = 0; i < ARRAY_LENGTH(rising); i++)
		for (size_t j = 0; j < ARRAY_LENGTH(rising); j++) {
			int order;

			EXPECT_TRUE(semver_parse(span_of(rising[i]), &a));
			EXPECT_TRUE(semver_parse(span_of(rising[j]), &b));
			order = semver_compare(&a, &b);
			ck_assert_msg((order > 0) - (order < 0) == (i > j) - (i < j), "%s %s",
				rising[i], rising[j]);
		}
}

TEST(base_semver__build_metadata_is_not_compared)
{
	struct semver a, b;

	EXPECT_TRUE(semver_parse(SPAN("1.0.0+a"), &a));
	EXPECT_TRUE(semver_parse(SPAN("1.0.0+b"), &b));
	EXPECT_INT(semver_compare(&a, &b), ==, 0);
	EXPECT_SPAN(a.build, "a");
	EXPECT_NULL(a.prerelease.data);
}
