/* rest_fields.h - the members of a resource: which there are, which may be written, and how
 *
 * One table a resource serves its creation and its changes (merge patches, RFC 7396), so a member
 * that is not in the table, or may be read only, is refused by name and never silently passed over.
 * [loop thread]
 */
#ifndef MORTISE_API_REST_FIELDS_H
#define MORTISE_API_REST_FIELDS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

struct rest_call;

enum rest_field_type { REST_FIELD_TEXT, REST_FIELD_BOOLEAN, REST_FIELD_OBJECT };

enum { /* what may be done with a field; none of them: it is read only */
	REST_FIELD_CREATE = 1u << 0,
	REST_FIELD_CHANGE = 1u << 1,
	REST_FIELD_NEEDED = 1u << 2, /* at creation */
	REST_FIELD_NULL = 1u << 3,   /* null clears it */
};

struct rest_field {
	const char *name; /* NULL ends a table */
	enum rest_field_type type;
	unsigned flags;
	size_t max; /* characters of a text, bytes of an object as JSON */
	/* What is wrong with a text, "is no e-mail address"; NULL: nothing. May be NULL itself. */
	const char *(*wrong)(struct span text);
};

/* Check the body for purpose, REST_FIELD_CREATE or REST_FIELD_CHANGE. False: answered. */
bool rest_fields_check(struct rest_call *call, const struct rest_field *fields, unsigned purpose);

/* Forms that several resources have. */
const char *rest_wrong_name(struct span text);  /* 1 to 100 of [A-Za-z0-9._-] */
const char *rest_wrong_shown(struct span text); /* a name for people: no control character */
const char *rest_wrong_email(struct span text);
const char *rest_wrong_phone(struct span text); /* E.164 */
const char *rest_wrong_web(struct span text);   /* a URL of http or https */

#endif
