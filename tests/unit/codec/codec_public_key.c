#include "codec/public_key.h"

#include "base/error.h"
#include "lib/test.h"

/* Made by OpenSSL's command line, the signatures over "mortise". */
#define P256                                                                 \
	"-----BEGIN PUBLIC KEY-----\n"                                       \
	"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEQWPyH1Kb4j+R0rKuDlMU0B7gNymT\n" \
	"qVR/iSig8nRB66NySVDHBG6CDduF5b5eX+zWucWQIBmm8zckGXR9AG7D8g==\n"     \
	"-----END PUBLIC KEY-----\n"
#define P384                                                                 \
	"-----BEGIN PUBLIC KEY-----\n"                                       \
	"MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEpojuGyeB/o1Og2JWdP+Z+g4yV9cHoMZC\n" \
	"STNrkNGLfXgTjtD9d7Sogfwqkr6ANMsgExsqIDdN4u6FUXIbsOcriPF1t7aQBbiw\n" \
	"jyagvcQVoFQhyrtd89xvIsxyIiB1bJD1\n"                                 \
	"-----END PUBLIC KEY-----\n"
#define RSA                                                                  \
	"-----BEGIN PUBLIC KEY-----\n"                                       \
	"MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEApc0RTe+ZaN/taWOc/arc\n" \
	"/mAESmW7+TJTY+M3guv7U36XswOkMJLLX3VxTWl5H+4XTYP7FkHDKbnf14YxcCMf\n" \
	"mtAnM3He+S5yYoq1HhPKHM8bS8Mzwlnl84+MalIVg5WZzLlRzTEw1I4LoInnqMcZ\n" \
	"zvRk65VGrj8P5W+aACCN+joMxmO7oAA8coqRGVfZAlWiYe71aSCfyaNN24tf+YmW\n" \
	"qK3J/D9k6eI3nO3uQGpuCLgeQ0MiSSkNgbqkgBm2CC2S0ciKa1sWcCtE9YhdRb4M\n" \
	"hs7g9XdK0/8rflpMieJT4n5w9tdA85jbhanaA2ySb7x7KoMmx687SjBuGKw3LTfF\n" \
	"DQIDAQAB\n"                                                         \
	"-----END PUBLIC KEY-----\n"
#define RSA_SHORT                                                            \
	"-----BEGIN PUBLIC KEY-----\n"                                       \
	"MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDFOIVEu48fwfI+3wrx+OxLlTH8\n" \
	"H1q/fFpuR1LZiWY/7pQrsncwdghtKUSX9HZ4tqhqWxpearlX9w+xKM/GS58RXpMv\n" \
	"JRnrkpIqXXV/46XqCAjaNnUcqNUwePIP3B4lL01PnANRYXHx3O8ePEmdz0ATEo5a\n" \
	"Ms0dRqYT7rUiEQb9ZwIDAQAB\n"                                         \
	"-----END PUBLIC KEY-----\n"
#define P256_SIG                                                                           \
	"3046022100ce46bfe61ee2d611e0f7e56a75e742bf06cd8b0d448da07c6fd5201b1a175844022100" \
	"b7be4b542b85ef69a453c831f8ac99415159fceb7851baa774c92e68778a6fad"
#define P384_SIG                                                                           \
	"3066023100ab7805fcd3336433cd977e1cfe8afbd50cf045af4630892ab04e14b4d061222d862053" \
	"7ec55bac727a4e96fd6ac41aed023100f1c6abc17faa56d33111c5b55af2ac0d0c7ea8ae4138038a" \
	"8b98b0448bb93a5eb8018c82820752bb5819004b66e6be5b"
#define RSA_PSS_SIG                                                                        \
	"4d8d110dc823b92d572674b8a074cc1ec0df08b083ba3151d3de95d2b1ec326cd065215e63f5e6f6" \
	"30aaafff93652f5cb5a038e9f272922e6f933f839df8dbde0f6b73b6366e172872bd0da945225643" \
	"a5c201205c9393d65952e9dab9bd0834fea9d553b67ec4dde470e1b2472f7891662aad39430739bc" \
	"a5fef9df3eb95729ddd424940b8cf6d10f75b6e9c29c19bffe143f8dad3a0e6e21057533c5228187" \
	"2f1ce953583ed0571222c6f68d999d46c458644905b78b9e3df0a8603d1c313b05afc6e66e9b420a" \
	"ba101b1ab09b35ad5c9a4ed905b368f605d4a26c26534d36d7cc6e9b1877d987baa9a7dd0e4f2fbf" \
	"d5302b931b166a6f0c4abc9d22834fac"
#define RSA_PKCS1_SIG                                                                      \
	"412b1169b4f59c3b166ea15b49d552466e76566d4559e4a5019302349456537fd7a6f2c0a5b0fc2c" \
	"c44452a2c2526adf4b7e489d55f3e2375ac8c8145823f1ccc5c1208bfc6f0fa009c09b7df46c8b18" \
	"a4cb8b1feb6f4a65abd4d35dfcfaf5d08b26915081163c0bceb171ac2c7b9727bb0da5f25176035a" \
	"a4761a48a3def8c4556de359a9b1221608b06e407bcf51633115f79f11beef201717ca08aa45ae0e" \
	"c3e64227e67c7279613074c9835a5bb6f70c92e27bac3649e2f7b7acbc8b7aba0075cb8148deacb3" \
	"aa1e81969d38bef470efae8561d15951fcd1d9701a744acb3f5f721fa0f00e172fa10bb839015b2d" \
	"9eae990e49a833937a5a20f2116e2ca7"
