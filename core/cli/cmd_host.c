/* mortise up, down, status - the host on this machine
 *
 * The daemon holds a lock on DATA/mortised.pid for as long as it lives, so the lock
 * and not a number says whether it runs; signals go through a pidfd.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/paths.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "codec/json.h"

#define READY_FD    3
#define PID_MAX     32
#define DOWN_WAIT_S 60
#define FACT_MAX    4096

extern char **environ;

/* The running daemon's pid, or 0 when the data folder has none. */
static int running_pid(const char *data, pid_t *out, struct error *err)
{
	CLEANUP(mem_freep) char *path = mem_printf("%s/mortised.pid", data);
	CLEANUP(io_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
	struct text content;
	uint64_t pid = 0;

	*out = 0;
	if (fd == -1 && errno == ENOENT)
		return 0;
	if (fd == -1)
		return error_set_errno(err, errno, "open '%s'", path);
	/* Asked for and not taken: a host that starts now is in nobody's way. */
	if (fcntl(fd, F_OFD_GETLK, &lock) == -1)
		return error_set_errno(err, errno, "look at the lock of '%s'", path);
	if (lock.l_type == F_UNLCK)
		return 0;
	text_init(&content);
	if (io_read_file(AT_FDCWD, path, PID_MAX, &content, NULL) == 0 && content.len > 1)
		(void)span_u64((struct span){ content.data, content.len - 1 }, INT32_MAX, &pid);
	text_done(&content);
	if (pid == 0)
		return error_set(err, ERR_STATE, "'%s' is locked but names no process", path);
	*out = (pid_t)pid;
	return 0;
}

/* The first line of DATA/name, or an empty string. The caller's. */
static char *read_fact(const char *data, const char *name)
{
	CLEANUP(mem_freep) char *path = mem_printf("%s/%s", data, name);
	struct text t;
	char *end, *out;

	text_init(&t);
	(void)io_read_file(AT_FDCWD, path, FACT_MAX, &t, NULL);
	end = strchr(t.data, '\n');
	if (end)
		*end = '\0';
	out = text_take(&t);
	text_done(&t);
	return out;
}

static void print_where(struct cli *cli, const char *data)
{
	CLEANUP(mem_freep) char *listen = read_fact(data, "listen");

	if (cli->json) {
		CLEANUP(mem_freep) char *url = mem_printf("http://%s", listen);
		CLEANUP(mem_freep) char *token = mem_printf("%s/admin.token", data);
		CLEANUP(json_freep)
		json_t *out =
			json_pack("{s:s, s:s, s:s}", "url", url, "token_file", token, "data", data);

		cli_json(out);
		return;
	}
	printf("url    http://%s\ntoken  %s/admin.token\n", listen, data);
}

/* What the daemon says on its ready pipe, a line each: "step NAME text", "ready",
 * "error MRT-NNNN text", "fix text". */
struct start {
	struct cli *cli;
	struct error *err;
	bool ready;
};

static void take_line(struct start *s, struct span line)
{
	struct span word, code;

	if (!span_split(&line, ' ', &word))
		return;
	if (span_is(word, "ready")) {
		s->ready = true;
	} else if (span_is(word, "step") && span_split(&line, ' ', &word)) {
		CLEANUP(mem_freep) char *name = mem_printf("%.*s", SPAN_ARG(word));

		cli_step(s->cli, name, "%.*s", SPAN_ARG(line));
	} else if (span_is(word, "error") && span_split(&line, ' ', &code) && code.len > 4) {
		uint64_t number = 0;

		(void)span_u64((struct span){ code.data + 4, code.len - 4 }, 9999, &number);
		(void)error_set(s->err, error_entry(-(int)number)->code, "%.*s", SPAN_ARG(line));
	} else if (span_is(word, "fix")) {
		(void)error_fix(s->err, "%.*s", SPAN_ARG(line));
	}
}

static int wait_ready(struct cli *cli, int fd, const char *log, struct error *err)
{
	struct start s = { cli, err, false };
	struct text t;
	char *end;
	ssize_t n;

	text_init(&t);
	err->code = 0;
	while ((n = read(fd, text_reserve(&t, FACT_MAX), FACT_MAX)) > 0 ||
		(n == -1 && errno == EINTR)) {
		if (n == -1)
			continue;
		text_grown(&t, (size_t)n);
		while ((end = memchr(t.data, '\n', t.len)) != NULL) {
			take_line(&s, (struct span){ t.data, (size_t)(end - t.data) });
			text_consume(&t, (size_t)(end - t.data) + 1);
		}
	}
	text_done(&t);
	if (s.ready)
		return 0;
	if (err->code == 0)
		(void)error_set(err, ERR_INTERNAL, "mortised ended before it was ready");
	if (!err->fix[0])
		(void)error_fix(err, "%.180s; the log is %.60s", error_entry(err->code)->fix, log);
	return err->code;
}

static int open_log(const char *path, struct error *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);

	return fd == -1 ? error_set_errno(err, errno, "open the log '%s'", path) : fd;
}

static int spawn_daemon(char *const argv[], int log, int ready, struct error *err)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	pid_t pid;
	int rc;

	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, log, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&actions, log, STDERR_FILENO);
	posix_spawn_file_actions_adddup2(&actions, ready, READY_FD);
	rc = posix_spawn(&pid, argv[0], &actions, &attributes, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	return rc ? error_set_errno(err, rc, "run '%s'", argv[0]) : 0;
}

/* posix_spawn's dup2 onto the same number would leave O_CLOEXEC set. */
static int move_above(int fd, int least)
{
	int moved = fcntl(fd, F_DUPFD_CLOEXEC, least);

	(void)close(fd);
	return moved;
}

