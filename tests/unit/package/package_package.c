#include "package/package.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "codec/json.h"
#include "fixture.h"
#include "lib/test.h"
#include "package/build.h"
#include "package/manifest.h"

static int honest(struct fixture *f)
{
	fixture_init(f);
	fixture_add_entry(f, "good");
	fixture_add_file(f, "README.md", "hello\n");
	return fixture_finish(f);
}

static int open_bytes(struct fixture *f, struct span bytes, struct error *err)
{
	struct package *pkg = NULL;
	int fd = fixture_file(bytes);
	int rc = package_open(&pkg, fd, &f->options, err);

	if (rc < 0)
		EXPECT_NULL(pkg);
	package_free(pkg);
	(void)close(fd);
	return rc;
}

TEST(package_package__an_honest_package_unpacks)
{
	struct fixture f;
	struct error err;
	struct stat st;
	int fd = honest(&f);

	EXPECT_OK(fixture_install(&f, fd, &err), &err);
	EXPECT_INT(stat("out/manifest.dsse.json", &st), ==, 0);
	EXPECT_INT(stat("out/files/README.md", &st), ==, 0);
	EXPECT_INT(st.st_size, ==, 6);
	EXPECT_INT(st.st_mode & 07777, ==, 0644);
	EXPECT_INT(fixture_strays(), ==, 0);
	(void)close(fd);
	fixture_done(&f);
}

TEST(package_package__modes_are_the_signed_ones_under_any_umask)
{
	struct fixture f;
	struct error err;
	struct stat st;
	CLEANUP(mem_freep) char *path = NULL;
	int fd = honest(&f);

	(void)umask(0077);
	EXPECT_OK(fixture_install(&f, fd, &err), &err);
	path = mem_printf("out/files/%s", f.entry_path);
	EXPECT_INT(stat(path, &st), ==, 0);
	EXPECT_INT(st.st_mode & 07777, ==, 0755);
	(void)close(fd);
	fixture_done(&f);
}

TEST(package_package__what_is_known_after_opening)
{
	struct fixture f;
	struct error err;
	struct package *pkg = NULL;
	struct text whole;
	char hex[SHA256_HEX_SIZE];
	int fd = honest(&f);

	text_init(&whole);
	fixture_read(fd, &whole);
	sha256_hex(text_span(&whole), hex);
	EXPECT_OK(package_open(&pkg, fd, &f.options, &err), &err);
	EXPECT_STR(package_digest(pkg) + strlen("sha256:"), hex);
	EXPECT_UINT(package_size(pkg), ==, whole.len);
	EXPECT_STR(package_key_id(pkg), f.trusted.id);
	EXPECT_PTR(package_signer(pkg));
	EXPECT_SPAN(package_manifest(pkg)->name, "acme/hello");
	EXPECT_NULL(package_warning(pkg, 0));
	package_free(pkg);
	text_done(&whole);
	(void)close(fd);
	fixture_done(&f);
}

/* A package small enough to change each of its bytes: the entry compresses well. */
static void small_package(struct fixture *f, struct text *out)
{
	CLEANUP(mem_freep) char *folder = NULL;
	int payload = fixture_file(SPAN_NONE), whole = fixture_file(SPAN_NONE), object;
	struct package_source source = { .manifest_json = SPAN_NONE };
	struct text manifest, warnings, json, bytes;
	struct error err;

	fixture_init(f);
	folder = mem_printf("in/lib/%s", manifest_host_triplet());
	EXPECT_INT(mkdir("in", 0755), ==, 0);
	EXPECT_INT(mkdir("in/lib", 0755), ==, 0);
	EXPECT_INT(mkdir(folder, 0755), ==, 0);
	mem_free(folder);
	folder = mem_printf("in/%s", f->entry_path);
	text_init(&bytes);
	fixture_object("good", &bytes);
	object = open(folder, O_WRONLY | O_CREAT, 0755);
	EXPECT_INT(write(object, bytes.data, bytes.len), ==, (ssize_t)bytes.len);
	(void)close(object);
	text_init(&manifest);
	text_init(&warnings);
	text_init(&json);
	(void)json_object_del(f->manifest, "files");
	(void)json_object_del(f->manifest, "requires");
	json_append(&json, f->manifest);
	source.manifest_json = text_span(&json);
	source.folder_fd = open("in", O_RDONLY | O_DIRECTORY);
	EXPECT_OK(package_build(&source, payload, &manifest, &warnings, &err), &err);
	EXPECT_OK(package_sign(text_span(&manifest), payload, f->key, whole, &err), &err);
	fixture_read(whole, out);
	(void)close(source.folder_fd);
	(void)close(payload);
	(void)close(whole);
	text_done(&bytes);
	text_done(&manifest);
	text_done(&warnings);
	text_done(&json);
}

