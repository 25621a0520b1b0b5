#include "channel/frame_priv.h"

#include <endian.h>
#include <unistd.h>

#include "base/error.h"
#include "channel/wire.h"

#define HELLO_SIZE 8
/* An assembly that grew past this is given back after its message. */
#define ASSEMBLY_KEEP CHANNEL_FRAME_MAX

void frame_header_write(uint8_t out[static CHANNEL_HEADER_SIZE], const struct frame_header *h)
{
	uint32_t length = htole32(h->length);
	uint16_t type = htole16(h->type), flags = htole16(h->flags);
	uint64_t id = htole64(h->id);

	memcpy(out, &length, 4);
	memcpy(out + 4, &type, 2);
	memcpy(out + 6, &flags, 2);
	memcpy(out + 8, &id, 8);
}

void frame_header_read(struct frame_header *out, const uint8_t in[static CHANNEL_HEADER_SIZE])
{
	memcpy(&out->length, in, 4);
	memcpy(&out->type, in + 4, 2);
	memcpy(&out->flags, in + 6, 2);
	memcpy(&out->id, in + 8, 8);
	out->length = le32toh(out->length);
	out->type = le16toh(out->type);
	out->flags = le16toh(out->flags);
	out->id = le64toh(out->id);
}

void frame_append(struct text *out, const struct channel_message *message)
{
	struct span rest = message->payload;
	uint16_t flags = message->flags & CHANNEL_FLAGS_OF_USE;

	if (message->fd >= 0)
		flags |= CHANNEL_FRAME_FD;
	do {
		struct frame_header h = { (uint32_t)rest.len, message->type, flags, message->id };
		uint8_t *at;

		if (rest.len > CHANNEL_FRAME_MAX) {
			h.length = CHANNEL_FRAME_MAX;
			h.flags |= CHANNEL_FRAME_MORE;
		}
		at = (uint8_t *)text_reserve(out, CHANNEL_HEADER_SIZE + h.length);
		frame_header_write(at, &h);
		if (h.length) {
			memcpy(at + CHANNEL_HEADER_SIZE, rest.data, h.length);
			rest.data += h.length;
			rest.len -= h.length;
		}
		text_grown(out, CHANNEL_HEADER_SIZE + h.length);
		flags &= (uint16_t)~CHANNEL_FRAME_FD;
	} while (rest.len > 0);
}

void frame_append_hello(struct text *out)
{
	struct frame_header h = { HELLO_SIZE, CHANNEL_TYPE_HELLO, 0, 0 };

	frame_header_write((uint8_t *)text_reserve(out, CHANNEL_HEADER_SIZE), &h);
	text_grown(out, CHANNEL_HEADER_SIZE);
	wire_put_u32(out, CHANNEL_MAGIC);
	wire_put_u32(out, CHANNEL_WIRE_VERSION);
}

void frame_sequence_init(
	struct frame_sequence *s, channel_limit_cb limit, uint8_t link, bool control)
{
	memset(s, 0, sizeof(*s));
	s->limit = limit;
	s->link = link;
	s->control = control;
	s->fd = -1;
	text_init(&s->assembly);
}

void frame_sequence_done(struct frame_sequence *s)
{
	if (s->fd >= 0)
		(void)close(s->fd);
	s->fd = -1;
	text_done(&s->assembly);
}

static int check_own(
	const struct frame_sequence *s, const struct frame_header *h, struct error *err)
{
	if (h->type == CHANNEL_TYPE_HELLO && !s->greeted && h->length == HELLO_SIZE && !h->flags)
		return 0;
	if (h->type == CHANNEL_TYPE_BEAT && s->greeted && h->length == 0 && !h->flags)
		return 0;
	return error_set(err, ERR_PROTOCOL, "malformed frame of the channel's own type %u",
		(unsigned)h->type);
}

