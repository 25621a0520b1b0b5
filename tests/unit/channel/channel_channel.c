#include "channel/channel.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <uv.h>

#include "base/mem.h"
#include "channel/frame_priv.h"
#include "lib/test.h"

#define LINK   1
#define PLAIN  0x0110 /* up to 1 MiB */
#define SHORT  0x0111 /* up to 4 bytes */
#define FORBID 0x0112
#define MIB    (1u << 20)

static int64_t limits(uint8_t link, uint16_t type)
{
	EXPECT_INT(link, ==, LINK);
	return type == PLAIN ? (int64_t)MIB : type == SHORT ? 4 : -1;
}

/* One end on the loop. */
struct end {
	struct channel *ch;
	int opened, messages, writable, closed;
	int rc;
	char why[256];
	struct text bytes; /* payloads, one behind the other */
	uint16_t type, flags;
	uint64_t id;
	int fd;
	bool close_on_message;
};

static void on_open(void *user)
{
	struct end *e = user;

	e->opened++;
}

static void on_message(void *user, struct channel_message *m)
{
	struct end *e = user;

	EXPECT_INT(e->closed, ==, 0);
	e->messages++;
	e->type = m->type;
	e->flags = m->flags;
	e->id = m->id;
	text_append_span(&e->bytes, m->payload);
	if (m->fd >= 0) {
		e->fd = m->fd;
		m->fd = -1;
	}
	if (e->close_on_message)
		channel_close(e->ch);
}

static void on_writable(void *user)
{
	struct end *e = user;

	e->writable++;
}

static void on_close(void *user, int rc, const char *text)
{
	struct end *e = user;

	EXPECT_INT(e->closed, ==, 0);
	e->closed++;
	e->rc = rc;
	(void)snprintf(e->why, sizeof(e->why), "%s", text);
	e->ch = NULL;
}

static const struct channel_events events = { on_open, on_message, on_writable, on_close };

static uv_loop_t loop;

static void start_with(struct end *e, int fd, struct channel_config config)
{
	struct error err;

	memset(e, 0, sizeof(*e));
	e->fd = -1;
	text_init(&e->bytes);
	config.peer = "the peer";
	config.events = &events;
	config.user = e;
	config.limit = limits;
	config.link = LINK;
	EXPECT_OK(channel_start(&e->ch, &loop, fd, &config, &err), &err);
}

static void start(struct end *e, int fd)
{
	start_with(e, fd, (struct channel_config){ .control = true });
}

static void pair(int fds[2])
{
	EXPECT_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
}

static void two_ends(struct end *a, struct end *b)
{
	int fds[2];

	pair(fds);
	start(a, fds[0]);
	start(b, fds[1]);
}

#define RUN_UNTIL(condition) \
	while (!(condition)) \
	(void)uv_run(&loop, UV_RUN_ONCE)

static int send_one(struct end *e, uint16_t type, uint64_t id, struct span payload)
{
	return channel_send(e->ch,
		&(struct channel_message){ .type = type, .id = id, .payload = payload, .fd = -1 });
}

/* Wait for the end; its reason stays to be looked at. */
static void await_end(struct end *e)
{
	RUN_UNTIL(e->closed);
	text_done(&e->bytes);
}

static void close_both(struct end *a, struct end *b)
{
	if (a->ch)
		channel_close(a->ch);
	if (b->ch)
		channel_close(b->ch);
	RUN_UNTIL(a->closed && b->closed);
	text_done(&a->bytes);
	text_done(&b->bytes);
	(void)uv_run(&loop, UV_RUN_DEFAULT);
	EXPECT_INT(uv_loop_close(&loop), ==, 0);
}

static void begin(void)
{
	EXPECT_INT(uv_loop_init(&loop), ==, 0);
}

