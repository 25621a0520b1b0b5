#include "base/semver.h"

static bool digits_only(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.data[i] < '0' || s.data[i] > '9')
			return false;
	return s.len > 0;
}

static bool leading_zero(struct span s)
{
	return s.len > 1 && s.data[0] == '0';
}

static bool parse_number(struct span s, uint64_t *out)
{
	return !leading_zero(s) && span_u64(s, UINT64_MAX, out);
}

/* Dot-separated identifiers of [0-9A-Za-z-], none empty; numeric ones of a pre-release without
 * leading zeros. */
static bool identifiers_valid(struct span s, bool prerelease)
{
	struct span part;

	while (span_split(&s, '.', &part)) {
		for (size_t i = 0; i < part.len; i++) {
			char c = part.data[i];

			if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
				    (c >= 'A' && c <= 'Z') || c == '-'))
				return false;
		}
		if (part.len == 0 || (prerelease && digits_only(part) && leading_zero(part)))
			return false;
	}
	return true;
}

/* Cut what stands behind the first c off *s into *tail; false when it is there and not valid. */
static bool cut_tail(struct span *s, char c, struct span *tail)
{
	struct span head, rest = *s;

	*tail = SPAN_NONE;
	if (!span_split(&rest, c, &head) || !rest.data)
		return true;
	*s = head;
	*tail = rest;
	return identifiers_valid(rest, c == '-');
}

bool semver_parse(struct span text, struct semver *out)
{
	struct span rest = text, part[3];
	struct semver v;

	if (text.len == 0 || text.len > SEMVER_MAX)
		return false;
	if (!cut_tail(&rest, '+', &v.build) || !cut_tail(&rest, '-', &v.prerelease))
		return false;
	for (int i = 0; i < 3; i++)
		if (!span_split(&rest, '.', &part[i]))
			return false;
	if (rest.data || !parse_number(part[0], &v.major) || !parse_number(part[1], &v.minor) ||
		!parse_number(part[2], &v.patch))
		return false;
	*out = v;
	return true;
}

static int compare_numbers(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

/* Numbers by value (their digits have no leading zeros, so length decides first) and below words;
 * words by bytes. */
static int compare_identifiers(struct span a, struct span b)
{
	bool number_a = digits_only(a), number_b = digits_only(b);

	if (number_a != number_b)
		return number_a ? -1 : 1;
	if (number_a && a.len != b.len)
		return a.len < b.len ? -1 : 1;
	return span_compare(a, b);
}

static int compare_prereleases(struct span a, struct span b)
{
	struct span x, y;

	/* A version without one is above the same with one. */
	if (!a.data || !b.data)
		return (a.data == NULL) - (b.data == NULL);
	for (;;) {
		bool more_a = span_split(&a, '.', &x), more_b = span_split(&b, '.', &y);
		int order;

		if (!more_a || !more_b)
			return (int)more_a - (int)more_b;
		order = compare_identifiers(x, y);
		if (order)
			return order;
	}
}

int semver_compare(const struct semver *a, const struct semver *b)
{
	int order = compare_numbers(a->major, b->major);

	if (!order)
		order = compare_numbers(a->minor, b->minor);
	if (!order)
		order = compare_numbers(a->patch, b->patch);
	return order ? order : compare_prereleases(a->prerelease, b->prerelease);
}
