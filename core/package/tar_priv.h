/* tar_priv.h - ustar headers (POSIX 1003.1), as far as a package has them
 *
 * One way to write a header, and a strict way to read one: a regular file, its path, size and mode,
 * or an error that says what else it is.
 */
#ifndef MORTISE_PACKAGE_TAR_PRIV_H
#define MORTISE_PACKAGE_TAR_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

struct error;

#define TAR_BLOCK    512u
#define TAR_END      (2 * TAR_BLOCK) /* two zero blocks end an archive */
#define TAR_SIZE_MAX ((UINT64_C(1) << 33) - 1)
#define TAR_PATH_MAX 256 /* prefix (155), '/', name (100) */

struct tar_entry {
	char path[TAR_PATH_MAX + 1];
	uint64_t size;
	unsigned mode; /* as it stands there, all twelve bits */
};

/* Whether path can be cut into a prefix of 155 and a name of 100 bytes. */
bool tar_path_fits(struct span path);

/* The header of a regular file: owner and time zero. path fits, size is at most TAR_SIZE_MAX. */
void tar_render(uint8_t out[static TAR_BLOCK], struct span path, uint64_t size, unsigned mode);

/* Zero bytes that follow size bytes up to a whole block. */
size_t tar_padding(uint64_t size);

bool tar_is_zero(const void *data, size_t len);

/* The size that a header claims, from its eleven octal digits alone; false when they are none. */
bool tar_claimed_size(const uint8_t block[static TAR_BLOCK], uint64_t *size);

/* Read a header of a payload. ERR_ARCHIVE_CORRUPT, ERR_ENTRY_*, ERR_PATH_*. */
int tar_read(struct tar_entry *out, const uint8_t block[static TAR_BLOCK], struct error *err);

#endif
