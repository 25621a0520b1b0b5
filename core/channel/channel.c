/* Output collects in one buffer. A uv_prepare, which libuv runs just before it would block, sends
 * it with one sendmsg; what the socket does not take waits for the poll handle to say writable. A
 * prepare handle that is started while libuv runs the prepare handles comes a turn too late, so no
 * callback of the owner's runs inside one: on_writable always comes from the poll handle.
 *
 * A descriptor must travel with the first byte of its frame, so a sendmsg ends where the next such
 * frame begins. On the other side the kernel ends a recvmsg behind the bytes that brought one, and
 * descriptors wait in a queue for the frames that announce them, in the same order.
 */
#include "channel/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <uv.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/mem.h"
#include "channel/frame_priv.h"

#define CHANNEL_MAGIC_ALIVE 0x4368616eu

#define INPUT_SIZE      (2 * (CHANNEL_FRAME_MAX + CHANNEL_HEADER_SIZE))
#define INPUT_KEEP      16384 /* an idle channel gives a buffer back that was filled past this */
#define READS_A_TURN    8     /* so that one busy peer does not keep the loop */
#define SEND_A_TURN     (1u << 20)
#define OUTPUT_KEEP     (1u << 18)
#define DESCRIPTORS_MAX 16 /* received and not yet claimed by a frame */
#define HANDLES         3

enum channel_state {
	STATE_OPEN,
	STATE_FLUSHING, /* the owner closed; the output is on its way out */
	STATE_CLOSED    /* the handles are closing; on_close is next */
};

/* A queued descriptor: goes with the byte at this position of the output. */
struct passing {
	size_t at;
	int fd;
};

struct channel {
	uint32_t magic;
	enum channel_state state;
	int fd;
	char *peer;
	const struct channel_events *events;
	void *user;
	uint32_t handshake_ms;
	uint32_t beat_ms;
	uint32_t silence_ms;
	size_t output_limit;
	int handles; /* still to be closed */
	uv_poll_t poll;
	uv_prepare_t prepare;
	uv_timer_t timer;
	bool polling_write;
	bool waiting; /* somebody was told ERR_AGAIN */
	bool muted;   /* the peer does not take anything any more */
	bool sent;    /* something, since the last tick */

	struct text out;
	size_t out_sent;
	struct passing *passing;
	size_t passing_count;

	char *in; /* INPUT_SIZE, or NULL */
	size_t in_len;
	size_t in_peak;
	int received[DESCRIPTORS_MAX];
	size_t received_count;
	struct frame_sequence sequence;
	uint64_t heard_ms; /* loop time of the last byte that came */

	int rc; /* why it ended */
	struct error reason;
};

size_t channel_pending(const struct channel *ch)
{
	return ch->out.len - ch->out_sent;
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct channel *ch = handle->data;

	if (--ch->handles > 0)
		return;
	ch->events->on_close(ch->user, ch->rc, ch->reason.text);
	ch->magic = 0;
	mem_free(ch->peer);
	mem_free(ch->in);
	text_done(&ch->out);
	mem_free(ch->passing);
	frame_sequence_done(&ch->sequence);
	mem_free(ch);
}

static void drop_received(struct channel *ch)
{
	for (size_t i = 0; i < ch->received_count; i++)
		(void)close(ch->received[i]);
	ch->received_count = 0;
}

static void forget_output(struct channel *ch)
{
	for (size_t i = 0; i < ch->passing_count; i++)
		(void)close(ch->passing[i].fd);
	ch->passing_count = 0;
	ch->out_sent = ch->out.len;
}

/* The one way into STATE_CLOSED; rc and reason are set. */
static void finish(struct channel *ch)
{
	ASSERT(ch->state != STATE_CLOSED);
	ch->state = STATE_CLOSED;
	uv_close((uv_handle_t *)&ch->poll, on_handle_closed);
	uv_close((uv_handle_t *)&ch->prepare, on_handle_closed);
	uv_close((uv_handle_t *)&ch->timer, on_handle_closed);
	(void)close(ch->fd);
	ch->fd = -1;
	drop_received(ch);
	forget_output(ch);
}

