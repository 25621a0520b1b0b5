#include "http/parse.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "http/parse_priv.h"

/* A head is taken line by line: memchr() finds the end of a line, which is then checked against
 * the tables below. Each byte is looked at once for its LF and once for its meaning, however the
 * head is cut; an unfinished line is not judged, except that it is too long.
 *
 * Standards: RFC 9112 (message syntax), RFC 9110 (fields), RFC 3986 (targets). Where we refuse what
 * they let a server accept: LF without CR, blanks in chunk-size lines, repeated equal
 * Content-Length, Transfer-Encoding other than exactly "chunked", an empty or listed Host,
 * dot segments, userinfo. Where we accept more: browsers send [ ] { } | ^ ` unencoded in a query
 * (the URL standard's query percent-encode set), and nothing reads those in two ways. */

/* Longest method and version with their blanks; what a request line may have besides its target. */
#define LINE_EXTRA_MAX 48

const uint8_t http_classes[256] = {
	['\t'] = VALUE,
	[' '] = VALUE,
	['!'] = ALL,
	['"'] = VALUE,
	['#'] = TOKEN | VALUE,
	['$'] = ALL,
	['%'] = TOKEN | VALUE,
	['&'] = ALL,
	['\''] = ALL,
	['('] = URI,
	[')'] = URI,
	['*'] = ALL,
	['+'] = ALL,
	[','] = URI,
	['-'] = ALL | NAME,
	['.'] = ALL | NAME,
	['/'] = URI,
	['0' ... '9'] = ALL | NAME,
	[':'] = URI,
	[';'] = URI,
	['<'] = VALUE,
	['='] = URI,
	['>'] = VALUE,
	['?'] = QUERY | VALUE,
	['@'] = URI,
	['A' ... 'Z'] = ALL | NAME,
	['['] = QUERY | VALUE,
	['\\'] = VALUE,
	[']'] = QUERY | VALUE,
	['^'] = TOKEN | QUERY | VALUE,
	['_'] = ALL | NAME,
	['`'] = TOKEN | QUERY | VALUE,
	['a' ... 'z'] = ALL | NAME,
	['{'] = QUERY | VALUE,
	['|'] = TOKEN | QUERY | VALUE,
	['}'] = QUERY | VALUE,
	['~'] = ALL,
	[0x80 ... 0xff] = VALUE,
};

static const struct span methods[HTTP_METHOD_COUNT] = {
	[HTTP_METHOD_GET] = { "GET", 3 },
	[HTTP_METHOD_HEAD] = { "HEAD", 4 },
	[HTTP_METHOD_POST] = { "POST", 4 },
	[HTTP_METHOD_PUT] = { "PUT", 3 },
	[HTTP_METHOD_PATCH] = { "PATCH", 5 },
	[HTTP_METHOD_DELETE] = { "DELETE", 6 },
	[HTTP_METHOD_OPTIONS] = { "OPTIONS", 7 },
};

static const struct {
	struct span name;
	bool single;
} headers[HTTP_HEADER_COUNT] = {
#define X(name, text, single) [HTTP_HEADER_##name] = { { text, sizeof(text) - 1 }, single },
#include "http/header.def"
#undef X
};

_Static_assert(HTTP_HEADER_COUNT <= 32, "http_known_header() keeps candidates in 32 bits");
_Static_assert(HTTP_FIELDS_MAX < 256, "head->known holds index + 1 in a byte");
_Static_assert(HTTP_HEAD_BYTES_MAX < 65536, "places are 16 bits wide");

static bool all_are(const char *p, size_t len, unsigned class)
{
	for (size_t i = 0; i < len; i++)
		if (!is(p[i], class))
			return false;
	return true;
}

