#include <stdio.h>

#include "base/assert.h"
#include "base/error.h"
#include "codec/shown.h"
#include "package/manifest.h"
#include "package/tar_priv.h"

/* The fields of a header: offset and length. */
#define NAME     0, 100
#define MODE     100, 8
#define SIZE     124, 12
#define CHECKSUM 148, 8
#define TYPE     156
#define LINK     157, 100
#define MAGIC    257, 8
#define PREFIX   345, 155
#define TAIL     500, 12

#define NAME_MAX_LENGTH   100
#define PREFIX_MAX_LENGTH 155

static const char magic_ustar[8] = { 'u', 's', 't', 'a', 'r', '\0', '0', '0' };
/* GNU tar's own form; a regular file with a short name has the same fields in it. */
static const char magic_gnu[8] = { 'u', 's', 't', 'a', 'r', ' ', ' ', '\0' };

static struct span field(const uint8_t *block, size_t offset, size_t len)
{
	return (struct span){ (const char *)block + offset, len };
}

/* Where path is cut: the length of the prefix, 0 for none, or path.len when it cannot be cut. */
static size_t cut(struct span path)
{
	if (path.len <= NAME_MAX_LENGTH)
		return 0;
	for (size_t i = path.len - NAME_MAX_LENGTH - 1; i <= PREFIX_MAX_LENGTH && i < path.len; i++)
		if (path.data[i] == '/' && i > 0 && i + 1 < path.len)
			return i;
	return path.len;
}

bool tar_path_fits(struct span path)
{
	return path.len > 0 && cut(path) < path.len;
}

size_t tar_padding(uint64_t size)
{
	return (size_t)((TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK);
}

bool tar_is_zero(const void *data, size_t len)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < len; i++)
		if (p[i])
			return false;
	return true;
}

/* digits octal digits and a NUL. */
static void put_octal(uint8_t *out, int digits, uint64_t value)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%0*llo", digits, (unsigned long long)value);
	memcpy(out, text, (size_t)digits + 1);
}

static unsigned checksum(const uint8_t *block)
{
	unsigned sum = 0;

	for (size_t i = 0; i < TAR_BLOCK; i++)
		sum += i >= 148 && i < 156 ? ' ' : block[i];
	return sum;
}

void tar_render(uint8_t out[static TAR_BLOCK], struct span path, uint64_t size, unsigned mode)
{
	size_t prefix = cut(path), name = prefix ? prefix + 1 : 0;

	ASSERT(tar_path_fits(path) && size <= TAR_SIZE_MAX);
	memset(out, 0, TAR_BLOCK);
	memcpy(out, path.data + name, path.len - name);
	put_octal(out + 100, 7, mode);
	put_octal(out + 108, 7, 0);
	put_octal(out + 116, 7, 0);
	put_octal(out + 124, 11, size);
	put_octal(out + 136, 11, 0);
	out[TYPE] = '0';
	memcpy(out + 257, magic_ustar, sizeof(magic_ustar));
	put_octal(out + 329, 7, 0);
	put_octal(out + 337, 7, 0);
	memcpy(out + 345, path.data, prefix);
	put_octal(out + 148, 6, checksum(out));
	out[155] = ' ';
}

/* Octal digits, at least one, then NULs and spaces only. */
static bool get_octal(struct span text, uint64_t *out)
{
	uint64_t value = 0;
	size_t i = 0;

	for (; i < text.len && text.data[i] >= '0' && text.data[i] <= '7'; i++)
		value = value << 3 | (uint64_t)(text.data[i] - '0');
	if (i == 0)
		return false;
	for (size_t rest = i; rest < text.len; rest++)
		if (text.data[rest] != '\0' && text.data[rest] != ' ')
			return false;
	*out = value;
	return true;
}

bool tar_claimed_size(const uint8_t block[static TAR_BLOCK], uint64_t *size)
{
	return get_octal(field(block, SIZE), size);
}

