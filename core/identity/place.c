/* All are compared as 128-bit numbers, IPv4 as its IPv4-mapped IPv6 form. */
#include "identity/place.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "base/error.h"

#define MAPPED_BITS  96u
#define ADDRESS_BITS 128u
#define ADDRESS_SIZE 16u

struct network {
	unsigned char base[ADDRESS_SIZE];
	unsigned length; /* of 128 */
};

/* "10.1.2.3" or "fe80::1"; *first is where its own lengths begin to count. */
static bool read_address(struct span s, unsigned char out[static ADDRESS_SIZE], unsigned *first)
{
	char text[INET6_ADDRSTRLEN];
	struct in_addr v4;

	if (s.len == 0 || s.len >= sizeof(text) || memchr(s.data, '\0', s.len))
		return false;
	memcpy(text, s.data, s.len);
	text[s.len] = '\0';
	if (inet_pton(AF_INET, text, &v4) == 1) {
		memset(out, 0, 10);
		out[10] = out[11] = 0xff;
		memcpy(out + 12, &v4, 4);
		*first = MAPPED_BITS;
		return true;
	}
	*first = 0;
	return inet_pton(AF_INET6, text, out) == 1;
}

static bool read_network(struct span s, struct network *out)
{
	struct span rest = s, host;
	uint64_t length;
	unsigned first;

	if (!span_split(&rest, '/', &host) || !read_address(host, out->base, &first))
		return false;
	length = ADDRESS_BITS - first;
	/* "/08" is a length to some readers and an octal number to others. */
	if (rest.data && (rest.len == 0 || (rest.len > 1 && rest.data[0] == '0') ||
				 !span_u64(rest, length, &length)))
		return false;
	out->length = first + (unsigned)length;
	return true;
}

static bool same_bits(const unsigned char *a, const unsigned char *b, unsigned bits)
{
	if (memcmp(a, b, bits / 8) != 0)
		return false;
	return bits % 8 == 0 || ((a[bits / 8] ^ b[bits / 8]) >> (8 - bits % 8)) == 0;
}

static bool host_bits_clear(const struct network *n)
{
	for (unsigned i = n->length; i < ADDRESS_BITS; i++)
		if (n->base[i / 8] & (0x80u >> (i % 8)))
			return false;
	return true;
}

int network_check(struct span network, struct error *err)
{
	struct network n;

	if (!read_network(network, &n)) {
		(void)error_set(
			err, ERR_INVALID, "'%.*s' is no address and no network", SPAN_ARG(network));
		(void)error_fix(err, "write 192.0.2.7, 192.0.2.0/24, 2001:db8::1 or 2001:db8::/32");
		return ERR_INVALID;
	}
	if (!host_bits_clear(&n)) {
		(void)error_set(err, ERR_INVALID, "'%.*s' has bits set behind its length",
			SPAN_ARG(network));
		(void)error_fix(err, "write the network's first address before the slash, or a "
				     "single address without a slash");
		return ERR_INVALID;
	}
	return 0;
}

bool address_valid(struct span address)
{
	unsigned char bytes[ADDRESS_SIZE];
	unsigned first;

	return read_address(address, bytes, &first);
}

static struct span trim(struct span s)
{
	while (s.len > 0 && s.data[0] == ' ') {
		s.data++;
		s.len--;
	}
	while (s.len > 0 && s.data[s.len - 1] == ' ')
		s.len--;
	return s;
}

static bool within(struct span networks, const struct network *wanted)
{
	struct span item;
	struct network n;

	while (span_split(&networks, ',', &item))
		if (read_network(trim(item), &n) && n.length <= wanted->length &&
			same_bits(n.base, wanted->base, n.length))
			return true;
	return false;
}

bool networks_hold(struct span networks, struct span address)
{
	struct network wanted = { .length = ADDRESS_BITS };
	unsigned first;

	return read_address(address, wanted.base, &first) && within(networks, &wanted);
}

bool networks_cover(struct span networks, struct span network)
{
	struct network wanted;

	return read_network(network, &wanted) && within(networks, &wanted);
}

/* ---- origins -----------------------------------------------------------------------------------
 */

static bool is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool scheme_valid(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!is_lower(s.data[i]) &&
			(i == 0 || (!is_digit(s.data[i]) && !memchr("+.-", s.data[i], 3))))
			return false;
	return s.len > 0;
}

static bool host_valid(struct span s)
{
	unsigned char bytes[ADDRESS_SIZE];
	unsigned first;

	if (s.len > 2 && s.data[0] == '[' && s.data[s.len - 1] == ']')
		return read_address((struct span){ s.data + 1, s.len - 2 }, bytes, &first);
	for (size_t i = 0; i < s.len; i++)
		if (!is_lower(s.data[i]) && !is_digit(s.data[i]) && !memchr(".-_", s.data[i], 3))
			return false;
	return s.len > 0;
}

/* A browser leaves the scheme's own port away. */
static bool port_valid(struct span scheme, struct span port)
{
	uint64_t number;

	if (!span_u64(port, UINT16_MAX, &number) || number == 0 || port.data[0] == '0')
		return false;
	return !(number == 80 && span_is(scheme, "http")) &&
	       !(number == 443 && span_is(scheme, "https"));
}

static bool origin_valid(struct span origin)
{
	const char *colon = memmem(origin.data, origin.len, "://", 3), *end, *port = NULL;
	struct span scheme, host;

	if (!colon)
		return false;
	scheme = (struct span){ origin.data, (size_t)(colon - origin.data) };
	host = (struct span){ colon + 3, origin.len - scheme.len - 3 };
	end = host.data + host.len;
	for (const char *p = host.data; p < end; p++) {
		if (*p == ']')
			port = NULL;
		else if (*p == ':' && !port)
			port = p;
	}
	if (port) {
		if (!port_valid(scheme, (struct span){ port + 1, (size_t)(end - port - 1) }))
			return false;
		host.len = (size_t)(port - host.data);
	}
	return scheme_valid(scheme) && host_valid(host);
}

int origin_check(struct span origin, struct error *err)
{
	if (origin_valid(origin))
		return 0;
	(void)error_set(err, ERR_INVALID, "'%.*s' is no origin", SPAN_ARG(origin));
	(void)error_fix(err, "write it as a browser sends it: https://portal.example, or with a "
			     "port that is not the scheme's own; lower case, no path");
	return ERR_INVALID;
}

bool origins_hold(struct span origins, struct span origin)
{
	struct span item;

	while (span_split(&origins, '\n', &item))
		if (span_equal(item, origin))
			return true;
	return false;
}
