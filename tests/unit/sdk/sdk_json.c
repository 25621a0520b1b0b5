#include "lib/test.h"

#include <float.h>

#include <mortise/json.h>

static int32_t parse(const char *text, struct mortise_json *out)
{
	return mortise_json_parse(mortise_str_from(text), out);
}

static void expect_text(struct mortise_str got, const char *expected)
{
	ck_assert_msg(mortise_str_equal(got, mortise_str_from(expected)),
		"expected '%s', got '%.*s'", expected, (int)got.size, got.data);
}

TEST(sdk_json__accepts_what_the_standard_allows)
{
	static const char *const texts[] = { "null", " true ", "false", "0", "-0", "-12.5e+3",
		"1E9", "\"\"", "\"\\u00e9\\ud83d\\ude00\\/\\b\"", "[]", "[ ]", "{}",
		"[1,[2],{\"a\":[]}]", "{\"a\":1,\"a\":{}}", "\"\xc3\xa9\xf0\x9f\x98\x80\"",
		"\t[\r\n1 ,\n2]\n" };
	struct mortise_json value;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		ck_assert_msg(parse(texts[i], &value) == 0, "refused: %s", texts[i]);
}

TEST(sdk_json__refuses_what_it_does_not)
{
	static const char *const texts[] = { "", " ", "nul", "truee", "01", "-", "1.", ".5", "1e",
		"+1", "\"", "\"\\x\"", "\"\\u12g4\"", "\"\\ud800\"", "\"\\udc00\"",
		"\"\\ud800\\u0041\"", "\"\n\"", "\"\x80\"", "\"\xc0\xaf\"", "\"\xed\xa0\x80\"",
		"\"\xf4\x90\x80\x80\"", "[", "]", "[1", "[1,]", "[,1]", "[1 2]", "{", "{1:2}",
		"{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{\"a\" 1}", "[1}", "{\"a\":1]", "1 1", "'a'",
		"NaN", "[1]x" };
	struct mortise_json value = { .type = 77 };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		ck_assert_msg(
			parse(texts[i], &value) == MORTISE_E_FORMAT, "accepted: %s", texts[i]);
	EXPECT_INT(value.type, ==, 77); /* the output is untouched on failure */
}

TEST(sdk_json__nesting_is_bounded)
{
	char text[2 * MORTISE_JSON_DEPTH_MAX + 3];
	struct mortise_json value;

	memset(text, '[', MORTISE_JSON_DEPTH_MAX);
	memset(text + MORTISE_JSON_DEPTH_MAX, ']', MORTISE_JSON_DEPTH_MAX);
	EXPECT_INT(mortise_json_parse(mortise_str_of(text, 2 * MORTISE_JSON_DEPTH_MAX), &value), ==,
		0);
	memset(text, '[', MORTISE_JSON_DEPTH_MAX + 1);
	memset(text + MORTISE_JSON_DEPTH_MAX + 1, ']', MORTISE_JSON_DEPTH_MAX + 1);
	EXPECT_INT(mortise_json_parse(mortise_str_of(text, sizeof(text) - 1), &value), ==,
		MORTISE_E_FORMAT);
}

