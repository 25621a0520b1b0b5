/* frame_priv.h - one frame, and what may follow what
 *
 * Pure: no socket, no loop. A sequence is the receiving side of one channel: it checks each header
 * as soon as it is there, and puts messages together. What it refuses ends the channel.
 */
#ifndef MORTISE_CHANNEL_FRAME_PRIV_H
#define MORTISE_CHANNEL_FRAME_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"
#include "channel/channel.h"

struct error;

struct frame_header {
	uint32_t length;
	uint16_t type;
	uint16_t flags;
	uint64_t id;
};

void frame_header_write(uint8_t out[static CHANNEL_HEADER_SIZE], const struct frame_header *h);
void frame_header_read(struct frame_header *out, const uint8_t in[static CHANNEL_HEADER_SIZE]);

/* Append message as its frames. */
void frame_append(struct text *out, const struct channel_message *message);
void frame_append_hello(struct text *out);

struct frame_sequence {
	channel_limit_cb limit;
	uint8_t link;
	bool control;
	bool greeted; /* the peer's HELLO was taken */
	bool partial; /* between the frames of a message: */
	struct frame_header first;
	int fd;               /* that came with its first frame, or -1 */
	struct text assembly; /* its payload so far, or the last whole one */
};

void frame_sequence_init(
	struct frame_sequence *s, channel_limit_cb limit, uint8_t link, bool control);
void frame_sequence_done(struct frame_sequence *s);

/* May this frame come now? Its payload need not be there yet. ERR_PROTOCOL. */
int frame_sequence_check(
	const struct frame_sequence *s, const struct frame_header *h, struct error *err);

/* Take a checked frame with its payload, and the descriptor that its FD flag promises (else -1),
 * which is the sequence's from here on. Returns 1 with the message in *out (payload valid until
 * the next call, descriptor the caller's), 0 when none is whole yet, or ERR_PROTOCOL. */
int frame_sequence_take(struct frame_sequence *s, const struct frame_header *h, struct span payload,
	int fd, struct channel_message *out, struct error *err);

#endif
