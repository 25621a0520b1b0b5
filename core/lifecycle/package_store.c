#include "lifecycle/package_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/io.h"
#include "base/mem.h"

/* An entry is built as ".<hex>.new" beside its final name: renaming a read-only folder needs no
 * write permission on it as long as its parent stays the same. */
#define COPY_CHUNK    (256u << 10)
#define ENVELOPE_NAME "manifest.dsse.json"

struct package_store {
	char *folder; /* DATA/store/sha256 */
	int fd;
	int staging_fd;
	char *staging;
};

void package_store_content_init(struct package_store_content *c)
{
	memset(c, 0, sizeof(*c));
	text_init(&c->envelope);
}

void package_store_content_done(struct package_store_content *c)
{
	for (size_t i = 0; i < c->file_count; i++)
		mem_free(c->files[i].path);
	mem_free(c->files);
	text_done(&c->envelope);
	memset(c, 0, sizeof(*c));
}

void package_store_content_add(struct package_store_content *c, struct span path, uint64_t size,
	bool executable, const uint8_t sha256[static SHA256_SIZE])
{
	struct package_store_file *file;

	/* Grow at powers of two. */
	if ((c->file_count & (c->file_count - 1)) == 0)
		c->files = mem_realloc(
			c->files, (c->file_count ? c->file_count * 2 : 1) * sizeof(*c->files));
	file = &c->files[c->file_count++];
	file->path = mem_printf("%.*s", SPAN_ARG(path));
	file->size = size;
	file->executable = executable;
	memcpy(file->sha256, sha256, SHA256_SIZE);
}

uint64_t package_store_content_size(const struct package_store_content *c)
{
	uint64_t size = c->envelope.len;

	for (size_t i = 0; i < c->file_count; i++)
		size += c->files[i].size;
	return size;
}

static int open_folder(int *out, int dirfd, const char *path, struct error *err)
{
	int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd == -1)
		return error_set_errno(err, errno, "open folder '%s'", path);
	*out = fd;
	return 0;
}

static int remove_half_made(struct package_store *s, struct error *err)
{
	int fd = openat(s->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
	DIR *dir = fd == -1 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir)
		return error_set_errno(err, errno, "read folder '%s'", s->folder);
	while (rc == 0 && (entry = readdir(dir)) != NULL)
		if (entry->d_name[0] == '.' && entry->d_name[1] != '\0' &&
			strcmp(entry->d_name, "..") != 0)
			rc = io_remove_tree(s->fd, entry->d_name, err);
	(void)closedir(dir);
	return rc;
}

int package_store_open(struct package_store **out, const char *data, struct error *err)
{
	struct package_store *s = mem_zalloc(sizeof(*s));
	int rc;

	s->fd = s->staging_fd = -1;
	s->folder = mem_printf("%s/store/sha256", data);
	s->staging = mem_printf("%s/staging", data);
	/* Whoever may run a worker must read the store. */
	rc = io_make_dirs(s->folder, 0755, err);
	if (rc == 0)
		rc = io_remove_tree(AT_FDCWD, s->staging, err);
	if (rc == 0)
		rc = io_make_dirs(s->staging, 0711, err);
	if (rc == 0)
		rc = open_folder(&s->fd, AT_FDCWD, s->folder, err);
	if (rc == 0)
		rc = open_folder(&s->staging_fd, AT_FDCWD, s->staging, err);
	if (rc == 0)
		rc = remove_half_made(s, err);
	if (rc < 0) {
		package_store_free(s);
		return rc;
	}
	*out = s;
	return 0;
}

void package_store_free(struct package_store *s)
{
	if (!s)
		return;
	io_closep(&s->fd);
	io_closep(&s->staging_fd);
	mem_free(s->folder);
	mem_free(s->staging);
	mem_free(s);
}

int package_store_staging_make(struct package_store *s, const char *name, uid_t owner, gid_t group,
	char **path, struct error *err)
{
	int rc = io_remove_tree(s->staging_fd, name, err);

	if (rc < 0)
		return rc;
	if (mkdirat(s->staging_fd, name, 0700) == -1)
		return error_set_errno(err, errno, "make staging folder '%s'", name);
	if (geteuid() == 0 &&
		fchownat(s->staging_fd, name, owner, group, AT_SYMLINK_NOFOLLOW) == -1)
		return error_set_errno(err, errno, "hand over staging folder '%s'", name);
	*path = mem_printf("%s/%s", s->staging, name);
	return 0;
}

int package_store_staging_remove(struct package_store *s, const char *name, struct error *err)
{
	return io_remove_tree(s->staging_fd, name, err);
}

