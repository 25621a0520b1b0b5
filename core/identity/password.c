/* bcrypt's key schedule repeats the key with its NUL up to 72 bytes, and libcrypt's crypt_r() reads
 * a C string: a NUL within would end the password early, so none is taken and none is passed on.
 *
 * Equal time: a hash of cost c is 2^c rounds. When the stored one has a lower cost than today's t,
 * hashes of the costs c, c+1 ... t-1 follow in vain: 2^c + (2^c + ... + 2^(t-1)) = 2^t. */
#include "identity/password.h"

#include <crypt.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/mem.h"
#include "codec/base64.h"
#include "codec/digest.h"
#include "codec/random.h"

#define BCRYPT_BYTES 72u /* what bcrypt looks at */
#define BCRYPT_LEN   60u
#define SALT_LEN     22u
#define SALT_AT      7u
#define SALT_BYTES   16
#define DIGEST_AT    (SALT_AT + SALT_LEN)
#define DIGEST_LEN   (BCRYPT_LEN - DIGEST_AT)
#define PREHASH_NAME "mortise/password/1"
#define COMMON_SIZE  20
#define OWN_LEN_MIN  4u /* shorter ones stand in too many good passwords */
#define OWN_REST_MIN 4u /* so much must be left when one's own text is taken out */

/* A salt for hashes in vain: nothing is ever compared with them. */
static const char vain_salt[] = "MORTISEMORTISEMORTISEO";

/* Sorted, lower case, at least PASSWORD_CHARACTERS_MIN long: what is shorter is refused anyway. */
static const char common[][COMMON_SIZE] = {
#include "identity/password_common.def"
};

/* ---- what is taken -----------------------------------------------------------------------------
 */

static size_t count_characters(struct span s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++)
		n += ((unsigned char)s.data[i] & 0xc0) != 0x80;
	return n;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static int compare_common(const void *a, const void *b)
{
	return strcmp(a, b);
}

static bool is_common(struct span password)
{
	char text[COMMON_SIZE];

	if (password.len >= COMMON_SIZE)
		return false;
	for (size_t i = 0; i < password.len; i++)
		text[i] = lower(password.data[i]);
	text[password.len] = '\0';
	return bsearch(text, common, ARRAY_LENGTH(common), COMMON_SIZE, compare_common) != NULL;
}

static bool is_one_character(struct span s)
{
	size_t width = 1;

	while (width < s.len && ((unsigned char)s.data[width] & 0xc0) == 0x80)
		width++;
	for (size_t i = width; i < s.len; i++)
		if (s.data[i] != s.data[i - width])
			return false;
	return true;
}

/* Is the password little more than this text of its owner's? */
static bool is_made_of(struct span password, struct span own)
{
	if (own.len < OWN_LEN_MIN || own.len > password.len)
		return false;
	for (size_t at = 0; at + own.len <= password.len; at++)
		if (span_equal_nocase((struct span){ password.data + at, own.len }, own))
			return password.len - own.len < OWN_REST_MIN;
	return false;
}

/* Its parts count too: the local part of an address, the names within a name. */
static bool is_own(struct span password, struct span own)
{
	struct span rest = own, part;

	if (is_made_of(password, own))
		return true;
	if (span_split(&rest, '@', &part) && is_made_of(password, part))
		return true;
	rest = own;
	while (span_split(&rest, ' ', &part))
		if (is_made_of(password, part))
			return true;
	return false;
}

int password_check(struct span password, const struct span *own, size_t n_own, struct error *err)
{
	if (!utf8_valid(password) || memchr(password.data, '\0', password.len))
		return error_set(err, ERR_PASSWORD_WEAK, "the password is not UTF-8 without NUL");
	if (count_characters(password) < PASSWORD_CHARACTERS_MIN)
		return error_set(err, ERR_PASSWORD_WEAK, "the password has less than %u characters",
			PASSWORD_CHARACTERS_MIN);
	if (password.len > PASSWORD_BYTES_MAX)
		return error_set(err, ERR_PASSWORD_WEAK, "the password has more than %u bytes",
			PASSWORD_BYTES_MAX);
	if (is_one_character(password))
		return error_set(err, ERR_PASSWORD_WEAK, "the password is one character, repeated");
	if (is_common(password))
		return error_set(err, ERR_PASSWORD_WEAK,
			"the password is one of the commonest, which are tried first");
	for (size_t i = 0; i < n_own; i++)
		if (own[i].data && is_own(password, own[i]))
			return error_set(err, ERR_PASSWORD_WEAK,
				"the password is made of the user's own name or address");
	return 0;
}

/* ---- bcrypt ------------------------------------------------------------------------------------
 */

/* What bcrypt gets to see of a password. */
struct key {
	char text[BCRYPT_BYTES + 1];
};

static void copy_key(struct key *key, struct span s)
{
	memcpy(key->text, s.data, s.len);
	key->text[s.len] = '\0';
}

