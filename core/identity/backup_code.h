/* backup_code.h - codes for the day the authenticator is gone
 *
 * Ten codes of 120 random bits, each good for one login. They are written on paper and typed, so
 * the alphabet is Crockford's base32 (no I, L, O or U) in groups, and reading forgives case,
 * separators and the look-alikes. Nothing that could be guessed faster is stored: the database
 * holds HMACs under the key ring. [any thread]
 */
#ifndef MORTISE_IDENTITY_BACKUP_CODE_H
#define MORTISE_IDENTITY_BACKUP_CODE_H

#include <stdbool.h>

#include "base/text.h"

#define BACKUP_CODE_COUNT   10
#define BACKUP_CODE_SYMBOLS 24 /* 5 bits each */
#define BACKUP_CODE_GROUP   6
#define BACKUP_CODE_LEN     (BACKUP_CODE_SYMBOLS + BACKUP_CODE_SYMBOLS / BACKUP_CODE_GROUP - 1)

/* A new code: "7QK3MB-..." and a NUL. */
void backup_code_make(char out[static BACKUP_CODE_LEN + 1]);

/* typed as backup_code_make() writes it; false when it cannot be one. */
bool backup_code_read(struct span typed, char out[static BACKUP_CODE_LEN + 1]);

#endif
