#include "codec/digest.h"

#include "base/mem.h"
#include "lib/test.h"

TEST(codec_digest__sha256_of_abc)
{
	char hex[SHA256_HEX_SIZE];

	sha256_hex(SPAN("abc"), hex);
	EXPECT_STR(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	sha256_hex(SPAN_NONE, hex);
	EXPECT_STR(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(codec_digest__pieces_give_what_the_whole_gives_again_and_again)
{
	uint8_t whole[SHA256_SIZE], pieces[SHA256_SIZE];
	struct sha256 s;

	sha256_of(SPAN("hello world"), whole);
	sha256_init(&s);
	for (int i = 0; i < 2; i++) {
		sha256_update(&s, "hello", 5);
		sha256_update(&s, " world", 6);
		sha256_final(&s, pieces);
		EXPECT_TRUE(digest_equal(whole, pieces, sizeof(whole)));
	}
	sha256_done(&s);
}

TEST(codec_digest__hmac_by_rfc_4231)
{
	const struct span parts[] = { SPAN("what do ya want "), SPAN_NONE, SPAN("for nothing?") };
	uint8_t out[SHA256_SIZE];
	char hex[SHA256_HEX_SIZE];

	hmac_sha256(SPAN("Jefe"), parts, ARRAY_LENGTH(parts), out);
	hex_encode(out, sizeof(out), hex);
	EXPECT_STR(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(codec_digest__the_text_form_reads_back_and_nothing_else_does)
{
	uint8_t digest[SHA256_SIZE], again[SHA256_SIZE];
	char text[DIGEST_TEXT_SIZE];

	sha256_of(SPAN("abc"), digest);
	digest_text(digest, text);
	EXPECT_TRUE(digest_parse(span_of(text), again));
	EXPECT_TRUE(digest_equal(digest, again, sizeof(digest)));
	EXPECT_FALSE(digest_parse((struct span){ text, strlen(text) - 1 }, again));
	EXPECT_FALSE(digest_parse(span_of(text + 7), again));
	text[10] = 'G';
	EXPECT_FALSE(digest_parse(span_of(text), again));
}