static void prehash(struct key *key, struct span password)
{
	uint8_t digest[SHA256_SIZE];
	struct text encoded;

	hmac_sha256(SPAN(PREHASH_NAME), &password, 1, digest);
	text_init(&encoded);
	base64_append(&encoded, digest, sizeof(digest));
	copy_key(key, text_span(&encoded));
	mem_wipe(encoded.data, encoded.len);
	mem_wipe(digest, sizeof(digest));
	text_done(&encoded);
}

/* False: that can be nobody's password; key is then some key. */
static bool make_key(struct key *key, struct span password, bool prehashed)
{
	bool possible = password.len > 0 && password.len <= PASSWORD_BYTES_MAX &&
			!memchr(password.data, '\0', password.len);

	if (!possible)
		copy_key(key, SPAN("nobody"));
	else if (password.len <= BCRYPT_BYTES)
		copy_key(key, password);
	else if (prehashed)
		prehash(key, password);
	else
		copy_key(key, (struct span){ password.data, BCRYPT_BYTES });
	return possible;
}

static bool is_bcrypt_digit(char c)
{
	return c == '.' || c == '/' || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
	       (c >= 'a' && c <= 'z');
}

unsigned password_hash_cost(struct span stored)
{
	uint64_t cost;

	if (stored.len != BCRYPT_LEN || !span_starts(stored, "$2") || stored.data[3] != '$' ||
		stored.data[SALT_AT - 1] != '$' || !memchr("aby", stored.data[2], 3))
		return 0;
	if (!span_u64((struct span){ stored.data + 4, 2 }, PASSWORD_COST_MAX, &cost) ||
		cost < PASSWORD_COST_MIN)
		return 0;
	for (size_t i = SALT_AT; i < BCRYPT_LEN; i++)
		if (!is_bcrypt_digit(stored.data[i]))
			return 0;
	return (unsigned)cost;
}

/* setting is a stored hash, or as much of one as ends with its salt. */
static void run_bcrypt(struct crypt_data *work, const struct key *key, const char *setting,
	char out[static PASSWORD_HASH_SIZE])
{
	const char *hash = crypt_r(key->text, setting, work);

	/* The form was checked, so only a libcrypt without bcrypt says no. */
	ASSERT(hash && strlen(hash) == BCRYPT_LEN);
	memcpy(out, hash, PASSWORD_HASH_SIZE);
}

static void run_in_vain(struct crypt_data *work, const struct key *key, unsigned cost)
{
	char setting[PASSWORD_HASH_SIZE], ignored[PASSWORD_HASH_SIZE];

	(void)snprintf(setting, sizeof(setting), "$2b$%02u$%s", cost, vain_salt);
	run_bcrypt(work, key, setting, ignored);
}

static void free_work(struct crypt_data *work)
{
	mem_wipe(work, sizeof(*work));
	mem_free(work);
}

void password_hash(struct span password, unsigned cost, char out[static PASSWORD_HASH_SIZE])
{
	struct crypt_data *work = mem_zalloc(sizeof(*work));
	char random[SALT_BYTES], setting[CRYPT_GENSALT_OUTPUT_SIZE];
	struct key key;

	ASSERT(cost >= PASSWORD_COST_MIN && cost <= PASSWORD_COST_MAX);
	if (!make_key(&key, password, true))
		BUG("such a password is not taken");
	random_bytes(random, sizeof(random));
	if (!crypt_gensalt_rn("$2b$", cost, random, sizeof(random), setting, sizeof(setting)))
		BUG("libcrypt makes no bcrypt salt");
	run_bcrypt(work, &key, setting, out);
	mem_wipe(&key, sizeof(key));
	free_work(work);
}

/* The salt's last character has bits to spare that libcrypt clears in what it gives back, so the
 * digests are compared, and not the texts. */
static bool compare(struct crypt_data *work, const struct key *key, struct span stored)
{
	char setting[PASSWORD_HASH_SIZE], hash[PASSWORD_HASH_SIZE];

	memcpy(setting, stored.data, BCRYPT_LEN);
	setting[BCRYPT_LEN] = '\0';
	run_bcrypt(work, key, setting, hash);
	return digest_equal(hash + DIGEST_AT, stored.data + DIGEST_AT, DIGEST_LEN);
}

bool password_matches(
	struct span password, const struct password_stored *stored, unsigned cost, uint64_t *rounds)
{
	struct crypt_data *work = mem_zalloc(sizeof(*work));
	unsigned own_cost = password_hash_cost(stored->hash);
	struct key key;
	bool possible, same = false;

	ASSERT(cost >= PASSWORD_COST_MIN && cost <= PASSWORD_COST_MAX);
	*rounds = 0;
	possible = make_key(&key, password, stored->prehashed);
	if (own_cost > 0) {
		same = compare(work, &key, stored->hash);
		*rounds = UINT64_C(1) << own_cost;
	} else {
		own_cost = cost;
		run_in_vain(work, &key, cost);
		*rounds = UINT64_C(1) << cost;
	}
	for (; own_cost < cost; own_cost++) {
		run_in_vain(work, &key, own_cost);
		*rounds += UINT64_C(1) << own_cost;
	}
	mem_wipe(&key, sizeof(key));
	free_work(work);
	return possible && same;
}
