/* target.h - paths and queries, decoded by one set of rules
 *
 * The parser has already refused what has no good meaning: characters outside the URI's set,
 * broken percent-encoding, encoded NUL, and dot segments however spelled. A path is cut at '/'
 * before it is decoded, so "%2F" is part of a segment and never cuts one. [any thread]
 */
#ifndef MORTISE_HTTP_TARGET_H
#define MORTISE_HTTP_TARGET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

#define HTTP_PATH_SEGMENTS_MAX 32
#define HTTP_PATH_DECODED_MAX  2048

/* The segments, decoded; spans borrow from the path or from this struct, which must not move. */
struct http_path {
	struct span segments[HTTP_PATH_SEGMENTS_MAX];
	size_t count;        /* 0 for "/" */
	bool trailing_slash; /* "/a/"; "/" has none */
	char decoded[HTTP_PATH_DECODED_MAX];
};

/* Cut and decode. ERR_INVALID: no path, an empty segment, or not UTF-8. ERR_HTTP_TARGET: more
 * segments or longer encoded segments than fit. */
int http_path_split(struct http_path *out, struct span path);

/* The next parameter of a query, still encoded; *rest begins as the query. False at the end.
 * Empty parts ("a&&b") are skipped; "a" has the value "" as "a=" has. */
bool http_query_next(struct span *rest, struct span *name, struct span *value);

/* The decoded value of the parameter name into buffer. ERR_NOT_FOUND: not there; ERR_INVALID: it
 * stands there twice, or is not UTF-8 or holds NUL; ERR_TOO_LARGE: longer than size. */
int http_query_get(
	struct span query, const char *name, char *buffer, size_t size, struct span *value);

/* Decode raw into buffer, '+' to a blank when form is set (queries). ERR_INVALID and ERR_TOO_LARGE
 * as above. out may borrow from raw when there is nothing to decode. */
int http_decode(struct span raw, bool form, char *buffer, size_t size, struct span *out);

#endif
