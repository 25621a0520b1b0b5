#include "http/parse.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "http/parse_priv.h"

/* The chunked body, byte by byte but for the data itself.
 *
 * SIZE -> SIZE_LF -> DATA -> DATA_CR -> DATA_LF -> SIZE     SIZE -> EXT... -> SIZE_LF
 * SIZE_LF of size 0 -> TRAILER -> TRAILER_NAME -> TRAILER_VALUE -> TRAILER_LF -> TRAILER
 * TRAILER -> END_LF -> END */

/* 15 hex digits cannot overflow 64 bits, and no body is longer. */
#define CHUNK_DIGITS_MAX 15
/* Chunk extensions and trailers of one body together. */
#define CHUNK_EXTRA_MAX 4096

enum {
	CHUNK_SIZE,
	CHUNK_EXT, /* behind ';', before the first byte of the name */
	CHUNK_EXT_NAME,
	CHUNK_EXT_EQUAL,
	CHUNK_EXT_VALUE,
	CHUNK_EXT_QUOTED,
	CHUNK_EXT_ESCAPED,
	CHUNK_EXT_UNQUOTED,
	CHUNK_SIZE_LF,
	CHUNK_DATA,
	CHUNK_DATA_CR,
	CHUNK_DATA_LF,
	CHUNK_TRAILER,
	CHUNK_TRAILER_NAME,
	CHUNK_TRAILER_VALUE,
	CHUNK_TRAILER_LF,
	CHUNK_END_LF,
	CHUNK_END,
};

void http_chunks_init(struct http_chunks *chunks)
{
	memset(chunks, 0, sizeof(*chunks));
}

static int bad_chunk(struct http_chunks *chunks, const char *reason)
{
	chunks->reason = reason;
	return ERR_HTTP_MALFORMED;
}

static int next(struct http_chunks *chunks, bool valid, uint8_t state, const char *reason)
{
	if (!valid)
		return bad_chunk(chunks, reason);
	chunks->state = state;
	return 0;
}

static int size_byte(struct http_chunks *chunks, char c)
{
	int digit = hex_value(c);

	if (digit >= 0) {
		if (chunks->digits++ == CHUNK_DIGITS_MAX)
			return bad_chunk(chunks, "a chunk size has too many digits");
		chunks->left = chunks->left << 4 | (unsigned)digit;
		return 0;
	}
	if (chunks->digits == 0)
		return bad_chunk(chunks, "a chunk size is not a hexadecimal number");
	if (c == ';')
		return next(chunks, true, CHUNK_EXT, NULL);
	return next(chunks, c == '\r', CHUNK_SIZE_LF, "a chunk size is not a hexadecimal number");
}

/* chunk-ext = *( ";" token [ "=" ( token / quoted-string ) ] ), without blanks around. */
static int extension_byte(struct http_chunks *chunks, char c)
{
	static const char reason[] = "a chunk extension is not valid";
	bool token = is(c, TOKEN);

	switch (chunks->state) {
	case CHUNK_EXT:
		return next(chunks, token, CHUNK_EXT_NAME, reason);
	case CHUNK_EXT_EQUAL:
		return next(chunks, token || c == '"', token ? CHUNK_EXT_VALUE : CHUNK_EXT_QUOTED,
			reason);
	case CHUNK_EXT_ESCAPED:
		return next(chunks, is(c, VALUE), CHUNK_EXT_QUOTED, reason);
	case CHUNK_EXT_QUOTED:
		if (c == '"' || c == '\\')
			return next(chunks, true, c == '"' ? CHUNK_EXT_UNQUOTED : CHUNK_EXT_ESCAPED,
				reason);
		return next(chunks, is(c, VALUE), CHUNK_EXT_QUOTED, reason);
	default:
		break;
	}
	if (token && chunks->state != CHUNK_EXT_UNQUOTED)
		return 0;
	if (c == '=' && chunks->state == CHUNK_EXT_NAME)
		return next(chunks, true, CHUNK_EXT_EQUAL, reason);
	if (c == ';')
		return next(chunks, true, CHUNK_EXT, reason);
	return next(chunks, c == '\r', CHUNK_SIZE_LF, reason);
}