TEST(sdk_json__a_string_is_decoded_or_points_into_the_source)
{
	struct mortise_json value;
	struct mortise_str out;
	char buffer[16];

	EXPECT_INT(parse("\"plain\"", &value), ==, 0);
	EXPECT_INT(mortise_json_string(&value, NULL, 0, &out), ==, 0);
	expect_text(out, "plain");
	EXPECT_INT(parse("\"a\\n\\\"\\u00e9\\u20ac\\ud83d\\ude00\"", &value), ==, 0);
	EXPECT_INT(mortise_json_string(&value, buffer, sizeof(buffer), &out), ==, 0);
	expect_text(out, "a\n\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
	EXPECT_INT(mortise_json_string(&value, buffer, 11, &out), ==, MORTISE_E_TOO_LARGE);
	EXPECT_INT(parse("17", &value), ==, 0);
	EXPECT_INT(mortise_json_string(&value, buffer, sizeof(buffer), &out), ==, MORTISE_E_FORMAT);
}

TEST(sdk_json__members_are_found_by_decoded_name)
{
	struct mortise_json root, value;
	int64_t number = 0;

	EXPECT_INT(
		parse("{\"x\":{\"n\":1},\"\\u006e\\u00e9\":\"9007199254740993\",\"n\":3}", &root),
		==, 0);
	EXPECT_INT(mortise_json_member(&root, "n\xc3\xa9", &value), ==, 0);
	EXPECT_INT(mortise_json_int64(&value, &number), ==, 0);
	ck_assert_int_eq(number, 9007199254740993);
	EXPECT_INT(mortise_json_member(&root, "n", &value), ==, 0);
	EXPECT_INT(mortise_json_int64(&value, &number), ==, 0);
	EXPECT_INT(number, ==, 3);
	EXPECT_INT(mortise_json_member(&root, "m", &value), ==, MORTISE_E_NOT_FOUND);
	EXPECT_INT(value.type, ==, 0);
	EXPECT_INT(mortise_json_member(&value, "m", &root), ==, MORTISE_E_FORMAT);
}

TEST(sdk_json__integers_keep_to_their_range)
{
	static const char *const bad[] = { "9223372036854775808", "\"-9223372036854775809\"", "1.0",
		"\"\"", "\"-\"", "\" 1\"", "true", "1e3" };
	struct mortise_json value;
	int64_t number = 7;
	uint32_t small = 7;

	EXPECT_INT(parse("\"-9223372036854775808\"", &value), ==, 0);
	EXPECT_INT(mortise_json_int64(&value, &number), ==, 0);
	EXPECT_TRUE(number == INT64_MIN);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		EXPECT_INT(parse(bad[i], &value), ==, 0);
		ck_assert_msg(mortise_json_int64(&value, &number) == MORTISE_E_FORMAT,
			"accepted: %s", bad[i]);
	}
	EXPECT_INT(parse("4294967296", &value), ==, 0);
	EXPECT_INT(mortise_json_uint32(&value, &small), ==, MORTISE_E_FORMAT);
	EXPECT_INT(parse("-1", &value), ==, 0);
	EXPECT_INT(mortise_json_uint32(&value, &small), ==, MORTISE_E_FORMAT);
	EXPECT_INT(small, ==, 7);
}

TEST(sdk_json__walks_arrays_and_objects_in_order)
{
	struct mortise_json root;
	struct mortise_json_walk walk;
	uint32_t sum = 0, number = 0;

	EXPECT_INT(parse(" [ 1 , [9,9] , 2 ] ", &root), ==, 0);
	for (walk = mortise_json_each(&root); mortise_json_next(&walk);) {
		if (walk.value.type == MORTISE_JSON_NUMBER) {
			EXPECT_INT(mortise_json_uint32(&walk.value, &number), ==, 0);
			sum = sum * 10 + number;
		}
	}
	EXPECT_INT(sum, ==, 12);
	EXPECT_INT(parse("{ \"a\" : 1, \"b\":{\"c\":[]} }", &root), ==, 0);
	walk = mortise_json_each(&root);
	EXPECT_INT(mortise_json_next(&walk), ==, 1);
	EXPECT_TRUE(mortise_json_is(&walk.key, "a"));
	EXPECT_INT(mortise_json_next(&walk), ==, 1);
	EXPECT_TRUE(mortise_json_is(&walk.key, "b"));
	EXPECT_INT(walk.value.type, ==, MORTISE_JSON_OBJECT);
	EXPECT_INT(mortise_json_next(&walk), ==, 0);
	EXPECT_INT(mortise_json_next(&walk), ==, 0);
}

