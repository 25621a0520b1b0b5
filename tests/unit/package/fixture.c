#include "fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "codec/digest.h"
#include "codec/json.h"
#include "lib/test.h"
#include "package/build.h"
#include "package/manifest.h"
#include "package/tar_priv.h"

#define FILE_LIMIT (16u << 20)
#define BLOCK_MAX  (128u << 10)

void fixture_object(const char *name, struct text *out)
{
	CLEANUP(mem_freep) char *path = mem_printf("%s/tests/plugins/%s.so", test_build(), name);
	struct error err;

	EXPECT_OK(io_read_file(AT_FDCWD, path, FILE_LIMIT, out, &err), &err);
}

int fixture_file(struct span bytes)
{
	int fd = memfd_create("fixture", MFD_CLOEXEC);
	struct error err;

	EXPECT_INT(fd, !=, -1);
	EXPECT_OK(io_write_all(fd, bytes.data, bytes.len, &err), &err);
	return fd;
}

void fixture_read(int fd, struct text *out)
{
	struct stat st;
	struct error err;

	EXPECT_INT(fstat(fd, &st), ==, 0);
	EXPECT_INT(lseek(fd, 0, SEEK_SET), ==, 0);
	EXPECT_OK(io_read_all(fd, text_reserve(out, (size_t)st.st_size), (size_t)st.st_size, &err),
		&err);
	text_grown(out, (size_t)st.st_size);
}

int fixture_object_fd(const char *name, size_t size)
{
	struct text bytes;
	struct span part;
	int fd;

	text_init(&bytes);
	fixture_object(name, &bytes);
	part = text_span(&bytes);
	if (size)
		part.len = size;
	fd = fixture_file(part);
	text_done(&bytes);
	return fd;
}

static void set_checksum(uint8_t *block)
{
	unsigned sum = 0;

	memset(block + 148, ' ', 8);
	for (size_t i = 0; i < TAR_BLOCK; i++)
		sum += block[i];
	(void)snprintf((char *)block + 148, 8, "%06o", sum);
	block[155] = ' ';
}

void fixture_tar_entry(struct text *tar, const struct fixture_entry *entry)
{
	static const uint8_t zeros[TAR_BLOCK];
	uint8_t block[TAR_BLOCK];

	tar_render(block,
		span_of(entry->path && tar_path_fits(span_of(entry->path)) ? entry->path : "x"),
		entry->data.len, entry->mode ? entry->mode : 0644);
	if (entry->raw_name)
		memcpy(block, entry->raw_name, 100);
	if (entry->type)
		block[156] = (uint8_t)entry->type;
	if (entry->link)
		memcpy(block + 157, entry->link, strlen(entry->link));
	if (entry->size_field)
		memcpy(block + 124, entry->size_field, 12);
	if (entry->gnu)
		memcpy(block + 257, "ustar  ", 8);
	set_checksum(block);
	text_append(tar, block, sizeof(block));
	text_append_span(tar, entry->data);
	text_append(tar, zeros, tar_padding(entry->data.len));
}

void fixture_tar_end(struct text *tar)
{
	static const uint8_t zeros[TAR_END];

	text_append(tar, zeros, sizeof(zeros));
}

void fixture_zstd_header(struct text *out, unsigned window_log)
{
	const uint8_t head[] = { 0x28, 0xb5, 0x2f, 0xfd, 0, (uint8_t)((window_log - 10) << 3) };

	text_append(out, head, sizeof(head));
}

static void block_header(struct text *out, uint32_t size, unsigned type, bool last)
{
	uint32_t value = size << 3 | type << 1 | (last ? 1u : 0u);
	const uint8_t bytes[] = { (uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16) };

	text_append(out, bytes, sizeof(bytes));
}

void fixture_zstd_raw(struct text *out, struct span data, bool last)
{
	block_header(out, (uint32_t)data.len, 0, last);
	text_append_span(out, data);
}

void fixture_zstd_zeros(struct text *out, uint32_t count, bool last)
{
	block_header(out, count, 1, last);
	text_append_char(out, '\0');
}

void fixture_zstd(struct text *out, struct span data)
{
	fixture_zstd_header(out, 17);
	while (data.len > BLOCK_MAX) {
		fixture_zstd_raw(out, (struct span){ data.data, BLOCK_MAX }, false);
		data.data += BLOCK_MAX;
		data.len -= BLOCK_MAX;
	}
	fixture_zstd_raw(out, data, true);
}

static char *entry_path(void)
{
	return mem_printf("lib/%s/hello.so", manifest_host_triplet());
}

