#include "identity/totp.h"

#include <ctype.h>
#include <stdio.h>

#include "base/mem.h"
#include "lib/test.h"

#define US INT64_C(1000000)

/* "1234567890" again and again: the seeds of both RFCs. */
static struct totp seed_of_rfc(enum totp_algorithm algorithm, unsigned digits)
{
	static const size_t lengths[] = { 20, 32, 64 };
	struct totp t = {
		.algorithm = algorithm, .digits = digits, .seed_len = lengths[algorithm]
	};

	for (size_t i = 0; i < t.seed_len; i++)
		t.seed[i] = (uint8_t)('0' + (i + 1) % 10);
	return t;
}

TEST(identity_totp__the_vectors_of_rfc_4226_hold)
{
	/* Appendix D: HOTP of the counters 0 to 9. */
	static const char *const codes[] = { "755224", "287082", "359152", "969429", "338314",
		"254676", "287922", "162583", "399871", "520489" };
	struct totp t = seed_of_rfc(TOTP_SHA1, 6);

	for (size_t i = 0; i < ARRAY_LENGTH(codes); i++) {
		char code[TOTP_DIGITS_MAX + 1];

		totp_code(&t, i, code);
		EXPECT_STR(code, codes[i]);
	}
}

TEST(identity_totp__the_vectors_of_rfc_6238_hold)
{
	static const struct {
		int64_t time;
		const char *codes[TOTP_ALGORITHM_COUNT];
	} vectors[] = { /* appendix B */
		{ 59, { "94287082", "46119246", "90693936" } },
		{ 1111111109, { "07081804", "68084774", "25091201" } },
		{ 1111111111, { "14050471", "67062674", "99943326" } },
		{ 1234567890, { "89005924", "91819424", "93441116" } },
		{ 2000000000, { "69279037", "90698825", "38618901" } },
		{ 20000000000, { "65353130", "77737706", "47863826" } }
	};

	for (size_t i = 0; i < ARRAY_LENGTH(vectors); i++)
		for (enum totp_algorithm a = 0; a < TOTP_ALGORITHM_COUNT; a++) {
			struct totp t = seed_of_rfc(a, 8);
			char code[TOTP_DIGITS_MAX + 1];
			uint64_t step = 0;

			totp_code(&t, totp_step(vectors[i].time * US), code);
			EXPECT_STR(code, vectors[i].codes[a]);
			EXPECT_TRUE(totp_find(&t, span_of(code), vectors[i].time * US, 0, &step));
			EXPECT_UINT(step, ==, (uint64_t)vectors[i].time / TOTP_PERIOD_S);
		}
}

TEST(identity_totp__the_window_is_one_step_either_way)
{
	static const struct {
		int steps;
		bool found;
	} cases[] = { { -2, false }, { -1, true }, { 0, true }, { 1, true }, { 2, false } };
	struct totp t = seed_of_rfc(TOTP_SHA1, 6);
	int64_t now = INT64_C(1111111111);

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		uint64_t wanted = (uint64_t)(now / TOTP_PERIOD_S + cases[i].steps), step = 0;
		char code[TOTP_DIGITS_MAX + 1];

		totp_code(&t, wanted, code);
		ck_assert_msg(totp_find(&t, span_of(code), now * US, 0, &step) == cases[i].found,
			"step %d", cases[i].steps);
		EXPECT_UINT(step, ==, cases[i].found ? wanted : 0);
	}
}

TEST(identity_totp__a_step_that_was_used_or_is_older_is_not_found)
{
	struct totp t = seed_of_rfc(TOTP_SHA256, 6);
	int64_t now = INT64_C(2000000000);
	uint64_t current = totp_step(now * US), step = 7;
	char code[TOTP_DIGITS_MAX + 1];

	totp_code(&t, current, code);
	EXPECT_FALSE(totp_find(&t, span_of(code), now * US, current, &step));
	totp_code(&t, current - 1, code);
	EXPECT_FALSE(totp_find(&t, span_of(code), now * US, current, &step));
	EXPECT_UINT(step, ==, 7); /* untouched */
	totp_code(&t, current + 1, code);
	EXPECT_TRUE(totp_find(&t, span_of(code), now * US, current, &step));
	EXPECT_UINT(step, ==, current + 1);
}

