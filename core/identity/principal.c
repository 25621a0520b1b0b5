/* Networks are compared as 128-bit numbers: an IPv4 address is taken as its
 * IPv4-mapped IPv6 form on both sides, so `10.0.0.0/8` also holds for a peer that a
 * dual-stack socket shows as ::ffff:10.1.2.3. */
#include "identity/principal.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "base/assert.h"
#include "base/mem.h"

#define MAPPED_BITS  96u
#define ADDRESS_BITS 128u

static const char *const role_names[ROLE_COUNT] = {
	[ROLE_VIEWER] = "VIEWER",
	[ROLE_DEVELOPER] = "DEVELOPER",
	[ROLE_PLATFORM_ENGINEER] = "PLATFORM_ENGINEER",
	[ROLE_ADMIN] = "ADMIN",
};

enum role role_from(struct span name)
{
	for (int i = 0; i < ROLE_COUNT; i++)
		if (span_is(name, role_names[i]))
			return (enum role)i;
	return ROLE_COUNT;
}

const char *role_name(enum role role)
{
	ASSERT(role < ROLE_COUNT);
	return role_names[role];
}

struct principal *principal_new(void)
{
	struct principal *p = mem_zalloc(sizeof(*p));

	p->refs = 1;
	return p;
}

struct principal *principal_ref(struct principal *p)
{
	ASSERT(p->refs > 0);
	p->refs++;
	return p;
}

void principal_unref(struct principal *p)
{
	if (!p)
		return;
	ASSERT(p->refs > 0);
	if (--p->refs > 0)
		return;
	scopes_done(&p->scopes);
	mem_free(p->user_name);
	mem_free(p->user_provider);
	mem_free(p->allowed_ips);
	mem_free(p->allowed_origins);
	mem_free(p);
}

/* "10.1.2.3" or "fe80::1", as 16 bytes; *bits is the width of the form that was read. */
static bool read_address(struct span s, unsigned char out[16], unsigned *bits)
{
	char text[INET6_ADDRSTRLEN];
	struct in_addr v4;

	if (s.len == 0 || s.len >= sizeof(text))
		return false;
	memcpy(text, s.data, s.len);
	text[s.len] = '\0';
	if (inet_pton(AF_INET, text, &v4) == 1) {
		memset(out, 0, 10);
		out[10] = out[11] = 0xff;
		memcpy(out + 12, &v4, 4);
		*bits = ADDRESS_BITS - MAPPED_BITS;
		return true;
	}
	*bits = ADDRESS_BITS;
	return inet_pton(AF_INET6, text, out) == 1;
}

static bool in_network(const unsigned char address[16], struct span network)
{
	struct span rest = network, host;
	unsigned char base[16];
	unsigned bits;
	uint64_t length;

	if (!span_split(&rest, '/', &host) || !read_address(host, base, &bits))
		return false;
	length = bits;
	if (rest.data && !span_u64(rest, bits, &length))
		return false;
	if (bits != ADDRESS_BITS)
		length += MAPPED_BITS;
	if (memcmp(address, base, length / 8) != 0)
		return false;
	if (length % 8 == 0)
		return true;
	return ((address[length / 8] ^ base[length / 8]) >> (8 - length % 8)) == 0;
}

bool principal_allows_peer(const struct principal *p, const char *address)
{
	struct span rest, network;
	unsigned char peer[16];
	unsigned bits;

	if (!p->allowed_ips)
		return true;
	if (!read_address(span_of(address), peer, &bits))
		return false;
	rest = span_of(p->allowed_ips);
	while (span_split(&rest, ',', &network))
		if (in_network(peer, network))
			return true;
	return false;
}

bool principal_allows_origin(const struct principal *p, struct span origin)
{
	struct span rest, allowed;

	if (!p->allowed_origins || origin.len == 0)
		return true;
	rest = span_of(p->allowed_origins);
	while (span_split(&rest, '\n', &allowed))
		if (span_equal(allowed, origin))
			return true;
	return false;
}