TEST(channel_channel__a_message_arrives_with_type_id_and_flags)
{
	struct end a, b;

	begin();
	two_ends(&a, &b);
	EXPECT_INT(channel_send(a.ch, &(struct channel_message){ .type = PLAIN,
					      .flags = 0x0100,
					      .id = 77,
					      .payload = SPAN("hello"),
					      .fd = -1 }),
		==, 0);
	RUN_UNTIL(b.messages == 1);
	EXPECT_INT(b.opened, ==, 1);
	EXPECT_INT(b.type, ==, PLAIN);
	EXPECT_INT(b.flags, ==, 0x0100);
	EXPECT_UINT(b.id, ==, 77);
	EXPECT_SPAN(text_span(&b.bytes), "hello");
	close_both(&a, &b);
}

TEST(channel_channel__messages_of_every_size_arrive_whole_and_in_order)
{
	static const size_t sizes[] = { 0, 1, 65535, 65536, 65537, 131072, 200000, MIB };
	struct text all;
	struct end a, b;

	begin();
	two_ends(&a, &b);
	text_init(&all);
	for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
		char *data = mem_alloc(sizes[i] + 1);

		for (size_t k = 0; k < sizes[i]; k++)
			data[k] = (char)(k * 31 + i);
		text_append(&all, data, sizes[i]);
		EXPECT_INT(send_one(&a, PLAIN, i, (struct span){ data, sizes[i] }), ==, 0);
		mem_free(data);
	}
	RUN_UNTIL(b.messages == (int)ARRAY_LENGTH(sizes));
	EXPECT_TRUE(span_equal(text_span(&all), text_span(&b.bytes)));
	text_done(&all);
	close_both(&a, &b);
}

/* The peer is a bare socket from here on. */
static void write_hello(int fd)
{
	struct text out;

	text_init(&out);
	frame_append_hello(&out);
	EXPECT_INT(write(fd, out.data, out.len), ==, (ssize_t)out.len);
	text_done(&out);
}

static void append_frame(struct text *out, struct frame_header h, const char *payload)
{
	uint8_t header[CHANNEL_HEADER_SIZE];

	frame_header_write(header, &h);
	text_append(out, header, sizeof(header));
	text_append(out, payload, h.length);
}

TEST(channel_channel__frames_torn_byte_by_byte_are_put_together)
{
	struct end a;
	struct text out;
	int fds[2];

	begin();
	pair(fds);
	start(&a, fds[0]);
	text_init(&out);
	frame_append_hello(&out);
	append_frame(&out, (struct frame_header){ 3, PLAIN, 0, 1 }, "abc");
	append_frame(&out, (struct frame_header){ 0, CHANNEL_TYPE_BEAT, 0, 0 }, "");
	append_frame(&out, (struct frame_header){ 2, SHORT, 0, 2 }, "de");
	for (size_t i = 0; i < out.len; i++) {
		EXPECT_INT(write(fds[1], out.data + i, 1), ==, 1);
		(void)uv_run(&loop, UV_RUN_NOWAIT);
	}
	RUN_UNTIL(a.messages == 2);
	EXPECT_SPAN(text_span(&a.bytes), "abcde");
	EXPECT_INT(a.closed, ==, 0);
	text_done(&out);
	(void)close(fds[1]);
	await_end(&a);
	EXPECT_INT(a.rc, ==, ERR_CLOSED);
	EXPECT_CONTAINS(a.why, "the peer");
}

/* Send hello and these bytes; expect the end with ERR_PROTOCOL and a text that says so. */
static void expect_protocol_error(const struct text *bytes, bool hello, const char *says)
{
	struct end a;
	int fds[2];

	begin();
	pair(fds);
	start(&a, fds[0]);
	if (hello)
		write_hello(fds[1]);
	EXPECT_INT(write(fds[1], bytes->data, bytes->len), ==, (ssize_t)bytes->len);
	await_end(&a);
	EXPECT_INT(a.rc, ==, ERR_PROTOCOL);
	EXPECT_CONTAINS(a.why, says);
	EXPECT_INT(a.messages, ==, 0);
	(void)close(fds[1]);
	EXPECT_INT(uv_loop_close(&loop), ==, 0);
}

