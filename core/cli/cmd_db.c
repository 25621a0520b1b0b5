/* mortise db ... - the database, for its owner on the host's own machine */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/paths.h"
#include "base/text.h"
#include "cli/cli.h"
#include "codec/json.h"

#define URL_MAX 4096

static int owner_url(struct cli *cli, char **out, struct error *err)
{
	CLEANUP(mem_freep) char *data = NULL, *path = NULL;
	struct text url;
	int rc = cli_data(cli, &data, err);

	if (rc < 0)
		return rc;
	path = mem_printf("%s/owner.url", data);
	text_init(&url);
	rc = io_read_file(AT_FDCWD, path, URL_MAX, &url, err);
	while (rc == 0 && url.len && url.data[url.len - 1] == '\n')
		url.data[--url.len] = '\0';
	if (rc == 0)
		*out = mem_strdup(url.data);
	text_done(&url);
	if (rc == ERR_NOT_FOUND)
		return error_fix(err, "run it on the host's own machine, as the user that started "
				      "the host, with its --data");
	return rc;
}

static int db_url(struct cli *cli, struct error *err)
{
	CLEANUP(mem_freep) char *url = NULL;
	int rc = owner_url(cli, &url, err);

	if (rc < 0)
		return rc;
	if (cli->json) {
		CLEANUP(json_freep) json_t *out = json_pack("{s:s}", "url", url);

		cli_json(out);
	} else {
		printf("%s\n", url);
	}
	return 0;
}

static int hex_digit(char c)
{
	const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c | 0x20) : NULL;

	return at ? (int)(at - digits) : 0;
}

/* Move the password of "postgresql://user:password@..." to PGPASSWORD, percent-decoded (RFC 3986):
 * an argument list is there for everyone to read. */
static void hide_password(char *url)
{
	char *authority = strstr(url, "://"), *at, *colon, *out;

	if (!authority)
		return;
	authority += strlen("://");
	at = strchr(authority, '@');
	if (!at || memchr(authority, '/', (size_t)(at - authority)))
		return;
	colon = memchr(authority, ':', (size_t)(at - authority));
	if (!colon)
		return;
	*at = '\0';
	out = colon + 1;
	for (const char *in = colon + 1; *in; in++) {
		bool escaped = in[0] == '%' && in[1] && in[2];

		*out++ = escaped ? (char)(hex_digit(in[1]) << 4 | hex_digit(in[2])) : *in;
		in += escaped ? 2 : 0;
	}
	*out = '\0';
	(void)setenv("PGPASSWORD", colon + 1, 1);
	*at = '@';
	memmove(colon, at, strlen(at) + 1);
}

static int db_psql(struct cli *cli, struct error *err)
{
	CLEANUP(mem_freep) char *url = NULL, *program = NULL;
	char **argv;
	int rc = owner_url(cli, &url, err);

	if (rc == 0)
		rc = paths_postgres(&program, "psql", err);
	if (rc < 0)
		return rc;
	hide_password(url);
	argv = mem_calloc((size_t)cli->count + 4, sizeof(*argv));
	argv[0] = program;
	argv[1] = (char *)"-d";
	argv[2] = url;
	for (int i = 0; i < cli->count; i++)
		argv[i + 3] = cli->arguments[i];
	(void)execv(program, argv);
	rc = error_set_errno(err, errno, "run '%s'", program);
	mem_free(argv);
	return rc;
}

const struct cli_command cli_db_commands[] = {
	{ "db url", "", 0, 0, "print the owner's connection string", NULL, { { 0 } }, db_url },
	{ "db psql", "[-- ARGUMENTS]", 0, 1000, "open a shell on the database",
		"Arguments behind -- are psql's.\n\n  mortise db psql -- -c 'SELECT count(*) FROM "
		"services'",
		{ { 0 } }, db_psql },
	{ 0 },
};
