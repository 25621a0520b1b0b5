/* A whole file. The first byte chooses: the bytes as they come, checked once with a key that has
 * not signed them and once pinned, so that everything behind the signature is reached too; or a
 * package put together from a manifest and a payload cut from the input. */
#include <sys/mman.h>
#include <unistd.h>

#include "base/assert.h"
#include "codec/digest.h"
#include "package/build.h"
#include "package/package.h"
#include "package/trust.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int fd, const struct trust *trust)
{
	const struct package_options options = { .trust = trust,
		.environment = "development",
		.now_us = 1,
		.limit_unpacked = 1u << 20,
		.scratch_fd = -1 };
	struct package *pkg = NULL;

	if (package_open(&pkg, fd, &options, NULL) < 0)
		ASSERT(pkg == NULL);
	else
		(void)package_unpack(pkg, -1, NULL);
	package_free(pkg);
}

/* The second byte says where the manifest ends, in parts of 256. */
static int compose(struct span input)
{
	size_t cut = input.len > 1 ? (input.len - 1) * (uint8_t)input.data[0] / 256 : 0;
	struct span manifest = { input.data + 1, cut };
	int payload = memfd_create("payload", MFD_CLOEXEC), fd = memfd_create("fuzz", MFD_CLOEXEC);
	struct sign_key *key;
	size_t left;

	ASSERT(fd != -1 && payload != -1);
	if (input.len == 0)
		manifest = SPAN("");
	left = input.len > 1 ? input.len - 1 - cut : 0;
	ASSERT(write(payload, input.data + 1 + cut, left) == (ssize_t)left);
	sign_key_generate(&key);
	if (package_sign(manifest, payload, key, fd, NULL) < 0)
		BUG("signing anything");
	sign_key_free(key);
	(void)close(payload);
	return fd;
}

static int as_it_is(struct span input)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	ASSERT(fd != -1 && write(fd, input.data, input.len) == (ssize_t)input.len);
	return fd;
}

static void pin_file(struct trust *trust, int fd)
{
	static char reason[] = "fuzz";
	struct trust_pin pin = { .reason = reason };
	uint8_t digest[SHA256_SIZE], chunk[4096];
	struct sha256 sha;
	off_t at = 0;
	ssize_t n;

	sha256_init(&sha);
	while ((n = pread(fd, chunk, sizeof(chunk), at)) > 0) {
		sha256_update(&sha, chunk, (size_t)n);
		at += n;
	}
	sha256_final(&sha, digest);
	sha256_done(&sha);
	digest_text(digest, pin.digest);
	if (trust_put_pin(trust, &pin, NULL) < 0)
		BUG("the fuzzer's own pin");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char name[] = "fuzz", any[] = "*", *namespaces[] = { any };
	struct trust_key key = { .name = name, .namespaces = namespaces, .namespace_count = 1 };
	struct span rest = { (const char *)data + 1, size - 1 };
	struct trust *trust;
	int fd;

	if (size == 0)
		return 0;
	fd = data[0] & 1 ? compose(rest) : as_it_is(rest);
	trust_new(&trust);
	sign_key_id(key.public_key, key.id);
	if (trust_put_key(trust, &key, NULL) < 0)
		BUG("the fuzzer's own key");
	check(fd, trust);
	pin_file(trust, fd);
	check(fd, trust);
	trust_free(trust);
	(void)close(fd);
	return 0;
}
