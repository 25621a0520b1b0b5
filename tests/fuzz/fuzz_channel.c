/* fuzz_channel.c - frames and messages from a peer, any bytes
 *
 * The first bytes choose who the peer is and whether the rest is frames or the payload of one
 * message. What is delivered is within the limits of its type, and a message that decodes is
 * encoded to the very same bytes again.
 */
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/mem.h"
#include "channel/frame_priv.h"
#include "channel/protocol.h"
#include "channel/protocol_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_message(const struct channel_message *m, uint8_t link)
{
	const struct protocol_layout *layout = protocol_layout(m->type);
	struct protocol_memory memory;
	char *decoded;

	ASSERT(m->type >= CHANNEL_TYPE_FIRST && m->type >> 8 == link);
	ASSERT((int64_t)m->payload.len <= protocol_limit(link, m->type));
	if (!layout)
		return;
	protocol_memory_init(&memory);
	decoded = mem_zalloc(layout->size);
	if (protocol_decode(m->type, m->payload, decoded, &memory, NULL) == 0) {
		struct text again;

		text_init(&again);
		protocol_encode(&again, m->type, decoded);
		ASSERT(span_equal(text_span(&again), m->payload));
		text_done(&again);
	}
	mem_free(decoded);
	protocol_memory_done(&memory);
}

/* As channel.c does with its buffer, up to the end or an error. */
static void take_all(struct frame_sequence *s, struct span bytes, uint8_t link)
{
	while (bytes.len >= CHANNEL_HEADER_SIZE) {
		struct channel_message m;
		struct frame_header h;
		struct span payload;
		int rc;

		frame_header_read(&h, (const uint8_t *)bytes.data);
		if (frame_sequence_check(s, &h, NULL) < 0)
			return;
		if (bytes.len - CHANNEL_HEADER_SIZE < h.length)
			return;
		payload = (struct span){ bytes.data + CHANNEL_HEADER_SIZE, h.length };
		rc = frame_sequence_take(s, &h, payload, -1, &m, NULL);
		if (rc < 0)
			return;
		if (rc == 1)
			check_message(&m, link);
		bytes.data += CHANNEL_HEADER_SIZE + h.length;
		bytes.len -= CHANNEL_HEADER_SIZE + h.length;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame_sequence s;
	struct text bytes;
	uint8_t link;

	if (size < 4)
		return 0;
	link = (uint8_t)(1 + data[0] % (PROTOCOL_LINK_COUNT - 1));
	frame_sequence_init(&s, protocol_limit, link, data[0] & 0x80);
	text_init(&bytes);
	if (data[1] & 1)
		frame_append_hello(&bytes);
	if (data[1] & 2) {
		/* The rest is one payload, so that the decoders are reached at once. */
		struct channel_message m = { .type = (uint16_t)(link << 8 | data[2]),
			.id = 1,
			.payload = { (const char *)data + 3, size - 3 },
			.fd = -1 };

		frame_append(&bytes, &m);
	} else {
		text_append(&bytes, data + 3, size - 3);
	}
	take_all(&s, text_span(&bytes), link);
	text_done(&bytes);
	frame_sequence_done(&s);
	return 0;
}
