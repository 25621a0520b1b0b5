#include "codec/sign.h"

#include "base/assert.h"
#include "base/error.h"
#include "codec/digest.h"
#include "codec/openssl_priv.h"

#define ID_PREFIX "ed25519:"
#define PEM_MAX   4096

struct sign_key {
	EVP_PKEY *key;
	uint8_t public_key[SIGN_PUBLIC_SIZE];
};

static void must(int ok)
{
	if (!ok)
		BUG("Ed25519 is not available");
}

static int read_public(uint8_t out[static SIGN_PUBLIC_SIZE], const EVP_PKEY *key)
{
	size_t len = SIGN_PUBLIC_SIZE;

	return EVP_PKEY_get_id(key) == EVP_PKEY_ED25519 &&
	       EVP_PKEY_get_raw_public_key(key, out, &len) == 1 && len == SIGN_PUBLIC_SIZE;
}

static struct sign_key *wrap_key(EVP_PKEY *key)
{
	struct sign_key *out = mem_zalloc(sizeof(*out));

	out->key = key;
	must(read_public(out->public_key, key));
	return out;
}

void sign_key_generate(struct sign_key **out)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");

	must(key != NULL);
	*out = wrap_key(key);
}

void sign_key_free(struct sign_key *key)
{
	if (!key)
		return;
	EVP_PKEY_free(key->key);
	mem_free(key);
}

const uint8_t *sign_key_public(const struct sign_key *key)
{
	return key->public_key;
}

void sign_message(const struct sign_key *key, struct span message,
	uint8_t signature[static SIGN_SIGNATURE_SIZE])
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	size_t len = SIGN_SIGNATURE_SIZE;

	must(context && EVP_DigestSignInit(context, NULL, NULL, NULL, key->key) == 1);
	must(EVP_DigestSign(context, signature, &len, (const unsigned char *)message.data,
		     message.len) == 1 &&
		len == SIGN_SIGNATURE_SIZE);
	EVP_MD_CTX_free(context);
}

bool sign_verify(const uint8_t public_key[static SIGN_PUBLIC_SIZE], struct span message,
	const uint8_t signature[static SIGN_SIGNATURE_SIZE])
{
	EVP_PKEY *key =
		EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, SIGN_PUBLIC_SIZE);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool valid;

	must(context != NULL);
	valid = key && EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) == 1 &&
		EVP_DigestVerify(context, signature, SIGN_SIGNATURE_SIZE,
			(const unsigned char *)message.data, message.len) == 1;
	EVP_MD_CTX_free(context);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return valid;
}

void sign_key_id(
	const uint8_t public_key[static SIGN_PUBLIC_SIZE], char out[static SIGN_KEY_ID_SIZE])
{
	memcpy(out, ID_PREFIX, sizeof(ID_PREFIX));
	sha256_hex((struct span){ (const char *)public_key, SIGN_PUBLIC_SIZE },
		out + sizeof(ID_PREFIX) - 1);
}

bool sign_key_id_valid(struct span id)
{
	uint8_t digest[SHA256_SIZE];
	size_t n = sizeof(ID_PREFIX) - 1;

	return span_starts(id, ID_PREFIX) &&
	       hex_decode((struct span){ id.data + n, id.len - n }, digest, sizeof(digest));
}

/* A file with a passphrase is refused rather than asked for: a terminal prompt has no place in a
 * library. */
static int no_passphrase(char *out, int size, int writing, void *context)
{
	(void)out;
	(void)size;
	(void)writing;
	(void)context;
	return -1;
}

static BIO *open_pem(struct span pem)
{
	BIO *bio;

	if (pem.len == 0 || pem.len > PEM_MAX)
		return NULL;
	bio = BIO_new_mem_buf(pem.data, (int)pem.len);
	must(bio != NULL);
	return bio;
}

int sign_key_parse(struct sign_key **out, struct span pem, struct error *err)
{
	BIO *bio = open_pem(pem);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
	uint8_t public_key[SIGN_PUBLIC_SIZE];

	BIO_free(bio);
	ERR_clear_error();
	if (!key || !read_public(public_key, key)) {
		EVP_PKEY_free(key);
		return error_set(err, ERR_KEY_FILE,
			"not an Ed25519 private key in PEM form without a passphrase");
	}
	*out = wrap_key(key);
	return 0;
}

int sign_public_parse(uint8_t out[static SIGN_PUBLIC_SIZE], struct span pem, struct error *err)
{
	BIO *bio = open_pem(pem);
	EVP_PKEY *key = bio ? PEM_read_bio_PUBKEY(bio, NULL, no_passphrase, NULL) : NULL;
	uint8_t public_key[SIGN_PUBLIC_SIZE];
	int ok = key && read_public(public_key, key);

	EVP_PKEY_free(key);
	BIO_free(bio);
	ERR_clear_error();
	if (!ok)
		return error_set(err, ERR_KEY_FILE, "not an Ed25519 public key in PEM form");
	memcpy(out, public_key, sizeof(public_key));
	return 0;
}

static void append_bio(struct text *out, BIO *bio)
{
	char *data;
	long len = BIO_get_mem_data(bio, &data);

	must(len > 0);
	text_append(out, data, (size_t)len);
	mem_wipe(data, (size_t)len);
	BIO_free(bio);
}

void sign_key_write(const struct sign_key *key, struct text *pem)
{
	BIO *bio = BIO_new(BIO_s_mem());

	must(bio && PEM_write_bio_PKCS8PrivateKey(bio, key->key, NULL, NULL, 0, NULL, NULL) == 1);
	append_bio(pem, bio);
}

void sign_public_write(const uint8_t public_key[static SIGN_PUBLIC_SIZE], struct text *pem)
{
	EVP_PKEY *key =
		EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, SIGN_PUBLIC_SIZE);
	BIO *bio = BIO_new(BIO_s_mem());

	must(key && bio && PEM_write_bio_PUBKEY(bio, key) == 1);
	append_bio(pem, bio);
	EVP_PKEY_free(key);
}
