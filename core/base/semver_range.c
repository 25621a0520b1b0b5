/* Every form is brought down to terms "relation version" while it is read. */
#include "base/semver_range.h"

/* "1.2.x": how many numbers it names, 0 to 3. */
struct partial {
	struct semver version; /* zeros where nothing is named */
	unsigned named;
};

/* The lowest version of all that share the numbers: what an upper bound stays below. */
static const struct span lowest = { "0", 1 };

struct reader {
	struct span rest;
	struct semver_range *out;
	bool first; /* the next term begins an alternative */
	bool ok;
};

static void add_term(struct reader *r, enum semver_relation relation, struct semver version)
{
	if (r->out->count == SEMVER_RANGE_TERMS_MAX) {
		r->ok = false;
		return;
	}
	r->out->terms[r->out->count++] = (struct semver_term){ relation, version, r->first };
	r->first = false;
}

/* ---- texts ----------------------------------------------------------------------------------- */

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

static void skip_spaces(struct reader *r)
{
	while (r->rest.len > 0 && is_space(r->rest.data[0])) {
		r->rest.data++;
		r->rest.len--;
	}
}

static struct span take_word(struct reader *r)
{
	struct span word = { r->rest.data, 0 };

	while (r->rest.len > 0 && !is_space(r->rest.data[0])) {
		r->rest.data++;
		r->rest.len--;
		word.len++;
	}
	return word;
}

static bool take(struct reader *r, const char *text)
{
	size_t len = strlen(text);

	if (!span_starts(r->rest, text))
		return false;
	r->rest.data += len;
	r->rest.len -= len;
	return true;
}

static bool is_x(struct span s)
{
	return s.len == 1 && (s.data[0] == 'x' || s.data[0] == 'X' || s.data[0] == '*');
}

/* A pre-release or build belongs to a whole version only; where a number is missing it is refused,
 * where one is an x it is looked at and left out, as npm does. */
static bool parse_tails(struct span tails, struct semver *version)
{
	char whole[SEMVER_RANGE_MAX + 8];
	struct semver parsed;
	size_t len = tails.len + 5;

	if (len > SEMVER_MAX)
		return false;
	memcpy(whole, "0.0.0", 5);
	memcpy(whole + 5, tails.data, tails.len);
	if (!semver_parse((struct span){ whole, len }, &parsed))
		return false;
	if (parsed.prerelease.data)
		version->prerelease =
			(struct span){ tails.data + (parsed.prerelease.data - whole - 5),
				parsed.prerelease.len };
	return true;
}

static bool parse_partial(struct span text, struct partial *out)
{
	uint64_t numbers[3] = { 0 };
	struct span rest, part, tails = SPAN_NONE;
	size_t parts = 0, head = 0;

	*out = (struct partial){ 0 };
	if (text.len > 0 && text.data[0] == 'v') {
		text.data++;
		text.len--;
	}
	while (head < text.len && text.data[head] != '-' && text.data[head] != '+')
		head++;
	if (head < text.len)
		tails = (struct span){ text.data + head, text.len - head };
	rest = (struct span){ text.data, head };
	for (bool x = false; span_split(&rest, '.', &part); parts++) {
		if (parts == 3)
			return false;
		if (is_x(part)) {
			x = true;
			continue;
		}
		/* A number behind an x would mean nothing. */
		if (x || (part.len > 1 && part.data[0] == '0') ||
			!span_u64(part, SEMVER_NUMBER_MAX, &numbers[parts]))
			return false;
		out->named++;
	}
	out->version.major = numbers[0];
	out->version.minor = numbers[1];
	out->version.patch = numbers[2];
	if (!tails.data)
		return parts > 0;
	if (parts < 3 || !parse_tails(tails, &out->version))
		return false;
	if (out->named < 3)
		out->version.prerelease = SPAN_NONE;
	return true;
}

/* ---- what the forms mean --------------------------------------------------------------------- */

/* The first version behind all that share so many numbers with v, and what comes before it. */
static struct semver next(struct semver v, unsigned shared)
{
	struct semver up = { .prerelease = lowest };

	up.major = v.major + (shared == 1);
	if (shared >= 2)
		up.minor = v.minor + (shared == 2);
	if (shared >= 3)
		up.patch = v.patch + 1;
	return up;
}

static struct semver without_prerelease(struct semver v)
{
	v.prerelease = SPAN_NONE;
	return v;
}

static void add_any(struct reader *r)
{
	add_term(r, SEMVER_AT_LEAST, (struct semver){ 0 });
}

static void add_none(struct reader *r)
{
	add_term(r, SEMVER_BELOW, (struct semver){ .prerelease = lowest });
}

static void add_tilde(struct reader *r, const struct partial *p)
{
	if (p->named == 0) {
		add_any(r);
		return;
	}
	add_term(r, SEMVER_AT_LEAST, p->version);
	add_term(r, SEMVER_BELOW, next(p->version, p->named == 1 ? 1 : 2));
}

/* Up to the next change of the first number that is not zero. */
static void add_caret(struct reader *r, const struct partial *p)
{
	unsigned shared = 1;

	if (p->named == 0) {
		add_any(r);
		return;
	}
	if (p->version.major == 0 && p->named >= 2)
		shared = p->version.minor == 0 && p->named == 3 ? 3 : 2;
	add_term(r, SEMVER_AT_LEAST, p->version);
	add_term(r, SEMVER_BELOW, next(p->version, shared));
}

