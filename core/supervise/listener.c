#include "supervise/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "base/mem.h"

#define BACKLOG       1024
#define BACKLOG_LOCAL 64

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static int parse(union address *out, socklen_t *len, const char *text, struct error *err)
{
	const char *colon = strrchr(text, ':');
	struct span port = span_of(colon ? colon + 1 : NULL);
	struct span host = { text, colon ? (size_t)(colon - text) : 0 };
	char plain[INET6_ADDRSTRLEN];
	bool six = host.len > 2 && host.data[0] == '[' && host.data[host.len - 1] == ']';
	uint64_t number;

	if (six)
		host = (struct span){ host.data + 1, host.len - 2 };
	memset(out, 0, sizeof(*out));
	if (!colon || host.len >= sizeof(plain) || !span_u64(port, UINT16_MAX, &number))
		goto wrong;
	(void)snprintf(plain, sizeof(plain), "%.*s", SPAN_ARG(host));
	if (six && inet_pton(AF_INET6, plain, &out->v6.sin6_addr) == 1) {
		out->v6.sin6_family = AF_INET6;
		out->v6.sin6_port = htons((uint16_t)number);
		*len = sizeof(out->v6);
		return 0;
	}
	if (!six && inet_pton(AF_INET, plain, &out->v4.sin_addr) == 1) {
		out->v4.sin_family = AF_INET;
		out->v4.sin_port = htons((uint16_t)number);
		*len = sizeof(out->v4);
		return 0;
	}
wrong:
	(void)error_set(err, ERR_CONFIG, "setting 'listen': '%s' is not an address and port", text);
	(void)error_fix(err, "write it as 127.0.0.1:7400 or [::1]:7400");
	return ERR_CONFIG;
}

int listener_check(const char *address, struct error *err)
{
	union address parsed;
	socklen_t len;

	return parse(&parsed, &len, address, err);
}

static int open_one(int *out, const union address *address, socklen_t len, struct error *err)
{
	CLEANUP(io_closep)
	int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const int on = 1;

	if (fd == -1)
		return error_set_errno(err, errno, "make a socket");
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == -1 ||
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) == -1)
		return error_set_errno(err, errno, "set SO_REUSEPORT");
	if (bind(fd, &address->any, len) == -1)
		return error_set_errno(err, errno, "bind");
	if (listen(fd, BACKLOG) == -1)
		return error_set_errno(err, errno, "listen");
	*out = fd;
	fd = -1;
	return 0;
}

/* SO_REUSEPORT would let a second host of the same user share our port and our requests: only one
 * that binds without it tells that the port is free. */
static int check_free(const union address *address, socklen_t len, struct error *err)
{
	CLEANUP(io_closep)
	int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const int on = 1;

	if (fd == -1)
		return error_set_errno(err, errno, "make a socket");
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, &address->any, len) == -1)
		return error_set_errno(err, errno, "bind");
	return 0;
}

static void describe(const union address *address, struct text *out)
{
	char host[INET6_ADDRSTRLEN] = "";

	if (address->any.sa_family == AF_INET6) {
		(void)inet_ntop(AF_INET6, &address->v6.sin6_addr, host, sizeof(host));
		text_printf(out, "[%s]:%u", host, ntohs(address->v6.sin6_port));
	} else {
		(void)inet_ntop(AF_INET, &address->v4.sin_addr, host, sizeof(host));
		text_printf(out, "%s:%u", host, ntohs(address->v4.sin_port));
	}
}

int listener_open(
	int *fds, size_t count, const char *address, struct text *bound, struct error *err)
{
	union address where;
	socklen_t len;
	size_t opened = 0;
	int rc = parse(&where, &len, address, err);

	if (rc == 0)
		rc = check_free(&where, len, err);
	for (; opened < count && rc == 0; opened++) {
		rc = open_one(&fds[opened], &where, len, err);
		if (rc < 0)
			break;
		/* The first one may have chosen the port for all. */
		if (opened == 0 && getsockname(fds[0], &where.any, &len) == -1)
			rc = error_set_errno(err, errno, "getsockname");
	}
	if (rc < 0) {
		while (opened > 0)
			(void)close(fds[--opened]);
		if (rc == ERR_SYSTEM) {
			(void)error_wrap(err, "listen on %s", address);
			(void)error_fix(err, "choose another address or port with --listen; port 0 "
					     "takes a free one");
		}
		return rc;
	}
	describe(&where, bound);
	return 0;
}

int listener_open_local(int *out, const char *path, bool root, gid_t gid, struct error *err)
{
	CLEANUP(io_closep)
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (fd == -1)
		return error_set_errno(err, errno, "make a socket");
	if (strlen(path) >= sizeof(address.sun_path))
		return error_set(err, ERR_TOO_LARGE, "socket path '%s' is too long", path);
	memcpy(address.sun_path, path, strlen(path) + 1);
	(void)unlink(path);
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) == -1)
		return error_set_errno(err, errno, "bind '%s'", path);
	/* Connecting needs write permission on the socket, and the way to it. */
	if (root && chown(path, (uid_t)-1, gid) == -1)
		return error_set_errno(err, errno, "chown '%s'", path);
	if (chmod(path, root ? 0660 : 0600) == -1)
		return error_set_errno(err, errno, "chmod '%s'", path);
	if (listen(fd, BACKLOG_LOCAL) == -1)
		return error_set_errno(err, errno, "listen on '%s'", path);
	*out = fd;
	fd = -1;
	return 0;
}