TEST(channel_channel__what_breaks_the_protocol_ends_it_with_a_reason)
{
	static char full[CHANNEL_FRAME_MAX];
	const struct {
		struct frame_header h;
		bool hello;
		const char *says;
	} cases[] = {
		{ { 3, PLAIN, 0, 1 }, false, "before the greeting" },
		{ { 65537, PLAIN, 0, 1 }, true, "frame of 65537 bytes" },
		{ { UINT32_MAX, PLAIN, 0, 1 }, true, "frame of 4294967295 bytes" },
		{ { 5, SHORT, 0, 1 }, true, "longer than its 4 bytes" },
		{ { 0, FORBID, 0, 1 }, true, "may not come here" },
		{ { 0, 0, 0, 1 }, true, "own type 0" },
		{ { 1, CHANNEL_TYPE_BEAT, 0, 1 }, true, "own type 2" },
		{ { 8, CHANNEL_TYPE_HELLO, 0, 1 }, true, "own type 1" },
		{ { 3, PLAIN, 0x0004, 1 }, true, "unknown flags" },
		{ { 3, PLAIN, CHANNEL_FRAME_MORE, 1 }, true, "not the last" },
		{ { 0, PLAIN, CHANNEL_FRAME_FD, 1 }, true, "is missing" },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct text out;
		struct frame_header h = cases[i].h;
		uint8_t header[CHANNEL_HEADER_SIZE];

		text_init(&out);
		frame_header_write(header, &h);
		text_append(&out, header, sizeof(header));
		text_append(&out, full, h.length < 100 ? h.length : 100);
		expect_protocol_error(&out, cases[i].hello, cases[i].says);
		text_done(&out);
	}
}

TEST(channel_channel__a_wrong_greeting_ends_it)
{
	struct text out;

	text_init(&out);
	append_frame(&out, (struct frame_header){ 8, CHANNEL_TYPE_HELLO, 0, 0 }, "GET \x01\0\0\0");
	expect_protocol_error(&out, false, "not that of a Mortise process");
	text_clear(&out);
	append_frame(&out, (struct frame_header){ 8, CHANNEL_TYPE_HELLO, 0, 0 }, "MRTZ\x63\0\0\0");
	expect_protocol_error(&out, false, "wire version 99");
	text_clear(&out);
	text_append_string(&out, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	expect_protocol_error(&out, false, "frame of");
	text_done(&out);
}

TEST(channel_channel__another_message_inside_one_ends_it)
{
	static char full[CHANNEL_FRAME_MAX];
	struct text out;

	text_init(&out);
	append_frame(
		&out, (struct frame_header){ sizeof(full), PLAIN, CHANNEL_FRAME_MORE, 1 }, full);
	append_frame(&out, (struct frame_header){ 0, PLAIN, 0, 2 }, "");
	expect_protocol_error(&out, true, "inside one of type");
	text_done(&out);
}

TEST(channel_channel__frames_without_end_are_cut_at_the_limit_of_the_type)
{
	static char full[CHANNEL_FRAME_MAX];
	struct text out;

	text_init(&out);
	for (int i = 0; i < 17; i++)
		append_frame(&out,
			(struct frame_header){ sizeof(full), PLAIN, CHANNEL_FRAME_MORE, 1 }, full);
	{
		struct end a;
		int fds[2];
		size_t at = 0;

		begin();
		pair(fds);
		start(&a, fds[0]);
		write_hello(fds[1]);
		EXPECT_INT(fcntl(fds[1], F_SETFL, O_NONBLOCK), ==, 0);
		while (a.ch) {
			ssize_t n = send_one(&a, PLAIN, 0, SPAN("")) == ERR_CLOSED
					    ? -1
					    : write(fds[1], out.data + at, out.len - at);

			if (n > 0)
				at += (size_t)n;
			(void)uv_run(&loop, UV_RUN_NOWAIT);
		}
		await_end(&a);
		EXPECT_INT(a.rc, ==, ERR_PROTOCOL);
		EXPECT_CONTAINS(a.why, "longer than its 1048576 bytes");
		(void)close(fds[1]);
	}
	text_done(&out);
}

TEST(channel_channel__a_descriptor_passes_on_a_control_channel)
{
	struct end a, b;
	int pipe_fds[2];
	char c = 0;

	begin();
	two_ends(&a, &b);
	EXPECT_INT(pipe2(pipe_fds, O_CLOEXEC), ==, 0);
	EXPECT_INT(send_one(&a, PLAIN, 1, SPAN("before")), ==, 0);
	EXPECT_INT(channel_send(a.ch, &(struct channel_message){ .type = PLAIN,
					      .id = 2,
					      .payload = SPAN("with"),
					      .fd = pipe_fds[1] }),
		==, 0);
	(void)close(pipe_fds[1]);
	EXPECT_INT(send_one(&a, PLAIN, 3, SPAN("after")), ==, 0);
	RUN_UNTIL(b.messages == 3);
	EXPECT_SPAN(text_span(&b.bytes), "beforewithafter");
	EXPECT_INT(b.fd, >=, 0);
	EXPECT_INT(fcntl(b.fd, F_GETFD), ==, FD_CLOEXEC);
	EXPECT_INT(write(b.fd, "x", 1), ==, 1);
	EXPECT_INT(read(pipe_fds[0], &c, 1), ==, 1);
	(void)close(b.fd);
	(void)close(pipe_fds[0]);
	close_both(&a, &b);
}

static void send_descriptor(int socket, int fd, const void *data, size_t len)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { (void *)data, len };
	struct msghdr msg = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	EXPECT_INT(sendmsg(socket, &msg, 0), ==, (ssize_t)len);
}

