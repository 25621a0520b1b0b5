/* io.h - whole reads and writes, files that are there after a power cut
 *
 * Blocking; used before a loop runs, in helpers that may block, or through
 * work_submit(). Descriptors are born O_CLOEXEC. [any thread]
 */
#ifndef MORTISE_BASE_IO_H
#define MORTISE_BASE_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/text.h"

struct error;

/* Close *fd if it is open (not -1); for CLEANUP. */
void io_closep(int *fd);

/* Write or read all of it, restarting after EINTR. A short read is ERR_CLOSED. */
int io_write_all(int fd, const void *data, size_t len, struct error *err);
int io_read_all(int fd, void *data, size_t len, struct error *err);

/* Append the file at path below dirfd (AT_FDCWD for none) to *out. ERR_NOT_FOUND: no such file;
 * ERR_TOO_LARGE: longer than limit. out is unchanged on failure. */
int io_read_file(int dirfd, const char *path, size_t limit, struct text *out, struct error *err);

/* Replace path below dirfd with data, atomically and durably: temporary file, fsync, rename,
 * fsync of the folder. */
int io_write_file(int dirfd, const char *path, struct span data, mode_t mode, struct error *err);

int io_fsync(int fd, const char *what, struct error *err);
/* fsync the folder path below dirfd. */
int io_fsync_dir(int dirfd, const char *path, struct error *err);

/* Make folder path and its parents, each new one with mode. */
int io_make_dirs(const char *path, mode_t mode, struct error *err);

/* Remove path below dirfd with all that it holds; what is not there is fine. Never follows a link.
 */
int io_remove_tree(int dirfd, const char *path, struct error *err);

#endif
