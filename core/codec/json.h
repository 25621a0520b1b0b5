/* json.h - JSON that has one meaning
 *
 * Reading is strict: UTF-8, no NUL, no duplicate key, nothing behind the value, and bounds on size,
 * depth and count that hold before the tree is built. A reader takes an object apart member by
 * member and refuses the ones it was not asked for. [any thread]
 */
#ifndef MORTISE_CODEC_JSON_H
#define MORTISE_CODEC_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/text.h"

struct error;

/* For CLEANUP on a json_t *. */
static inline void json_freep(json_t **p)
{
	json_decref(*p);
}

struct json_limits {
	size_t bytes;
	unsigned depth;
	size_t values; /* values of any type, at any depth */
};
/* For what no other limit is named for. */
#define JSON_BYTES_MAX  (1u << 20)
#define JSON_DEPTH_MAX  32u
#define JSON_VALUES_MAX (64u << 10)

/* Parse text into *out, any type of value, the caller's to json_decref(). limits NULL: the ones
 * above. ERR_TOO_LARGE: over a limit; ERR_FORMAT: not strict JSON. */
int json_parse(json_t **out, struct span text, const struct json_limits *limits, struct error *err);

/* Append value in the one form that equal values share: keys sorted by bytes, no white space. */
void json_append(struct text *out, const json_t *value);

/* Append value as OLPC's canonical JSON, the form that TUF signs (1.0.34, section 4.2): keys sorted
 * by bytes, no white space, integers only, nothing in a string escaped but '"' and '\\'.
 * ERR_FORMAT: it holds a number that is no integer. */
int json_append_canonical(struct text *out, const json_t *value, struct error *err);

/* The bytes of a JSON string, or SPAN_NONE when value is no string (or NULL). */
struct span json_span(const json_t *value);
/* Characters (code points) in valid UTF-8: what a varchar(n) counts. */
size_t json_length(struct span text);

/* Takes object apart. The first thing that is wrong is set in err with `code`, later reads give
 * their fallback, and json_reader_end() returns it: so a reader is checked once, at its end. */
#define JSON_READER_MEMBERS_MAX 48
struct json_reader {
	const json_t *object;
	const char *where; /* for messages: "manifest", "routes[3]" */
	int code;
	int rc;
	struct error *err;
	const char *known[JSON_READER_MEMBERS_MAX];
	size_t known_count;
};

enum json_need { JSON_OPTIONAL, JSON_REQUIRED };

/* where is borrowed until the end; object may be anything: no object is the first wrong thing. */
void json_reader_init(struct json_reader *r, const json_t *object, const char *where, int code,
	struct error *err);
/* 0, or the first thing that was wrong; a member that nobody read is wrong too. */
int json_reader_end(struct json_reader *r);
/* Make the caller's own finding the first wrong thing: "'where.key' ..." is put before. */
__attribute__((format(printf, 3, 4))) void json_reader_fail(
	struct json_reader *r, const char *key, const char *format, ...);

/* A string of at most max characters; absent or null: SPAN_NONE. A required one is not empty. */
struct span json_read_text(struct json_reader *r, const char *key, enum json_need need, size_t max);
int64_t json_read_integer(struct json_reader *r, const char *key, enum json_need need, int64_t min,
	int64_t max, int64_t fallback);
bool json_read_boolean(struct json_reader *r, const char *key, bool fallback);
/* Absent or null: NULL. */
const json_t *json_read_object(struct json_reader *r, const char *key, enum json_need need);
const json_t *json_read_array(
	struct json_reader *r, const char *key, enum json_need need, size_t max);
/* Any value. */
const json_t *json_read_value(struct json_reader *r, const char *key, enum json_need need);

#endif
