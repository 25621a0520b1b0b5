/* password.h - passwords of local accounts: which are taken, how they are kept, is it this one
 *
 * Kept is bcrypt ("$2b$", the form of the schema), made by libcrypt. bcrypt looks at 72 bytes and
 * no more, so of a longer password it gets the base64 of its HMAC-SHA-256 under a fixed name (44
 * characters, no NUL): every byte counts, and a table of plain SHA-256 digests from elsewhere does
 * not fit. Passwords of 72 bytes or less are hashed as they are.
 *
 * A hash that was made elsewhere ($2a$, $2b$ or $2y$; users.password_prehashed is false) saw the
 * first 72 bytes alone: it is compared that way, and the login that it lets in replaces it by one
 * over all of the password, at today's cost.
 *
 * A password is the bytes that were sent, in UTF-8: nothing is normalised, for hashes from
 * elsewhere were not either, and what a keyboard composes is NFC already. Its length is counted in
 * code points. Knows no table. [any thread]
 */
#ifndef MORTISE_IDENTITY_PASSWORD_H
#define MORTISE_IDENTITY_PASSWORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

struct error;

#define PASSWORD_CHARACTERS_MIN 8u
#define PASSWORD_BYTES_MAX      1024u /* at least 256 characters of any script */
#define PASSWORD_HASH_SIZE      61    /* with the NUL */
#define PASSWORD_COST_MIN       4u    /* bcrypt's own least: tests alone go so low */
#define PASSWORD_COST_MAX       16u   /* 4 s on the machine that takes 60 ms for 10 */

/* What of the user's own may not be his password: username, name, e-mail address. */
#define PASSWORD_OWN_MAX 4u

/* May that become a password? ERR_PASSWORD_WEAK says why not: too short or long, not UTF-8 or with
 * a NUL, one of the commonest, one character repeated, or made of the user's own texts (n_own of
 * them, spans without data are passed over). There are no other rules. */
int password_check(struct span password, const struct span *own, size_t n_own, struct error *err);

/* The hash of a password that password_check() took. Blocks for as long as cost asks. */
void password_hash(struct span password, unsigned cost, char out[static PASSWORD_HASH_SIZE]);

/* The cost of a stored hash; 0 when it is no bcrypt hash that we would ever compute. */
unsigned password_hash_cost(struct span stored);

struct password_stored {
	struct span hash; /* SPAN_NONE: there is no such user; anything else may stand there too */
	bool prehashed;   /* made by password_hash() */
};

/* Is it the password? Blocks, and as long for every answer: what is missing to one hash of today's
 * cost is computed in vain. (A stored cost above today's takes its own time until its login brings
 * it down.) *rounds is how many rounds of bcrypt were computed, 2^cost. */
bool password_matches(struct span password, const struct password_stored *stored, unsigned cost,
	uint64_t *rounds);

#endif
