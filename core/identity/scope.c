/* Method: the held scopes of a key are few (SCOPES_MAX), so covering is a walk over spans
 * that allocates nothing; the forms are told apart by where '.' and ':' stand. */
#include "identity/scope.h"

#include "base/mem.h"

struct parts {
	struct span area, verb, object; /* object.data is NULL when there is none */
};

static bool is_word(struct span s)
{
	if (s.len == 0)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.data[i];

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'))
			return false;
	}
	return true;
}

static bool is_object(struct span s)
{
	if (s.len == 0)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.data[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			    c == '-' || c == '_' || c == '.' || c == '/' || c == '+'))
			return false;
	}
	return true;
}

static bool split(struct span text, struct parts *out)
{
	struct parts p = { 0 };
	struct span rest = text;

	if (text.len == 0 || text.len > SCOPE_TEXT_MAX || !span_split(&rest, '.', &p.area) ||
		!rest.data)
		return false;
	if (!span_split(&rest, ':', &p.verb))
		return false;
	p.object = rest;
	*out = p;
	return true;
}

bool scope_askable(struct span text)
{
	struct parts p;

	return split(text, &p) && !p.object.data && is_word(p.area) && is_word(p.verb);
}

bool scope_valid(struct span text)
{
	struct parts p;

	if (span_is(text, "*") || span_is(text, "read"))
		return true;
	if (!split(text, &p) || !is_word(p.area))
		return false;
	if (span_is(p.verb, "*"))
		return !p.object.data;
	return is_word(p.verb) && (!p.object.data || is_object(p.object));
}

static bool covers(struct span held, const struct parts *wanted)
{
	struct parts p;

	if (span_is(held, "*"))
		return true;
	if (span_is(held, "read"))
		return span_is(wanted->verb, "read");
	if (!split(held, &p) || !span_equal(p.area, wanted->area))
		return false;
	if (!p.object.data && span_is(p.verb, "*"))
		return true;
	if (!span_equal(p.verb, wanted->verb))
		return false;
	return !p.object.data || (wanted->object.data && span_equal(p.object, wanted->object));
}

bool scopes_cover(const struct scopes *held, struct span wanted, struct span object)
{
	struct parts p;

	if (!split(wanted, &p) || p.object.data)
		return false;
	p.object = object;
	for (size_t i = 0; i < held->count; i++)
		if (covers(held->list[i], &p))
			return true;
	return false;
}

static bool holds(struct span held, struct span other)
{
	struct parts h, o;

	if (span_is(held, "*") || span_equal(held, other))
		return true;
	if (span_is(other, "*") || span_is(other, "read") || !split(other, &o))
		return false;
	if (span_is(held, "read"))
		return span_is(o.verb, "read");
	if (!split(held, &h) || !span_equal(h.area, o.area) || h.object.data)
		return false;
	return span_is(h.verb, "*") || span_equal(h.verb, o.verb);
}

bool scopes_hold(const struct scopes *held, struct span other)
{
	for (size_t i = 0; i < held->count; i++)
		if (holds(held->list[i], other))
			return true;
	return false;
}

void scopes_init(struct scopes *out, const struct span *list, size_t count)
{
	struct scopes s = { NULL, 0 };
	size_t bytes = 0;
	char *at;

	for (size_t i = 0; i < count; i++)
		bytes += list[i].len;
	s.list = mem_alloc(count * sizeof(*s.list) + bytes + 1);
	at = (char *)(s.list + count);
	for (size_t i = 0; i < count; i++) {
		if (!scope_valid(list[i]))
			continue;
		memcpy(at, list[i].data, list[i].len);
		s.list[s.count++] = (struct span){ at, list[i].len };
		at += list[i].len;
	}
	*out = s;
}

void scopes_done(struct scopes *s)
{
	mem_free(s->list);
	s->list = NULL;
	s->count = 0;
}
