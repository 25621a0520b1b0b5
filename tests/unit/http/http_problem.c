#include "http/problem.h"

#include "base/error.h"
#include "base/mem.h"
#include "lib/test.h"

TEST(http_problem__says_what_why_and_how)
{
	const struct problem_part parts[] = { { SPAN("/name"), SPAN("must be \"short\"") } };
	const struct problem_member members[] = { { "change", SPAN("{\"id\":7}") } };
	struct error reason;
	struct problem problem = { .error = &reason,
		.request_id = SPAN("01JD"),
		.parts = parts,
		.part_count = ARRAY_LENGTH(parts),
		.members = members,
		.member_count = ARRAY_LENGTH(members) };
	struct text t;

	error_set(&reason, ERR_INVALID, "no plugin '%s'", "a\nb");
	error_fix(&reason, "see 'mortise plugin list'");
	text_init(&t);
	problem_write(&t, &problem);
	EXPECT_STR(t.data,
		"{\"type\":\"urn:mortise:error:MRT-1001\",\"title\":\"the request is not valid\","
		"\"status\":400,\"detail\":\"no plugin 'a\\nb'\",\"code\":\"MRT-1001\","
		"\"fix\":[{\"text\":\"see 'mortise plugin list'\","
		"\"command\":\"mortise plugin list\"}],"
		"\"errors\":[{\"pointer\":\"/name\",\"detail\":\"must be \\\"short\\\"\"}],"
		"\"request_id\":\"01JD\",\"change\":{\"id\":7}}");
	text_done(&t);
}

TEST(http_problem__an_unknown_code_is_an_internal_error)
{
	struct error reason = { .code = -1 };
	struct problem problem = { .error = &reason };
	struct text t;

	text_init(&t);
	problem_write(&t, &problem);
	EXPECT_INT(problem_status(&problem), ==, 500);
	EXPECT_CONTAINS(t.data, "\"code\":\"MRT-1015\"");
	text_done(&t);
}
