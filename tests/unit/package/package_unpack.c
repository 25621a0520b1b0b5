/* Every payload here is signed by a trusted key and described by its manifest as far as that can be
 * said, so that only the check of the archive can refuse it. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "codec/json.h"
#include "fixture.h"
#include "lib/test.h"
#include "package/manifest.h"

/* The code of a package whose archive has the honest entry and then `entry`, which the manifest
 * lists as `listed` (NULL: does not list). */
static int install_entry(const struct fixture_entry *entry, const char *listed)
{
	struct fixture f;
	struct error err;
	int fd, rc;

	fixture_init(&f);
	fixture_add_entry(&f, "good");
	fixture_tar_entry(&f.tar, entry);
	if (listed)
		fixture_list(f.manifest, listed, entry->data, "0644");
	fd = fixture_finish(&f);
	rc = fixture_install(&f, fd, &err);
	EXPECT_INT(fixture_strays(), ==, 0);
	(void)close(fd);
	fixture_done(&f);
	return rc;
}

TEST(package_unpack__an_absolute_path_is_refused)
{
	static const char name[100] = "/tmp/mortise-evil";

	EXPECT_INT(install_entry(&(struct fixture_entry){ .raw_name = name }, "evil"), ==,
		ERR_PATH_ABSOLUTE);
}

TEST(package_unpack__an_absolute_path_in_the_manifest_is_refused)
{
	static const char name[100] = "/tmp/mortise-evil";

	EXPECT_INT(install_entry(&(struct fixture_entry){ .raw_name = name }, "/tmp/mortise-evil"),
		==, ERR_PATH_ABSOLUTE);
}

TEST(package_unpack__dot_dot_is_refused)
{
	static const char name[100] = "lib/../../evil";

	EXPECT_INT(install_entry(&(struct fixture_entry){ .raw_name = name }, "evil"), ==,
		ERR_PATH_PARENT);
}

TEST(package_unpack__dot_dot_in_the_manifest_is_refused)
{
	static const char name[100] = "../evil";

	EXPECT_INT(install_entry(&(struct fixture_entry){ .raw_name = name }, "../evil"), ==,
		ERR_PATH_PARENT);
}

TEST(package_unpack__links_are_refused)
{
	EXPECT_INT(
		install_entry(
			&(struct fixture_entry){ .path = "a", .type = '2', .link = "/etc/passwd" },
			"a"),
		==, ERR_ENTRY_LINK);
}

TEST(package_unpack__hard_links_are_refused)
{
	EXPECT_INT(install_entry(
			   &(struct fixture_entry){ .path = "a", .type = '1', .link = "b" }, "a"),
		==, ERR_ENTRY_LINK);
}

TEST(package_unpack__a_regular_file_with_a_link_target_is_refused)
{
	EXPECT_INT(install_entry(&(struct fixture_entry){ .path = "a", .link = "b" }, "a"), ==,
		ERR_ENTRY_LINK);
}

TEST(package_unpack__character_devices_are_refused)
{
	EXPECT_INT(install_entry(&(struct fixture_entry){ .path = "a", .type = '3' }, "a"), ==,
		ERR_ENTRY_DEVICE);
}

TEST(package_unpack__block_devices_are_refused)
{
	EXPECT_INT(install_entry(&(struct fixture_entry){ .path = "a", .type = '4' }, "a"), ==,
		ERR_ENTRY_DEVICE);
}

TEST(package_unpack__fifos_are_refused)
{
	EXPECT_INT(install_entry(&(struct fixture_entry){ .path = "a", .type = '6' }, "a"), ==,
		ERR_ENTRY_FIFO);
}

TEST(package_unpack__folders_are_refused)
{
	EXPECT_INT(install_entry(&(struct fixture_entry){ .path = "a", .type = '5' }, "a"), ==,
		ERR_ENTRY_FOLDER);
}

TEST(package_unpack__unknown_types_are_refused)
{
	EXPECT_INT(install_entry(&(struct fixture_entry){ .path = "a", .type = '7' }, "a"), ==,
		ERR_ENTRY_TYPE);
}

TEST(package_unpack__setuid_is_refused)
{
	EXPECT_INT(install_entry(&(struct fixture_entry){ .path = "a", .mode = 04755 }, "a"), ==,
		ERR_ENTRY_MODE);
}

