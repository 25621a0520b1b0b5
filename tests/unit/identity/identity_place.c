#include "identity/place.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "lib/test.h"

TEST(identity_place__a_network_is_an_address_or_a_prefix_without_host_bits)
{
	static const struct {
		const char *text;
		const char *wrong; /* NULL: it is one */
	} cases[] = {
		{ "192.0.2.7", NULL },
		{ "192.0.2.0/24", NULL },
		{ "192.0.2.7/32", NULL },
		{ "0.0.0.0/0", NULL },
		{ "::/0", NULL },
		{ "::1", NULL },
		{ "2001:db8::/32", NULL },
		{ "2001:DB8::1/128", NULL },
		{ "::ffff:10.0.0.0/104", NULL },
		{ "::ffff:10.0.0.1", NULL },
		{ "192.0.2.7/24", "behind its length" },
		{ "2001:db8::1/32", "behind its length" },
		{ "::ffff:10.0.0.1/104", "behind its length" },
		{ "", "no address" },
		{ "/8", "no address" },
		{ "10.0.0.0/", "no address" },
		{ "10.0.0.0/33", "no address" },
		{ "10.0.0.0/-1", "no address" },
		{ "10.0.0.0/08", "no address" },
		{ "10.0.0.0/8/8", "no address" },
		{ "10.0.0.0 /8", "no address" },
		{ "10.0.0", "no address" },
		{ "10.0.0.256", "no address" },
		{ "010.0.0.1", "no address" },
		{ "10.1", "no address" },
		{ "2001:db8::/129", "no address" },
		{ "2001:db8:::/32", "no address" },
		{ "fe80::1%eth0", "no address" },
		{ "[::1]", "no address" },
		{ "localhost", "no address" },
		{ "10.0.0.0/255.0.0.0", "no address" },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct error err = { 0 };
		int rc = network_check(span_of(cases[i].text), &err);

		ck_assert_msg(
			(rc == 0) == !cases[i].wrong, "'%s': %d %s", cases[i].text, rc, err.text);
		ck_assert_msg(rc == 0 || (strstr(err.text, cases[i].wrong) && err.fix[0]),
			"'%s': %s", cases[i].text, err.text);
	}
}

