/* process.h - a child process, from its start to its last account
 *
 * Started by posix_spawn with exactly the descriptors named, in a session of its
 * own, all signals at their defaults; watched by a pidfd, so that no signal can
 * reach a stranger with the same number; reaped with its usage. Knows no channel
 * and no plugin. [loop thread]
 */
#ifndef MORTISE_SUPERVISE_PROCESS_H
#define MORTISE_SUPERVISE_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct error;
struct text;
struct uv_loop_s;
struct process; /* opaque */

struct process_fd {
	int fd; /* ours; stays ours */
	int as; /* its number in the child: 1, 2 and from 3 without a gap */
};

#define PROCESS_FDS_MAX 8

/* For a child that does not drop its rights itself: it begins as `shim --exec-as` (exec_as.h). */
struct process_rights {
	const char *shim; /* the path of mortised */
	bool change;      /* become uid and gid; false: stay who we are */
	uid_t uid;
	gid_t gid;
	int death_signal; /* that it gets when we die */
};

#define PROCESS_ARGS_MAX 64

struct process_options {
	const char *path;
	const char *const *argv; /* ends with NULL; at most PROCESS_ARGS_MAX with rights */
	const struct process_rights *rights; /* NULL: it sees to that itself */
	const struct process_fd *fds;
	size_t fd_count;
};

/* How it ended and all that it used, children that it reaped included. */
struct process_exit {
	int code;   /* exit code, or -1 */
	int signal; /* signal that ended it, or 0 */
	uint64_t cpu_ns;
	uint64_t max_rss_bytes;
};

typedef void (*process_exit_cb)(void *user, const struct process_exit *exit);

/* Start it. on_exit runs exactly once, from the loop; *out is gone when it returns. ERR_SYSTEM:
 * the program cannot be run. */
int process_start(struct process **out, struct uv_loop_s *loop,
	const struct process_options *options, process_exit_cb on_exit, void *user,
	struct error *err);

pid_t process_pid(const struct process *p);

/* Send a signal; harmless when it has ended. */
void process_kill(struct process *p, int signal);

/* CPU time in ns of all its threads and its resident memory; false when it has just ended. */
bool process_usage(const struct process *p, uint64_t *cpu_ns, uint64_t *memory_bytes);

/* "exited with code 1", "killed by signal 9 (Killed)", for people. */
void process_exit_text(const struct process_exit *exit, struct text *out);

#endif
