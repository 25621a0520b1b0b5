#include "base/mem.h"
#include "lib/test.h"
#include "package/package_priv.h"

TEST(package_dsse__what_is_signed_is_the_standard_encoding)
{
	struct text out;

	text_init(&out);
	dsse_encode(&out, SPAN("{}"));
	EXPECT_STR(out.data, "DSSEv1 47 application/vnd.mortise.plugin.manifest.v1+json 2 {}");
	text_done(&out);
}

TEST(package_dsse__an_envelope_reads_back)
{
	uint8_t signature[SIGN_SIGNATURE_SIZE], again[SIGN_SIGNATURE_SIZE];
	char id[SIGN_KEY_ID_SIZE], read_id[SIGN_KEY_ID_SIZE];
	struct text envelope, manifest;
	struct error err;

	memset(signature, 0x5a, sizeof(signature));
	sign_key_id((const uint8_t[SIGN_PUBLIC_SIZE]){ 0 }, id);
	text_init(&envelope);
	text_init(&manifest);
	dsse_write(&envelope, SPAN("{\"a\":1}"), id, signature);
	EXPECT_OK(dsse_read(text_span(&envelope), &manifest, read_id, again, &err), &err);
	EXPECT_STR(manifest.data, "{\"a\":1}");
	EXPECT_STR(read_id, id);
	EXPECT_INT(memcmp(signature, again, sizeof(signature)), ==, 0);
	text_done(&envelope);
	text_done(&manifest);
}

TEST(package_dsse__another_spelling_of_the_same_json_is_refused)
{
	static const char *const before[] = { "{\"payload\":", ",\"payloadType\":", "\"}]}" };
	static const char *const after[] = { "{ \"payload\":", ", \"payloadType\":", "\"}]}\n" };
	uint8_t signature[SIGN_SIGNATURE_SIZE] = { 0 };
	char id[SIGN_KEY_ID_SIZE];
	struct error err;

	sign_key_id((const uint8_t[SIGN_PUBLIC_SIZE]){ 0 }, id);
	for (size_t i = 0; i < ARRAY_LENGTH(before); i++) {
		struct text envelope, bent, manifest;
		const char *at;

		text_init(&envelope);
		text_init(&bent);
		text_init(&manifest);
		dsse_write(&envelope, SPAN("{}"), id, signature);
		at = strstr(envelope.data, before[i]);
		EXPECT_PTR(at);
		text_append(&bent, envelope.data, (size_t)(at - envelope.data));
		text_append_string(&bent, after[i]);
		text_append_string(&bent, at + strlen(before[i]));
		EXPECT_INT(dsse_read(text_span(&bent), &manifest, id, signature, &err), ==,
			ERR_ENVELOPE);
		text_done(&envelope);
		text_done(&bent);
		text_done(&manifest);
	}
}