static void add_relation(struct reader *r, enum semver_relation relation, const struct partial *p)
{
	struct semver low = p->version, high = low;

	if (p->named == 3) {
		add_term(r, relation, p->version);
		return;
	}
	if (p->named == 0) {
		if (relation == SEMVER_BELOW || relation == SEMVER_ABOVE)
			add_none(r);
		else
			add_any(r);
		return;
	}
	high = next(low, p->named);
	switch (relation) {
	case SEMVER_BELOW:
		low.prerelease = lowest;
		add_term(r, SEMVER_BELOW, low);
		break;
	case SEMVER_AT_MOST:
		add_term(r, SEMVER_BELOW, high);
		break;
	case SEMVER_EQUAL:
		add_term(r, SEMVER_AT_LEAST, low);
		add_term(r, SEMVER_BELOW, high);
		break;
	case SEMVER_AT_LEAST:
		add_term(r, SEMVER_AT_LEAST, low);
		break;
	case SEMVER_ABOVE:
		add_term(r, SEMVER_AT_LEAST, without_prerelease(high));
		break;
	}
}

static void add_hyphen(struct reader *r, const struct partial *from, const struct partial *to)
{
	add_relation(r, SEMVER_AT_LEAST, from);
	add_relation(r, SEMVER_AT_MOST, to);
}

/* ---- reading --------------------------------------------------------------------------------- */

static bool read_relation(struct reader *r, enum semver_relation *out)
{
	static const struct {
		const char *text;
		enum semver_relation relation;
	} relations[] = { { ">=", SEMVER_AT_LEAST }, { "<=", SEMVER_AT_MOST },
		{ ">", SEMVER_ABOVE }, { "<", SEMVER_BELOW }, { "=", SEMVER_EQUAL } };

	for (size_t i = 0; i < sizeof(relations) / sizeof(relations[0]); i++)
		if (take(r, relations[i].text)) {
			*out = relations[i].relation;
			return true;
		}
	return false;
}

/* "1.2.3 - 2.3.4" and nothing else: the dash stands alone. */
static bool read_hyphen(struct reader *r)
{
	struct reader copy = *r;
	struct partial from, to;
	struct span word[3];

	for (int i = 0; i < 3; i++) {
		word[i] = take_word(&copy);
		skip_spaces(&copy);
	}
	if (!span_is(word[1], "-") || copy.rest.len > 0)
		return false;
	r->rest = copy.rest;
	r->ok = parse_partial(word[0], &from) && parse_partial(word[2], &to);
	if (r->ok)
		add_hyphen(r, &from, &to);
	return true;
}

static void read_simple(struct reader *r)
{
	enum semver_relation relation = SEMVER_EQUAL;
	bool tilde = take(r, "~>") || take(r, "~"), caret = !tilde && take(r, "^");
	struct partial partial;

	if (!tilde && !caret)
		(void)read_relation(r, &relation);
	skip_spaces(r);
	r->ok = r->ok && parse_partial(take_word(r), &partial);
	if (!r->ok)
		return;
	if (tilde)
		add_tilde(r, &partial);
	else if (caret)
		add_caret(r, &partial);
	else
		add_relation(r, relation, &partial);
}

static void read_alternative(struct reader *r)
{
	r->first = true;
	skip_spaces(r);
	if (r->rest.len == 0) {
		add_any(r);
		return;
	}
	if (read_hyphen(r))
		return;
	while (r->ok && r->rest.len > 0) {
		read_simple(r);
		skip_spaces(r);
	}
}

bool semver_range_parse(struct span text, struct semver_range *out)
{
	struct reader r = { .out = out, .ok = true };
	size_t from = 0;

	out->count = 0;
	if (text.len > SEMVER_RANGE_MAX)
		return false;
	for (size_t i = 0; i <= text.len && r.ok; i++) {
		bool bar = i + 1 < text.len && text.data[i] == '|' && text.data[i + 1] == '|';

		if (i < text.len && !bar)
			continue;
		r.rest = (struct span){ text.data + from, i - from };
		read_alternative(&r);
		i += bar;
		from = i + 1;
	}
	return r.ok;
}

/* ---- matching -------------------------------------------------------------------------------- */

static bool holds(const struct semver_term *term, const struct semver *version)
{
	int order = semver_compare(version, &term->version);

	switch (term->relation) {
	case SEMVER_BELOW:
		return order < 0;
	case SEMVER_AT_MOST:
		return order <= 0;
	case SEMVER_EQUAL:
		return order == 0;
	case SEMVER_AT_LEAST:
		return order >= 0;
	case SEMVER_ABOVE:
		return order > 0;
	}
	return false;
}

static bool names_prerelease_of(const struct semver_term *term, const struct semver *version)
{
	return term->version.prerelease.data && term->version.major == version->major &&
	       term->version.minor == version->minor && term->version.patch == version->patch;
}

bool semver_range_matches(const struct semver_range *range, const struct semver *version)
{
	size_t i = 0;

	while (i < range->count) {
		bool all = true, named = version->prerelease.data == NULL;

		do {
			all = all && holds(&range->terms[i], version);
			named = named || names_prerelease_of(&range->terms[i], version);
			i++;
		} while (i < range->count && !range->terms[i].first);
		if (all && named)
			return true;
	}
	return false;
}
