#include "api/cursor.h"

#include "lib/test.h"

TEST(api_cursor__gives_back_the_position_it_was_made_for)
{
	static const char *const positions[] = { "a", "libc6", "b\xc3\xa4r/x", "0123456789abcdef" };

	for (size_t i = 0; i < sizeof(positions) / sizeof(positions[0]); i++) {
		struct text cursor, position;
		struct error err;

		text_init(&cursor);
		text_init(&position);
		cursor_append(
			&cursor, SPAN("services"), SPAN("type=library"), span_of(positions[i]));
		EXPECT_NULL(strpbrk(cursor.data, "+/= "));
		EXPECT_OK(cursor_position(&position, text_span(&cursor), SPAN("services"),
				  SPAN("type=library"), &err),
			&err);
		EXPECT_STR(position.data, positions[i]);
		text_done(&cursor);
		text_done(&position);
	}
}

TEST(api_cursor__tampered_or_used_elsewhere_it_is_refused)
{
	struct text cursor, position;

	text_init(&cursor);
	text_init(&position);
	cursor_append(&cursor, SPAN("services"), SPAN("q=x"), SPAN("libc6"));
	EXPECT_INT(
		cursor_position(&position, text_span(&cursor), SPAN("services"), SPAN("q=y"), NULL),
		==, ERR_CURSOR);
	EXPECT_INT(
		cursor_position(&position, text_span(&cursor), SPAN("plugins"), SPAN("q=x"), NULL),
		==, ERR_CURSOR);
	for (size_t i = 0; i < cursor.len; i++) {
		char was = cursor.data[i];

		cursor.data[i] = was == 'A' ? 'B' : 'A';
		EXPECT_INT(cursor_position(&position, text_span(&cursor), SPAN("services"),
				   SPAN("q=x"), NULL),
			==, ERR_CURSOR);
		cursor.data[i] = was;
	}
	EXPECT_INT(cursor_position(&position, SPAN(""), SPAN("services"), SPAN("q=x"), NULL), ==,
		ERR_CURSOR);
	EXPECT_INT(cursor_position(&position, SPAN("AAAA"), SPAN("services"), SPAN("q=x"), NULL),
		==, ERR_CURSOR);
	EXPECT_UINT(position.len, ==, 0);
	text_done(&cursor);
	text_done(&position);
}
