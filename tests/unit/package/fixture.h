/* fixture.h - packages for tests, honest and hostile, made on the spot
 *
 * A payload is written entry by entry, header fields can be bent, and it is framed as zstd without
 * a compressor (raw and run-length blocks), so that a test says exactly which bytes it means. What
 * is signed is what the test wants signed.
 */
#ifndef MORTISE_TESTS_UNIT_PACKAGE_FIXTURE_H
#define MORTISE_TESTS_UNIT_PACKAGE_FIXTURE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"
#include "codec/sign.h"
#include "package/package.h"
#include "package/trust.h"

struct error;

/* Whether this build's sanitizer needs more address space than a limit on memory would leave. */
#if defined(__SANITIZE_ADDRESS__)
#define FIXTURE_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FIXTURE_SANITIZED 1
#endif
#endif
#ifndef FIXTURE_SANITIZED
#define FIXTURE_SANITIZED 0
#endif

/* A shared object of plugins.cmake. */
void fixture_object(const char *name, struct text *out);
/* The same as a descriptor of a file of its own, perhaps cut to size bytes (0: whole). */
int fixture_object_fd(const char *name, size_t size);

/* An unnamed file that holds bytes. */
int fixture_file(struct span bytes);
void fixture_read(int fd, struct text *out);

/* Append a tar entry. Fields of `header` that are set bend it after it was rendered; the checksum
 * is right in any case. */
struct fixture_entry {
	const char *path;
	struct span data;
	unsigned mode; /* 0: 0644 */
	char type;     /* 0: a regular file */
	const char *link;
	const char *raw_name; /* 100 bytes for the name field */
	const char *size_field;
	bool gnu; /* GNU's magic */
};
void fixture_tar_entry(struct text *tar, const struct fixture_entry *entry);
void fixture_tar_end(struct text *tar);

/* One zstd frame of raw blocks; the window is that of the largest block. */
void fixture_zstd(struct text *out, struct span data);
void fixture_zstd_header(struct text *out, unsigned window_log);
void fixture_zstd_raw(struct text *out, struct span data, bool last); /* at most 128 KiB */
void fixture_zstd_zeros(struct text *out, uint32_t count, bool last); /* the same, run-length */

/* A manifest of acme/hello 1.0.0 that fits the object "good" as its entry. */
json_t *fixture_manifest(void);
/* Add a record of files[] for data at path. */
void fixture_list(json_t *manifest, const char *path, struct span data, const char *mode);
/* Set payload{} for these bytes and that unpacked size. */
void fixture_payload(json_t *manifest, struct span payload, uint64_t unpacked);

/* A package of manifest and payload, signed by key; the caller closes it. */
int fixture_sign(const json_t *manifest, struct span payload, const struct sign_key *key);

/* A whole honest package: the entry "good" and a README.md; or the entry `object` and tar entries
 * of the test's own behind it. */
struct fixture {
	struct sign_key *key;
	struct trust *trust;
	struct trust_key trusted; /* what was put into trust, to put again changed */
	struct package_options options;
	struct text tar;
	json_t *manifest;
	char *entry_path;
};
void fixture_init(struct fixture *f);
void fixture_done(struct fixture *f);
/* Put the entry and its record in front. */
void fixture_add_entry(struct fixture *f, const char *object);
/* Put a file in the archive and in the list. */
void fixture_add_file(struct fixture *f, const char *path, const char *data);
/* End the archive, frame it, sign it: a descriptor of the package. */
int fixture_finish(struct fixture *f);

/* Open and unpack into the folder "out" of the test's own; returns the first error. */
int fixture_install(struct fixture *f, int fd, struct error *err);
/* How many names the test's folder holds besides "out". */
int fixture_strays(void);

#endif
