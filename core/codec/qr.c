/* libqrencode makes the matrix (ISO/IEC 18004); both drawings are a few lines over it, so no image
 * library is needed.
 */
#include "codec/qr.h"

#include <errno.h>
#include <stdlib.h>

#include <qrencode.h>

#include "base/error.h"
#include "base/mem.h"

#define QUIET          4 /* light modules around, as the standard wants */
#define SMALLEST       0 /* the version: the smallest that the text fits in */
#define MODULE_DARK    1 /* a module's lowest bit; the others say what it is for */
#define BLACK_ON_WHITE "\033[38;5;16;48;5;231m"
#define PLAIN          "\033[0m"

static void free_code(QRcode *code)
{
	if (!code)
		return;
	mem_wipe(code->data, (size_t)code->width * (size_t)code->width);
	QRcode_free(code);
}
CLEANUP_FUNCTION(QRcode, free_code)

static int encode(QRcode **out, struct span text, struct error *err)
{
	if (text.len == 0 || text.len > QR_TEXT_MAX)
		return error_set(err, ERR_TOO_LARGE, "a QR code holds 1 to %d bytes, not %zu",
			QR_TEXT_MAX, text.len);
	*out = QRcode_encodeData(
		(int)text.len, (const unsigned char *)text.data, SMALLEST, QR_ECLEVEL_M);
	return *out ? 0 : error_set_errno(err, errno, "make a QR code");
}

/* Outside the matrix is the quiet zone. */
static bool is_dark(const QRcode *code, int x, int y)
{
	return x >= 0 && y >= 0 && x < code->width && y < code->width &&
	       (code->data[y * code->width + x] & MODULE_DARK);
}

int qr_append_terminal(struct text *out, struct span text, bool coloured, struct error *err)
{
	static const char *const blocks[2][2] = { { " ", "▄" }, { "▀", "█" } }; /* top, bottom */
	CLEANUP(free_codep) QRcode *code = NULL;
	int rc = encode(&code, text, err);

	if (rc < 0)
		return rc;
	for (int y = -QUIET; y < code->width + QUIET; y += 2) {
		if (coloured)
			text_append_string(out, BLACK_ON_WHITE);
		for (int x = -QUIET; x < code->width + QUIET; x++)
			text_append_string(out, blocks[is_dark(code, x, y) == coloured]
						      [is_dark(code, x, y + 1) == coloured]);
		text_append_string(out, coloured ? PLAIN "\n" : "\n");
	}
	return 0;
}

int qr_append_svg(struct text *out, struct span text, struct error *err)
{
	CLEANUP(free_codep) QRcode *code = NULL;
	int rc = encode(&code, text, err), side;

	if (rc < 0)
		return rc;
	side = code->width + 2 * QUIET;
	text_printf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" "
		"shape-rendering=\"crispEdges\"><path fill=\"#fff\" d=\"M0 0h%dv%dH0z\"/>"
		"<path d=\"",
		side, side, side, side);
	/* A run of dark modules is one rectangle. */
	for (int y = 0; y < code->width; y++)
		for (int x = 0; x < code->width; x++) {
			int from = x;

			while (is_dark(code, x, y))
				x++;
			if (x > from)
				text_printf(out, "M%d %dh%dv1h-%dz", from + QUIET, y + QUIET,
					x - from, x - from);
		}
	text_append_string(out, "\"/></svg>");
	return 0;
}