/* ch->reason holds the text. While the owner's own close is flushing, that stays the reason. */
static void fail_with_reason(struct channel *ch, int rc)
{
	if (ch->state == STATE_CLOSED)
		return;
	if (ch->state == STATE_FLUSHING) {
		ch->rc = 0;
		ch->reason.text[0] = '\0';
	} else {
		ch->rc = rc;
		(void)error_wrap(&ch->reason, "%s", ch->peer);
	}
	finish(ch);
}

static void fail(struct channel *ch, int rc, const char *text)
{
	(void)error_set(&ch->reason, rc, "%s", text);
	fail_with_reason(ch, rc);
}

/* ---- output ---- */

static void poll_again(struct channel *ch, bool writable);

/* Send some; returns false when the socket takes no more now or for good. */
static bool send_some(struct channel *ch)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { ch->out.data + ch->out_sent, channel_pending(ch) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	bool passes = ch->passing_count > 0 && ch->passing[0].at == ch->out_sent;
	size_t boundary = passes ? 1 : 0; /* index of the passing that ends this piece */
	ssize_t n;

	if (ch->passing_count > boundary)
		iov.iov_len = ch->passing[boundary].at - ch->out_sent;
	if (passes) {
		memset(&control, 0, sizeof(control));
		msg.msg_control = control.bytes;
		msg.msg_controllen = sizeof(control.bytes);
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.align), &ch->passing[0].fd, sizeof(int));
	}
	do
		n = sendmsg(ch->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n == -1 && errno == EINTR);
	if (n == -1) {
		/* ETOOMANYREFS: our user has too many descriptors in flight; it passes. */
		if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM || errno == ETOOMANYREFS)
			return false;
		/* What the peer said before it left is still to be read; reading sees the end. */
		ch->muted = true;
		return false;
	}
	if (passes) {
		(void)close(ch->passing[0].fd);
		ch->passing_count--;
		memmove(ch->passing, ch->passing + 1, ch->passing_count * sizeof(*ch->passing));
	}
	ch->out_sent += (size_t)n;
	ch->sent = true;
	return true;
}

/* Give back the room of what was sent. */
static void tidy_output(struct channel *ch)
{
	size_t gone = ch->out_sent;

	if (channel_pending(ch) > 0 && gone < SEND_A_TURN)
		return;
	for (size_t i = 0; i < ch->passing_count; i++)
		ch->passing[i].at -= gone;
	ch->out_sent = 0;
	if (gone == ch->out.len && ch->out.cap > OUTPUT_KEEP) {
		text_done(&ch->out);
		text_init(&ch->out);
	} else {
		text_consume(&ch->out, gone);
	}
}

static void flush_output(struct channel *ch)
{
	size_t begin = ch->out_sent;

	while (channel_pending(ch) > 0 && ch->out_sent - begin < SEND_A_TURN)
		if (!send_some(ch))
			break;
	if (ch->muted)
		forget_output(ch);
	tidy_output(ch);
	if (channel_pending(ch) == 0 && ch->state == STATE_FLUSHING) {
		finish(ch);
		return;
	}
	/* A waiting owner is called from the poll handle, which must be asked to fire. */
	poll_again(ch, channel_pending(ch) > 0 || ch->waiting);
}

static void on_prepare(uv_prepare_t *prepare)
{
	struct channel *ch = prepare->data;

	(void)uv_prepare_stop(prepare);
	if (ch->state != STATE_CLOSED && !ch->polling_write)
		flush_output(ch);
}

static void schedule_flush(struct channel *ch)
{
	if (ch->state != STATE_CLOSED && !ch->polling_write)
		(void)uv_prepare_start(&ch->prepare, on_prepare);
}

static int pass_descriptor(struct channel *ch, int fd, size_t at)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (copy == -1)
		return ERR_SYSTEM;
	ch->passing = mem_realloc(ch->passing, (ch->passing_count + 1) * sizeof(*ch->passing));
	ch->passing[ch->passing_count++] = (struct passing){ at, copy };
	return 0;
}