int frame_sequence_check(
	const struct frame_sequence *s, const struct frame_header *h, struct error *err)
{
	size_t so_far = s->partial ? s->assembly.len : 0;
	int64_t limit;

	if (h->length > CHANNEL_FRAME_MAX)
		return error_set(err, ERR_PROTOCOL, "frame of %u bytes, the most is %u", h->length,
			(unsigned)CHANNEL_FRAME_MAX);
	if (!s->greeted && h->type != CHANNEL_TYPE_HELLO)
		return error_set(err, ERR_PROTOCOL, "message of type 0x%04x before the greeting",
			(unsigned)h->type);
	if (s->partial && (h->type != s->first.type || h->id != s->first.id))
		return error_set(err, ERR_PROTOCOL,
			"message of type 0x%04x inside one of type 0x%04x", (unsigned)h->type,
			(unsigned)s->first.type);
	if (h->type < CHANNEL_TYPE_FIRST)
		return check_own(s, h, err);
	if (h->flags & ~(CHANNEL_FLAGS_OF_USE | CHANNEL_FRAME_MORE | CHANNEL_FRAME_FD))
		return error_set(err, ERR_PROTOCOL, "unknown flags 0x%04x", (unsigned)h->flags);
	if ((h->flags & CHANNEL_FRAME_FD) && (!s->control || s->partial))
		return error_set(err, ERR_PROTOCOL, "descriptor where none may come");
	/* A frame that promises more is full: otherwise empty ones could go on for ever. */
	if ((h->flags & CHANNEL_FRAME_MORE) && h->length != CHANNEL_FRAME_MAX)
		return error_set(err, ERR_PROTOCOL, "a frame that is not the last holds %u bytes",
			h->length);
	limit = s->limit(s->link, h->type);
	if (limit < 0)
		return error_set(err, ERR_PROTOCOL, "message of type 0x%04x may not come here",
			(unsigned)h->type);
	if (so_far + h->length > (uint64_t)limit)
		return error_set(err, ERR_PROTOCOL,
			"message of type 0x%04x is longer than its %lld bytes", (unsigned)h->type,
			(long long)limit);
	return 0;
}

static int take_hello(struct frame_sequence *s, struct span payload, struct error *err)
{
	struct wire_reader r = wire_reader(payload);
	uint32_t magic = wire_get_u32(&r);
	uint32_t version = wire_get_u32(&r);

	if (magic != CHANNEL_MAGIC)
		return error_set(
			err, ERR_PROTOCOL, "the greeting is not that of a Mortise process");
	if (version != CHANNEL_WIRE_VERSION)
		return error_set(err, ERR_PROTOCOL, "it speaks wire version %u, this program %u",
			version, (unsigned)CHANNEL_WIRE_VERSION);
	s->greeted = true;
	return 0;
}

static void fill(struct frame_sequence *s, const struct frame_header *h, struct span payload,
	struct channel_message *out)
{
	*out = (struct channel_message){
		.type = h->type,
		.flags = h->flags & CHANNEL_FLAGS_OF_USE,
		.id = h->id,
		.payload = payload,
		.fd = s->fd,
	};
	s->fd = -1;
}

int frame_sequence_take(struct frame_sequence *s, const struct frame_header *h, struct span payload,
	int fd, struct channel_message *out, struct error *err)
{
	if (h->type == CHANNEL_TYPE_HELLO)
		return take_hello(s, payload, err);
	if (h->type == CHANNEL_TYPE_BEAT)
		return 0;
	if (!s->partial) {
		s->first = *h;
		s->fd = fd;
		if (s->assembly.cap > ASSEMBLY_KEEP) {
			text_done(&s->assembly);
			text_init(&s->assembly);
		}
		text_clear(&s->assembly);
		if (!(h->flags & CHANNEL_FRAME_MORE)) {
			fill(s, h, payload, out);
			return 1;
		}
	}
	text_append_span(&s->assembly, payload);
	s->partial = (h->flags & CHANNEL_FRAME_MORE) != 0;
	if (s->partial)
		return 0;
	fill(s, &s->first, text_span(&s->assembly), out);
	return 1;
}
