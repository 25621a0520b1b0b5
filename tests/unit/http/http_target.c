#include "http/target.h"

#include "base/error.h"
#include "base/mem.h"
#include "lib/test.h"

TEST(http_target__path_is_cut_before_it_is_decoded)
{
	struct http_path path;

	EXPECT_INT(http_path_split(&path, SPAN("/api/a%2Fb/%C3%A9%20+")), ==, 0);
	EXPECT_INT(path.count, ==, 3);
	EXPECT_SPAN(path.segments[0], "api");
	EXPECT_SPAN(path.segments[1], "a/b");
	EXPECT_SPAN(path.segments[2], "\xc3\xa9 +");
	EXPECT_FALSE(path.trailing_slash);
}

TEST(http_target__root_and_trailing_slash_are_told_apart)
{
	struct http_path path;

	EXPECT_INT(http_path_split(&path, SPAN("/")), ==, 0);
	EXPECT_INT(path.count, ==, 0);
	EXPECT_FALSE(path.trailing_slash);
	EXPECT_INT(http_path_split(&path, SPAN("/a/")), ==, 0);
	EXPECT_INT(path.count, ==, 1);
	EXPECT_TRUE(path.trailing_slash);
}

TEST(http_target__paths_with_two_readings_are_refused)
{
	static const char *const bad[] = { "", "a", "*", "//", "/a//b", "/a//", "/.", "/a/..",
		"/%2e", "/%2E.", "/%00", "/%ff", "/%c0%af", "/%", "/%4" };
	struct http_path path;
	struct text deep;

	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
		ck_assert_msg(http_path_split(&path, span_of(bad[i])) == ERR_INVALID, "%s", bad[i]);
	text_init(&deep);
	for (int i = 0; i < HTTP_PATH_SEGMENTS_MAX; i++)
		text_append_string(&deep, "/a");
	EXPECT_INT(http_path_split(&path, text_span(&deep)), ==, 0);
	text_append_string(&deep, "/a");
	EXPECT_INT(http_path_split(&path, text_span(&deep)), ==, ERR_HTTP_TARGET);
	text_clear(&deep);
	text_append_char(&deep, '/');
	for (int i = 0; i <= HTTP_PATH_DECODED_MAX; i++)
		text_append_string(&deep, "%61");
	EXPECT_INT(http_path_split(&path, text_span(&deep)), ==, ERR_HTTP_TARGET);
	text_done(&deep);
}

TEST(http_target__query_parameters_come_in_order)
{
	struct span rest = SPAN("a=1&&b&=c&d=e=f&"), name, value;
	struct text seen;

	text_init(&seen);
	while (http_query_next(&rest, &name, &value))
		text_printf(&seen, "[%.*s:%.*s]", SPAN_ARG(name), SPAN_ARG(value));
	EXPECT_STR(seen.data, "[a:1][b:][:c][d:e=f]");
	text_done(&seen);
	rest = SPAN_NONE;
	EXPECT_FALSE(http_query_next(&rest, &name, &value));
}

TEST(http_target__query_values_are_decoded_once)
{
	struct span value;
	char buffer[8];

	EXPECT_INT(http_query_get(SPAN("x=%2525+b&y"), "x", buffer, sizeof(buffer), &value), ==, 0);
	EXPECT_SPAN(value, "%25 b");
	EXPECT_INT(http_query_get(SPAN("x=1&y"), "y", buffer, sizeof(buffer), &value), ==, 0);
	EXPECT_SPAN(value, "");
	EXPECT_INT(http_query_get(SPAN("%78=1"), "x", buffer, sizeof(buffer), &value), ==, 0);
	EXPECT_SPAN(value, "1");
	EXPECT_INT(
		http_query_get(SPAN_NONE, "x", buffer, sizeof(buffer), &value), ==, ERR_NOT_FOUND);
	EXPECT_INT(http_query_get(SPAN("x=1&x=1"), "x", buffer, sizeof(buffer), &value), ==,
		ERR_INVALID);
	EXPECT_INT(http_query_get(SPAN("x=%ff"), "x", buffer, sizeof(buffer), &value), ==,
		ERR_INVALID);
	EXPECT_INT(
		http_query_get(SPAN("x=%201234567"), "x", buffer, sizeof(buffer), &value), ==, 0);
	EXPECT_INT(http_query_get(SPAN("x=%2012345678"), "x", buffer, sizeof(buffer), &value), ==,
		ERR_TOO_LARGE);
}
