#include "package/build.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "codec/json.h"
#include "fixture.h"
#include "lib/test.h"
#include "package/manifest.h"

static void write_file(const char *folder, const char *path, struct span data, mode_t mode)
{
	CLEANUP(mem_freep) char *whole = mem_printf("%s/%s", folder, path);
	CLEANUP(mem_freep) char *parent = mem_strdup(whole);
	struct error err;

	*strrchr(parent, '/') = '\0';
	EXPECT_OK(io_make_dirs(parent, 0755, &err), &err);
	EXPECT_OK(io_write_file(AT_FDCWD, whole, data, mode, &err), &err);
}

/* A source folder: manifest.json, the entry, a README. */
static void make_source(const char *folder, const char *object)
{
	CLEANUP(mem_freep) char *entry = mem_printf("lib/%s/hello.so", manifest_host_triplet());
	CLEANUP(json_freep) json_t *manifest = fixture_manifest();
	struct text bytes, json;

	text_init(&bytes);
	text_init(&json);
	(void)json_object_del(manifest, "files");
	(void)json_object_del(manifest, "requires");
	json_append(&json, manifest);
	fixture_object(object, &bytes);
	write_file(folder, "manifest.json", text_span(&json), 0644);
	write_file(folder, entry, text_span(&bytes), 0755);
	write_file(folder, "README.md", SPAN("hello\n"), 0644);
	text_done(&bytes);
	text_done(&json);
}

/* Build folder into *payload and *manifest. */
static int build(const char *folder, struct text *payload, struct text *manifest,
	struct text *warnings, struct error *err)
{
	struct package_source source = { .manifest = "manifest.json" };
	int fd = fixture_file(SPAN_NONE), rc;
	struct text json;
	struct error ignored;

	text_init(&json);
	source.folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	EXPECT_OK(io_read_file(source.folder_fd, "manifest.json", 1 << 20, &json, &ignored),
		&ignored);
	source.manifest_json = text_span(&json);
	rc = package_build(&source, fd, manifest, warnings, err);
	fixture_read(fd, payload);
	(void)close(source.folder_fd);
	(void)close(fd);
	text_done(&json);
	return rc;
}

static int build_quietly(const char *folder, struct error *err)
{
	struct text payload, manifest, warnings;
	int rc;

	text_init(&payload);
	text_init(&manifest);
	text_init(&warnings);
	rc = build(folder, &payload, &manifest, &warnings, err);
	if (rc < 0)
		EXPECT_UINT(manifest.len, ==, 0);
	text_done(&payload);
	text_done(&manifest);
	text_done(&warnings);
	return rc;
}

TEST(package_build__what_is_built_installs)
{
	struct text payload, manifest, warnings;
	struct fixture f;
	struct error err;
	int in, out = fixture_file(SPAN_NONE);

	text_init(&payload);
	text_init(&manifest);
	text_init(&warnings);
	EXPECT_INT(mkdir("out", 0755), ==, 0);
	make_source("out/in", "good");
	EXPECT_OK(build("out/in", &payload, &manifest, &warnings, &err), &err);
	EXPECT_UINT(warnings.len, ==, 0);
	fixture_init(&f);
	in = fixture_file(text_span(&payload));
	EXPECT_OK(package_sign(text_span(&manifest), in, f.key, out, &err), &err);
	EXPECT_OK(fixture_install(&f, out, &err), &err);
	fixture_done(&f);
	(void)close(in);
	(void)close(out);
	text_done(&payload);
	text_done(&manifest);
	text_done(&warnings);
}

TEST(package_build__folder_time_order_and_umask_do_not_matter)
{
	static const struct timespec old[2] = { { 1000000, 0 }, { 1000000, 0 } };
	CLEANUP(mem_freep)
	char *entry = mem_printf("other/b/lib/%s/hello.so", manifest_host_triplet());
	struct text payload[2], manifest[2], warnings;
	struct error err;

	text_init(&warnings);
	for (int i = 0; i < 2; i++) {
		text_init(&payload[i]);
		text_init(&manifest[i]);
	}
	make_source("a", "good");
	write_file("a", "share/z", SPAN("z"), 0600);
	write_file("a", "share/a", SPAN("a"), 0640);
	(void)umask(0077);
	write_file("other/b", "share/a", SPAN("a"), 0666);
	write_file("other/b", "share/z", SPAN("z"), 0644);
	make_source("other/b", "good");
	EXPECT_INT(chmod(entry, 0700), ==, 0);
	EXPECT_INT(utimensat(AT_FDCWD, entry, old, 0), ==, 0);
	EXPECT_OK(build("a", &payload[0], &manifest[0], &warnings, &err), &err);
	EXPECT_OK(build("other/b", &payload[1], &manifest[1], &warnings, &err), &err);
	EXPECT_TRUE(span_equal(text_span(&payload[0]), text_span(&payload[1])));
	EXPECT_TRUE(span_equal(text_span(&manifest[0]), text_span(&manifest[1])));
	for (int i = 0; i < 2; i++) {
		text_done(&payload[i]);
		text_done(&manifest[i]);
	}
	text_done(&warnings);
}

