#include "codec/shown.h"

#include "lib/test.h"

TEST(codec_shown__plain_text_stays)
{
	EXPECT_STR(shown(SPAN("lib/a-b_c.so")).text, "lib/a-b_c.so");
	EXPECT_STR(shown(SPAN_NONE).text, "");
}

TEST(codec_shown__what_could_move_a_cursor_is_spelled_out)
{
	EXPECT_STR(shown(SPAN("a\x1b[2J\n\\\xff")).text, "a\\x1b[2J\\x0a\\x5c\\xff");
}

TEST(codec_shown__what_is_long_is_cut)
{
	char bytes[1000];
	struct shown text;

	memset(bytes, 0xff, sizeof(bytes));
	text = shown((struct span){ bytes, sizeof(bytes) });
	EXPECT_UINT(strlen(text.text), <, SHOWN_SIZE);
	EXPECT_CONTAINS(text.text, "...");
}