TEST(channel_channel__a_descriptor_on_a_data_channel_ends_it)
{
	struct end a;
	int fds[2];
	uint8_t header[CHANNEL_HEADER_SIZE];

	begin();
	pair(fds);
	start_with(&a, fds[0], (struct channel_config){ .control = false });
	write_hello(fds[1]);
	frame_header_write(header, &(struct frame_header){ 0, PLAIN, 0, 1 });
	send_descriptor(fds[1], fds[1], header, sizeof(header));
	await_end(&a);
	EXPECT_INT(a.rc, ==, ERR_PROTOCOL);
	EXPECT_CONTAINS(a.why, "descriptors");
	EXPECT_INT(a.messages, ==, 0);
}

TEST(channel_channel__descriptors_that_nothing_announces_end_it)
{
	struct end a;
	int fds[2];
	uint8_t header[CHANNEL_HEADER_SIZE];

	begin();
	pair(fds);
	start(&a, fds[0]);
	write_hello(fds[1]);
	frame_header_write(header, &(struct frame_header){ 0, PLAIN, 0, 1 });
	for (int i = 0; i < 17; i++)
		send_descriptor(fds[1], fds[1], header, sizeof(header));
	await_end(&a);
	EXPECT_INT(a.rc, ==, ERR_PROTOCOL);
}

TEST(channel_channel__no_greeting_in_time_ends_it)
{
	struct end a;
	int fds[2];

	begin();
	pair(fds);
	start_with(&a, fds[0], (struct channel_config){ .handshake_ms = 30 });
	await_end(&a);
	EXPECT_INT(a.rc, ==, ERR_DEADLINE);
	EXPECT_CONTAINS(a.why, "hello");
	(void)close(fds[1]);
}

TEST(channel_channel__silence_is_death)
{
	struct end a;
	int fds[2];

	begin();
	pair(fds);
	start_with(&a, fds[0], (struct channel_config){ .silence_ms = 40 });
	write_hello(fds[1]);
	await_end(&a);
	EXPECT_INT(a.opened, ==, 1);
	EXPECT_INT(a.rc, ==, ERR_DEADLINE);
	EXPECT_CONTAINS(a.why, "silent");
	(void)close(fds[1]);
}

