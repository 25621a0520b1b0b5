#include "supervise/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <uv.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/text.h"
#include "supervise/exec_as.h"

#define PROCESS_MAGIC 0x636f7270u
/* Copies of a child's descriptors stand above every number that they take in the child, so that
 * no dup2 overwrites one that is still to be placed. */
#define FD_ASIDE 64

struct process {
	uint32_t magic;
	uv_poll_t poll; /* on the pidfd */
	int pidfd;
	pid_t pid;
	process_exit_cb on_exit;
	void *user;
	struct process_exit exit;
};

/* What a child may see of our environment; no secret is among them. */
static const char *const passed_on[] = { "PATH", "TZ", "LANG", "LC_ALL", "MORTISE_FAULT",
	"ASAN_OPTIONS", "UBSAN_OPTIONS" };

struct environment {
	char *entries[ARRAY_LENGTH(passed_on) + 1];
};

static void environment_init(struct environment *e)
{
	size_t n = 0;

	memset(e, 0, sizeof(*e));
	for (size_t i = 0; i < ARRAY_LENGTH(passed_on); i++) {
		const char *value = getenv(passed_on[i]);

		if (value)
			e->entries[n++] = mem_printf("%s=%s", passed_on[i], value);
	}
}

static void environment_done(struct environment *e)
{
	for (size_t i = 0; e->entries[i]; i++)
		mem_free(e->entries[i]);
}

static int set_aside(const struct process_options *o, int aside[PROCESS_FDS_MAX], struct error *err)
{
	for (size_t i = 0; i < o->fd_count; i++) {
		aside[i] = fcntl(o->fds[i].fd, F_DUPFD_CLOEXEC, FD_ASIDE);
		if (aside[i] == -1)
			return error_set_errno(err, errno, "copy a descriptor for '%s'", o->path);
	}
	return 0;
}

static int place(posix_spawn_file_actions_t *actions, const struct process_options *o,
	const int aside[PROCESS_FDS_MAX])
{
	int highest = 2, rc;

	rc = posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);
	for (size_t i = 0; i < o->fd_count && rc == 0; i++) {
		ASSERT(o->fds[i].as > 0 && o->fds[i].as < FD_ASIDE);
		rc = posix_spawn_file_actions_adddup2(actions, aside[i], o->fds[i].as);
		if (o->fds[i].as > highest)
			highest = o->fds[i].as;
	}
	/* Everything of ours is close-on-exec; this holds for libraries' descriptors too. */
	return rc ? rc : posix_spawn_file_actions_addclosefrom_np(actions, highest + 1);
}

static int configure(posix_spawnattr_t *attributes)
{
	sigset_t none, all;
	int rc;

	(void)sigemptyset(&none);
	(void)sigfillset(&all);
	rc = posix_spawnattr_setsigmask(attributes, &none);
	if (rc == 0)
		rc = posix_spawnattr_setsigdefault(attributes, &all);
	if (rc == 0)
		/* A session of its own: a ^C at our terminal is for us, and we tell them. */
		rc = posix_spawnattr_setflags(attributes,
			POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
	return rc;
}

/* The command line that is really run. Numbers are written into texts. */
struct command {
	const char *path;
	const char *const *argv;
	const char *shim_argv[EXEC_AS_ARGUMENTS + PROCESS_ARGS_MAX + 3];
	char texts[4][16];
};

static void command_init(struct command *c, const struct process_options *o)
{
	const struct process_rights *r = o->rights;
	size_t n = 0;

	c->path = r ? r->shim : o->path;
	c->argv = r ? c->shim_argv : o->argv;
	if (!r)
		return;
	(void)snprintf(c->texts[0], sizeof(c->texts[0]), "%d", (int)getpid());
	(void)snprintf(c->texts[1], sizeof(c->texts[1]), "%u", (unsigned)r->uid);
	(void)snprintf(c->texts[2], sizeof(c->texts[2]), "%u", (unsigned)r->gid);
	(void)snprintf(c->texts[3], sizeof(c->texts[3]), "%d", r->death_signal);
	c->shim_argv[n++] = r->shim;
	c->shim_argv[n++] = EXEC_AS_FLAG;
	c->shim_argv[n++] = c->texts[0];
	c->shim_argv[n++] = r->change ? c->texts[1] : "-";
	c->shim_argv[n++] = r->change ? c->texts[2] : "-";
	c->shim_argv[n++] = c->texts[3];
	c->shim_argv[n++] = o->path;
	for (size_t i = 0; o->argv[i]; i++) {
		ASSERT(i < PROCESS_ARGS_MAX);
		c->shim_argv[n++] = o->argv[i];
	}
	c->shim_argv[n] = NULL;
}

static int spawn(pid_t *pid, const struct process_options *o, struct error *err)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	struct environment environment;
	struct command command;
	int aside[PROCESS_FDS_MAX], rc;

	ASSERT(o->fd_count <= PROCESS_FDS_MAX);
	for (size_t i = 0; i < PROCESS_FDS_MAX; i++)
		aside[i] = -1;
	environment_init(&environment);
	command_init(&command, o);
	(void)posix_spawn_file_actions_init(&actions);
	(void)posix_spawnattr_init(&attributes);
	rc = set_aside(o, aside, err);
	if (rc == 0) {
		int errnum = place(&actions, o, aside);

		if (errnum == 0)
			errnum = configure(&attributes);
		if (errnum == 0)
			errnum = posix_spawn(pid, command.path, &actions, &attributes,
				(char *const *)(uintptr_t)command.argv, environment.entries);
		if (errnum != 0)
			rc = error_set_errno(err, errnum, "start '%s'", o->path);
	}
	for (size_t i = 0; i < PROCESS_FDS_MAX; i++)
		io_closep(&aside[i]);
	(void)posix_spawnattr_destroy(&attributes);
	(void)posix_spawn_file_actions_destroy(&actions);
	environment_done(&environment);
	return rc;
}