/* RFC 8032, section 7.1, test 2: over the byte 0x72. */
#define ED25519 "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
#define ED25519_SIG                                                        \
	"92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da" \
	"085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"

static struct span raw(const char *hex, uint8_t *out)
{
	size_t len = strlen(hex) / 2;

	EXPECT_TRUE(hex_decode(span_of(hex), out, len));
	return (struct span){ (const char *)out, len };
}

TEST(codec_public_key__each_kind_verifies_its_own_signatures_only)
{
	static const struct {
		const char *type, *scheme, *key, *message, *signature;
	} kinds[] = {
		{ "ed25519", "ed25519", ED25519, "\x72", ED25519_SIG },
		{ "ecdsa", "ecdsa-sha2-nistp256", P256, "mortise", P256_SIG },
		{ "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256", P256, "mortise", P256_SIG },
		{ "ecdsa", "ecdsa-sha2-nistp384", P384, "mortise", P384_SIG },
		{ "rsa", "rsassa-pss-sha256", RSA, "mortise", RSA_PSS_SIG },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
		struct public_key *key = NULL;
		uint8_t bytes[600];
		struct span signature = raw(kinds[i].signature, bytes);
		struct error err;

		EXPECT_OK(public_key_parse(&key, span_of(kinds[i].type), span_of(kinds[i].scheme),
				  span_of(kinds[i].key), &err),
			&err);
		EXPECT_TRUE(public_key_verify(key, span_of(kinds[i].message), signature));
		EXPECT_FALSE(public_key_verify(key, SPAN("other"), signature));
		/* A byte more, a byte less, none, and each byte changed. */
		bytes[signature.len] = 0;
		EXPECT_FALSE(public_key_verify(key, span_of(kinds[i].message),
			(struct span){ signature.data, signature.len + 1 }));
		EXPECT_FALSE(public_key_verify(key, span_of(kinds[i].message),
			(struct span){ signature.data, signature.len - 1 }));
		EXPECT_FALSE(public_key_verify(key, span_of(kinds[i].message), SPAN("")));
		for (size_t at = 0; at < signature.len; at++) {
			bytes[at] ^= 0x20;
			EXPECT_FALSE(public_key_verify(key, span_of(kinds[i].message), signature));
			bytes[at] ^= 0x20;
		}
		public_key_free(key);
	}
}

TEST(codec_public_key__other_kinds_and_forms_are_refused)
{
	static const struct {
		const char *type, *scheme, *key;
	} bad[] = {
		{ "ed25519", "ed25519", "3d4017c3" },
		{ "ed25519", "ed25519", ED25519 "00" },
		{ "ed25519", "ed25519", P256 },
		{ "ecdsa", "ecdsa-sha2-nistp256", P384 },
		{ "ecdsa", "ecdsa-sha2-nistp384", P256 },
		{ "ecdsa", "ecdsa-sha2-nistp256", RSA },
		{ "ecdsa", "rsassa-pss-sha256", RSA },
		{ "rsa", "rsassa-pss-sha256", RSA_SHORT },
		{ "rsa", "rsassa-pss-sha256", "no key" },
		{ "rsa", "rsassa-pss-sha256", "" },
		{ "rsa", "rsa-pkcs1v15-sha256", RSA },
		{ "", "", "" },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
		struct public_key *key = NULL;
		struct error err;

		EXPECT_INT(public_key_parse(&key, span_of(bad[i].type), span_of(bad[i].scheme),
				   span_of(bad[i].key), &err),
			==, ERR_KEY_FILE);
		EXPECT_NULL(key);
	}
}

TEST(codec_public_key__pkcs1_signatures_of_an_rsa_key_do_not_count)
{
	struct public_key *key = NULL;
	uint8_t bytes[600];
	struct error err;

	EXPECT_OK(public_key_parse(&key, SPAN("rsa"), SPAN("rsassa-pss-sha256"), SPAN(RSA), &err),
		&err);
	EXPECT_FALSE(public_key_verify(key, SPAN("mortise"), raw(RSA_PKCS1_SIG, bytes)));
	public_key_free(key);
}

TEST(codec_public_key__one_key_has_one_digest_however_it_is_written)
{
	struct public_key *hex = NULL, *pem = NULL;
	uint8_t a[SHA256_SIZE], b[SHA256_SIZE];
	struct error err;

	EXPECT_OK(public_key_parse(&hex, SPAN("ed25519"), SPAN("ed25519"), SPAN(ED25519), &err),
		&err);
	EXPECT_OK(public_key_parse(&pem, SPAN("ed25519"), SPAN("ed25519"),
			  SPAN("-----BEGIN PUBLIC KEY-----\n"
			       "MCowBQYDK2VwAyEAPUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=\n"
			       "-----END PUBLIC KEY-----\n"),
			  &err),
		&err);
	public_key_digest(hex, a);
	public_key_digest(pem, b);
	EXPECT_INT(memcmp(a, b, sizeof(a)), ==, 0);
	public_key_free(hex);
	public_key_free(pem);
}
