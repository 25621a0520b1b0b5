#include "base/clock.h"

#include "base/mem.h"
#include "lib/test.h"

TEST(base_clock__text_and_parse_are_inverse)
{
	static const int64_t times[] = { 0, 1, -1, 1761955200000000, 951782400123456 };

	for (size_t i = 0; i < ARRAY_LENGTH(times); i++) {
		char text[CLOCK_TEXT_SIZE];
		int64_t back;

		clock_text(times[i], text);
		EXPECT_TRUE(clock_parse(span_of(text), &back));
		EXPECT_INT(back, ==, times[i]);
	}
}

TEST(base_clock__parse_refuses_dates_that_are_none)
{
	static const char *const bad[] = { "", "2026-02-30T00:00:00Z", "2026-13-01T00:00:00Z",
		"2026-01-01T24:00:00Z", "2026-01-01T00:00:60Z", "2026-01-01T00:00:00",
		"2026-01-01T00:00:00.Z", "2026-01-01T00:00:00.1234567Z",
		"2026-01-01T00:00:00+00:00", "2026-01-01 00:00:00Z", "2026-01-01T00:00:00.1xZ" };
	int64_t us;

	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
		EXPECT_FALSE(clock_parse(span_of(bad[i]), &us));
}
