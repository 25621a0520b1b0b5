/* DSSE 1.0 with one signature. The envelope is not parsed as JSON: it is one fixed text around
 * three fields, and what differs from that text is refused. So nothing of an envelope can be
 * changed, white space included, and no JSON parser sees a byte that nobody has signed. */
#include "base/error.h"
#include "codec/base64.h"
#include "package/package_priv.h"

#define BEFORE_PAYLOAD "{\"payload\":\""
#define BEFORE_KEY     "\",\"payloadType\":\"" MANIFEST_TYPE "\",\"signatures\":[{\"keyid\":\""
#define BEFORE_SIG     "\",\"sig\":\""
#define AFTER_SIG      "\"}]}"

void dsse_write(struct text *out, struct span manifest, const char *key_id,
	const uint8_t signature[static SIGN_SIGNATURE_SIZE])
{
	text_append_string(out, BEFORE_PAYLOAD);
	base64_append(out, manifest.data, manifest.len);
	text_append_string(out, BEFORE_KEY);
	text_append_string(out, key_id);
	text_append_string(out, BEFORE_SIG);
	base64_append(out, signature, SIGN_SIGNATURE_SIZE);
	text_append_string(out, AFTER_SIG);
}

/* Cut len bytes, or a fixed text, off the front; false when they are not there. */
static bool take(struct span *rest, size_t len, struct span *out)
{
	if (rest->len < len)
		return false;
	*out = (struct span){ rest->data, len };
	rest->data += len;
	rest->len -= len;
	return true;
}

static bool take_fixed(struct span *rest, const char *text)
{
	struct span ignored;

	return span_starts(*rest, text) && take(rest, strlen(text), &ignored);
}

int dsse_read(struct span envelope, struct text *manifest, char key_id[static SIGN_KEY_ID_SIZE],
	uint8_t signature[static SIGN_SIGNATURE_SIZE], struct error *err)
{
	/* All but the payload has a fixed length. */
	const size_t fixed = sizeof(BEFORE_PAYLOAD) - 1 + sizeof(BEFORE_KEY) - 1 +
			     SIGN_KEY_ID_SIZE - 1 + sizeof(BEFORE_SIG) - 1 +
			     BASE64_LENGTH(SIGN_SIGNATURE_SIZE) + sizeof(AFTER_SIG) - 1;
	struct span rest = envelope, payload, id, sig;
	struct text raw;
	bool ok;

	if (envelope.len <= fixed || !take_fixed(&rest, BEFORE_PAYLOAD) ||
		!take(&rest, envelope.len - fixed, &payload) || !take_fixed(&rest, BEFORE_KEY) ||
		!take(&rest, SIGN_KEY_ID_SIZE - 1, &id) || !sign_key_id_valid(id) ||
		!take_fixed(&rest, BEFORE_SIG) ||
		!take(&rest, BASE64_LENGTH(SIGN_SIGNATURE_SIZE), &sig) ||
		!take_fixed(&rest, AFTER_SIG))
		return error_set(err, ERR_ENVELOPE,
			"'" PACKAGE_MANIFEST_MEMBER
			"' is not a DSSE envelope of one Ed25519 signature");
	text_init(&raw);
	ok = base64_decode(&raw, sig) && raw.len == SIGN_SIGNATURE_SIZE &&
	     base64_decode(manifest, payload);
	if (ok) {
		memcpy(signature, raw.data, SIGN_SIGNATURE_SIZE);
		memcpy(key_id, id.data, id.len);
		key_id[id.len] = '\0';
	}
	text_done(&raw);
	if (!ok)
		return error_set(err, ERR_ENVELOPE,
			"'" PACKAGE_MANIFEST_MEMBER "' holds base64 that is not canonical");
	return 0;
}

void dsse_encode(struct text *out, struct span manifest)
{
	text_printf(
		out, "DSSEv1 %zu %s %zu ", sizeof(MANIFEST_TYPE) - 1, MANIFEST_TYPE, manifest.len);
	text_append_span(out, manifest);
}
