#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "base/mem.h"
#include "channel/channel.h"
#include "channel/frame_priv.h"

struct channel_line {
	int fd;
	char *peer;
	struct frame_sequence sequence;
	bool greeted; /* our HELLO is sent */
	struct text out;
	char payload[CHANNEL_FRAME_MAX];
};

struct channel_line *channel_line_new(
	int fd, const char *peer, channel_limit_cb limit, uint8_t link, bool control)
{
	struct channel_line *line = mem_zalloc(sizeof(*line));

	line->fd = fd;
	line->peer = mem_strdup(peer);
	frame_sequence_init(&line->sequence, limit, link, control);
	text_init(&line->out);
	return line;
}

void channel_line_free(struct channel_line *line)
{
	if (!line)
		return;
	frame_sequence_done(&line->sequence);
	text_done(&line->out);
	mem_free(line->peer);
	mem_free(line);
}

/* Sends data; fd, unless it is -1, goes with the first byte. */
static int send_all(struct channel_line *line, struct span data, int fd, struct error *err)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };

	while (data.len > 0) {
		struct iovec iov = { (char *)data.data, data.len };
		struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
		ssize_t n;

		if (fd >= 0) {
			msg.msg_control = control.bytes;
			msg.msg_controllen = sizeof(control.bytes);
			control.align.cmsg_level = SOL_SOCKET;
			control.align.cmsg_type = SCM_RIGHTS;
			control.align.cmsg_len = CMSG_LEN(sizeof(int));
			memcpy(CMSG_DATA(&control.align), &fd, sizeof(fd));
		}
		n = sendmsg(line->fd, &msg, MSG_NOSIGNAL);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && (errno == EPIPE || errno == ECONNRESET))
			return error_set(err, ERR_CLOSED, "%s closed the channel", line->peer);
		if (n == -1)
			return error_set_errno(err, errno, "%s: write", line->peer);
		fd = -1;
		data.data += n;
		data.len -= (size_t)n;
	}
	return 0;
}

static int greet(struct channel_line *line, struct error *err)
{
	int rc;

	if (line->greeted)
		return 0;
	text_clear(&line->out);
	frame_append_hello(&line->out);
	rc = send_all(line, text_span(&line->out), -1, err);
	line->greeted = rc == 0;
	return rc;
}

int channel_line_send(
	struct channel_line *line, const struct channel_message *message, struct error *err)
{
	int rc = greet(line, err);

	if (rc < 0)
		return rc;
	text_clear(&line->out);
	frame_append(&line->out, message);
	return send_all(line, text_span(&line->out), message->fd, err);
}

/* Exactly size bytes; *fd takes a descriptor that came with them. */
static int receive_all(struct channel_line *line, char *to, size_t size, int *fd, struct error *err)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;

	while (size > 0) {
		struct iovec iov = { to, size };
		struct msghdr msg = { .msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control.bytes,
			.msg_controllen = line->sequence.control ? sizeof(control.bytes) : 0 };
		ssize_t n = recvmsg(line->fd, &msg, MSG_CMSG_CLOEXEC);
		struct cmsghdr *c;

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && errno == EAGAIN)
			return error_set(
				err, ERR_DEADLINE, "%s did not answer in time", line->peer);
		if (n == 0 || (n == -1 && errno == ECONNRESET))
			return error_set(err, ERR_CLOSED, "%s closed the channel", line->peer);
		if (n == -1)
			return error_set_errno(err, errno, "%s: read", line->peer);
		c = CMSG_FIRSTHDR(&msg);
		if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
			io_closep(fd);
			memcpy(fd, CMSG_DATA(c), sizeof(*fd));
		}
		if (msg.msg_flags & MSG_CTRUNC)
			return error_set(err, ERR_PROTOCOL,
				"%s: descriptors that no message announces", line->peer);
		to += n;
		size -= (size_t)n;
	}
	return 0;
}

static int receive_frame(
	struct channel_line *line, struct frame_header *h, int *fd, struct error *err)
{
	uint8_t header[CHANNEL_HEADER_SIZE];
	int rc = receive_all(line, (char *)header, sizeof(header), fd, err);

	if (rc < 0)
		return rc;
	frame_header_read(h, header);
	rc = frame_sequence_check(&line->sequence, h, err);
	if (rc < 0)
		return error_wrap(err, "%s", line->peer);
	rc = receive_all(line, line->payload, h->length, fd, err);
	if (rc < 0)
		return rc;
	if (!(h->flags & CHANNEL_FRAME_FD) != (*fd < 0))
		return error_set(err, ERR_PROTOCOL, "%s: a message and its descriptor do not match",
			line->peer);
	return 0;
}

int channel_line_receive(
	struct channel_line *line, struct channel_message *message, struct error *err)
{
	int rc = greet(line, err);

	while (rc == 0) {
		struct frame_header h;
		CLEANUP(io_closep) int fd = -1;

		rc = receive_frame(line, &h, &fd, err);
		if (rc < 0)
			break;
		rc = frame_sequence_take(&line->sequence, &h,
			(struct span){ line->payload, h.length }, fd, message, err);
		fd = -1;
		if (rc < 0)
			return error_wrap(err, "%s", line->peer);
	}
	return rc == 1 ? 0 : rc;
}
