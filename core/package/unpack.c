/* libarchive decompresses and nothing more: its filter chain is fixed to one zstd step (left to
 * bid, it would undo a second layer that nobody has looked at) and its "raw" format hands out the
 * bytes. The tar inside is read by tar.c, because libarchive's reader hides what must be refused:
 * bytes behind a NUL in a name, pax and GNU headers it has merged, data behind the end. But for one
 * last chunk, never more is asked of the decompressor than the manifest has signed. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "codec/shown.h"
#include "package/elf_lint.h"
#include "package/entry_priv.h"
#include "package/package_priv.h"
#include "package/tar_priv.h"
#include "package/zstd_priv.h"

#define FILES_FOLDER   "files"
#define FOLDER_MODE    0755
#define PROGRESS_BYTES (1u << 20)

struct unpacker {
	struct package *pkg;
	struct archive *archive;
	uint64_t produced; /* bytes out of the decompressor */
	uint64_t reported;
	int files_fd;   /* -1: check only */
	size_t next;    /* index of the record that comes next */
	bool displaced; /* another came; which error it is depends on whether it still comes */
	int entry_fds[MANIFEST_ENTRIES_MAX]; /* of the manifest's entries, -1 until unpacked */
	uint8_t *chunk;
};

static int start_decompressor(struct unpacker *u, struct error *err)
{
	struct archive_entry *entry;
	struct archive *a = archive_read_new();

	u->archive = a;
	if (!a)
		return error_set(err, ERR_SYSTEM, "no memory for the decompressor");
	if (lseek(u->pkg->payload_fd, 0, SEEK_SET) == -1)
		return error_set_errno(err, errno, "rewind the payload");
	if (archive_read_support_format_raw(a) != ARCHIVE_OK ||
		archive_read_append_filter(a, ARCHIVE_FILTER_ZSTD) != ARCHIVE_OK ||
		archive_read_open_fd(a, u->pkg->payload_fd, PACKAGE_CHUNK) != ARCHIVE_OK ||
		archive_read_next_header(a, &entry) != ARCHIVE_OK)
		return error_set(err, ERR_ARCHIVE_CORRUPT, "start decompressing: %s",
			archive_error_string(a) ? archive_error_string(a) : "unknown reason");
	return 0;
}

static void report(struct unpacker *u)
{
	const struct package_options *o = &u->pkg->options;
	uint64_t total = u->pkg->manifest->unpacked_size;

	if (!o->progress || (u->produced - u->reported < PROGRESS_BYTES && u->produced < total))
		return;
	u->reported = u->produced;
	o->progress(o->context, "unpack", u->produced, total);
}

/* Up to len more bytes of the archive; *got below len means that it ends there. */
static int pull_some(struct unpacker *u, void *out, size_t len, size_t *got, struct error *err)
{
	size_t done = 0;

	while (done < len) {
		la_ssize_t n = archive_read_data(u->archive, (char *)out + done, len - done);

		if (n < 0)
			return error_set(err, ERR_ARCHIVE_CORRUPT, "decompress the payload: %s",
				archive_error_string(u->archive) ? archive_error_string(u->archive)
								 : "unknown reason");
		if (n == 0)
			break;
		done += (size_t)n;
	}
	u->produced += done;
	report(u);
	*got = done;
	return 0;
}

/* Exactly len more bytes, which the signed size must allow. */
static int pull(struct unpacker *u, void *out, size_t len, struct error *err)
{
	uint64_t total = u->pkg->manifest->unpacked_size;
	size_t got;
	int rc;

	if (len > total - u->produced)
		return error_set(err, ERR_UNPACKED_SIZE,
			"the payload needs more than the %llu bytes that the manifest says",
			(unsigned long long)total);
	rc = pull_some(u, out, len, &got, err);
	if (rc == 0 && got < len)
		rc = error_set(err, ERR_ARCHIVE_CORRUPT, "the payload's archive ends at byte %llu",
			(unsigned long long)u->produced);
	return rc;
}

/* ---- writing below the folder --------------------------------------------------------------- */

/* The folder that path lies in, below u->files_fd, made component by component: no link is ever
 * followed. *name is what remains. */
static int open_folder(
	struct unpacker *u, struct span path, char name[MANIFEST_PATH_MAX + 1], struct error *err)
{
	struct span rest = path, part;
	int fd = fcntl(u->files_fd, F_DUPFD_CLOEXEC, 0);

