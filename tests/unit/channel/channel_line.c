#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/mem.h"
#include "channel/channel.h"
#include "channel/protocol.h"
#include "lib/test.h"

/* A line to a peer that may only send what a stage may. */
static struct channel_line *line_on(int fd, uint8_t link)
{
	return channel_line_new(fd, "stage", protocol_limit, link, true);
}

TEST(channel_line__job_with_descriptor_and_answer_go_both_ways)
{
	struct stage_package job = { .folder = SPAN("/tmp/x"), .package_bytes = 9 }, got;
	struct stage_package_result answer = { .rc = -2001, .text = SPAN("no") }, heard;
	struct channel_message m;
	struct protocol_memory memory;
	struct channel_line *a, *b;
	struct error err;
	int fds[2], file = open("file", O_CREAT | O_RDWR | O_CLOEXEC, 0600);

	EXPECT_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
	protocol_memory_init(&memory);
	a = line_on(fds[0], PROTOCOL_LINK_STAGE_TO_SUPERVISOR);
	b = line_on(fds[1], PROTOCOL_LINK_SUPERVISOR_TO_STAGE);
	EXPECT_OK(protocol_line_send(a, PROTOCOL_STAGE_PACKAGE, 5, &job, 0, file, &err), &err);
	EXPECT_OK(channel_line_receive(b, &m, &err), &err);
	EXPECT_INT(m.type, ==, PROTOCOL_STAGE_PACKAGE);
	EXPECT_INT(m.fd, >=, 0);
	EXPECT_OK(decode_stage_package(&got, m.payload, &memory, &err), &err);
	EXPECT_SPAN(got.folder, "/tmp/x");
	EXPECT_OK(protocol_line_send(b, PROTOCOL_STAGE_PACKAGE_RESULT, 5, &answer, 0, -1, &err),
		&err);
	(void)close(m.fd);
	EXPECT_OK(channel_line_receive(a, &m, &err), &err);
	EXPECT_OK(decode_stage_package_result(&heard, m.payload, &memory, &err), &err);
	EXPECT_INT(heard.rc, ==, -2001);
	channel_line_free(b);
	(void)close(fds[1]);
	EXPECT_INT(channel_line_receive(a, &m, &err), ==, ERR_CLOSED);
	channel_line_free(a);
	(void)close(fds[0]);
	protocol_memory_done(&memory);
}

TEST(channel_line__a_message_that_may_not_come_is_refused)
{
	struct worker_stop stop = { 1 };
	struct channel_message m;
	struct channel_line *a, *b;
	struct error err;
	int fds[2];

	EXPECT_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
	a = line_on(fds[0], PROTOCOL_LINK_STAGE_TO_SUPERVISOR);
	b = line_on(fds[1], PROTOCOL_LINK_SUPERVISOR_TO_STAGE);
	EXPECT_OK(protocol_line_send(a, PROTOCOL_WORKER_STOP, 5, &stop, 0, -1, &err), &err);
	EXPECT_INT(channel_line_receive(b, &m, &err), ==, ERR_PROTOCOL);
	EXPECT_CONTAINS(err.text, "may not come here");
	channel_line_free(a);
	channel_line_free(b);
}

TEST(channel_line__a_receive_timeout_is_a_deadline)
{
	struct timeval timeout = { .tv_usec = 20000 };
	struct channel_message m;
	struct channel_line *a;
	struct error err;
	int fds[2];

	EXPECT_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
	EXPECT_INT(setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)), ==, 0);
	a = line_on(fds[0], PROTOCOL_LINK_STAGE_TO_SUPERVISOR);
	EXPECT_INT(channel_line_receive(a, &m, &err), ==, ERR_DEADLINE);
	channel_line_free(a);
}
