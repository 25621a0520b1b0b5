/* The payload is written in one pass: each file's header, its bytes (hashed on the way), filling,
 * and the end, into libarchive's zstd writer. The manifest comes after, from what was written, and
 * goes through the same check as any manifest that arrives. */
#include "package/build.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "codec/json.h"
#include "codec/shown.h"
#include "package/elf_lint.h"
#include "package/entry_priv.h"
#include "package/package_priv.h"
#include "package/tar_priv.h"

/* One level for all: a window of 4 MiB, and a 16 MiB payload takes seconds, not minutes. */
#define ZSTD_LEVEL "12"

struct source_file {
	char *path; /* relative to the folder */
	uint64_t size;
	unsigned mode;
	uint8_t digest[SHA256_SIZE];
};

struct builder {
	const struct package_source *source;
	struct source_file *files;
	size_t count;
	struct archive *archive;
	int payload_fd;
	struct sha256 payload_digest;
	uint64_t payload_size;
	uint64_t unpacked_size;
	uint64_t total; /* of the files' sizes */
	struct error *err;
	uint8_t *chunk;
};

/* ---- the folder ------------------------------------------------------------------------------ */

static int add_file(struct builder *b, const char *path, const struct stat *st, struct error *err)
{
	struct source_file *file;
	int rc = manifest_check_path(span_of(path), err);

	if (rc < 0)
		return rc;
	if (b->count == MANIFEST_FILES_MAX)
		return error_set(
			err, ERR_SOURCE, "the folder holds more than %d files", MANIFEST_FILES_MAX);
	if ((uint64_t)st->st_size > TAR_SIZE_MAX)
		return error_set(err, ERR_SOURCE, "'%s' is too large", path);
	b->files = mem_realloc(b->files, (b->count + 1) * sizeof(*b->files));
	file = &b->files[b->count++];
	*file = (struct source_file){ .path = mem_strdup(path),
		.size = (uint64_t)st->st_size,
		.mode = st->st_mode & S_IXUSR ? 0755 : 0644 };
	b->total += file->size;
	return 0;
}

static bool left_out(const struct builder *b, const char *path)
{
	const struct package_source *s = b->source;

	return (s->manifest && strcmp(path, s->manifest) == 0) ||
	       (s->exclude && strcmp(path, s->exclude) == 0);
}

static int scan_folder(struct builder *b, int fd, const char *path, struct error *err);

static int scan_entry(
	struct builder *b, int folder, const char *name, const char *path, struct error *err)
{
	struct stat st;

	if (left_out(b, path))
		return 0;
	if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return error_set_errno(err, errno, "stat '%s'", shown(span_of(path)).text);
	if (S_ISREG(st.st_mode))
		return add_file(b, path, &st, err);
	if (!S_ISDIR(st.st_mode))
		return error_set(err, ERR_SOURCE, "'%s' is neither a file nor a folder",
			shown(span_of(path)).text);
	return scan_folder(b, openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC),
		path, err);
}

/* Everything below the folder in fd, which this closes. */
static int scan_folder(struct builder *b, int fd, const char *path, struct error *err)
{
	DIR *dir = fd == -1 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int rc = 0;

	if (!dir) {
		rc = error_set_errno(err, errno, "open folder '%s'", shown(span_of(path)).text);
		io_closep(&fd);
		return rc;
	}
	while (rc == 0 && (entry = readdir(dir)) != NULL) {
		CLEANUP(mem_freep) char *inner = NULL;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		inner = mem_printf("%s%s%s", path, path[0] ? "/" : "", entry->d_name);
		rc = scan_entry(b, dirfd(dir), entry->d_name, inner, err);
	}
	(void)closedir(dir);
	return rc;
}

static int compare_files(const void *a, const void *b)
{
	return strcmp(((const struct source_file *)a)->path, ((const struct source_file *)b)->path);
}

static int scan_source(struct builder *b, struct error *err)
{
	int rc = scan_folder(
		b, openat(b->source->folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), "", err);

	if (rc < 0)
		return rc;
	if (b->count == 0)
		return error_set(err, ERR_SOURCE, "the folder holds no file to ship");
	qsort(b->files, b->count, sizeof(*b->files), compare_files);
	return 0;
}

/* ---- entries --------------------------------------------------------------------------------- */