/* Cut the first component off *rest; false at the end or when it is not one of ours. */
static bool next_component(const char **rest, char component[NAME_MAX + 1])
{
	size_t len = strcspn(*rest, "/");

	if (len == 0 || len > NAME_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = (*rest)[i];
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			     (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '+' || c == '-';

		if (!plain)
			return false;
	}
	memcpy(component, *rest, len);
	component[len] = '\0';
	*rest += len;
	if (**rest == '/')
		(*rest)++;
	return strcmp(component, ".") != 0 && strcmp(component, "..") != 0;
}

/* Split path below root into the open folder of its last component (*folder, the caller's) and
 * that component, following no link; folders are made when make is set. */
static int walk(int root, const char *path, bool make, int *folder, char component[NAME_MAX + 1],
	struct error *err)
{
	CLEANUP(io_closep) int fd = dup(root);
	const char *rest = path;

	if (fd == -1)
		return error_set_errno(err, errno, "copy a descriptor");
	if (strlen(path) > PACKAGE_STORE_PATH_MAX)
		return error_set(err, ERR_PACKAGE_CHANGED, "a file name is too long");
	for (unsigned depth = 0; depth < PACKAGE_STORE_DEPTH_MAX; depth++) {
		int next = -1, rc;

		if (!next_component(&rest, component))
			break;
		if (*rest == '\0') {
			*folder = fd;
			fd = -1;
			return 0;
		}
		if (make && mkdirat(fd, component, 0755) == -1 && errno != EEXIST)
			return error_set_errno(err, errno, "make folder of '%s'", path);
		rc = open_folder(&next, fd, component, err);
		if (rc < 0) {
			(void)error_wrap(err, "'%s'", path);
			return rc;
		}
		(void)close(fd);
		fd = next;
	}
	return error_set(
		err, ERR_PACKAGE_CHANGED, "'%s' is not a file name that a package may hold", path);
}

static int open_source(int *out, int root, const char *path, struct error *err)
{
	CLEANUP(io_closep) int folder = -1;
	char component[NAME_MAX + 1];
	struct stat st;
	int fd, rc;

	rc = walk(root, path, false, &folder, component, err);
	if (rc < 0)
		return rc;
	/* O_NONBLOCK: a fifo in its place must not hold us up. */
	fd = openat(folder, component, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd == -1 && errno == ENOENT)
		return error_set(err, ERR_NOT_FOUND, "'%s' is missing", path);
	if (fd == -1 && (errno == ELOOP || errno == ENXIO))
		return error_set(err, ERR_PACKAGE_CHANGED, "'%s' is not a regular file", path);
	if (fd == -1)
		return error_set_errno(err, errno, "open '%s'", path);
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode)) {
		(void)close(fd);
		return error_set(err, ERR_PACKAGE_CHANGED, "'%s' is not a regular file", path);
	}
	*out = fd;
	return 0;
}

/* Read fd to the end of file.size, hashing, and write it to out unless that is -1. */
static int hash_file(int fd, int out, const struct package_store_file *file, struct error *err)
{
	CLEANUP(mem_freep) char *chunk = mem_alloc(COPY_CHUNK);
	uint8_t sha256[SHA256_SIZE];
	struct sha256 hash = { 0 };
	uint64_t total = 0;
	int rc = 0;

	sha256_init(&hash);
	/* One byte more than is promised tells that there is more. */
	while (rc == 0 && total <= file->size) {
		ssize_t n = read(fd, chunk, COPY_CHUNK);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			rc = error_set_errno(err, errno, "read '%s'", file->path);
		if (n <= 0)
			break;
		total += (uint64_t)n;
		sha256_update(&hash, chunk, (size_t)n);
		if (out != -1 && total <= file->size)
			rc = io_write_all(out, chunk, (size_t)n, err);
	}
	sha256_final(&hash, sha256);
	sha256_done(&hash);
	if (rc == 0 && (total != file->size || !digest_equal(sha256, file->sha256, SHA256_SIZE)))
		rc = error_set(err, ERR_PACKAGE_CHANGED,
			"'%s' is not what its manifest says: size or SHA-256 differs", file->path);
	return rc;
}

