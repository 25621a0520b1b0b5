#include "codec/random.h"

#include "lib/test.h"

TEST(codec_random__two_draws_differ)
{
	uint8_t a[32], b[32];

	random_bytes(a, sizeof(a));
	random_bytes(b, sizeof(b));
	EXPECT_INT(memcmp(a, b, sizeof(a)), !=, 0);
}

TEST(codec_random__below_reaches_every_value_and_no_other)
{
	unsigned seen = 0;

	for (int i = 0; i < 2000; i++) {
		uint32_t value = random_below(5);

		EXPECT_UINT(value, <, 5);
		seen |= 1u << value;
	}
	EXPECT_UINT(seen, ==, 31);
	EXPECT_UINT(random_below(1), ==, 0);
}

TEST(codec_random__text_is_of_the_alphabet)
{
	char out[101];

	random_text(out, 100, "xyz");
	EXPECT_UINT(strlen(out), ==, 100);
	EXPECT_UINT(strspn(out, "xyz"), ==, 100);
}
