#include "identity/scope.h"
#include "lib/test.h"

static bool covers(const char *held, const char *wanted, const char *object)
{
	struct span list[8];
	struct span rest = span_of(held), part;
	struct scopes s;
	size_t n = 0;
	bool yes;

	while (n < 8 && span_split(&rest, ' ', &part))
		list[n++] = part;
	scopes_init(&s, list, n);
	yes = scopes_cover(&s, span_of(wanted), object ? span_of(object) : SPAN_NONE);
	scopes_done(&s);
	return yes;
}

TEST(identity_scope__every_form_covers_what_it_says_and_no_more)
{
	static const struct {
		const char *held, *wanted, *object;
		bool yes;
	} cases[] = {
		{ "*", "plugins.write", NULL, true },
		{ "*", "plugins.write", "acme/x", true },
		{ "read", "catalog.read", NULL, true },
		{ "read", "hello.read", "a", true },
		{ "read", "catalog.write", NULL, false },
		{ "read", "catalog.reader", NULL, false },
		{ "catalog.*", "catalog.write", NULL, true },
		{ "catalog.*", "catalog.write", "x", true },
		{ "catalog.*", "catalogs.write", NULL, false },
		{ "catalog.read", "catalog.read", NULL, true },
		{ "catalog.read", "catalog.read", "x", true },
		{ "catalog.read", "catalog.write", NULL, false },
		{ "catalog.read", "plugins.read", NULL, false },
		{ "plugins.write:acme/x", "plugins.write", "acme/x", true },
		{ "plugins.write:acme/x", "plugins.write", "acme/xy", false },
		{ "plugins.write:acme/x", "plugins.write", NULL, false },
		{ "plugins.write:acme/x", "plugins.read", "acme/x", false },
		{ "catalog.read plugins.write", "plugins.write", NULL, true },
		{ "", "catalog.read", NULL, false },
		{ "CATALOG.READ", "catalog.read", NULL, false },
		{ "catalog.read.", "catalog.read", NULL, false },
		{ "*.read", "catalog.read", NULL, false },
		{ "*", "nonsense", NULL, false },
		{ "*", "a.b:c", NULL, false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ck_assert_msg(
			covers(cases[i].held, cases[i].wanted, cases[i].object) == cases[i].yes,
			"'%s' and '%s' on '%s'", cases[i].held, cases[i].wanted,
			cases[i].object ? cases[i].object : "-");
}

TEST(identity_scope__a_scope_to_hold_has_one_of_five_forms)
{
	static const char *const good[] = { "*", "read", "catalog.*", "catalog.read",
		"plugins.write:acme/cost-report", "os-catalog.write" };
	static const char *const bad[] = { "", "write", "**", "*.*", "*.read", ".read", "catalog.",
		"catalog", "Catalog.read", "catalog.read:", "catalog.*:x", "catalog.read:a b",
		"catalog.read:a\n", "catalog read", "a.b.c" };

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		ck_assert_msg(scope_valid(span_of(good[i])), "'%s'", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(!scope_valid(span_of(bad[i])), "'%s'", bad[i]);
	EXPECT_FALSE(scope_valid((struct span){ "a.b\0c", 5 }));
}

TEST(identity_scope__a_holder_gives_away_no_more_than_he_has)
{
	static const struct {
		const char *held, *other;
		bool yes;
	} cases[] = {
		{ "*", "*", true },
		{ "*", "read", true },
		{ "*", "a.b:c", true },
		{ "read", "read", true },
		{ "read", "a.read", true },
		{ "read", "a.read:x", true },
		{ "read", "a.write", false },
		{ "read", "a.*", false },
		{ "read", "*", false },
		{ "a.*", "a.*", true },
		{ "a.*", "a.write:x", true },
		{ "a.*", "b.write", false },
		{ "a.write", "a.write:x", true },
		{ "a.write", "a.*", false },
		{ "a.write:x", "a.write:x", true },
		{ "a.write:x", "a.write", false },
		{ "a.write:x", "a.write:y", false },
		{ "a.read b.read", "read", false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct span list[4], rest = span_of(cases[i].held), part;
		struct scopes s;
		size_t n = 0;

		while (span_split(&rest, ' ', &part))
			list[n++] = part;
		scopes_init(&s, list, n);
		ck_assert_msg(scopes_hold(&s, span_of(cases[i].other)) == cases[i].yes,
			"'%s' gives '%s'", cases[i].held, cases[i].other);
		scopes_done(&s);
	}
}
