/* fcgi_pong - a FastCGI responder that answers "pong", as lean as the protocol allows
 *
 * One process, epoll, connections kept open (FastCGI 1.0 specification, sections 3 and 5): the
 * peer that stands where a Mortise worker stands. usage: fcgi_pong SOCKET
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define HEADER 8
#define STDIN  5
#define STDOUT 6
#define END    3
#define BUFFER 65536
#define EVENTS 64
#define FD_MAX 1024

struct connection {
	uint8_t data[BUFFER];
	size_t len;
};

static struct connection *connections[FD_MAX];

static size_t put(uint8_t *out, uint8_t type, uint16_t id, const void *data, uint16_t len)
{
	uint8_t header[HEADER] = { 1, type, (uint8_t)(id >> 8), (uint8_t)id, (uint8_t)(len >> 8),
		(uint8_t)len, 0, 0 };

	memcpy(out, header, HEADER);
	memcpy(out + HEADER, data, len);
	return HEADER + len;
}

static void answer(int fd, uint16_t id)
{
	static const char body[] = "Content-Type: text/plain\r\nContent-Length: 4\r\n\r\npong";
	uint8_t out[256], end[8] = { 0 };
	size_t len = put(out, STDOUT, id, body, sizeof(body) - 1);

	len += put(out + len, STDOUT, id, "", 0);
	len += put(out + len, END, id, end, sizeof(end));
	if (write(fd, out, len) != (ssize_t)len)
		perror("write");
}

/* Take whole records; an empty STDIN record ends a request. */
static void take(int fd, struct connection *c)
{
	size_t at = 0;

	while (c->len - at >= HEADER) {
		const uint8_t *r = c->data + at;
		size_t content = (size_t)(r[4] << 8 | r[5]), whole = HEADER + content + r[6];

		if (c->len - at < whole)
			break;
		if (r[1] == STDIN && content == 0)
			answer(fd, (uint16_t)(r[2] << 8 | r[3]));
		at += whole;
	}
	memmove(c->data, c->data + at, c->len - at);
	c->len -= at;
}

static void serve(int epoll, int fd)
{
	struct connection *c = connections[fd];
	ssize_t n = read(fd, c->data + c->len, BUFFER - c->len);

	if (n <= 0) {
		(void)epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL);
		(void)close(fd);
		free(c);
		connections[fd] = NULL;
		return;
	}
	c->len += (size_t)n;
	take(fd, c);
}

int main(int argc, char **argv)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct epoll_event event = { .events = EPOLLIN }, events[EVENTS];
	int listener = socket(AF_UNIX, SOCK_STREAM, 0), epoll = epoll_create1(0);

	if (argc != 2 || strlen(argv[1]) >= sizeof(address.sun_path))
		return 2;
	memcpy(address.sun_path, argv[1], strlen(argv[1]) + 1);
	(void)unlink(argv[1]);
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) == -1 ||
		listen(listener, 511) == -1) {
		perror(argv[1]);
		return 1;
	}
	event.data.fd = listener;
	(void)epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
	for (;;) {
		int n = epoll_wait(epoll, events, EVENTS, -1);

		if (n == -1 && errno != EINTR)
			return 1;
		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;

			if (fd != listener) {
				serve(epoll, fd);
				continue;
			}
			fd = accept(listener, NULL, NULL);
			if (fd == -1 || fd >= FD_MAX)
				return 1;
			connections[fd] = calloc(1, sizeof(struct connection));
			event.data.fd = fd;
			(void)epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
		}
	}
}
