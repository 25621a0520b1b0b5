#include "base/paths.h"

#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/settings.h"

/* Debian and its kin keep each major version in a folder of its own; Red Hat's in a sibling. */
static const char *const postgres_globs[] = { "/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin" };

static int absolute(char **out, const char *path, struct error *err)
{
	char folder[PATH_MAX];

	if (path[0] == '/') {
		*out = mem_strdup(path);
		return 0;
	}
	if (!getcwd(folder, sizeof(folder)))
		return error_set_errno(err, errno, "find the current folder");
	*out = mem_printf("%s/%s", folder, path);
	return 0;
}

int paths_data(char **out, const struct settings *settings, struct error *err)
{
	const char *xdg = getenv("XDG_DATA_HOME"), *home = getenv("HOME");

	if (settings->data[0])
		return absolute(out, settings->data, err);
	if (geteuid() == 0)
		*out = mem_strdup("/var/lib/mortise");
	else if (xdg && xdg[0] == '/')
		*out = mem_printf("%s/mortise", xdg);
	else if (home && home[0] == '/')
		*out = mem_printf("%s/.local/share/mortise", home);
	else
		return error_set(err, ERR_CONFIG,
			"no data folder: neither MORTISE_DATA nor XDG_DATA_HOME nor HOME is set");
	return 0;
}

int paths_program(char **out, struct error *err)
{
	char path[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);
	char *slash;

	if (len == -1)
		return error_set_errno(err, errno, "read /proc/self/exe");
	path[len] = '\0';
	slash = strrchr(path, '/');
	*slash = '\0';
	*out = mem_strdup(path);
	return 0;
}

static unsigned long version_of(const char *path)
{
	while (*path && (*path < '0' || *path > '9'))
		path++;
	return strtoul(path, NULL, 10);
}

static char *newest_in(const char *pattern, const char *program)
{
	glob_t found;
	char *best = NULL;
	unsigned long best_version = 0;

	if (glob(pattern, 0, NULL, &found) != 0)
		return NULL;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		CLEANUP(mem_freep) char *path = mem_printf("%s/%s", found.gl_pathv[i], program);

		if (access(path, X_OK) == 0 && version_of(path) > best_version) {
			best_version = version_of(path);
			mem_free(best);
			best = TAKE(path);
		}
	}
	globfree(&found);
	return best;
}

static char *on_path(const char *program)
{
	struct span rest = span_of(getenv("PATH")), folder;

	while (span_split(&rest, ':', &folder)) {
		CLEANUP(mem_freep) char *path = mem_printf("%.*s/%s", SPAN_ARG(folder), program);

		if (folder.len && access(path, X_OK) == 0)
			return TAKE(path);
	}
	return NULL;
}

int paths_postgres(char **out, const char *program, struct error *err)
{
	char *path = NULL;

	for (size_t i = 0; i < ARRAY_LENGTH(postgres_globs) && !path; i++)
		path = newest_in(postgres_globs[i], program);
	if (!path)
		path = on_path(program);
	if (!path) {
		(void)error_set(err, ERR_NOT_FOUND,
			"PostgreSQL's '%s' is neither under /usr/lib/postgresql nor on PATH",
			program);
		return error_fix(
			err, "apt-get install postgresql-15, or name a database with --database");
	}
	*out = path;
	return 0;
}
