#include "identity/backup_code.h"

#include "base/mem.h"
#include "lib/test.h"

TEST(identity_backup_code__a_code_has_at_least_112_bits_in_its_alphabet)
{
	static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ-";

	EXPECT_UINT(sizeof(alphabet) - 2, ==, 32); /* 5 bits a symbol */
	EXPECT_TRUE(BACKUP_CODE_SYMBOLS * 5 >= 112);
	for (int i = 0; i < 100; i++) {
		char code[BACKUP_CODE_LEN + 1], other[BACKUP_CODE_LEN + 1];

		backup_code_make(code);
		backup_code_make(other);
		EXPECT_UINT(strlen(code), ==, BACKUP_CODE_LEN);
		EXPECT_UINT(strspn(code, alphabet), ==, BACKUP_CODE_LEN);
		EXPECT_TRUE(strcmp(code, other) != 0);
	}
}

TEST(identity_backup_code__reading_forgives_what_people_do)
{
	static const char *const typed[] = { "01ABCD-EFGHJK-MNPQRS-TVWXYZ",
		"01abcd-efghjk-mnpqrs-tvwxyz", "01ABCDEFGHJKMNPQRSTVWXYZ",
		" oi abcd efgh.jkmn_pqrs tvwxyz ", "OLABCD-EFGHJK-MNPQRS-TVWXYZ" };

	for (size_t i = 0; i < ARRAY_LENGTH(typed); i++) {
		char code[BACKUP_CODE_LEN + 1];

		ck_assert_msg(backup_code_read(span_of(typed[i]), code), "%s", typed[i]);
		EXPECT_STR(code, "01ABCD-EFGHJK-MNPQRS-TVWXYZ");
	}
}

TEST(identity_backup_code__what_cannot_be_a_code_is_refused)
{
	static const char *const bad[] = { "", "-", "01ABCD-EFGHJK-MNPQRS-TVWXY",
		"01ABCD-EFGHJK-MNPQRS-TVWXYZ0", "U1ABCD-EFGHJK-MNPQRS-TVWXYZ",
		"01ABCD/EFGHJK-MNPQRS-TVWXYZ", "０1ABCD-EFGHJK-MNPQRS-TVWXYZ" };

	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
		char code[BACKUP_CODE_LEN + 1] = "kept";

		ck_assert_msg(!backup_code_read(span_of(bad[i]), code), "%s", bad[i]);
		EXPECT_STR(code, "kept");
	}
	{
		char code[BACKUP_CODE_LEN + 1];

		EXPECT_FALSE(
			backup_code_read((struct span){ "01ABCD\0EFGHJKMNPQRSTVWXYZ", 25 }, code));
	}
}
