/* The order of steps is the security of this file. Each reads only bytes that an earlier one has
 * authenticated or compared with what we would have written ourselves:
 *
 *   512 bytes compared -> envelope compared with its fixed text -> signature (or the digest of the
 *   whole file, where an administrator pinned it) -> manifest parsed -> 512 bytes compared ->
 *   payload hashed while it is copied -> end compared
 *
 * The file may change under us, so each byte is read once, or used only from the copy. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/io.h"
#include "package/package_priv.h"
#include "package/tar_priv.h"
#include "package/trust.h"

#define PROGRESS_BYTES (1u << 20)

/* The bytes of the package in order, hashed as they are read. */
struct source {
	int fd;
	uint64_t at;
	uint64_t size;
	struct sha256 digest;
};

static int source_read(struct source *s, void *out, size_t len, struct error *err)
{
	char *p = out;

	if (len > s->size - s->at)
		return error_set(err, ERR_PACKAGE_TRUNCATED, "the package ends at byte %llu",
			(unsigned long long)s->size);
	for (size_t done = 0; done < len;) {
		ssize_t n = pread(s->fd, p + done, len - done, (off_t)(s->at + done));

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return error_set_errno(err, errno, "read the package");
		if (n == 0)
			return error_set(err, ERR_PACKAGE_TRUNCATED,
				"the package became shorter while it was read");
		done += (size_t)n;
	}
	sha256_update(&s->digest, out, len);
	s->at += len;
	return 0;
}

static int source_open(struct source *s, int fd, const struct package *pkg, struct error *err)
{
	uint64_t limit = pkg->options.limit_bytes;
	struct stat st;

	if (fstat(fd, &st) == -1)
		return error_set_errno(err, errno, "stat the package");
	if (!S_ISREG(st.st_mode))
		return error_set(err, ERR_PACKAGE_HEADER, "the package is not a regular file");
	if ((uint64_t)st.st_size > limit)
		return error_set(err, ERR_PACKAGE_SIZE,
			"the package has %llu bytes; %llu are allowed (package.bytes)",
			(unsigned long long)st.st_size, (unsigned long long)limit);
	s->fd = fd;
	s->size = (uint64_t)st.st_size;
	return 0;
}

/* Read a member's header and compare it with the only one that may stand there. */
static int read_header(struct source *s, const char *member, uint64_t *size, struct error *err)
{
	uint8_t block[TAR_BLOCK], expected[TAR_BLOCK];
	int rc = source_read(s, block, sizeof(block), err);

	if (rc < 0)
		return rc;
	if (!tar_claimed_size(block, size) || *size > PACKAGE_BYTES_MAX)
		return error_set(err, ERR_PACKAGE_HEADER, "there is no header of '%s'", member);
	tar_render(expected, span_of(member), *size, PACKAGE_MODE);
	if (memcmp(block, expected, sizeof(block)) != 0)
		return error_set(err, ERR_PACKAGE_HEADER, "the header of '%s' is not ours", member);
	return 0;
}

static int read_zeros(struct source *s, size_t len, struct error *err)
{
	uint8_t block[TAR_END];
	int rc = source_read(s, block, len, err);

	if (rc == 0 && !tar_is_zero(block, len))
		return error_set(err, ERR_PACKAGE_HEADER, "a filling of the package is not zero");
	return rc;
}

static int read_envelope(struct package *pkg, struct source *s, struct error *err)
{
	uint64_t size;
	int rc = read_header(s, PACKAGE_MANIFEST_MEMBER, &size, err);

	if (rc < 0)
		return rc;
	if (size == 0 || size > PACKAGE_ENVELOPE_MAX)
		return error_set(err, ERR_ENVELOPE, "'" PACKAGE_MANIFEST_MEMBER "' has %llu bytes",
			(unsigned long long)size);
	rc = source_read(s, text_reserve(&pkg->envelope, size), size, err);
	if (rc < 0)
		return rc;
	text_grown(&pkg->envelope, size);
	rc = read_zeros(s, tar_padding(size), err);
	if (rc < 0)
		return rc;
	return dsse_read(
		text_span(&pkg->envelope), &pkg->manifest_json, pkg->key_id, pkg->signature, err);
}

