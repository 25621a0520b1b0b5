#include "base/elf_note.h"

#include "base/error.h"
#include "base/mem.h"
#include "lib/test.h"

static int parse(struct span text, struct elf_note *note)
{
	return elf_note_parse(note, text.data, text.len, NULL);
}

TEST(base_elf_note__what_the_sdk_writes_is_read)
{
	struct elf_note note;

	EXPECT_INT(parse((struct span){ "id=acme/hello\nversion=1.0.0\nneed=mortise.core/1\n"
					"want=catalog/1\n",
				 strlen("id=acme/hello\nversion=1.0.0\nneed=mortise.core/1\n"
					"want=catalog/1\n") +
					 1 },
			   &note),
		==, 0);
	EXPECT_STR(note.id, "acme/hello");
	EXPECT_STR(note.version, "1.0.0");
	EXPECT_UINT(note.count, ==, 2);
	EXPECT_STR(note.interfaces[0].id, "mortise.core/1");
	EXPECT_TRUE(note.interfaces[0].required);
	EXPECT_FALSE(note.interfaces[1].required);
}

TEST(base_elf_note__anything_else_is_corrupt_and_changes_nothing)
{
	static const char *const bad[] = { "", "\n", "id=a\n", "id=a\nversion=1",
		"version=1\nid=a\n", "id=\nversion=1\n", "id=a b\nversion=1\n",
		"id=a\nversion=1\n\n", "id=a\nversion=1\nhave=x/1\n", "id=a\nversion=1\nneed=x\n",
		"id=a\nversion=1\nneed=x/0\n", "id=a\nversion=1\nneed=X/1\n",
		"id=a\nversion=1\nneed=x/1\nwant=x/1\n", "id=a\nversion=1\nneed=/1\n",
		"id=a\nversion=1\nneed=x/99999999999\n", "id=a\nid=b\nversion=1\n" };
	struct elf_note note = { .count = 7 };

	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
		ck_assert_msg(parse(span_of(bad[i]), &note) == ERR_NOTE_CORRUPT, "%s", bad[i]);
	EXPECT_INT(parse((struct span){ "id=a\0\nversion=1\n", 16 }, &note), ==, ERR_NOTE_CORRUPT);
	EXPECT_UINT(note.count, ==, 7);
}

TEST(base_elf_note__more_interfaces_than_there_is_room_for_are_corrupt)
{
	struct elf_note note;
	struct text text;

	text_init(&text);
	text_append_string(&text, "id=a\nversion=1\n");
	for (int i = 1; i <= ELF_NOTE_INTERFACES_MAX; i++)
		text_printf(&text, "need=x/%d\n", i);
	EXPECT_INT(parse(text_span(&text), &note), ==, 0);
	text_append_string(&text, "need=y/1\n");
	EXPECT_INT(parse(text_span(&text), &note), ==, ERR_NOTE_CORRUPT);
	text_done(&text);
}