int channel_send(struct channel *ch, const struct channel_message *message)
{
	size_t size = message->payload.len + CHANNEL_HEADER_SIZE;
	int rc;

	ASSERT(ch->magic == CHANNEL_MAGIC_ALIVE && message->type >= CHANNEL_TYPE_FIRST);
	ASSERT(message->fd < 0 || ch->sequence.control);
	if (ch->state != STATE_OPEN)
		return ERR_CLOSED;
	if (size > CHANNEL_OUTPUT_MAX)
		return ERR_TOO_LARGE;
	if (!message->credited && !channel_writable(ch))
		return ERR_AGAIN;
	if (channel_pending(ch) + size > CHANNEL_OUTPUT_MAX) {
		fail(ch, ERR_LIMIT, "it does not read what it is sent");
		return ERR_CLOSED;
	}
	if (message->fd >= 0) {
		rc = pass_descriptor(ch, message->fd, ch->out.len);
		if (rc < 0)
			return rc;
	}
	frame_append(&ch->out, message);
	schedule_flush(ch);
	return 0;
}

bool channel_writable(struct channel *ch)
{
	if (ch->state != STATE_OPEN)
		return false;
	if (channel_pending(ch) < ch->output_limit)
		return true;
	ch->waiting = true;
	schedule_flush(ch);
	return false;
}

/* ---- input ---- */

/* Queue the descriptors of msg; false ends the channel. */
static bool collect_descriptors(struct channel *ch, struct msghdr *msg)
{
	bool fits = true;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t count;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (ch->received_count < DESCRIPTORS_MAX) {
				ch->received[ch->received_count++] = fd;
			} else {
				(void)close(fd);
				fits = false;
			}
		}
	}
	if (fits && !(msg->msg_flags & MSG_CTRUNC))
		return true;
	fail(ch, ERR_PROTOCOL, "descriptors that no message announces");
	return false;
}

static void deliver(struct channel *ch, struct channel_message *message)
{
	ch->events->on_message(ch->user, message);
	if (message->fd >= 0)
		(void)close(message->fd);
}

/* Take one frame whose header and payload are there. */
static void take_frame(struct channel *ch, const struct frame_header *h, struct span payload)
{
	bool greeted = ch->sequence.greeted;
	struct channel_message message;
	int fd = -1, rc;

	if (h->flags & CHANNEL_FRAME_FD) {
		if (ch->received_count == 0) {
			fail(ch, ERR_PROTOCOL, "the descriptor of a message is missing");
			return;
		}
		fd = ch->received[0];
		ch->received_count--;
		memmove(ch->received, ch->received + 1, ch->received_count * sizeof(int));
	}
	rc = frame_sequence_take(&ch->sequence, h, payload, fd, &message, &ch->reason);
	if (rc < 0)
		fail_with_reason(ch, rc);
	else if (rc == 1)
		deliver(ch, &message);
	else if (!greeted && ch->events->on_open)
		ch->events->on_open(ch->user);
}

/* Take all whole frames of the buffer; what is left of the last one moves to its front. */
static void parse_input(struct channel *ch)
{
	size_t at = 0;

	while (ch->state == STATE_OPEN && ch->in_len - at >= CHANNEL_HEADER_SIZE) {
		struct frame_header h;

		frame_header_read(&h, (const uint8_t *)ch->in + at);
		if (frame_sequence_check(&ch->sequence, &h, &ch->reason) < 0) {
			fail_with_reason(ch, ERR_PROTOCOL);
			return;
		}
		if (ch->in_len - at < CHANNEL_HEADER_SIZE + h.length)
			break;
		take_frame(ch, &h, (struct span){ ch->in + at + CHANNEL_HEADER_SIZE, h.length });
		at += CHANNEL_HEADER_SIZE + h.length;
	}
	if (at > 0) {
		ch->in_len -= at;
		memmove(ch->in, ch->in + at, ch->in_len);
	}
}

