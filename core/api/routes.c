/* Method: the routes stand in one array, ordered so that at the first segment where two
 * patterns differ in kind the literal comes first. The first that fits is then the one that
 * literal-beats-parameter asks for. Tables are short (a plugin has a handful of routes), so a
 * walk beats a tree. */
#include "api/routes.h"

#include "base/error.h"
#include "base/mem.h"

struct entry {
	char *text; /* owned: pattern and method, what the spans point into */
	struct span method;
	struct span segments[ROUTES_SEGMENTS_MAX];
	uint32_t params; /* bit i: segment i is a parameter, and the span its name */
	size_t count;
	void *route;
};

struct routes {
	struct entry *entries;
	size_t count;
};

struct routes *routes_new(void)
{
	return mem_zalloc(sizeof(struct routes));
}

void routes_free(struct routes *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->count; i++)
		mem_free(r->entries[i].text);
	mem_free(r->entries);
	mem_free(r);
}

static bool is_param(const struct entry *e, size_t segment)
{
	return e->params & (1u << segment);
}

/* The next segment of a path whose leading '/' is still there; false at its end. */
static bool next_segment(struct span *rest, struct span *segment)
{
	const char *end;

	if (rest->len == 0 || rest->data[0] != '/')
		return false;
	rest->data++;
	rest->len--;
	end = memchr(rest->data, '/', rest->len);
	segment->data = rest->data;
	segment->len = end ? (size_t)(end - rest->data) : rest->len;
	rest->data += segment->len;
	rest->len -= segment->len;
	return true;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* The byte at *at of an encoded text, which moves behind it; -1 for a bad escape. */
static int decoded_byte(struct span s, size_t *at)
{
	int high, low;

	if (s.data[*at] != '%')
		return (unsigned char)s.data[(*at)++];
	if (s.len - *at < 3)
		return -1;
	high = hex_value(s.data[*at + 1]);
	low = hex_value(s.data[*at + 2]);
	if (high < 0 || low < 0)
		return -1;
	*at += 3;
	return high * 16 + low;
}

static bool literal_fits(struct span literal, struct span segment)
{
	size_t i = 0;

	if (!memchr(segment.data, '%', segment.len))
		return span_equal(literal, segment);
	for (size_t at = 0; at < segment.len; i++)
		if (i == literal.len ||
			decoded_byte(segment, &at) != (unsigned char)literal.data[i])
			return false;
	return i == literal.len;
}

static bool fits(const struct entry *e, struct span path, struct routes_found *out)
{
	struct span rest = path.len ? path : SPAN("/"), segment;
	size_t params = 0;

	for (size_t i = 0; i < e->count; i++) {
		if (!next_segment(&rest, &segment))
			return false;
		if (!is_param(e, i)) {
			if (!literal_fits(e->segments[i], segment))
				return false;
			continue;
		}
		if (segment.len == 0)
			return false;
		out->names[params] = e->segments[i];
		out->values[params++] = segment;
	}
	out->count = params;
	return rest.len == 0;
}

static bool method_fits(const struct entry *e, struct span method)
{
	return span_equal(e->method, method) ||
	       (span_is(method, "HEAD") && span_is(e->method, "GET"));
}

int routes_match(
	const struct routes *r, struct span method, struct span path, struct routes_found *out)
{
	bool other = false;

	for (size_t i = 0; i < r->count; i++) {
		const struct entry *e = &r->entries[i];

		if (!fits(e, path, out))
			continue;
		if (method_fits(e, method)) {
			out->route = e->route;
			return 0;
		}
		other = true;
	}
	out->count = 0;
	return other ? ERR_METHOD : ERR_NOT_FOUND;
}

/* Is a route of the same method before this one that fits, too? */
static bool method_seen(const struct routes *r, size_t before, struct span path)
{
	struct routes_found found;

	for (size_t i = 0; i < before; i++)
		if (span_equal(r->entries[i].method, r->entries[before].method) &&
			fits(&r->entries[i], path, &found))
			return true;
	return false;
}

void routes_allow(const struct routes *r, struct span path, struct text *out)
{
	struct routes_found found;
	size_t before = out->len;

	for (size_t i = 0; i < r->count; i++) {
		const struct entry *e = &r->entries[i];

		if (!fits(e, path, &found) || method_seen(r, i, path))
			continue;
		text_printf(out, "%s%.*s%s", out->len > before ? ", " : "", SPAN_ARG(e->method),
			span_is(e->method, "GET") ? ", HEAD" : "");
	}
}

/* Where does a stand in the order to b? 0: they fit the same paths with the same method. */
static int compare(const struct entry *a, const struct entry *b)
{
	int order;

	for (size_t i = 0; i < a->count && i < b->count; i++) {
		if (is_param(a, i) != is_param(b, i))
			return is_param(a, i) ? 1 : -1;
		if (is_param(a, i))
			continue;
		order = span_compare(a->segments[i], b->segments[i]);
		if (order != 0)
			return order;
	}
	if (a->count != b->count)
		return a->count < b->count ? -1 : 1;
	return span_compare(a->method, b->method);
}

static int read_pattern(struct entry *e, struct span pattern, struct error *err)
{
	struct span rest = pattern, segment;
	size_t params = 0;

	while (next_segment(&rest, &segment)) {
		if (e->count == ROUTES_SEGMENTS_MAX)
			return error_set(err, ERR_INVALID,
				"pattern '%.*s' has more than %d segments", SPAN_ARG(pattern),
				ROUTES_SEGMENTS_MAX);
		if (segment.len > 0 && segment.data[0] == '{') {
			if (segment.len < 3 || segment.data[segment.len - 1] != '}' ||
				++params > ROUTES_PARAMS_MAX)
				return error_set(err, ERR_INVALID,
					"pattern '%.*s' has a parameter that is none",
					SPAN_ARG(pattern));
			e->params |= 1u << e->count;
			segment = (struct span){ segment.data + 1, segment.len - 2 };
		}
		e->segments[e->count++] = segment;
	}
	if (rest.len > 0 || e->count == 0)
		return error_set(err, ERR_INVALID, "pattern '%.*s' does not begin with '/'",
			SPAN_ARG(pattern));
	return 0;
}

int routes_add(
	struct routes *r, struct span method, struct span pattern, void *route, struct error *err)
{
	struct entry e = { .route = route };
	size_t at = 0;
	int rc, order = -1;

	e.text = mem_printf("%.*s%.*s", SPAN_ARG(pattern), SPAN_ARG(method));
	e.method = (struct span){ e.text + pattern.len, method.len };
	rc = read_pattern(&e, (struct span){ e.text, pattern.len }, err);
	while (rc == 0 && at < r->count && (order = compare(&r->entries[at], &e)) < 0)
		at++;
	if (rc == 0 && at < r->count && order == 0)
		rc = error_set(err, ERR_CONFLICT, "'%.*s %.*s' is there twice", SPAN_ARG(method),
			SPAN_ARG(pattern));
	if (rc < 0) {
		mem_free(e.text);
		return rc;
	}
	r->entries = mem_realloc(r->entries, (r->count + 1) * sizeof(e));
	memmove(r->entries + at + 1, r->entries + at, (r->count - at) * sizeof(e));
	r->entries[at] = e;
	r->count++;
	return 0;
}
