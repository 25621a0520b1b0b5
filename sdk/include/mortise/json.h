/* json.h - read and write JSON in a plugin; header-only, nothing but libc
 *
 * Reading makes no copy and no tree. mortise_json_parse() checks the whole text
 * once, strictly (RFC 8259, UTF-8, at most 64 levels); what it gives, and the
 * members found in it, point into that text and live as long as it.
 *
 *   struct mortise_json root, name;
 *   if (mortise_json_parse(text, &root) == 0 &&
 *       mortise_json_member(&root, "name", &name) == 0)
 *           rc = mortise_json_string(&name, buffer, sizeof(buffer), &out);
 *
 * Writing appends to memory of the writer's own and keeps the first error, so
 * that only mortise_json_written() at the end need be checked. Whatever the
 * input, the output is valid JSON: bytes that are not UTF-8 become U+FFFD.
 *
 *   struct mortise_json_writer w;
 *   mortise_json_writer_init(&w);
 *   mortise_json_open_object(&w);
 *   mortise_json_put_string(&w, "name", name);
 *   mortise_json_close(&w);
 *   if (mortise_json_written(&w, &text) == 0)
 *           ...
 *   mortise_json_writer_done(&w);
 */
#ifndef MORTISE_JSON_H
#define MORTISE_JSON_H

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "abi.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MORTISE_JSON_DEPTH_MAX 64

#define MORTISE_JSON_NULL    1
#define MORTISE_JSON_BOOLEAN 2
#define MORTISE_JSON_NUMBER  3
#define MORTISE_JSON_STRING  4
#define MORTISE_JSON_ARRAY   5
#define MORTISE_JSON_OBJECT  6

/* A value: its source text, for a string what stands between the quotes. type is
 * 0 for "no value here", which every function below takes as of the wrong type.
 */
struct mortise_json {
	struct mortise_str text;
	int32_t type;
	uint32_t escaped; /* a string that contains a backslash */
};

/* A walk over an array or object. */
struct mortise_json_walk {
	const char *at;
	const char *end;
	struct mortise_json key; /* in an object */
	struct mortise_json value;
	int32_t type;
};

/* ---- reading: the scanner ------------------------------------------------ */

/* Length of the UTF-8 sequence at the start of [at, end), 0 if there is none:
 * neither overlong, nor a surrogate, nor above U+10FFFF.
 */
