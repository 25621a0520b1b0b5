/* The decompressor's memory is the window that the frame asks for, and libarchive puts no limit on
 * it; nor does it say whether a second or a skippable frame followed. So the frame header is read
 * here, and the blocks are walked by their three-byte headers. */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "package/zstd_priv.h"

#define MAGIC           UINT32_C(0xfd2fb528)
#define SKIPPABLE       UINT32_C(0x184d2a50)
#define SKIPPABLE_MASK  UINT32_C(0xfffffff0)
#define HEADER_SHORTEST 5
#define BLOCK_HEADER    3
#define BLOCK_MAX       (128u << 10)
#define CHECKSUM_SIZE   4

/* Descriptor bits. */
#define HAS_CHECKSUM   (1u << 2)
#define RESERVED       (1u << 3)
#define UNUSED         (1u << 4)
#define SINGLE_SEGMENT (1u << 5)

enum block_type { BLOCK_RAW, BLOCK_RLE, BLOCK_COMPRESSED, BLOCK_RESERVED };

/* A small window on the file: block headers lie near each other or far apart, never in between. */
struct reader {
	int fd;
	uint64_t size;
	uint64_t start; /* offset of data[0] */
	size_t len;
	uint8_t data[4096];
};

/* len (at most 16) bytes at offset, or NULL when the file ends before. */
static const uint8_t *look(struct reader *r, uint64_t offset, size_t len)
{
	if (offset > r->size || len > r->size - offset)
		return NULL;
	if (offset < r->start || offset + len > r->start + r->len) {
		ssize_t n;

		do
			n = pread(r->fd, r->data, sizeof(r->data), (off_t)offset);
		while (n == -1 && errno == EINTR);
		r->start = offset;
		r->len = n > 0 ? (size_t)n : 0;
		if (r->len < len)
			return NULL;
	}
	return r->data + (offset - r->start);
}

static uint64_t little_endian(const uint8_t *p, size_t n)
{
	uint64_t value = 0;

	while (n-- > 0)
		value = value << 8 | p[n];
	return value;
}

struct frame {
	uint64_t window;
	uint64_t content; /* UINT64_MAX: not stated */
	uint64_t blocks;  /* offset of the first block */
	uint8_t descriptor;
};

static int truncated(struct error *err)
{
	return error_set(err, ERR_ZSTD_FRAME, "the zstd frame is cut short");
}

static int read_descriptor(struct reader *r, uint8_t *out, struct error *err)
{
	const uint8_t *p = look(r, 0, HEADER_SHORTEST);
	uint32_t magic;

	if (!p)
		return truncated(err);
	magic = (uint32_t)little_endian(p, 4);
	if ((magic & SKIPPABLE_MASK) == SKIPPABLE)
		return error_set(err, ERR_ZSTD_FRAME, "the payload begins with a skippable frame");
	if (magic != MAGIC)
		return error_set(err, ERR_ZSTD_FRAME, "the payload is not zstd");
	if (p[4] & (RESERVED | UNUSED))
		return error_set(err, ERR_ZSTD_FRAME, "the zstd frame has reserved bits set");
	if (p[4] & 3)
		return error_set(err, ERR_ZSTD_FRAME, "the zstd frame needs a dictionary");
	*out = p[4];
	return 0;
}

static int read_header(struct reader *r, struct frame *out, struct error *err)
{
	static const size_t content_sizes[] = { 0, 2, 4, 8 };
	struct frame frame = { .content = UINT64_MAX, .blocks = HEADER_SHORTEST };
	int rc = read_descriptor(r, &frame.descriptor, err);
	bool single = frame.descriptor & SINGLE_SEGMENT;
	size_t len = content_sizes[frame.descriptor >> 6];
	const uint8_t *p;

	if (rc < 0)
		return rc;
	if (!single) {
		p = look(r, frame.blocks++, 1);
		if (!p)
			return truncated(err);
		frame.window = UINT64_C(1) << (10 + (*p >> 3));
		frame.window += frame.window / 8 * (*p & 7);
	}
	if (single && len == 0)
		len = 1;
	if (len) {
		p = look(r, frame.blocks, len);
		if (!p)
			return truncated(err);
		frame.content = little_endian(p, len) + (len == 2 ? 256 : 0);
		frame.blocks += len;
	}
	if (single)
		frame.window = frame.content;
	*out = frame;
	return 0;
}

static int walk_blocks(
	struct reader *r, const struct frame *frame, uint64_t *end, struct error *err)
{
	uint64_t at = frame->blocks;
	bool last = false;

	while (!last) {
		const uint8_t *p = look(r, at, BLOCK_HEADER);
		uint32_t header, size;
		enum block_type type;

		if (!p)
			return truncated(err);
		header = (uint32_t)little_endian(p, BLOCK_HEADER);
		last = header & 1;
		type = (enum block_type)(header >> 1 & 3);
		size = header >> 3;
		if (type == BLOCK_RESERVED || size > BLOCK_MAX)
			return error_set(
				err, ERR_ZSTD_FRAME, "the zstd frame has an invalid block");
		at += BLOCK_HEADER + (type == BLOCK_RLE ? 1 : size);
		if (at > r->size)
			return truncated(err);
	}
	*end = at + (frame->descriptor & HAS_CHECKSUM ? CHECKSUM_SIZE : 0);
	return 0;
}

int zstd_check_frame(
	int fd, uint64_t size, uint64_t unpacked, uint64_t window_max, struct error *err)
{
	struct reader reader = { .fd = fd, .size = size };
	struct frame frame = { 0 };
	uint64_t end = 0;
	int rc = read_header(&reader, &frame, err);

	if (rc < 0)
		return rc;
	if (frame.window > window_max)
		return error_set(err, ERR_ZSTD_WINDOW,
			"the zstd frame asks for a window of %llu bytes; %llu are allowed",
			(unsigned long long)frame.window, (unsigned long long)window_max);
	if (frame.content != UINT64_MAX && frame.content != unpacked)
		return error_set(err, ERR_UNPACKED_SIZE,
			"the zstd frame holds %llu bytes; the manifest says %llu",
			(unsigned long long)frame.content, (unsigned long long)unpacked);
	rc = walk_blocks(&reader, &frame, &end, err);
	if (rc < 0)
		return rc;
	if (end > size)
		return truncated(err);
	if (end < size)
		return error_set(err, ERR_ZSTD_FRAME, "%llu bytes follow the payload's zstd frame",
			(unsigned long long)(size - end));
	return 0;
}