enum http_header http_known_header(const char *name, size_t len)
{
	uint32_t candidates = 0;

#define X(header, text, single) \
	candidates |= (uint32_t)(len == sizeof(text) - 1) << HTTP_HEADER_##header;
#include "http/header.def"
#undef X
	for (; candidates; candidates &= candidates - 1) {
		enum http_header i = (enum http_header)__builtin_ctz(candidates);

		if (token_is(name, headers[i].name.data, len))
			return i;
	}
	return HTTP_HEADER_COUNT;
}

const char *http_method_name(enum http_method method)
{
	return methods[method].data;
}

bool http_method_safe(enum http_method method)
{
	return method == HTTP_METHOD_GET || method == HTTP_METHOD_HEAD ||
	       method == HTTP_METHOD_OPTIONS;
}

bool http_name_valid(struct span name)
{
	return name.len > 0 && all_are(name.data, name.len, TOKEN);
}

static bool blank(char c)
{
	return c == ' ' || c == '\t';
}

bool http_value_valid(struct span value)
{
	if (value.len == 0)
		return true;
	return !blank(value.data[0]) && !blank(value.data[value.len - 1]) &&
	       all_are(value.data, value.len, VALUE);
}

/* The head */

enum { STATE_START, STATE_REQUEST_LINE, STATE_FIELDS, STATE_DONE };

void http_head_init(struct http_head *head)
{
	/* The field places need no clearing: field_count says how many are set. */
	memset(head, 0, offsetof(struct http_head, fields));
}

static int refuse(struct http_head *head, int code, const char *reason)
{
	head->reason = reason;
	return code;
}

static int malformed(struct http_head *head, const char *reason)
{
	return refuse(head, ERR_HTTP_MALFORMED, reason);
}

static int parse_method(struct http_head *head, struct span name)
{
	for (int i = 0; i < HTTP_METHOD_COUNT; i++) {
		if (span_equal(name, methods[i])) {
			head->method = (enum http_method)i;
			return 0;
		}
	}
	if (!http_name_valid(name))
		return malformed(head, "the method is not a token");
	return refuse(head, ERR_UNSUPPORTED, "the method is not known here");
}

static int parse_version(struct http_head *head, struct span version)
{
	static const char form[] = "HTTP/";

	if (version.len == 8 && memcmp(version.data, "HTTP/1.", 7) == 0 &&
		(version.data[7] == '1' || version.data[7] == '0')) {
		head->minor = (uint8_t)(version.data[7] - '0');
		head->keep_alive = head->minor == 1;
		return 0;
	}
	if (version.len == 8 && span_starts(version, form) && version.data[6] == '.' &&
		version.data[5] >= '0' && version.data[5] <= '9' && version.data[7] >= '0' &&
		version.data[7] <= '9')
		return refuse(head, ERR_HTTP_VERSION, "only HTTP/1.1 and HTTP/1.0 are served");
	return malformed(head, "the request line does not end in a blank and an HTTP version");
}

/* "." or "..", each dot plain or as %2E. */
static bool dot_segment(struct span s)
{
	size_t dots = 0;

	while (s.len) {
		size_t n = s.data[0] == '.' ? 1 : 3;

		if (n == 3 && (s.len < 3 || s.data[0] != '%' || s.data[1] != '2' ||
				      (s.data[2] | 0x20) != 'e'))
			return false;
		s.data += n;
		s.len -= n;
		dots++;
	}
	return dots == 1 || dots == 2;
}

/* p is at '%'. */
static const char *bad_encoding(const char *p, size_t len)
{
	int high, low;

	if (len < 3)
		return "the target has a broken percent-encoding";
	high = hex_value(p[1]);
	low = hex_value(p[2]);
	if (high < 0 || low < 0)
		return "the target has a broken percent-encoding";
	return high == 0 && low == 0 ? "the target has an encoded NUL" : NULL;
}