/* ---- trust ---------------------------------------------------------------------------------- */

static int verify_signature(
	const struct package *pkg, const struct trust_key *key, struct error *err)
{
	struct text message;
	bool valid;

	text_init(&message);
	dsse_encode(&message, text_span(&pkg->manifest_json));
	valid = sign_verify(key->public_key, text_span(&message), pkg->signature);
	text_done(&message);
	if (!valid)
		return error_set(err, ERR_SIGNATURE, "the signature by key '%s' (%s) is not valid",
			key->name, key->id);
	return 0;
}

/* Whether a trusted key has signed the manifest and may do so now. */
static int check_signer(struct package *pkg, struct error *err)
{
	const struct package_options *o = &pkg->options;
	const struct trust_key *key = trust_find_key(o->trust, span_of(pkg->key_id));
	int rc;

	if (!key)
		return error_set(err, ERR_UNTRUSTED, "key '%s', which signed it, is not trusted",
			pkg->key_id);
	rc = verify_signature(pkg, key, err);
	if (rc == 0)
		rc = trust_check_key(key, o->environment, o->now_us, err);
	if (rc == 0)
		pkg->signer = key;
	return rc;
}

static bool pin_allows(const struct package *pkg, const char *digest)
{
	const struct trust_pin *pin = trust_find_pin(pkg->options.trust, span_of(digest));

	return pin && !pin->revoked &&
	       (pin->expires_us == 0 || pin->expires_us > pkg->options.now_us);
}

static bool has_allowing_pin(const struct package *pkg)
{
	const struct trust_pin *pin;

	for (size_t i = 0; (pin = trust_pin_at(pkg->options.trust, i)) != NULL; i++)
		if (pin_allows(pkg, pin->digest))
			return true;
	return false;
}

/* Read the rest of the file for its digest alone, so that a pin can count before anything is
 * parsed. What is in memory already is part of that digest; the rest is compared again at the end.
 */
static int find_pinned_digest(struct package *pkg, const struct source *s, struct error *err)
{
	CLEANUP(mem_freep) uint8_t *chunk = mem_alloc(PACKAGE_CHUNK);
	struct source whole = { .fd = s->fd, .size = s->size };
	uint8_t digest[SHA256_SIZE];
	int rc = 0;

	sha256_init(&whole.digest);
	while (rc == 0 && whole.at < whole.size) {
		uint64_t left = whole.size - whole.at;

		rc = source_read(&whole, chunk, left < PACKAGE_CHUNK ? left : PACKAGE_CHUNK, err);
	}
	sha256_final(&whole.digest, digest);
	sha256_done(&whole.digest);
	if (rc == 0)
		digest_text(digest, pkg->digest);
	return rc;
}

/* The signature, or a pin of the whole file in its place. pkg->digest is set only by a pin. */
static int authenticate(struct package *pkg, const struct source *s, struct error *err)
{
	struct error why = { 0 };
	int rc = check_signer(pkg, &why);

	/* A key that is known and did not sign this is an attack, whatever was pinned. */
	if (rc < 0 && rc != ERR_SIGNATURE && has_allowing_pin(pkg)) {
		int hashed = find_pinned_digest(pkg, s, err);

		if (hashed < 0)
			return hashed;
		if (pin_allows(pkg, pkg->digest))
			return 0;
	}
	if (rc < 0 && err)
		*err = why;
	return rc;
}

/* ---- payload -------------------------------------------------------------------------------- */

