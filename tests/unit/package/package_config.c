#include "package/config.h"

#include "base/mem.h"
#include "codec/json.h"
#include "lib/test.h"

static json_t *parse(const char *text)
{
	struct error err;
	json_t *value = NULL;

	EXPECT_OK(json_parse(&value, span_of(text), NULL, &err), &err);
	return value;
}

static int schema(const char *text, struct error *err)
{
	CLEANUP(json_freep) json_t *value = parse(text);

	return config_check_schema(value, err);
}

static int validate(const char *schema_text, const char *text, struct error *err)
{
	CLEANUP(json_freep) json_t *rules = parse(schema_text);
	CLEANUP(json_freep) json_t *value = parse(text);

	EXPECT_OK(config_check_schema(rules, err), err);
	return config_validate(rules, value, err);
}

TEST(package_config__a_keyword_outside_the_subset_is_refused)
{
	struct error err;

	EXPECT_INT(schema("{\"properties\":{\"a\":{\"pattern\":\"x\"}}}", &err), ==,
		ERR_CONFIG_SCHEMA);
	EXPECT_CONTAINS(err.text, "/properties/a/pattern");
	EXPECT_INT(schema("{\"$ref\":\"x\"}", &err), ==, ERR_CONFIG_SCHEMA);
	EXPECT_INT(schema("{\"type\":\"objekt\"}", &err), ==, ERR_CONFIG_SCHEMA);
	EXPECT_INT(schema("{\"type\":\"string\"}", &err), ==, ERR_CONFIG_SCHEMA);
	EXPECT_INT(schema("{\"additionalProperties\":{}}", &err), ==, ERR_CONFIG_SCHEMA);
	EXPECT_INT(schema("{\"properties\":{\"a\":true}}", &err), ==, ERR_CONFIG_SCHEMA);
	EXPECT_INT(
		schema("{\"properties\":{\"a\":{\"minLength\":-1}}}", &err), ==, ERR_CONFIG_SCHEMA);
	EXPECT_INT(schema("{\"properties\":{\"a\":{\"x-secret\":true,\"default\":\"x\"}}}", &err),
		==, ERR_CONFIG_SCHEMA);
	EXPECT_INT(
		schema("{\"properties\":{\"a\":{\"x-secret\":true,\"type\":\"integer\"}}}", &err),
		==, ERR_CONFIG_SCHEMA);
	EXPECT_INT(schema("{\"properties\":{\"a\":{\"properties\":{\"b\":{\"x-secret\":true}}}}}",
			   &err),
		==, ERR_CONFIG_SCHEMA);
	EXPECT_INT(schema("{\"x-secret\":true}", &err), ==, ERR_CONFIG_SCHEMA);
	EXPECT_INT(schema("[]", &err), ==, ERR_CONFIG_SCHEMA);
}

TEST(package_config__values_are_checked_by_every_rule)
{
	static const struct {
		const char *rules, *good, *bad;
	} cases[] = {
		{ "{\"type\":\"string\"}", "\"a\"", "1" },
		{ "{\"type\":\"integer\"}", "1.0", "1.5" },
		{ "{\"type\":\"number\"}", "1.5", "\"1\"" },
		{ "{\"type\":\"boolean\"}", "true", "0" },
		{ "{\"type\":\"null\"}", "null", "0" },
		{ "{\"type\":[\"string\",\"null\"]}", "null", "1" },
		{ "{\"type\":\"array\"}", "[]", "{}" },
		{ "{\"minimum\":1}", "1", "0" },
		{ "{\"maximum\":65535}", "65535", "70000" },
		{ "{\"minLength\":2}", "\"\xc3\xa4\xc3\xa4\"", "\"\xc3\xa4\"" },
		{ "{\"maxLength\":2}", "\"\xc3\xa4\xc3\xa4\"", "\"aaa\"" },
		{ "{\"minItems\":1}", "[1]", "[]" },
		{ "{\"maxItems\":1}", "[1]", "[1,2]" },
		{ "{\"items\":{\"type\":\"string\"}}", "[\"a\"]", "[\"a\",1]" },
		{ "{\"enum\":[\"a\",1]}", "1.0", "2" },
		{ "{\"const\":{\"a\":[1]}}", "{\"a\":[1]}", "{\"a\":[2]}" },
		{ "{\"required\":[\"b\"]}", "{\"b\":null}", "{}" },
		{ "{\"properties\":{\"b\":{\"type\":\"string\"}}}", "{\"c\":1}", "{\"b\":1}" },
		{ "{\"properties\":{\"b\":{}},\"additionalProperties\":false}", "{\"b\":1}",
			"{\"c\":1}" },
	};
	struct error err;

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		CLEANUP(mem_freep)
		char *rules = mem_printf("{\"properties\":{\"a\":%s}}", cases[i].rules);
		CLEANUP(mem_freep) char *good = mem_printf("{\"a\":%s}", cases[i].good);
		CLEANUP(mem_freep) char *bad = mem_printf("{\"a\":%s}", cases[i].bad);

		EXPECT_OK(validate(rules, good, &err), &err);
		ck_assert_msg(
			validate(rules, bad, &err) == ERR_CONFIG_VALUE, "%s took %s", rules, bad);
		EXPECT_CONTAINS(err.text, "/a");
	}
}

TEST(package_config__a_configuration_is_an_object)
{
	struct error err;
	CLEANUP(json_freep) json_t *array = parse("[]");
	CLEANUP(json_freep) json_t *object = parse("{\"any\":1}");

	EXPECT_INT(config_validate(NULL, array, &err), ==, ERR_CONFIG_VALUE);
	EXPECT_OK(config_validate(NULL, object, &err), &err);
}

TEST(package_config__members_go_over_defaults)
{
	CLEANUP(json_freep) json_t *defaults = parse("{\"a\":1,\"b\":{\"c\":1}}");
	CLEANUP(json_freep) json_t *config = parse("{\"b\":{\"d\":2}}");
	CLEANUP(json_freep) json_t *merged = config_merge(defaults, config);
	CLEANUP(json_freep) json_t *empty = config_merge(NULL, NULL);
	struct text text;

	text_init(&text);
	json_append(&text, merged);
	EXPECT_STR(text.data, "{\"a\":1,\"b\":{\"d\":2}}");
	EXPECT_UINT(json_object_size(empty), ==, 0);
	text_done(&text);
}

TEST(package_config__a_secret_is_set_elsewhere_and_needed_nowhere)
{
	static const char rules[] =
		"{\"properties\":{\"a\":{\"type\":\"string\",\"x-secret\":true}},"
		"\"required\":[\"a\"]}";
	struct error err;

	EXPECT_OK(validate(rules, "{}", &err), &err);
	EXPECT_INT(validate(rules, "{\"a\":\"geheim\"}", &err), ==, ERR_SECRET_CONFIG);
	EXPECT_CONTAINS(err.text, "at /a:");
	EXPECT_CONTAINS(err.fix, "mortise plugin secret set PLUGIN a");
	EXPECT_NULL(strstr(err.text, "geheim"));
}
