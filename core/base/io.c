#include "base/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"

#define READ_CHUNK (64u << 10)

void io_closep(int *fd)
{
	if (*fd != -1)
		(void)close(*fd);
	*fd = -1;
}

int io_write_all(int fd, const void *data, size_t len, struct error *err)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return error_set_errno(err, errno, "write");
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int io_read_all(int fd, void *data, size_t len, struct error *err)
{
	char *p = data;

	while (len > 0) {
		ssize_t n = read(fd, p, len);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return error_set_errno(err, errno, "read");
		if (n == 0)
			return error_set(
				err, ERR_CLOSED, "read: end of file with %zu bytes missing", len);
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int read_to_end(int fd, const char *path, size_t limit, struct text *out, struct error *err)
{
	for (;;) {
		ssize_t n = read(fd, text_reserve(out, READ_CHUNK), READ_CHUNK);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return error_set_errno(err, errno, "read '%s'", path);
		if (n == 0)
			return 0;
		text_grown(out, (size_t)n);
		if (out->len > limit)
			return error_set(
				err, ERR_TOO_LARGE, "'%s' is longer than %zu bytes", path, limit);
	}
}

int io_read_file(int dirfd, const char *path, size_t limit, struct text *out, struct error *err)
{
	CLEANUP(io_closep)
	int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct text data;
	int rc;

	if (fd == -1 && errno == ENOENT)
		return error_set(err, ERR_NOT_FOUND, "no file '%s'", path);
	if (fd == -1)
		return error_set_errno(err, errno, "open '%s'", path);
	text_init(&data);
	rc = read_to_end(fd, path, limit, &data, err);
	if (rc == 0)
		text_append_span(out, text_span(&data));
	text_done(&data);
	return rc;
}

int io_fsync(int fd, const char *what, struct error *err)
{
	if (fsync(fd) == -1)
		return error_set_errno(err, errno, "fsync '%s'", what);
	return 0;
}

int io_fsync_dir(int dirfd, const char *path, struct error *err)
{
	CLEANUP(io_closep) int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd == -1)
		return error_set_errno(err, errno, "open folder '%s'", path);
	return io_fsync(fd, path, err);
}

static int write_temporary(
	int dirfd, const char *temporary, struct span data, mode_t mode, struct error *err)
{
	CLEANUP(io_closep)
	int fd = openat(
		dirfd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	int rc;

	if (fd == -1)
		return error_set_errno(err, errno, "create '%s'", temporary);
	/* The umask may have taken bits that the caller asked for. */
	if (fchmod(fd, mode) == -1)
		return error_set_errno(err, errno, "chmod '%s'", temporary);
	rc = io_write_all(fd, data.data, data.len, err);
	if (rc < 0)
		return rc;
	return io_fsync(fd, temporary, err);
}

int io_write_file(int dirfd, const char *path, struct span data, mode_t mode, struct error *err)
{
	CLEANUP(mem_freep) char *temporary = mem_printf("%s.%d.new", path, (int)getpid());
	CLEANUP(mem_freep) char *folder = mem_strdup(path);
	char *slash = strrchr(folder, '/');
	int rc;

	(void)unlinkat(dirfd, temporary, 0);
	rc = write_temporary(dirfd, temporary, data, mode, err);
	if (rc == 0 && renameat(dirfd, temporary, dirfd, path) == -1)
		rc = error_set_errno(err, errno, "rename to '%s'", path);
	if (rc < 0) {
		(void)unlinkat(dirfd, temporary, 0);
		return rc;
	}
	if (slash)
		slash[slash == folder ? 1 : 0] = '\0';
	return io_fsync_dir(dirfd, slash ? folder : ".", err);
}

int io_make_dirs(const char *path, mode_t mode, struct error *err)
{
	CLEANUP(mem_freep) char *part = mem_strdup(path);

	for (char *p = part + 1;; p++) {
		char c = *p;

		if (c != '/' && c != '\0')
			continue;
		*p = '\0';
		if (mkdir(part, mode) == -1 && errno != EEXIST)
			return error_set_errno(err, errno, "make folder '%s'", part);
		*p = c;
		if (c == '\0')
			return 0;
	}
}

static int remove_contents(int fd, const char *path, struct error *err)
{
	DIR *dir = fdopendir(fd);
	struct dirent *entry;
	int rc = 0;

	if (!dir) {
		rc = error_set_errno(err, errno, "read folder '%s'", path);
		(void)close(fd);
		return rc;
	}
	while (rc == 0 && (errno = 0, entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		rc = io_remove_tree(dirfd(dir), entry->d_name, err);
	}
	(void)closedir(dir);
	return rc;
}

int io_remove_tree(int dirfd, const char *path, struct error *err)
{
	int fd, rc;

	if (unlinkat(dirfd, path, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return error_set_errno(err, errno, "remove '%s'", path);
	/* A read-only folder of our own keeps its entries otherwise. */
	fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		return error_set_errno(err, errno, "open folder '%s'", path);
	(void)fchmod(fd, 0700);
	rc = remove_contents(fd, path, err);
	if (rc < 0)
		return rc;
	if (unlinkat(dirfd, path, AT_REMOVEDIR) == -1 && errno != ENOENT)
		return error_set_errno(err, errno, "remove folder '%s'", path);
	return 0;
}
