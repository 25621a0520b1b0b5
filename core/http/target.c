#include "http/target.h"

#include "base/error.h"

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int http_decode(struct span raw, bool form, char *buffer, size_t size, struct span *out)
{
	struct span result = raw;
	size_t n = 0;

	if (memchr(raw.data ? raw.data : "", '%', raw.len) ||
		(form && memchr(raw.data ? raw.data : "", '+', raw.len))) {
		for (size_t i = 0; i < raw.len; i++) {
			char c = raw.data[i];

			if (n == size)
				return ERR_TOO_LARGE;
			if (c == '%') {
				int high = raw.len - i < 3 ? -1 : hex_value(raw.data[i + 1]);
				int low = raw.len - i < 3 ? -1 : hex_value(raw.data[i + 2]);

				if (high < 0 || low < 0)
					return ERR_INVALID;
				c = (char)(high << 4 | low);
				i += 2;
			} else if (form && c == '+') {
				c = ' ';
			}
			buffer[n++] = c;
		}
		result = (struct span){ buffer, n };
	}
	if (memchr(result.data ? result.data : "", '\0', result.len) || !utf8_valid(result))
		return ERR_INVALID;
	*out = result;
	return 0;
}

static bool dots(struct span s)
{
	return span_is(s, ".") || span_is(s, "..");
}

int http_path_split(struct http_path *out, struct span path)
{
	struct span rest = path, segment;
	size_t used = 0;

	out->count = 0;
	out->trailing_slash = false;
	if (path.len == 0 || path.data[0] != '/')
		return ERR_INVALID;
	(void)span_split(&rest, '/', &segment);
	while (span_split(&rest, '/', &segment)) {
		struct span *decoded = &out->segments[out->count];
		int rc;

		if (segment.len == 0 && !rest.data) {
			out->trailing_slash = out->count > 0;
			return 0;
		}
		if (segment.len == 0)
			return ERR_INVALID;
		if (out->count == HTTP_PATH_SEGMENTS_MAX)
			return ERR_HTTP_TARGET;
		rc = http_decode(
			segment, false, out->decoded + used, sizeof(out->decoded) - used, decoded);
		if (rc < 0)
			return rc == ERR_TOO_LARGE ? ERR_HTTP_TARGET : rc;
		if (dots(*decoded))
			return ERR_INVALID;
		if (decoded->data != segment.data)
			used += decoded->len;
		out->count++;
	}
	return 0;
}

bool http_query_next(struct span *rest, struct span *name, struct span *value)
{
	struct span part;

	while (span_split(rest, '&', &part)) {
		if (part.len == 0)
			continue;
		*value = part;
		(void)span_split(value, '=', name);
		if (!value->data)
			*value = (struct span){ part.data + part.len, 0 };
		return true;
	}
	return false;
}

int http_query_get(
	struct span query, const char *name, char *buffer, size_t size, struct span *value)
{
	struct span wanted = span_of(name), raw_name, raw_value, found = SPAN_NONE;

	while (http_query_next(&query, &raw_name, &raw_value)) {
		/* Long enough for a name that is wanted; a longer one is another. */
		char plain[128];
		struct span decoded;

		if (http_decode(raw_name, true, plain, sizeof(plain), &decoded) < 0 ||
			!span_equal(decoded, wanted))
			continue;
		if (found.data)
			return ERR_INVALID;
		found = raw_value;
	}
	if (!found.data)
		return ERR_NOT_FOUND;
	return http_decode(found, true, buffer, size, value);
}
