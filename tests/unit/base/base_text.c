#include "base/text.h"

#include "base/mem.h"
#include "lib/test.h"

TEST(base_text__split_keeps_empty_parts)
{
	struct span rest = SPAN("a,,b"), part;

	EXPECT_TRUE(span_split(&rest, ',', &part));
	EXPECT_SPAN(part, "a");
	EXPECT_TRUE(span_split(&rest, ',', &part));
	EXPECT_SPAN(part, "");
	EXPECT_TRUE(span_split(&rest, ',', &part));
	EXPECT_SPAN(part, "b");
	EXPECT_FALSE(span_split(&rest, ',', &part));
}

TEST(base_text__u64_refuses_signs_spaces_and_overflow)
{
	static const char *const bad[] = { "", "-1", "+1", " 1", "1 ", "0x1",
		"18446744073709551616" };
	uint64_t value = 7;

	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
		EXPECT_FALSE(span_u64(span_of(bad[i]), UINT64_MAX, &value));
	EXPECT_UINT(value, ==, 7);
	EXPECT_TRUE(span_u64(SPAN("18446744073709551615"), UINT64_MAX, &value));
	EXPECT_TRUE(value == UINT64_MAX);
	EXPECT_FALSE(span_u64(SPAN("101"), 100, &value));
}

TEST(base_text__utf8_refuses_what_rfc_3629_forbids)
{
	static const char *const good[] = { "", "plain", "\xc3\xa9", "\xe2\x82\xac",
		"\xf0\x9f\x92\xa1", "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf" };
	static const char *const bad[] = { "\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80",
		"\xed\xa0\x80", "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
		"\xe2\x82", "\xc3(" };

	for (size_t i = 0; i < ARRAY_LENGTH(good); i++)
		EXPECT_TRUE(utf8_valid(span_of(good[i])));
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
		EXPECT_FALSE(utf8_valid(span_of(bad[i])));
}

TEST(base_text__json_escapes_controls_and_repairs_utf8)
{
	struct text t;

	text_init(&t);
	text_append_json(&t, (struct span){ "a\"\\\n\x01\0\xff\xc3\xa9", 9 });
	EXPECT_STR(t.data, "\"a\\\"\\\\\\n\\u0001\\u0000\xef\xbf\xbd\xc3\xa9\"");
	text_done(&t);
}

TEST(base_text__grows_and_consumes)
{
	struct text t;

	text_init(&t);
	for (int i = 0; i < 1000; i++)
		text_printf(&t, "%04d", i);
	EXPECT_UINT(t.len, ==, 4000);
	text_consume(&t, 3996);
	EXPECT_STR(t.data, "0999");
	text_done(&t);
}

TEST(base_text__hex_goes_both_ways)
{
	unsigned char bytes[3];
	char hex[7];

	hex_encode("\x00\x7f\xff", 3, hex);
	EXPECT_STR(hex, "007fff");
	EXPECT_TRUE(hex_decode(SPAN("007fff"), bytes, 3));
	EXPECT_INT(memcmp(bytes, "\x00\x7f\xff", 3), ==, 0);
	EXPECT_FALSE(hex_decode(SPAN("007FFF"), bytes, 3));
	EXPECT_FALSE(hex_decode(SPAN("007ff"), bytes, 3));
}
