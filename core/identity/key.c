#include "identity/key.h"

#include "base/assert.h"
#include "codec/random.h"

#define PREFIX_LEN 4u
#define BASE       62u
#define CRC32_POLY UINT32_C(0xedb88320) /* IEEE 802.3, bit-reversed */

static const char *const prefixes[KEY_KIND_COUNT] = {
	[KEY_API] = "mrt_",
	[KEY_SESSION] = "mss_",
	[KEY_REFRESH] = "msr_",
};
static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

static uint32_t crc32(const char *data, size_t len)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < len; i++) {
		crc ^= (unsigned char)data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (crc & 1 ? CRC32_POLY : 0);
	}
	return ~crc;
}

static void checksum(const char *random, char out[static KEY_CHECKSUM_LEN])
{
	uint32_t crc = crc32(random, KEY_RANDOM_LEN);

	for (size_t i = KEY_CHECKSUM_LEN; i-- > 0; crc /= BASE)
		out[i] = digits[crc % BASE];
}

static bool is_digit(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

void key_make(enum key_kind kind, char out[static KEY_LEN + 1])
{
	ASSERT(kind < KEY_KIND_COUNT);
	memcpy(out, prefixes[kind], PREFIX_LEN);
	random_text(out + PREFIX_LEN, KEY_RANDOM_LEN, digits);
	checksum(out + PREFIX_LEN, out + PREFIX_LEN + KEY_RANDOM_LEN);
	out[KEY_LEN] = '\0';
}

enum key_kind key_kind_of(struct span text)
{
	char expected[KEY_CHECKSUM_LEN];
	int kind = 0;

	if (text.len != KEY_LEN)
		return KEY_KIND_COUNT;
	while (kind < KEY_KIND_COUNT && !span_starts(text, prefixes[kind]))
		kind++;
	if (kind == KEY_KIND_COUNT)
		return KEY_KIND_COUNT;
	for (size_t i = PREFIX_LEN; i < KEY_LEN; i++)
		if (!is_digit(text.data[i]))
			return KEY_KIND_COUNT;
	checksum(text.data + PREFIX_LEN, expected);
	if (memcmp(expected, text.data + PREFIX_LEN + KEY_RANDOM_LEN, KEY_CHECKSUM_LEN) != 0)
		return KEY_KIND_COUNT;
	return (enum key_kind)kind;
}

bool key_well_formed(enum key_kind kind, struct span text)
{
	return key_kind_of(text) == kind;
}
