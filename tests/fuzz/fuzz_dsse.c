/* The envelope: what is taken apart is what would have been put together. */
#include <stdlib.h>

#include "base/assert.h"
#include "package/package_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span envelope = { (const char *)data, size };
	uint8_t signature[SIGN_SIGNATURE_SIZE];
	char key_id[SIGN_KEY_ID_SIZE];
	struct text manifest, again;

	text_init(&manifest);
	text_init(&again);
	if (dsse_read(envelope, &manifest, key_id, signature, NULL) == 0) {
		dsse_write(&again, text_span(&manifest), key_id, signature);
		ASSERT(span_equal(envelope, text_span(&again)));
	}
	/* The other way round, from the input as a manifest. */
	text_clear(&again);
	text_clear(&manifest);
	memset(signature, (int)(size & 255), sizeof(signature));
	sign_key_id((const uint8_t[SIGN_PUBLIC_SIZE]){ 0 }, key_id);
	dsse_write(&again, envelope, key_id, signature);
	ASSERT(size == 0 || dsse_read(text_span(&again), &manifest, key_id, signature, NULL) == 0);
	ASSERT(span_equal(text_span(&manifest), size ? envelope : SPAN("")));
	text_done(&manifest);
	text_done(&again);
	return 0;
}
