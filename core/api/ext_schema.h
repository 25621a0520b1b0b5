/* clang-format off */
/* ext_schema.h - what each method of our extensions takes and who may call it
 *
 * Tables only, written by sdk/extensions/generate from sdk/extensions/<name>.<revision>.json; change
 * those. Whoever walks a call's JSON checks it against them.
 */
#ifndef MORTISE_API_EXT_SCHEMA_H
#define MORTISE_API_EXT_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ext_type {
	EXT_TYPE_STRING,  /* at most max characters; if values is set, one of them */
	EXT_TYPE_INT64,   /* a string of digits, perhaps with '-' */
	EXT_TYPE_UINT32,  /* a number from min to max */
	EXT_TYPE_BOOLEAN,
	EXT_TYPE_STRINGS, /* an array of at most max strings of at most item_max characters */
	EXT_TYPE_MAP,     /* an object of at most max strings; names and values at most item_max */
	EXT_TYPE_JSON,    /* any value, at most max bytes of JSON */
	EXT_TYPE_LIST,    /* an array of at most max objects, described by fields */
	EXT_TYPE_COUNT
};

/* A member of the parameters or of an object in a list. Members that are not described are refused. */
struct ext_field {
	const char *name;
	enum ext_type type;
	bool required;
	int64_t min;
	int64_t max;
	uint32_t item_max;
	const char *const *values; /* NULL, or ends with NULL */
	const struct ext_field *fields; /* ends with a NULL name */
};

struct ext_method {
	const char *name;
	bool mutating;
	const char *permission; /* that the plugin must be granted */
	const char *scope; /* that the subject must hold; "": none */
	const struct ext_field *params; /* ends with a NULL name */
	uint64_t bytes_in; /* longest byte buffer it takes; 0: takes none */
	uint64_t bytes_out; /* longest byte buffer it gives; 0: gives none */
};

struct ext_schema {
	const char *extension; /* "catalog/1" */
	const struct ext_method *methods; /* ends with a NULL name */
};

extern const struct ext_schema ext_schemas[]; /* ends with a NULL extension */

#endif
