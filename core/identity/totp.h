/* totp.h - codes of an authenticator (RFC 6238 over RFC 4226)
 *
 * A code belongs to a step of 30 seconds since 1970. Time is the caller's clock, and the caller is
 * the host: nothing a client says moves it. Whether a step was used before is for the database to
 * decide, since only there do two requests meet. [any thread]
 */
#ifndef MORTISE_IDENTITY_TOTP_H
#define MORTISE_IDENTITY_TOTP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

struct error;

#define TOTP_PERIOD_S   30
#define TOTP_WINDOW     1  /* steps either way: a clock may be off by half a minute */
#define TOTP_SEED_MIN   16 /* bytes; what others made with the 128 bits of RFC 4226 verifies too */
#define TOTP_SEED_MAX   64
#define TOTP_DIGITS_MIN 6
#define TOTP_DIGITS_MAX 8
#define TOTP_BASE32_MAX 103 /* of TOTP_SEED_MAX bytes, without padding */

enum totp_algorithm { TOTP_SHA1, TOTP_SHA256, TOTP_SHA512, TOTP_ALGORITHM_COUNT };

/* "SHA1", as otpauth URIs say it; TOTP_ALGORITHM_COUNT for what is none. */
const char *totp_algorithm_name(enum totp_algorithm algorithm);
enum totp_algorithm totp_algorithm_from(struct span name);

struct totp {
	enum totp_algorithm algorithm;
	unsigned digits;
	uint8_t seed[TOTP_SEED_MAX];
	size_t seed_len;
};

/* A new seed, as long as the algorithm's digest (RFC 6238 section 5.1): 160 bits or more from the
 * CSPRNG. Wipe it with mem_wipe(). digits is TOTP_DIGITS_MIN to TOTP_DIGITS_MAX. */
void totp_make(struct totp *t, enum totp_algorithm algorithm, unsigned digits);

/* The seed in base32 (RFC 4648 section 6, without padding), and back: lower case, blanks and
 * padding are fine. ERR_FORMAT: no base32, or not TOTP_SEED_MIN to TOTP_SEED_MAX bytes. */
void totp_base32(const struct totp *t, char out[static TOTP_BASE32_MAX + 1]);
int totp_read_base32(struct totp *t, struct span base32, struct error *err);

/* Append "otpauth://totp/..." as authenticators read it; issuer and account may be any UTF-8. */
void totp_append_uri(
	struct text *out, const struct totp *t, struct span issuer, struct span account);

/* The step of a time. */
uint64_t totp_step(int64_t real_us);

/* The code of a step, zero padded to t->digits. */
void totp_code(const struct totp *t, uint64_t step, char out[static TOTP_DIGITS_MAX + 1]);

/* Whether code (blanks in it are fine) belongs to a step within TOTP_WINDOW of now that is later
 * than used; *step is then the earliest such. Compares all of them in constant time. used 0: none
 * was used yet. */
bool totp_find(
	const struct totp *t, struct span code, int64_t now_us, uint64_t used, uint64_t *step);

#endif
