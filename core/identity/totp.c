/* liboath computes; the window is walked here, because its own validation compares with strcmp(),
 * takes the code's length for the number of digits and does not know which steps were used.
 */
#include "identity/totp.h"

#include <stdlib.h>

#include <liboath/oath.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/mem.h"
#include "codec/digest.h"
#include "codec/random.h"

#define US_PER_STEP (INT64_C(1000000) * TOTP_PERIOD_S)

static const struct {
	const char *name;
	int flags;
	size_t seed_len;
} algorithms[TOTP_ALGORITHM_COUNT] = {
	[TOTP_SHA1] = { "SHA1", 0, 20 },
	[TOTP_SHA256] = { "SHA256", OATH_TOTP_HMAC_SHA256, 32 },
	[TOTP_SHA512] = { "SHA512", OATH_TOTP_HMAC_SHA512, 64 },
};

const char *totp_algorithm_name(enum totp_algorithm algorithm)
{
	ASSERT(algorithm < TOTP_ALGORITHM_COUNT);
	return algorithms[algorithm].name;
}

enum totp_algorithm totp_algorithm_from(struct span name)
{
	enum totp_algorithm a = 0;

	while (a < TOTP_ALGORITHM_COUNT && !span_is(name, algorithms[a].name))
		a++;
	return a;
}

void totp_make(struct totp *t, enum totp_algorithm algorithm, unsigned digits)
{
	ASSERT(algorithm < TOTP_ALGORITHM_COUNT);
	ASSERT(digits >= TOTP_DIGITS_MIN && digits <= TOTP_DIGITS_MAX);
	memset(t, 0, sizeof(*t));
	t->algorithm = algorithm;
	t->digits = digits;
	t->seed_len = algorithms[algorithm].seed_len;
	random_bytes(t->seed, t->seed_len);
}

/* What liboath allocated and may hold a seed. */
static void free_secret(char *secret, size_t len)
{
	mem_wipe(secret, len);
	free(secret);
}

void totp_base32(const struct totp *t, char out[static TOTP_BASE32_MAX + 1])
{
	char *padded = NULL;
	size_t padded_len = 0, len;

	if (oath_base32_encode((const char *)t->seed, t->seed_len, &padded, &padded_len) != OATH_OK)
		BUG("base32 cannot be made");
	len = padded_len;
	while (len > 0 && padded[len - 1] == '=')
		len--;
	ASSERT(len <= TOTP_BASE32_MAX);
	memcpy(out, padded, len);
	out[len] = '\0';
	free_secret(padded, padded_len);
}

int totp_read_base32(struct totp *t, struct span base32, struct error *err)
{
	char *seed = NULL;
	size_t len = 0;
	bool fits;

	if (oath_base32_decode(base32.data, base32.len, &seed, &len) != OATH_OK)
		return error_set(err, ERR_FORMAT, "the seed is no base32");
	fits = len >= TOTP_SEED_MIN && len <= TOTP_SEED_MAX;
	if (fits) {
		memcpy(t->seed, seed, len);
		t->seed_len = len;
	}
	free_secret(seed, len);
	return fits ? 0
		    : error_set(err, ERR_FORMAT, "the seed has not %d to %d bytes", TOTP_SEED_MIN,
			      TOTP_SEED_MAX);
}

static void append_escaped(struct text *out, struct span s)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789-._~";

	for (size_t i = 0; i < s.len; i++)
		if (memchr(plain, s.data[i], sizeof(plain) - 1))
			text_append_char(out, s.data[i]);
		else
			text_printf(out, "%%%02X", (unsigned char)s.data[i]);
}

void totp_append_uri(
	struct text *out, const struct totp *t, struct span issuer, struct span account)
{
	char secret[TOTP_BASE32_MAX + 1];

	totp_base32(t, secret);
	text_append_string(out, "otpauth://totp/");
	append_escaped(out, issuer);
	text_append_char(out, ':');
	append_escaped(out, account);
	text_printf(out, "?secret=%s&issuer=", secret);
	append_escaped(out, issuer);
	text_printf(out, "&algorithm=%s&digits=%u&period=%d", algorithms[t->algorithm].name,
		t->digits, TOTP_PERIOD_S);
	mem_wipe(secret, sizeof(secret));
}

uint64_t totp_step(int64_t real_us)
{
	return real_us < 0 ? 0 : (uint64_t)(real_us / US_PER_STEP);
}

void totp_code(const struct totp *t, uint64_t step, char out[static TOTP_DIGITS_MAX + 1])
{
	int rc = oath_totp_generate2((const char *)t->seed, t->seed_len,
		(time_t)(step * TOTP_PERIOD_S), TOTP_PERIOD_S, OATH_TOTP_DEFAULT_START_TIME,
		t->digits, algorithms[t->algorithm].flags, out);

	/* Only digits out of range and a library without its digests fail. */
	if (rc != OATH_OK)
		BUG("liboath makes no code");
}

/* The digits of code, which people type in groups; false when there are not exactly n. */
static bool read_digits(struct span code, char *out, size_t n)
{
	size_t count = 0;

	for (size_t i = 0; i < code.len; i++) {
		char c = code.data[i];

		if (c == ' ')
			continue;
		if (c < '0' || c > '9' || count == n)
			return false;
		out[count++] = c;
	}
	return count == n;
}

bool totp_find(
	const struct totp *t, struct span code, int64_t now_us, uint64_t used, uint64_t *step)
{
	char given[TOTP_DIGITS_MAX], expected[TOTP_DIGITS_MAX + 1];
	uint64_t now = totp_step(now_us), first = now < TOTP_WINDOW ? 0 : now - TOTP_WINDOW;
	bool found = false;

	if (!read_digits(code, given, t->digits))
		return false;
	for (uint64_t s = now + TOTP_WINDOW + 1; s-- > first;) {
		bool equal;

		totp_code(t, s, expected);
		equal = digest_equal(given, expected, t->digits);
		if (equal && s > used) {
			*step = s;
			found = true;
		}
	}
	mem_wipe(expected, sizeof(expected));
	return found;
}
