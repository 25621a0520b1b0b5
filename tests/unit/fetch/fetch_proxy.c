#include "fetch/proxy.h"

#include "base/mem.h"
#include "lib/test.h"

TEST(fetch_proxy__a_name_stands_for_itself_and_all_below_it)
{
	static const struct {
		const char *list, *host;
		bool listed;
	} cases[] = {
		{ "", "example.org", false },
		{ ",, ,", "example.org", false },
		{ "*", "example.org", true },
		{ "*", "10.0.0.1", true },
		{ "example.org", "example.org", true },
		{ "example.org", "EXAMPLE.ORG", true },
		{ "example.org", "example.org.", true },
		{ "example.org.", "example.org", true },
		{ ".example.org", "example.org", true },
		{ ".example.org", "a.example.org", true },
		{ "example.org", "a.b.example.org", true },
		{ "example.org", "notexample.org", false },
		{ "example.org", "example.org.evil", false },
		{ "a.example.org", "example.org", false },
		{ "x, example.org ,y", "example.org", true },
		{ "10.0.0.1", "10.0.0.1", true },
		{ "0.0.1", "10.0.0.1", false },
		{ "::1", "::1", true },
		{ "org", "example.org", true },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
		ck_assert_msg(proxy_lists(span_of(cases[i].list), span_of(cases[i].host)) ==
				      cases[i].listed,
			"'%s' of '%s'", cases[i].host, cases[i].list);
}
