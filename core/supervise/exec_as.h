/* exec_as.h - `mortised --exec-as`: become another user, then another program
 *
 * posix_spawn cannot change the user, and a parent-death signal is cleared by the
 * change; so children that are not ours to write (PostgreSQL) or that need no
 * rights from the start (fronts, stage) begin here. The pid stays the same.
 */
#ifndef MORTISE_SUPERVISE_EXEC_AS_H
#define MORTISE_SUPERVISE_EXEC_AS_H

#define EXEC_AS_FLAG "--exec-as"
/* Arguments behind the flag: parent pid, uid, gid ("-" leaves both), signal at the parent's
 * death, program, its arguments from argv[0] on. */
#define EXEC_AS_ARGUMENTS 5

/* Returns only when it fails, with the exit code. */
int exec_as_main(int argc, char **argv);

#endif