/* Check s as path and query; both are set. */
static int parse_origin(struct http_head *head, struct span s)
{
	unsigned class = PATH;
	bool dots = false;
	size_t i;

	head->path = s;
	head->query = SPAN_NONE;
	for (i = 0; i < s.len; i++) {
		const char *wrong;

		if (is(s.data[i], class)) {
			dots |= s.data[i] == '.';
			continue;
		}
		if (s.data[i] == '?') {
			head->path.len = i;
			head->query = (struct span){ s.data + i + 1, s.len - i - 1 };
			class = QUERY;
			continue;
		}
		if (s.data[i] != '%')
			return malformed(head, "the target has a character that no URI has");
		wrong = bad_encoding(s.data + i, s.len - i);
		if (wrong)
			return malformed(head, wrong);
		dots = true;
		i += 2;
	}
	if (dots) {
		struct span rest = head->path, segment;

		while (span_split(&rest, '/', &segment))
			if (dot_segment(segment))
				return malformed(head, "the path has a dot segment");
	}
	return 0;
}

static bool authority_valid(struct span host)
{
	const char *end = host.data + host.len, *p = host.data;
	const char *port;
	uint64_t number;

	if (host.len == 0)
		return false;
	if (*p == '[') {
		for (p++; p < end && (hex_value(*p) >= 0 || *p == ':' || *p == '.'); p++)
			;
		if (p == end || *p != ']' || p - host.data < 3)
			return false;
		p++;
	} else {
		for (; p < end && is(*p, NAME); p++)
			;
		if (p == host.data)
			return false;
	}
	if (p == end)
		return true;
	port = p + 1;
	return *p == ':' && span_u64((struct span){ port, (size_t)(end - port) }, 65535, &number) &&
	       end - port <= 5;
}

static int parse_absolute(struct http_head *head, struct span s)
{
	struct span authority;
	size_t scheme, at;
	int rc;

	if (s.len > 7 && span_equal_nocase((struct span){ s.data, 7 }, SPAN("http://")))
		scheme = 7;
	else if (s.len > 8 && span_equal_nocase((struct span){ s.data, 8 }, SPAN("https://")))
		scheme = 8;
	else
		return malformed(head, "the target is neither a path nor an http URL");
	at = scheme;
	while (at < s.len && s.data[at] != '/' && s.data[at] != '?')
		at++;
	authority = (struct span){ s.data + scheme, at - scheme };
	if (!authority_valid(authority))
		return malformed(head, "the target's authority is not a host and port");
	if (head->host.data && !span_equal_nocase(head->host, authority))
		return malformed(head, "the target and the Host header name different hosts");
	head->host = authority;
	rc = parse_origin(head, (struct span){ s.data + at, s.len - at });
	if (rc < 0)
		return rc;
	if (head->path.len == 0)
		head->path = SPAN("/");
	return 0;
}

/* After all fields, because an absolute target is compared with Host. */
static int parse_target(struct http_head *head)
{
	struct span s = { head->base + head->target_at, head->target_len };

	head->target = s;
	if (s.data[0] == '/')
		return parse_origin(head, s);
	if (s.len == 1 && s.data[0] == '*') {
		head->path = s;
		head->query = SPAN_NONE;
		return head->method == HTTP_METHOD_OPTIONS
			       ? 0
			       : malformed(head, "the target '*' goes with OPTIONS only");
	}
	return parse_absolute(head, s);
}

static int parse_request_line(
	struct http_head *head, struct span line, const struct http_limits *limits)
{
	const char *end = line.data + line.len;
	const char *method_end, *target_end;
	int rc;

	method_end = memchr(line.data, ' ', line.len);
	if (!method_end)
		return malformed(head, "the request line has no target");
	target_end = memchr(method_end + 1, ' ', (size_t)(end - method_end - 1));
	if (!target_end)
		return malformed(head, "the request line has no HTTP version");
	/* The version before the method: a client of HTTP/2 is told so, whatever it asks. */
	rc = parse_version(head, (struct span){ target_end + 1, (size_t)(end - target_end - 1) });
	if (rc < 0)
		return rc;
	rc = parse_method(head, (struct span){ line.data, (size_t)(method_end - line.data) });
	if (rc < 0)
		return rc;
	head->target_at = (uint32_t)(method_end + 1 - head->base);
	head->target_len = (uint32_t)(target_end - method_end - 1);
	if (head->target_len == 0)
		return malformed(head, "the request line has two blanks in a row");
	if (head->target_len > limits->target_bytes)
		return refuse(head, ERR_HTTP_TARGET, "the target is too long");
	return 0;
}