TEST(package_unpack__a_mode_other_than_signed_is_refused)
{
	EXPECT_INT(install_entry(&(struct fixture_entry){ .path = "a", .mode = 0755 }, "a"), ==,
		ERR_ENTRY_MODE);
}

TEST(package_unpack__setuid_in_the_manifest_is_refused)
{
	struct fixture f;
	struct error err;
	int fd;

	fixture_init(&f);
	fixture_add_entry(&f, "good");
	fixture_tar_entry(&f.tar, &(struct fixture_entry){ .path = "a", .mode = 04755 });
	fixture_list(f.manifest, "a", SPAN_NONE, "4755");
	fd = fixture_finish(&f);
	EXPECT_INT(fixture_install(&f, fd, &err), ==, ERR_ENTRY_MODE);
	(void)close(fd);
	fixture_done(&f);
}

TEST(package_unpack__a_file_twice_is_refused)
{
	struct fixture f;
	struct error err;
	int fd;

	fixture_init(&f);
	fixture_add_entry(&f, "good");
	fixture_add_file(&f, "a", "1");
	fixture_tar_entry(&f.tar, &(struct fixture_entry){ .path = "a", .data = SPAN("2") });
	fd = fixture_finish(&f);
	EXPECT_INT(fixture_install(&f, fd, &err), ==, ERR_PATH_DUPLICATE);
	(void)close(fd);
	fixture_done(&f);
}

TEST(package_unpack__a_record_twice_is_refused)
{
	struct fixture f;
	struct error err;
	int fd;

	fixture_init(&f);
	fixture_add_entry(&f, "good");
	fixture_add_file(&f, "a", "1");
	fixture_add_file(&f, "a", "2");
	fd = fixture_finish(&f);
	EXPECT_INT(fixture_install(&f, fd, &err), ==, ERR_PATH_DUPLICATE);
	(void)close(fd);
	fixture_done(&f);
}

TEST(package_unpack__a_path_that_is_file_and_folder_is_refused)
{
	struct fixture f;
	struct error err;
	int fd;

	fixture_init(&f);
	fixture_add_entry(&f, "good");
	fixture_add_file(&f, "a", "1");
	fixture_add_file(&f, "a/b", "2");
	fd = fixture_finish(&f);
	EXPECT_INT(fixture_install(&f, fd, &err), ==, ERR_PATH_DUPLICATE);
	(void)close(fd);
	fixture_done(&f);
}

TEST(package_unpack__names_that_differ_in_case_are_refused)
{
	struct fixture f;
	struct error err;
	int fd;

	fixture_init(&f);
	fixture_add_entry(&f, "good");
	fixture_add_file(&f, "data/a", "1");
	fixture_add_file(&f, "Data/b", "2");
	fd = fixture_finish(&f);
	EXPECT_INT(fixture_install(&f, fd, &err), ==, ERR_PATH_CASE);
	(void)close(fd);
	fixture_done(&f);
}

TEST(package_unpack__a_name_in_another_case_than_signed_is_refused)
{
	EXPECT_INT(install_entry(&(struct fixture_entry){ .path = "READme" }, "README"), ==,
		ERR_PATH_CASE);
}

TEST(package_unpack__a_nul_in_a_name_is_refused)
{
	static const char name[100] = "a\0.so";

	EXPECT_INT(
		install_entry(&(struct fixture_entry){ .raw_name = name }, "a"), ==, ERR_PATH_NAME);
}

TEST(package_unpack__a_name_that_is_not_utf8_is_refused)
{
	static const char name[100] = "a\xff\xfe";

	EXPECT_INT(
		install_entry(&(struct fixture_entry){ .raw_name = name }, "a"), ==, ERR_PATH_NAME);
}

TEST(package_unpack__names_outside_the_alphabet_are_refused)
{
	static const char *const names[] = { "", ".", "./a", "a//b", "a/", ".hidden", "-flag",
		"a b", "a\nb", "a\\b", "\xc3\xa4" };
	struct error err;

	for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
		EXPECT_INT(manifest_check_path(span_of(names[i]), &err), ==, ERR_PATH_NAME);
}