TEST(identity_totp__what_is_no_code_is_not_found)
{
	static const char *const bad[] = { "", "94287", "942870821", "9428708a", "94287082\n",
		"-4287082", "+4287082", "９4287082", "94287083" };
	struct totp t = seed_of_rfc(TOTP_SHA1, 8);
	uint64_t step;

	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
		ck_assert_msg(!totp_find(&t, span_of(bad[i]), 59 * US, 0, &step), "%s", bad[i]);
	EXPECT_TRUE(totp_find(&t, SPAN("9428 7082"), 59 * US, 0, &step));
}

TEST(identity_totp__a_new_seed_has_at_least_160_bits_and_never_comes_twice)
{
	static const size_t lengths[] = { 20, 32, 64 };

	for (enum totp_algorithm a = 0; a < TOTP_ALGORITHM_COUNT; a++) {
		struct totp one, two;

		totp_make(&one, a, 6);
		totp_make(&two, a, 6);
		EXPECT_UINT(one.seed_len, ==, lengths[a]);
		EXPECT_TRUE(one.seed_len * 8 >= 160);
		EXPECT_TRUE(memcmp(one.seed, two.seed, one.seed_len) != 0);
	}
}

TEST(identity_totp__base32_goes_both_ways)
{
	for (enum totp_algorithm a = 0; a < TOTP_ALGORITHM_COUNT; a++) {
		char text[TOTP_BASE32_MAX + 1];
		struct totp t, back = { 0 };
		struct error err;

		totp_make(&t, a, 6);
		totp_base32(&t, text);
		EXPECT_NULL(strchr(text, '='));
		EXPECT_OK(totp_read_base32(&back, span_of(text), &err), &err);
		EXPECT_UINT(back.seed_len, ==, t.seed_len);
		EXPECT_INT(memcmp(back.seed, t.seed, t.seed_len), ==, 0);
		for (char *c = text; *c; c++)
			*c = (char)tolower((unsigned char)*c);
		EXPECT_OK(totp_read_base32(&back, span_of(text), &err), &err);
		EXPECT_INT(memcmp(back.seed, t.seed, t.seed_len), ==, 0);
	}
}

TEST(identity_totp__a_seed_that_is_none_is_refused)
{
	static const char *const bad[] = { "", "A", "MZXW6===", "GEZDGNBVGY3TQOJQGEZDGNBVG!3TQOJQ",
		"GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJ1" };

	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
		struct totp t = { .seed_len = 5 };

		EXPECT_INT(totp_read_base32(&t, span_of(bad[i]), NULL), ==, ERR_FORMAT);
		EXPECT_UINT(t.seed_len, ==, 5);
	}
}

TEST(identity_totp__the_uri_escapes_who_and_where)
{
	struct totp t = seed_of_rfc(TOTP_SHA512, 8);
	struct text uri;

	t.seed_len = 20;
	text_init(&uri);
	totp_append_uri(&uri, &t, SPAN("Mortise prod"), SPAN("å&b@x"));
	EXPECT_STR(uri.data,
		"otpauth://totp/Mortise%20prod:%C3%A5%26b%40x?secret="
		"GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Mortise%20prod&algorithm=SHA512&digits=8"
		"&period=30");
	text_done(&uri);
}

TEST(identity_totp__algorithms_have_their_names)
{
	for (enum totp_algorithm a = 0; a < TOTP_ALGORITHM_COUNT; a++)
		EXPECT_INT(totp_algorithm_from(span_of(totp_algorithm_name(a))), ==, a);
	EXPECT_INT(totp_algorithm_from(SPAN("MD5")), ==, TOTP_ALGORITHM_COUNT);
	EXPECT_INT(totp_algorithm_from(SPAN("")), ==, TOTP_ALGORITHM_COUNT);
}
