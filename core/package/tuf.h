/* tuf.h - a client of The Update Framework 1.0.34
 *
 * The client workflow of the specification's chapter 5 over a repository that is reached through
 * one callback and trusted metadata that is kept through others, so that the module knows no
 * network and no folder. Stricter than the text where real clients are lax: see README.md.
 *
 * An update is tuf_open(), tuf_refresh() and any number of tuf_find(). Metadata is saved, byte for
 * byte as it came, as soon as it is trusted, and never before; a failure leaves what was trusted
 * last. Roles are saved as "root.json", "timestamp.json", "snapshot.json", "targets.json" and
 * "NAME.json", NAME percent-encoded. Everything blocks. [any thread, one at a time]
 */
#ifndef MORTISE_PACKAGE_TUF_H
#define MORTISE_PACKAGE_TUF_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/mem.h"
#include "base/text.h"
#include "codec/hash.h"

struct error;
struct tuf; /* opaque */

/* Longest metadata that is fetched where a length is not signed, in bytes. */
#define TUF_ROOT_MAX      512000u
#define TUF_TIMESTAMP_MAX 16384u
#define TUF_SNAPSHOT_MAX  2000000u
#define TUF_TARGETS_MAX   5000000u
#define TUF_ROOTS_MAX     256u /* new roots in one refresh; the next one goes on */
#define TUF_VISITS_MAX    32u  /* delegated roles looked at for one target */
#define TUF_VERSION_MAX   (INT64_C(1) << 53)
#define TUF_PATH_MAX      512u /* of a target, and of a pattern */
#define TUF_CLOCK_SLACK_S 300  /* how far the clock may be behind the last refresh */

/* Where trusted metadata stands. */
struct tuf_files {
	/* Append the file's bytes, at most max. ERR_NOT_FOUND: there is none. */
	int (*load)(void *user, const char *name, size_t max, struct text *out, struct error *err);
	/* Write the file whole or not at all, and durably. */
	int (*save)(void *user, const char *name, struct span bytes, struct error *err);
	/* It is no error that there is none. */
	int (*remove)(void *user, const char *name, struct error *err);
	void *user;
};

/* The repository. */
struct tuf_source {
	/* Append the metadata file of that name ("3.root.json"), at most max bytes.
	 * ERR_NOT_FOUND: the repository says that there is none (HTTP 403, 404).
	 * ERR_TOO_LARGE: it is longer. Any other code: it could not be fetched whole. */
	int (*fetch)(void *user, const char *name, size_t max, struct text *out, struct error *err);
	void *user;
};

/* Begin to trust: root is the bytes of a root that came by another way than the repository. It
 * must be signed by its own keys. Overwrites what was trusted before. */
int tuf_trust_root(const struct tuf_files *files, struct span root, struct error *err);

/* now_us is the time of the whole update (section 5.1). ERR_NOT_FOUND: no root is trusted yet;
 * ERR_TUF_CLOCK: the clock stands before the last refresh; and what tuf_refresh() says of a root.
 */
int tuf_open(struct tuf **out, const struct tuf_files *files, int64_t now_us, struct error *err);
void tuf_free(struct tuf *t);
CLEANUP_FUNCTION(struct tuf, tuf_free)

/* Sections 5.3 to 5.6.6: newest root, timestamp, snapshot and top-level targets.
 *   ERR_TUF_FORM        not metadata in the form of section 4
 *   ERR_TUF_SIGNATURES  not signed by enough different keys of its role
 *   ERR_TUF_VERSION     another version than asked for
 *   ERR_TUF_ROLLBACK    an older version than was trusted
 *   ERR_TUF_DIGEST      another length or digest than signed
 *   ERR_TUF_EXPIRED     out of date
 *   ERR_TUF_MISSING     the repository lacks what its metadata names
 * and the codes of source and files. */
int tuf_refresh(struct tuf *t, const struct tuf_source *source, struct error *err);

struct tuf_target { /* borrowed from the struct tuf until its next call */
	struct span path;
	uint64_t length;
	const json_t *hashes; /* name -> hex, all of hash.h, at least one */
	const json_t *custom; /* NULL: none */
	const char *role;     /* whose word it is */
};

/* Section 5.6.7: the first role, depth first in order of delegation, that is trusted for the path
 * and has it. After a successful tuf_refresh(). ERR_NOT_FOUND: no role has. Else as there. */
int tuf_find(struct tuf *t, const struct tuf_source *source, struct span path,
	struct tuf_target *out, struct error *err);

/* Append where the repository keeps the target, below its targets folder. */
void tuf_target_file(const struct tuf *t, const struct tuf_target *target, struct text *out);

/* Is this the target? Feed its bytes, then ask. */
#define TUF_HASHES_MAX 3
struct tuf_check {
	uint64_t length, left;
	size_t count;
	struct hash hashes[TUF_HASHES_MAX];
	struct span wanted[TUF_HASHES_MAX];
};
void tuf_check_init(struct tuf_check *check, const struct tuf_target *target);
/* ERR_TUF_DIGEST: longer than signed. */
int tuf_check_update(struct tuf_check *check, const void *data, size_t len, struct error *err);
/* 0 or ERR_TUF_DIGEST. check is done after. */
int tuf_check_final(struct tuf_check *check, struct error *err);
void tuf_check_done(struct tuf_check *check);

/* What is trusted now: the version, 0 when there is none. */
int64_t tuf_version(const struct tuf *t, const char *role);
/* When it expires, in microseconds of real time; 0 when there is none. */
int64_t tuf_expires(const struct tuf *t, const char *role);

#endif
