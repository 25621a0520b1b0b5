/* package_store.h - verified packages on disk, by the digest of their file
 *
 * DATA/store/sha256/<hex>/{manifest.dsse.json,files/...}: made in one piece by a
 * rename, read-only and never changed after; what no row names is garbage. Stage
 * unpacks into DATA/staging/<name>, which is hostile ground: it is copied by
 * descriptor into files of our own while hashing, never renamed, since a rename
 * would not revoke a descriptor that can still write. Knows no row and no
 * process. All of it blocks: before the loop runs or [pool thread], but for
 * package_store_path() [any thread].
 */
#ifndef MORTISE_LIFECYCLE_PACKAGE_STORE_H
#define MORTISE_LIFECYCLE_PACKAGE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/text.h"
#include "codec/digest.h"

struct error;
struct package_store; /* opaque */

#define PACKAGE_STORE_PATH_MAX  512 /* of a file inside a package */
#define PACKAGE_STORE_DEPTH_MAX 32  /* folders above it */

struct package_store_file {
	char *path; /* below files/ */
	uint64_t size;
	bool executable;
	uint8_t sha256[SHA256_SIZE];
};

/* What a package holds, as its signed manifest says. */
struct package_store_content {
	uint8_t digest[SHA256_SIZE]; /* of the .mpk */
	struct text envelope;        /* manifest.dsse.json; may be empty for a check */
	struct package_store_file *files;
	size_t file_count;
};

void package_store_content_init(struct package_store_content *c);
void package_store_content_done(struct package_store_content *c);
/* Add one; the path is copied, and checked when it is used. */
void package_store_content_add(struct package_store_content *c, struct span path, uint64_t size,
	bool executable, const uint8_t sha256[static SHA256_SIZE]);
uint64_t package_store_content_size(const struct package_store_content *c);

/* Open DATA/store and DATA/staging, making what is missing; entries left half-made by an earlier
 * life and all of staging are removed. */
int package_store_open(struct package_store **out, const char *data, struct error *err);
void package_store_free(struct package_store *s);

/* An empty folder staging/<name> that owner may write; *path is the caller's. */
int package_store_staging_make(struct package_store *s, const char *name, uid_t owner, gid_t group,
	char **path, struct error *err);
int package_store_staging_remove(struct package_store *s, const char *name, struct error *err);

/* Copy what content lists from staging/<name>/files into the store, durably. An entry that is
 * there and verifies is kept; one that does not is replaced. ERR_PACKAGE_CHANGED: a staged file is
 * not what content says. */
int package_store_put(struct package_store *s, const char *name,
	const struct package_store_content *content, struct error *err);

/* Hash every file that content lists. ERR_NOT_FOUND: there is no such entry, or not all of it;
 * ERR_PACKAGE_CHANGED: a file differs. With entry not NULL, device and inode of that file are
 * those of the descriptor that was hashed. */
int package_store_check(struct package_store *s, const struct package_store_content *content,
	const char *entry, dev_t *device, ino_t *inode, struct error *err);

/* Remove the entries that keep does not name and that are older than grace_s. */
int package_store_sweep(struct package_store *s, const uint8_t (*keep)[SHA256_SIZE],
	size_t keep_count, uint64_t grace_s, size_t *removed, struct error *err);

/* The absolute path of a file inside an entry, the caller's. */
char *package_store_path(
	const struct package_store *s, const uint8_t digest[static SHA256_SIZE], const char *file);

#endif