TEST(package_build__signing_twice_gives_the_same_bytes)
{
	struct sign_key *key;
	struct text a, b;
	struct error err;
	int in = fixture_file(SPAN("payload")), one = fixture_file(SPAN_NONE),
	    two = fixture_file(SPAN_NONE);

	sign_key_generate(&key);
	text_init(&a);
	text_init(&b);
	EXPECT_OK(package_sign(SPAN("{}"), in, key, one, &err), &err);
	EXPECT_OK(package_sign(SPAN("{}"), in, key, two, &err), &err);
	fixture_read(one, &a);
	fixture_read(two, &b);
	EXPECT_TRUE(span_equal(text_span(&a), text_span(&b)));
	EXPECT_UINT(a.len % 512, ==, 0);
	sign_key_free(key);
	text_done(&a);
	text_done(&b);
	(void)close(in);
	(void)close(one);
	(void)close(two);
}

TEST(package_build__requirements_come_from_the_note)
{
	struct text payload, manifest, warnings;
	struct manifest *m = NULL;
	struct error err;

	text_init(&payload);
	text_init(&manifest);
	text_init(&warnings);
	make_source("in", "good");
	EXPECT_OK(build("in", &payload, &manifest, &warnings, &err), &err);
	EXPECT_OK(manifest_parse(&m, text_span(&manifest), MANIFEST_PACKAGE, &err), &err);
	EXPECT_UINT(m->require_count, ==, 2);
	EXPECT_SPAN(m->requires[1], "mortise.http/1");
	EXPECT_SPAN(m->optional[0], "mortise.timer/1");
	manifest_free(m);
	text_done(&payload);
	text_done(&manifest);
	text_done(&warnings);
}

TEST(package_build__exported_symbols_are_a_warning_that_says_how_to_hide_them)
{
	struct text payload, manifest, warnings;
	struct error err;

	text_init(&payload);
	text_init(&manifest);
	text_init(&warnings);
	make_source("in", "exports");
	EXPECT_OK(build("in", &payload, &manifest, &warnings, &err), &err);
	EXPECT_CONTAINS(warnings.data, "extra_one");
	EXPECT_CONTAINS(warnings.data, "-fvisibility=hidden");
	text_done(&payload);
	text_done(&manifest);
	text_done(&warnings);
}

TEST(package_build__an_unknown_interface_is_refused)
{
	struct error err;

	make_source("in", "unknown");
	EXPECT_INT(build_quietly("in", &err), ==, ERR_INTERFACE_UNKNOWN);
	EXPECT_CONTAINS(err.text, "mortise.http/99");
	EXPECT_CONTAINS(err.text, "mortise.http/1'");
}

TEST(package_build__links_in_the_folder_are_refused)
{
	struct error err;

	make_source("in", "good");
	EXPECT_INT(symlink("/etc/passwd", "in/link"), ==, 0);
	EXPECT_INT(build_quietly("in", &err), ==, ERR_SOURCE);
	EXPECT_CONTAINS(err.text, "link");
}

TEST(package_build__hidden_files_are_refused)
{
	struct error err;

	make_source("in", "good");
	write_file("in", ".git/config", SPAN("x"), 0644);
	EXPECT_INT(build_quietly("in", &err), ==, ERR_PATH_NAME);
}

TEST(package_build__a_missing_entry_is_refused)
{
	CLEANUP(mem_freep) char *entry = mem_printf("in/lib/%s/hello.so", manifest_host_triplet());
	struct error err;

	make_source("in", "good");
	EXPECT_INT(unlink(entry), ==, 0);
	EXPECT_INT(build_quietly("in", &err), ==, ERR_SYSTEM);
	EXPECT_CONTAINS(err.text, "hello.so");
}

TEST(package_build__a_manifest_with_a_payload_is_no_source)
{
	struct error err;

	make_source("in", "good");
	write_file("in", "manifest.json",
		SPAN("{\"name\":\"acme/hello\",\"version\":\"1.0.0\",\"display_name\":\"x\","
		     "\"entry\":{\"x86_64-linux-gnu\":\"a\"},\"payload\":{}}"),
		0644);
	EXPECT_INT(build_quietly("in", &err), ==, ERR_MANIFEST_FORM);
	EXPECT_CONTAINS(err.text, "payload");
}