static int create_file(int *out, int root, const char *path, struct error *err)
{
	CLEANUP(io_closep) int folder = -1;
	char component[NAME_MAX + 1];
	int rc = walk(root, path, true, &folder, component, err);

	if (rc < 0)
		return rc;
	*out = openat(
		folder, component, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (*out == -1)
		return error_set_errno(err, errno, "create '%s'", path);
	return 0;
}

static int seal_file(int fd, mode_t mode, const char *path, struct error *err)
{
	if (fchmod(fd, mode) == -1)
		return error_set_errno(err, errno, "chmod '%s'", path);
	return io_fsync(fd, path, err);
}

static int copy_file(
	int source_root, int target_root, const struct package_store_file *file, struct error *err)
{
	CLEANUP(io_closep) int source = -1;
	CLEANUP(io_closep) int target = -1;
	int rc;

	rc = open_source(&source, source_root, file->path, err);
	if (rc == 0)
		rc = create_file(&target, target_root, file->path, err);
	if (rc == 0)
		rc = hash_file(source, target, file, err);
	if (rc == 0)
		rc = seal_file(target, file->executable ? 0555 : 0444, file->path, err);
	return rc;
}

/* fsync every folder bottom-up and make it read-only. */
static int seal_folder(int fd, const char *what, struct error *err)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
	DIR *dir = copy == -1 ? NULL : fdopendir(copy);
	struct dirent *entry;

	if (!dir)
		return error_set_errno(err, errno, "read folder '%s'", what);
	while (rc == 0 && (entry = readdir(dir)) != NULL) {
		struct stat st;
		int child = -1;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
			fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == -1 ||
			!S_ISDIR(st.st_mode))
			continue;
		rc = open_folder(&child, fd, entry->d_name, err);
		if (rc == 0)
			rc = seal_folder(child, entry->d_name, err);
		io_closep(&child);
	}
	(void)closedir(dir);
	if (rc == 0 && fchmod(fd, 0555) == -1)
		rc = error_set_errno(err, errno, "chmod folder '%s'", what);
	return rc < 0 ? rc : io_fsync(fd, what, err);
}

static int write_envelope(int entry, const struct package_store_content *content, struct error *err)
{
	CLEANUP(io_closep) int fd = -1;
	int rc = create_file(&fd, entry, ENVELOPE_NAME, err);

	if (rc == 0)
		rc = io_write_all(fd, content->envelope.data, content->envelope.len, err);
	if (rc == 0)
		rc = seal_file(fd, 0444, ENVELOPE_NAME, err);
	return rc;
}

static int fault(const char *point, struct error *err)
{
	(void)point;
	return FAULT_POINT(point) < 0 ? error_set(err, ERR_FAULT, "at '%s'", point) : 0;
}

static int build(struct package_store *s, const char *name, const char *building,
	const struct package_store_content *content, struct error *err)
{
	CLEANUP(io_closep) int entry = -1;
	CLEANUP(io_closep) int files = -1;
	CLEANUP(io_closep) int folder = -1;
	CLEANUP(io_closep) int source = -1;
	int rc;

	rc = open_folder(&folder, s->staging_fd, name, err);
	if (rc == 0)
		rc = open_folder(&source, folder, "files", err);
	if (rc < 0)
		return rc;
	if (mkdirat(s->fd, building, 0755) == -1)
		return error_set_errno(err, errno, "make folder '%s'", building);
	rc = open_folder(&entry, s->fd, building, err);
	if (rc == 0 && mkdirat(entry, "files", 0755) == -1)
		rc = error_set_errno(err, errno, "make folder 'files'");
	if (rc == 0)
		rc = open_folder(&files, entry, "files", err);
	if (rc == 0)
		rc = write_envelope(entry, content, err);
	for (size_t i = 0; i < content->file_count && rc == 0; i++) {
		rc = fault("store.copy", err);
		if (rc == 0)
			rc = copy_file(source, files, &content->files[i], err);
	}
	if (rc == 0)
		rc = fault("store.sync", err);
	return rc < 0 ? rc : seal_folder(entry, building, err);
}

static void entry_name(const uint8_t digest[static SHA256_SIZE], char out[static SHA256_HEX_SIZE])
{
	hex_encode(digest, SHA256_SIZE, out);
}

static int move_into_place(
	struct package_store *s, const char *building, const char *hex, struct error *err)
{
	CLEANUP(mem_freep) char *old = mem_printf(".%s.old", hex);
	int rc = fault("store.rename", err);

	if (rc < 0)
		return rc;
	/* What is there did not verify, or nobody would be here. */
	if (renameat(s->fd, hex, s->fd, old) == -1 && errno != ENOENT)
		return error_set_errno(err, errno, "move the damaged entry '%s' away", hex);
	if (renameat(s->fd, building, s->fd, hex) == -1)
		return error_set_errno(err, errno, "rename to '%s'", hex);
	rc = io_fsync(s->fd, s->folder, err);
	if (rc < 0)
		return rc;
	rc = fault("store.renamed", err);
	return rc < 0 ? rc : io_remove_tree(s->fd, old, err);
}

