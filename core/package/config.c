#include "package/config.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "codec/json.h"
#include "codec/shown.h"

/* Where in the document: names borrowed, printed as a JSON pointer when something is wrong. */
struct place {
	const struct place *outer;
	const char *name; /* NULL: index */
	size_t index;
};

static void append_place(struct text *out, const struct place *place)
{
	if (!place)
		return;
	append_place(out, place->outer);
	if (place->name)
		text_printf(out, "/%s", shown(span_of(place->name)).text);
	else
		text_printf(out, "/%zu", place->index);
}

__attribute__((format(printf, 4, 5))) static int fail(
	struct error *err, int code, const struct place *place, const char *format, ...)
{
	char why[512];
	struct text at;
	va_list args;

	va_start(args, format);
	(void)vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	text_init(&at);
	append_place(&at, place);
	(void)error_set(err, code, "at %s: %s", at.len ? at.data : "/", why);
	text_done(&at);
	return code;
}

/* ---- types ----------------------------------------------------------------------------------- */

static bool is_whole(const json_t *value)
{
	/* 1.0 is an integer to JSON Schema. Beyond this bound every double is whole. */
	const double bound = 9007199254740992.0;
	double number = json_real_value(value);

	return json_is_integer(value) ||
	       (json_is_real(value) && number >= -bound && number <= bound &&
		       (double)(json_int_t)number == number);
}

static bool has_type(const json_t *value, const char *type)
{
	static const char *const names[] = {
		[JSON_OBJECT] = "object",
		[JSON_ARRAY] = "array",
		[JSON_STRING] = "string",
		[JSON_INTEGER] = "number",
		[JSON_REAL] = "number",
		[JSON_TRUE] = "boolean",
		[JSON_FALSE] = "boolean",
		[JSON_NULL] = "null",
	};

	if (strcmp(type, "integer") == 0)
		return is_whole(value);
	return strcmp(type, names[json_typeof(value)]) == 0;
}

static bool type_known(const char *type)
{
	static const char *const types[] = { "object", "array", "string", "number", "integer",
		"boolean", "null" };

	for (size_t i = 0; type && i < ARRAY_LENGTH(types); i++)
		if (strcmp(type, types[i]) == 0)
			return true;
	return false;
}

/* Numbers are equal by value, whatever their spelling. */
static bool equal(const json_t *a, const json_t *b)
{
	if (json_is_number(a) && json_is_number(b))
		return json_number_value(a) == json_number_value(b);
	return json_equal(a, b);
}

/* ---- the schema ------------------------------------------------------------------------------ */

static int check_schema(
	const json_t *schema, const struct place *place, unsigned depth, struct error *err);

static int check_types(const json_t *value, const struct place *place, struct error *err)
{
	if (json_is_string(value) && type_known(json_string_value(value)))
		return 0;
	if (json_array_size(value) == 0)
		return fail(err, ERR_CONFIG_SCHEMA, place, "is not a type");
	for (size_t i = 0; i < json_array_size(value); i++)
		if (!type_known(json_string_value(json_array_get(value, i))))
			return fail(err, ERR_CONFIG_SCHEMA, place, "is not a list of types");
	return 0;
}

static int check_properties(
	const json_t *value, const struct place *place, unsigned depth, struct error *err)
{
	const char *name;
	json_t *schema;

	if (!json_is_object(value))
		return fail(err, ERR_CONFIG_SCHEMA, place, "is not an object");
	json_object_foreach((json_t *)value, name, schema)
	{
		struct place inner = { place, name, 0 };
		int rc = check_schema(schema, &inner, depth + 1, err);

		if (rc < 0)
			return rc;
	}
	return 0;
}

static int check_required(const json_t *value, const struct place *place, struct error *err)
{
	if (!json_is_array(value))
		return fail(err, ERR_CONFIG_SCHEMA, place, "is not a list of names");
	for (size_t i = 0; i < json_array_size(value); i++)
		if (!json_is_string(json_array_get(value, i)))
			return fail(err, ERR_CONFIG_SCHEMA, place, "is not a list of names");
	return 0;
}

static int check_length(const json_t *value, const struct place *place, struct error *err)
{
	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return fail(err, ERR_CONFIG_SCHEMA, place, "is not a whole number from 0");
	return 0;
}

enum keyword {
	KEYWORD_TYPE,
	KEYWORD_PROPERTIES,
	KEYWORD_REQUIRED,
	KEYWORD_ITEMS,
	KEYWORD_ENUM,
	KEYWORD_NUMBER,
	KEYWORD_LENGTH,
	KEYWORD_BOOLEAN,
	KEYWORD_TEXT,
	KEYWORD_ANY
};

