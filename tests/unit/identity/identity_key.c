#include "identity/key.h"
#include "lib/test.h"

TEST(identity_key__what_is_made_is_well_formed_and_never_the_same)
{
	char one[KEY_LEN + 1], two[KEY_LEN + 1];

	key_make(one);
	key_make(two);
	EXPECT_UINT(strlen(one), ==, KEY_LEN);
	EXPECT_TRUE(key_well_formed(span_of(one)));
	EXPECT_TRUE(strcmp(one, two) != 0);
}

TEST(identity_key__any_changed_character_fails_the_checksum)
{
	char key[KEY_LEN + 1];

	key_make(key);
	for (size_t i = 0; i < KEY_LEN; i++) {
		char was = key[i];

		key[i] = was == 'x' ? 'y' : 'x';
		ck_assert_msg(!key_well_formed(span_of(key)), "character %zu", i);
		key[i] = was;
	}
	EXPECT_TRUE(key_well_formed(span_of(key)));
	EXPECT_FALSE(key_well_formed((struct span){ key, KEY_LEN - 1 }));
	EXPECT_FALSE(key_well_formed(SPAN("")));
}

/* CRC-32 of 43 zeros is 0x7849568f by any other implementation (zlib.crc32). */
TEST(identity_key__the_checksum_is_the_crc_that_scanners_compute)
{
	EXPECT_TRUE(key_well_formed(SPAN("mrt_00000000000000000000000000000000000000000002CZclj")));
}
