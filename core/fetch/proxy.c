#include "fetch/proxy.h"

static struct span trimmed(struct span s)
{
	while (s.len > 0 && (*s.data == ' ' || *s.data == '\t'))
		s = (struct span){ s.data + 1, s.len - 1 };
	while (s.len > 0 && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t'))
		s.len--;
	return s;
}

static struct span without_root(struct span host)
{
	if (host.len > 1 && host.data[host.len - 1] == '.')
		host.len--;
	return host;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The entry is the host, or a domain above it. */
static bool covers(struct span entry, struct span host)
{
	struct span tail;

	if (entry.len > 0 && *entry.data == '.')
		entry = (struct span){ entry.data + 1, entry.len - 1 };
	entry = without_root(entry);
	if (entry.len == 0 || entry.len > host.len)
		return false;
	tail = (struct span){ host.data + host.len - entry.len, entry.len };
	if (!span_equal_nocase(tail, entry))
		return false;
	if (entry.len == host.len)
		return true;
	/* Of an address, no part is a domain; and no top level domain ends with a digit. */
	return host.data[host.len - entry.len - 1] == '.' && !is_digit(host.data[host.len - 1]);
}

bool proxy_lists(struct span list, struct span host)
{
	struct span part;

	host = without_root(host);
	while (span_split(&list, ',', &part)) {
		part = trimmed(part);
		if (span_is(part, "*") || covers(part, host))
			return true;
	}
	return false;
}
