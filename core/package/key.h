/* key.h - signing keys in files
 *
 * `mortise key generate NAME` makes NAME (the private half, PEM, mode 0600) and NAME.pub (the
 * public half, PEM). Neither replaces a file. A private key that others may read is refused.
 */
#ifndef MORTISE_PACKAGE_KEY_H
#define MORTISE_PACKAGE_KEY_H

#include <stdint.h>

#include "codec/sign.h"

struct error;

/* Make a key and both of its files, durably. id may be NULL. ERR_CONFLICT: one of them exists. */
int key_create(const char *path, char id[SIGN_KEY_ID_SIZE], struct error *err);

/* The private key in the file at path. ERR_NOT_FOUND, ERR_KEY_FILE (also: its mode lets others
 * read it). *out is the caller's, for sign_key_free(). */
int key_load(struct sign_key **out, const char *path, struct error *err);

/* The public key in the file at path. */
int key_load_public(uint8_t out[static SIGN_PUBLIC_SIZE], const char *path, struct error *err);

#endif
