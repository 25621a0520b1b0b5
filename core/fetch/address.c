/* The ranges are those of IANA's special-purpose registries (RFC 6890 and what was added since)
 * that are not globally reachable, and what clouds keep at public addresses for their guests.
 * IPv6 is judged the other way round: only 2000::/3 is in use for global unicast (RFC 4291).
 * Addresses that carry an IPv4 address inside are judged by it: a translator on the way would
 * deliver to it. */
#include "fetch/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/mem.h"

struct range {
	const char *network;
	unsigned bits;
	const char *what;
};

static const struct range ranges_v4[] = {
	{ "0.0.0.0", 8, "an address of this network" },
	{ "10.0.0.0", 8, "a private address" },
	{ "100.64.0.0", 10, "a carrier's shared address" },
	{ "127.0.0.0", 8, "a loopback address" },
	{ "168.63.129.16", 32, "a cloud's service address" },
	{ "169.254.0.0", 16, "a link-local address" },
	{ "172.16.0.0", 12, "a private address" },
	{ "192.0.0.0", 24, "a protocol's own address" },
	{ "192.0.2.0", 24, "a documentation address" },
	{ "192.88.99.0", 24, "a relay's address" },
	{ "192.168.0.0", 16, "a private address" },
	{ "198.18.0.0", 15, "a benchmark address" },
	{ "198.51.100.0", 24, "a documentation address" },
	{ "203.0.113.0", 24, "a documentation address" },
	{ "224.0.0.0", 4, "a multicast address" },
	{ "240.0.0.0", 4, "a reserved address" },
};

/* Outside 2000::/3 they only name more closely what is refused anyway. */
static const struct range ranges_v6[] = {
	{ "::", 128, "the unspecified address" },
	{ "::1", 128, "a loopback address" },
	{ "64:ff9b:1::", 48, "a private address" },
	{ "fc00::", 7, "a private address" },
	{ "fe80::", 10, "a link-local address" },
	{ "fec0::", 10, "a private address" },
	{ "ff00::", 8, "a multicast address" },
	{ "2001::", 23, "a protocol's own address" },
	{ "2001:db8::", 32, "a documentation address" },
	{ "3fff::", 20, "a documentation address" },
};

/* Networks whose addresses end, or go on behind the prefix, with an IPv4 address. */
static const struct {
	const char *network;
	unsigned bits;
	unsigned at; /* byte where the IPv4 address stands */
} carriers[] = {
	{ "::ffff:0:0", 96, 12 }, /* mapped */
	{ "64:ff9b::", 96, 12 },  /* NAT64 */
	{ "2002::", 16, 2 },      /* 6to4 */
};

static const struct range global_v6 = { "2000::", 3, NULL };

static bool begins_with(const uint8_t *address, const uint8_t *network, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	return memcmp(address, network, whole) == 0 &&
	       (rest == 0 || (address[whole] ^ network[whole]) >> (8 - rest) == 0);
}

static bool within(int family, const uint8_t *address, const char *network, unsigned bits)
{
	uint8_t bytes[sizeof(struct in6_addr)];

	return inet_pton(family, network, bytes) == 1 && begins_with(address, bytes, bits);
}

static const char *find(
	int family, const uint8_t *address, const struct range *ranges, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (within(family, address, ranges[i].network, ranges[i].bits))
			return ranges[i].what;
	return NULL;
}

static const char *reserved_v4(const uint8_t *address)
{
	return find(AF_INET, address, ranges_v4, ARRAY_LENGTH(ranges_v4));
}

static const char *reserved_v6(const uint8_t *address)
{
	const char *what;

	for (size_t i = 0; i < ARRAY_LENGTH(carriers); i++)
		if (within(AF_INET6, address, carriers[i].network, carriers[i].bits))
			return reserved_v4(address + carriers[i].at);
	what = find(AF_INET6, address, ranges_v6, ARRAY_LENGTH(ranges_v6));
	if (!what && !within(AF_INET6, address, global_v6.network, global_v6.bits))
		what = "a reserved address";
	return what;
}

const char *address_reserved(const struct sockaddr *address)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	/* Copied, for a sockaddr need not be aligned for what it is. */
	if (address->sa_family == AF_INET) {
		memcpy(&v4, address, sizeof(v4));
		return reserved_v4((const uint8_t *)&v4.sin_addr);
	}
	if (address->sa_family == AF_INET6) {
		memcpy(&v6, address, sizeof(v6));
		return reserved_v6((const uint8_t *)&v6.sin6_addr);
	}
	return "no internet address";
}

const char *address_text_reserved(const char *text)
{
	uint8_t bytes[sizeof(struct in6_addr)];

	if (inet_pton(AF_INET, text, bytes) == 1)
		return reserved_v4(bytes);
	if (inet_pton(AF_INET6, text, bytes) == 1)
		return reserved_v6(bytes);
	return "no internet address";
}

/* The last label, a root's dot behind it or not. */
static bool is_localhost(const char *host)
{
	static const char name[] = "localhost";
	size_t len = strlen(host), own = sizeof(name) - 1;

	if (len > 0 && host[len - 1] == '.')
		len--;
	if (len < own || strncasecmp(host + len - own, name, own) != 0)
		return false;
	return len == own || host[len - own - 1] == '.';
}

int address_check_host(const char *host, struct error *err)
{
	const struct addrinfo hints = { .ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM };
	struct addrinfo *found = NULL;
	CLEANUP(mem_freep) char *bare = mem_strdup(host);
	const char *what = NULL;
	size_t len = strlen(bare);

	if (len > 2 && bare[0] == '[' && bare[len - 1] == ']') {
		bare[len - 1] = '\0';
		memmove(bare, bare + 1, len - 1);
	} else if (len > 1 && bare[len - 1] == '.') {
		bare[len - 1] = '\0';
	}
	if (is_localhost(bare))
		what = "this machine's own name";
	else if (getaddrinfo(bare, NULL, &hints, &found) == 0) /* no name is looked up */
		what = address_reserved(found->ai_addr);
	if (found)
		freeaddrinfo(found);
	if (!what)
		return 0;
	return error_set(
		err, ERR_PERMISSION, "'%s' is %s, where this URL may not lead", host, what);
}
