#include "fetch/address.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/mem.h"
#include "lib/test.h"

/* First and last of each range, and their neighbours outside where those are public. */
static const struct {
	const char *address;
	const char *what; /* NULL: public */
} addresses[] = {
	{ "0.0.0.0", "this network" },
	{ "0.255.255.255", "this network" },
	{ "1.0.0.0", NULL },
	{ "9.255.255.255", NULL },
	{ "10.0.0.0", "private" },
	{ "10.255.255.255", "private" },
	{ "11.0.0.0", NULL },
	{ "100.63.255.255", NULL },
	{ "100.64.0.0", "carrier" },
	{ "100.100.100.200", "carrier" },
	{ "100.127.255.255", "carrier" },
	{ "100.128.0.0", NULL },
	{ "126.255.255.255", NULL },
	{ "127.0.0.0", "loopback" },
	{ "127.0.0.1", "loopback" },
	{ "127.255.255.255", "loopback" },
	{ "128.0.0.0", NULL },
	{ "168.63.129.15", NULL },
	{ "168.63.129.16", "cloud" },
	{ "168.63.129.17", NULL },
	{ "169.253.255.255", NULL },
	{ "169.254.0.0", "link-local" },
	{ "169.254.169.254", "link-local" },
	{ "169.254.255.255", "link-local" },
	{ "169.255.0.0", NULL },
	{ "172.15.255.255", NULL },
	{ "172.16.0.0", "private" },
	{ "172.31.255.255", "private" },
	{ "172.32.0.0", NULL },
	{ "192.0.0.0", "protocol" },
	{ "192.0.0.192", "protocol" },
	{ "192.0.1.0", NULL },
	{ "192.0.2.1", "documentation" },
	{ "192.0.3.0", NULL },
	{ "192.88.99.1", "relay" },
	{ "192.167.255.255", NULL },
	{ "192.168.0.0", "private" },
	{ "192.168.255.255", "private" },
	{ "192.169.0.0", NULL },
	{ "198.17.255.255", NULL },
	{ "198.18.0.0", "benchmark" },
	{ "198.19.255.255", "benchmark" },
	{ "198.20.0.0", NULL },
	{ "198.51.100.1", "documentation" },
	{ "203.0.113.1", "documentation" },
	{ "223.255.255.255", NULL },
	{ "224.0.0.0", "multicast" },
	{ "239.255.255.255", "multicast" },
	{ "240.0.0.0", "reserved" },
	{ "255.255.255.255", "reserved" },
	{ "8.8.8.8", NULL },

	{ "::", "unspecified" },
	{ "::1", "loopback" },
	{ "::2", "reserved" },
	{ "::127.0.0.1", "reserved" },
	{ "::ffff:127.0.0.1", "loopback" },
	{ "::ffff:10.1.2.3", "private" },
	{ "::ffff:169.254.169.254", "link-local" },
	{ "::ffff:8.8.8.8", NULL },
	{ "::ffff:0:127.0.0.1", "reserved" },
	{ "64:ff9b::127.0.0.1", "loopback" },
	{ "64:ff9b::10.0.0.1", "private" },
	{ "64:ff9b::8.8.8.8", NULL },
	{ "64:ff9b:1::1", "private" },
	{ "100::1", "reserved" },
	{ "1fff:ffff::", "reserved" },
	{ "2000::", NULL },
	{ "2001::1", "protocol" },
	{ "2001:1ff:ffff::", "protocol" },
	{ "2001:200::", NULL },
	{ "2001:db8::1", "documentation" },
	{ "2001:db9::", NULL },
	{ "2002:7f00:1::", "loopback" },
	{ "2002:a00:1::", "private" },
	{ "2002:808:808::1", NULL },
	{ "2606:4700::1111", NULL },
	{ "3fff:0fff::1", "documentation" },
	{ "3fff:1000::1", NULL },
	{ "4000::", "reserved" },
	{ "5f00::1", "reserved" },
	{ "fbff::", "reserved" },
	{ "fc00::", "private" },
	{ "fd00:ec2::254", "private" },
	{ "fdff:ffff::", "private" },
	{ "fe00::", "reserved" },
	{ "fe80::1", "link-local" },
	{ "febf::1", "link-local" },
	{ "fec0::1", "private" },
	{ "ff02::1", "multicast" },
};

static void expect(const char *address, const char *got, const char *what)
{
	if (!what)
		ck_assert_msg(!got, "%s is %s", address, got ? got : "");
	else
		ck_assert_msg(got && strstr(got, what), "%s is %s, expected %s", address,
			got ? got : "public", what);
}

TEST(fetch_address__every_range_begins_and_ends_where_it_should)
{
	const struct addrinfo hints = { .ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM };

	for (size_t i = 0; i < ARRAY_LENGTH(addresses); i++) {
		struct addrinfo *found = NULL;

		EXPECT_INT(getaddrinfo(addresses[i].address, "80", &hints, &found), ==, 0);
		expect(addresses[i].address, address_reserved(found->ai_addr), addresses[i].what);
		expect(addresses[i].address, address_text_reserved(addresses[i].address),
			addresses[i].what);
		freeaddrinfo(found);
	}
}

TEST(fetch_address__other_families_and_no_addresses_are_reserved)
{
	static const char *const none[] = { "", "localhost", "127.1", "8.8.8.8 ", "8.8.8.8/32",
		"[::1]", "fe80::1%lo", "/run/socket" };
	struct sockaddr_un local = { .sun_family = AF_UNIX };
	struct sockaddr unspecified = { .sa_family = AF_UNSPEC };

	EXPECT_PTR(address_reserved((struct sockaddr *)&local));
	EXPECT_PTR(address_reserved(&unspecified));
	for (size_t i = 0; i < ARRAY_LENGTH(none); i++)
		EXPECT_PTR(address_text_reserved(none[i]));
}

TEST(fetch_address__a_host_for_a_proxy_is_no_inner_address_in_any_spelling)
{
	static const char *const inner[] = { "127.0.0.1", "127.1", "127.0.1", "2130706433",
		"0x7f000001", "0x7F.1", "0177.0.0.1", "017700000001", "127.0.0.1.", "0", "0.0.0.0",
		"[::1]", "[::ffff:127.0.0.1]", "[0:0::1]", "::1", "10.0.0.1", "0xa000001",
		"169.254.169.254", "0xa9fea9fe", "[fe80::1%1]", "localhost", "LocalHost",
		"localhost.", "a.localhost", "b.localhost." };
	static const char *const outer[] = { "example.org", "8.8.8.8", "134744072",
		"[2606:4700::1]", "notlocalhost", "localhost.example.org", "10.example.org",
		"127.0.0.1.example.org" };
	struct error err;

	for (size_t i = 0; i < ARRAY_LENGTH(inner); i++) {
		ck_assert_msg(address_check_host(inner[i], &err) == ERR_PERMISSION, "%s", inner[i]);
		EXPECT_CONTAINS(err.text, inner[i]);
	}
	for (size_t i = 0; i < ARRAY_LENGTH(outer); i++)
		ck_assert_msg(address_check_host(outer[i], &err) == 0, "%s", outer[i]);
}
