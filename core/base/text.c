#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/mem.h"

#define TEXT_FIRST_CAP 64

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

bool span_equal(struct span a, struct span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

bool span_is(struct span a, const char *s)
{
	return span_equal(a, span_of(s));
}

bool span_equal_nocase(struct span a, struct span b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (lower(a.data[i]) != lower(b.data[i]))
			return false;
	return true;
}

bool span_starts(struct span a, const char *prefix)
{
	size_t n = strlen(prefix);

	return a.len >= n && memcmp(a.data, prefix, n) == 0;
}

int span_compare(struct span a, struct span b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int order = n ? memcmp(a.data, b.data, n) : 0;

	if (order)
		return order;
	return a.len < b.len ? -1 : a.len > b.len;
}

bool span_split(struct span *rest, char separator, struct span *part)
{
	const char *at;

	if (!rest->data)
		return false;
	at = rest->len ? memchr(rest->data, separator, rest->len) : NULL;
	if (!at) {
		*part = *rest;
		*rest = SPAN_NONE;
		return true;
	}
	*part = (struct span){ rest->data, (size_t)(at - rest->data) };
	rest->len -= part->len + 1;
	rest->data = at + 1;
	return true;
}

bool span_u64(struct span s, uint64_t max, uint64_t *out)
{
	uint64_t value = 0;

	if (s.len == 0)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (s.data[i] < '0' || s.data[i] > '9')
			return false;
		if (__builtin_mul_overflow(value, 10u, &value) ||
			__builtin_add_overflow(value, (uint64_t)(s.data[i] - '0'), &value) ||
			value > max)
			return false;
	}
	*out = value;
	return true;
}

/* The length of the valid sequence at p, or 0. The bounds of the second byte carry
 * the exclusions of over-long forms and surrogates (RFC 3629 section 4). */
static size_t utf8_sequence(const unsigned char *p, size_t left)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t n;

	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		n = 2;
	else if (p[0] >= 0xe0 && p[0] <= 0xef)
		n = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		n = 4;
	else
		return 0;
	if (left < n)
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
	for (size_t i = 2; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

bool utf8_valid(struct span s)
{
	const unsigned char *p = (const unsigned char *)s.data;
	size_t i = 0;

	while (i < s.len) {
		size_t n = utf8_sequence(p + i, s.len - i);

		if (n == 0)
			return false;
		i += n;
	}
	return true;
}

void text_init(struct text *t)
{
	t->data = mem_alloc(TEXT_FIRST_CAP);
	t->data[0] = '\0';
	t->len = 0;
	t->cap = TEXT_FIRST_CAP;
}

void text_done(struct text *t)
{
	mem_free(t->data);
	memset(t, 0, sizeof(*t));
}

void text_clear(struct text *t)
{
	t->len = 0;
	t->data[0] = '\0';
}

char *text_reserve(struct text *t, size_t len)
{
	size_t need;

	ASSERT(t->data);
	if (__builtin_add_overflow(t->len, len, &need) || __builtin_add_overflow(need, 1u, &need))
		BUG("text too long");
	if (need > t->cap) {
		size_t cap = t->cap;

		while (cap < need)
			cap = cap > SIZE_MAX / 2 ? need : cap * 2;
		t->data = mem_realloc(t->data, cap);
		t->cap = cap;
	}
	return t->data + t->len;
}

void text_grown(struct text *t, size_t len)
{
	ASSERT(t->len + len < t->cap);
	t->len += len;
	t->data[t->len] = '\0';
}

void text_append(struct text *t, const void *data, size_t len)
{
	if (len == 0)
		return;
	memcpy(text_reserve(t, len), data, len);
	text_grown(t, len);
}

void text_append_span(struct text *t, struct span s)
{
	text_append(t, s.data, s.len);
}

void text_append_string(struct text *t, const char *s)
{
	text_append(t, s, strlen(s));
}

void text_append_char(struct text *t, char c)
{
	text_append(t, &c, 1);
}

void text_printf(struct text *t, const char *format, ...)
{
	va_list args, again;
	int n;

	va_start(args, format);
	va_copy(again, args);
	n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	ASSERT(n >= 0);
	(void)vsnprintf(text_reserve(t, (size_t)n), (size_t)n + 1, format, again);
	va_end(again);
	text_grown(t, (size_t)n);
}

void text_consume(struct text *t, size_t len)
{
	ASSERT(len <= t->len);
	memmove(t->data, t->data + len, t->len - len + 1);
	t->len -= len;
}

void text_append_utf8(struct text *t, struct span s)
{
	const unsigned char *p = (const unsigned char *)s.data;
	size_t i = 0;

	while (i < s.len) {
		size_t n = p[i] ? utf8_sequence(p + i, s.len - i) : 0;

		if (n) {
			text_append(t, p + i, n);
			i += n;
		} else {
			text_append_string(t, "\xef\xbf\xbd");
			i++;
		}
	}
}

static void append_json_char(struct text *t, unsigned char c)
{
	static const char short_form[] = { ['\b'] = 'b',
		['\t'] = 't',
		['\n'] = 'n',
		['\f'] = 'f',
		['\r'] = 'r',
		['"'] = '"',
		['\\'] = '\\' };

	if (c < sizeof(short_form) && short_form[c])
		text_printf(t, "\\%c", short_form[c]);
	else
		text_printf(t, "\\u%04x", c);
}

void text_append_json(struct text *t, struct span s)
{
	const unsigned char *p = (const unsigned char *)s.data;
	size_t i = 0;

	text_append_char(t, '"');
	while (i < s.len) {
		size_t n = utf8_sequence(p + i, s.len - i);

		if (n == 0) {
			text_append_string(t, "\xef\xbf\xbd");
			i++;
			continue;
		}
		if (p[i] < 0x20 || p[i] == 0x7f || p[i] == '"' || p[i] == '\\')
			append_json_char(t, p[i]);
		else
			text_append(t, p + i, n);
		i += n;
	}
	text_append_char(t, '"');
}

struct span text_span(const struct text *t)
{
	return (struct span){ t->data, t->len };
}

char *text_take(struct text *t)
{
	char *s = t->data;

	text_init(t);
	return s;
}

void hex_encode(const void *data, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *p = data;

	for (size_t i = 0; i < len; i++) {
		out[2 * i] = digits[p[i] >> 4];
		out[2 * i + 1] = digits[p[i] & 15];
	}
	out[2 * len] = '\0';
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

bool hex_decode(struct span hex, void *out, size_t len)
{
	unsigned char *p = out;

	if (hex.len != 2 * len)
		return false;
	for (size_t i = 0; i < len; i++) {
		int high = hex_value(hex.data[2 * i]), low = hex_value(hex.data[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		p[i] = (unsigned char)(high << 4 | low);
	}
	return true;
}
