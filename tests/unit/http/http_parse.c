#include "http/parse.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "http_messages.h"
#include "lib/test.h"

static const struct http_limits limits = {
	.head_bytes = 4096, .headers = 20, .target_bytes = 1024
};

/* Each head ends in a place of its own, so that sanitizers see a read behind it. */
static int parse_exactly(struct http_head *head, const char *data, size_t len, char **copy)
{
	*copy = mem_copy(data, len ? len : 1);
	http_head_init(head);
	return http_head_parse(head, *copy, len, &limits);
}

static int parse_piecewise(struct http_head *head, const char *data, size_t len, size_t step)
{
	int rc = ERR_AGAIN;

	http_head_init(head);
	for (size_t n = 0; n < len && rc == ERR_AGAIN;) {
		n = len - n < step ? len : n + step;
		rc = http_head_parse(head, data, n, &limits);
	}
	return rc;
}

TEST(http_parse__takes_good_heads_apart)
{
	for (size_t i = 0; i < ARRAY_LENGTH(good_messages); i++) {
		const struct good_message *good = &good_messages[i];
		struct http_head head;
		char *copy;
		int rc = parse_exactly(&head, good->text, strlen(good->text), &copy);

		ck_assert_msg(rc == 0, "%s: %d %s", good->text, rc, head.reason);
		EXPECT_STR(http_method_name(head.method), good->method);
		EXPECT_SPAN(head.path, good->path);
		if (good->query)
			EXPECT_SPAN(head.query, good->query);
		else
			EXPECT_NULL(head.query.data);
		EXPECT_TRUE(head.len + strlen(good->body_text) == strlen(good->text));
		EXPECT_TRUE(head.chunked == good->chunked);
		EXPECT_TRUE(head.keep_alive == good->keep_alive);
		mem_free(copy);
	}
}

TEST(http_parse__gives_the_same_for_every_way_to_cut_a_good_head)
{
	for (size_t i = 0; i < ARRAY_LENGTH(good_messages); i++) {
		const char *text = good_messages[i].text;
		struct http_head whole, cut;
		char *copy;

		EXPECT_INT(parse_exactly(&whole, text, strlen(text), &copy), ==, 0);
		for (size_t at = 1; at < whole.len; at++) {
			http_head_init(&cut);
			EXPECT_INT(http_head_parse(&cut, text, at, &limits), ==, ERR_AGAIN);
			/* The bytes may have moved meanwhile. */
			EXPECT_INT(http_head_parse(&cut, copy, strlen(text), &limits), ==, 0);
			EXPECT_TRUE(cut.len == whole.len && cut.field_count == whole.field_count);
			EXPECT_TRUE(span_equal(cut.path, whole.path));
			EXPECT_TRUE(memcmp(cut.fields, whole.fields,
					    cut.field_count * sizeof(cut.fields[0])) == 0);
		}
		EXPECT_INT(parse_piecewise(&cut, text, strlen(text), 1), ==, 0);
		EXPECT_TRUE(cut.len == whole.len);
		mem_free(copy);
	}
}

TEST(http_parse__refuses_what_can_be_read_in_two_ways)
{
	EXPECT_INT(ARRAY_LENGTH(bad_messages), >=, 40);
	for (size_t i = 0; i < ARRAY_LENGTH(bad_messages); i++) {
		const struct bad_message *bad = &bad_messages[i];
		struct http_head head;
		char *copy;
		int rc = parse_exactly(&head, bad->text, bad->len, &copy);

		ck_assert_msg(
			rc == bad->code, "#%zu %s: %d, expected %d", i, bad->text, rc, bad->code);
		EXPECT_PTR(head.reason);
		mem_free(copy);
	}
}

TEST(http_parse__refuses_the_same_byte_by_byte)
{
	for (size_t i = 0; i < ARRAY_LENGTH(bad_messages); i++) {
		const struct bad_message *bad = &bad_messages[i];
		struct http_head head;

		for (size_t step = 1; step < 4; step++) {
			int rc = parse_piecewise(&head, bad->text, bad->len, step);

			ck_assert_msg(rc == bad->code, "#%zu %s: %d, expected %d", i, bad->text, rc,
				bad->code);
		}
	}
}

static void filled_head(struct text *t, const char *start, char c, size_t n, const char *end)
{
	text_clear(t);
	text_append_string(t, start);
	for (size_t i = 0; i < n; i++)
		text_append_char(t, c);
	text_append_string(t, end);
}

TEST(http_parse__bounds_target_headers_and_head)
{
	struct http_head head;
	struct text t;

	text_init(&t);
	filled_head(&t, "GET /", 'a', 1023, " HTTP/1.1\r\nHost: x\r\n\r\n");
	EXPECT_INT(parse_piecewise(&head, t.data, t.len, t.len), ==, 0);
	filled_head(&t, "GET /", 'a', 1024, " HTTP/1.1\r\nHost: x\r\n\r\n");
	EXPECT_INT(parse_piecewise(&head, t.data, t.len, t.len), ==, ERR_HTTP_TARGET);
	/* It need not end to be too long. */
	filled_head(&t, "GET /", 'a', 1200, "");
	EXPECT_INT(parse_piecewise(&head, t.data, t.len, 7), ==, ERR_HTTP_TARGET);
	/* Nor does it matter what else is wrong with it. */
	filled_head(&t, "GE< / HTTP/1.1", 'a', 1200, "\n\r\n");
	EXPECT_INT(parse_piecewise(&head, t.data, t.len, 1), ==, ERR_HTTP_TARGET);
	EXPECT_INT(parse_piecewise(&head, t.data, t.len, t.len), ==, ERR_HTTP_TARGET);
	filled_head(&t, "GET / HTTP/1.1\r\nHost: x\r\nA: ", 'a', 5000, "");
	EXPECT_INT(parse_piecewise(&head, t.data, t.len, 11), ==, ERR_HTTP_HEAD);
	EXPECT_INT(parse_piecewise(&head, t.data, t.len, t.len), ==, ERR_HTTP_HEAD);
	text_clear(&t);
	text_append_string(&t, "GET / HTTP/1.1\r\nHost: x\r\n");
	for (int i = 0; i < 20; i++)
		text_printf(&t, "h%d: x\r\n", i);
	EXPECT_INT(parse_piecewise(&head, t.data, t.len, 5), ==, ERR_HTTP_HEAD);
	text_done(&t);
}