TEST(identity_place__networks_hold_what_is_in_them_in_every_form_of_it)
{
	static const struct {
		const char *networks, *address;
		bool yes;
	} cases[] = {
		{ "10.0.0.0/8", "10.1.2.3", true },
		{ "10.0.0.0/8", "::ffff:10.1.2.3", true },
		{ "::ffff:10.0.0.0/104", "10.1.2.3", true },
		{ "::ffff:10.0.0.0/104", "11.1.2.3", false },
		{ "10.0.0.0/8", "11.0.0.1", false },
		{ "10.0.0.0/8", "::10.1.2.3", false },
		{ "192.0.2.128/25", "192.0.2.127", false },
		{ "192.0.2.128/25", "192.0.2.128", true },
		{ "192.0.2.0/31", "192.0.2.1", true },
		{ "192.0.2.0/31", "192.0.2.2", false },
		{ "192.0.2.7", "192.0.2.7", true },
		{ "192.0.2.7/32", "192.0.2.8", false },
		{ "10.9.9.9/8", "10.1.1.1", true }, /* host bits of an old row do not count */
		{ "2001:db8::/32", "2001:db8:ffff::1", true },
		{ "2001:db8::/33", "2001:db8:8000::1", false },
		{ "2001:db8::1", "2001:0db8:0:0:0:0:0:1", true },
		{ "::1", "127.0.0.1", false },
		{ "0.0.0.0/0", "255.255.255.255", true },
		{ "0.0.0.0/0", "2001:db8::1", false },
		{ "::/0", "2001:db8::1", true },
		{ "10.0.0.0/8,::1", "::1", true },
		{ "10.0.0.0/8, 192.0.2.7", "192.0.2.7", true },
		{ "nonsense,10.0.0.0/8", "10.0.0.1", true },
		{ "nonsense", "10.0.0.1", false },
		{ "10.0.0.0/99", "10.0.0.1", false },
		{ "10.0.0.0/8", "", false },
		{ "0.0.0.0/0", "nonsense", false },
		{ "0.0.0.0/0", "10.0.0.1, 10.0.0.2", false },
		{ "", "10.0.0.1", false },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
		ck_assert_msg(networks_hold(span_of(cases[i].networks),
				      span_of(cases[i].address)) == cases[i].yes,
			"%s in %s", cases[i].address, cases[i].networks);
}

TEST(identity_place__a_network_is_covered_by_one_that_is_no_narrower)
{
	EXPECT_TRUE(networks_cover(SPAN("10.0.0.0/8"), SPAN("10.1.0.0/16")));
	EXPECT_TRUE(networks_cover(SPAN("10.0.0.0/8"), SPAN("10.0.0.0/8")));
	EXPECT_TRUE(networks_cover(SPAN("::1,10.0.0.0/8"), SPAN("::ffff:10.0.0.0/104")));
	EXPECT_FALSE(networks_cover(SPAN("10.0.0.0/8"), SPAN("10.0.0.0/7")));
	EXPECT_FALSE(networks_cover(SPAN("10.0.0.0/8"), SPAN("0.0.0.0/0")));
	EXPECT_FALSE(networks_cover(SPAN("10.0.0.0/8"), SPAN("11.0.0.1")));
}

TEST(identity_place__an_origin_is_what_a_browser_sends)
{
	static const struct {
		const char *text;
		bool yes;
	} cases[] = {
		{ "https://portal.example", true },
		{ "http://localhost:8080", true },
		{ "http://127.0.0.1:3000", true },
		{ "http://[::1]:3000", true },
		{ "http://[2001:db8::1]", true },
		{ "chrome-extension://abcdefghijklmnop", true },
		{ "https://portal.example/", false },
		{ "https://portal.example/path", false },
		{ "https://Portal.example", false },
		{ "HTTPS://portal.example", false },
		{ "https://portal.example:443", false },
		{ "http://portal.example:80", false },
		{ "https://portal.example:", false },
		{ "https://portal.example:0", false },
		{ "https://portal.example:70000", false },
		{ "https://portal.example:08080", false },
		{ "https://user@portal.example", false },
		{ "https://*.example", false },
		{ "https://portal.example https://b.example", false },
		{ "https://portal.example\nhttps://b.example", false },
		{ "https://", false },
		{ "://portal.example", false },
		{ "portal.example", false },
		{ "http://[::1", false },
		{ "http://::1", false },
		{ "null", false },
		{ "*", false },
		{ "", false },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct error err = { 0 };
		int rc = origin_check(span_of(cases[i].text), &err);

		ck_assert_msg((rc == 0) == cases[i].yes, "'%s': %d", cases[i].text, rc);
		ck_assert_msg(rc == 0 || err.fix[0], "'%s'", cases[i].text);
	}
}

TEST(identity_place__origins_are_equal_to_the_byte)
{
	static const char list[] = "https://portal.example\nhttp://localhost:8080";
	static const struct {
		const char *origin;
		bool yes;
	} cases[] = {
		{ "https://portal.example", true },
		{ "http://localhost:8080", true },
		{ "http://portal.example", false },
		{ "https://portal.example:8443", false },
		{ "https://portal.example.evil", false },
		{ "https://evil-portal.example", false },
		{ "https://portal.exampl", false },
		{ "https://PORTAL.example", false },
		{ "https://sub.portal.example", false },
		{ "https://portal.example/", false },
		{ "null", false },
		{ "", false },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
		ck_assert_msg(origins_hold(span_of(list), span_of(cases[i].origin)) == cases[i].yes,
			"'%s'", cases[i].origin);
}