int package_scratch(int dirfd, struct error *err)
{
	char name[32], path[] = "/tmp/mortise-XXXXXX";
	int fd = dirfd == -1 ? open("/tmp", O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600)
			     : openat(dirfd, ".", O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);

	if (fd != -1 || (errno != EOPNOTSUPP && errno != EISDIR))
		goto done;
	/* A file system without unnamed files: a name, for a moment. */
	if (dirfd == -1) {
		fd = mkostemp(path, O_CLOEXEC);
		if (fd != -1)
			(void)unlink(path);
	} else {
		(void)snprintf(name, sizeof(name), ".mortise-%d", (int)getpid());
		fd = openat(dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd != -1)
			(void)unlinkat(dirfd, name, 0);
	}
done:
	return fd == -1 ? error_set_errno(err, errno, "create a private file") : fd;
}

static void report(const struct package *pkg, const char *step, uint64_t done, uint64_t total)
{
	if (pkg->options.progress && (done % PROGRESS_BYTES == 0 || done == total))
		pkg->options.progress(pkg->options.context, step, done, total);
}

static int copy_payload(struct package *pkg, struct source *s, uint64_t size, struct error *err)
{
	CLEANUP(mem_freep) uint8_t *chunk = mem_alloc(PACKAGE_CHUNK);
	uint8_t digest[SHA256_SIZE];
	struct sha256 payload;
	uint64_t done = 0;
	int rc = 0;

	sha256_init(&payload);
	while (rc == 0 && done < size) {
		size_t n = size - done < PACKAGE_CHUNK ? (size_t)(size - done) : PACKAGE_CHUNK;

		rc = source_read(s, chunk, n, err);
		if (rc == 0)
			rc = io_write_all(pkg->payload_fd, chunk, n, err);
		if (rc == 0)
			sha256_update(&payload, chunk, n);
		done += n;
		report(pkg, "verify", done, size);
	}
	sha256_final(&payload, digest);
	sha256_done(&payload);
	if (rc == 0 && !digest_equal(digest, pkg->manifest->payload_digest, sizeof(digest)))
		rc = error_set(err, ERR_PAYLOAD_DIGEST,
			"the payload's SHA-256 is not the one in the manifest");
	return rc;
}

static int check_sizes(
	const struct package *pkg, const struct source *s, uint64_t size, struct error *err)
{
	const struct manifest *m = pkg->manifest;
	uint64_t end = s->at + size + tar_padding(size) + TAR_END;

	if (size != m->payload_size)
		return error_set(err, ERR_PAYLOAD_SIZE,
			"the payload has %llu bytes; the manifest says %llu",
			(unsigned long long)size, (unsigned long long)m->payload_size);
	if (m->unpacked_size > pkg->options.limit_unpacked)
		return error_set(err, ERR_UNPACKED_SIZE,
			"the payload unpacks to %llu bytes; %llu are allowed (unpacked.bytes)",
			(unsigned long long)m->unpacked_size,
			(unsigned long long)pkg->options.limit_unpacked);
	if (s->size < end)
		return error_set(err, ERR_PACKAGE_TRUNCATED, "the package has %llu bytes of %llu",
			(unsigned long long)s->size, (unsigned long long)end);
	if (s->size > end)
		return error_set(err, ERR_PACKAGE_TRAILING, "%llu bytes follow the package",
			(unsigned long long)(s->size - end));
	return 0;
}

static int read_payload(struct package *pkg, struct source *s, struct error *err)
{
	uint64_t size;
	int rc = read_header(s, PACKAGE_PAYLOAD_MEMBER, &size, err);

	if (rc == 0)
		rc = check_sizes(pkg, s, size, err);
	if (rc < 0)
		return rc;
	rc = package_scratch(pkg->options.scratch_fd, err);
	if (rc < 0)
		return rc;
	pkg->payload_fd = rc;
	rc = copy_payload(pkg, s, size, err);
	if (rc == 0)
		rc = read_zeros(s, tar_padding(size), err);
	if (rc == 0)
		rc = read_zeros(s, TAR_END, err);
	return rc;
}

