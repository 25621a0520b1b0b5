/* base64.h - RFC 4648 section 4, one text for one sequence of bytes
 *
 * Decoding accepts what encoding makes and nothing else: no white space, padding complete, unused
 * bits zero. So two different texts never mean the same bytes. [any thread]
 */
#ifndef MORTISE_CODEC_BASE64_H
#define MORTISE_CODEC_BASE64_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

/* Characters that len bytes take, without a NUL. */
#define BASE64_LENGTH(len) (((len) + 2) / 3 * 4)

void base64_append(struct text *out, const void *data, size_t len);

/* Append the bytes of encoded; false, with out unchanged, when it is not canonical base64. */
bool base64_decode(struct text *out, struct span encoded);

#endif