static int parse_content_length(struct http_head *head, struct span value)
{
	if (!span_u64(value, INT64_MAX, &head->content_length))
		return malformed(head, "Content-Length is not one decimal number");
	return 0;
}

static int parse_transfer_encoding(struct http_head *head, struct span value)
{
	if (head->minor == 0)
		return malformed(head, "HTTP/1.0 has no Transfer-Encoding");
	if (span_equal_nocase(value, SPAN("chunked"))) {
		head->chunked = true;
		return 0;
	}
	if (value.len == 0)
		return malformed(head, "Transfer-Encoding is empty");
	return refuse(head, ERR_UNSUPPORTED, "the only transfer coding served is 'chunked', alone");
}

static void parse_connection(struct http_head *head, struct span value)
{
	struct span part;

	while (span_split(&value, ',', &part)) {
		while (part.len && blank(part.data[0])) {
			part.data++;
			part.len--;
		}
		while (part.len && blank(part.data[part.len - 1]))
			part.len--;
		if (span_equal_nocase(part, SPAN("close")))
			head->close = true;
		else if (head->minor == 0 && span_equal_nocase(part, SPAN("keep-alive")))
			head->keep_alive = true;
	}
}

static int parse_known(struct http_head *head, enum http_header header, struct span value)
{
	switch (header) {
	case HTTP_HEADER_HOST:
		head->host = value;
		return authority_valid(value)
			       ? 0
			       : malformed(head, "the Host header is not a host and port");
	case HTTP_HEADER_CONTENT_LENGTH:
		return parse_content_length(head, value);
	case HTTP_HEADER_TRANSFER_ENCODING:
		return parse_transfer_encoding(head, value);
	case HTTP_HEADER_CONNECTION:
		parse_connection(head, value);
		return 0;
	case HTTP_HEADER_EXPECT:
		if (!span_equal_nocase(value, SPAN("100-continue")))
			return refuse(head, ERR_HTTP_EXPECTATION,
				"the only expectation known is '100-continue'");
		head->expect_continue = head->minor == 1;
		return 0;
	default:
		return 0;
	}
}

static int parse_field(struct http_head *head, struct span line, const struct http_limits *limits)
{
	const char *p = line.data, *end = line.data + line.len;
	struct http_field *field = &head->fields[head->field_count];
	struct span name, value;
	enum http_header known;

	if (head->field_count >= limits->headers || head->field_count >= HTTP_FIELDS_MAX)
		return refuse(head, ERR_HTTP_HEAD, "there are too many headers");
	while (p < end && is(*p, TOKEN))
		p++;
	name = (struct span){ line.data, (size_t)(p - line.data) };
	if (name.len == 0 && blank(*p))
		return malformed(head, "a header is folded over two lines");
	if (p == end || *p != ':' || name.len == 0)
		return malformed(head, "a header has no colon right behind a valid name");
	p++;
	while (p < end && blank(*p))
		p++;
	while (end > p && blank(end[-1]))
		end--;
	value = (struct span){ p, (size_t)(end - p) };
	if (!all_are(value.data, value.len, VALUE))
		return malformed(head, "a header's value has a control character");

	*field = (struct http_field){ (uint16_t)(name.data - head->base), (uint16_t)name.len,
		(uint16_t)(value.data - head->base), (uint16_t)value.len };
	head->field_count++;
	known = http_known_header(name.data, name.len);
	if (known == HTTP_HEADER_COUNT)
		return 0;
	if (head->known[known] && headers[known].single)
		return malformed(head, "a header that may stand only once stands there twice");
	if (!head->known[known])
		head->known[known] = (uint8_t)head->field_count;
	return parse_known(head, known, value);
}

