/* package.h - open a plugin package and prove that it may be installed
 *
 * A package (.mpk) is a ustar of exactly two members, manifest.dsse.json and payload.tar.zst. It is
 * untrusted until package_open() returns 0, and what its payload holds until package_unpack() does.
 * Each step reads only what the step before has authenticated. Knows nothing of databases,
 * processes or the network; writes only below the folder it was given.
 */
#ifndef MORTISE_PACKAGE_PACKAGE_H
#define MORTISE_PACKAGE_PACKAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/text.h"

struct error;
struct manifest;
struct trust;
struct trust_key;
struct package; /* opaque */

#define PACKAGE_ENVELOPE_MAX (1u << 20)
#define PACKAGE_BYTES_MAX    (256u << 20)
#define PACKAGE_UNPACKED_MAX (UINT64_C(1) << 30)
#define PACKAGE_WINDOW_MAX   (8u << 20)

/* Called now and then during long work: step is "verify", "unpack", "compress" ... */
typedef void (*package_progress_cb)(void *context, const char *step, uint64_t done, uint64_t total);

struct package_options {
	const struct trust *trust;
	const char *environment; /* development keys count in "development" only */
	int64_t now_us;          /* real time for expiry; 0: the clock's */
	uint64_t limit_bytes;    /* of the file; 0: PACKAGE_BYTES_MAX, which it cannot exceed */
	uint64_t limit_unpacked; /* of the unpacked payload; 0: PACKAGE_UNPACKED_MAX */
	const char *triplet;     /* the platform an entry is needed for; NULL: none */
	const char *const *interfaces; /* offered ids, `interface_count` of them; NULL: every id
					  of sdk/include/mortise/interfaces.def */
	size_t interface_count;
	int scratch_fd;               /* folder of the private copy, an unnamed file; -1: /tmp */
	bool durable;                 /* package_unpack() fsyncs what it writes */
	package_progress_cb progress; /* may be NULL */
	void *context;
};

/* Open the package in fd, a regular file, and verify everything up to the payload's digest; options
 * and what they point at must outlive the package. *out is then the caller's; fd is read by offset,
 * stays the caller's and is not needed after. ERR_PACKAGE_*, ERR_ENVELOPE: not a package;
 * ERR_UNTRUSTED, ERR_SIGNATURE, ERR_KEY_*, ERR_DIGEST_REVOKED: nobody who may has signed it;
 * ERR_MANIFEST_*, ERR_PATH_*: its manifest is against the rules; ERR_PAYLOAD_*: the payload is not
 * the signed one. */
int package_open(
	struct package **out, int fd, const struct package_options *options, struct error *err);
void package_free(struct package *pkg);
CLEANUP_FUNCTION(struct package, package_free)

/* Unpack into the empty folder dirfd: manifest.dsse.json, and the payload's files below files/.
 * dirfd -1 checks the same and writes nothing. The entries are checked as an install
 * needs them: ELF, note against manifest, interfaces. ERR_ZSTD_*, ERR_ARCHIVE_*, ERR_PATH_*,
 * ERR_ENTRY_*, ERR_ELF_*, ERR_NOTE_*, ERR_INTERFACE_UNKNOWN, ERR_PLATFORM. On failure the caller
 * removes what dirfd holds; nothing is ever outside it. */
int package_unpack(struct package *pkg, int dirfd, struct error *err);

const struct manifest *package_manifest(const struct package *pkg);
struct span package_manifest_json(const struct package *pkg); /* the signed bytes */
struct span package_envelope(const struct package *pkg);      /* the bytes of manifest.dsse.json */
const char *package_digest(const struct package *pkg);        /* of the whole file: "sha256:..." */
uint64_t package_size(const struct package *pkg);
/* The key that signed it, in the trust set; NULL when the package counts by a pin alone. */
const struct trust_key *package_signer(const struct package *pkg);
const char *package_key_id(const struct package *pkg); /* as the envelope names it */
/* What package_unpack() has to say of its entries, NULL behind the last. */
const char *package_warning(const struct package *pkg, size_t index);

#endif