static const struct {
	const char *name;
	enum keyword keyword;
} keywords[] = {
	{ "type", KEYWORD_TYPE },
	{ "properties", KEYWORD_PROPERTIES },
	{ "required", KEYWORD_REQUIRED },
	{ "additionalProperties", KEYWORD_BOOLEAN },
	{ "items", KEYWORD_ITEMS },
	{ "enum", KEYWORD_ENUM },
	{ "const", KEYWORD_ANY },
	{ "minimum", KEYWORD_NUMBER },
	{ "maximum", KEYWORD_NUMBER },
	{ "minLength", KEYWORD_LENGTH },
	{ "maxLength", KEYWORD_LENGTH },
	{ "minItems", KEYWORD_LENGTH },
	{ "maxItems", KEYWORD_LENGTH },
	{ "default", KEYWORD_ANY },
	{ "title", KEYWORD_TEXT },
	{ "description", KEYWORD_TEXT },
	{ "x-secret", KEYWORD_BOOLEAN },
};

static int check_keyword(enum keyword keyword, const json_t *value, const struct place *place,
	unsigned depth, struct error *err)
{
	switch (keyword) {
	case KEYWORD_TYPE:
		return check_types(value, place, err);
	case KEYWORD_PROPERTIES:
		return check_properties(value, place, depth, err);
	case KEYWORD_REQUIRED:
		return check_required(value, place, err);
	case KEYWORD_ITEMS:
		return check_schema(value, place, depth + 1, err);
	case KEYWORD_ENUM:
		return json_array_size(value)
			       ? 0
			       : fail(err, ERR_CONFIG_SCHEMA, place, "is not a list of values");
	case KEYWORD_NUMBER:
		return json_is_number(value)
			       ? 0
			       : fail(err, ERR_CONFIG_SCHEMA, place, "is not a number");
	case KEYWORD_LENGTH:
		return check_length(value, place, err);
	case KEYWORD_BOOLEAN:
		return json_is_boolean(value)
			       ? 0
			       : fail(err, ERR_CONFIG_SCHEMA, place, "is not true or false");
	case KEYWORD_TEXT:
		return json_is_string(value) ? 0
					     : fail(err, ERR_CONFIG_SCHEMA, place, "is not a text");
	case KEYWORD_ANY:
		return 0;
	}
	return 0;
}

static int check_member(const char *name, const json_t *value, const struct place *place,
	unsigned depth, struct error *err)
{
	struct place inner = { place, name, 0 };

	for (size_t i = 0; i < ARRAY_LENGTH(keywords); i++)
		if (strcmp(name, keywords[i].name) == 0)
			return check_keyword(keywords[i].keyword, value, &inner, depth, err);
	return fail(err, ERR_CONFIG_SCHEMA, &inner, "the keyword is not supported");
}

static bool is_secret(const json_t *schema)
{
	return json_is_true(json_object_get(schema, "x-secret"));
}

/* Whoever sets a secret names it, so it is a property of the root: "/properties/NAME". */
static int check_secret(const json_t *schema, const struct place *place, struct error *err)
{
	const json_t *type = json_object_get(schema, "type");

	if (json_object_get(schema, "default"))
		return fail(err, ERR_CONFIG_SCHEMA, place, "a secret has a default");
	if (type && (!json_is_string(type) || strcmp(json_string_value(type), "string") != 0))
		return fail(
			err, ERR_CONFIG_SCHEMA, place, "a secret is of another type than string");
	if (!place || !place->outer || place->outer->outer ||
		strcmp(place->outer->name, "properties") != 0)
		return fail(err, ERR_CONFIG_SCHEMA, place,
			"a secret is not a property of the configuration itself");
	return 0;
}

static int check_schema(
	const json_t *schema, const struct place *place, unsigned depth, struct error *err)
{
	const char *name;
	json_t *value;

	if (!json_is_object(schema))
		return fail(err, ERR_CONFIG_SCHEMA, place, "is not a schema object");
	if (depth > CONFIG_DEPTH_MAX)
		return fail(err, ERR_CONFIG_SCHEMA, place, "is nested too deep");
	json_object_foreach((json_t *)schema, name, value)
	{
		int rc = check_member(name, value, place, depth, err);

		if (rc < 0)
			return rc;
	}
	return is_secret(schema) ? check_secret(schema, place, err) : 0;
}

int config_check_schema(const json_t *schema, struct error *err)
{
	int rc = check_schema(schema, NULL, 0, err);
	const json_t *type = json_object_get(schema, "type");

	if (rc == 0 && type &&
		(!json_is_string(type) || strcmp(json_string_value(type), "object") != 0))
		rc = fail(err, ERR_CONFIG_SCHEMA, NULL, "the root's type is not object");
	return rc;
}

/* ---- values ---------------------------------------------------------------------------------- */

static int validate(
	const json_t *schema, const json_t *value, const struct place *place, struct error *err);

static int validate_type(
	const json_t *types, const json_t *value, const struct place *place, struct error *err)
{
	if (!types)
		return 0;
	if (json_is_string(types)) {
		const char *type = json_string_value(types);

		return has_type(value, type)
			       ? 0
			       : fail(err, ERR_CONFIG_VALUE, place, "is not of type %s", type);
	}
	for (size_t i = 0; i < json_array_size(types); i++)
		if (has_type(value, json_string_value(json_array_get(types, i))))
			return 0;
	return fail(err, ERR_CONFIG_VALUE, place, "is of none of the allowed types");
}

