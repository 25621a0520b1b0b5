#include "supervise/exec_as.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"

#define EXIT_CANNOT 126

static int complain(const char *what)
{
	(void)fprintf(stderr, "mortised %s: %s: %s\n", EXEC_AS_FLAG, what, strerror(errno));
	return EXIT_CANNOT;
}

static int become(uid_t uid, gid_t gid)
{
	if (setgroups(1, &gid) == -1)
		return complain("setgroups");
	if (setresgid(gid, gid, gid) == -1)
		return complain("setresgid");
	if (setresuid(uid, uid, uid) == -1)
		return complain("setresuid");
	return 0;
}

int exec_as_main(int argc, char **argv)
{
	uint64_t parent, uid = 0, gid = 0, signal;
	bool change;

	if (argc <= EXEC_AS_ARGUMENTS) {
		errno = EINVAL;
		return complain("arguments");
	}
	change = strcmp(argv[1], "-") != 0;
	if (!span_u64(span_of(argv[0]), INT32_MAX, &parent) ||
		(change && (!span_u64(span_of(argv[1]), UINT32_MAX - 1, &uid) ||
				   !span_u64(span_of(argv[2]), UINT32_MAX - 1, &gid))) ||
		!span_u64(span_of(argv[3]), 64, &signal)) {
		errno = EINVAL;
		return complain("arguments");
	}
	if (change && become((uid_t)uid, (gid_t)gid) != 0)
		return EXIT_CANNOT;
	if (prctl(PR_SET_PDEATHSIG, (unsigned long)signal) == -1)
		return complain("PR_SET_PDEATHSIG");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1ul, 0ul, 0ul, 0ul) == -1)
		return complain("PR_SET_NO_NEW_PRIVS");
	/* The parent may have died before its death was ours to hear. */
	if ((uint64_t)getppid() != parent)
		return EXIT_CANNOT;
	(void)umask(077);
	if (chdir("/") == -1)
		return complain("chdir /");
	(void)execv(argv[4], argv + EXEC_AS_ARGUMENTS);
	return complain(argv[4]);
}