TEST(http_parse__finds_every_known_header_in_any_case)
{
	static const char *const names[] = {
#define X(name, text, single) text,
#include "http/header.def"
#undef X
	};

	for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
		struct http_head head;
		struct text t;
		char upper[32];
		size_t n = strlen(names[i]);

		if (i == HTTP_HEADER_TRANSFER_ENCODING || i == HTTP_HEADER_CONTENT_LENGTH ||
			i == HTTP_HEADER_EXPECT || i == HTTP_HEADER_HOST)
			continue;
		for (size_t j = 0; j <= n; j++)
			upper[j] =
				(char)(names[i][j] >= 'a' && names[i][j] <= 'z' ? names[i][j] - 32
										: names[i][j]);
		text_init(&t);
		text_printf(&t, "GET / HTTP/1.1\r\nHost: x\r\nOther: y\r\n%s:  va lue\t\r\n\r\n",
			upper);
		http_head_init(&head);
		EXPECT_INT(http_head_parse(&head, t.data, t.len, &limits), ==, 0);
		EXPECT_SPAN(http_head_get(&head, (enum http_header)i), "va lue");
		EXPECT_SPAN(http_head_find(&head, span_of(names[i])), "va lue");
		EXPECT_NULL(http_head_find(&head, SPAN("absent")).data);
		text_done(&t);
	}
}

TEST(http_parse__absolute_target_must_agree_with_host)
{
	static const char good[] = "GET http://a.b:80?q=1 HTTP/1.1\r\nHost: A.b:80\r\n\r\n";
	struct http_head head;

	EXPECT_INT(parse_piecewise(&head, good, sizeof(good) - 1, 1), ==, 0);
	EXPECT_SPAN(head.path, "/");
	EXPECT_SPAN(head.query, "q=1");
	EXPECT_SPAN(head.host, "a.b:80");
}

/* The decoded body of text cut into steps, or a refusal. */
static int decode(const char *text, size_t len, size_t step, struct text *body, size_t *used)
{
	struct http_chunks chunks;
	size_t at = 0;

	text_clear(body);
	http_chunks_init(&chunks);
	for (size_t end = step < len ? step : len;;) {
		struct span piece;
		size_t n;
		int rc = http_chunks_parse(&chunks, text + at, end - at, &n, &piece);

		at += n;
		*used = at;
		if (rc == ERR_AGAIN) {
			EXPECT_TRUE(at == end);
			if (end == len)
				return rc;
			end = len - end < step ? len : end + step;
			continue;
		}
		if (rc < 0) {
			EXPECT_PTR(chunks.reason);
			return rc;
		}
		if (piece.len == 0)
			return 0;
		text_append_span(body, piece);
	}
}

TEST(http_parse__chunked_bodies_decode_at_every_cut)
{
	struct text body;

	text_init(&body);
	for (size_t i = 0; i < ARRAY_LENGTH(good_chunks); i++) {
		const char *text = good_chunks[i].text;

		for (size_t step = 1; step <= strlen(text); step++) {
			size_t used;

			EXPECT_INT(decode(text, strlen(text), step, &body, &used), ==, 0);
			EXPECT_STR(body.data, good_chunks[i].body);
			EXPECT_TRUE(used == strlen(text) - good_chunks[i].behind);
		}
	}
	text_done(&body);
}

TEST(http_parse__chunked_bodies_refuse_what_is_not_exact)
{
	struct text body;

	text_init(&body);
	for (size_t i = 0; i < ARRAY_LENGTH(bad_chunks); i++) {
		size_t len = strlen(bad_chunks[i]);

		for (size_t step = 1; step <= len; step++) {
			size_t used;
			int rc = decode(bad_chunks[i], len, step, &body, &used);

			ck_assert_msg(
				rc == ERR_HTTP_MALFORMED, "#%zu %s: %d", i, bad_chunks[i], rc);
		}
	}
	text_done(&body);
}

TEST(http_parse__chunk_extensions_and_trailers_are_bounded)
{
	struct text t, body;
	size_t used;

	text_init(&t);
	text_init(&body);
	for (int i = 0; i < 600; i++)
		text_append_string(&t, "1;extend\r\nx\r\n");
	EXPECT_INT(decode(t.data, t.len, 13, &body, &used), ==, ERR_HTTP_MALFORMED);
	text_clear(&t);
	text_append_string(&t, "0\r\n");
	for (int i = 0; i < 600; i++)
		text_printf(&t, "x-%d: y\r\n", i);
	EXPECT_INT(decode(t.data, t.len, 100, &body, &used), ==, ERR_HTTP_MALFORMED);
	text_done(&t);
	text_done(&body);
}