static int validate_choice(
	const json_t *schema, const json_t *value, const struct place *place, struct error *err)
{
	const json_t *choices = json_object_get(schema, "enum");
	const json_t *constant = json_object_get(schema, "const");

	if (constant && !equal(constant, value))
		return fail(err, ERR_CONFIG_VALUE, place, "is not the one allowed value");
	for (size_t i = 0; i < json_array_size(choices); i++)
		if (equal(json_array_get(choices, i), value))
			return 0;
	return choices ? fail(err, ERR_CONFIG_VALUE, place, "is none of the allowed values") : 0;
}

static int validate_number(
	const json_t *schema, const json_t *value, const struct place *place, struct error *err)
{
	const json_t *low = json_object_get(schema, "minimum");
	const json_t *high = json_object_get(schema, "maximum");
	double number = json_number_value(value);

	if (low && number < json_number_value(low))
		return fail(err, ERR_CONFIG_VALUE, place, "%.15g is below the minimum %.15g",
			number, json_number_value(low));
	if (high && number > json_number_value(high))
		return fail(err, ERR_CONFIG_VALUE, place, "%.15g is above the maximum %.15g",
			number, json_number_value(high));
	return 0;
}

static int validate_length(const json_t *schema, const char *least, const char *most, size_t length,
	const struct place *place, struct error *err)
{
	const json_t *low = json_object_get(schema, least);
	const json_t *high = json_object_get(schema, most);

	if (low && length < (size_t)json_integer_value(low))
		return fail(err, ERR_CONFIG_VALUE, place, "its length %zu is below %s %lld", length,
			least, (long long)json_integer_value(low));
	if (high && length > (size_t)json_integer_value(high))
		return fail(err, ERR_CONFIG_VALUE, place, "its length %zu is above %s %lld", length,
			most, (long long)json_integer_value(high));
	return 0;
}

static int validate_array(
	const json_t *schema, const json_t *value, const struct place *place, struct error *err)
{
	const json_t *items = json_object_get(schema, "items");
	int rc =
		validate_length(schema, "minItems", "maxItems", json_array_size(value), place, err);

	for (size_t i = 0; items && i < json_array_size(value) && rc == 0; i++) {
		struct place inner = { place, NULL, i };

		rc = validate(items, json_array_get(value, i), &inner, err);
	}
	return rc;
}

static int validate_required(
	const json_t *schema, const json_t *value, const struct place *place, struct error *err)
{
	const json_t *required = json_object_get(schema, "required");
	const json_t *properties = json_object_get(schema, "properties");

	for (size_t i = 0; i < json_array_size(required); i++) {
		const char *name = json_string_value(json_array_get(required, i));

		/* Whether a secret is set, its plugin finds out. */
		if (!json_object_get(value, name) && !is_secret(json_object_get(properties, name)))
			return fail(err, ERR_CONFIG_VALUE, place, "'%s' is missing",
				shown(span_of(name)).text);
	}
	return 0;
}

static int validate_object(
	const json_t *schema, const json_t *value, const struct place *place, struct error *err)
{
	const json_t *properties = json_object_get(schema, "properties");
	bool open = !json_is_false(json_object_get(schema, "additionalProperties"));
	int rc = validate_required(schema, value, place, err);
	const char *name;
	json_t *member;

	if (rc < 0)
		return rc;
	json_object_foreach((json_t *)value, name, member)
	{
		const json_t *inner_schema = json_object_get(properties, name);
		struct place inner = { place, name, 0 };

		if (inner_schema)
			rc = validate(inner_schema, member, &inner, err);
		else if (!open)
			rc = fail(err, ERR_CONFIG_VALUE, &inner, "is not a known setting");
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int refuse_secret(const struct place *place, struct error *err)
{
	int rc =
		fail(err, ERR_SECRET_CONFIG, place, "this is a secret, which does not belong here");

	(void)error_fix(err, "take it out and set it with 'mortise plugin secret set PLUGIN %s'",
		shown(span_of(place->name)).text);
	return rc;
}

static int validate(
	const json_t *schema, const json_t *value, const struct place *place, struct error *err)
{
	int rc = is_secret(schema)
			 ? refuse_secret(place, err)
			 : validate_type(json_object_get(schema, "type"), value, place, err);

	if (rc == 0)
		rc = validate_choice(schema, value, place, err);
	if (rc < 0)
		return rc;
	if (json_is_number(value))
		return validate_number(schema, value, place, err);
	if (json_is_string(value))
		return validate_length(schema, "minLength", "maxLength",
			json_length(json_span(value)), place, err);
	if (json_is_array(value))
		return validate_array(schema, value, place, err);
	if (json_is_object(value))
		return validate_object(schema, value, place, err);
	return 0;
}

int config_validate(const json_t *schema, const json_t *value, struct error *err)
{
	if (!json_is_object(value))
		return fail(err, ERR_CONFIG_VALUE, NULL, "the configuration is not an object");
	return schema ? validate(schema, value, NULL, err) : 0;
}

json_t *config_merge(const json_t *defaults, const json_t *config)
{
	json_t *merged = defaults ? json_deep_copy(defaults) : json_object();

	if (config)
		(void)json_object_update(merged, (json_t *)config);
	return merged;
}