static void on_poll_closed(uv_handle_t *handle)
{
	struct process *p = CONTAINER_OF(handle, struct process, poll);

	ASSERT(p->magic == PROCESS_MAGIC);
	(void)close(p->pidfd);
	p->magic = 0;
	p->on_exit(p->user, &p->exit);
	mem_free(p);
}

static uint64_t ns_of(struct timeval t)
{
	return (uint64_t)t.tv_sec * CLOCK_NS_PER_SEC + (uint64_t)t.tv_usec * 1000;
}

static void on_pidfd(uv_poll_t *poll, int status, int events)
{
	struct process *p = CONTAINER_OF(poll, struct process, poll);
	struct rusage usage;
	siginfo_t ended;
	int state;
	pid_t reaped;

	(void)status;
	(void)events;
	ASSERT(p->magic == PROCESS_MAGIC);
	memset(&ended, 0, sizeof(ended));
	if (waitid(P_PID, (id_t)p->pid, &ended, WEXITED | WNOHANG | WNOWAIT) == -1 ||
		ended.si_pid == 0)
		return;
	/* What it forked and left behind in its group; until it is reaped, the number of the group
	 * cannot be another's. */
	(void)kill(-p->pid, SIGKILL);
	do
		reaped = wait4(p->pid, &state, 0, &usage);
	while (reaped == -1 && errno == EINTR);
	/* Nobody else reaps our children. */
	ASSERT(reaped == p->pid);
	p->exit.code = WIFEXITED(state) ? WEXITSTATUS(state) : -1;
	p->exit.signal = WIFSIGNALED(state) ? WTERMSIG(state) : 0;
	p->exit.cpu_ns = ns_of(usage.ru_utime) + ns_of(usage.ru_stime);
	p->exit.max_rss_bytes = (uint64_t)usage.ru_maxrss << 10;
	(void)uv_poll_stop(&p->poll);
	uv_close((uv_handle_t *)&p->poll, on_poll_closed);
}

int process_start(struct process **out, struct uv_loop_s *loop,
	const struct process_options *options, process_exit_cb on_exit, void *user,
	struct error *err)
{
	struct process *p;
	int pidfd, rc;
	pid_t pid;

	rc = spawn(&pid, options, err);
	if (rc < 0)
		return rc;
	pidfd = pidfd_open(pid, 0);
	if (pidfd == -1) {
		rc = error_set_errno(err, errno, "pidfd_open for '%s'", options->path);
		/* Not reaped yet, so the number is still this child's. */
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
		return rc;
	}
	p = mem_zalloc(sizeof(*p));
	p->magic = PROCESS_MAGIC;
	p->pid = pid;
	p->pidfd = pidfd;
	p->on_exit = on_exit;
	p->user = user;
	if (uv_poll_init(loop, &p->poll, pidfd) != 0 ||
		uv_poll_start(&p->poll, UV_READABLE, on_pidfd) != 0)
		BUG("uv_poll refused a pidfd");
	*out = p;
	return 0;
}

pid_t process_pid(const struct process *p)
{
	return p->pid;
}

void process_kill(struct process *p, int signal)
{
	ASSERT(p->magic == PROCESS_MAGIC);
	(void)pidfd_send_signal(p->pidfd, signal, NULL, 0);
}

static bool read_statm(pid_t pid, uint64_t *memory_bytes)
{
	char path[64], line[128], *end;
	unsigned long long size, resident;
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return false;
	n = read(fd, line, sizeof(line) - 1);
	(void)close(fd);
	if (n <= 0)
		return false;
	line[n] = '\0';
	size = strtoull(line, &end, 10);
	resident = strtoull(end, NULL, 10);
	*memory_bytes = resident * (uint64_t)sysconf(_SC_PAGESIZE);
	return size > 0;
}

bool process_usage(const struct process *p, uint64_t *cpu_ns, uint64_t *memory_bytes)
{
	struct timespec used;
	clockid_t clock;

	ASSERT(p->magic == PROCESS_MAGIC);
	if (clock_getcpuclockid(p->pid, &clock) != 0 || clock_gettime(clock, &used) == -1)
		return false;
	*cpu_ns = (uint64_t)used.tv_sec * CLOCK_NS_PER_SEC + (uint64_t)used.tv_nsec;
	return read_statm(p->pid, memory_bytes);
}

void process_exit_text(const struct process_exit *exit, struct text *out)
{
	if (exit->signal)
		text_printf(out, "killed by signal %d (%s)", exit->signal, strsignal(exit->signal));
	else
		text_printf(out, "exited with code %d", exit->code);
}
