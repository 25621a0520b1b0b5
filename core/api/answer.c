#include "api/answer.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/error.h"
#include "http/problem.h"
#include "http/server.h"

#define STATUS_UNAUTHORIZED 401
#define STATUS_METHOD       405
#define STATUS_TOO_MANY     429
#define STATUS_UNAVAILABLE  503

void answer_problem(struct http_request *request, const struct error *error, struct span request_id,
	const struct answer_extra *extra)
{
	static const struct answer_extra none = { 0 };
	struct http_answer_field fields[4];
	struct problem problem = { .error = error, .request_id = request_id };
	struct problem_member incident;
	struct text quoted;
	char retry[16];
	size_t n = 0;
	int status;

	if (!extra)
		extra = &none;
	text_init(&quoted);
	problem.parts = extra->parts;
	problem.part_count = extra->part_count;
	if (extra->incident.len > 0) {
		text_append_json(&quoted, extra->incident);
		incident = (struct problem_member){ "incident", text_span(&quoted) };
		problem.members = &incident;
		problem.member_count = 1;
	}
	status = problem_status(&problem);
	if (request_id.len > 0)
		fields[n++] = (struct http_answer_field){ SPAN("X-Request-Id"), request_id };
	if (status == STATUS_UNAUTHORIZED)
		fields[n++] = (struct http_answer_field){ SPAN("WWW-Authenticate"),
			error->code == ERR_AUTHENTICATION
				? SPAN("Bearer realm=\"mortise\"")
				: SPAN("Bearer realm=\"mortise\", error=\"invalid_token\"") };
	if (status == STATUS_UNAVAILABLE || status == STATUS_TOO_MANY) {
		unsigned seconds = extra->retry_after_s ? extra->retry_after_s : 1;

		(void)snprintf(retry, sizeof(retry), "%u", seconds);
		fields[n++] = (struct http_answer_field){ SPAN("Retry-After"), span_of(retry) };
	}
	if (status == STATUS_METHOD)
		fields[n++] = (struct http_answer_field){ SPAN("Allow"), extra->allow };
	if (http_answer_problem(request, &problem, fields, n, NULL) < 0)
		BUG("a problem of our own is no valid answer");
	text_done(&quoted);
}

void answer_text(struct http_request *request, int status, struct span type, struct span body,
	struct span request_id, const struct http_answer_field *fields, size_t field_count)
{
	struct http_answer_field all[ANSWER_FIELDS_MAX];
	struct http_answer answer = { .status = status, .content_type = type, .fields = all };

	ASSERT(field_count <= ANSWER_FIELDS_MAX - 2);
	all[answer.field_count++] = (struct http_answer_field){ SPAN("X-Request-Id"), request_id };
	all[answer.field_count++] =
		(struct http_answer_field){ SPAN("Cache-Control"), SPAN("no-store") };
	for (size_t i = 0; i < field_count; i++)
		all[answer.field_count++] = fields[i];
	if (http_answer_send(request, &answer, body, NULL) < 0)
		BUG("an answer of our own is not valid");
}

void answer_json(struct http_request *request, int status, const json_t *body,
	struct span request_id, const struct http_answer_field *fields, size_t field_count)
{
	char *text = json_dumps(body, JSON_COMPACT | JSON_ENCODE_ANY);

	ASSERT(text);
	answer_text(request, status, SPAN("application/json"), span_of(text), request_id, fields,
		field_count);
	free(text);
}
