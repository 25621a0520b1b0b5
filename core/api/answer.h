/* answer.h - answers of the host itself: JSON, and problems with what belongs to them
 *
 * Every answer carries X-Request-Id. A 401 says how to authenticate, a 503 when to try again, a
 * 405 what the path takes. After these functions the request is over. [loop thread]
 */
#ifndef MORTISE_API_ANSWER_H
#define MORTISE_API_ANSWER_H

#include <jansson.h>

#include "base/text.h"

struct error;
struct http_answer_field;
struct http_request;
struct problem_part;

#define ANSWER_FIELDS_MAX 8

struct answer_extra {           /* all may be left zero */
	unsigned retry_after_s; /* 0: one second where the status wants it */
	struct span allow;      /* for 405 */
	struct span incident;   /* names this very failure in our log */
	const struct problem_part *parts;
	size_t part_count;
};

/* extra may be NULL. */
void answer_problem(struct http_request *request, const struct error *error, struct span request_id,
	const struct answer_extra *extra);

/* body is borrowed; fields (at most ANSWER_FIELDS_MAX - 2) may be NULL. */
void answer_json(struct http_request *request, int status, const json_t *body,
	struct span request_id, const struct http_answer_field *fields, size_t field_count);

/* The same with JSON that is text already. */
void answer_text(struct http_request *request, int status, struct span type, struct span body,
	struct span request_id, const struct http_answer_field *fields, size_t field_count);

#endif