TEST(channel_channel__beats_keep_idle_ends_alive)
{
	struct channel_config config = { .beat_ms = 5, .silence_ms = 500 };
	struct end a, b;
	int fds[2];
	uint64_t until;

	begin();
	pair(fds);
	start_with(&a, fds[0], config);
	start_with(&b, fds[1], config);
	until = uv_hrtime() + 1200000000;
	RUN_UNTIL(uv_hrtime() > until);
	EXPECT_INT(a.closed + b.closed, ==, 0);
	close_both(&a, &b);
}

TEST(channel_channel__who_slept_itself_does_not_call_the_peer_silent)
{
	struct channel_config config = { .silence_ms = 300 };
	struct end a;
	int fds[2];

	begin();
	pair(fds);
	start_with(&a, fds[0], config);
	write_hello(fds[1]);
	RUN_UNTIL(a.opened);
	for (int i = 0; i < 3; i++) {
		struct text beat;

		text_init(&beat);
		append_frame(&beat, (struct frame_header){ 0, CHANNEL_TYPE_BEAT, 0, 0 }, "");
		EXPECT_INT(write(fds[1], beat.data, beat.len), ==, (ssize_t)beat.len);
		text_done(&beat);
		(void)usleep(350000);
		(void)uv_run(&loop, UV_RUN_NOWAIT);
		(void)uv_run(&loop, UV_RUN_NOWAIT);
	}
	EXPECT_INT(a.closed, ==, 0);
	(void)close(fds[1]);
	await_end(&a);
}

TEST(channel_channel__a_full_output_says_again_and_later_writable)
{
	struct end a;
	int fds[2], sent = 0;
	char *piece = mem_zalloc(MIB);
	char sink[65536];

	begin();
	pair(fds);
	start_with(&a, fds[0], (struct channel_config){ .output_limit = 3 * MIB });
	write_hello(fds[1]);
	RUN_UNTIL(a.opened);
	while (send_one(&a, PLAIN, 1, (struct span){ piece, MIB }) == 0)
		sent++;
	EXPECT_INT(sent, >=, 3);
	EXPECT_INT(send_one(&a, PLAIN, 1, (struct span){ piece, MIB }), ==, ERR_AGAIN);
	EXPECT_FALSE(channel_writable(a.ch));
	/* What credits bound goes in all the same. */
	EXPECT_INT(
		channel_send(a.ch,
			&(struct channel_message){
				.type = PLAIN, .payload = SPAN("x"), .fd = -1, .credited = true }),
		==, 0);
	EXPECT_INT(a.writable, ==, 0);
	EXPECT_INT(fcntl(fds[1], F_SETFL, O_NONBLOCK), ==, 0);
	while (a.writable == 0) {
		(void)uv_run(&loop, UV_RUN_NOWAIT);
		while (read(fds[1], sink, sizeof(sink)) > 0)
			;
	}
	EXPECT_TRUE(channel_writable(a.ch));
	EXPECT_INT(a.writable, ==, 1);
	mem_free(piece);
	(void)close(fds[1]);
	await_end(&a);
}

TEST(channel_channel__a_full_output_still_reads)
{
	struct end a;
	struct text in;
	int fds[2];
	char *piece = mem_zalloc(MIB);

	begin();
	pair(fds);
	start_with(&a, fds[0], (struct channel_config){ .output_limit = MIB });
	write_hello(fds[1]);
	while (send_one(&a, PLAIN, 1, (struct span){ piece, MIB }) == 0)
		;
	text_init(&in);
	append_frame(&in, (struct frame_header){ 3, PLAIN, 0, 1 }, "abc");
	EXPECT_INT(write(fds[1], in.data, in.len), ==, (ssize_t)in.len);
	RUN_UNTIL(a.messages == 1);
	text_done(&in);
	mem_free(piece);
	(void)close(fds[1]);
	await_end(&a);
}

