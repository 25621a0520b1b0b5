#include "identity/password.h"

#include <stdlib.h>

#include "base/mem.h"
#include "lib/test.h"

#define COST 4u

static bool matches(const char *password, const char *hash, bool prehashed)
{
	const struct password_stored stored = { span_of(hash), prehashed };
	uint64_t rounds;

	return password_matches(span_of(password), &stored, COST, &rounds);
}

/* Vectors of other implementations: crypt_blowfish's wrapper.c, jBCrypt, Python's bcrypt. */
static const struct {
	const char *password;
	const char *hash;
} vectors[] = {
	{ "U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW" },
	{ "U*U*", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK" },
	{ "U*U*U", "$2a$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a" },
	{ "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	  "chars after 72 are ignored",
		"$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui" },
	{ "\xff\xff\xa3", "$2y$05$/OK.fbVrR/bpIqNJ5ianF.CE5elHaaO4EbggVDjb8P19RukzXSM3e" },
	{ "\xff\xa3"
	  "345",
		"$2y$05$/OK.fbVrR/bpIqNJ5ianF.nRht2l/HRhr6zmCp9vYUvvsqynflf9e" },
	{ "abc", "$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i" },
	{ "Kk4DQuMMfZL9o", "$2b$04$cVWp4XaNU8a4v1uMRum2SO026BWLIoQMD/TXg5uZV.0P.uO8m3YEm" },
};

TEST(identity_password__hashes_of_other_systems_verify)
{
	for (size_t i = 0; i < ARRAY_LENGTH(vectors); i++) {
		const struct password_stored stored = { span_of(vectors[i].hash), false };
		uint64_t rounds;

		ck_assert_msg(
			password_matches(span_of(vectors[i].password), &stored, COST, &rounds),
			"vector %zu", i);
		ck_assert_msg(!password_matches(SPAN("another"), &stored, COST, &rounds),
			"vector %zu", i);
	}
}

/* None of them verifies anything, and each costs one hash of today's cost. */
TEST(identity_password__malformed_hashes_never_verify)
{
	static const char *const hashes[] = {
		"",
		"x",
		"*0",
		"*1",
		"!",
		"$",
		"$2",
		"$2b",
		"$2b$",
		"$2b$04$",
		"$2b$04$abcdefghijklmnopqrstuu",
		"$2b$04$abcdefghijklmnopqrstuuGzf0dC9qUXPJ7WwQVOJirp54B3Tp9h",
		"$2b$04$abcdefghijklmnopqrstuuGzf0dC9qUXPJ7WwQVOJirp54B3Tp9hOO",
		"$2b$03$abcdefghijklmnopqrstuuGzf0dC9qUXPJ7WwQVOJirp54B3Tp9hO",
		"$2b$00$abcdefghijklmnopqrstuuGzf0dC9qUXPJ7WwQVOJirp54B3Tp9hO",
		"$2b$31$abcdefghijklmnopqrstuuGzf0dC9qUXPJ7WwQVOJirp54B3Tp9hO",
		"$2b$99$abcdefghijklmnopqrstuuGzf0dC9qUXPJ7WwQVOJirp54B3Tp9hO",
		"$2b$-4$abcdefghijklmnopqrstuuGzf0dC9qUXPJ7WwQVOJirp54B3Tp9hO",
		"$2b$4$$abcdefghijklmnopqrstuuGzf0dC9qUXPJ7WwQVOJirp54B3Tp9hO",
		"$2b$ 4$abcdefghijklmnopqrstuuGzf0dC9qUXPJ7WwQVOJirp54B3Tp9hO",
		"$2$04$abcdefghijklmnopqrstuuGzf0dC9qUXPJ7WwQVOJirp54B3Tp9hOO",
		"$2x$04$abcdefghijklmnopqrstuuGzf0dC9qUXPJ7WwQVOJirp54B3Tp9hO",
		"$2c$04$abcdefghijklmnopqrstuuGzf0dC9qUXPJ7WwQVOJirp54B3Tp9hO",
		"$1b$04$abcdefghijklmnopqrstuuGzf0dC9qUXPJ7WwQVOJirp54B3Tp9hO",
		"$2b$04$abcdefghijklmnop:rstuuGzf0dC9qUXPJ7WwQVOJirp54B3Tp9hO",
		"$2b$04$abcdefghijklmnopqrstuuGzf0dC9qUXPJ7WwQ\nOJirp54B3Tp9hO",
		"$2b$04$abcdefghijklmnopqrstuuGzf0dC9qUXPJ7Ww\xffVOJirp54B3Tp9hO",
		"$2b$04 abcdefghijklmnopqrstuuGzf0dC9qUXPJ7WwQVOJirp54B3Tp9hO",
		"$1$abcdefgh$irWbblnpmw.5z7wgBnprh0",
		"$6$abcdefgh$yVfUwsw5T.JApa8POvClA1pQ5peiq97DUNyXCZN5IrFBMSkiaLQ5kvpEm",
		"$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$iJZNuTO4gPOJvNVBCFkR1g",
		"$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7",
		"5f4dcc3b5aa765d61d8327deb882cf99",
	};

	for (size_t i = 0; i < ARRAY_LENGTH(hashes); i++) {
		const struct password_stored stored = { span_of(hashes[i]), i % 2 == 0 };
		uint64_t rounds;

		EXPECT_UINT(password_hash_cost(stored.hash), ==, 0);
		ck_assert_msg(!password_matches(SPAN("hello world"), &stored, COST, &rounds) &&
				      !password_matches(stored.hash, &stored, COST, &rounds),
			"hash %zu", i);
		EXPECT_UINT(rounds, ==, 1u << COST);
	}
}

TEST(identity_password__the_salt_s_spare_bits_count_for_nothing)
{
	char canonical[PASSWORD_HASH_SIZE], spare[PASSWORD_HASH_SIZE];

	password_hash(SPAN("correct horse"), COST, canonical);
	memcpy(spare, canonical, sizeof(spare));
	spare[28]++; /* '.', 'O', 'e' and 'u' end a salt: the next digit differs in the spare bits
		      */
	EXPECT_TRUE(matches("correct horse", canonical, true));
	EXPECT_TRUE(matches("correct horse", spare, true));
	EXPECT_FALSE(matches("correct horsf", spare, true));
}

TEST(identity_password__each_byte_of_a_long_password_counts)
{
	char password[PASSWORD_BYTES_MAX + 1], hash[PASSWORD_HASH_SIZE];
	static const size_t lengths[] = { 8, 71, 72, 73, 74, 100, 255, 256, 512, 1024 };

	memset(password, 'a', sizeof(password));
	for (size_t i = 0; i < ARRAY_LENGTH(lengths); i++) {
		struct span all = { password, lengths[i] };
		const struct password_stored stored = { { hash, PASSWORD_HASH_SIZE - 1 }, true };
		struct span shorter = { password, lengths[i] - 1 };
		uint64_t rounds;

		password_hash(all, COST, hash);
		EXPECT_INT(strncmp(hash, "$2b$04$", 7), ==, 0);
		EXPECT_TRUE(password_matches(all, &stored, COST, &rounds));
		EXPECT_FALSE(password_matches(shorter, &stored, COST, &rounds));
		password[lengths[i] - 1] = 'b';
		EXPECT_FALSE(password_matches(all, &stored, COST, &rounds));
		password[lengths[i] - 1] = 'a';
	}
}

/* Whoever knows what bcrypt was given instead of a long password knows no password. */
TEST(identity_password__the_digest_of_a_long_password_is_not_the_password_of_a_foreign_hash)
{
	char password[101], hash[PASSWORD_HASH_SIZE];

	memset(password, 'p', 100);
	password[100] = '\0';
	password_hash(span_of(password), COST, hash);
	EXPECT_TRUE(matches(password, hash, true));
	EXPECT_FALSE(matches(password, hash, false));
}

TEST(identity_password__what_nobody_can_have_never_matches)
{
	char hash[PASSWORD_HASH_SIZE], long_one[PASSWORD_BYTES_MAX + 2];
	struct password_stored stored = { { hash, PASSWORD_HASH_SIZE - 1 }, true };
	uint64_t rounds;

	password_hash(SPAN("nobody"), COST, hash);
	memset(long_one, 'x', sizeof(long_one));
	EXPECT_FALSE(password_matches(SPAN(""), &stored, COST, &rounds));
	EXPECT_FALSE(password_matches(
		(struct span){ long_one, sizeof(long_one) }, &stored, COST, &rounds));
	EXPECT_FALSE(password_matches(SPAN("nobody\0"), &stored, COST, &rounds));
	EXPECT_UINT(rounds, ==, 1u << COST);
	EXPECT_TRUE(password_matches(SPAN("nobody"), &stored, COST, &rounds));
}

TEST(identity_password__every_answer_costs_one_hash_of_today)
{
	static const unsigned todays[] = { 4, 5, 6, 7 };
	static const unsigned costs[] = { 4, 5, 6, 7 };

	for (size_t t = 0; t < ARRAY_LENGTH(todays); t++) {
		const struct password_stored nobody = { SPAN_NONE, true };
		uint64_t rounds;

		EXPECT_FALSE(password_matches(SPAN("password"), &nobody, todays[t], &rounds));
		EXPECT_UINT(rounds, ==, UINT64_C(1) << todays[t]);
		for (size_t c = 0; c < ARRAY_LENGTH(costs); c++) {
			char hash[PASSWORD_HASH_SIZE];
			struct password_stored stored = { { hash, PASSWORD_HASH_SIZE - 1 }, true };
			unsigned most = costs[c] > todays[t] ? costs[c] : todays[t];

			password_hash(SPAN("correct horse"), costs[c], hash);
			EXPECT_UINT(password_hash_cost(stored.hash), ==, costs[c]);
			EXPECT_TRUE(password_matches(
				SPAN("correct horse"), &stored, todays[t], &rounds));
			EXPECT_UINT(rounds, ==, UINT64_C(1) << most);
			EXPECT_FALSE(password_matches(
				SPAN("correct house"), &stored, todays[t], &rounds));
			EXPECT_UINT(rounds, ==, UINT64_C(1) << most);
		}
	}
}

TEST(identity_password__no_two_hashes_are_the_same)
{
	char one[PASSWORD_HASH_SIZE], two[PASSWORD_HASH_SIZE];

	password_hash(SPAN("correct horse"), COST, one);
	password_hash(SPAN("correct horse"), COST, two);
	EXPECT_TRUE(strcmp(one, two) != 0);
}

/* ---- what is taken -----------------------------------------------------------------------------
 */

static const struct span own[] = { { "alice.w", 7 }, { "Alice Wonderland", 16 },
	{ "alice@example.org", 17 }, { NULL, 0 } };

static int check(const char *password)
{
	return password_check(span_of(password), own, ARRAY_LENGTH(own), NULL);
}

TEST(identity_password__any_character_of_any_script_will_do)
{
	static const char *const good[] = {
		"njd7 kq0",
		"        x",
		"correct horse battery staple",
		"пароль-мой",
		"密码是这八个字符",
		"🦊🦊🐻🐻🐻🦊🦊🦊",
		"zażółć gęślą jaźń",
		"tab\there",
		"wonder alice said the cat",
		"xalicexx99",
	};
	char long_one[PASSWORD_BYTES_MAX + 2];

	for (size_t i = 0; i < ARRAY_LENGTH(good); i++)
		ck_assert_msg(check(good[i]) == 0, "'%s'", good[i]);
	for (size_t i = 0; i < PASSWORD_BYTES_MAX; i++)
		long_one[i] = (char)('a' + i % 26);
	long_one[PASSWORD_BYTES_MAX] = '\0';
	EXPECT_INT(check(long_one), ==, 0);
	long_one[PASSWORD_BYTES_MAX] = 'x';
	long_one[PASSWORD_BYTES_MAX + 1] = '\0';
	EXPECT_INT(check(long_one), ==, ERR_PASSWORD_WEAK);
}

TEST(identity_password__short_common_and_own_ones_are_refused)
{
	static const char *const bad[] = {
		"",
		"1234567",
		"парольм",                      /* 7 characters in 14 bytes */
		"🦊🐻🦊🐻🦊🐻🦊", /* 7 in 28 */
		"password",
		"PassWord1",
		"QWERTYUIOP",
		"iloveyou",
		"zaq12wsx",
		"trustno1",
		"kkkkkkkk",
		"ёёёёёёёёё",
		"\xff\xfe\xfd invalid",
		"alice.w1",
		"Alice.W123",
		"wonderland",
		"99Wonderland",
		"alice@example.org",
	};

	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
		ck_assert_msg(check(bad[i]) == ERR_PASSWORD_WEAK, "'%s'", bad[i]);
	EXPECT_INT(password_check(SPAN("eight\0chars"), NULL, 0, NULL), ==, ERR_PASSWORD_WEAK);
}

TEST(identity_password__every_listed_one_is_refused)
{
	static const char *const listed[] = {
#include "identity/password_common.def"
	};

	EXPECT_UINT(ARRAY_LENGTH(listed), >=, 3000);
	for (size_t i = 0; i < ARRAY_LENGTH(listed); i++) {
		ck_assert_msg(
			password_check(span_of(listed[i]), NULL, 0, NULL) == ERR_PASSWORD_WEAK,
			"'%s'", listed[i]);
		ck_assert_msg(i == 0 || strcmp(listed[i - 1], listed[i]) < 0,
			"'%s' is out of order", listed[i]);
		EXPECT_UINT(strlen(listed[i]), <, 20);
	}
}