TEST(package_package__one_flipped_bit_in_any_byte_is_refused)
{
	struct fixture f;
	struct text whole;
	struct error err;

	text_init(&whole);
	small_package(&f, &whole);
	EXPECT_OK(open_bytes(&f, text_span(&whole), &err), &err);
	for (size_t i = 0; i < whole.len; i++) {
		char flip = (char)(1u << (i % 8));
		int rc;

		whole.data[i] ^= flip;
		rc = open_bytes(&f, text_span(&whole), &err);
		ck_assert_msg(rc < 0, "byte %zu flipped and accepted", i);
		ck_assert_msg(rc <= -2001 && rc > -2100, "byte %zu: code %d", i, rc);
		whole.data[i] ^= flip;
	}
	EXPECT_OK(open_bytes(&f, text_span(&whole), &err), &err);
	text_done(&whole);
	fixture_done(&f);
}

TEST(package_package__every_truncation_is_refused)
{
	struct fixture f;
	struct text whole;
	struct error err;

	text_init(&whole);
	small_package(&f, &whole);
	for (size_t len = 0; len < whole.len; len++) {
		int rc = open_bytes(&f, (struct span){ whole.data, len }, &err);

		ck_assert_msg(rc == ERR_PACKAGE_TRUNCATED, "cut at %zu: %d %s", len, rc, err.text);
	}
	text_done(&whole);
	fixture_done(&f);
}

TEST(package_package__trailing_bytes_are_refused)
{
	static const size_t extra[] = { 1, 511, 512, 1024, 9216 };
	struct fixture f;
	struct text whole;
	struct error err;

	text_init(&whole);
	small_package(&f, &whole);
	for (size_t i = 0; i < ARRAY_LENGTH(extra); i++) {
		size_t before = whole.len;

		memset(text_reserve(&whole, extra[i]), 0, extra[i]);
		text_grown(&whole, extra[i]);
		EXPECT_INT(open_bytes(&f, text_span(&whole), &err), ==, ERR_PACKAGE_TRAILING);
		whole.len = before;
	}
	text_done(&whole);
	fixture_done(&f);
}

TEST(package_package__a_file_that_is_no_package_is_refused)
{
	struct fixture f;
	struct error err;
	struct text big;

	fixture_init(&f);
	text_init(&big);
	memset(text_reserve(&big, 4096), 'x', 4096);
	text_grown(&big, 4096);
	EXPECT_INT(open_bytes(&f, text_span(&big), &err), ==, ERR_PACKAGE_HEADER);
	EXPECT_INT(open_bytes(&f, SPAN(""), &err), ==, ERR_PACKAGE_TRUNCATED);
	text_done(&big);
	fixture_done(&f);
}