	while (fd != -1 && span_split(&rest, '/', &part)) {
		int below;

		memcpy(name, part.data, part.len);
		name[part.len] = '\0';
		if (!rest.data)
			return fd;
		if (mkdirat(fd, name, FOLDER_MODE) == -1 && errno != EEXIST)
			below = -1;
		else
			below = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		io_closep(&fd);
		fd = below;
	}
	return error_set_errno(err, errno, "make the folder of '%s'", shown(path).text);
}

static int create_file(struct unpacker *u, struct span path, struct error *err)
{
	char name[MANIFEST_PATH_MAX + 1];
	int folder = open_folder(u, path, name, err), fd;

	if (folder < 0)
		return folder;
	fd = openat(folder, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	(void)close(folder);
	if (fd == -1)
		return error_set_errno(err, errno, "create '%s'", shown(path).text);
	return fd;
}

/* Where the bytes of a record go: a file, an unnamed one for an entry that is only checked, or -1
 * for nowhere. ERR_SYSTEM goes out through *rc. */
static int open_target(struct unpacker *u, const struct manifest_file *file, bool entry, int *rc,
	struct error *err)
{
	int fd = -1;

	if (u->files_fd != -1)
		fd = create_file(u, file->path, err);
	else if (entry)
		fd = package_scratch(u->pkg->options.scratch_fd, err);
	*rc = fd < -1 ? fd : 0;
	return fd < -1 ? -1 : fd;
}

static int write_data(
	struct unpacker *u, const struct manifest_file *file, int fd, struct error *err)
{
	struct sha256 sha;
	uint8_t digest[SHA256_SIZE];
	uint64_t left = file->size;
	int rc = 0;

	sha256_init(&sha);
	while (rc == 0 && left > 0) {
		size_t n = left < PACKAGE_CHUNK ? (size_t)left : PACKAGE_CHUNK;

		rc = pull(u, u->chunk, n, err);
		if (rc < 0)
			break;
		sha256_update(&sha, u->chunk, n);
		if (fd != -1)
			rc = io_write_all(fd, u->chunk, n, err);
		left -= n;
	}
	sha256_final(&sha, digest);
	sha256_done(&sha);
	if (rc == 0 && !digest_equal(digest, file->digest, sizeof(digest)))
		rc = error_set(err, ERR_ENTRY_DIGEST, "the SHA-256 of '%s' is not the signed one",
			shown(file->path).text);
	return rc;
}

static int finish_file(
	struct unpacker *u, const struct manifest_file *file, int fd, struct error *err)
{
	if (fd == -1)
		return 0;
	/* The umask took bits at its creation; the signed mode is the mode. */
	if (fchmod(fd, file->mode) == -1)
		return error_set_errno(err, errno, "chmod '%s'", shown(file->path).text);
	return u->pkg->options.durable ? io_fsync(fd, file->path.data, err) : 0;
}

/* Keep the descriptor of what is an entry, for the lint; one file may be the entry of several. */
static bool is_entry(const struct manifest *m, struct span path)
{
	for (size_t i = 0; i < m->entry_count; i++)
		if (span_equal(m->entries[i].path, path))
			return true;
	return false;
}

static void keep_entry(struct unpacker *u, struct span path, int fd)
{
	const struct manifest *m = u->pkg->manifest;

	for (size_t i = 0; i < m->entry_count; i++)
		if (span_equal(m->entries[i].path, path))
			u->entry_fds[i] = fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

static int skip_padding(struct unpacker *u, uint64_t size, struct error *err)
{
	size_t n = tar_padding(size);
	int rc = pull(u, u->chunk, n, err);

	if (rc == 0 && !tar_is_zero(u->chunk, n))
		rc = error_set(err, ERR_ARCHIVE_CORRUPT, "a filling of the archive is not zero");
	return rc;
}

static int unpack_file(struct unpacker *u, const struct manifest_file *file, struct error *err)
{
	bool entry = is_entry(u->pkg->manifest, file->path);
	int rc;
	CLEANUP(io_closep) int fd = open_target(u, file, entry, &rc, err);

	if (rc == 0)
		rc = write_data(u, file, fd, err);
	if (rc == 0)
		rc = skip_padding(u, file->size, err);
	if (rc == 0)
		rc = finish_file(u, file, fd, err);
	if (rc == 0 && entry)
		keep_entry(u, file->path, fd);
	return rc;
}

/* ---- what the archive holds against what was signed ------------------------------------------ */

/* An entry that is not the expected one, and why. 0: it belongs to a later place, and only what
 * follows can tell whether the expected one is missing or late. */
static int explain(const struct unpacker *u, struct span path, struct error *err)
{
	const struct manifest *m = u->pkg->manifest;
	const struct manifest_file *file = manifest_find_file(m, path);

	if (file && (size_t)(file - m->files) < u->next)
		return error_set(err, ERR_PATH_DUPLICATE, "'%s' stands twice in the payload",
			shown(path).text);
	if (file)
		return 0;
	for (size_t i = 0; i < m->file_count; i++)
		if (span_equal_nocase(m->files[i].path, path))
			return error_set(err, ERR_PATH_CASE,
				"'%s' in the payload is '%s' in the manifest", shown(path).text,
				shown(m->files[i].path).text);
	return error_set(err, ERR_ENTRY_EXTRA, "the manifest does not list '%s'", shown(path).text);
}

static int missing(const struct unpacker *u, struct error *err)
{
	return error_set(err, ERR_ENTRY_MISSING, "the payload lacks '%s'",
		shown(u->pkg->manifest->files[u->next].path).text);
}

static int drain(struct unpacker *u, uint64_t size, struct error *err)
{
	uint64_t left = size;
	int rc = 0;

	while (rc == 0 && left > 0) {
		size_t n = left < PACKAGE_CHUNK ? (size_t)left : PACKAGE_CHUNK;

		rc = pull(u, u->chunk, n, err);
		left -= n;
	}
	return rc < 0 ? rc : skip_padding(u, size, err);
}

static int take_entry(struct unpacker *u, const struct tar_entry *entry, struct error *err)
{
	const struct manifest *m = u->pkg->manifest;
	const struct manifest_file *file = u->next < m->file_count ? &m->files[u->next] : NULL;
	struct span path = span_of(entry->path);
	int rc;

	if (!file || !span_equal(file->path, path)) {
		rc = u->displaced ? 0 : explain(u, path, err);
		if (rc < 0)
			return rc;
		u->displaced = true;
		return drain(u, entry->size, err);
	}
	if (u->displaced)
		return error_set(err, ERR_ENTRY_ORDER, "'%s' stands later than in the manifest",
			shown(path).text);
	if (entry->mode != file->mode)
		return error_set(err, ERR_ENTRY_MODE, "'%s' has mode 0%o; the manifest says 0%o",
			shown(path).text, entry->mode, file->mode);
	if (entry->size != file->size)
		return error_set(err, ERR_ENTRY_SIZE, "'%s' has %llu bytes; the manifest says %llu",
			shown(path).text, (unsigned long long)entry->size,
			(unsigned long long)file->size);
	rc = unpack_file(u, file, err);
	u->next++;
	return rc;
}

/* Behind the two zero blocks: zeros up to the signed size, as tar programs fill their last record,
 * and then the end. */
static int check_end(struct unpacker *u, struct error *err)
{
	uint64_t total = u->pkg->manifest->unpacked_size;
	size_t got;
	int rc;

	if (u->displaced || u->next < u->pkg->manifest->file_count)
		return missing(u, err);
	for (;;) {
		rc = pull_some(u, u->chunk, PACKAGE_CHUNK, &got, err);
		if (rc < 0)
			return rc;
		if (!tar_is_zero(u->chunk, got))
			return error_set(err, ERR_ARCHIVE_TRAILING,
				"there are bytes behind the end of the payload's archive");
		if (u->produced > total || (got < PACKAGE_CHUNK && u->produced < total))
			return error_set(err, ERR_UNPACKED_SIZE,
				"the payload unpacks to %s bytes than the %llu that the manifest "
				"says",
				u->produced > total ? "more" : "fewer", (unsigned long long)total);
		if (got < PACKAGE_CHUNK)
			return 0;
	}
}

static int walk(struct unpacker *u, struct error *err)
{
	uint8_t block[TAR_BLOCK];
	struct tar_entry entry;

	for (;;) {
		int rc = pull(u, block, sizeof(block), err);

		if (rc < 0)
			return rc;
		if (tar_is_zero(block, sizeof(block)))
			break;
		rc = tar_read(&entry, block, err);
		if (rc == 0)
			rc = take_entry(u, &entry, err);
		if (rc < 0)
			return rc;
	}
	if (pull(u, block, sizeof(block), err) < 0 || !tar_is_zero(block, sizeof(block)))
		return error_set(err, ERR_ARCHIVE_CORRUPT,
			"the payload's archive does not end in two zero blocks");
	return check_end(u, err);
}

/* ---- entries --------------------------------------------------------------------------------- */

static int lint_entries(struct unpacker *u, struct error *err)
{
	struct package *pkg = u->pkg;
	const struct manifest *m = pkg->manifest;

	if (pkg->options.triplet && !manifest_find_entry(m, span_of(pkg->options.triplet)))
		return error_set(err, ERR_PLATFORM, "'%.*s' %.*s has no entry for '%s'",
			SPAN_ARG(m->name), SPAN_ARG(m->version), pkg->options.triplet);
	for (size_t i = 0; i < m->entry_count; i++) {
		struct elf_report checked = { .warning = NULL };
		int rc = elf_lint(&checked, u->entry_fds[i], m->entries[i].triplet, err);

		if (rc == 0)
			rc = entry_check_note(&checked.note, m, err);
		if (rc == 0 && checked.warning)
			pkg->warnings[pkg->warning_count++] = mem_printf(
				"'%.*s': %s", SPAN_ARG(m->entries[i].path), checked.warning);
		elf_report_done(&checked);
		if (rc < 0) {
			(void)error_wrap(err, "entry '%s'", shown(m->entries[i].path).text);
			return rc;
		}
	}
	return entry_check_interfaces(
		m, pkg->options.interfaces, pkg->options.interface_count, err);
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* fsync each folder that holds a file, up to files/ itself. Neighbours share folders, so most are
 * done once. */
static int sync_folders(struct unpacker *u, struct error *err)
{
	const struct manifest *m = u->pkg->manifest;
	struct span before = SPAN_NONE;
	int rc = 0;

	for (size_t i = 0; i < m->file_count && rc == 0; i++) {
		struct span path = m->files[i].path;

		for (size_t n = path.len; n-- > 0 && rc == 0;) {
			char folder[MANIFEST_PATH_MAX + 1];

			if (path.data[n] != '/')
				continue;
			if (before.len > n && before.data[n] == '/' &&
				memcmp(before.data, path.data, n) == 0)
				break;
			memcpy(folder, path.data, n);
			folder[n] = '\0';
			rc = io_fsync_dir(u->files_fd, folder, err);
		}
		before = path;
	}
	return rc < 0 ? rc : io_fsync(u->files_fd, FILES_FOLDER, err);
}

static int open_files(struct unpacker *u, int dirfd, struct error *err)
{
	if (dirfd == -1)
		return 0;
	if (mkdirat(dirfd, FILES_FOLDER, FOLDER_MODE) == -1)
		return error_set_errno(err, errno, "make folder '" FILES_FOLDER "'");
	u->files_fd = openat(dirfd, FILES_FOLDER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (u->files_fd == -1)
		return error_set_errno(err, errno, "open folder '" FILES_FOLDER "'");
	return 0;
}

static int write_envelope(struct unpacker *u, int dirfd, struct error *err)
{
	CLEANUP(io_closep) int fd = -1;
	int rc;

	if (dirfd == -1)
		return 0;
	fd = openat(dirfd, PACKAGE_MANIFEST_MEMBER,
		O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, PACKAGE_MODE);
	if (fd == -1)
		return error_set_errno(err, errno, "create '" PACKAGE_MANIFEST_MEMBER "'");
	rc = io_write_all(fd, u->pkg->envelope.data, u->pkg->envelope.len, err);
	if (rc < 0 || !u->pkg->options.durable)
		return rc;
	rc = io_fsync(fd, PACKAGE_MANIFEST_MEMBER, err);
	if (rc == 0)
		rc = sync_folders(u, err);
	return rc < 0 ? rc : io_fsync(dirfd, ".", err);
}

int package_unpack(struct package *pkg, int dirfd, struct error *err)
{
	const struct manifest *m = pkg->manifest;
	struct unpacker u = { .pkg = pkg, .files_fd = -1 };
	int rc = zstd_check_frame(
		pkg->payload_fd, m->payload_size, m->unpacked_size, PACKAGE_WINDOW_MAX, err);

	if (rc < 0)
		return rc;
	u.chunk = mem_alloc(PACKAGE_CHUNK);
	for (size_t i = 0; i < MANIFEST_ENTRIES_MAX; i++)
		u.entry_fds[i] = -1;
	rc = open_files(&u, dirfd, err);
	if (rc == 0)
		rc = start_decompressor(&u, err);
	if (rc == 0)
		rc = walk(&u, err);
	if (rc == 0)
		rc = lint_entries(&u, err);
	if (rc == 0)
		rc = write_envelope(&u, dirfd, err);
	if (u.archive)
		(void)archive_read_free(u.archive);
	for (size_t i = 0; i < MANIFEST_ENTRIES_MAX; i++)
		io_closep(&u.entry_fds[i]);
	io_closep(&u.files_fd);
	mem_free(u.chunk);
	return rc;
}
