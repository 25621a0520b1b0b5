#include "daemon/data_folder.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/settings.h"
#include "lib/test.h"

static void settings_for(struct settings *s, const char *data)
{
	struct error err = { 0 };

	EXPECT_OK(settings_init(s, &err), &err);
	EXPECT_OK(settings_set(s, "data", data, &err), &err);
}

/* The test's folder, open to others as a data folder's way must be. */
static char *open_way(void)
{
	char path[4096];

	EXPECT_PTR(getcwd(path, sizeof(path)));
	EXPECT_INT(chmod(path, 0755), ==, 0);
	return mem_printf("%s/data", path);
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	EXPECT_INT(stat(path, &st), ==, 0);
	return st.st_mode & 07777;
}

TEST(daemon_data_folder__a_second_host_is_refused_and_the_first_is_named)
{
	CLEANUP(mem_freep) char *data = open_way();
	struct data_folder first, second;
	struct settings settings;
	struct error err = { 0 };
	char pid[16];

	settings_for(&settings, data);
	EXPECT_OK(data_folder_open(&first, &settings, &err), &err);
	EXPECT_INT(data_folder_open(&second, &settings, &err), ==, ERR_RUNNING);
	(void)snprintf(pid, sizeof(pid), "pid %d", (int)getpid());
	EXPECT_CONTAINS(err.text, pid);
	data_folder_close(&first);
	EXPECT_OK(data_folder_open(&second, &settings, &err), &err);
	data_folder_close(&second);
	settings_done(&settings);
}

TEST(daemon_data_folder__the_node_keeps_its_name_and_the_run_folder_goes)
{
	CLEANUP(mem_freep) char *data = open_way();
	struct data_folder folder;
	struct settings settings;
	struct error err = { 0 };
	char node[DATA_FOLDER_NODE_MAX + 1], run[256];

	settings_for(&settings, data);
	EXPECT_OK(data_folder_open(&folder, &settings, &err), &err);
	memcpy(node, folder.node, sizeof(node));
	(void)snprintf(run, sizeof(run), "%s", folder.run);
	EXPECT_INT(access(run, F_OK), ==, 0);
	EXPECT_UINT(strlen(run), <, 60);
	data_folder_close(&folder);
	EXPECT_INT(access(run, F_OK), ==, -1);
	EXPECT_OK(data_folder_open(&folder, &settings, &err), &err);
	EXPECT_STR(folder.node, node);
	data_folder_close(&folder);
	settings_done(&settings);
}

TEST(daemon_data_folder__nobody_else_may_look_into_what_is_not_theirs)
{
	CLEANUP(mem_freep) char *data = open_way();
	struct data_folder folder;
	struct settings settings;
	struct error err = { 0 };

	settings_for(&settings, data);
	EXPECT_OK(data_folder_open(&folder, &settings, &err), &err);
	EXPECT_UINT(mode_of(data) & 066, ==, 0);
	EXPECT_UINT(mode_of("data/logs") & 07, ==, 0);
	EXPECT_UINT(mode_of("data/instances") & 066, ==, 0);
	data_folder_close(&folder);
	settings_done(&settings);
}

TEST(daemon_data_folder__a_way_that_others_may_not_pass_is_named)
{
	struct error err = { 0 };
	char path[4096];

	EXPECT_PTR(getcwd(path, sizeof(path) - 32));
	EXPECT_INT(chmod(path, 0755), ==, 0);
	EXPECT_INT(mkdir("closed", 0700), ==, 0);
	EXPECT_INT(mkdir("closed/data", 0755), ==, 0);
	(void)snprintf(path + strlen(path), 32, "/closed/data");
	EXPECT_INT(data_folder_check_way(path, &err), ==, ERR_DATA_FOLDER);
	EXPECT_CONTAINS(err.text, "/closed' (mode 0700)");
	EXPECT_CONTAINS(err.fix, "chmod o+x");
	EXPECT_INT(chmod("closed", 0711), ==, 0);
	EXPECT_INT(data_folder_check_way(path, &err), ==, 0);
}

TEST(daemon_data_folder__uids_of_workers_must_be_nobodys)
{
	CLEANUP(mem_freep) char *data = open_way();
	struct data_folder folder;
	struct settings settings;
	struct error err = { 0 };

	if (geteuid() != 0)
		return;
	settings_for(&settings, data);
	EXPECT_OK(settings_set(&settings, "uid.base", "65534", &err), &err);
	EXPECT_INT(data_folder_open(&folder, &settings, &err), ==, ERR_CONFIG);
	EXPECT_CONTAINS(err.text, "uid.base");
	settings_done(&settings);
}

TEST(daemon_data_folder__the_database_and_the_fronts_are_two_users)
{
	CLEANUP(mem_freep) char *data = open_way();
	struct data_folder folder;
	struct settings settings;
	struct error err = { 0 };

	if (geteuid() != 0)
		return;
	settings_for(&settings, data);
	EXPECT_OK(settings_set(&settings, "service.user", "no-such-user", &err), &err);
	EXPECT_OK(settings_set(&settings, "database.user", "daemon", &err), &err);
	EXPECT_OK(data_folder_open(&folder, &settings, &err), &err);
	EXPECT_UINT(folder.database_uid, ==, 1);
	EXPECT_UINT(folder.service_uid, >, settings.uid_base);
	data_folder_close(&folder);
	/* A cluster that is there keeps its owner; that of the fronts is refused. */
	EXPECT_INT(mkdir("data/pg", 0700), ==, 0);
	EXPECT_INT(chown("data/pg", 2, 2), ==, 0);
	EXPECT_OK(data_folder_open(&folder, &settings, &err), &err);
	EXPECT_UINT(folder.database_uid, ==, 2);
	data_folder_close(&folder);
	EXPECT_OK(settings_set(&settings, "service.user", "bin", &err), &err);
	EXPECT_INT(data_folder_open(&folder, &settings, &err), ==, ERR_CONFIG);
	EXPECT_CONTAINS(err.text, "'bin'");
	EXPECT_CONTAINS(err.fix, "chown -R");
	settings_done(&settings);
}
