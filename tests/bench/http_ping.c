/* http_ping.c - the smallest server on core/http, to measure the module alone
 *
 * http_ping PORT answers every request with "pong" on 127.0.0.1:PORT until it is killed.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <uv.h>

#include "base/error.h"
#include "base/settings.h"
#include "http/server.h"

static void on_request(void *user, struct http_request *request)
{
	static const struct http_answer answer = { .status = 200,
		.content_type = { "text/plain", 10 } };

	(void)user;
	(void)http_answer_send(request, &answer, SPAN("pong"), NULL);
}

static int listen_on(int port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1;

	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) == -1 ||
		listen(fd, SOMAXCONN) == -1) {
		perror("listen");
		exit(1);
	}
	return fd;
}

int main(int argc, char **argv)
{
	struct http_server_options options = { .name = "mortise", .on_request = on_request };
	struct http_server *server;
	struct settings settings;
	struct error err;

	if (argc != 2) {
		fprintf(stderr, "usage: http_ping PORT\n");
		return 2;
	}
	if (settings_init(&settings, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	http_limits_init(&options.limits, &settings);
	settings_done(&settings);
	options.loop = uv_default_loop();
	options.fd = listen_on((int)strtol(argv[1], NULL, 10));
	if (http_server_start(&server, &options, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	return uv_run(options.loop, UV_RUN_DEFAULT);
}
