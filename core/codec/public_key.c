#include "codec/public_key.h"

#include "base/assert.h"
#include "base/error.h"
#include "codec/openssl_priv.h"
#include "codec/shown.h"

#include <openssl/rsa.h>

#define PEM_MAX 16384

enum kind { KIND_ED25519, KIND_ECDSA, KIND_RSA_PSS };

struct public_key {
	EVP_PKEY *key;
	enum kind kind;
	const char *digest; /* NULL: the scheme has its own */
};

static const struct scheme {
	const char *type;
	const char *scheme;
	enum kind kind;
	const char *curve;
	const char *digest;
} schemes[] = {
	{ "ed25519", "ed25519", KIND_ED25519, NULL, NULL },
	{ "ecdsa", "ecdsa-sha2-nistp256", KIND_ECDSA, "prime256v1", "SHA256" },
	{ "ecdsa", "ecdsa-sha2-nistp384", KIND_ECDSA, "secp384r1", "SHA384" },
	/* What repositories from before 1.0.31 call the type. */
	{ "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256", KIND_ECDSA, "prime256v1", "SHA256" },
	{ "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384", KIND_ECDSA, "secp384r1", "SHA384" },
	{ "rsa", "rsassa-pss-sha256", KIND_RSA_PSS, NULL, "SHA256" },
};

static bool fits(const struct scheme *scheme, EVP_PKEY *key)
{
	char curve[32];
	size_t len;

	switch (scheme->kind) {
	case KIND_ED25519:
		return EVP_PKEY_get_id(key) == EVP_PKEY_ED25519;
	case KIND_RSA_PSS:
		return EVP_PKEY_get_id(key) == EVP_PKEY_RSA &&
		       EVP_PKEY_get_bits(key) >= PUBLIC_KEY_RSA_BITS_MIN;
	case KIND_ECDSA:
		return EVP_PKEY_get_id(key) == EVP_PKEY_EC &&
		       EVP_PKEY_get_group_name(key, curve, sizeof(curve), &len) == 1 &&
		       strcmp(curve, scheme->curve) == 0;
	}
	return false;
}

static EVP_PKEY *read_key(const struct scheme *scheme, struct span value)
{
	uint8_t raw[32];
	EVP_PKEY *key;
	BIO *bio;

	if (scheme->kind == KIND_ED25519 && hex_decode(value, raw, sizeof(raw)))
		return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, raw, sizeof(raw));
	if (value.len == 0 || value.len > PEM_MAX)
		return NULL;
	bio = BIO_new_mem_buf(value.data, (int)value.len);
	key = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
	BIO_free(bio);
	return key;
}

int public_key_parse(struct public_key **out, struct span type, struct span scheme,
	struct span value, struct error *err)
{
	const struct scheme *known = NULL;
	EVP_PKEY *key;

	for (size_t i = 0; i < ARRAY_LENGTH(schemes) && !known; i++)
		if (span_is(type, schemes[i].type) && span_is(scheme, schemes[i].scheme))
			known = &schemes[i];
	if (!known)
		return error_set(err, ERR_KEY_FILE, "keys of type '%s' and scheme '%s' are unknown",
			shown(type).text, shown(scheme).text);
	key = read_key(known, value);
	if (key && !fits(known, key)) {
		EVP_PKEY_free(key);
		key = NULL;
	}
	ERR_clear_error();
	if (!key)
		return error_set(err, ERR_KEY_FILE, "not a public key of scheme %s", known->scheme);
	*out = mem_zalloc(sizeof(**out));
	(*out)->key = key;
	(*out)->kind = known->kind;
	(*out)->digest = known->digest;
	return 0;
}

void public_key_free(struct public_key *key)
{
	if (!key)
		return;
	EVP_PKEY_free(key->key);
	mem_free(key);
}

void public_key_digest(const struct public_key *key, uint8_t out[static SHA256_SIZE])
{
	unsigned char *der = NULL;
	int len = i2d_PUBKEY(key->key, &der);

	if (len <= 0)
		BUG("a public key that cannot be written");
	sha256_of((struct span){ (const char *)der, (size_t)len }, out);
	OPENSSL_free(der);
}

bool public_key_verify(const struct public_key *key, struct span message, struct span signature)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	EVP_PKEY_CTX *options;
	bool valid;

	if (!context)
		BUG("no context for a signature");
	valid = EVP_DigestVerifyInit_ex(
			context, &options, key->digest, NULL, NULL, key->key, NULL) == 1;
	if (valid && key->kind == KIND_RSA_PSS)
		valid = EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) == 1 &&
			EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_AUTO) == 1;
	/* OpenSSL refuses an ecdsa signature that is not its own DER encoding, and one of the wrong
	 * length of the other two. */
	valid = valid &&
		EVP_DigestVerify(context, (const unsigned char *)signature.data, signature.len,
			(const unsigned char *)message.data, message.len) == 1;
	EVP_MD_CTX_free(context);
	ERR_clear_error();
	return valid;
}