static inline uint32_t mortise_utf8_length(const char *at, const char *end)
{
	const unsigned char *p = (const unsigned char *)at;
	uint64_t left = (uint64_t)(end - at);
	unsigned char low = 0x80, high = 0xbf;
	uint32_t length, i;

	if (left == 0)
		return 0;
	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	length = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (left < length)
		return 0;
	if (p[0] == 0xe0)
		low = 0xa0;
	else if (p[0] == 0xed)
		high = 0x9f;
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;
	if (p[1] < low || p[1] > high)
		return 0;
	for (i = 2; i < length; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return length;
}

static inline const char *mortise_json_blank(const char *at, const char *end)
{
	while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
		at++;
	return at;
}

/* Four hex digits, or -1. */
static inline int32_t mortise_json_hex4(const char *at, const char *end)
{
	int32_t unit = 0;
	int i;

	if (end - at < 4)
		return -1;
	for (i = 0; i < 4; i++) {
		char c = at[i];

		if (c >= '0' && c <= '9')
			unit = unit * 16 + (c - '0');
		else if (c >= 'a' && c <= 'f')
			unit = unit * 16 + (c - 'a' + 10);
		else if (c >= 'A' && c <= 'F')
			unit = unit * 16 + (c - 'A' + 10);
		else
			return -1;
	}
	return unit;
}

/* One escape sequence behind its backslash: gives its code point and what follows, or
 * NULL. A surrogate counts only as a pair.
 */
static inline const char *mortise_json_escape(const char *at, const char *end, int32_t *out)
{
	static const char names[] = "\"\\/bfnrt";
	static const char codes[] = "\"\\/\b\f\n\r\t";
	const char *name;
	int32_t unit, second;

	if (at == end)
		return NULL;
	if (*at != 'u') {
		name = *at == '\0' ? NULL : strchr(names, *at);
		if (!name)
			return NULL;
		*out = codes[name - names];
		return at + 1;
	}
	unit = mortise_json_hex4(at + 1, end);
	if (unit < 0 || (unit >= 0xdc00 && unit <= 0xdfff))
		return NULL;
	at += 5;
	if (unit >= 0xd800 && unit <= 0xdbff) {
		if (end - at < 6 || at[0] != '\\' || at[1] != 'u')
			return NULL;
		second = mortise_json_hex4(at + 2, end);
		if (second < 0xdc00 || second > 0xdfff)
			return NULL;
		unit = 0x10000 + (unit - 0xd800) * 0x400 + (second - 0xdc00);
		at += 6;
	}
	*out = unit;
	return at;
}

/* Past the closing quote of the string whose first character is at, or NULL. */
static inline const char *mortise_json_skip_string(
	const char *at, const char *end, uint32_t *escaped)
{
	int32_t code;
	uint32_t length;

	*escaped = 0;
	while (at < end && *at != '"') {
		if ((unsigned char)*at < 0x20)
			return NULL;
		if (*at == '\\') {
			*escaped = 1;
			at = mortise_json_escape(at + 1, end, &code);
			if (!at)
				return NULL;
			continue;
		}
		length = mortise_utf8_length(at, end);
		if (length == 0)
			return NULL;
		at += length;
	}
	return at < end ? at + 1 : NULL;
}

static inline const char *mortise_json_skip_digits(const char *at, const char *end)
{
	const char *first = at;

	while (at < end && *at >= '0' && *at <= '9')
		at++;
	return at > first ? at : NULL;
}

static inline const char *mortise_json_skip_number(const char *at, const char *end)
{
	if (at < end && *at == '-')
		at++;
	if (at < end && *at == '0')
		at++;
	else
		at = mortise_json_skip_digits(at, end);
	if (at && at < end && *at == '.')
		at = mortise_json_skip_digits(at + 1, end);
	if (at && at < end && (*at == 'e' || *at == 'E')) {
		at++;
		if (at < end && (*at == '+' || *at == '-'))
			at++;
		at = mortise_json_skip_digits(at, end);
	}
	return at;
}

static inline const char *mortise_json_skip_word(const char *at, const char *end, const char *word)
{
	uint64_t size = strlen(word);

	if ((uint64_t)(end - at) < size || memcmp(at, word, size) != 0)
		return NULL;
	return at + size;
}

/* A value that is not a container; at is not end. */
static inline const char *mortise_json_skip_scalar(
	const char *at, const char *end, struct mortise_json *out)
{
	const char *first = at;

	out->escaped = 0;
	if (*at == '"') {
		out->type = MORTISE_JSON_STRING;
		at = mortise_json_skip_string(at + 1, end, &out->escaped);
		if (at)
			out->text = mortise_str_of(first + 1, (uint64_t)(at - first) - 2);
		return at;
	}
	if (*at == 't' || *at == 'f') {
		out->type = MORTISE_JSON_BOOLEAN;
		at = mortise_json_skip_word(at, end, *at == 't' ? "true" : "false");
	} else if (*at == 'n') {
		out->type = MORTISE_JSON_NULL;
		at = mortise_json_skip_word(at, end, "null");
	} else {
		out->type = MORTISE_JSON_NUMBER;
		at = mortise_json_skip_number(at, end);
	}
	if (at)
		out->text = mortise_str_of(first, (uint64_t)(at - first));
	return at;
}

/* A member's name and colon; gives what follows, or NULL. */
static inline const char *mortise_json_skip_key(
	const char *at, const char *end, struct mortise_json *key)
{
	at = mortise_json_blank(at, end);
	if (at == end || *at != '"')
		return NULL;
	at = mortise_json_skip_scalar(at, end, key);
	if (!at)
		return NULL;
	at = mortise_json_blank(at, end);
	return at < end && *at == ':' ? at + 1 : NULL;
}

/* One value of any kind: gives it and what follows, or NULL. Keeps its own stack, one bit a
 * level, so that no input can exhaust the real one.
 */
static inline const char *mortise_json_skip(
	const char *at, const char *end, struct mortise_json *out)
{
	struct mortise_json inner;
	const char *first;
	uint64_t objects = 0; /* bit n: level n is an object */
	uint32_t depth = 0;

	at = first = mortise_json_blank(at, end);
	if (at == end)
		return NULL;
	if (*at != '{' && *at != '[')
		return mortise_json_skip_scalar(at, end, out);
	for (;;) {
		/* Here stands a value. */
		at = mortise_json_blank(at, end);
		if (at == end)
			return NULL;
		if (*at == '{' || *at == '[') {
			char close = *at == '{' ? '}' : ']';

			if (depth == MORTISE_JSON_DEPTH_MAX)
				return NULL;
			objects = (objects << 1) | (*at == '{');
			depth++;
			at = mortise_json_blank(at + 1, end);
			if (at == end || *at != close) {
				if (objects & 1)
					at = mortise_json_skip_key(at, end, &inner);
				if (!at)
					return NULL;
				continue;
			}
		} else {
			at = mortise_json_skip_scalar(at, end, &inner);
			if (!at)
				return NULL;
		}
		/* Behind a value: close what ends here, up to the next comma. */
		for (;;) {
			at = mortise_json_blank(at, end);
			if (at == end || *at != (objects & 1 ? '}' : ']'))
				break;
			at++;
			objects >>= 1;
			depth--;
			if (depth == 0) {
				out->type =
					*first == '{' ? MORTISE_JSON_OBJECT : MORTISE_JSON_ARRAY;
				out->escaped = 0;
				out->text = mortise_str_of(first, (uint64_t)(at - first));
				return at;
			}
		}
		if (at == end || *at != ',')
			return NULL;
		at++;
		if (objects & 1) {
			at = mortise_json_skip_key(at, end, &inner);
			if (!at)
				return NULL;
		}
	}
}

/* ---- reading ------------------------------------------------------------- */

/* Check text, which must be one value and nothing else. FORMAT: it is not, or is nested
 * too deeply. *out is written on success only.
 */
static inline int32_t mortise_json_parse(struct mortise_str text, struct mortise_json *out)
{
	struct mortise_json value;
	const char *at, *end;

	if (text.size == 0)
		return MORTISE_E_FORMAT;
	end = text.data + text.size;
	at = mortise_json_skip(text.data, end, &value);
	if (!at || mortise_json_blank(at, end) != end)
		return MORTISE_E_FORMAT;
	*out = value;
	return 0;
}

/* Walk an array or object, in order; of any other value there is nothing to walk.
 *   for (each = mortise_json_each(&list); mortise_json_next(&each);)
 */
static inline struct mortise_json_walk mortise_json_each(const struct mortise_json *container)
{
	struct mortise_json_walk each;

	memset(&each, 0, sizeof(each));
	each.type = container->type;
	if (container->type == MORTISE_JSON_OBJECT || container->type == MORTISE_JSON_ARRAY) {
		each.at = container->text.data + 1;
		each.end = container->text.data + container->text.size - 1;
	}
	return each;
}

/* 1 and the next element in each->value (and each->key), or 0 behind the last. */
static inline int mortise_json_next(struct mortise_json_walk *each)
{
	const char *at;

	if (!each->at)
		return 0;
	at = mortise_json_blank(each->at, each->end);
	if (at < each->end && *at == ',')
		at++;
	if (at < each->end && each->type == MORTISE_JSON_OBJECT)
		at = mortise_json_skip_key(at, each->end, &each->key);
	if (at)
		at = mortise_json_skip(at, each->end, &each->value);
	each->at = at;
	return at != NULL;
}

/* Decode a string. *out points into the source where nothing is escaped, else into buffer.
 * FORMAT: not a string. TOO_LARGE: buffer is too small; the escaped size always suffices.
 */
static inline int32_t mortise_json_string(
	const struct mortise_json *value, char *buffer, uint64_t size, struct mortise_str *out)
{
	const char *at = value->text.data;
	const char *end = at + value->text.size;
	uint64_t used = 0;

	if (value->type != MORTISE_JSON_STRING)
		return MORTISE_E_FORMAT;
	if (!value->escaped) {
		*out = value->text;
		return 0;
	}
	while (at < end) {
		unsigned char bytes[4];
		uint32_t length = 1;
		int32_t code;

		bytes[0] = (unsigned char)*at;
		if (*at != '\\') {
			at++;
		} else {
			at = mortise_json_escape(at + 1, end, &code);
			if (!at)
				return MORTISE_E_FORMAT;
			if (code < 0x80) {
				bytes[0] = (unsigned char)code;
			} else if (code < 0x800) {
				length = 2;
				bytes[0] = (unsigned char)(0xc0 | (code >> 6));
				bytes[1] = (unsigned char)(0x80 | (code & 0x3f));
			} else if (code < 0x10000) {
				length = 3;
				bytes[0] = (unsigned char)(0xe0 | (code >> 12));
				bytes[1] = (unsigned char)(0x80 | ((code >> 6) & 0x3f));
				bytes[2] = (unsigned char)(0x80 | (code & 0x3f));
			} else {
				length = 4;
				bytes[0] = (unsigned char)(0xf0 | (code >> 18));
				bytes[1] = (unsigned char)(0x80 | ((code >> 12) & 0x3f));
				bytes[2] = (unsigned char)(0x80 | ((code >> 6) & 0x3f));
				bytes[3] = (unsigned char)(0x80 | (code & 0x3f));
			}
		}
		if (size - used < length)
			return MORTISE_E_TOO_LARGE;
		memcpy(buffer + used, bytes, length);
		used += length;
	}
	*out = mortise_str_of(buffer, used);
	return 0;
}

/* Is this string, decoded, the same as text? */
static inline int mortise_json_is(const struct mortise_json *value, const char *text)
{
	const char *at = value->text.data;
	const char *end = at + value->text.size;
	struct mortise_json one = *value;
	struct mortise_str part;
	char bytes[4];

	if (value->type != MORTISE_JSON_STRING)
		return 0;
	if (!value->escaped)
		return mortise_str_equal(value->text, mortise_str_from(text));
	while (at < end) {
		const char *next = at + 1;
		int32_t code;

		if (*at == '\\')
			next = mortise_json_escape(at + 1, end, &code);
		if (!next)
			return 0;
		one.text = mortise_str_of(at, (uint64_t)(next - at));
		if (mortise_json_string(&one, bytes, sizeof(bytes), &part) < 0)
			return 0;
		if (strncmp(text, part.data, part.size) != 0)
			return 0;
		text += part.size;
		at = next;
	}
	return *text == '\0';
}

/* The first member of this name. NOT_FOUND: none, *out is then of type 0. FORMAT: object
 * is no object.
 */
static inline int32_t mortise_json_member(
	const struct mortise_json *object, const char *name, struct mortise_json *out)
{
	struct mortise_json_walk each = mortise_json_each(object);

	if (object->type != MORTISE_JSON_OBJECT)
		return MORTISE_E_FORMAT;
	while (mortise_json_next(&each)) {
		if (mortise_json_is(&each.key, name)) {
			*out = each.value;
			return 0;
		}
	}
	memset(out, 0, sizeof(*out));
	return MORTISE_E_NOT_FOUND;
}

/* A whole number, written as a number or as a string of digits. FORMAT: something else, or
 * out of range.
 */
static inline int32_t mortise_json_int64(const struct mortise_json *value, int64_t *out)
{
	const char *at = value->text.data;
	const char *end = at + value->text.size;
	uint64_t limit = INT64_MAX, number = 0;
	int negative = 0;

	if (value->type != MORTISE_JSON_NUMBER && value->type != MORTISE_JSON_STRING)
		return MORTISE_E_FORMAT;
	if (at < end && *at == '-') {
		negative = 1;
		limit++;
		at++;
	}
	if (at == end)
		return MORTISE_E_FORMAT;
	for (; at < end; at++) {
		uint64_t digit = (uint64_t)(unsigned char)*at - '0';

		if (digit > 9 || number > (limit - digit) / 10)
			return MORTISE_E_FORMAT;
		number = number * 10 + digit;
	}
	if (!negative)
		*out = (int64_t)number;
	else
		*out = number == limit ? INT64_MIN : -(int64_t)number;
	return 0;
}

static inline int32_t mortise_json_uint32(const struct mortise_json *value, uint32_t *out)
{
	int64_t number;
	int32_t rc = mortise_json_int64(value, &number);

	if (rc < 0)
		return rc;
	if (number < 0 || number > UINT32_MAX)
		return MORTISE_E_FORMAT;
	*out = (uint32_t)number;
	return 0;
}

static inline int32_t mortise_json_boolean(const struct mortise_json *value, uint32_t *out)
{
	if (value->type != MORTISE_JSON_BOOLEAN)
		return MORTISE_E_FORMAT;
	*out = value->text.data[0] == 't';
	return 0;
}

/* Any number. FORMAT: no number, or one that does not fit. */
static inline int32_t mortise_json_real(const struct mortise_json *value, double *out)
{
	char text[64], *end;
	double number;

	if (value->type != MORTISE_JSON_NUMBER || value->text.size >= sizeof(text))
		return MORTISE_E_FORMAT;
	memcpy(text, value->text.data, value->text.size);
	text[value->text.size] = '\0';
	number = strtod(text, &end);
	if (*end != '\0' || !isfinite(number))
		return MORTISE_E_FORMAT;
	*out = number;
	return 0;
}

/* ---- writing ------------------------------------------------------------- */

struct mortise_json_writer {
	char *data;
	uint64_t size;
	uint64_t capacity;
	uint64_t objects; /* bit n: n levels up stands an object */
	uint64_t filled;  /* bit n: a comma is due there */
	uint32_t depth;
	uint32_t keyed; /* a name stands, its value is due */
	int32_t rc;     /* the first error */
	uint32_t reserved;
};

static inline void mortise_json_writer_init(struct mortise_json_writer *w)
{
	memset(w, 0, sizeof(*w));
}

static inline void mortise_json_writer_done(struct mortise_json_writer *w)
{
	free(w->data);
	memset(w, 0, sizeof(*w));
}

/* Begin anew in the memory there is. */
static inline void mortise_json_writer_reset(struct mortise_json_writer *w)
{
	char *data = w->data;
	uint64_t capacity = w->capacity;

	memset(w, 0, sizeof(*w));
	w->data = data;
	w->capacity = capacity;
}

static inline void mortise_json_append(
	struct mortise_json_writer *w, const char *data, uint64_t size)
{
	if (w->rc < 0 || size == 0)
		return;
	if (w->capacity - w->size < size) {
		uint64_t capacity = w->capacity ? w->capacity : 256;
		char *grown;

		while (capacity - w->size < size && capacity < UINT64_MAX / 4)
			capacity *= 2;
		grown = capacity - w->size < size ? NULL : (char *)realloc(w->data, capacity);
		if (!grown) {
			w->rc = MORTISE_E_LIMIT;
			return;
		}
		w->data = grown;
		w->capacity = capacity;
	}
	memcpy(w->data + w->size, data, size);
	w->size += size;
}

/* What must stand before a value: a comma, or nothing behind a name. */
static inline void mortise_json_before(struct mortise_json_writer *w)
{
	int object = w->depth > 0 && (w->objects & 1);

	if (w->rc == 0 && (object ? !w->keyed : w->depth == 0 && (w->filled & 1)))
		w->rc = MORTISE_E_INVALID; /* a second root, or a member without name */
	if (!object && (w->filled & 1))
		mortise_json_append(w, ",", 1);
	w->filled |= 1;
	w->keyed = 0;
}

static inline void mortise_json_quote(struct mortise_json_writer *w, struct mortise_str text)
{
	const char *at = text.data;
	const char *end = text.size ? at + text.size : at;
	const char *plain = at;

	mortise_json_append(w, "\"", 1);
	while (at < end) {
		uint32_t length = mortise_utf8_length(at, end);
		unsigned char c = (unsigned char)*at;
		char code[8];

		if (length > 1 || (length == 1 && c >= 0x20 && c != '"' && c != '\\')) {
			at += length;
			continue;
		}
		mortise_json_append(w, plain, (uint64_t)(at - plain));
		if (length == 0)
			mortise_json_append(w, "\xef\xbf\xbd", 3);
		else if (c == '"' || c == '\\')
			mortise_json_append(w, c == '"' ? "\\\"" : "\\\\", 2);
		else if (c == '\n')
			mortise_json_append(w, "\\n", 2);
		else
			mortise_json_append(
				w, code, (uint64_t)snprintf(code, sizeof(code), "\\u%04x", c));
		plain = ++at;
	}
	if (at > plain)
		mortise_json_append(w, plain, (uint64_t)(at - plain));
	mortise_json_append(w, "\"", 1);
}

static inline void mortise_json_open(struct mortise_json_writer *w, uint32_t object)
{
	mortise_json_before(w);
	if (w->depth == MORTISE_JSON_DEPTH_MAX - 1 && w->rc == 0)
		w->rc = MORTISE_E_LIMIT;
	if (w->rc < 0)
		return;
	mortise_json_append(w, object ? "{" : "[", 1);
	w->depth++;
	w->objects = (w->objects << 1) | object;
	w->filled <<= 1;
}

static inline void mortise_json_open_object(struct mortise_json_writer *w)
{
	mortise_json_open(w, 1);
}

static inline void mortise_json_open_array(struct mortise_json_writer *w)
{
	mortise_json_open(w, 0);
}

/* Close the innermost array or object. */
static inline void mortise_json_close(struct mortise_json_writer *w)
{
	if (w->rc == 0 && (w->depth == 0 || w->keyed))
		w->rc = MORTISE_E_INVALID;
	if (w->rc < 0)
		return;
	mortise_json_append(w, w->objects & 1 ? "}" : "]", 1);
	w->depth--;
	w->objects >>= 1;
	w->filled >>= 1;
}

static inline void mortise_json_add_key(struct mortise_json_writer *w, struct mortise_str name)
{
	if (w->rc == 0 && (w->depth == 0 || !(w->objects & 1) || w->keyed))
		w->rc = MORTISE_E_INVALID;
	if (w->filled & 1)
		mortise_json_append(w, ",", 1);
	mortise_json_quote(w, name);
	mortise_json_append(w, ":", 1);
	w->filled |= 1;
	w->keyed = 1;
}

static inline void mortise_json_add_string(struct mortise_json_writer *w, struct mortise_str text)
{
	mortise_json_before(w);
	mortise_json_quote(w, text);
}

/* As a JSON number; beyond 2^53 other readers lose digits. */
static inline void mortise_json_add_integer(struct mortise_json_writer *w, int64_t number)
{
	char text[24];

	mortise_json_before(w);
	mortise_json_append(
		w, text, (uint64_t)snprintf(text, sizeof(text), "%lld", (long long)number));
}

/* As a string of digits, the form in which extensions take 64-bit integers. */
static inline void mortise_json_add_int64(struct mortise_json_writer *w, int64_t number)
{
	char text[24];
	int size = snprintf(text, sizeof(text), "%lld", (long long)number);

	mortise_json_add_string(w, mortise_str_of(text, (uint64_t)size));
}

/* In as few digits, from 15 to 17, as read back as the same number; not finite: null. */
static inline void mortise_json_add_real(struct mortise_json_writer *w, double number)
{
	char text[40];
	char *comma;
	int size = 0, digits;

	mortise_json_before(w);
	if (!isfinite(number)) {
		mortise_json_append(w, "null", 4);
		return;
	}
	for (digits = 15; digits <= 17; digits++) {
		size = snprintf(text, sizeof(text), "%.*g", digits, number);
		if (strtod(text, NULL) == number)
			break;
	}
	comma = strchr(text, ','); /* the point of some locales */
	if (comma)
		*comma = '.';
	mortise_json_append(w, text, (uint64_t)size);
}

static inline void mortise_json_add_boolean(struct mortise_json_writer *w, int value)
{
	mortise_json_before(w);
	if (value)
		mortise_json_append(w, "true", 4);
	else
		mortise_json_append(w, "false", 5);
}

static inline void mortise_json_add_null(struct mortise_json_writer *w)
{
	mortise_json_before(w);
	mortise_json_append(w, "null", 4);
}

/* A piece of JSON as it stands; FORMAT if it is not one value. */
static inline void mortise_json_add_raw(struct mortise_json_writer *w, struct mortise_str json)
{
	struct mortise_json value;

	if (w->rc == 0 && mortise_json_parse(json, &value) < 0)
		w->rc = MORTISE_E_FORMAT;
	mortise_json_before(w);
	mortise_json_append(w, json.data, json.size);
}

/* Members of an object: name and value at once. */
static inline void mortise_json_put_string(
	struct mortise_json_writer *w, const char *name, struct mortise_str text)
{
	mortise_json_add_key(w, mortise_str_from(name));
	mortise_json_add_string(w, text);
}

static inline void mortise_json_put_integer(
	struct mortise_json_writer *w, const char *name, int64_t number)
{
	mortise_json_add_key(w, mortise_str_from(name));
	mortise_json_add_integer(w, number);
}

static inline void mortise_json_put_real(
	struct mortise_json_writer *w, const char *name, double number)
{
	mortise_json_add_key(w, mortise_str_from(name));
	mortise_json_add_real(w, number);
}

static inline void mortise_json_put_boolean(
	struct mortise_json_writer *w, const char *name, int value)
{
	mortise_json_add_key(w, mortise_str_from(name));
	mortise_json_add_boolean(w, value);
}

/* The finished text, the writer's until it is changed; or the first error: LIMIT (memory or
 * depth), FORMAT (raw), INVALID (not one whole value).
 */
static inline int32_t mortise_json_written(
	const struct mortise_json_writer *w, struct mortise_str *out)
{
	if (w->rc < 0)
		return w->rc;
	if (w->depth != 0 || w->size == 0)
		return MORTISE_E_INVALID;
	*out = mortise_str_of(w->data, w->size);
	return 0;
}

#ifdef __cplusplus
}
#endif

#endif