TEST(sdk_json__writes_what_it_can_read_whatever_the_input)
{
	struct mortise_json_writer w;
	struct mortise_json root;
	struct mortise_str text;

	mortise_json_writer_init(&w);
	mortise_json_open_object(&w);
	mortise_json_put_string(&w, "text", MORTISE_STR("a\"\\\n\t\x01\x00 \x80\xc3\xa9"));
	mortise_json_put_integer(&w, "n", -5);
	mortise_json_put_boolean(&w, "b", 1);
	mortise_json_add_key(&w, MORTISE_STR("list"));
	mortise_json_open_array(&w);
	mortise_json_add_null(&w);
	mortise_json_add_int64(&w, INT64_MIN);
	mortise_json_add_real(&w, 0.5);
	mortise_json_add_raw(&w, MORTISE_STR("{\"x\":[]}"));
	mortise_json_open_object(&w);
	mortise_json_close(&w);
	mortise_json_close(&w);
	mortise_json_close(&w);
	EXPECT_INT(mortise_json_written(&w, &text), ==, 0);
	expect_text(text, "{\"text\":\"a\\\"\\\\\\n\\u0009\\u0001\\u0000 "
			  "\xef\xbf\xbd\xc3\xa9\",\"n\":-5,\"b\":true,"
			  "\"list\":[null,\"-9223372036854775808\",0.5,{\"x\":[]},{}]}");
	EXPECT_INT(mortise_json_parse(text, &root), ==, 0);
	mortise_json_writer_done(&w);
}

TEST(sdk_json__a_real_is_as_short_as_reads_back_the_same)
{
	static const struct {
		double number;
		const char *text;
	} cases[] = { { 0.84, "0.84" }, { 0.1, "0.1" }, { 1e22, "1e+22" }, { -2.5, "-2.5" },
		{ 0.1 + 0.2, "0.30000000000000004" }, { 1.0 / 3, "0.3333333333333333" },
		{ DBL_MAX, "1.7976931348623157e+308" }, { 5e-324, "4.94065645841247e-324" },
		{ (double)INFINITY, "null" }, { (double)NAN, "null" } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct mortise_json_writer w;
		struct mortise_json root, value;
		struct mortise_str text;
		char expected[64];
		double back;

		mortise_json_writer_init(&w);
		mortise_json_open_object(&w);
		mortise_json_put_real(&w, "x", cases[i].number);
		mortise_json_close(&w);
		EXPECT_INT(mortise_json_written(&w, &text), ==, 0);
		(void)snprintf(expected, sizeof(expected), "{\"x\":%s}", cases[i].text);
		expect_text(text, expected);
		EXPECT_INT(mortise_json_parse(text, &root), ==, 0);
		EXPECT_INT(mortise_json_member(&root, "x", &value), ==, 0);
		if (mortise_json_real(&value, &back) == 0)
			EXPECT_TRUE(back == cases[i].number);
		else
			EXPECT_INT(value.type, ==, MORTISE_JSON_NULL);
		mortise_json_writer_done(&w);
	}
}

TEST(sdk_json__a_writer_keeps_its_first_error)
{
	struct mortise_json_writer w;
	struct mortise_str text;

	mortise_json_writer_init(&w);
	EXPECT_INT(mortise_json_written(&w, &text), ==, MORTISE_E_INVALID);
	mortise_json_open_object(&w);
	EXPECT_INT(mortise_json_written(&w, &text), ==, MORTISE_E_INVALID); /* not closed */
	mortise_json_add_null(&w); /* a member without name */
	mortise_json_close(&w);
	EXPECT_INT(mortise_json_written(&w, &text), ==, MORTISE_E_INVALID);
	mortise_json_writer_reset(&w);
	mortise_json_add_raw(&w, MORTISE_STR("{]"));
	EXPECT_INT(mortise_json_written(&w, &text), ==, MORTISE_E_FORMAT);
	mortise_json_writer_reset(&w);
	for (int i = 0; i <= MORTISE_JSON_DEPTH_MAX; i++)
		mortise_json_open_array(&w);
	EXPECT_INT(mortise_json_written(&w, &text), ==, MORTISE_E_LIMIT);
	mortise_json_writer_reset(&w);
	mortise_json_add_null(&w);
	mortise_json_add_null(&w);
	EXPECT_INT(mortise_json_written(&w, &text), ==, MORTISE_E_INVALID);
	mortise_json_writer_done(&w);
}