TEST(channel_channel__a_peer_that_never_reads_is_given_up)
{
	struct end a;
	int fds[2], rc = 0;
	char *piece = mem_zalloc(MIB);

	begin();
	pair(fds);
	start(&a, fds[0]);
	write_hello(fds[1]);
	for (int i = 0; i < 200 && rc == 0; i++)
		rc = channel_send(a.ch, &(struct channel_message){ .type = PLAIN,
						.payload = { piece, MIB },
						.fd = -1,
						.credited = true });
	EXPECT_INT(rc, ==, ERR_CLOSED);
	EXPECT_INT(a.closed, ==, 0);
	await_end(&a);
	EXPECT_INT(a.rc, ==, ERR_LIMIT);
	mem_free(piece);
}

TEST(channel_channel__close_sends_what_is_queued_first)
{
	struct end a, b;

	begin();
	two_ends(&a, &b);
	EXPECT_INT(send_one(&a, PLAIN, 1, SPAN("last words")), ==, 0);
	channel_close(a.ch);
	EXPECT_INT(a.closed, ==, 0);
	EXPECT_INT(send_one(&a, PLAIN, 1, SPAN("too late")), ==, ERR_CLOSED);
	RUN_UNTIL(b.closed && a.closed);
	EXPECT_SPAN(text_span(&b.bytes), "last words");
	EXPECT_INT(a.rc, ==, 0);
	EXPECT_INT(b.rc, ==, ERR_CLOSED);
	close_both(&a, &b);
}

TEST(channel_channel__close_inside_on_message_stops_the_rest)
{
	struct end a, b;

	begin();
	two_ends(&a, &b);
	b.close_on_message = true;
	for (int i = 0; i < 10; i++)
		EXPECT_INT(send_one(&a, PLAIN, 1, SPAN("x")), ==, 0);
	RUN_UNTIL(b.closed && a.closed);
	EXPECT_INT(b.messages, ==, 1);
	EXPECT_INT(b.rc, ==, 0);
	EXPECT_INT(a.rc, ==, ERR_CLOSED);
	close_both(&a, &b);
}

TEST(channel_channel__last_words_are_heard_though_our_writes_fail)
{
	struct end a;
	struct text in;
	int fds[2];

	begin();
	pair(fds);
	start(&a, fds[0]);
	write_hello(fds[1]);
	text_init(&in);
	append_frame(&in, (struct frame_header){ 3, PLAIN, 0, 1 }, "bye");
	EXPECT_INT(write(fds[1], in.data, in.len), ==, (ssize_t)in.len);
	(void)close(fds[1]);
	EXPECT_INT(send_one(&a, PLAIN, 1, SPAN("to nobody")), ==, 0);
	RUN_UNTIL(a.messages == 1);
	EXPECT_SPAN(text_span(&a.bytes), "bye");
	await_end(&a);
	EXPECT_INT(a.rc, ==, ERR_CLOSED);
	text_done(&in);
}

TEST(channel_channel__fail_gives_the_owners_reason)
{
	struct end a, b;

	begin();
	two_ends(&a, &b);
	RUN_UNTIL(a.opened && b.opened);
	channel_fail(a.ch, ERR_PROTOCOL, "a result for no call");
	RUN_UNTIL(a.closed && b.closed);
	EXPECT_INT(a.rc, ==, ERR_PROTOCOL);
	EXPECT_STR(a.why, "the peer: a result for no call");
	close_both(&a, &b);
}

TEST(channel_channel__random_bytes_never_crash_it)
{
	unsigned seed = 12345;

	for (int round = 0; round < 300; round++) {
		struct end a;
		char noise[600];
		int fds[2];

		begin();
		pair(fds);
		start(&a, fds[0]);
		write_hello(fds[1]);
		for (size_t i = 0; i < sizeof(noise); i++)
			noise[i] = (char)(rand_r(&seed) % (round % 5 ? 256 : 3));
		EXPECT_INT(write(fds[1], noise, sizeof(noise)), ==, sizeof(noise));
		(void)close(fds[1]);
		await_end(&a);
		EXPECT_TRUE(a.rc == ERR_PROTOCOL || a.rc == ERR_CLOSED);
		if (a.fd >= 0)
			(void)close(a.fd);
		(void)uv_run(&loop, UV_RUN_DEFAULT);
		EXPECT_INT(uv_loop_close(&loop), ==, 0);
	}
}
