/* qr.h - a text as a QR code, for a terminal or as SVG
 *
 * Error correction M, with the quiet zone that scanners need. What is encoded may be a secret: it
 * is neither kept nor logged. [any thread]
 */
#ifndef MORTISE_CODEC_QR_H
#define MORTISE_CODEC_QR_H

#include <stdbool.h>

#include "base/text.h"

struct error;

#define QR_TEXT_MAX 2048 /* bytes */

/* Append lines of half blocks, two rows of modules a line. coloured: dark on light by SGR codes,
 * whatever the terminal's own colours are; without, light modules are drawn, which reads right
 * where the letters are lighter than their ground. ERR_TOO_LARGE: not 1 to QR_TEXT_MAX bytes. */
int qr_append_terminal(struct text *out, struct span text, bool coloured, struct error *err);

/* Append one SVG element that refers to nothing outside, sized by its viewBox. Errors alike. */
int qr_append_svg(struct text *out, struct span text, struct error *err);

#endif