TEST(package_unpack__long_names_are_refused)
{
	char component[102], path[300];
	struct error err;

	memset(component, 'a', sizeof(component));
	EXPECT_OK(manifest_check_path((struct span){ component, 100 }, &err), &err);
	EXPECT_INT(manifest_check_path((struct span){ component, 101 }, &err), ==, ERR_PATH_NAME);
	for (size_t i = 0; i < sizeof(path); i++)
		path[i] = i == 69 || i == 139 ? '/' : 'a';
	EXPECT_OK(manifest_check_path((struct span){ path, 240 }, &err), &err);
	EXPECT_INT(manifest_check_path((struct span){ path, 241 }, &err), ==, ERR_PATH_NAME);
	/* Nowhere to cut it for a ustar header. */
	path[69] = path[139] = 'a';
	path[59] = path[159] = '/';
	EXPECT_INT(manifest_check_path((struct span){ path, 200 }, &err), ==, ERR_PATH_NAME);
	for (size_t i = 0; i < 33; i++)
		path[i] = i % 2 ? '/' : 'a';
	EXPECT_OK(manifest_check_path((struct span){ path, 31 }, &err), &err);
	EXPECT_INT(manifest_check_path((struct span){ path, 33 }, &err), ==, ERR_PATH_NAME);
}

TEST(package_unpack__pax_headers_are_refused)
{
	EXPECT_INT(install_entry(
			   &(struct fixture_entry){
				   .path = "a", .type = 'x', .data = SPAN("16 path=../evil\n") },
			   "a"),
		==, ERR_ENTRY_EXTENSION);
}

TEST(package_unpack__global_pax_headers_are_refused)
{
	EXPECT_INT(install_entry(&(struct fixture_entry){ .path = "a", .type = 'g' }, "a"), ==,
		ERR_ENTRY_EXTENSION);
}

TEST(package_unpack__gnu_long_names_are_refused)
{
	EXPECT_INT(install_entry(
			   &(struct fixture_entry){
				   .path = "a", .type = 'L', .gnu = true, .data = SPAN("../evil") },
			   "a"),
		==, ERR_ENTRY_EXTENSION);
}

TEST(package_unpack__sizes_in_binary_are_refused)
{
	static const char size[12] = "\x80\0\0\0\0\0\0\0\0\0\0\1";

	EXPECT_INT(install_entry(
			   &(struct fixture_entry){
				   .path = "a", .data = SPAN("1"), .size_field = size },
			   "a"),
		==, ERR_ENTRY_EXTENSION);
}

TEST(package_unpack__sparse_files_are_refused)
{
	EXPECT_INT(install_entry(
			   &(struct fixture_entry){ .path = "a", .type = 'S', .gnu = true }, "a"),
		==, ERR_ENTRY_SPARSE);
}

TEST(package_unpack__plain_files_under_gnu_magic_are_accepted)
{
	EXPECT_INT(install_entry(&(struct fixture_entry){ .path = "a", .gnu = true }, "a"), ==, 0);
}

TEST(package_unpack__a_file_that_is_not_listed_is_refused)
{
	EXPECT_INT(install_entry(&(struct fixture_entry){ .path = "extra" }, NULL), ==,
		ERR_ENTRY_EXTRA);
}

TEST(package_unpack__a_listed_file_that_is_not_there_is_refused)
{
	struct fixture f;
	struct error err;
	int fd;

	fixture_init(&f);
	fixture_add_entry(&f, "good");
	fixture_list(f.manifest, "gone", SPAN_NONE, "0644");
	fixture_add_file(&f, "there", "1");
	fd = fixture_finish(&f);
	EXPECT_INT(fixture_install(&f, fd, &err), ==, ERR_ENTRY_MISSING);
	EXPECT_CONTAINS(err.text, "gone");
	(void)close(fd);
	fixture_done(&f);
}

TEST(package_unpack__another_order_than_listed_is_refused)
{
	struct fixture f;
	struct error err;
	int fd;

	fixture_init(&f);
	fixture_add_entry(&f, "good");
	fixture_list(f.manifest, "first", SPAN("1"), "0644");
	fixture_list(f.manifest, "second", SPAN("2"), "0644");
	fixture_tar_entry(&f.tar, &(struct fixture_entry){ .path = "second", .data = SPAN("2") });
	fixture_tar_entry(&f.tar, &(struct fixture_entry){ .path = "first", .data = SPAN("1") });
	fd = fixture_finish(&f);
	EXPECT_INT(fixture_install(&f, fd, &err), ==, ERR_ENTRY_ORDER);
	(void)close(fd);
	fixture_done(&f);
}