/* One recvmsg. Returns whether there may be more. */
static bool read_some(struct channel *ch)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(DESCRIPTORS_MAX * sizeof(int))];
	} control;
	struct iovec iov;
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (ch->state == STATE_FLUSHING)
		ch->in_len = 0;
	iov = (struct iovec){ ch->in + ch->in_len, INPUT_SIZE - ch->in_len };
	if (ch->sequence.control) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = sizeof(control.bytes);
	}
	do
		n = recvmsg(ch->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n == -1 && errno == EINTR);
	if (n == -1 && (errno == EAGAIN || errno == ENOMEM || errno == ENOBUFS))
		return false;
	if (n == -1 && errno != ECONNRESET) {
		(void)error_set_errno(&ch->reason, errno, "read");
		fail_with_reason(ch, ERR_SYSTEM);
		return false;
	}
	/* A channel that takes no descriptors gives no room for them, and the kernel says so. */
	if (n > 0 && !collect_descriptors(ch, &msg))
		return false;
	if (n <= 0) {
		fail(ch, ERR_CLOSED,
			ch->in_len > 0 || ch->sequence.partial
				? "it closed the channel inside a message"
				: "it closed the channel");
		return false;
	}
	ch->heard_ms = uv_now(ch->poll.loop);
	if (ch->state == STATE_FLUSHING) {
		drop_received(ch);
		return true;
	}
	ch->in_len += (size_t)n;
	if (ch->in_len > ch->in_peak)
		ch->in_peak = ch->in_len;
	parse_input(ch);
	return (size_t)n == iov.iov_len;
}

static void read_input(struct channel *ch)
{
	if (!ch->in)
		ch->in = mem_alloc(INPUT_SIZE);
	for (int i = 0; i < READS_A_TURN && ch->state != STATE_CLOSED; i++)
		if (!read_some(ch))
			return;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct channel *ch = poll->data;

	/* A peer that left with something unread is an error to poll; what it said still waits. */
	if (status < 0 || (events & UV_READABLE))
		read_input(ch);
	if (status < 0 && ch->state != STATE_CLOSED) {
		fail(ch, ERR_CLOSED, "it closed the channel");
		return;
	}
	if (ch->state == STATE_CLOSED || !(events & UV_WRITABLE))
		return;
	flush_output(ch);
	if (ch->state == STATE_OPEN && ch->waiting && channel_pending(ch) <= ch->output_limit / 2) {
		ch->waiting = false;
		if (ch->events->on_writable)
			ch->events->on_writable(ch->user);
		if (ch->state != STATE_CLOSED)
			poll_again(ch, channel_pending(ch) > 0 || ch->waiting);
	}
}

static void poll_again(struct channel *ch, bool writable)
{
	if (writable == ch->polling_write)
		return;
	ch->polling_write = writable;
	if (uv_poll_start(&ch->poll, UV_READABLE | (writable ? UV_WRITABLE : 0), on_poll) != 0)
		BUG("uv_poll_start refused");
}

/* ---- time ---- */

static void send_beat(struct channel *ch)
{
	struct frame_header h = { 0, CHANNEL_TYPE_BEAT, 0, 0 };

	frame_header_write((uint8_t *)text_reserve(&ch->out, CHANNEL_HEADER_SIZE), &h);
	text_grown(&ch->out, CHANNEL_HEADER_SIZE);
	schedule_flush(ch);
}

/* Silence counts only after what waits in the socket was read: we may be the one that slept. */
static void check_silence(struct channel *ch, uint32_t limit_ms, const char *what)
{
	uint64_t silent_ms = uv_now(ch->timer.loop) - ch->heard_ms;
	uint64_t since = ch->heard_ms;
	char text[96];

	if (limit_ms == 0 || silent_ms < limit_ms)
		return;
	read_input(ch);
	if (ch->state != STATE_OPEN || ch->heard_ms != since)
		return;
	(void)snprintf(text, sizeof(text), "%s for %llu ms", what, (unsigned long long)silent_ms);
	fail(ch, ERR_DEADLINE, text);
}