static int finish(struct http_head *head)
{
	if (head->known[HTTP_HEADER_CONTENT_LENGTH] && head->chunked)
		return malformed(
			head, "Content-Length and Transfer-Encoding contradict each other");
	/* The spans are set last, when the bytes will not move any more. */
	head->host = http_head_get(head, HTTP_HEADER_HOST);
	if (head->minor == 1 && !head->host.data)
		return malformed(head, "the Host header is missing");
	if (head->close)
		head->keep_alive = false;
	if (!head->chunked && head->content_length == 0)
		head->expect_continue = false;
	return parse_target(head);
}

static int parse_line(struct http_head *head, struct span line, const struct http_limits *limits)
{
	switch (head->state) {
	case STATE_START:
		/* One empty line may stand before a request (RFC 9112 section 2.2). */
		head->state = STATE_REQUEST_LINE;
		if (line.len == 0)
			return 0;
		/* fall through */
	case STATE_REQUEST_LINE:
		head->state = STATE_FIELDS;
		return parse_request_line(head, line, limits);
	default:
		if (line.len)
			return parse_field(head, line, limits);
		head->state = STATE_DONE;
		return finish(head);
	}
}

/* The line that starts at line_at has len bytes at least, and is judged by that alone before
 * anything else, so that it makes no difference whether its end is here already. */
static bool line_too_long(
	const struct http_head *head, size_t len, const struct http_limits *limits)
{
	return head->state < STATE_FIELDS && len > (size_t)limits->target_bytes + LINE_EXTRA_MAX;
}

int http_head_parse(
	struct http_head *head, const char *data, size_t len, const struct http_limits *limits)
{
	uint32_t end = len < limits->head_bytes ? (uint32_t)len : limits->head_bytes;
	int rc;

	head->base = data;
	/* Bytes of another protocol may never have an LF: do not wait for it. */
	if (end > 0 && !is(data[0], TOKEN) && data[0] != '\r')
		return malformed(head, "this is not HTTP");
	while (head->state != STATE_DONE) {
		const char *lf = memchr(data + head->scan_at, '\n', end - head->scan_at);
		struct span line = { data + head->line_at, 0 };

		line.len = (size_t)((lf ? lf : data + end) - line.data);
		if (line_too_long(head, line.len, limits))
			return refuse(head, ERR_HTTP_TARGET, "the request line is too long");
		if (!lf && end == limits->head_bytes)
			return refuse(
				head, ERR_HTTP_HEAD, "the request line and headers are too long");
		if (!lf) {
			head->scan_at = end;
			return ERR_AGAIN;
		}
		if (line.len == 0 || lf[-1] != '\r')
			return malformed(head, "a line ends in LF without CR");
		line.len--;
		rc = parse_line(head, line, limits);
		if (rc < 0)
			return rc;
		head->line_at = head->scan_at = (uint32_t)(lf + 1 - data);
	}
	head->len = head->line_at;
	return 0;
}

struct span http_head_get(const struct http_head *head, enum http_header header)
{
	const struct http_field *field;

	if (!head->known[header])
		return SPAN_NONE;
	field = &head->fields[head->known[header] - 1];
	return (struct span){ head->base + field->value_at, field->value_len };
}

void http_head_field(const struct http_head *head, size_t i, struct span *name, struct span *value)
{
	const struct http_field *field = &head->fields[i];

	*name = (struct span){ head->base + field->name_at, field->name_len };
	*value = (struct span){ head->base + field->value_at, field->value_len };
}

struct span http_head_find(const struct http_head *head, struct span name)
{
	for (size_t i = 0; i < head->field_count; i++) {
		struct span own, value;

		http_head_field(head, i, &own, &value);
		if (span_equal_nocase(own, name))
			return value;
	}
	return SPAN_NONE;
}
