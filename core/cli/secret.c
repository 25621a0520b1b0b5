#include "cli/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/cli.h"

static void strip_line_break(struct text *t)
{
	if (t->len && t->data[t->len - 1] == '\n')
		t->len--;
	if (t->len && t->data[t->len - 1] == '\r')
		t->len--;
	t->data[t->len] = '\0';
}

/* All of fd, at most max bytes and a line break. */
static int read_all(int fd, const char *what, size_t max, struct text *out, struct error *err)
{
	size_t room = max + 2;
	char *to = text_reserve(out, room + 1);

	for (;;) {
		ssize_t n = read(fd, to + out->len, room + 1 - out->len);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return error_set_errno(err, errno, "read %s", what);
		if (n == 0)
			break;
		text_grown(out, (size_t)n);
		if (out->len > room)
			return error_set(err, ERR_TOO_LARGE,
				"%s holds more than the %zu bytes of a secret", what, max);
	}
	strip_line_break(out);
	return 0;
}

static int read_file(const char *path, size_t max, struct text *out, struct error *err)
{
	CLEANUP(io_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	CLEANUP(mem_freep) char *what = mem_printf("'%s'", path);

	if (fd == -1)
		return error_set_errno(err, errno, "open '%s'", path);
	return read_all(fd, what, max, out, err);
}

/* A line of the terminal, unseen. */
static int read_unseen(int tty, const char *prompt, const char *again, size_t max, struct text *out,
	struct error *err)
{
	struct termios before, silent;
	char *to = text_reserve(out, max + 2);
	ssize_t n;

	if (tcgetattr(tty, &before) == -1)
		return error_set_errno(err, errno, "hide what is typed");
	silent = before;
	silent.c_lflag &= ~(tcflag_t)ECHO;
	/* Before the prompt: what comes in answer to it must neither show nor be flushed. */
	if (tcsetattr(tty, TCSAFLUSH, &silent) == -1)
		return error_set_errno(err, errno, "hide what is typed");
	(void)dprintf(tty, "%s%s: ", prompt, again);
	do
		n = read(tty, to, max + 2);
	while (n == -1 && errno == EINTR);
	(void)tcsetattr(tty, TCSAFLUSH, &before);
	(void)dprintf(tty, "\n");
	if (n == -1)
		return error_set_errno(err, errno, "read what is typed");
	text_grown(out, (size_t)n);
	strip_line_break(out);
	return 0;
}

static int ask(const struct secret_source *source, struct text *out, struct error *err)
{
	CLEANUP(io_closep) int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	struct text twice;
	int rc;

	if (tty == -1)
		return error_set(err, ERR_USAGE, "there is no terminal to type a secret at");
	rc = read_unseen(tty, source->prompt, "", source->max, out, err);
	if (rc < 0 || !source->fresh)
		return rc;
	text_init(&twice);
	rc = read_unseen(tty, source->prompt, ", once more", source->max, &twice, err);
	if (rc == 0 && !span_equal(text_span(&twice), text_span(out)))
		rc = error_set(err, ERR_USAGE, "these were two different ones");
	mem_wipe(twice.data, twice.cap);
	text_done(&twice);
	return rc;
}

int secret_read(
	struct cli *cli, const struct secret_source *source, struct text *out, struct error *err)
{
	int rc;

	if (source->file && strcmp(source->file, "-") != 0)
		rc = read_file(source->file, source->max, out, err);
	else if (source->file || !isatty(STDIN_FILENO))
		rc = read_all(STDIN_FILENO, "standard input", source->max, out, err);
	else if (cli->no_input)
		rc = error_set(err, ERR_USAGE,
			"nobody is there to type it: give it by standard "
			"input");
	else
		rc = ask(source, out, err);
	if (rc < 0)
		return rc;
	if (out->len == 0)
		return error_set(err, ERR_USAGE, "the secret is empty");
	if (out->len > source->max)
		return error_set(
			err, ERR_TOO_LARGE, "a secret is at most %zu bytes long", source->max);
	if (!utf8_valid(text_span(out)) || memchr(out->data, '\0', out->len)) {
		(void)error_set(err, ERR_USAGE, "the secret is not text in UTF-8");
		return error_fix(err, "encode it, for example with 'base64 -w0'");
	}
	return 0;
}
