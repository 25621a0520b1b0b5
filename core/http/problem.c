#include "http/problem.h"

#include "base/error.h"

int problem_status(const struct problem *problem)
{
	return problem->status ? problem->status : error_entry(problem->error->code)->http_status;
}

static void append_member(struct text *out, const char *name, struct span value)
{
	if (!value.data)
		return;
	text_printf(out, ",\"%s\":", name);
	text_append_json(out, value);
}

/* The way out as text, and as a command where the text quotes one of ours: 'mortise up'. */
static void append_fix(struct text *out, struct span advice)
{
	static const char opening[] = "'mortise ";
	const char *start, *end;

	text_append_string(out, ",\"fix\":[{\"text\":");
	text_append_json(out, advice);
	start = advice.len ? memmem(advice.data, advice.len, opening, sizeof(opening) - 1) : NULL;
	end = start ? memchr(start + 1, '\'', (size_t)(advice.data + advice.len - start - 1))
		    : NULL;
	if (end)
		append_member(
			out, "command", (struct span){ start + 1, (size_t)(end - start - 1) });
	text_append_string(out, "}]");
}

static void append_parts(struct text *out, const struct problem *problem)
{
	text_append_string(out, ",\"errors\":[");
	for (size_t i = 0; i < problem->part_count; i++) {
		text_append_string(out, i ? ",{\"pointer\":" : "{\"pointer\":");
		text_append_json(out, problem->parts[i].pointer);
		append_member(out, "detail", problem->parts[i].detail);
		text_append_char(out, '}');
	}
	text_append_char(out, ']');
}

void problem_write(struct text *out, const struct problem *problem)
{
	const struct error_entry *entry = error_entry(problem->error->code);

	/* The type is an identifier, not a place: a host may have no name on the network. */
	text_printf(out, "{\"type\":\"urn:mortise:error:MRT-%d\",\"title\":", -entry->code);
	text_append_json(out, span_of(entry->text));
	text_printf(out, ",\"status\":%d", problem_status(problem));
	if (problem->error->text[0])
		append_member(out, "detail", span_of(problem->error->text));
	append_member(out, "instance", problem->instance);
	text_printf(out, ",\"code\":\"MRT-%d\"", -entry->code);
	append_fix(out, span_of(error_advice(problem->error)));
	if (problem->part_count)
		append_parts(out, problem);
	append_member(out, "request_id", problem->request_id);
	append_member(out, "trace_id", problem->trace_id);
	for (size_t i = 0; i < problem->member_count; i++) {
		text_printf(out, ",\"%s\":", problem->members[i].name);
		text_append_span(out, problem->members[i].json);
	}
	text_append_char(out, '}');
}