/* Open path below the folder; component by component, for a link in it may lead out. */
static int open_source(const struct builder *b, const char *path, struct error *err)
{
	struct span rest = span_of(path), part;
	char name[MANIFEST_PATH_MAX + 1];
	int fd = fcntl(b->source->folder_fd, F_DUPFD_CLOEXEC, 0);

	while (fd != -1 && span_split(&rest, '/', &part)) {
		int below;

		memcpy(name, part.data, part.len);
		name[part.len] = '\0';
		below = openat(fd, name,
			O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK |
				(rest.data ? O_DIRECTORY : 0));
		(void)close(fd);
		fd = below;
	}
	if (fd == -1)
		return error_set_errno(err, errno, "open '%s'", path);
	return fd;
}

static int lint_entry(struct builder *b, const struct manifest_entry *entry,
	struct elf_report *report, struct error *err)
{
	CLEANUP(mem_freep) char *path = mem_printf("%.*s", SPAN_ARG(entry->path));
	int fd = open_source(b, path, err), rc;

	if (fd < 0)
		return fd;
	rc = elf_lint(report, fd, entry->triplet, err);
	(void)close(fd);
	if (rc < 0)
		(void)error_wrap(err, "entry '%s'", path);
	return rc;
}

/* {"abi":[...],"optional":[...]} as the note has it. */
static json_t *requires_of(const struct elf_note *note)
{
	json_t *required = json_array(), *optional = json_array();

	for (size_t i = 0; i < note->count; i++)
		(void)json_array_append_new(note->interfaces[i].required ? required : optional,
			json_string(note->interfaces[i].id));
	return json_pack("{so so}", "abi", required, "optional", optional);
}

/* Check each entry and take what is required from the first one's note, unless the source manifest
 * states it; the others are compared with it later, as an install would. */
static int check_entries(struct builder *b, const struct manifest *m, json_t *complete,
	struct text *warnings, struct error *err)
{
	for (size_t i = 0; i < m->entry_count; i++) {
		struct elf_report report = { .warning = NULL };
		int rc = lint_entry(b, &m->entries[i], &report, err);

		if (rc < 0)
			return rc;
		if (!json_object_get(complete, "requires"))
			(void)json_object_set_new(complete, "requires", requires_of(&report.note));
		if (report.warning)
			text_printf(warnings, "'%.*s': %s\n", SPAN_ARG(m->entries[i].path),
				report.warning);
		elf_report_done(&report);
	}
	return 0;
}

/* The complete manifest against every entry's note. */
static int check_notes(struct builder *b, const struct manifest *m, struct error *err)
{
	for (size_t i = 0; i < m->entry_count; i++) {
		struct elf_report report = { .warning = NULL };
		int rc = lint_entry(b, &m->entries[i], &report, err);

		if (rc == 0)
			rc = entry_check_note(&report.note, m, err);
		elf_report_done(&report);
		if (rc < 0)
			return rc;
	}
	return entry_check_interfaces(m, NULL, 0, err);
}

/* ---- the payload ----------------------------------------------------------------------------- */

static la_ssize_t on_compressed(struct archive *a, void *context, const void *data, size_t len)
{
	struct builder *b = context;

	if (io_write_all(b->payload_fd, data, len, b->err) < 0) {
		archive_set_error(a, EIO, "the payload cannot be written");
		return -1;
	}
	sha256_update(&b->payload_digest, data, len);
	b->payload_size += len;
	return (la_ssize_t)len;
}

static int start_compressor(struct builder *b, struct error *err)
{
	struct archive *a = archive_write_new();
	struct archive_entry *entry = archive_entry_new();
	bool ok;

	b->archive = a;
	ok = a && entry && archive_write_set_format_raw(a) == ARCHIVE_OK &&
	     archive_write_add_filter_zstd(a) == ARCHIVE_OK &&
	     archive_write_set_filter_option(a, "zstd", "compression-level", ZSTD_LEVEL) ==
		     ARCHIVE_OK &&
	     archive_write_set_bytes_per_block(a, 0) == ARCHIVE_OK &&
	     archive_write_open(a, b, NULL, on_compressed, NULL) == ARCHIVE_OK;
	if (ok) {
		archive_entry_set_pathname(entry, "payload");
		archive_entry_set_filetype(entry, AE_IFREG);
		ok = archive_write_header(a, entry) == ARCHIVE_OK;
	}
	archive_entry_free(entry);
	if (!ok)
		return error_set(err, ERR_SYSTEM, "start compressing: %s",
			a && archive_error_string(a) ? archive_error_string(a) : "no memory");
	return 0;
}

static int put(struct builder *b, const void *data, size_t len, struct error *err)
{
	if (archive_write_data(b->archive, data, len) != (la_ssize_t)len)
		return error_set(err, ERR_SYSTEM, "compress the payload: %s",
			archive_error_string(b->archive) ? archive_error_string(b->archive)
							 : "unknown reason");
	b->unpacked_size += len;
	return 0;
}