static void on_tick(uv_timer_t *timer)
{
	struct channel *ch = timer->data;

	if (ch->sequence.greeted)
		check_silence(ch, ch->silence_ms, "it has been silent");
	else
		check_silence(ch, ch->handshake_ms, "it has not said hello");
	if (ch->state != STATE_OPEN)
		return;
	if (!ch->sent && channel_pending(ch) == 0)
		send_beat(ch);
	ch->sent = false;
	if (ch->in_len == 0 && ch->in_peak > INPUT_KEEP) {
		mem_free(ch->in);
		ch->in = NULL;
		ch->in_peak = 0;
	}
}

static void on_flush_timeout(uv_timer_t *timer)
{
	struct channel *ch = timer->data;

	if (ch->state == STATE_FLUSHING)
		finish(ch);
}

/* ---- life ---- */

static uint32_t tick_ms(const struct channel *ch)
{
	uint32_t ms = ch->beat_ms < ch->handshake_ms ? ch->beat_ms : ch->handshake_ms;

	if (ch->silence_ms && ch->silence_ms / 2 < ms)
		ms = ch->silence_ms / 2;
	return ms ? ms : 1;
}

static void start_handles(struct channel *ch, struct uv_loop_s *loop)
{
	(void)uv_prepare_init(loop, &ch->prepare);
	(void)uv_timer_init(loop, &ch->timer);
	ch->poll.data = ch->prepare.data = ch->timer.data = ch;
	ch->handles = HANDLES;
	ch->heard_ms = uv_now(loop);
	if (uv_poll_start(&ch->poll, UV_READABLE, on_poll) != 0 ||
		uv_timer_start(&ch->timer, on_tick, tick_ms(ch), tick_ms(ch)) != 0)
		BUG("libuv refused to start a handle");
}

int channel_start(struct channel **out, struct uv_loop_s *loop, int fd,
	const struct channel_config *config, struct error *err)
{
	struct channel *ch = mem_zalloc(sizeof(*ch));
	int rc;

	rc = uv_poll_init(loop, &ch->poll, fd);
	if (rc != 0) {
		(void)close(fd);
		mem_free(ch);
		return error_set(err, ERR_SYSTEM, "%s: %s", config->peer, uv_strerror(rc));
	}
	ch->magic = CHANNEL_MAGIC_ALIVE;
	ch->fd = fd;
	ch->peer = mem_strdup(config->peer);
	ch->events = config->events;
	ch->user = config->user;
	ch->handshake_ms = config->handshake_ms ? config->handshake_ms : CHANNEL_HANDSHAKE_MS;
	ch->beat_ms = config->beat_ms ? config->beat_ms : CHANNEL_BEAT_MS;
	ch->silence_ms = config->silence_ms;
	ch->output_limit = config->output_limit ? config->output_limit : CHANNEL_OUTPUT_LIMIT;
	text_init(&ch->out);
	frame_sequence_init(&ch->sequence, config->limit, config->link, config->control);
	start_handles(ch, loop);
	frame_append_hello(&ch->out);
	schedule_flush(ch);
	*out = ch;
	return 0;
}

void channel_close(struct channel *ch)
{
	ASSERT(ch->magic == CHANNEL_MAGIC_ALIVE);
	if (ch->state != STATE_OPEN)
		return;
	ch->state = STATE_FLUSHING;
	(void)uv_timer_start(&ch->timer, on_flush_timeout, CHANNEL_FLUSH_MS, 0);
	schedule_flush(ch);
}

void channel_fail(struct channel *ch, int rc, const char *text)
{
	ASSERT(ch->magic == CHANNEL_MAGIC_ALIVE);
	if (ch->state == STATE_OPEN)
		fail(ch, rc, text);
}

void channel_forked(struct channel *ch)
{
	if (ch->fd >= 0)
		(void)close(ch->fd);
}
