#include "codec/sign.h"

#include "base/error.h"
#include "lib/test.h"

TEST(codec_sign__a_vector_of_rfc_8032_verifies)
{
	uint8_t public_key[SIGN_PUBLIC_SIZE], signature[SIGN_SIGNATURE_SIZE];

	EXPECT_TRUE(
		hex_decode(SPAN("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"),
			public_key, sizeof(public_key)));
	EXPECT_TRUE(
		hex_decode(SPAN("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
				"085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"),
			signature, sizeof(signature)));
	EXPECT_TRUE(sign_verify(public_key, SPAN("\x72"), signature));
	EXPECT_FALSE(sign_verify(public_key, SPAN("\x73"), signature));
	signature[63] |= 0x10;
	EXPECT_FALSE(sign_verify(public_key, SPAN("\x72"), signature));
}

TEST(codec_sign__own_signatures_verify_and_are_the_same_each_time)
{
	uint8_t a[SIGN_SIGNATURE_SIZE], b[SIGN_SIGNATURE_SIZE];
	struct sign_key *key, *other;

	sign_key_generate(&key);
	sign_key_generate(&other);
	sign_message(key, SPAN("message"), a);
	sign_message(key, SPAN("message"), b);
	EXPECT_INT(memcmp(a, b, sizeof(a)), ==, 0);
	EXPECT_TRUE(sign_verify(sign_key_public(key), SPAN("message"), a));
	EXPECT_FALSE(sign_verify(sign_key_public(other), SPAN("message"), a));
	a[0] ^= 1;
	EXPECT_FALSE(sign_verify(sign_key_public(key), SPAN("message"), a));
	sign_key_free(key);
	sign_key_free(other);
}

TEST(codec_sign__both_halves_go_through_pem)
{
	uint8_t public_key[SIGN_PUBLIC_SIZE];
	struct sign_key *key, *again = NULL;
	struct text pem, public_pem;
	struct error err;

	text_init(&pem);
	text_init(&public_pem);
	sign_key_generate(&key);
	sign_key_write(key, &pem);
	sign_public_write(sign_key_public(key), &public_pem);
	EXPECT_CONTAINS(pem.data, "-----BEGIN PRIVATE KEY-----");
	EXPECT_CONTAINS(public_pem.data, "-----BEGIN PUBLIC KEY-----");
	EXPECT_OK(sign_key_parse(&again, text_span(&pem), &err), &err);
	EXPECT_OK(sign_public_parse(public_key, text_span(&public_pem), &err), &err);
	EXPECT_INT(memcmp(public_key, sign_key_public(again), sizeof(public_key)), ==, 0);
	sign_key_free(key);
	sign_key_free(again);
	text_done(&pem);
	text_done(&public_pem);
}

TEST(codec_sign__what_is_no_ed25519_pem_is_refused)
{
	static const char *const bad[] = { "", "x",
		"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
		/* X25519 */
		"-----BEGIN PUBLIC KEY-----\n"
		"MCowBQYDK2VuAyEAmRFfWAM7pTWD5pIrBQYBS6C0ONNZ5Bd1oyzLSj1NEHw=\n"
		"-----END PUBLIC KEY-----\n" };
	uint8_t public_key[SIGN_PUBLIC_SIZE];
	struct sign_key *key = NULL;
	struct error err;

	for (size_t i = 0; i < 4; i++) {
		EXPECT_INT(sign_key_parse(&key, span_of(bad[i]), &err), ==, ERR_KEY_FILE);
		EXPECT_INT(sign_public_parse(public_key, span_of(bad[i]), &err), ==, ERR_KEY_FILE);
	}
	EXPECT_NULL(key);
}

TEST(codec_sign__an_id_is_the_digest_of_the_key)
{
	uint8_t public_key[SIGN_PUBLIC_SIZE] = { 0 };
	char id[SIGN_KEY_ID_SIZE];

	sign_key_id(public_key, id);
	EXPECT_STR(id, "ed25519:66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925");
	EXPECT_TRUE(sign_key_id_valid(span_of(id)));
	id[20] = 'A';
	EXPECT_FALSE(sign_key_id_valid(span_of(id)));
	EXPECT_FALSE(sign_key_id_valid(SPAN("ed25519:")));
}
