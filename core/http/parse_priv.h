/* parse_priv.h - character classes and names, for the files of the grammar */
#ifndef MORTISE_HTTP_PARSE_PRIV_H
#define MORTISE_HTTP_PARSE_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/parse.h"

enum {
	TOKEN = 1u << 0, /* tchar */
	PATH = 1u << 1,  /* pchar and '/', but '%' */
	QUERY = 1u << 2,
	VALUE = 1u << 3, /* field-vchar, SP, HTAB, obs-text */
	NAME = 1u << 4,  /* of a host */
	URI = PATH | QUERY | VALUE,
	ALL = TOKEN | URI,
};

extern const uint8_t http_classes[256];

static inline bool is(char c, unsigned class)
{
	return http_classes[(unsigned char)c] & class;
}

static inline int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* name is a token and lower has only letters and '-', so bit 5 makes letters equal and maps
 * nothing else onto them. */
static inline bool token_is(const char *name, const char *lower, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((name[i] | 0x20) != lower[i])
			return false;
	return true;
}

/* The known header of that name, or HTTP_HEADER_COUNT. */
enum http_header http_known_header(const char *name, size_t len);

#endif
