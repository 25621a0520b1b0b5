/* fuzz_http.c - the parser's promises on any bytes
 *
 * The first byte says how the rest is cut; a cut message must parse as the whole one does, spans
 * must lie inside it, and what the parser let through the path and query functions must take.
 */
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/mem.h"
#include "http/parse.h"
#include "http/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct http_limits limits = { .head_bytes = 1024, .headers = 16, .target_bytes = 256 };

static void check_inside(struct span s, const char *data, size_t size)
{
	ASSERT(!s.data || s.len == 0 || (s.data >= data && s.data + s.len <= data + size));
}

static void check_target(const struct http_head *head)
{
	struct span rest = head->query, name, value;
	struct http_path path;
	char buffer[64];

	if (span_is(head->path, "*"))
		return;
	if (http_path_split(&path, head->path) == 0) {
		for (size_t i = 0; i < path.count; i++)
			ASSERT(path.segments[i].len > 0 && utf8_valid(path.segments[i]));
	}
	while (http_query_next(&rest, &name, &value))
		check_inside(value, head->base, head->len);
	(void)http_query_get(head->query, "a", buffer, sizeof(buffer), &value);
}

/* The length of the decoded body and its sum, or the refusal. */
static int decode(const char *data, size_t size, size_t step, size_t *used, uint64_t *sum)
{
	struct http_chunks chunks;
	size_t end = step < size ? step : size;
	size_t at = 0;

	http_chunks_init(&chunks);
	*sum = 5381;
	for (;;) {
		struct span piece;
		size_t n;
		int rc = http_chunks_parse(&chunks, data + at, end - at, &n, &piece);

		check_inside(piece, data + at, end - at);
		at += n;
		*used = at;
		for (size_t i = 0; i < piece.len; i++)
			*sum = *sum * 33 + (uint8_t)piece.data[i];
		if (rc == ERR_AGAIN && end < size)
			end = size - end < step ? size : end + step;
		else if (rc != 0 || piece.len == 0)
			return rc;
	}
}

static void check_chunks(const char *data, size_t size, size_t step)
{
	size_t whole_used, cut_used;
	uint64_t whole_sum, cut_sum;
	int whole = decode(data, size, size, &whole_used, &whole_sum);
	int cut = decode(data, size, step, &cut_used, &cut_sum);

	ASSERT(whole == cut && whole_used == cut_used && whole_sum == cut_sum);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_head whole, cut;
	size_t step, end = 0;
	char *text;
	int rc, cut_rc = ERR_AGAIN;

	if (size < 2)
		return 0;
	step = data[0] % 64 + 1u;
	size--;
	text = mem_copy(data + 1, size);
	http_head_init(&whole);
	rc = http_head_parse(&whole, text, size, &limits);
	http_head_init(&cut);
	while (end < size && cut_rc == ERR_AGAIN) {
		end = size - end < step ? size : end + step;
		cut_rc = http_head_parse(&cut, text, end, &limits);
	}
	ASSERT(rc == cut_rc);
	if (rc == 0) {
		ASSERT(whole.len == cut.len && whole.len <= size);
		ASSERT(whole.field_count == cut.field_count);
		ASSERT(span_equal(whole.path, cut.path) && span_equal(whole.query, cut.query));
		for (size_t i = 0; i < whole.field_count; i++) {
			struct span name, value;

			http_head_field(&whole, i, &name, &value);
			check_inside(name, text, whole.len);
			check_inside(value, text, whole.len);
			ASSERT(http_name_valid(name) && http_value_valid(value));
		}
		check_target(&whole);
		if (whole.chunked)
			check_chunks(text + whole.len, size - whole.len, step);
	} else {
		ASSERT(rc == ERR_AGAIN || whole.reason);
	}
	mem_free(text);
	return 0;
}
