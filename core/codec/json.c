#include "codec/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/mem.h"
#include "codec/shown.h"

/* jansson builds the tree before anyone can count it, and a value of two bytes of text ("[]") takes
 * some hundred bytes of memory. So one pass over the text counts brackets and commas first; it
 * need not understand more than where strings end, for whatever else is wrong jansson finds. */
static int check_limits(struct span text, const struct json_limits *limits, struct error *err)
{
	size_t values = 1;
	unsigned depth = 0;
	bool string = false;

	if (text.len > limits->bytes)
		return error_set(err, ERR_TOO_LARGE, "JSON of more than %zu bytes", limits->bytes);
	for (size_t i = 0; i < text.len; i++) {
		char c = text.data[i];

		if (string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				string = false;
			continue;
		}
		string = c == '"';
		if (c == '[' || c == '{')
			depth++;
		else if ((c == ']' || c == '}') && depth > 0)
			depth--;
		if (c == '[' || c == '{' || c == ',')
			values++;
		if (depth > limits->depth)
			return error_set(
				err, ERR_TOO_LARGE, "JSON nested more than %u deep", limits->depth);
		if (values > limits->values)
			return error_set(
				err, ERR_TOO_LARGE, "JSON of more than %zu values", limits->values);
	}
	return 0;
}

