#include "stage/limits.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/error.h"
#include "channel/protocol.h"

#define OPEN_FILES        64
#define SMALL_MEMORY      (UINT64_C(64) << 20)
#define SMALL_CPU_SECONDS 10

/* A sanitizer reserves terabytes of address space, so under one that limit cannot be set. */
#if defined(__SANITIZE_ADDRESS__)
#define LIMIT_MEMORY 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LIMIT_MEMORY 0
#else
#define LIMIT_MEMORY 1
#endif
#else
#define LIMIT_MEMORY 1
#endif

static int set_limit(
	__rlimit_resource_t resource, uint64_t value, const char *what, struct error *err)
{
	struct rlimit limit;

	if (getrlimit(resource, &limit) == -1)
		return error_set_errno(err, errno, "read limit of %s", what);
	/* Never above what we were given. */
	if (limit.rlim_max != RLIM_INFINITY && value > limit.rlim_max)
		value = limit.rlim_max;
	limit.rlim_cur = limit.rlim_max = value;
	if (setrlimit(resource, &limit) == -1)
		return error_set_errno(err, errno, "limit %s", what);
	return 0;
}

/* Bytes of address space that program and libraries take now; 0 when it cannot be told. */
static uint64_t mapped_bytes(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	unsigned long long pages = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%llu", &pages) != 1)
		pages = 0;
	(void)fclose(file);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* The libraries alone map some fifty megabytes that cost nothing; the limit is on what comes on
 * top.
 */
static int limit_memory(uint64_t bytes, struct error *err)
{
	if (!LIMIT_MEMORY || bytes == 0)
		return 0;
	return set_limit(RLIMIT_AS, mapped_bytes() + bytes, "memory", err);
}

int limits_begin(struct error *err)
{
	/* A write past the file size limit is an error to report, not an end. */
	(void)signal(SIGXFSZ, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return error_set_errno(err, errno, "give up new rights");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1)
		return error_set_errno(err, errno, "close the process to others");
	if (set_limit(RLIMIT_CORE, 0, "core files", err) < 0 ||
		set_limit(RLIMIT_NOFILE, OPEN_FILES, "open files", err) < 0)
		return ERR_SYSTEM;
	return 0;
}

static int drop_rights(const struct stage_package *job, struct error *err)
{
	if (!job->drop_rights)
		return 0;
	if (setgroups(0, NULL) == -1 || setresgid(job->gid, job->gid, job->gid) == -1 ||
		setresuid(job->uid, job->uid, job->uid) == -1)
		return error_set_errno(err, errno, "become user %u", job->uid);
	return 0;
}

/* The kernel clears it when the uid changes, so it comes after. A parent that is dead by now has
 * closed the channel. */
static int die_with_parent(struct error *err)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == -1)
		return error_set_errno(err, errno, "follow the parent's death");
	return 0;
}

int limits_apply(const struct stage_package *job, struct error *err)
{
	uint64_t file_bytes =
		job->package_bytes > job->unpacked_bytes ? job->package_bytes : job->unpacked_bytes;
	int rc = drop_rights(job, err);

	if (rc == 0)
		rc = die_with_parent(err);
	if (rc == 0 && file_bytes)
		rc = set_limit(RLIMIT_FSIZE, file_bytes, "file size", err);
	if (rc == 0 && job->cpu_seconds)
		rc = set_limit(RLIMIT_CPU, job->cpu_seconds, "CPU time", err);
	if (rc == 0)
		rc = set_limit(RLIMIT_NPROC, 0, "processes", err);
	return rc < 0 ? rc : limit_memory(job->memory_bytes, err);
}

int limits_apply_small(struct error *err)
{
	int rc = die_with_parent(err);

	if (rc == 0)
		rc = set_limit(RLIMIT_FSIZE, 0, "file size", err);
	if (rc == 0)
		rc = set_limit(RLIMIT_CPU, SMALL_CPU_SECONDS, "CPU time", err);
	if (rc == 0)
		rc = set_limit(RLIMIT_NPROC, 0, "processes", err);
	return rc < 0 ? rc : limit_memory(SMALL_MEMORY, err);
}
