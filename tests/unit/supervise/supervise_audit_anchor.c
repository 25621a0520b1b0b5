#include "supervise/audit_anchor.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "lib/test.h"

static void read_back(const char *path, struct text *out)
{
	struct error err;

	text_clear(out);
	EXPECT_OK(io_read_file(AT_FDCWD, path, 4096, out, &err), &err);
}

TEST(supervise_audit_anchor__lines_are_only_ever_appended)
{
	struct audit_anchor anchors[] = {
		{ "2026_11", 7, { 3, "aa" } },
		{ "2026_12", 9, { 1, "bb" } },
	};
	struct error err;
	struct text text;
	struct stat st;
	int fd;

	text_init(&text);
	EXPECT_OK(audit_anchor_append("anchors", "n1", anchors, 2, &err), &err);
	EXPECT_INT(stat("anchors/2026_11.n1.anchors", &st), ==, 0);
	EXPECT_INT(st.st_mode & 0777, ==, 0600);
	read_back("anchors/2026_12.n1.anchors", &text);
	EXPECT_CONTAINS(text.data, "Z 2026_12 1 9 bb\n");
	/* What a power cut left of a line stays, and the next one begins a line. */
	fd = open("anchors/2026_11.n1.anchors", O_WRONLY | O_APPEND | O_CLOEXEC);
	EXPECT_OK(io_write_all(fd, "2026-11-24T00:", 14, &err), &err);
	(void)close(fd);
	anchors[0].head.sequence = 4;
	EXPECT_OK(audit_anchor_append("anchors", "n1", anchors, 1, &err), &err);
	read_back("anchors/2026_11.n1.anchors", &text);
	EXPECT_CONTAINS(text.data, " 2026_11 3 7 aa\n2026-11-24T00:\n");
	EXPECT_CONTAINS(text.data, " 2026_11 4 7 aa\n");
	text_done(&text);
}

TEST(supervise_audit_anchor__a_link_in_its_place_is_not_followed)
{
	struct audit_anchor anchor = { "2026_11", 7, { 3, "aa" } };
	struct error err;

	EXPECT_OK(io_make_dirs("anchors", 0700, &err), &err);
	EXPECT_INT(symlink("/dev/null", "anchors/2026_11.n1.anchors"), ==, 0);
	EXPECT_INT(audit_anchor_append("anchors", "n1", &anchor, 1, &err), ==, ERR_SYSTEM);
}
