#include "codec/base64.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void append_group(struct text *out, const unsigned char *p, size_t n)
{
	unsigned bits = (unsigned)p[0] << 16 | (n > 1 ? (unsigned)p[1] << 8 : 0) |
			(n > 2 ? (unsigned)p[2] : 0);
	char group[4] = { digits[bits >> 18], digits[bits >> 12 & 63],
		n > 1 ? digits[bits >> 6 & 63] : '=', n > 2 ? digits[bits & 63] : '=' };

	text_append(out, group, sizeof(group));
}

void base64_append(struct text *out, const void *data, size_t len)
{
	const unsigned char *p = data;

	for (; len >= 3; p += 3, len -= 3)
		append_group(out, p, 3);
	if (len)
		append_group(out, p, len);
}

static int value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

/* The bytes of one group of four into out; how many, or 0 when it is none. Only the last group
 * may have padding. */
static size_t decode_group(const char *p, bool last, unsigned char out[3])
{
	size_t n = 3;
	int value[4];

	if (last && p[3] == '=')
		n = p[2] == '=' ? 1 : 2;
	for (size_t i = 0; i < 4; i++) {
		value[i] = i > n ? 0 : value_of(p[i]);
		if (value[i] < 0)
			return 0;
	}
	/* The bits that padding leaves unused are zero in the one canonical text. */
	if ((n == 1 && (value[1] & 15)) || (n == 2 && (value[2] & 3)))
		return 0;
	out[0] = (unsigned char)(value[0] << 2 | value[1] >> 4);
	out[1] = (unsigned char)(value[1] << 4 | value[2] >> 2);
	out[2] = (unsigned char)(value[2] << 6 | value[3]);
	return n;
}

bool base64_decode(struct text *out, struct span encoded)
{
	size_t before = out->len;

	if (encoded.len % 4)
		return false;
	for (size_t i = 0; i < encoded.len; i += 4) {
		unsigned char group[3];
		size_t n = decode_group(encoded.data + i, i + 4 == encoded.len, group);

		if (n == 0) {
			out->len = before;
			out->data[before] = '\0';
			return false;
		}
		text_append(out, group, n);
	}
	return true;
}
