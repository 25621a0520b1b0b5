#include "supervise/audit_anchor.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/io.h"
#include "base/mem.h"

/* What a power cut left of a line must not swallow the next one. */
static bool ends_in_a_line(int fd)
{
	struct stat st;
	char last;

	return fstat(fd, &st) == 0 &&
	       (st.st_size == 0 || (pread(fd, &last, 1, st.st_size - 1) == 1 && last == '\n'));
}

static int append_one(
	const char *folder, const char *node, const struct audit_anchor *anchor, struct error *err)
{
	CLEANUP(mem_freep)
	char *path = mem_printf("%s/%s.%s.anchors", folder, anchor->chain, node);
	CLEANUP(io_closep)
	int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	char now[CLOCK_TEXT_SIZE];
	struct text line;
	int rc;

	if (fd == -1)
		return error_set_errno(err, errno, "open '%s'", path);
	clock_text(clock_real_us(), now);
	text_init(&line);
	text_printf(&line, "%s%s %s %llu %lld %s\n", ends_in_a_line(fd) ? "" : "\n", now,
		anchor->chain, (unsigned long long)anchor->head.sequence, (long long)anchor->row_id,
		anchor->head.hash);
	rc = io_write_all(fd, line.data, line.len, err);
	text_done(&line);
	return rc < 0 ? rc : io_fsync(fd, path, err);
}

int audit_anchor_append(const char *folder, const char *node, const struct audit_anchor *anchors,
	size_t n, struct error *err)
{
	int rc = io_make_dirs(folder, 0700, err);

	for (size_t i = 0; i < n && rc == 0; i++)
		rc = append_one(folder, node, &anchors[i], err);
	/* Their names are there after a power cut too. */
	return rc < 0 ? rc : io_fsync_dir(AT_FDCWD, folder, err);
}
