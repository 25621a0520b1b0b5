/* zstd_priv.h - the payload's zstd frame, looked at before it is decompressed (RFC 8878)
 */
#ifndef MORTISE_PACKAGE_ZSTD_PRIV_H
#define MORTISE_PACKAGE_ZSTD_PRIV_H

#include <stdint.h>

struct error;

/* Check that the size bytes of the file in fd are one frame and nothing else: not skippable, no
 * dictionary, a window of at most window_max, a content size of unpacked if it states one, blocks
 * that end where the file does. ERR_ZSTD_FRAME, ERR_ZSTD_WINDOW, ERR_UNPACKED_SIZE. */
int zstd_check_frame(
	int fd, uint64_t size, uint64_t unpacked, uint64_t window_max, struct error *err);

#endif
