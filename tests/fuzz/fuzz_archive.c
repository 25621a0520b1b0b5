/* The payload: the first byte chooses between a tar that is framed here and a frame as it comes;
 * what is unpacked is what was listed. The manifest lists one file, so most inputs are refused,
 * each at its own depth. */
#include <jansson.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/assert.h"
#include "codec/json.h"
#include "package/package_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BLOCK_MAX (128u << 10)

static void frame(struct text *out, struct span data)
{
	static const uint8_t head[] = { 0x28, 0xb5, 0x2f, 0xfd, 0, 7 << 3 };
	uint32_t value = (uint32_t)data.len << 3 | 1u;
	const uint8_t block[] = { (uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16) };

	text_append(out, head, sizeof(head));
	text_append(out, block, sizeof(block));
	text_append_span(out, data);
}

static struct manifest *make_manifest(struct span payload, uint64_t unpacked)
{
	struct manifest *m = NULL;
	struct text json;
	char hex[SHA256_HEX_SIZE], empty[SHA256_HEX_SIZE];

	sha256_hex(payload, hex);
	sha256_hex(SPAN(""), empty);
	text_init(&json);
	text_printf(&json,
		"{\"name\":\"a/b\",\"version\":\"1.0.0\",\"display_name\":\"x\","
		"\"entry\":{\"x86_64-linux-gnu\":\"b\"},"
		"\"payload\":{\"size\":%zu,\"sha256\":\"%s\",\"unpacked_size\":%llu},"
		"\"files\":[{\"path\":\"a\",\"size\":0,\"mode\":\"0644\",\"sha256\":\"%s\"},"
		"{\"path\":\"b\",\"size\":4,\"mode\":\"0755\",\"sha256\":\"%s\"}]}",
		payload.len, hex, (unsigned long long)unpacked, empty, empty);
	if (manifest_parse(&m, text_span(&json), MANIFEST_PACKAGE, NULL) < 0)
		BUG("the fuzzer's own manifest");
	text_done(&json);
	return m;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = { (const char *)data + 1, size - 1 };
	struct package pkg = { .magic = PACKAGE_MAGIC, .payload_fd = -1 };
	struct text payload;

	if (size < 2 || rest.len > BLOCK_MAX)
		return 0;
	text_init(&payload);
	if (data[0] & 1)
		frame(&payload, rest);
	else
		text_append_span(&payload, rest);
	pkg.options.scratch_fd = -1;
	pkg.payload_fd = memfd_create("fuzz", MFD_CLOEXEC);
	ASSERT(pkg.payload_fd != -1);
	ASSERT(write(pkg.payload_fd, payload.data, payload.len) == (ssize_t)payload.len);
	pkg.manifest = make_manifest(text_span(&payload), data[0] & 1 ? rest.len : 1u << 20);
	/* The entry can never be what was signed: its digest is that of nothing. */
	ASSERT(package_unpack(&pkg, -1, NULL) < 0);
	manifest_free(pkg.manifest);
	(void)close(pkg.payload_fd);
	text_done(&payload);
	return 0;
}
