#include "codec/base64.h"

#include "base/mem.h"
#include "lib/test.h"

/* RFC 4648 section 10. */
static const struct {
	const char *plain, *encoded;
} vectors[] = { { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" },
	{ "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" } };

TEST(codec_base64__the_vectors_of_the_rfc_hold_both_ways)
{
	for (size_t i = 0; i < ARRAY_LENGTH(vectors); i++) {
		struct text encoded, plain;

		text_init(&encoded);
		text_init(&plain);
		base64_append(&encoded, vectors[i].plain, strlen(vectors[i].plain));
		EXPECT_STR(encoded.data, vectors[i].encoded);
		EXPECT_TRUE(base64_decode(&plain, text_span(&encoded)));
		EXPECT_STR(plain.data, vectors[i].plain);
		EXPECT_UINT(encoded.len, ==, BASE64_LENGTH(plain.len));
		text_done(&encoded);
		text_done(&plain);
	}
}

TEST(codec_base64__other_spellings_are_refused_and_leave_the_text)
{
	static const char *const bad[] = { "Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Zm 9v", "Zm9v\n",
		"Zg==Zg==", "====", "Z===", "Zm9-", "Zm9_" };

	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
		struct text out;

		text_init(&out);
		text_append_string(&out, "kept");
		ck_assert_msg(!base64_decode(&out, span_of(bad[i])), "%s", bad[i]);
		EXPECT_STR(out.data, "kept");
		text_done(&out);
	}
}
