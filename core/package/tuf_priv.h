/* tuf_priv.h - metadata of TUF, parsed and checked for its form
 *
 * What tuf_metadata.c gives to tuf.c. Form only: whose it is, and whether it is new, is the
 * workflow's to ask. [any thread]
 */
#ifndef MORTISE_PACKAGE_TUF_PRIV_H
#define MORTISE_PACKAGE_TUF_PRIV_H

#include "codec/public_key.h"
#include "package/tuf.h"

enum tuf_type { TUF_ROOT, TUF_TIMESTAMP, TUF_SNAPSHOT, TUF_TARGETS };

/* One parsed file. The pointers point into document. */
struct tuf_metadata {
	json_t *document;   /* NULL: there is none */
	const json_t *body; /* "signed" */
	enum tuf_type type;
	int64_t version;
	int64_t expires_us;
};

/* Section 4.2 and the section of the type. file is for messages. ERR_TUF_FORM. */
int tuf_metadata_parse(struct tuf_metadata *out, enum tuf_type type, struct span bytes,
	const char *file, struct error *err);
void tuf_metadata_done(struct tuf_metadata *m); /* harmless on a zeroed one */

/* Whose signatures count: a map of keys, and of one role its key ids and threshold. */
struct tuf_signers {
	const json_t *keys;
	const json_t *keyids;
	int64_t threshold;
};
/* Of a top-level role, from a root. */
struct tuf_signers tuf_root_signers(const struct tuf_metadata *root, const char *role);
/* Is m signed by threshold different keys? ERR_TUF_SIGNATURES. */
int tuf_metadata_verify(const struct tuf_metadata *m, struct tuf_signers signers, const char *file,
	struct error *err);

/* An entry of "meta": version, and length (0: not said) and hashes (NULL: not said). */
struct tuf_file {
	int64_t version;
	uint64_t length;
	const json_t *hashes;
};
/* False: it names no such role. */
bool tuf_metadata_file(const struct tuf_metadata *m, const char *role, struct tuf_file *out);
/* Is this the file? ERR_TUF_DIGEST. */
int tuf_file_check(
	const struct tuf_file *wanted, struct span bytes, const char *file, struct error *err);

/* Does a delegated role ("roles" of a targets role) speak for the target? */
bool tuf_delegation_covers(const json_t *role, struct span path);

/* Do not use for anything but top-level roles: "root", "timestamp", "snapshot", "targets". */
bool tuf_role_is_top(struct span role);

#endif
