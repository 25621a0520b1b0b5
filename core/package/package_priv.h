/* package_priv.h - an open package, as package.c and unpack.c share it
 */
#ifndef MORTISE_PACKAGE_PACKAGE_PRIV_H
#define MORTISE_PACKAGE_PACKAGE_PRIV_H

#include "codec/digest.h"
#include "codec/sign.h"
#include "package/manifest.h"
#include "package/package.h"

#define PACKAGE_MAGIC UINT32_C(0x676b704d)

#define PACKAGE_MANIFEST_MEMBER "manifest.dsse.json"
#define PACKAGE_PAYLOAD_MEMBER  "payload.tar.zst"
#define PACKAGE_MODE            0644
#define PACKAGE_CHUNK           (64u << 10)
#define PACKAGE_WARNINGS_MAX    MANIFEST_ENTRIES_MAX

struct package {
	uint32_t magic;
	struct package_options options;
	struct text envelope;
	struct text manifest_json;
	struct manifest *manifest;
	char key_id[SIGN_KEY_ID_SIZE];
	uint8_t signature[SIGN_SIGNATURE_SIZE];
	const struct trust_key *signer;
	char digest[DIGEST_TEXT_SIZE];
	uint64_t size;
	int payload_fd; /* the private copy: nobody else can write it */
	char *warnings[PACKAGE_WARNINGS_MAX];
	size_t warning_count;
};

/* An unnamed file below dirfd (-1: /tmp), for reading and writing; or ERR_SYSTEM. */
int package_scratch(int dirfd, struct error *err);

/* The DSSE envelope of manifest:
 * {"payload":..,"payloadType":..,"signatures":[{"keyid":..,"sig":..}]} in these very bytes. */
void dsse_write(struct text *out, struct span manifest, const char *key_id,
	const uint8_t signature[static SIGN_SIGNATURE_SIZE]);
/* Take it apart; nothing is verified. ERR_ENVELOPE: not those bytes. manifest is appended to. */
int dsse_read(struct span envelope, struct text *manifest, char key_id[static SIGN_KEY_ID_SIZE],
	uint8_t signature[static SIGN_SIGNATURE_SIZE], struct error *err);
/* What is signed: DSSE's pre-authentication encoding of manifest. */
void dsse_encode(struct text *out, struct span manifest);

#endif
