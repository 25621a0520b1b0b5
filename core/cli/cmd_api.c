/* mortise api - any request to the host, with the token that the other commands use */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/client.h"

static int check_method(const char *method, struct error *err)
{
	for (const char *c = method; *c; c++)
		if (!isupper((unsigned char)*c))
			return error_set(
				err, ERR_USAGE, "'%s' is no HTTP method: GET, POST ...", method);
	return 0;
}

/* A target as it goes on the wire: printable ASCII, percent-encoded (RFC 9112 section 3.2). */
static int check_path(const char *path, struct error *err)
{
	if (path[0] != '/')
		return error_set(err, ERR_USAGE, "'%s' is no path: it begins with '/'", path);
	for (const char *c = path; *c; c++)
		if (*c <= ' ' || *c >= 0x7f)
			return error_set(err, ERR_USAGE,
				"'%s' is no path: write a space as %%20, and others as their bytes",
				path);
	return 0;
}

static int api(struct cli *cli, struct error *err)
{
	const char *input = cli_value(cli, "input"), *type = cli_value(cli, "type");
	CLEANUP(io_closep) int fd = -1;
	struct client_request request = { .method = cli->arguments[0],
		.path = cli->arguments[1],
		.upload_fd = -1,
		.type = type,
		.label = "send" };
	int rc = check_method(request.method, err);

	if (rc == 0)
		rc = check_path(request.path, err);
	if (rc < 0)
		return rc;
	if (input) {
		fd = open(input, O_RDONLY | O_CLOEXEC);
		if (fd == -1)
			return error_set_errno(err, errno, "open '%s'", input);
		request.upload_fd = fd;
		if (!type)
			request.type = "application/octet-stream";
	}
	return client_copy(cli, &request, stdout, err);
}

const struct cli_command cli_api_commands[] = {
	{ "api", "METHOD PATH", 2, 2, "send one request to the host and print the answer",
		"  mortise api GET /api/hello/ping\n"
		"  mortise api POST /api/os-catalog/import --input /var/lib/dpkg/status --type "
		"text/plain",
		{ { "input", 'i', "FILE", "the request's body" },
			{ "type", 't', "TYPE",
				"its content type (default: application/octet-stream)" } },
		api },
	{ 0 },
};
