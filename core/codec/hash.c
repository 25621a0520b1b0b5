#include "codec/hash.h"

#include "base/assert.h"
#include "base/mem.h"
#include "codec/digest.h"
#include "codec/openssl_priv.h"

static const struct {
	const char *name;
	size_t size;
} algorithms[] = { { "sha256", 32 }, { "sha384", 48 }, { "sha512", 64 } };

static const char *name_of(struct span algorithm, size_t *size)
{
	for (size_t i = 0; i < ARRAY_LENGTH(algorithms); i++)
		if (span_is(algorithm, algorithms[i].name)) {
			*size = algorithms[i].size;
			return algorithms[i].name;
		}
	*size = 0;
	return NULL;
}

size_t hash_size(struct span algorithm)
{
	size_t size;

	(void)name_of(algorithm, &size);
	return size;
}

void hash_init(struct hash *h, struct span algorithm)
{
	size_t size;
	const char *name = name_of(algorithm, &size);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	EVP_MD *digest = name ? EVP_MD_fetch(NULL, name, NULL) : NULL;

	if (!context || !digest || EVP_DigestInit_ex2(context, digest, NULL) != 1)
		BUG("a digest is not available");
	EVP_MD_free(digest);
	h->context = context;
}

void hash_update(struct hash *h, const void *data, size_t len)
{
	if (EVP_DigestUpdate(h->context, data, len) != 1)
		BUG("a digest failed");
}

bool hash_matches(struct hash *h, struct span hex)
{
	uint8_t have[HASH_SIZE_MAX], want[HASH_SIZE_MAX];
	unsigned len = 0;

	if (EVP_DigestFinal_ex(h->context, have, &len) != 1 || len > sizeof(have))
		BUG("a digest failed");
	hash_done(h);
	return hex_decode(hex, want, len) && digest_equal(have, want, len);
}

void hash_done(struct hash *h)
{
	EVP_MD_CTX_free(h->context);
	h->context = NULL;
}