static int put_zeros(struct builder *b, size_t len, struct error *err)
{
	static const uint8_t zeros[TAR_END];

	return len ? put(b, zeros, len, err) : 0;
}

static int put_content(struct builder *b, struct source_file *file, int fd, struct error *err)
{
	struct sha256 sha;
	uint64_t left = file->size;
	int rc = 0;

	sha256_init(&sha);
	while (rc == 0 && left > 0) {
		size_t n = left < PACKAGE_CHUNK ? (size_t)left : PACKAGE_CHUNK;

		rc = io_read_all(fd, b->chunk, n, err);
		if (rc == 0)
			rc = put(b, b->chunk, n, err);
		sha256_update(&sha, b->chunk, n);
		left -= n;
	}
	sha256_final(&sha, file->digest);
	sha256_done(&sha);
	/* One more byte means that it grew since it was listed. */
	if (rc == ERR_CLOSED || (rc == 0 && read(fd, b->chunk, 1) != 0))
		rc = error_set(err, ERR_SOURCE, "'%s' changed while it was packed", file->path);
	return rc;
}

static int put_file(struct builder *b, struct source_file *file, struct error *err)
{
	uint8_t block[TAR_BLOCK];
	int fd = open_source(b, file->path, err), rc;

	if (fd < 0)
		return fd;
	tar_render(block, span_of(file->path), file->size, file->mode);
	rc = put(b, block, sizeof(block), err);
	if (rc == 0)
		rc = put_content(b, file, fd, err);
	if (rc == 0)
		rc = put_zeros(b, tar_padding(file->size), err);
	(void)close(fd);
	return rc;
}

static int write_payload(struct builder *b, struct error *err)
{
	uint64_t done = 0;
	int rc = start_compressor(b, err);

	for (size_t i = 0; i < b->count && rc == 0; i++) {
		rc = put_file(b, &b->files[i], err);
		done += b->files[i].size;
		if (b->source->progress)
			b->source->progress(b->source->context, "compress", done, b->total);
	}
	if (rc == 0)
		rc = put_zeros(b, TAR_END, err);
	if (rc == 0 && archive_write_close(b->archive) != ARCHIVE_OK)
		rc = error_set(err, ERR_SYSTEM, "end compressing: %s",
			archive_error_string(b->archive) ? archive_error_string(b->archive)
							 : "unknown reason");
	if (rc == 0 &&
		(b->payload_size > PACKAGE_BYTES_MAX || b->unpacked_size > PACKAGE_UNPACKED_MAX))
		rc = error_set(err, ERR_PACKAGE_SIZE,
			"the payload has %llu bytes, %llu unpacked; a package holds %u and %llu",
			(unsigned long long)b->payload_size, (unsigned long long)b->unpacked_size,
			PACKAGE_BYTES_MAX, (unsigned long long)PACKAGE_UNPACKED_MAX);
	return rc;
}

/* ---- the manifest ---------------------------------------------------------------------------- */

static json_t *files_value(const struct builder *b)
{
	json_t *array = json_array();
	char hex[SHA256_HEX_SIZE];

	for (size_t i = 0; i < b->count; i++) {
		const struct source_file *file = &b->files[i];

		hex_encode(file->digest, sizeof(file->digest), hex);
		(void)json_array_append_new(
			array, json_pack("{ss sI ss ss}", "path", file->path, "size",
				       (json_int_t)file->size, "mode",
				       file->mode == 0755 ? "0755" : "0644", "sha256", hex));
	}
	return array;
}

static void complete_manifest(struct builder *b, json_t *manifest)
{
	uint8_t digest[SHA256_SIZE];
	char hex[SHA256_HEX_SIZE];

	sha256_final(&b->payload_digest, digest);
	hex_encode(digest, sizeof(digest), hex);
	(void)json_object_set_new(manifest, "payload",
		json_pack("{sI ss sI}", "size", (json_int_t)b->payload_size, "sha256", hex,
			"unpacked_size", (json_int_t)b->unpacked_size));
	(void)json_object_set_new(manifest, "files", files_value(b));
}

static int check_complete(struct builder *b, struct span json, struct error *err)
{
	CLEANUP(manifest_freep) struct manifest *m = NULL;
	int rc = manifest_parse(&m, json, MANIFEST_PACKAGE, err);

	return rc < 0 ? rc : check_notes(b, m, err);
}

