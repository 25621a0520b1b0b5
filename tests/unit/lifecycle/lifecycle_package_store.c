#include "lifecycle/package_store.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "lib/test.h"

/* A store in the test's folder, a staging folder "job" and a content of two files that fits it. */
struct fixture {
	char *data;
	struct package_store *store;
	struct package_store_content content;
	char *staged; /* staging/job/files */
};

static void stage(struct fixture *f, const char *path, const char *data)
{
	CLEANUP(mem_freep) char *full = mem_printf("%s/%s", f->staged, path);
	CLEANUP(mem_freep) char *folder = mem_strdup(full);
	struct error err = { 0 };

	*strrchr(folder, '/') = '\0';
	EXPECT_OK(io_make_dirs(folder, 0700, &err), &err);
	EXPECT_OK(io_write_file(AT_FDCWD, full, span_of(data), 0644, &err), &err);
}

static void list(struct fixture *f, const char *path, const char *data, bool executable)
{
	uint8_t sha256[SHA256_SIZE];

	sha256_of(span_of(data), sha256);
	package_store_content_add(&f->content, span_of(path), strlen(data), executable, sha256);
}

static void set_up(struct fixture *f)
{
	struct error err = { 0 };
	char *path, folder[1024];

	memset(f, 0, sizeof(*f));
	EXPECT_PTR(getcwd(folder, sizeof(folder)));
	f->data = mem_strdup(folder);
	EXPECT_OK(package_store_open(&f->store, f->data, &err), &err);
	EXPECT_OK(package_store_staging_make(f->store, "job", geteuid(), getegid(), &path, &err),
		&err);
	f->staged = mem_printf("%s/files", path);
	mem_free(path);
	package_store_content_init(&f->content);
	sha256_of(SPAN("the package"), f->content.digest);
	text_append_string(&f->content.envelope, "{\"envelope\":1}");
	stage(f, "lib/x/hello.so", "code");
	stage(f, "README.md", "words");
	list(f, "lib/x/hello.so", "code", true);
	list(f, "README.md", "words", false);
}

static void tear_down(struct fixture *f)
{
	package_store_content_done(&f->content);
	package_store_free(f->store);
	mem_free(f->data);
	mem_free(f->staged);
}

TEST(lifecycle_package_store__what_is_put_verifies_and_is_read_only)
{
	struct error err = { 0 };
	struct fixture f;
	struct stat st;
	dev_t device;
	ino_t inode;
	char *path;

	set_up(&f);
	EXPECT_INT(package_store_check(f.store, &f.content, NULL, NULL, NULL, &err), ==,
		ERR_NOT_FOUND);
	EXPECT_OK(package_store_put(f.store, "job", &f.content, &err), &err);
	EXPECT_OK(package_store_check(f.store, &f.content, "lib/x/hello.so", &device, &inode, &err),
		&err);
	path = package_store_path(f.store, f.content.digest, "lib/x/hello.so");
	EXPECT_INT(stat(path, &st), ==, 0);
	EXPECT_UINT(st.st_ino, ==, inode);
	EXPECT_UINT(st.st_dev, ==, device);
	EXPECT_UINT(st.st_mode & 07777, ==, 0555);
	mem_free(path);
	path = package_store_path(f.store, f.content.digest, "../manifest.dsse.json");
	EXPECT_INT(stat(path, &st), ==, 0);
	EXPECT_UINT(st.st_mode & 07777, ==, 0444);
	mem_free(path);
	/* Again: the same answer. */
	EXPECT_OK(package_store_put(f.store, "job", &f.content, &err), &err);
	EXPECT_INT(package_store_check(f.store, &f.content, "missing.so", &device, &inode, &err),
		==, ERR_NOT_FOUND);
	tear_down(&f);
}

TEST(lifecycle_package_store__a_staged_file_that_differs_is_refused_and_nothing_stays)
{
	static const char *const wrong[] = { "codE", "code and more", "cod", "" };
	struct error err = { 0 };
	struct fixture f;

	set_up(&f);
	for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
		size_t removed;

		stage(&f, "lib/x/hello.so", wrong[i]);
		EXPECT_INT(package_store_put(f.store, "job", &f.content, &err), ==,
			ERR_PACKAGE_CHANGED);
		EXPECT_OK(package_store_sweep(f.store, NULL, 0, 0, &removed, &err), &err);
		EXPECT_UINT(removed, ==, 0);
	}
	tear_down(&f);
}

