#include "codec/hash.h"

#include "base/mem.h"
#include "lib/test.h"

/* FIPS 180-4, over "abc". */
#define ABC_256 "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define ABC_384                                            \
	"cb00753f45a35e8bb5a03d699ac65007272c32ab0eded163" \
	"1a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7"
#define ABC_512                                                            \
	"ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a" \
	"2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"

TEST(codec_hash__names_mean_the_standard_s_digests)
{
	static const struct {
		const char *name;
		size_t size;
		const char *abc;
	} known[] = { { "sha256", 32, ABC_256 }, { "sha384", 48, ABC_384 },
		{ "sha512", 64, ABC_512 } };

	for (size_t i = 0; i < ARRAY_LENGTH(known); i++) {
		struct hash h;

		EXPECT_UINT(hash_size(span_of(known[i].name)), ==, known[i].size);
		hash_init(&h, span_of(known[i].name));
		hash_update(&h, "ab", 2);
		hash_update(&h, "c", 1);
		EXPECT_TRUE(hash_matches(&h, span_of(known[i].abc)));
		hash_init(&h, span_of(known[i].name));
		hash_update(&h, "abd", 3);
		EXPECT_FALSE(hash_matches(&h, span_of(known[i].abc)));
	}
}

TEST(codec_hash__other_names_are_none)
{
	const char *const names[] = { "md5", "sha1", "SHA256", "sha256 ", "", "sha512-256" };

	for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
		EXPECT_UINT(hash_size(span_of(names[i])), ==, 0);
}