static int build(struct builder *b, struct text *manifest, struct text *warnings, struct error *err)
{
	CLEANUP(manifest_freep) struct manifest *m = NULL;
	CLEANUP(json_freep) json_t *complete = NULL;
	struct text json;
	int rc = manifest_parse(&m, b->source->manifest_json, MANIFEST_SOURCE, err);

	if (rc < 0)
		return rc;
	complete = json_deep_copy(m->json);
	rc = scan_source(b, err);
	if (rc == 0)
		rc = check_entries(b, m, complete, warnings, err);
	if (rc == 0)
		rc = write_payload(b, err);
	if (rc < 0)
		return rc;
	complete_manifest(b, complete);
	text_init(&json);
	json_append(&json, complete);
	rc = check_complete(b, text_span(&json), err);
	if (rc == 0)
		text_append_span(manifest, text_span(&json));
	text_done(&json);
	return rc;
}

int package_build(const struct package_source *source, int payload_fd, struct text *manifest,
	struct text *warnings, struct error *err)
{
	struct builder b = { .source = source, .payload_fd = payload_fd, .err = err };
	int rc;

	sha256_init(&b.payload_digest);
	b.chunk = mem_alloc(PACKAGE_CHUNK);
	rc = build(&b, manifest, warnings, err);
	if (b.archive)
		(void)archive_write_free(b.archive);
	sha256_done(&b.payload_digest);
	for (size_t i = 0; i < b.count; i++)
		mem_free(b.files[i].path);
	mem_free(b.files);
	mem_free(b.chunk);
	return rc;
}

/* ---- signing --------------------------------------------------------------------------------- */

static int write_member_header(const char *member, uint64_t size, int fd, struct error *err)
{
	uint8_t block[TAR_BLOCK];

	tar_render(block, span_of(member), size, PACKAGE_MODE);
	return io_write_all(fd, block, sizeof(block), err);
}

static int write_zeros(size_t len, int fd, struct error *err)
{
	static const uint8_t zeros[TAR_END];

	return io_write_all(fd, zeros, len, err);
}

static int write_envelope(
	struct span manifest, const struct sign_key *key, int fd, struct error *err)
{
	uint8_t signature[SIGN_SIGNATURE_SIZE];
	char id[SIGN_KEY_ID_SIZE];
	struct text message, envelope;
	int rc;

	text_init(&message);
	text_init(&envelope);
	dsse_encode(&message, manifest);
	sign_message(key, text_span(&message), signature);
	sign_key_id(sign_key_public(key), id);
	dsse_write(&envelope, manifest, id, signature);
	rc = write_member_header(PACKAGE_MANIFEST_MEMBER, envelope.len, fd, err);
	if (rc == 0)
		rc = io_write_all(fd, envelope.data, envelope.len, err);
	if (rc == 0)
		rc = write_zeros(tar_padding(envelope.len), fd, err);
	text_done(&message);
	text_done(&envelope);
	return rc;
}

static int write_copy(int from, uint64_t size, int to, struct error *err)
{
	CLEANUP(mem_freep) uint8_t *chunk = mem_alloc(PACKAGE_CHUNK);
	uint64_t left = size;
	int rc = 0;

	while (rc == 0 && left > 0) {
		size_t n = left < PACKAGE_CHUNK ? (size_t)left : PACKAGE_CHUNK;

		rc = io_read_all(from, chunk, n, err);
		if (rc == 0)
			rc = io_write_all(to, chunk, n, err);
		left -= n;
	}
	return rc;
}

int package_sign(struct span manifest, int payload_fd, const struct sign_key *key, int out_fd,
	struct error *err)
{
	struct stat st;
	int rc;

	if (fstat(payload_fd, &st) == -1 || lseek(payload_fd, 0, SEEK_SET) == -1)
		return error_set_errno(err, errno, "read the payload");
	if (manifest.len > MANIFEST_BYTES_MAX || (uint64_t)st.st_size > PACKAGE_BYTES_MAX)
		return error_set(err, ERR_PACKAGE_SIZE,
			"a manifest of %zu and a payload of %lld bytes do not fit a package",
			manifest.len, (long long)st.st_size);
	rc = write_envelope(manifest, key, out_fd, err);
	if (rc == 0)
		rc = write_member_header(PACKAGE_PAYLOAD_MEMBER, (uint64_t)st.st_size, out_fd, err);
	if (rc == 0)
		rc = write_copy(payload_fd, (uint64_t)st.st_size, out_fd, err);
	if (rc == 0)
		rc = write_zeros(tar_padding((uint64_t)st.st_size), out_fd, err);
	if (rc == 0)
		rc = write_zeros(TAR_END, out_fd, err);
	return rc;
}
