/* text.h - spans of bytes, and a buffer that grows
 *
 * A span borrows; a struct text owns. Both are length-delimited; a text is also
 * NUL-terminated behind its length, so that text.data is a C string when nothing
 * in it is NUL. [any thread]
 */
#ifndef MORTISE_BASE_TEXT_H
#define MORTISE_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
	const char *data;
	size_t len;
};

#define SPAN(literal) ((struct span){ "" literal, sizeof(literal) - 1 })
#define SPAN_NONE     ((struct span){ NULL, 0 })
/* For printf's "%.*s". */
#define SPAN_ARG(s) ((int)(s).len), ((s).data)

static inline struct span span_of(const char *s)
{
	return (struct span){ s, s ? strlen(s) : 0 };
}

bool span_equal(struct span a, struct span b);
bool span_is(struct span a, const char *s);
bool span_equal_nocase(struct span a, struct span b); /* ASCII letters only */
bool span_starts(struct span a, const char *prefix);
int span_compare(struct span a, struct span b); /* bytewise, a prefix first */

/* Cut the part before the first separator off *rest, which then starts behind it.
 * Returns false when *rest is spent (data NULL). "a,,b" gives "a", "", "b". */
bool span_split(struct span *rest, char separator, struct span *part);

/* Decimal digits only, no sign, no space, at least one, at most max. False otherwise. */
bool span_u64(struct span s, uint64_t max, uint64_t *out);

/* Valid UTF-8 without surrogates, over-long forms and values past U+10FFFF (RFC 3629). */
bool utf8_valid(struct span s);

struct text {
	char *data; /* never NULL after text_init() */
	size_t len;
	size_t cap;
};

void text_init(struct text *t);
void text_done(struct text *t);
void text_clear(struct text *t);
void text_append(struct text *t, const void *data, size_t len);
void text_append_span(struct text *t, struct span s);
void text_append_string(struct text *t, const char *s);
void text_append_char(struct text *t, char c);
__attribute__((format(printf, 2, 3))) void text_printf(struct text *t, const char *format, ...);
/* Room for len more bytes at the returned place; text_grown() then adds what was written. */
char *text_reserve(struct text *t, size_t len);
void text_grown(struct text *t, size_t len);
/* Remove len bytes at the front. */
void text_consume(struct text *t, size_t len);
/* Append s with invalid UTF-8 and NUL replaced by U+FFFD. */
void text_append_utf8(struct text *t, struct span s);
/* Append s as a JSON string with its quotes (RFC 8259); invalid UTF-8 becomes U+FFFD. */
void text_append_json(struct text *t, struct span s);
struct span text_span(const struct text *t);
/* The bytes as a C string that the caller owns; t is empty after, and still to be released. */
char *text_take(struct text *t);

/* Lower-case hex. out needs 2 * len + 1 bytes. */
void hex_encode(const void *data, size_t len, char *out);
/* Exactly 2 * len lower-case hex digits; false otherwise. */
bool hex_decode(struct span hex, void *out, size_t len);

#endif