int package_store_put(struct package_store *s, const char *name,
	const struct package_store_content *content, struct error *err)
{
	char hex[SHA256_HEX_SIZE];
	CLEANUP(mem_freep) char *building = NULL;
	int rc;

	entry_name(content->digest, hex);
	building = mem_printf(".%s.new", hex);
	if (package_store_check(s, content, NULL, NULL, NULL, NULL) == 0)
		return 0;
	rc = io_remove_tree(s->fd, building, err);
	if (rc == 0)
		rc = build(s, name, building, content, err);
	if (rc == 0)
		rc = move_into_place(s, building, hex, err);
	if (rc < 0) {
		(void)io_remove_tree(s->fd, building, NULL);
		(void)error_wrap(err, "store package %.12s", hex);
	}
	return rc;
}

static int check_file(
	int files, const struct package_store_file *file, struct stat *st, struct error *err)
{
	CLEANUP(io_closep) int fd = -1;
	int rc = open_source(&fd, files, file->path, err);

	if (rc < 0)
		return rc;
	if (fstat(fd, st) == -1)
		return error_set_errno(err, errno, "stat '%s'", file->path);
	return hash_file(fd, -1, file, err);
}

int package_store_check(struct package_store *s, const struct package_store_content *content,
	const char *entry, dev_t *device, ino_t *inode, struct error *err)
{
	CLEANUP(io_closep) int folder = -1;
	CLEANUP(io_closep) int files = -1;
	char hex[SHA256_HEX_SIZE];
	bool seen = false;
	int rc;

	entry_name(content->digest, hex);
	folder = openat(s->fd, hex, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (folder == -1 && errno == ENOENT)
		return error_set(err, ERR_NOT_FOUND, "no package %.12s in the store", hex);
	if (folder == -1)
		return error_set_errno(err, errno, "open package %.12s", hex);
	files = openat(folder, "files", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (files == -1)
		return error_set(err, ERR_NOT_FOUND, "package %.12s has no files", hex);
	for (size_t i = 0; i < content->file_count; i++) {
		struct stat st;

		rc = check_file(files, &content->files[i], &st, err);
		if (rc < 0) {
			(void)error_wrap(err, "package %.12s", hex);
			return rc;
		}
		if (entry && strcmp(entry, content->files[i].path) == 0) {
			*device = st.st_dev;
			*inode = st.st_ino;
			seen = true;
		}
	}
	if (entry && !seen)
		return error_set(err, ERR_NOT_FOUND, "package %.12s has no file '%s'", hex, entry);
	return 0;
}

static bool is_kept(const char *name, const uint8_t (*keep)[SHA256_SIZE], size_t keep_count)
{
	uint8_t digest[SHA256_SIZE];

	if (!hex_decode(span_of(name), digest, sizeof(digest)))
		return false;
	for (size_t i = 0; i < keep_count; i++)
		if (memcmp(keep[i], digest, SHA256_SIZE) == 0)
			return true;
	return false;
}

int package_store_sweep(struct package_store *s, const uint8_t (*keep)[SHA256_SIZE],
	size_t keep_count, uint64_t grace_s, size_t *removed, struct error *err)
{
	int fd = openat(s->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
	DIR *dir = fd == -1 ? NULL : fdopendir(fd);
	struct dirent *entry;
	size_t count = 0;

	if (!dir)
		return error_set_errno(err, errno, "read folder '%s'", s->folder);
	while (rc == 0 && (entry = readdir(dir)) != NULL) {
		CLEANUP(mem_freep) char *old = NULL;
		struct stat st;

		/* What is half made belongs to a package_store_put() that runs now. */
		if (entry->d_name[0] == '.' || is_kept(entry->d_name, keep, keep_count) ||
			fstatat(s->fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == -1 ||
			time(NULL) - st.st_ctime < (time_t)grace_s)
			continue;
		/* First away from its name, so that no half-removed entry stands there. */
		old = mem_printf(".%s.old", entry->d_name);
		rc = io_remove_tree(s->fd, old, err);
		if (rc == 0 && renameat(s->fd, entry->d_name, s->fd, old) == -1)
			rc = error_set_errno(err, errno, "move '%s' away", entry->d_name);
		if (rc == 0)
			rc = io_remove_tree(s->fd, old, err);
		count += rc == 0;
	}
	(void)closedir(dir);
	*removed = count;
	return rc;
}

char *package_store_path(
	const struct package_store *s, const uint8_t digest[static SHA256_SIZE], const char *file)
{
	char hex[SHA256_HEX_SIZE];

	entry_name(digest, hex);
	return mem_printf("%s/%s/files/%s", s->folder, hex, file);
}
