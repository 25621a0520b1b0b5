#include "codec/qr.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "lib/test.h"

#define VERSION_1 21 /* modules of the smallest code */
#define QUIET     4
#define SIDE      (VERSION_1 + 2 * QUIET)

/* The modules of a drawing, dark is true. */
struct modules {
	bool dark[SIDE + 1][SIDE];
};

/* From the text without colours: a block is a light module. */
static struct modules read_terminal(const char *text)
{
	struct modules m = { 0 };
	int x = 0, y = 0;

	while (*text) {
		static const char *const blocks[] = { " ", "▄", "▀", "█" };
		size_t b = 0;

		if (*text == '\n') {
			EXPECT_INT(x, ==, SIDE);
			x = 0;
			y += 2;
			text++;
			continue;
		}
		while (strncmp(text, blocks[b], strlen(blocks[b])) != 0)
			ck_assert_uint_lt(++b, ARRAY_LENGTH(blocks));
		m.dark[y][x] = !(b & 2);
		m.dark[y + 1][x] = !(b & 1);
		x++;
		text += strlen(blocks[b]);
	}
	EXPECT_INT(y, ==, SIDE + 1);
	return m;
}

/* From the runs of the path. */
static struct modules read_svg(const char *svg)
{
	struct modules m = { 0 };
	const char *run = strstr(svg, "<path d=\"");
	int x, y, len, back, used;

	EXPECT_PTR(run);
	run += strlen("<path d=\"");
	while (sscanf(run, "M%d %dh%dv1h-%dz%n", &x, &y, &len, &back, &used) == 4) {
		EXPECT_INT(len, ==, back);
		for (int i = 0; i < len; i++)
			m.dark[y][x + i] = true;
		run += used;
	}
	EXPECT_STR(run, "\"/></svg>");
	return m;
}

TEST(codec_qr__both_drawings_show_the_same_modules)
{
	struct text terminal, svg;
	struct modules a, b;
	struct error err;
	unsigned dark = 0;

	text_init(&terminal);
	text_init(&svg);
	EXPECT_OK(qr_append_terminal(&terminal, SPAN("mortise"), false, &err), &err);
	EXPECT_OK(qr_append_svg(&svg, SPAN("mortise"), &err), &err);
	a = read_terminal(terminal.data);
	b = read_svg(svg.data);
	EXPECT_INT(memcmp(&a, &b, sizeof(a.dark[0]) * SIDE), ==, 0);
	for (int y = 0; y < SIDE; y++)
		for (int x = 0; x < SIDE; x++) {
			bool quiet =
				x < QUIET || y < QUIET || x >= SIDE - QUIET || y >= SIDE - QUIET;

			EXPECT_FALSE(quiet && a.dark[y][x]);
			dark += a.dark[y][x];
		}
	ck_assert_uint_gt(dark, VERSION_1 * VERSION_1 / 4);
	/* The finder pattern: a dark ring of 7, a light one, a dark square of 3. */
	for (int i = 0; i < 7; i++) {
		EXPECT_TRUE(a.dark[QUIET][QUIET + i] && a.dark[QUIET + 6][QUIET + i]);
		EXPECT_TRUE(a.dark[QUIET + 3][QUIET + i] == (i != 1 && i != 5));
	}
	text_done(&terminal);
	text_done(&svg);
}

TEST(codec_qr__a_coloured_drawing_sets_and_ends_its_colours_on_each_line)
{
	struct text out;
	struct error err;
	size_t lines = 0;

	text_init(&out);
	EXPECT_OK(qr_append_terminal(&out, SPAN("mortise"), true, &err), &err);
	for (char *line = out.data; *line; line = strchr(line, '\n') + 1, lines++) {
		EXPECT_INT(strncmp(line, "\033[38;5;16;48;5;231m", 19), ==, 0);
		EXPECT_INT(strncmp(strchr(line, '\n') - 4, "\033[0m", 4), ==, 0);
	}
	EXPECT_UINT(lines, ==, (SIDE + 1) / 2);
	text_done(&out);
}

TEST(codec_qr__too_long_a_text_is_refused_and_leaves_the_output)
{
	char *text = mem_zalloc(QR_TEXT_MAX + 1);
	struct text out;

	memset(text, 'x', QR_TEXT_MAX + 1);
	text_init(&out);
	EXPECT_INT(qr_append_svg(&out, (struct span){ text, QR_TEXT_MAX + 1 }, NULL), ==,
		ERR_TOO_LARGE);
	EXPECT_INT(qr_append_terminal(&out, SPAN(""), false, NULL), ==, ERR_TOO_LARGE);
	EXPECT_UINT(out.len, ==, 0);
	EXPECT_INT(qr_append_svg(&out, (struct span){ text, QR_TEXT_MAX }, NULL), ==, 0);
	text_done(&out);
	mem_free(text);
}