TEST(package_unpack__another_content_than_signed_is_refused)
{
	struct fixture f;
	struct error err;
	int fd;

	fixture_init(&f);
	fixture_add_entry(&f, "good");
	fixture_list(f.manifest, "a", SPAN("1"), "0644");
	fixture_tar_entry(&f.tar, &(struct fixture_entry){ .path = "a", .data = SPAN("2") });
	fd = fixture_finish(&f);
	EXPECT_INT(fixture_install(&f, fd, &err), ==, ERR_ENTRY_DIGEST);
	(void)close(fd);
	fixture_done(&f);
}

TEST(package_unpack__another_length_than_signed_is_refused)
{
	struct fixture f;
	struct error err;
	int fd;

	fixture_init(&f);
	fixture_add_entry(&f, "good");
	fixture_list(f.manifest, "a", SPAN("1"), "0644");
	fixture_tar_entry(&f.tar, &(struct fixture_entry){ .path = "a", .data = SPAN("12") });
	fd = fixture_finish(&f);
	EXPECT_INT(fixture_install(&f, fd, &err), ==, ERR_ENTRY_SIZE);
	(void)close(fd);
	fixture_done(&f);
}

/* ---- the end and the frame ------------------------------------------------------------------- */

/* Install `payload` as it is, with what the manifest lists so far. */
static int install_payload(
	struct fixture *f, struct span payload, uint64_t unpacked, struct error *err)
{
	int fd, rc;

	fixture_payload(f->manifest, payload, unpacked);
	fd = fixture_sign(f->manifest, payload, f->key);
	rc = fixture_install(f, fd, err);
	EXPECT_INT(fixture_strays(), ==, 0);
	(void)close(fd);
	return rc;
}

/* An honest archive whose frame the test bends: bend() gets the tar and gives the payload. */
static int install_bent(void (*bend)(struct text *payload, struct span tar), uint64_t more)
{
	struct fixture f;
	struct error err;
	struct text payload;
	int rc;

	fixture_init(&f);
	fixture_add_entry(&f, "good");
	fixture_tar_end(&f.tar);
	text_init(&payload);
	bend(&payload, text_span(&f.tar));
	rc = install_payload(&f, text_span(&payload), f.tar.len + more, &err);
	text_done(&payload);
	fixture_done(&f);
	return rc;
}

static void bend_none(struct text *payload, struct span tar)
{
	fixture_zstd(payload, tar);
}

static void bend_trailing_zeros(struct text *payload, struct span tar)
{
	fixture_zstd_header(payload, 17);
	fixture_zstd_raw(payload, tar, false);
	fixture_zstd_zeros(payload, 4096, true);
}

static void bend_trailing_bytes(struct text *payload, struct span tar)
{
	fixture_zstd_header(payload, 17);
	fixture_zstd_raw(payload, tar, false);
	fixture_zstd_raw(payload, SPAN("more"), true);
}

static void bend_no_end(struct text *payload, struct span tar)
{
	tar.len -= 1024;
	fixture_zstd(payload, tar);
}

static void bend_half_end(struct text *payload, struct span tar)
{
	tar.len -= 512;
	fixture_zstd(payload, tar);
}

static void bend_two_frames(struct text *payload, struct span tar)
{
	fixture_zstd(payload, tar);
	fixture_zstd(payload, SPAN("x"));
}

static void bend_skippable_first(struct text *payload, struct span tar)
{
	text_append(payload,
		"\x50\x2a\x4d\x18\x04\x00\x00\x00"
		"abcd",
		12);
	fixture_zstd(payload, tar);
}

static void bend_skippable_last(struct text *payload, struct span tar)
{
	fixture_zstd(payload, tar);
	text_append(payload,
		"\x50\x2a\x4d\x18\x04\x00\x00\x00"
		"abcd",
		12);
}

static void bend_cut(struct text *payload, struct span tar)
{
	fixture_zstd(payload, tar);
	payload->len -= 1;
}

static void bend_window(struct text *payload, struct span tar)
{
	fixture_zstd_header(payload, 24);
	fixture_zstd_raw(payload, tar, true);
}

static void bend_reserved_block(struct text *payload, struct span tar)
{
	(void)tar;
	fixture_zstd_header(payload, 17);
	text_append(payload, "\x07\x00\x00", 3);
}

static void bend_dictionary(struct text *payload, struct span tar)
{
	fixture_zstd(payload, tar);
	payload->data[4] |= 1;
}

static void bend_plain_tar(struct text *payload, struct span tar)
{
	text_append_span(payload, tar);
}

