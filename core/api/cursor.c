/* Form: base64 with '-' and '_' and without padding (RFC 4648 section 5) of eight bytes of
 * SHA-256 over list, filters and position, each behind its length, and then the position. */
#include "api/cursor.h"

#include "base/error.h"
#include "codec/base64.h"
#include "codec/digest.h"

#define CHECK_LEN  8u
#define CURSOR_MAX 1024u

static void check_bytes(struct span list, struct span filters, struct span position,
	uint8_t out[static SHA256_SIZE])
{
	const struct span parts[] = { list, filters, position };
	struct text all;

	text_init(&all);
	text_append_string(&all, "mortise cursor 1");
	for (size_t i = 0; i < 3; i++) {
		text_printf(&all, "\n%zu:", parts[i].len);
		text_append_span(&all, parts[i]);
	}
	sha256_of(text_span(&all), out);
	text_done(&all);
}

static void swap(struct text *t, size_t from, const char *old, const char *new)
{
	for (size_t i = from; i < t->len; i++)
		for (size_t k = 0; k < 2; k++)
			if (t->data[i] == old[k]) {
				t->data[i] = new[k];
				break;
			}
}

void cursor_append(struct text *out, struct span list, struct span filters, struct span position)
{
	uint8_t digest[SHA256_SIZE];
	size_t before = out->len;
	struct text bytes;

	check_bytes(list, filters, position, digest);
	text_init(&bytes);
	text_append(&bytes, digest, CHECK_LEN);
	text_append_span(&bytes, position);
	base64_append(out, bytes.data, bytes.len);
	text_done(&bytes);
	while (out->len > before && out->data[out->len - 1] == '=')
		out->data[--out->len] = '\0';
	swap(out, before, "+/", "-_");
}

static bool decode(struct text *out, struct span cursor)
{
	struct text padded;
	bool ok;

	if (cursor.len > CURSOR_MAX || memchr(cursor.data, '+', cursor.len) ||
		memchr(cursor.data, '/', cursor.len))
		return false;
	text_init(&padded);
	text_append_span(&padded, cursor);
	swap(&padded, 0, "-_", "+/");
	while (padded.len % 4 != 0)
		text_append_char(&padded, '=');
	ok = base64_decode(out, text_span(&padded));
	text_done(&padded);
	return ok;
}

int cursor_position(struct text *out, struct span cursor, struct span list, struct span filters,
	struct error *err)
{
	uint8_t digest[SHA256_SIZE];
	struct span position;
	struct text bytes;
	bool ok;

	text_init(&bytes);
	ok = decode(&bytes, cursor) && bytes.len > CHECK_LEN;
	if (ok) {
		position = (struct span){ bytes.data + CHECK_LEN, bytes.len - CHECK_LEN };
		check_bytes(list, filters, position, digest);
		ok = digest_equal(digest, bytes.data, CHECK_LEN);
	}
	if (ok)
		text_append_span(out, position);
	text_done(&bytes);
	return ok ? 0
		  : error_set(err, ERR_CURSOR,
			    "'after' is no cursor of this list with these filters");
}
