/* protocol_priv.h - how the fields of a message lie in its struct
 *
 * The tables that the encoder and the decoder walk; a unit test proves that they cover each struct.
 */
#ifndef MORTISE_CHANNEL_PROTOCOL_PRIV_H
#define MORTISE_CHANNEL_PROTOCOL_PRIV_H

#include <stddef.h>
#include <stdint.h>

enum protocol_kind {
	PROTOCOL_KIND_U32,
	PROTOCOL_KIND_I32,
	PROTOCOL_KIND_U64,
	PROTOCOL_KIND_I64,
	PROTOCOL_KIND_DOUBLE,
	PROTOCOL_KIND_SPAN,
	PROTOCOL_KIND_LIST, /* { const void *items; uint32_t count; } of `element` */
	PROTOCOL_KIND_COUNT
};

struct protocol_layout;

struct protocol_field {
	uint16_t offset;
	uint16_t size;
	enum protocol_kind kind;
	const struct protocol_layout *element;
};

struct protocol_layout {
	const char *name;
	size_t size;
	const struct protocol_field *fields;
	size_t count;
};

/* NULL for a type that has no fields or is none. */
const struct protocol_layout *protocol_layout(uint16_t type);

#endif