TEST(package_package__a_folder_or_pipe_is_refused)
{
	struct fixture f;
	struct error err;
	struct package *pkg = NULL;
	int folder = open(".", O_RDONLY | O_DIRECTORY);
	int ends[2];

	fixture_init(&f);
	EXPECT_INT(pipe(ends), ==, 0);
	EXPECT_INT(package_open(&pkg, folder, &f.options, &err), ==, ERR_PACKAGE_HEADER);
	EXPECT_INT(package_open(&pkg, ends[0], &f.options, &err), ==, ERR_PACKAGE_HEADER);
	(void)close(folder);
	(void)close(ends[0]);
	(void)close(ends[1]);
	fixture_done(&f);
}

TEST(package_package__an_unknown_key_is_untrusted)
{
	struct fixture f;
	struct error err;
	int fd = honest(&f);

	trust_free(f.trust);
	trust_new(&f.trust);
	f.options.trust = f.trust;
	EXPECT_INT(fixture_install(&f, fd, &err), ==, ERR_UNTRUSTED);
	EXPECT_CONTAINS(err.text, f.trusted.id);
	EXPECT_CONTAINS(error_advice(&err), "mortise trust add");
	(void)close(fd);
	fixture_done(&f);
}

TEST(package_package__a_signature_by_another_key_under_a_trusted_id_is_refused)
{
	struct fixture f;
	struct error err;
	struct sign_key *other;
	char id[SIGN_KEY_ID_SIZE];
	struct text whole;
	char *at;
	int fd;

	fixture_init(&f);
	sign_key_generate(&other);
	sign_key_id(sign_key_public(other), id);
	fixture_add_entry(&f, "good");
	fixture_tar_end(&f.tar);
	text_init(&whole);
	fixture_zstd(&whole, text_span(&f.tar));
	fixture_payload(f.manifest, text_span(&whole), f.tar.len);
	fd = fixture_sign(f.manifest, text_span(&whole), other);
	text_clear(&whole);
	fixture_read(fd, &whole);
	at = memmem(whole.data, whole.len, id, strlen(id));
	EXPECT_PTR(at);
	memcpy(at, f.trusted.id, strlen(id));
	EXPECT_INT(open_bytes(&f, text_span(&whole), &err), ==, ERR_SIGNATURE);
	sign_key_free(other);
	text_done(&whole);
	(void)close(fd);
	fixture_done(&f);
}

/* The code that the honest package gets once its key was changed in the trust set. */
static int install_with(struct fixture *f, int fd, const struct trust_key *key, struct error *err)
{
	EXPECT_OK(trust_put_key(f->trust, key, err), err);
	return fixture_install(f, fd, err);
}

TEST(package_package__a_revoked_key_is_refused_with_its_reason)
{
	static char reason[] = "stolen in March";
	struct fixture f;
	struct error err;
	struct trust_key key;
	int fd = honest(&f);

	key = f.trusted;
	key.revoked = true;
	key.reason = reason;
	EXPECT_INT(install_with(&f, fd, &key, &err), ==, ERR_KEY_REVOKED);
	EXPECT_CONTAINS(err.text, "stolen in March");
	(void)close(fd);
	fixture_done(&f);
}

TEST(package_package__an_expired_key_is_refused_and_counts_until_then)
{
	struct fixture f;
	struct error err;
	struct trust_key key;
	int fd = honest(&f);

	key = f.trusted;
	key.expires_us = INT64_C(2000000000000000);
	f.options.now_us = key.expires_us;
	EXPECT_INT(install_with(&f, fd, &key, &err), ==, ERR_KEY_EXPIRED);
	f.options.now_us = key.expires_us - 1;
	EXPECT_OK(install_with(&f, fd, &key, &err), &err);
	(void)close(fd);
	fixture_done(&f);
}

TEST(package_package__a_development_key_counts_in_development_only)
{
	struct fixture f;
	struct error err;
	struct trust_key key;
	int fd = honest(&f);

	key = f.trusted;
	key.development = true;
	EXPECT_INT(install_with(&f, fd, &key, &err), ==, ERR_KEY_DEVELOPMENT);
	f.options.environment = "development";
	EXPECT_OK(install_with(&f, fd, &key, &err), &err);
	(void)close(fd);
	fixture_done(&f);
}