json_t *fixture_manifest(void)
{
	CLEANUP(mem_freep) char *path = entry_path();

	return json_pack("{ss ss ss s{ss} s{s[ss] s[s]} s[]}", "name", "acme/hello", "version",
		"1.0.0", "display_name", "Hello", "entry", manifest_host_triplet(), path,
		"requires", "abi", "mortise.core/1", "mortise.http/1", "optional",
		"mortise.timer/1", "files");
}

void fixture_list(json_t *manifest, const char *path, struct span data, const char *mode)
{
	char hex[SHA256_HEX_SIZE];

	sha256_hex(data, hex);
	(void)json_array_append_new(json_object_get(manifest, "files"),
		json_pack("{ss sI ss ss}", "path", path, "size", (json_int_t)data.len, "mode", mode,
			"sha256", hex));
}

void fixture_payload(json_t *manifest, struct span payload, uint64_t unpacked)
{
	char hex[SHA256_HEX_SIZE];

	sha256_hex(payload, hex);
	(void)json_object_set_new(manifest, "payload",
		json_pack("{sI ss sI}", "size", (json_int_t)payload.len, "sha256", hex,
			"unpacked_size", (json_int_t)unpacked));
}

int fixture_sign(const json_t *manifest, struct span payload, const struct sign_key *key)
{
	int in = fixture_file(payload), out = fixture_file(SPAN_NONE);
	struct text json;
	struct error err;

	text_init(&json);
	json_append(&json, manifest);
	EXPECT_OK(package_sign(text_span(&json), in, key, out, &err), &err);
	text_done(&json);
	(void)close(in);
	return out;
}

void fixture_init(struct fixture *f)
{
	static char name[] = "Acme", acme[] = "acme";
	static char *namespaces[] = { acme };
	struct error err;

	memset(f, 0, sizeof(*f));
	sign_key_generate(&f->key);
	trust_new(&f->trust);
	f->trusted =
		(struct trust_key){ .name = name, .namespaces = namespaces, .namespace_count = 1 };
	memcpy(f->trusted.public_key, sign_key_public(f->key), SIGN_PUBLIC_SIZE);
	sign_key_id(f->trusted.public_key, f->trusted.id);
	EXPECT_OK(trust_put_key(f->trust, &f->trusted, &err), &err);
	f->options = (struct package_options){ .trust = f->trust,
		.environment = "production",
		.triplet = manifest_host_triplet(),
		.scratch_fd = -1 };
	text_init(&f->tar);
	f->manifest = fixture_manifest();
	f->entry_path = entry_path();
}

void fixture_done(struct fixture *f)
{
	sign_key_free(f->key);
	trust_free(f->trust);
	text_done(&f->tar);
	json_decref(f->manifest);
	mem_free(f->entry_path);
}

void fixture_add_entry(struct fixture *f, const char *object)
{
	struct text bytes;

	text_init(&bytes);
	fixture_object(object, &bytes);
	fixture_tar_entry(
		&f->tar, &(struct fixture_entry){
				 .path = f->entry_path, .data = text_span(&bytes), .mode = 0755 });
	fixture_list(f->manifest, f->entry_path, text_span(&bytes), "0755");
	text_done(&bytes);
}

void fixture_add_file(struct fixture *f, const char *path, const char *data)
{
	fixture_tar_entry(&f->tar, &(struct fixture_entry){ .path = path, .data = span_of(data) });
	fixture_list(f->manifest, path, span_of(data), "0644");
}

int fixture_finish(struct fixture *f)
{
	struct text payload;
	int fd;

	text_init(&payload);
	fixture_tar_end(&f->tar);
	fixture_zstd(&payload, text_span(&f->tar));
	fixture_payload(f->manifest, text_span(&payload), f->tar.len);
	fd = fixture_sign(f->manifest, text_span(&payload), f->key);
	text_done(&payload);
	return fd;
}

int fixture_install(struct fixture *f, int fd, struct error *err)
{
	struct package *pkg = NULL;
	int folder, rc;

	(void)mkdir("out", 0755);
	folder = open("out", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	EXPECT_INT(folder, !=, -1);
	rc = package_open(&pkg, fd, &f->options, err);
	if (rc < 0)
		EXPECT_NULL(pkg);
	if (rc == 0)
		rc = package_unpack(pkg, folder, err);
	package_free(pkg);
	(void)close(folder);
	return rc;
}

int fixture_strays(void)
{
	DIR *dir = opendir(".");
	struct dirent *entry;
	int strays = 0;

	while ((entry = readdir(dir)) != NULL)
		strays += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
			  strcmp(entry->d_name, "out") != 0;
	(void)closedir(dir);
	return strays;
}