TEST(lifecycle_package_store__links_fifos_and_folders_in_staging_are_refused)
{
	CLEANUP(mem_freep) char *path = NULL;
	struct error err = { 0 };
	struct fixture f;

	set_up(&f);
	path = mem_printf("%s/README.md", f.staged);
	(void)unlink(path);
	EXPECT_INT(symlink("/etc/hostname", path), ==, 0);
	EXPECT_INT(package_store_put(f.store, "job", &f.content, &err), ==, ERR_PACKAGE_CHANGED);
	(void)unlink(path);
	EXPECT_INT(mkfifo(path, 0644), ==, 0);
	EXPECT_INT(package_store_put(f.store, "job", &f.content, &err), ==, ERR_PACKAGE_CHANGED);
	(void)unlink(path);
	EXPECT_INT(mkdir(path, 0755), ==, 0);
	EXPECT_INT(package_store_put(f.store, "job", &f.content, &err), <, 0);
	(void)rmdir(path);
	EXPECT_INT(package_store_put(f.store, "job", &f.content, &err), ==, ERR_NOT_FOUND);
	tear_down(&f);
}

TEST(lifecycle_package_store__a_linked_folder_in_staging_is_refused)
{
	CLEANUP(mem_freep) char *lib = NULL;
	CLEANUP(mem_freep) char *away = NULL;
	struct error err = { 0 };
	struct fixture f;

	set_up(&f);
	lib = mem_printf("%s/lib", f.staged);
	away = mem_printf("%s/away", f.staged);
	EXPECT_INT(rename(lib, away), ==, 0);
	EXPECT_INT(symlink("away", lib), ==, 0);
	EXPECT_INT(package_store_put(f.store, "job", &f.content, &err), <, 0);
	tear_down(&f);
}

TEST(lifecycle_package_store__names_that_lead_out_are_refused)
{
	static const char *const names[] = { "../x", "/etc/passwd", "a/../../x", "", "a//b", "a/",
		".", "..", "a\nb", "x y" };

	for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
		struct error err = { 0 };
		struct fixture f;

		set_up(&f);
		list(&f, names[i], "x", false);
		EXPECT_INT(package_store_put(f.store, "job", &f.content, &err), <, 0);
		tear_down(&f);
	}
}

TEST(lifecycle_package_store__one_flipped_byte_is_found_and_put_repairs_it)
{
	struct error err = { 0 };
	struct fixture f;
	char *path;
	int fd;

	set_up(&f);
	EXPECT_OK(package_store_put(f.store, "job", &f.content, &err), &err);
	path = package_store_path(f.store, f.content.digest, "README.md");
	EXPECT_INT(chmod(path, 0644), ==, 0);
	fd = open(path, O_WRONLY);
	EXPECT_INT(pwrite(fd, "W", 1, 0), ==, 1);
	(void)close(fd);
	EXPECT_INT(package_store_check(f.store, &f.content, NULL, NULL, NULL, &err), ==,
		ERR_PACKAGE_CHANGED);
	EXPECT_OK(package_store_put(f.store, "job", &f.content, &err), &err);
	EXPECT_OK(package_store_check(f.store, &f.content, NULL, NULL, NULL, &err), &err);
	mem_free(path);
	tear_down(&f);
}

TEST(lifecycle_package_store__sweep_removes_what_nobody_names)
{
	uint8_t keep[1][SHA256_SIZE];
	struct error err = { 0 };
	struct fixture f;
	size_t removed;

	set_up(&f);
	EXPECT_OK(package_store_put(f.store, "job", &f.content, &err), &err);
	memcpy(keep[0], f.content.digest, SHA256_SIZE);
	EXPECT_OK(package_store_sweep(
			  f.store, (const uint8_t(*)[SHA256_SIZE])keep, 1, 0, &removed, &err),
		&err);
	EXPECT_UINT(removed, ==, 0);
	EXPECT_OK(package_store_sweep(f.store, NULL, 0, 3600, &removed, &err), &err);
	EXPECT_UINT(removed, ==, 0);
	EXPECT_OK(package_store_sweep(f.store, NULL, 0, 0, &removed, &err), &err);
	EXPECT_UINT(removed, ==, 1);
	EXPECT_INT(package_store_check(f.store, &f.content, NULL, NULL, NULL, &err), ==,
		ERR_NOT_FOUND);
	tear_down(&f);
}

TEST(lifecycle_package_store__opening_removes_half_made_entries_and_staging)
{
	struct error err = { 0 };
	struct fixture f;

	set_up(&f);
	EXPECT_INT(mkdir("store/sha256/.abc.new", 0555), ==, 0);
	package_store_free(f.store);
	EXPECT_OK(package_store_open(&f.store, f.data, &err), &err);
	EXPECT_INT(access("store/sha256/.abc.new", F_OK), ==, -1);
	EXPECT_INT(access("staging/job", F_OK), ==, -1);
	tear_down(&f);
}