/* The digest of all that was read; where a pin let the package in, it is that of the pin again. */
static int check_digest(struct package *pkg, struct source *s, struct error *err)
{
	const struct trust_pin *pin;
	char text[DIGEST_TEXT_SIZE];
	uint8_t digest[SHA256_SIZE];

	sha256_final(&s->digest, digest);
	digest_text(digest, text);
	if (!pkg->signer && strcmp(text, pkg->digest) != 0)
		return error_set(
			err, ERR_UNTRUSTED, "the package changed while it was being checked");
	memcpy(pkg->digest, text, sizeof(text));
	pin = trust_find_pin(pkg->options.trust, span_of(text));
	if (pin && pin->revoked)
		return error_set(
			err, ERR_DIGEST_REVOKED, "package %s is revoked: %s", text, pin->reason);
	return 0;
}

static int read_package(struct package *pkg, struct source *s, struct error *err)
{
	int rc = read_envelope(pkg, s, err);

	if (rc == 0)
		rc = authenticate(pkg, s, err);
	if (rc == 0)
		rc = manifest_parse(
			&pkg->manifest, text_span(&pkg->manifest_json), MANIFEST_PACKAGE, err);
	if (rc == 0)
		rc = read_payload(pkg, s, err);
	if (rc == 0)
		rc = check_digest(pkg, s, err);
	if (rc == 0 && pkg->signer && !pin_allows(pkg, pkg->digest))
		rc = trust_check_namespace(pkg->signer, pkg->manifest->name, err);
	return rc;
}

static void set_options(struct package *pkg, const struct package_options *options)
{
	struct package_options *o = &pkg->options;

	*o = *options;
	if (o->now_us == 0)
		o->now_us = clock_real_us();
	if (o->limit_bytes == 0 || o->limit_bytes > PACKAGE_BYTES_MAX)
		o->limit_bytes = PACKAGE_BYTES_MAX;
	if (o->limit_unpacked == 0)
		o->limit_unpacked = PACKAGE_UNPACKED_MAX;
}

int package_open(
	struct package **out, int fd, const struct package_options *options, struct error *err)
{
	CLEANUP(package_freep) struct package *pkg = mem_zalloc(sizeof(*pkg));
	struct source source = { .fd = -1 };
	int rc;

	ASSERT(options->trust && options->environment);
	pkg->magic = PACKAGE_MAGIC;
	pkg->payload_fd = -1;
	text_init(&pkg->envelope);
	text_init(&pkg->manifest_json);
	set_options(pkg, options);
	sha256_init(&source.digest);
	rc = source_open(&source, fd, pkg, err);
	if (rc == 0) {
		pkg->size = source.size;
		rc = read_package(pkg, &source, err);
	}
	sha256_done(&source.digest);
	if (rc < 0)
		return rc;
	*out = TAKE(pkg);
	return 0;
}

void package_free(struct package *pkg)
{
	if (!pkg)
		return;
	ASSERT(pkg->magic == PACKAGE_MAGIC);
	pkg->magic = 0;
	io_closep(&pkg->payload_fd);
	manifest_free(pkg->manifest);
	text_done(&pkg->envelope);
	text_done(&pkg->manifest_json);
	for (size_t i = 0; i < pkg->warning_count; i++)
		mem_free(pkg->warnings[i]);
	mem_free(pkg);
}

const struct manifest *package_manifest(const struct package *pkg)
{
	return pkg->manifest;
}

struct span package_manifest_json(const struct package *pkg)
{
	return text_span(&pkg->manifest_json);
}

struct span package_envelope(const struct package *pkg)
{
	return text_span(&pkg->envelope);
}

const char *package_digest(const struct package *pkg)
{
	return pkg->digest;
}

uint64_t package_size(const struct package *pkg)
{
	return pkg->size;
}

const struct trust_key *package_signer(const struct package *pkg)
{
	return pkg->signer;
}

const char *package_key_id(const struct package *pkg)
{
	return pkg->key_id;
}

const char *package_warning(const struct package *pkg, size_t index)
{
	return index < pkg->warning_count ? pkg->warnings[index] : NULL;
}