static void bend_twice(struct text *payload, struct span tar)
{
	struct text inner;

	text_init(&inner);
	fixture_zstd(&inner, tar);
	fixture_zstd(payload, text_span(&inner));
	text_done(&inner);
}

static void bend_gzip(struct text *payload, struct span tar)
{
	(void)tar;
	text_append(payload, "\x1f\x8b\x08\0\0\0\0\0\0\x03\x03\0\0\0\0\0\0\0\0\0", 20);
}

TEST(package_unpack__the_bending_itself_is_honest)
{
	EXPECT_INT(install_bent(bend_none, 0), ==, 0);
}

TEST(package_unpack__zeros_up_to_the_signed_size_may_follow)
{
	EXPECT_INT(install_bent(bend_trailing_zeros, 4096), ==, 0);
}

TEST(package_unpack__more_zeros_than_signed_are_refused)
{
	EXPECT_INT(install_bent(bend_trailing_zeros, 4095), ==, ERR_UNPACKED_SIZE);
}

TEST(package_unpack__fewer_bytes_than_signed_are_refused)
{
	EXPECT_INT(install_bent(bend_none, 1), ==, ERR_UNPACKED_SIZE);
}

TEST(package_unpack__bytes_behind_the_archive_are_refused)
{
	EXPECT_INT(install_bent(bend_trailing_bytes, 4), ==, ERR_ARCHIVE_TRAILING);
}

TEST(package_unpack__an_archive_without_end_is_refused)
{
	EXPECT_INT(install_bent(bend_no_end, 0), ==, ERR_ARCHIVE_CORRUPT);
}

TEST(package_unpack__an_archive_with_half_an_end_is_refused)
{
	EXPECT_INT(install_bent(bend_half_end, 0), ==, ERR_ARCHIVE_CORRUPT);
}

TEST(package_unpack__two_frames_are_refused)
{
	EXPECT_INT(install_bent(bend_two_frames, 1), ==, ERR_ZSTD_FRAME);
}

TEST(package_unpack__a_skippable_frame_in_front_is_refused)
{
	EXPECT_INT(install_bent(bend_skippable_first, 0), ==, ERR_ZSTD_FRAME);
}

TEST(package_unpack__a_skippable_frame_behind_is_refused)
{
	EXPECT_INT(install_bent(bend_skippable_last, 0), ==, ERR_ZSTD_FRAME);
}

TEST(package_unpack__a_frame_cut_short_is_refused)
{
	EXPECT_INT(install_bent(bend_cut, 0), ==, ERR_ZSTD_FRAME);
}

TEST(package_unpack__a_large_window_is_refused)
{
	EXPECT_INT(install_bent(bend_window, 0), ==, ERR_ZSTD_WINDOW);
}

TEST(package_unpack__a_reserved_block_type_is_refused)
{
	EXPECT_INT(install_bent(bend_reserved_block, 0), ==, ERR_ZSTD_FRAME);
}

TEST(package_unpack__a_dictionary_is_refused)
{
	EXPECT_INT(install_bent(bend_dictionary, 0), ==, ERR_ZSTD_FRAME);
}

TEST(package_unpack__a_payload_that_is_not_compressed_is_refused)
{
	EXPECT_INT(install_bent(bend_plain_tar, 0), ==, ERR_ZSTD_FRAME);
}

TEST(package_unpack__a_second_layer_of_zstd_is_not_undone)
{
	EXPECT_INT(install_bent(bend_twice, 0), ==, ERR_ARCHIVE_CORRUPT);
}

TEST(package_unpack__other_compression_is_refused)
{
	EXPECT_INT(install_bent(bend_gzip, 0), ==, ERR_ZSTD_FRAME);
}

/* ---- bombs ----------------------------------------------------------------------------------- */

#define BOMB_BYTES (UINT64_C(10) << 30)

/* Ten gigabytes of zeros in some 300 kilobytes of frame, behind one file's header. */
static void make_bomb(struct fixture *f, struct text *payload, uint64_t claimed)
{
	struct text tar;

	text_init(&tar);
	fixture_tar_entry(&tar, &(struct fixture_entry){ .path = f->entry_path, .mode = 0755 });
	fixture_zstd_header(payload, 17);
	fixture_zstd_raw(payload, text_span(&tar), false);
	for (uint64_t n = 0; n < BOMB_BYTES; n += 128u << 10)
		fixture_zstd_zeros(payload, 128u << 10, n + (128u << 10) >= BOMB_BYTES);
	EXPECT_UINT(payload->len, <, 1u << 20);
	if (claimed)
		(void)json_array_append_new(json_object_get(f->manifest, "files"),
			json_pack("{ss sI ss ss}", "path", f->entry_path, "size",
				(json_int_t)claimed, "mode", "0755", "sha256",
				"00000000000000000000000000000000"
				"00000000000000000000000000000000"));
	else
		fixture_list(f->manifest, f->entry_path, SPAN_NONE, "0755");
	text_done(&tar);
}