int json_parse(json_t **out, struct span text, const struct json_limits *limits, struct error *err)
{
	static const struct json_limits usual = { JSON_BYTES_MAX, JSON_DEPTH_MAX, JSON_VALUES_MAX };
	json_error_t why;
	json_t *value;
	int rc = check_limits(text, limits ? limits : &usual, err);

	if (rc < 0)
		return rc;
	value = json_loadb(text.len ? text.data : "", text.len,
		JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
	if (!value)
		return error_set(err, ERR_FORMAT, "JSON, line %d column %d: %s", why.line,
			why.column, why.text);
	*out = value;
	return 0;
}

static int append_piece(const char *data, size_t len, void *out)
{
	text_append(out, data, len);
	return 0;
}

void json_append(struct text *out, const json_t *value)
{
	if (json_dump_callback(
		    value, append_piece, out, JSON_SORT_KEYS | JSON_COMPACT | JSON_ENCODE_ANY) != 0)
		BUG("a JSON value that cannot be written");
}

static void append_canonical_string(struct text *out, struct span s)
{
	text_append_char(out, '"');
	for (size_t i = 0, from = 0; i <= s.len; i++) {
		if (i < s.len && s.data[i] != '"' && s.data[i] != '\\')
			continue;
		text_append(out, s.data + from, i - from);
		if (i < s.len)
			text_append_char(out, '\\');
		from = i;
	}
	text_append_char(out, '"');
}

static int compare_keys(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int append_canonical_object(struct text *out, const json_t *object, struct error *err)
{
	size_t n = json_object_size(object), i = 0;
	CLEANUP(mem_freep) const char **keys = mem_calloc(n + 1, sizeof(*keys));
	const char *key;
	json_t *value;
	int rc = 0;

	json_object_foreach((json_t *)object, key, value) keys[i++] = key;
	qsort(keys, n, sizeof(*keys), compare_keys);
	text_append_char(out, '{');
	for (i = 0; i < n && rc == 0; i++) {
		if (i > 0)
			text_append_char(out, ',');
		append_canonical_string(out, span_of(keys[i]));
		text_append_char(out, ':');
		rc = json_append_canonical(out, json_object_get(object, keys[i]), err);
	}
	text_append_char(out, '}');
	return rc;
}

int json_append_canonical(struct text *out, const json_t *value, struct error *err)
{
	int rc = 0;

	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return append_canonical_object(out, value, err);
	case JSON_ARRAY:
		text_append_char(out, '[');
		for (size_t i = 0; i < json_array_size(value) && rc == 0; i++) {
			if (i > 0)
				text_append_char(out, ',');
			rc = json_append_canonical(out, json_array_get(value, i), err);
		}
		text_append_char(out, ']');
		return rc;
	case JSON_STRING:
		append_canonical_string(out, json_span(value));
		return 0;
	case JSON_INTEGER:
		text_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		return 0;
	case JSON_TRUE:
		text_append_string(out, "true");
		return 0;
	case JSON_FALSE:
		text_append_string(out, "false");
		return 0;
	case JSON_NULL:
		text_append_string(out, "null");
		return 0;
	case JSON_REAL:
		break;
	}
	return error_set(err, ERR_FORMAT, "a number that is no integer has no canonical form");
}

struct span json_span(const json_t *value)
{
	if (!json_is_string(value))
		return SPAN_NONE;
	return (struct span){ json_string_value(value), json_string_length(value) };
}

size_t json_length(struct span text)
{
	size_t n = 0;

	for (size_t i = 0; i < text.len; i++)
		n += (text.data[i] & 0xc0) != 0x80;
	return n;
}

void json_reader_init(
	struct json_reader *r, const json_t *object, const char *where, int code, struct error *err)
{
	*r = (struct json_reader){ .object = object, .where = where, .code = code, .err = err };
	if (!json_is_object(object))
		r->rc = error_set(err, code, "'%s' is not an object", where);
}

void json_reader_fail(struct json_reader *r, const char *key, const char *format, ...)
{
	char why[512];
	va_list args;

	if (r->rc < 0)
		return;
	va_start(args, format);
	(void)vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	r->rc = error_set(r->err, r->code, "'%s.%s' %s", r->where, key, why);
}

int json_reader_end(struct json_reader *r)
{
	const char *key;
	json_t *value;

	if (r->rc < 0)
		return r->rc;
	json_object_foreach((json_t *)r->object, key, value)
	{
		bool known = false;

		for (size_t i = 0; i < r->known_count && !known; i++)
			known = strcmp(r->known[i], key) == 0;
		if (!known) {
			json_reader_fail(r, shown(span_of(key)).text, "is not a known member");
			break;
		}
	}
	return r->rc;
}

/* The member, noted as known; NULL when it is absent, null, or an earlier read failed. */
static const json_t *member(struct json_reader *r, const char *key, enum json_need need)
{
	const json_t *value;

	ASSERT(r->known_count < JSON_READER_MEMBERS_MAX);
	r->known[r->known_count++] = key;
	if (r->rc < 0)
		return NULL;
	value = json_object_get(r->object, key);
	if (value && !json_is_null(value))
		return value;
	if (need == JSON_REQUIRED)
		json_reader_fail(r, key, "is missing");
	return NULL;
}

struct span json_read_text(struct json_reader *r, const char *key, enum json_need need, size_t max)
{
	const json_t *value = member(r, key, need);
	struct span text = json_span(value);

	if (!value)
		return SPAN_NONE;
	if (!text.data)
		json_reader_fail(r, key, "is not a string");
	else if (json_length(text) > max)
		json_reader_fail(r, key, "is longer than %zu characters", max);
	else if (need == JSON_REQUIRED && text.len == 0)
		json_reader_fail(r, key, "is empty");
	return r->rc < 0 ? SPAN_NONE : text;
}

int64_t json_read_integer(struct json_reader *r, const char *key, enum json_need need, int64_t min,
	int64_t max, int64_t fallback)
{
	const json_t *value = member(r, key, need);
	int64_t number = json_integer_value(value);

	if (!value)
		return fallback;
	if (!json_is_integer(value))
		json_reader_fail(r, key, "is not a whole number");
	else if (number < min || number > max)
		json_reader_fail(
			r, key, "is not between %lld and %lld", (long long)min, (long long)max);
	return r->rc < 0 ? fallback : number;
}

bool json_read_boolean(struct json_reader *r, const char *key, bool fallback)
{
	const json_t *value = member(r, key, JSON_OPTIONAL);

	if (!value)
		return fallback;
	if (!json_is_boolean(value))
		json_reader_fail(r, key, "is not true or false");
	return json_is_true(value);
}

const json_t *json_read_object(struct json_reader *r, const char *key, enum json_need need)
{
	const json_t *value = member(r, key, need);

	if (value && !json_is_object(value)) {
		json_reader_fail(r, key, "is not an object");
		return NULL;
	}
	return value;
}

const json_t *json_read_array(
	struct json_reader *r, const char *key, enum json_need need, size_t max)
{
	const json_t *value = member(r, key, need);

	if (value && !json_is_array(value))
		json_reader_fail(r, key, "is not an array");
	else if (json_array_size(value) > max)
		json_reader_fail(r, key, "has more than %zu elements", max);
	return r->rc < 0 ? NULL : value;
}

const json_t *json_read_value(struct json_reader *r, const char *key, enum json_need need)
{
	return member(r, key, need);
}