TEST(package_package__a_key_signs_its_namespaces_only)
{
	static char other[] = "other", plugin[] = "acme/hello", any[] = "*";
	static const struct {
		char *namespace;
		int rc;
	} cases[] = { { other, ERR_KEY_NAMESPACE }, { plugin, 0 }, { any, 0 } };
	struct fixture f;
	struct error err;
	int fd = honest(&f);

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		char *namespaces[] = { cases[i].namespace };
		struct trust_key key = f.trusted;
		struct package *pkg = NULL;

		key.namespaces = namespaces;
		EXPECT_OK(trust_put_key(f.trust, &key, &err), &err);
		EXPECT_INT(package_open(&pkg, fd, &f.options, &err), ==, cases[i].rc);
		package_free(pkg);
	}
	(void)close(fd);
	fixture_done(&f);
}

static struct trust_pin pin_of(int fd, bool revoked)
{
	static char reason[] = "audited by hand";
	struct trust_pin pin = { .revoked = revoked, .reason = reason };
	uint8_t digest[SHA256_SIZE];
	struct text whole;

	text_init(&whole);
	fixture_read(fd, &whole);
	sha256_of(text_span(&whole), digest);
	digest_text(digest, pin.digest);
	text_done(&whole);
	return pin;
}

TEST(package_package__a_pinned_digest_needs_no_key)
{
	struct fixture f;
	struct error err;
	struct trust_pin pin;
	struct package *pkg = NULL;
	int fd = honest(&f);

	trust_free(f.trust);
	trust_new(&f.trust);
	f.options.trust = f.trust;
	pin = pin_of(fd, false);
	pin.expires_us = 1000;
	f.options.now_us = 999;
	EXPECT_OK(trust_put_pin(f.trust, &pin, &err), &err);
	EXPECT_OK(package_open(&pkg, fd, &f.options, &err), &err);
	EXPECT_NULL(package_signer(pkg));
	package_free(TAKE(pkg));
	f.options.now_us = 1000;
	EXPECT_INT(package_open(&pkg, fd, &f.options, &err), ==, ERR_UNTRUSTED);
	(void)close(fd);
	fixture_done(&f);
}

TEST(package_package__a_pin_is_for_one_digest)
{
	struct fixture f;
	struct error err;
	struct trust_pin pin;
	int fd = honest(&f);

	trust_free(f.trust);
	trust_new(&f.trust);
	f.options.trust = f.trust;
	pin = pin_of(fd, false);
	pin.digest[10] = pin.digest[10] == '0' ? '1' : '0';
	EXPECT_OK(trust_put_pin(f.trust, &pin, &err), &err);
	EXPECT_INT(fixture_install(&f, fd, &err), ==, ERR_UNTRUSTED);
	(void)close(fd);
	fixture_done(&f);
}

TEST(package_package__a_revoked_digest_is_refused_whoever_signed_it)
{
	struct fixture f;
	struct error err;
	struct trust_pin pin;
	int fd = honest(&f);

	pin = pin_of(fd, true);
	EXPECT_OK(trust_put_pin(f.trust, &pin, &err), &err);
	EXPECT_INT(fixture_install(&f, fd, &err), ==, ERR_DIGEST_REVOKED);
	(void)close(fd);
	fixture_done(&f);
}

/* Sign a manifest whose payload{} was changed. */
static int install_changed(struct fixture *f, const char *member, json_t *value, struct error *err)
{
	struct text payload;
	int fd, rc;

	fixture_init(f);
	fixture_add_entry(f, "good");
	fixture_tar_end(&f->tar);
	text_init(&payload);
	fixture_zstd(&payload, text_span(&f->tar));
	fixture_payload(f->manifest, text_span(&payload), f->tar.len);
	(void)json_object_set_new(json_object_get(f->manifest, "payload"), member, value);
	fd = fixture_sign(f->manifest, text_span(&payload), f->key);
	rc = fixture_install(f, fd, err);
	text_done(&payload);
	(void)close(fd);
	fixture_done(f);
	return rc;
}

