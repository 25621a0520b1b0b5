#include "channel/wire.h"

#include <endian.h>
#include <string.h>

#include "base/assert.h"

void wire_put_u8(struct text *out, uint8_t value)
{
	text_append(out, &value, sizeof(value));
}

void wire_put_u16(struct text *out, uint16_t value)
{
	value = htole16(value);
	text_append(out, &value, sizeof(value));
}

void wire_put_u32(struct text *out, uint32_t value)
{
	value = htole32(value);
	text_append(out, &value, sizeof(value));
}

void wire_put_u64(struct text *out, uint64_t value)
{
	value = htole64(value);
	text_append(out, &value, sizeof(value));
}

void wire_put_double(struct text *out, double value)
{
	uint64_t bits;

	memcpy(&bits, &value, sizeof(bits));
	wire_put_u64(out, bits);
}

void wire_put_span(struct text *out, struct span value)
{
	ASSERT(value.len <= UINT32_MAX);
	wire_put_u32(out, (uint32_t)value.len);
	text_append(out, value.data, value.len);
}

/* Copies the next size bytes, or zeroes, to out. */
static void take(struct wire_reader *r, void *out, size_t size)
{
	if (r->failed || r->left < size) {
		r->failed = true;
		memset(out, 0, size);
		return;
	}
	memcpy(out, r->at, size);
	r->at += size;
	r->left -= size;
}

uint8_t wire_get_u8(struct wire_reader *r)
{
	uint8_t value;

	take(r, &value, sizeof(value));
	return value;
}

uint16_t wire_get_u16(struct wire_reader *r)
{
	uint16_t value;

	take(r, &value, sizeof(value));
	return le16toh(value);
}

uint32_t wire_get_u32(struct wire_reader *r)
{
	uint32_t value;

	take(r, &value, sizeof(value));
	return le32toh(value);
}

uint64_t wire_get_u64(struct wire_reader *r)
{
	uint64_t value;

	take(r, &value, sizeof(value));
	return le64toh(value);
}

double wire_get_double(struct wire_reader *r)
{
	uint64_t bits = wire_get_u64(r);
	double value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

struct span wire_get_span(struct wire_reader *r)
{
	uint32_t len = wire_get_u32(r);
	struct span value;

	if (r->failed || r->left < len) {
		r->failed = true;
		return (struct span){ "", 0 };
	}
	value = (struct span){ (const char *)r->at, len };
	r->at += len;
	r->left -= len;
	return value;
}
