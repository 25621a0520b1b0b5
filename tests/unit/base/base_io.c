#include "base/io.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/test.h"

TEST(base_io__a_written_file_reads_back_with_its_mode)
{
	struct error err;
	struct stat st;
	struct text t;

	(void)umask(077);
	EXPECT_OK(io_write_file(AT_FDCWD, "f", SPAN("hello"), 0644, &err), &err);
	EXPECT_INT(stat("f", &st), ==, 0);
	EXPECT_INT(st.st_mode & 0777, ==, 0644);
	text_init(&t);
	EXPECT_OK(io_read_file(AT_FDCWD, "f", 5, &t, &err), &err);
	EXPECT_STR(t.data, "hello");
	EXPECT_INT(io_read_file(AT_FDCWD, "f", 4, &t, &err), ==, ERR_TOO_LARGE);
	EXPECT_STR(t.data, "hello");
	EXPECT_INT(io_read_file(AT_FDCWD, "g", 4, &t, &err), ==, ERR_NOT_FOUND);
	text_done(&t);
}

TEST(base_io__remove_tree_stays_inside_and_needs_no_write_permission)
{
	struct error err;

	EXPECT_OK(io_make_dirs("a/b/c", 0755, &err), &err);
	EXPECT_OK(io_write_file(AT_FDCWD, "keep", SPAN("x"), 0644, &err), &err);
	EXPECT_OK(io_write_file(AT_FDCWD, "a/b/file", SPAN("x"), 0444, &err), &err);
	EXPECT_INT(symlink("../../keep", "a/b/link"), ==, 0);
	EXPECT_INT(chmod("a/b", 0555), ==, 0);
	EXPECT_OK(io_remove_tree(AT_FDCWD, "a", &err), &err);
	EXPECT_INT(access("a", F_OK), ==, -1);
	EXPECT_INT(access("keep", F_OK), ==, 0);
	EXPECT_OK(io_remove_tree(AT_FDCWD, "a", &err), &err);
}
