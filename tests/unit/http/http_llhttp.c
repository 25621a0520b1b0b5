/* Whatever we accept, llhttp accepts too, and takes for the same request: method, target, body and
 * length. The other way round it need not hold. The requests are the table's, mutated. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "http/parse.h"
#include "http_messages.h"
#include "lib/test.h"

#ifdef MORTISE_HAVE_LLHTTP

#include <llhttp.h>

#define ROUNDS 300000

struct request {
	struct text method, target, body;
	size_t len;
	bool chunked, complete;
};

static void request_init(struct request *r)
{
	memset(r, 0, sizeof(*r));
	text_init(&r->method);
	text_init(&r->target);
	text_init(&r->body);
}

static void request_done(struct request *r)
{
	text_done(&r->method);
	text_done(&r->target);
	text_done(&r->body);
}

static void request_clear(struct request *r)
{
	text_clear(&r->method);
	text_clear(&r->target);
	text_clear(&r->body);
	r->len = 0;
	r->chunked = r->complete = false;
}

/* True when nothing is refused; the request may be incomplete. */
static bool parse_ours(struct request *r, const char *data, size_t len)
{
	static const struct http_limits limits = {
		.head_bytes = 16384, .headers = 100, .target_bytes = 8192
	};
	struct http_head head;
	struct http_chunks chunks;
	int rc;

	http_head_init(&head);
	rc = http_head_parse(&head, data, len, &limits);
	if (rc < 0)
		return rc == ERR_AGAIN;
	text_append_string(&r->method, http_method_name(head.method));
	text_append_span(&r->target, head.target);
	r->len = head.len;
	if (!head.chunked) {
		size_t n = len - head.len < head.content_length ? len - head.len
								: (size_t)head.content_length;

		text_append(&r->body, data + head.len, n);
		r->len += n;
		r->complete = n == head.content_length;
		return true;
	}
	r->chunked = true;
	http_chunks_init(&chunks);
	do {
		struct span piece;
		size_t used;

		rc = http_chunks_parse(&chunks, data + r->len, len - r->len, &used, &piece);
		r->len += used;
		text_append_span(&r->body, piece);
		r->complete = rc == 0 && piece.len == 0;
	} while (rc == 0 && !r->complete);
	return rc == 0 || rc == ERR_AGAIN;
}

static int on_url(llhttp_t *parser, const char *at, size_t len)
{
	text_append(&((struct request *)parser->data)->target, at, len);
	return 0;
}

static int on_body(llhttp_t *parser, const char *at, size_t len)
{
	text_append(&((struct request *)parser->data)->body, at, len);
	return 0;
}

static int on_message_complete(llhttp_t *parser)
{
	((struct request *)parser->data)->complete = true;
	return HPE_PAUSED;
}

static bool parse_theirs(struct request *r, const char *data, size_t len)
{
	llhttp_settings_t settings;
	llhttp_errno_t rc;
	llhttp_t parser;

	llhttp_settings_init(&settings);
	settings.on_url = on_url;
	settings.on_body = on_body;
	settings.on_message_complete = on_message_complete;
	llhttp_init(&parser, HTTP_REQUEST, &settings);
	parser.data = r;
	rc = llhttp_execute(&parser, data, len);
	if (rc == HPE_PAUSED)
		r->len = (size_t)(llhttp_get_error_pos(&parser) - data);
	text_append_string(&r->method, llhttp_method_name(parser.method));
	return rc == HPE_OK || rc == HPE_PAUSED;
}

static uint32_t random_below(uint32_t *state, size_t bound)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state % (uint32_t)bound;
}

/* Without HTAB: llhttp refuses it behind the number of Content-Length, where RFC 9110 allows it. */
static void mutate(struct text *t, uint32_t *state)
{
	static const char *const parts[] = { "\r\n", "\n", "\r", " ", ":", ",", ";", "0", "1", "5",
		"a", "/", "?", "%41", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n",
		"Host: x\r\n", "Connection: close\r\n", "X: y\r\n", "\r\n\r\n", "0\r\n\r\n",
		"5\r\nhello\r\n", "HTTP/1.1", "HTTP/1.0", "\x80", "\x7f", "\"", "=", "chunked" };
	size_t at = random_below(state, t->len + 1);
	size_t len = random_below(state, 4);
	const char *part = parts[random_below(state, ARRAY_LENGTH(parts))];
	struct text out;

	if (len > t->len - at)
		len = t->len - at;
	text_init(&out);
	text_append(&out, t->data, at);
	if (random_below(state, 3))
		text_append_string(&out, part);
	text_append(&out, t->data + at + len, t->len - at - len);
	text_done(t);
	*t = out;
}

static void show(const struct text *t)
{
	for (size_t i = 0; i < t->len; i++)
		fprintf(stderr, t->data[i] >= ' ' && t->data[i] < 127 ? "%c" : "\\x%02x",
			(unsigned char)t->data[i]);
	fprintf(stderr, "\n");
}

TEST(http_llhttp__accepts_what_we_accept_as_the_same_request)
{
	struct request ours, theirs;
	uint32_t state = 2463534242u;
	int accepted = 0;
	struct text t;

	request_init(&ours);
	request_init(&theirs);
	text_init(&t);
	for (int i = 0; i < ROUNDS; i++) {
		bool same;

		request_clear(&ours);
		request_clear(&theirs);
		text_clear(&t);
		text_append_string(&t, good_messages[(size_t)i % ARRAY_LENGTH(good_messages)].text);
		for (uint32_t n = random_below(&state, 4); n > 0; n--)
			mutate(&t, &state);
		if (!parse_ours(&ours, t.data, t.len) || ours.len == 0)
			continue;
		accepted += ours.complete;
		same = parse_theirs(&theirs, t.data, t.len);
		/* llhttp refuses a second chunk extension, which RFC 9112 allows. */
		if (!same && ours.chunked && memchr(t.data, ';', t.len))
			continue;
		same = same && ours.complete == theirs.complete &&
		       span_equal(text_span(&ours.body), text_span(&theirs.body)) &&
		       span_equal(text_span(&ours.target), text_span(&theirs.target)) &&
		       strcmp(ours.method.data, theirs.method.data) == 0 &&
		       (!ours.complete || ours.len == theirs.len);
		if (!same)
			show(&t);
		EXPECT_TRUE(same);
	}
	/* Else the test would have compared nothing. */
	EXPECT_INT(accepted, >, ROUNDS / 20);
	text_done(&t);
	request_done(&ours);
	request_done(&theirs);
}

#else

TEST(http_llhttp__is_skipped_because_the_package_is_not_installed)
{
	fprintf(stderr, "skipped: install node-llhttp to compare the parsers\n");
}

#endif