/* Nothing that frames, routes, authenticates or describes a body may come behind it (RFC 9110
 * section 6.5.1); the rest we drop. */
static bool trailer_allowed(const struct http_chunks *chunks)
{
	static const struct span hop[] = { { "te", 2 }, { "trailer", 7 }, { "upgrade", 7 },
		{ "keep-alive", 10 }, { "set-cookie", 10 }, { "cache-control", 13 },
		{ "content-range", 13 }, { "range", 5 } };

	if (chunks->name_len > sizeof(chunks->name))
		return true;
	for (size_t i = 0; i < ARRAY_LENGTH(hop); i++)
		if (hop[i].len == chunks->name_len &&
			token_is(chunks->name, hop[i].data, hop[i].len))
			return false;
	return http_known_header(chunks->name, chunks->name_len) == HTTP_HEADER_COUNT;
}

static int trailer_byte(struct http_chunks *chunks, char c)
{
	switch (chunks->state) {
	case CHUNK_TRAILER:
		if (c == '\r')
			return next(chunks, true, CHUNK_END_LF, NULL);
		chunks->name_len = 0;
		chunks->state = CHUNK_TRAILER_NAME;
		/* fall through */
	case CHUNK_TRAILER_NAME:
		if (is(c, TOKEN)) {
			if (chunks->name_len < sizeof(chunks->name))
				chunks->name[chunks->name_len] = c;
			chunks->name_len += chunks->name_len <= sizeof(chunks->name);
			return 0;
		}
		if (c != ':' || chunks->name_len == 0)
			return bad_chunk(
				chunks, "a trailer has no colon right behind a valid name");
		return next(chunks, trailer_allowed(chunks), CHUNK_TRAILER_VALUE,
			"a trailer carries a header that belongs before the body");
	default:
		if (is(c, VALUE))
			return 0;
		return next(chunks, c == '\r', CHUNK_TRAILER_LF,
			"a trailer's value has a control character");
	}
}

static int chunk_byte(struct http_chunks *chunks, char c)
{
	static const char lf[] = "CR without LF in a chunked body";

	switch (chunks->state) {
	case CHUNK_SIZE:
		return size_byte(chunks, c);
	case CHUNK_SIZE_LF:
		chunks->digits = 0;
		return next(chunks, c == '\n', chunks->left ? CHUNK_DATA : CHUNK_TRAILER, lf);
	case CHUNK_DATA_CR:
		return next(
			chunks, c == '\r', CHUNK_DATA_LF, "a chunk is longer than its size says");
	case CHUNK_DATA_LF:
		return next(chunks, c == '\n', CHUNK_SIZE, lf);
	case CHUNK_TRAILER_LF:
		return next(chunks, c == '\n', CHUNK_TRAILER, lf);
	case CHUNK_END_LF:
		return next(chunks, c == '\n', CHUNK_END, lf);
	default:
		if (chunks->extra_bytes++ == CHUNK_EXTRA_MAX)
			return bad_chunk(chunks, "chunk extensions and trailers are too long");
		return chunks->state < CHUNK_SIZE_LF ? extension_byte(chunks, c)
						     : trailer_byte(chunks, c);
	}
}

int http_chunks_parse(
	struct http_chunks *chunks, const char *data, size_t len, size_t *used, struct span *out)
{
	size_t i = 0;
	int rc = 0;

	*out = SPAN_NONE;
	while (chunks->state != CHUNK_END) {
		if (i == len) {
			rc = ERR_AGAIN;
			break;
		}
		if (chunks->state == CHUNK_DATA) {
			size_t n = len - i < chunks->left ? len - i : (size_t)chunks->left;

			*out = (struct span){ data + i, n };
			i += n;
			chunks->left -= n;
			if (chunks->left == 0)
				chunks->state = CHUNK_DATA_CR;
			break;
		}
		rc = chunk_byte(chunks, data[i]);
		if (rc < 0)
			break;
		i++;
	}
	*used = i;
	return rc;
}
