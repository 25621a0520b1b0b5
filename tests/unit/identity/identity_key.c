#include "identity/key.h"
#include "lib/test.h"

TEST(identity_key__what_is_made_is_well_formed_and_never_the_same)
{
	char one[KEY_LEN + 1], two[KEY_LEN + 1];

	key_make(KEY_API, one);
	key_make(KEY_API, two);
	EXPECT_UINT(strlen(one), ==, KEY_LEN);
	EXPECT_TRUE(key_well_formed(KEY_API, span_of(one)));
	EXPECT_TRUE(strcmp(one, two) != 0);
}

TEST(identity_key__any_changed_character_fails_the_checksum)
{
	char key[KEY_LEN + 1];

	key_make(KEY_API, key);
	for (size_t i = 0; i < KEY_LEN; i++) {
		char was = key[i];

		key[i] = was == 'x' ? 'y' : 'x';
		ck_assert_msg(!key_well_formed(KEY_API, span_of(key)), "character %zu", i);
		key[i] = was;
	}
	EXPECT_TRUE(key_well_formed(KEY_API, span_of(key)));
	EXPECT_FALSE(key_well_formed(KEY_API, (struct span){ key, KEY_LEN - 1 }));
	EXPECT_FALSE(key_well_formed(KEY_API, SPAN("")));
}

/* CRC-32 of 43 zeros is 0x7849568f by any other implementation (zlib.crc32). */
TEST(identity_key__the_checksum_is_the_crc_that_scanners_compute)
{
	EXPECT_TRUE(key_well_formed(
		KEY_API, SPAN("mrt_00000000000000000000000000000000000000000002CZclj")));
}

TEST(identity_key__each_kind_is_its_own)
{
	char key[KEY_LEN + 1];

	for (int kind = 0; kind < KEY_KIND_COUNT; kind++) {
		key_make((enum key_kind)kind, key);
		for (int other = 0; other < KEY_KIND_COUNT; other++)
			EXPECT_INT(key_well_formed((enum key_kind)other, span_of(key)), ==,
				other == kind);
	}
	memcpy(key, "mzz_", 4);
	EXPECT_INT(key_kind_of(span_of(key)), ==, KEY_KIND_COUNT);
}