static int start(struct cli *cli, const char *data, struct error *err)
{
	static const char *const passed[] = { "listen", "database", "environment", "fronts" };
	CLEANUP(mem_freep) char *folder = NULL, *program = NULL, *log_path = NULL;
	CLEANUP(io_closep) int log = -1;
	CLEANUP(io_closep) int reader = -1;
	char *argv[2 * ARRAY_LENGTH(passed) + 6], flags[ARRAY_LENGTH(passed)][32];
	int pipes[2], n = 0, rc;

	rc = paths_program(&folder, err);
	if (rc == 0)
		rc = io_make_dirs(data, 0755, err);
	if (rc < 0)
		return rc;
	program = mem_printf("%s/mortised", folder);
	log_path = mem_printf("%s/mortised.log", data);
	rc = log = open_log(log_path, err);
	if (rc < 0)
		return rc;
	argv[n++] = program;
	argv[n++] = (char *)"--data";
	argv[n++] = (char *)data;
	argv[n++] = (char *)"--ready-fd";
	argv[n++] = (char *)"3";
	for (size_t i = 0; i < ARRAY_LENGTH(passed); i++) {
		if (!cli_value(cli, passed[i]))
			continue;
		(void)snprintf(flags[i], sizeof(flags[i]), "--%s", passed[i]);
		argv[n++] = flags[i];
		argv[n++] = (char *)cli_value(cli, passed[i]);
	}
	argv[n] = NULL;
	if (pipe2(pipes, O_CLOEXEC) == -1)
		return error_set_errno(err, errno, "make a pipe");
	reader = pipes[0];
	log = move_above(log, READY_FD + 1);
	pipes[1] = move_above(pipes[1], READY_FD + 1);
	rc = spawn_daemon(argv, log, pipes[1], err);
	(void)close(pipes[1]);
	return rc < 0 ? rc : wait_ready(cli, reader, log_path, err);
}

static int up(struct cli *cli, struct error *err)
{
	CLEANUP(mem_freep) char *data = NULL;
	pid_t pid;
	int rc = cli_data(cli, &data, err);

	if (rc == 0)
		rc = running_pid(data, &pid, err);
	if (rc < 0)
		return rc;
	if (pid) {
		cli_step(cli, "host", "runs already, pid %d", (int)pid);
	} else {
		rc = start(cli, data, err);
		if (rc < 0)
			return rc;
	}
	print_where(cli, data);
	cli_step(cli, "next", "mortise plugin install FILE.mpk   mortise top   stop: mortise down");
	return 0;
}

static int down(struct cli *cli, struct error *err)
{
	CLEANUP(mem_freep) char *data = NULL;
	CLEANUP(io_closep) int pidfd = -1;
	struct pollfd wait = { .events = POLLIN };
	pid_t pid;
	int rc = cli_data(cli, &data, err);

	if (rc == 0)
		rc = running_pid(data, &pid, err);
	if (rc < 0)
		return rc;
	if (pid == 0) {
		cli_step(cli, "host", "does not run on '%s'", data);
		return 0;
	}
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd == -1 && errno == ESRCH)
		return 0;
	if (pidfd == -1 || syscall(SYS_pidfd_send_signal, pidfd, SIGTERM, NULL, 0) == -1) {
		(void)error_set_errno(err, errno, "stop process %d", (int)pid);
		return error_fix(err, "run it as the user that started the host");
	}
	wait.fd = pidfd;
	do {
		rc = poll(&wait, 1, DOWN_WAIT_S * 1000);
	} while (rc == -1 && errno == EINTR);
	if (rc == 0)
		return error_set(err, ERR_DEADLINE, "process %d did not end within %d s", (int)pid,
			DOWN_WAIT_S);
	cli_done(cli, "the host on '%s' is down", data);
	return 0;
}

static int status(struct cli *cli, struct error *err)
{
	CLEANUP(mem_freep) char *data = NULL;
	CLEANUP(json_freep) json_t *ready = NULL;
	pid_t pid = 0;
	int rc = cli_data(cli, &data, err);

	if (rc == 0 && !(cli->host && cli->host[0]))
		rc = running_pid(data, &pid, err);
	if (rc < 0)
		return rc;
	rc = client_get(cli, "/readyz", &ready, err);
	if (rc < 0)
		return rc;
	if (cli->json) {
		if (pid)
			json_object_set_new(ready, "pid", json_integer(pid));
		cli_json(ready);
		return 0;
	}
	if (pid) {
		printf("pid    %d\n", (int)pid);
		print_where(cli, data);
	}
	printf("ready  yes\n");
	return 0;
}

const struct cli_command cli_host_commands[] = {
	{ "up", "", 0, 0, "start the host on this machine, with everything it needs",
		"Without --database it starts a PostgreSQL of its own in the data folder, "
		"reachable by a\n"
		"Unix socket only. Running it again does nothing. 'mortise help settings' lists "
		"the\n"
		"settings; each has an environment variable.",
		{ { "listen", 'l', "ADDRESS",
			  "address and port to serve (default 127.0.0.1:7400; port 0: a free "
			  "one)" },
			{ "database", 0, "URL", "a PostgreSQL of yours, as its owner" },
			{ "environment", 'e', "NAME",
				"production, development, ... (default: production)" },
			{ "fronts", 0, "N", "front processes (default: one a core, at most 4)" } },
		up },
	{ "down", "", 0, 0, "stop the host on this machine and all that it started", NULL,
		{ { 0 } }, down },
	{ "status", "", 0, 0, "say whether the host is up and ready", NULL, { { 0 } }, status },
	{ 0 },
};