static int install_bomb(uint64_t claimed, uint64_t unpacked)
{
	struct rlimit memory = { 64u << 20, 64u << 20 }, files = { 64u << 20, 64u << 20 };
	struct fixture f;
	struct error err;
	struct text payload;
	int rc;

	fixture_init(&f);
	text_init(&payload);
	make_bomb(&f, &payload, claimed);
	if (!FIXTURE_SANITIZED)
		EXPECT_INT(setrlimit(RLIMIT_DATA, &memory), ==, 0);
	EXPECT_INT(setrlimit(RLIMIT_FSIZE, &files), ==, 0);
	rc = install_payload(&f, text_span(&payload), unpacked, &err);
	text_done(&payload);
	fixture_done(&f);
	return rc;
}

TEST(package_unpack__a_bomb_that_says_its_size_is_refused_by_the_limit)
{
	EXPECT_INT(install_bomb(BOMB_BYTES / 2, BOMB_BYTES + 512), ==, ERR_UNPACKED_SIZE);
}

TEST(package_unpack__a_bomb_that_lies_about_its_size_is_refused)
{
	EXPECT_INT(install_bomb(0, 4096), ==, ERR_UNPACKED_SIZE);
}

TEST(package_unpack__a_file_that_grows_past_what_is_signed_is_refused)
{
	EXPECT_INT(install_bomb(1u << 20, 4096), ==, ERR_ENTRY_SIZE);
}

TEST(package_unpack__nothing_is_overwritten)
{
	struct fixture f;
	struct error err;
	int fd;

	fixture_init(&f);
	fixture_add_entry(&f, "good");
	fd = fixture_finish(&f);
	EXPECT_OK(fixture_install(&f, fd, &err), &err);
	EXPECT_INT(fixture_install(&f, fd, &err), ==, ERR_SYSTEM);
	(void)close(fd);
	fixture_done(&f);
}

TEST(package_unpack__a_link_planted_in_the_folder_is_not_followed)
{
	struct fixture f;
	struct error err;
	int fd;

	fixture_init(&f);
	fixture_add_entry(&f, "good");
	fd = fixture_finish(&f);
	EXPECT_INT(mkdir("out", 0755), ==, 0);
	EXPECT_INT(mkdir("out/elsewhere", 0755), ==, 0);
	EXPECT_INT(symlink("elsewhere", "out/files"), ==, 0);
	EXPECT_INT(fixture_install(&f, fd, &err), ==, ERR_SYSTEM);
	EXPECT_INT(rmdir("out/elsewhere"), ==, 0);
	(void)close(fd);
	fixture_done(&f);
}

TEST(package_unpack__checking_alone_writes_nothing)
{
	struct fixture f;
	struct error err;
	struct package *pkg = NULL;
	int fd;

	fixture_init(&f);
	fixture_add_entry(&f, "good");
	fd = fixture_finish(&f);
	EXPECT_OK(package_open(&pkg, fd, &f.options, &err), &err);
	EXPECT_OK(package_unpack(pkg, -1, &err), &err);
	EXPECT_INT(fixture_strays(), ==, 0);
	EXPECT_INT(access("out", F_OK), ==, -1);
	package_free(pkg);
	(void)close(fd);
	fixture_done(&f);
}

TEST(package_unpack__a_durable_package_unpacks_the_same)
{
	struct fixture f;
	struct error err;
	int fd;

	fixture_init(&f);
	f.options.durable = true;
	fixture_add_entry(&f, "good");
	fixture_add_file(&f, "share/a/b/c", "deep");
	fixture_add_file(&f, "share/a/d", "less deep");
	fd = fixture_finish(&f);
	EXPECT_OK(fixture_install(&f, fd, &err), &err);
	EXPECT_INT(access("out/files/share/a/b/c", F_OK), ==, 0);
	(void)close(fd);
	fixture_done(&f);
}
