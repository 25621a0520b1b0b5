#include "cli/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
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

/* Write the prompt and read a line into out. False: a signal came first, and is pending still. */
static bool read_line(
	int tty, int signals, const char *prompt, const char *again, size_t max, struct text *out)
{
	struct pollfd fds[] = { { .fd = tty, .events = POLLIN },
		{ .fd = signals, .events = POLLIN } };
	char *to = text_reserve(out, max + 2);
	ssize_t n;

	(void)dprintf(tty, "%s%s: ", prompt, again);
	while (poll(fds, ARRAY_LENGTH(fds), -1) == -1 && errno == EINTR)
		continue;
	if (fds[1].revents)
		return false;
	n = read(tty, to, max + 2);
	text_grown(out, n > 0 ? (size_t)n : 0);
	return true;
}

/* A line of the terminal, unseen. What would end or stop the program waits until the terminal shows
 * again what is typed; who comes back from a stop is asked anew. */
static int read_unseen(int tty, const char *prompt, const char *again, size_t max, struct text *out,
	struct error *err)
{
	static const int ends[] = { SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGTSTP };
	CLEANUP(io_closep) int signals = -1;
	struct termios before, silent;
	sigset_t caught, mask;
	bool read = false;
	int rc = 0;

	if (tcgetattr(tty, &before) == -1)
		return error_set_errno(err, errno, "hide what is typed");
	silent = before;
	silent.c_lflag &= ~(tcflag_t)ECHO;
	(void)sigemptyset(&caught);
	for (size_t i = 0; i < ARRAY_LENGTH(ends); i++)
		(void)sigaddset(&caught, ends[i]);
	signals = signalfd(-1, &caught, SFD_CLOEXEC);
	if (signals == -1)
		return error_set_errno(err, errno, "wait for signals");
	while (!read && rc == 0) {
		(void)sigprocmask(SIG_BLOCK, &caught, &mask);
		/* Before the prompt: what answers it must neither show nor be flushed. */
		if (tcsetattr(tty, TCSAFLUSH, &silent) == -1)
			rc = error_set_errno(err, errno, "hide what is typed");
		else
			read = read_line(tty, signals, prompt, again, max, out);
		(void)tcsetattr(tty, TCSAFLUSH, &before);
		(void)dprintf(tty, "\n");
		(void)sigprocmask(SIG_SETMASK, &mask, NULL);
	}
	strip_line_break(out);
	return rc;
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
	if (rc == 0 && !span_equal(text_span(&twice), text_span(out))) {
		rc = error_set(err, ERR_USAGE, "these were two different ones");
		(void)error_fix(err, "run it again and type the same one twice");
	}
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
	if (out->len == 0 && !source->file && !isatty(STDIN_FILENO)) {
		(void)error_set(err, ERR_USAGE, "standard input holds no secret");
		return error_fix(err, "type it at a terminal, or give it by standard input");
	}
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
