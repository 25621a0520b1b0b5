#include "codec/seal.h"

#include "base/assert.h"
#include "base/error.h"
#include "base/mem.h"
#include "codec/base64.h"
#include "codec/digest.h"
#include "codec/openssl_priv.h"
#include "codec/random.h"

/* Encrypt, then authenticate, with two keys derived from the master; the tag is checked before
 * anything is decrypted, so padding tells nothing. CBC and not GCM because pgcrypto, the other
 * side of this form, has no GCM. */
#define FORM       "enc:v1:"
#define IV_SIZE    16
#define BLOCK_SIZE 16
#define SMALLEST   (IV_SIZE + BLOCK_SIZE + SHA256_SIZE)

struct keys {
	uint8_t cipher[SHA256_SIZE];
	uint8_t mac[SHA256_SIZE];
};

static void derive(const struct seal_key *key, struct keys *out)
{
	struct span master = { (const char *)key->master, sizeof(key->master) };

	hmac_sha256(master, &SPAN("enc"), 1, out->cipher);
	hmac_sha256(master, &SPAN("mac"), 1, out->mac);
}

static void make_tag(const struct keys *keys, const char *id, struct span context,
	struct span sealed, uint8_t out[static SHA256_SIZE])
{
	const struct span parts[] = { SPAN("v1:"), span_of(id), SPAN(":"), context, { "\0", 1 },
		sealed };

	hmac_sha256((struct span){ (const char *)keys->mac, sizeof(keys->mac) }, parts,
		ARRAY_LENGTH(parts), out);
}

/* AES-256-CBC with PKCS padding over in; how many bytes came out, or -1. */
static int run_cipher(
	int encrypt, const uint8_t *key, const uint8_t *iv, struct span in, unsigned char *out)
{
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	int first = 0, last = 0, ok;

	if (!context)
		BUG("AES-256-CBC is not available");
	ok = EVP_CipherInit_ex(context, EVP_aes_256_cbc(), NULL, key, iv, encrypt) == 1 &&
	     EVP_CipherUpdate(context, out, &first, (const unsigned char *)in.data, (int)in.len) ==
		     1 &&
	     EVP_CipherFinal_ex(context, out + first, &last) == 1;
	EVP_CIPHER_CTX_free(context);
	ERR_clear_error();
	return ok ? first + last : -1;
}

bool seal_key_id_valid(struct span id)
{
	if (id.len == 0 || id.len > SEAL_KEY_ID_MAX)
		return false;
	for (size_t i = 0; i < id.len; i++) {
		char c = id.data[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			    c == '_' || c == '-'))
			return false;
	}
	return true;
}

int seal_make(struct text *out, const struct seal_key *key, struct span context, struct span plain,
	struct error *err)
{
	uint8_t iv[IV_SIZE], tag[SHA256_SIZE];
	struct keys keys;
	struct text sealed;
	int n;

	ASSERT(seal_key_id_valid(span_of(key->id)));
	if (plain.len > SEAL_PLAIN_MAX)
		return error_set(
			err, ERR_TOO_LARGE, "a secret is at most %u bytes long", SEAL_PLAIN_MAX);
	derive(key, &keys);
	random_bytes(iv, sizeof(iv));
	text_init(&sealed);
	text_append(&sealed, iv, sizeof(iv));
	n = run_cipher(1, keys.cipher, iv, plain,
		(unsigned char *)text_reserve(&sealed, plain.len + BLOCK_SIZE));
	if (n < 0)
		BUG("AES-256-CBC does not encrypt");
	text_grown(&sealed, (size_t)n);
	make_tag(&keys, key->id, context, text_span(&sealed), tag);
	text_append(&sealed, tag, sizeof(tag));
	mem_wipe(&keys, sizeof(keys));
	text_printf(out, FORM "%s:", key->id);
	base64_append(out, sealed.data, sealed.len);
	text_done(&sealed);
	return 0;
}

/* Cut an envelope into key id and base64. */
static bool split(struct span envelope, struct span *id, struct span *encoded)
{
	struct span rest = envelope;

	if (!span_starts(envelope, FORM))
		return false;
	rest.data += sizeof(FORM) - 1;
	rest.len -= sizeof(FORM) - 1;
	if (!span_split(&rest, ':', id) || !rest.data || !seal_key_id_valid(*id))
		return false;
	*encoded = rest;
	return true;
}

bool seal_key_id(struct span text, struct span *id)
{
	struct span encoded;

	return split(text, id, &encoded);
}

static int open_sealed(struct text *out, const struct seal_key *key, struct span sealed,
	struct span context, struct error *err)
{
	struct span body = { sealed.data, sealed.len - SHA256_SIZE };
	struct span secret = { sealed.data + IV_SIZE, body.len - IV_SIZE };
	uint8_t tag[SHA256_SIZE];
	struct keys keys;
	int n = -1;

	derive(key, &keys);
	make_tag(&keys, key->id, context, body, tag);
	if (digest_equal(tag, sealed.data + body.len, sizeof(tag)))
		n = run_cipher(0, keys.cipher, (const uint8_t *)sealed.data, secret,
			(unsigned char *)text_reserve(out, secret.len));
	mem_wipe(&keys, sizeof(keys));
	if (n < 0)
		return error_set(err, ERR_SEALED, "the sealed secret does not open here");
	text_grown(out, (size_t)n);
	return 0;
}

int seal_open(struct text *out, struct span envelope, const struct seal_key *ring, size_t keys,
	struct span context, struct error *err)
{
	const struct seal_key *key = NULL;
	struct span id, encoded;
	struct text sealed;
	int rc;

	if (!split(envelope, &id, &encoded) ||
		encoded.len > BASE64_LENGTH(SEAL_PLAIN_MAX + BLOCK_SIZE + SMALLEST))
		return error_set(err, ERR_SEALED, "not an enc:v1 envelope");
	for (size_t i = 0; i < keys; i++)
		if (span_is(id, ring[i].id))
			key = &ring[i];
	if (!key)
		return error_set(
			err, ERR_NOT_FOUND, "no master key '%.*s' in the key ring", SPAN_ARG(id));
	text_init(&sealed);
	if (!base64_decode(&sealed, encoded) || sealed.len < SMALLEST || sealed.len % BLOCK_SIZE)
		rc = error_set(err, ERR_SEALED, "not an enc:v1 envelope");
	else
		rc = open_sealed(out, key, text_span(&sealed), context, err);
	text_done(&sealed);
	return rc;
}
