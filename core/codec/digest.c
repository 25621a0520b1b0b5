#include "codec/digest.h"

#include "base/assert.h"
#include "base/mem.h"
#include "codec/openssl_priv.h"

#define PREFIX "sha256:"

/* The library fails here when memory is short or SHA-256 was configured away: nothing of ours
 * works then. */
static void must(int ok)
{
	if (!ok)
		BUG("SHA-256 is not available");
}

void sha256_init(struct sha256 *s)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();

	must(context && EVP_DigestInit_ex(context, EVP_sha256(), NULL));
	s->context = context;
}

void sha256_update(struct sha256 *s, const void *data, size_t len)
{
	must(EVP_DigestUpdate(s->context, data, len));
}

void sha256_final(struct sha256 *s, uint8_t out[static SHA256_SIZE])
{
	must(EVP_DigestFinal_ex(s->context, out, NULL));
	must(EVP_DigestInit_ex(s->context, EVP_sha256(), NULL));
}

void sha256_done(struct sha256 *s)
{
	EVP_MD_CTX_free(s->context);
	s->context = NULL;
}

void sha256_of(struct span data, uint8_t out[static SHA256_SIZE])
{
	must(EVP_Digest(data.len ? data.data : "", data.len, out, NULL, EVP_sha256(), NULL));
}

void sha256_hex(struct span data, char out[static SHA256_HEX_SIZE])
{
	uint8_t digest[SHA256_SIZE];

	sha256_of(data, digest);
	hex_encode(digest, sizeof(digest), out);
}

void hmac_sha256(
	struct span key, const struct span *parts, size_t n, uint8_t out[static SHA256_SIZE])
{
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_MAC_CTX *context = mac ? EVP_MAC_CTX_new(mac) : NULL;
	char name[] = "SHA256";
	OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string("digest", name, 0),
		OSSL_PARAM_construct_end() };
	size_t len;

	must(context && EVP_MAC_init(context, (const unsigned char *)(key.len ? key.data : ""),
				key.len, params));
	for (size_t i = 0; i < n; i++)
		if (parts[i].len)
			must(EVP_MAC_update(
				context, (const unsigned char *)parts[i].data, parts[i].len));
	must(EVP_MAC_final(context, out, &len, SHA256_SIZE) && len == SHA256_SIZE);
	EVP_MAC_CTX_free(context);
	EVP_MAC_free(mac);
}

bool digest_equal(const void *a, const void *b, size_t len)
{
	return CRYPTO_memcmp(a, b, len) == 0;
}

void digest_text(const uint8_t digest[static SHA256_SIZE], char out[static DIGEST_TEXT_SIZE])
{
	memcpy(out, PREFIX, sizeof(PREFIX));
	hex_encode(digest, SHA256_SIZE, out + sizeof(PREFIX) - 1);
}

bool digest_parse(struct span text, uint8_t out[static SHA256_SIZE])
{
	size_t n = sizeof(PREFIX) - 1;

	if (!span_starts(text, PREFIX))
		return false;
	return hex_decode((struct span){ text.data + n, text.len - n }, out, SHA256_SIZE);
}
