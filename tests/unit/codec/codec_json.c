#include "codec/json.h"

#include "base/error.h"
#include "base/mem.h"
#include "lib/test.h"

static int parse(const char *text, const struct json_limits *limits, struct error *err)
{
	CLEANUP(json_freep) json_t *value = NULL;
	int rc = json_parse(&value, span_of(text), limits, err);

	if (rc < 0)
		EXPECT_NULL(value);
	return rc;
}

TEST(codec_json__strict_json_only)
{
	static const char *const good[] = { "{}", " [1, 2.5, \"a\", null, true] ", "\"x\"", "1",
		"{\"a\":{\"a\":1}}", "\"\\ud83d\\ude00\"" };
	static const char *const bad[] = { "", " ", "{", "[1,]", "{}{}", "{\"a\":1,\"a\":1}",
		"\"\\u0000\"", "\"\xff\"", "\"\xc0\x80\"", "\"\\ud800\"", "01", "+1", "NaN", "'a'",
		"{a:1}", "[1] x", "\xef\xbb\xbf{}", "1e999", "99999999999999999999" };
	struct error err;

	for (size_t i = 0; i < ARRAY_LENGTH(good); i++)
		EXPECT_OK(parse(good[i], NULL, &err), &err);
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
		ck_assert_msg(parse(bad[i], NULL, &err) == ERR_FORMAT, "%s", bad[i]);
	EXPECT_INT(json_parse(&(json_t *){ NULL }, (struct span){ "1\0002", 3 }, NULL, &err), ==,
		ERR_FORMAT);
}

TEST(codec_json__limits_hold_and_do_not_count_strings)
{
	static const struct json_limits limits = { 64, 3, 5 };
	struct error err;

	EXPECT_OK(parse("[[[1]]]", &limits, &err), &err);
	EXPECT_INT(parse("[[[[1]]]]", &limits, &err), ==, ERR_TOO_LARGE);
	EXPECT_INT(parse("[1,2,3,4,5]", &limits, &err), ==, ERR_TOO_LARGE);
	EXPECT_OK(parse("[\"[[[[{{,,,,,,,\\\"[[[[\"]", &limits, &err), &err);
	EXPECT_INT(parse("\"0123456789012345678901234567890123456789012345678901234567890123\"",
			   &limits, &err),
		==, ERR_TOO_LARGE);
}

TEST(codec_json__equal_values_have_one_form)
{
	CLEANUP(json_freep) json_t *value = NULL;
	struct text out;
	struct error err;

	text_init(&out);
	EXPECT_OK(json_parse(&value, SPAN("{ \"b\": [1, true], \"a\": \"\\u00e4/\" }"), NULL, &err),
		&err);
	json_append(&out, value);
	EXPECT_STR(out.data, "{\"a\":\"\xc3\xa4/\",\"b\":[1,true]}");
	text_done(&out);
}

static int read(const char *text, struct error *err)
{
	CLEANUP(json_freep) json_t *value = NULL;
	struct json_reader r;

	EXPECT_OK(json_parse(&value, span_of(text), NULL, err), err);
	json_reader_init(&r, value, "thing", ERR_INVALID, err);
	(void)json_read_text(&r, "name", JSON_REQUIRED, 3);
	(void)json_read_integer(&r, "count", JSON_OPTIONAL, 1, 9, 5);
	(void)json_read_boolean(&r, "on", true);
	(void)json_read_object(&r, "object", JSON_OPTIONAL);
	(void)json_read_array(&r, "array", JSON_OPTIONAL, 2);
	(void)json_read_value(&r, "any", JSON_OPTIONAL);
	return json_reader_end(&r);
}

TEST(codec_json__a_reader_takes_what_it_was_asked_for)
{
	struct error err;

	EXPECT_OK(read("{\"name\":\"abc\"}", &err), &err);
	EXPECT_OK(read("{\"name\":\"\xc3\xa4\xc3\xb6\xc3\xbc\",\"count\":9,\"on\":false,"
		       "\"object\":{},\"array\":[1,2],\"any\":null}",
			  &err),
		&err);
}

TEST(codec_json__a_reader_names_the_first_wrong_thing)
{
	static const struct {
		const char *text, *part;
	} cases[] = {
		{ "[]", "'thing' is not an object" },
		{ "{}", "'thing.name' is missing" },
		{ "{\"name\":null}", "'thing.name' is missing" },
		{ "{\"name\":\"\"}", "'thing.name' is empty" },
		{ "{\"name\":1}", "'thing.name' is not a string" },
		{ "{\"name\":\"abcd\"}", "longer than 3" },
		{ "{\"name\":\"a\",\"count\":0}", "between 1 and 9" },
		{ "{\"name\":\"a\",\"count\":1.5}", "not a whole number" },
		{ "{\"name\":\"a\",\"on\":1}", "not true or false" },
		{ "{\"name\":\"a\",\"object\":[]}", "not an object" },
		{ "{\"name\":\"a\",\"array\":{}}", "not an array" },
		{ "{\"name\":\"a\",\"array\":[1,2,3]}", "more than 2" },
		{ "{\"name\":\"a\",\"more\":1}", "'thing.more' is not a known member" },
	};
	struct error err;

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		EXPECT_INT(read(cases[i].text, &err), ==, ERR_INVALID);
		EXPECT_CONTAINS(err.text, cases[i].part);
	}
}

TEST(codec_json__canonical_json_escapes_two_characters_and_sorts_by_bytes)
{
	static const struct {
		const char *json, *canonical;
	} cases[] = {
		{ "{\"b\": 1, \"a\": [true, false, null, -7]}",
			"{\"a\":[true,false,null,-7],\"b\":1}" },
		{ "\"a\\u0001\\n\\t/\\\"\\\\\\u00e9\"", "\"a\x01\n\t/\\\"\\\\\xc3\xa9\"" },
		{ "{\"\\u00e9\": 1, \"z\": 2, \"A\": {}}", "{\"A\":{},\"z\":2,\"\xc3\xa9\":1}" },
		{ "[]", "[]" },
		{ "9007199254740993", "9007199254740993" },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		CLEANUP(json_freep) json_t *value = NULL;
		struct error err;
		struct text out;

		text_init(&out);
		EXPECT_OK(json_parse(&value, span_of(cases[i].json), NULL, &err), &err);
		EXPECT_OK(json_append_canonical(&out, value, &err), &err);
		EXPECT_STR(out.data, cases[i].canonical);
		text_done(&out);
	}
}

TEST(codec_json__what_is_no_integer_has_no_canonical_form)
{
	CLEANUP(json_freep) json_t *value = NULL;
	struct error err;
	struct text out;

	text_init(&out);
	EXPECT_OK(json_parse(&value, SPAN("{\"a\": [1.5]}"), NULL, &err), &err);
	EXPECT_INT(json_append_canonical(&out, value, &err), ==, ERR_FORMAT);
	text_done(&out);
}