static int check_type(const uint8_t *block, struct error *err)
{
	char type = (char)block[TYPE];
	struct span all = field(block, NAME), name = all;

	(void)span_split(&all, '\0', &name);
	switch (type) {
	case '0':
		return 0;
	case '1':
	case '2':
		return error_set(err, ERR_ENTRY_LINK, "'%s' is a %s link", shown(name).text,
			type == '1' ? "hard" : "symbolic");
	case '3':
	case '4':
		return error_set(err, ERR_ENTRY_DEVICE, "'%s' is a device", shown(name).text);
	case '5':
		return error_set(err, ERR_ENTRY_FOLDER, "'%s' is a folder", shown(name).text);
	case '6':
		return error_set(err, ERR_ENTRY_FIFO, "'%s' is a named pipe", shown(name).text);
	case 'S':
		return error_set(err, ERR_ENTRY_SPARSE, "'%s' is a sparse file", shown(name).text);
	case 'x':
	case 'g':
	case 'X':
		return error_set(err, ERR_ENTRY_EXTENSION, "there is a pax header");
	case 'K':
	case 'L':
		return error_set(err, ERR_ENTRY_EXTENSION, "there is a GNU long name");
	default:
		return error_set(err, ERR_ENTRY_TYPE, "'%s' is of type 0x%02x", shown(name).text,
			block[TYPE]);
	}
}

/* The text of a field up to its first NUL; what stands behind is a way to hide a name. */
static int get_text(struct span all, struct span *out, struct error *err)
{
	struct span rest = all;

	(void)span_split(&rest, '\0', out);
	if (rest.data && !tar_is_zero(rest.data, rest.len))
		return error_set(err, ERR_PATH_NAME, "'%s' has a NUL inside", shown(all).text);
	return 0;
}

static int read_path(struct tar_entry *entry, const uint8_t *block, bool gnu, struct error *err)
{
	struct span name, prefix;
	int rc = get_text(field(block, NAME), &name, err);

	if (rc == 0)
		rc = get_text(field(block, PREFIX), &prefix, err);
	if (rc < 0)
		return rc;
	/* GNU keeps other things there, none of which a plain file needs. */
	if (gnu && prefix.len)
		return error_set(err, ERR_ENTRY_EXTENSION, "'%s' has fields of GNU's format",
			shown(name).text);
	(void)snprintf(entry->path, sizeof(entry->path), "%.*s%s%.*s", SPAN_ARG(prefix),
		prefix.len ? "/" : "", SPAN_ARG(name));
	return manifest_check_path(span_of(entry->path), err);
}

int tar_read(struct tar_entry *out, const uint8_t block[static TAR_BLOCK], struct error *err)
{
	struct tar_entry entry;
	uint64_t sum, mode;
	bool gnu = memcmp(block + 257, magic_gnu, sizeof(magic_gnu)) == 0;
	int rc;

	if (!get_octal(field(block, CHECKSUM), &sum) || sum != checksum(block))
		return error_set(err, ERR_ARCHIVE_CORRUPT, "a header's checksum is wrong");
	rc = check_type(block, err);
	if (rc < 0)
		return rc;
	if (!gnu && memcmp(block + 257, magic_ustar, sizeof(magic_ustar)) != 0)
		return error_set(err, ERR_ENTRY_EXTENSION, "there is a header that is not ustar");
	rc = read_path(&entry, block, gnu, err);
	if (rc < 0)
		return rc;
	if (!tar_is_zero(field(block, LINK).data, field(block, LINK).len))
		return error_set(err, ERR_ENTRY_LINK, "'%s' has the target of a link", entry.path);
	if (!tar_is_zero(field(block, TAIL).data, field(block, TAIL).len))
		return error_set(
			err, ERR_ENTRY_EXTENSION, "'%s' has bytes behind its header", entry.path);
	if (!get_octal(field(block, MODE), &mode) || mode > 07777)
		return error_set(err, ERR_ENTRY_MODE, "'%s' has no valid mode", entry.path);
	if (!get_octal(field(block, SIZE), &entry.size))
		return error_set(
			err, ERR_ENTRY_EXTENSION, "'%s' has a size that is not octal", entry.path);
	entry.mode = (unsigned)mode;
	*out = entry;
	return 0;
}
