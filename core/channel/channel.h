/* channel.h - messages between two of our processes over a Unix stream socket
 *
 * A message has a type, an id, eight flags of its own and a payload; on a control channel also a
 * descriptor. It travels in frames of at most 64 KiB of payload: a 16-byte little-endian header
 * {u32 length, u16 type, u16 flags, u64 id} and the bytes. The first frame each way is HELLO. All
 * that one turn of the loop sends leaves in one sendmsg. A channel always reads, whatever waits in
 * its output: credits of the protocol bound what the peer may have outstanding, so no cycle of
 * waiting ends can form. The peer is hostile: whatever it sends, the worst outcome is on_close
 * with ERR_PROTOCOL and a text. Knows no meaning of a message (protocol.h does). [loop thread]
 */
#ifndef MORTISE_CHANNEL_CHANNEL_H
#define MORTISE_CHANNEL_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

struct error;
struct uv_loop_s;
struct channel; /* opaque */

#define CHANNEL_FRAME_MAX    65536 /* payload of one frame */
#define CHANNEL_HEADER_SIZE  16
#define CHANNEL_MAGIC        UINT32_C(0x5a54524d) /* "MRTZ" on the wire */
#define CHANNEL_WIRE_VERSION 1

/* Types below CHANNEL_TYPE_FIRST are the channel's own and never reach on_message. */
enum {
	CHANNEL_TYPE_HELLO = 1, /* {u32 magic, u32 wire version} */
	CHANNEL_TYPE_BEAT = 2,  /* empty; sent when nothing else was for beat_ms */
	CHANNEL_TYPE_FIRST = 16
};

/* Flags of a frame. MORE: the message goes on in the next frame, of the same type and id. FD: a
 * descriptor accompanies (first frame only, control channels only). The upper eight belong to the
 * message and are those of its first frame. */
#define CHANNEL_FRAME_MORE   (1u << 0)
#define CHANNEL_FRAME_FD     (1u << 1)
#define CHANNEL_FLAGS_OF_USE 0xff00u

struct channel_message {
	uint16_t type;
	uint16_t flags; /* within CHANNEL_FLAGS_OF_USE */
	uint64_t id;
	struct span payload; /* received: valid during on_message only */
	int fd;              /* -1: none. Received: take it by setting -1, else it is closed after
				on_message. Sent: stays the caller's, a duplicate is queued. */
	bool credited;       /* sent: its number is bounded by the protocol's credits, so queue it
				past the output limit too */
};

/* The longest message of a type that the peer on this link may send, all frames together; -1: the
 * peer may not send it. protocol_limit() is the one in use. */
typedef int64_t (*channel_limit_cb)(uint8_t link, uint16_t type);

struct channel_events {
	/* The peer's HELLO came and fits. May be NULL. */
	void (*on_open)(void *user);
	/* A whole message. channel_close() may be called inside. */
	void (*on_message)(void *user, struct channel_message *message);
	/* After ERR_AGAIN: the output is half empty again. May be NULL if the caller never waits.
	 */
	void (*on_writable)(void *user);
	/* The end, exactly once, never from within a call of the owner's; the channel's memory is
	 * released when it returns. rc 0: the owner closed it. ERR_CLOSED: the peer did.
	 * ERR_PROTOCOL: the peer broke the protocol. ERR_DEADLINE: no HELLO in time, or silence.
	 * ERR_LIMIT: the peer does not read. ERR_SYSTEM: the socket failed. */
	void (*on_close)(void *user, int rc, const char *text);
};

struct channel_config {
	const char *peer;                    /* for error texts: "worker of acme/geo"; copied */
	const struct channel_events *events; /* outlives the channel */
	void *user;
	channel_limit_cb limit;
	uint8_t link;          /* what the peer may send: PROTOCOL_LINK_..., handed to limit */
	bool control;          /* descriptors may pass */
	uint32_t handshake_ms; /* 0: CHANNEL_HANDSHAKE_MS */
	uint32_t beat_ms;      /* 0: CHANNEL_BEAT_MS */
	uint32_t silence_ms;   /* a peer silent for longer is dead; 0: never */
	size_t output_limit;   /* 0: CHANNEL_OUTPUT_LIMIT */
};

#define CHANNEL_HANDSHAKE_MS 5000
#define CHANNEL_BEAT_MS      1000
/* ERR_AGAIN beyond; */
#define CHANNEL_OUTPUT_LIMIT (4u << 20)
/* a peer that lets credited messages pile up past this does not read, and is given up. */
#define CHANNEL_OUTPUT_MAX (96u << 20)
/* After channel_close() what is queued has this long to leave. */
#define CHANNEL_FLUSH_MS 1000

/* Begin a channel on fd, a connected Unix stream socket, which is the channel's from here on, also
 * when this fails (ERR_SYSTEM). HELLO is sent at once; messages may be sent before on_open. */
int channel_start(struct channel **out, struct uv_loop_s *loop, int fd,
	const struct channel_config *config, struct error *err);

/* Queue a message; it is copied. Not from a uv_prepare callback of the owner's. ERR_AGAIN: more
 * than output_limit bytes wait and the message is not credited; on_writable follows. ERR_CLOSED:
 * the channel is closing. ERR_TOO_LARGE: longer than the peer would accept (CHANNEL_OUTPUT_MAX).
 * ERR_SYSTEM: the descriptor could not be duplicated. Nothing is queued then. */
int channel_send(struct channel *ch, const struct channel_message *message);

/* Whether channel_send() would take a message that is not credited. False: on_writable follows. */
bool channel_writable(struct channel *ch);

/* Bytes that were sent and have not left yet. */
size_t channel_pending(const struct channel *ch);

/* Close: what is queued is sent, within CHANNEL_FLUSH_MS; no callback but on_close comes any more.
 * Calling it again does nothing. */
void channel_close(struct channel *ch);

/* The peer sent a message that is well-formed and wrong: drop what is queued and close; on_close
 * gives rc and text. */
void channel_fail(struct channel *ch, int rc, const char *text);

/* In a child of fork(): close its copy of the descriptor, so that the peer sees the end of the
 * parent when it comes. Nothing else may be called on the channel there. [forked child] */
void channel_forked(struct channel *ch);

/* For programs that run no loop (mortise-stage) and for tests: the same frames, blocking, on a
 * socket that stays the caller's and outlives the line. Beats of the peer are passed over, none
 * are sent; a receive timeout of the socket (SO_RCVTIMEO) gives ERR_DEADLINE. */
struct channel_line; /* opaque */

struct channel_line *channel_line_new(
	int fd, const char *peer, channel_limit_cb limit, uint8_t link, bool control);
void channel_line_free(struct channel_line *line);
/* Send the whole message; HELLO goes first by itself. ERR_CLOSED: the peer closed. */
int channel_line_send(
	struct channel_line *line, const struct channel_message *message, struct error *err);
/* The next message; its payload is valid until the next call, its fd (-1: none) is the caller's.
 * ERR_CLOSED: the peer closed. ERR_PROTOCOL: it broke the protocol. */
int channel_line_receive(
	struct channel_line *line, struct channel_message *message, struct error *err);

#endif
