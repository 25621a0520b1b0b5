/* parse.h - the HTTP/1.1 grammar of requests, as strict as the standard allows
 *
 * Pure functions over bytes: no input or output, no allocation, no time. They take a message in
 * any number of pieces and give the same result for every way to cut it. What two servers in a
 * row could read in different ways is refused, never repaired (RFC 9112 section 11.2).
 */
#ifndef MORTISE_HTTP_PARSE_H
#define MORTISE_HTTP_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "http/limits.h"

/* CONNECT, TRACE and what we do not know are refused with 501. */
enum http_method {
	HTTP_METHOD_GET,
	HTTP_METHOD_HEAD,
	HTTP_METHOD_POST,
	HTTP_METHOD_PUT,
	HTTP_METHOD_PATCH,
	HTTP_METHOD_DELETE,
	HTTP_METHOD_OPTIONS,
	HTTP_METHOD_COUNT
};

enum http_header {
#define X(name, text, single) HTTP_HEADER_##name,
#include "http/header.def"
#undef X
	HTTP_HEADER_COUNT
};

/* Places relative to the first byte of the message. */
struct http_field {
	uint16_t name_at, name_len;
	uint16_t value_at, value_len;
};

/* The head of a request. Valid after http_head_parse() returned 0, as long as the bytes it was
 * given stay where they are: spans borrow from them. */
struct http_head {
	enum http_method method;
	uint8_t minor;           /* HTTP/1.minor: 0 or 1 */
	bool keep_alive;         /* the client's wish */
	bool close;              /* it asks for the end of the connection */
	bool expect_continue;    /* it waits for 100 before the body */
	bool chunked;            /* body: chunked, */
	uint64_t content_length; /* or this long */
	struct span target;      /* as sent */
	struct span path;        /* starts with '/', still percent-encoded; "*" for OPTIONS * */
	struct span query;       /* behind '?'; data NULL: none */
	struct span host;        /* with port; data NULL: none (HTTP/1.0) */
	uint32_t len;            /* of the head in bytes; the body starts here */

	const char *reason; /* of a refusal, for people */

	const char *base;
	uint32_t line_at, scan_at; /* where the unfinished line starts, where no LF was seen yet */
	uint32_t target_at, target_len;
	uint8_t state;
	uint16_t field_count;
	uint8_t known[HTTP_HEADER_COUNT]; /* index + 1 of the first such field */
	struct http_field fields[HTTP_FIELDS_MAX];
};

void http_head_init(struct http_head *head);

/* Parse the message that starts at data, of which len bytes are here; call again with the same
 * message and more bytes (it may have moved) after ERR_AGAIN. 0: the head is complete.
 * ERR_AGAIN: it is not. Any other error is a refusal: head->reason says what is wrong, the
 * error's HTTP status is the answer, and nothing behind it can be trusted. */
int http_head_parse(
	struct http_head *head, const char *data, size_t len, const struct http_limits *limits);

/* The value of a header, SPAN_NONE when absent; of several, the first. */
struct span http_head_get(const struct http_head *head, enum http_header header);
/* The same by name, any case. */
struct span http_head_find(const struct http_head *head, struct span name);
/* Field i of head->field_count, in the order sent. */
void http_head_field(const struct http_head *head, size_t i, struct span *name, struct span *value);

const char *http_method_name(enum http_method method);
/* A method that only reads, so that requests may overlap (RFC 9110 section 9.2.1). */
bool http_method_safe(enum http_method method);

/* A header's name is a token; its value holds no control bytes but HTAB and has no blanks around
 * it. For what we send. */
bool http_name_valid(struct span name);
bool http_value_valid(struct span value);

/* A chunked body. */
struct http_chunks {
	uint64_t left; /* of the chunk's data */
	uint32_t extra_bytes;
	uint8_t state;
	uint8_t digits;
	uint8_t name_len;
	char name[32]; /* the trailer's, as far as it fits */
	const char *reason;
};

void http_chunks_init(struct http_chunks *chunks);

/* Parse on at data; *used bytes are done with. 0: *out is body data inside data, or, with len 0,
 * the body is complete. ERR_AGAIN: all is used, more is needed. Other errors are refusals. Chunk
 * extensions and trailers are checked, counted and dropped. */
int http_chunks_parse(
	struct http_chunks *chunks, const char *data, size_t len, size_t *used, struct span *out);

#endif
