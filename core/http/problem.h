/* problem.h - an error as application/problem+json (RFC 9457)
 *
 * What failed, why and how to fix it, under the same number as everywhere else.
 */
#ifndef MORTISE_HTTP_PROBLEM_H
#define MORTISE_HTTP_PROBLEM_H

#include <stddef.h>

#include "base/text.h"

struct error;

/* One wrong part of a request's JSON: where (RFC 6901) and what. */
struct problem_part {
	struct span pointer;
	struct span detail;
};

/* A further member; json is a complete JSON value. */
struct problem_member {
	const char *name;
	struct span json;
};

/* Everything but error may be left zero. */
struct problem {
	const struct error *error;
	int status;           /* 0: the error's own */
	struct span instance; /* a URI reference of this very failure */
	struct span request_id;
	struct span trace_id;
	const struct problem_part *parts; /* "errors" */
	size_t part_count;
	const struct problem_member *members;
	size_t member_count;
};

int problem_status(const struct problem *problem);

/* Append the JSON object to out. */
void problem_write(struct text *out, const struct problem *problem);

#endif
