#include "base/semver_range.h"

#include "base/mem.h"
#include "lib/test.h"

/* What npm's semver 7.8 says of the same pairs. */
TEST(base_semver_range__each_form_means_what_npm_s_means)
{
	static const struct {
		const char *range, *will_do, *will_not;
	} cases[] = {
		{ "", "0.0.0 1.2.3", "1.2.3-rc.1" },
		{ "*", "0.0.0 9.9.9", "0.0.0-0" },
		{ "1", "1.0.0 1.99.0", "0.9.9 2.0.0 2.0.0-0 1.2.3-rc.1" },
		{ "1.x", "1.0.0 1.99.0", "2.0.0" },
		{ "1.2", "1.2.0 1.2.99", "1.1.9 1.3.0" },
		{ "1.2.*", "1.2.0 1.2.99", "1.1.9 1.3.0" },
		{ "1.2.3", "1.2.3 1.2.3+build", "1.2.4 1.2.3-rc.1" },
		{ "=v1.2.3", "1.2.3", "1.2.2" },
		{ "1.2.3+other", "1.2.3", "1.2.4" },
		{ ">1", "2.0.0 3.0.0", "1.9.9 2.0.0-rc.1" },
		{ ">1.2", "1.3.0", "1.2.9" },
		{ ">1.2.3", "1.2.4", "1.2.3" },
		{ "> 1.2.3", "1.2.4", "1.2.3" },
		{ ">*", "", "0.0.0 1.0.0" },
		{ ">=1.2", "1.2.0", "1.1.9" },
		{ "<1", "0.9.9", "1.0.0 1.0.0-rc.1" },
		{ "<1.2.3", "1.2.2", "1.2.3 1.2.3-rc.1" },
		{ "<1.2.3-rc.2", "1.2.2 1.2.3-rc.1", "1.2.3-rc.2 1.2.2-rc.1" },
		{ "<=1.2", "1.2.9", "1.3.0 1.3.0-0" },
		{ "<=*", "7.0.0", "7.0.0-rc.1" },
		{ "~1.2.3", "1.2.3 1.2.9", "1.2.2 1.3.0 1.3.0-0" },
		{ "~1.2", "1.2.0 1.2.9", "1.3.0" },
		{ "~1", "1.0.0 1.9.0", "2.0.0" },
		{ "~> 1.2.3-rc.1", "1.2.3-rc.1 1.2.3-rc.2 1.2.4", "1.2.4-rc.1 1.3.0" },
		{ "^1.2.3", "1.2.3 1.9.0", "1.2.2 2.0.0 2.0.0-rc.1" },
		{ "^0.2.3", "0.2.3 0.2.9", "0.2.2 0.3.0" },
		{ "^0.0.3", "0.0.3", "0.0.4 0.0.2" },
		{ "^0.0", "0.0.0 0.0.9", "0.1.0" },
		{ "^0", "0.0.0 0.9.0", "1.0.0" },
		{ "^1.2.3-rc.1", "1.2.3-rc.1 1.2.3-rc.9 1.2.3 1.3.0", "1.3.0-rc.1 1.2.3-alpha" },
		{ "^*", "0.0.0 8.0.0", "8.0.0-0" },
		{ "1.2.3 - 2.3.4", "1.2.3 2.3.4", "1.2.2 2.3.5" },
		{ "1.2 - 2.3", "1.2.0 2.3.9", "1.1.9 2.4.0" },
		{ "1 - 2", "1.0.0 2.9.9", "0.9.9 3.0.0" },
		{ "* - 2", "0.0.0 2.9.9", "3.0.0" },
		{ ">=1.0.0 <2.0.0", "1.0.0 1.9.9", "0.9.9 2.0.0" },
		{ ">=1.0.0\t<1.5.0 <3", "1.0.0", "1.5.0" },
		{ "^1 || ^3", "1.0.0 3.0.0", "2.0.0 4.0.0" },
		{ "^1||", "1.0.0 2.0.0", "2.0.0-rc.1" },
		{ "1.2.3-rc.1 || 2", "1.2.3-rc.1 2.0.0", "2.0.0-rc.1 1.2.3" },
		{ "9007199254740991.0.0", "9007199254740991.0.0", "1.0.0" },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		const char *const texts[] = { cases[i].will_not, cases[i].will_do };
		struct semver_range range;
		struct semver version;
		struct span part;

		ck_assert_msg(
			semver_range_parse(span_of(cases[i].range), &range), "%s", cases[i].range);
		for (int will = 0; will < 2; will++) {
			struct span rest = span_of(texts[will]);

			while (rest.len > 0 && span_split(&rest, ' ', &part)) {
				EXPECT_TRUE(semver_parse(part, &version));
				ck_assert_msg(semver_range_matches(&range, &version) == (will == 1),
					"'%s' and %.*s", cases[i].range, SPAN_ARG(part));
			}
		}
	}
}

TEST(base_semver_range__what_npm_refuses_is_refused)
{
	static const char *const bad[] = { "a", "1.2.3.4", "1.2.3 -", "- 1.2.3", "1.2.3 - ", ">",
		"^", "=>1", ">>1", "1..2", "1.", ".1", "01.2.3", "1.2.3-", "1.2.3-01", "1-rc.1",
		"1.2-rc.1", "x.1", "1.x.3", "^1.2.3 - 2", "1.2.3, 2", "1 | 2",
		"9007199254740992.0.0", "latest", "\xc2\xa0", "1.2.3\n" };
	struct semver_range range;

	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
		ck_assert_msg(!semver_range_parse(span_of(bad[i]), &range), "'%s'", bad[i]);
}

TEST(base_semver_range__its_size_is_bounded)
{
	struct semver_range range;
	struct text text;

	text_init(&text);
	for (size_t i = 0; i < SEMVER_RANGE_TERMS_MAX; i++)
		text_append_string(&text, "1 ");
	/* Each of them is two terms. */
	EXPECT_FALSE(semver_range_parse(text_span(&text), &range));
	text_clear(&text);
	for (size_t i = 0; i <= SEMVER_RANGE_MAX; i++)
		text_append_char(&text, ' ');
	EXPECT_FALSE(semver_range_parse(text_span(&text), &range));
	text_done(&text);
}