TEST(package_package__a_payload_that_the_manifest_does_not_describe_is_refused)
{
	struct fixture f;
	struct error err;

	EXPECT_INT(install_changed(&f, "size", json_integer(1), &err), ==, ERR_PAYLOAD_SIZE);
	EXPECT_INT(install_changed(&f, "sha256",
			   json_string("00000000000000000000000000000000"
				       "00000000000000000000000000000000"),
			   &err),
		==, ERR_PAYLOAD_DIGEST);
}

TEST(package_package__the_limits_of_the_host_hold)
{
	struct fixture f;
	struct error err;
	int fd = honest(&f);

	f.options.limit_bytes = 1000;
	EXPECT_INT(fixture_install(&f, fd, &err), ==, ERR_PACKAGE_SIZE);
	EXPECT_CONTAINS(err.text, "package.bytes");
	f.options.limit_bytes = 0;
	f.options.limit_unpacked = 1000;
	EXPECT_INT(fixture_install(&f, fd, &err), ==, ERR_UNPACKED_SIZE);
	(void)close(fd);
	fixture_done(&f);
}

TEST(package_package__a_platform_without_entry_is_refused)
{
	struct fixture f;
	struct error err;
	int fd = honest(&f);

	f.options.triplet = "riscv64-linux-musl";
	EXPECT_INT(fixture_install(&f, fd, &err), ==, ERR_PLATFORM);
	(void)close(fd);
	fixture_done(&f);
}

TEST(package_package__an_interface_that_is_not_offered_is_refused)
{
	static const char *const offered[] = { "mortise.core/1" };
	struct fixture f;
	struct error err;
	int fd = honest(&f);

	f.options.interfaces = offered;
	f.options.interface_count = 1;
	EXPECT_INT(fixture_install(&f, fd, &err), ==, ERR_INTERFACE_UNKNOWN);
	EXPECT_CONTAINS(err.text, "mortise.http/1");
	EXPECT_CONTAINS(err.text, "ABI 1.0");
	(void)close(fd);
	fixture_done(&f);
}

TEST(package_package__the_note_must_say_what_the_manifest_says)
{
	static const struct {
		const char *member, *value;
	} cases[] = { { "version", "1.0.1" }, { "name", "acme/other" } };
	struct error err;

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct fixture f;
		int fd, folder;

		fixture_init(&f);
		(void)json_object_set_new(f.manifest, cases[i].member, json_string(cases[i].value));
		fixture_add_entry(&f, "good");
		fd = fixture_finish(&f);
		folder = fixture_install(&f, fd, &err);
		EXPECT_INT(folder, ==, ERR_NOTE_MISMATCH);
		EXPECT_INT(rename("out", i ? "old1" : "old0"), ==, 0);
		(void)close(fd);
		fixture_done(&f);
	}
}

TEST(package_package__an_envelope_in_another_spelling_is_refused)
{
	static const char *const bent[] = { "{}", "{\"payload\":\"e30=\"}",
		"{ \"payload\":\"e30=\",\"payloadType\":\"" MANIFEST_TYPE "\",\"signatures\":[]}" };
	struct fixture f;
	struct error err;

	fixture_init(&f);
	for (size_t i = 0; i < ARRAY_LENGTH(bent); i++) {
		struct text whole;
		uint8_t zeros[1024] = { 0 };

		text_init(&whole);
		fixture_tar_entry(&whole, &(struct fixture_entry){ .path = "manifest.dsse.json",
						  .data = span_of(bent[i]) });
		text_append(&whole, zeros, sizeof(zeros));
		EXPECT_INT(open_bytes(&f, text_span(&whole), &err), ==, ERR_ENVELOPE);
		text_done(&whole);
	}
	fixture_done(&f);
}
