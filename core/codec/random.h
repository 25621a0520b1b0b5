/* random.h - bytes that nobody can guess
 *
 * From the operating system's generator by way of OpenSSL's; when there is none, the process ends
 * rather than go on with weak bytes. [any thread]
 */
#ifndef MORTISE_CODEC_RANDOM_H
#define MORTISE_CODEC_RANDOM_H

#include <stddef.h>
#include <stdint.h>

void random_bytes(void *out, size_t len);

/* Evenly one of 0 to below - 1; below is not 0. */
uint32_t random_below(uint32_t below);

/* len characters, each evenly one of alphabet's (2 to 256 of them), and a NUL. */
void random_text(char *out, size_t len, const char *alphabet);

#endif
