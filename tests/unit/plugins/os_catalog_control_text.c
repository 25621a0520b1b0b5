#include "lib/test.h"

#include "../../../plugins/os-catalog/control_text.h"

static const char list[] = "Package: a\nStatus: install ok installed\nDepends: x,\n y (>= 1)\n"
			   "Description: short\n long\n .\n end\nX-Other: z\n more\n\n\n"
			   "# a comment\npackage:b\r\nVERSION:  1.0 \r\nDepends:\n z\n\r\n"
			   "Package: c\nPackage: d";

/* Every stanza as "field|field|...;", the text given in pieces of one size. */
static void read_all(const char *text, size_t size, size_t piece, char *out, size_t out_size)
{
	struct control_text t;
	struct mortise_error err = { 0 };
	size_t used = 0;
	int32_t rc;

	control_text_init(&t);
	out[0] = '\0';
	for (size_t offset = 0; offset <= size; offset += piece) {
		const char *at = text + offset;
		const char *end = text + (size - offset < piece ? size : offset + piece);

		do {
			rc = offset == size ? control_text_end(&t, &err)
					    : control_text_read(&t, &at, end, &err);
			if (rc < 0)
				used += (size_t)snprintf(
					out + used, out_size - used, "!%s", err.text);
			for (int f = 0; rc > 0 && f < CONTROL_FIELD_COUNT; f++) {
				struct mortise_str v =
					control_text_field(&t, (enum control_field)f);

				used += (size_t)snprintf(out + used, out_size - used, "%.*s%c",
					(int)v.size, v.data,
					f + 1 == CONTROL_FIELD_COUNT ? ';' : '|');
			}
		} while (rc > 0 && offset < size);
		if (rc < 0)
			break;
		if (offset < size && size - offset < piece)
			offset = size - piece; /* the next round is the end */
	}
	control_text_done(&t);
}

TEST(os_catalog_control_text__any_split_gives_the_same)
{
	char whole[2048], pieces[2048];

	read_all(list, sizeof(list) - 1, sizeof(list) - 1, whole, sizeof(whole));
	EXPECT_STR(whole, "a|install ok installed||||||x,\ny (>= "
			  "1)|||short\nlong\n.\nend;b|||||1.0||z|||;c||||||||||;");
	for (size_t piece = 1; piece < sizeof(list); piece++) {
		read_all(list, sizeof(list) - 1, piece, pieces, sizeof(pieces));
		EXPECT_STR(pieces, whole);
	}
}

TEST(os_catalog_control_text__what_is_no_list_is_refused_with_its_line)
{
	static const struct {
		const char *text, *why;
	} bad[] = {
		{ "Package: a\nno colon\n", "!line 2: expected 'Field: value'" },
		{ "Package\n", "!line 1: expected 'Field: value'" },
		{ ": x\n", "!line 1: expected 'Field: value'" },
		{ "\x1f\x8b\x08", "!line 1: byte 0x1f is not text" },
		{ "Package: a\x01z\n", "!line 1: byte 0x01 is not text" },
		{ "Package: a\n\nPack", "a||||||||||;!line 3: the text ends in a field's name" },
		{ "0123456789012345678901234567890123456789012345678901234567890123456789: x",
			"!line 1: the field's name is longer" },
	};
	char out[2048];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		read_all(bad[i].text, strlen(bad[i].text), 1, out, sizeof(out));
		ck_assert_msg(strncmp(out, bad[i].why, strlen(bad[i].why)) == 0,
			"expected '%s', got '%s'", bad[i].why, out);
	}
}

TEST(os_catalog_control_text__a_stanza_is_bounded_and_other_fields_are_not_kept)
{
	struct control_text t;
	struct mortise_error err;
	char line[1024];
	const char *at = "Package: big\nOther: x\n";
	int32_t rc;

	control_text_init(&t);
	EXPECT_INT(control_text_read(&t, &at, at + strlen(at), &err), ==, 0);
	memset(line, 'x', sizeof(line));
	line[0] = ' ';
	line[sizeof(line) - 1] = '\n';
	for (int i = 0; i < 1024; i++) {
		at = line;
		EXPECT_INT(control_text_read(&t, &at, line + sizeof(line), &err), ==, 0);
	}
	EXPECT_UINT(t.size, <, 64);
	at = "Description: y\n";
	EXPECT_INT(control_text_read(&t, &at, at + strlen(at), &err), ==, 0);
	do {
		at = line;
		rc = control_text_read(&t, &at, line + sizeof(line), &err);
	} while (rc == 0);
	EXPECT_INT(rc, ==, MORTISE_E_TOO_LARGE);
	EXPECT_UINT(t.capacity, <=, 2 * CONTROL_STANZA_MAX);
	control_text_done(&t);
}
