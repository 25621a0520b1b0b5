/* wire.h - numbers and spans in and out of a message's payload
 *
 * Little endian, no padding; a span is a u32 length and its bytes. Writing appends to a text and
 * cannot fail. A reader never reads past its end: the first read that would sets `failed` for good
 * and from then on every read gives 0 or an empty span, so that a decoder checks once, at its end.
 * Spans that are read borrow from the payload. [any thread]
 */
#ifndef MORTISE_CHANNEL_WIRE_H
#define MORTISE_CHANNEL_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

void wire_put_u8(struct text *out, uint8_t value);
void wire_put_u16(struct text *out, uint16_t value);
void wire_put_u32(struct text *out, uint32_t value);
void wire_put_u64(struct text *out, uint64_t value);
void wire_put_double(struct text *out, double value);
void wire_put_span(struct text *out, struct span value); /* at most UINT32_MAX bytes */

struct wire_reader {
	const uint8_t *at;
	size_t left;
	bool failed;
};

static inline struct wire_reader wire_reader(struct span payload)
{
	return (struct wire_reader){ (const uint8_t *)payload.data, payload.len, false };
}

uint8_t wire_get_u8(struct wire_reader *r);
uint16_t wire_get_u16(struct wire_reader *r);
uint32_t wire_get_u32(struct wire_reader *r);
uint64_t wire_get_u64(struct wire_reader *r);
double wire_get_double(struct wire_reader *r);
struct span wire_get_span(struct wire_reader *r);

/* Everything was read, nothing is left, and no read failed. */
static inline bool wire_reader_complete(const struct wire_reader *r)
{
	return !r->failed && r->left == 0;
}

#endif
