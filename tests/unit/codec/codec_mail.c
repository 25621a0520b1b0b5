#include "codec/mail.h"

#include <stdlib.h>

#include "base/mem.h"
#include "lib/test.h"

/* 2026-11-24 00:00:01 UTC, a Tuesday. */
#define TIME_US INT64_C(1795478401000000)

static struct mail example(const struct span *to, size_t n)
{
	return (struct mail){ .from = SPAN("host@example.org"),
		.from_name = SPAN("Mortise"),
		.to = to,
		.to_count = n,
		.subject = SPAN("Your code"),
		.text = SPAN("123456\n"),
		.id = SPAN("abc"),
		.time_us = TIME_US };
}

TEST(codec_mail__a_plain_message_is_written_as_it_is)
{
	const struct span to[] = { SPAN("ada@example.org"), SPAN("bob@example.org") };
	struct mail mail = example(to, 2);
	struct error err;
	struct text out;

	text_init(&out);
	EXPECT_OK(mail_append(&out, &mail, &err), &err);
	EXPECT_STR(out.data, "Date: Tue, 24 Nov 2026 00:00:01 +0000\r\n"
			     "From: \"Mortise\"\r\n <host@example.org>\r\n"
			     "To: <ada@example.org>,\r\n <bob@example.org>\r\n"
			     "Subject: Your code\r\n"
			     "Message-ID: <abc@example.org>\r\n"
			     "Auto-Submitted: auto-generated\r\n"
			     "MIME-Version: 1.0\r\n"
			     "Content-Type: text/plain; charset=utf-8\r\n"
			     "Content-Transfer-Encoding: 7bit\r\n"
			     "\r\n"
			     "123456\r\n");
	text_done(&out);
}

TEST(codec_mail__texts_of_any_script_become_whole_encoded_words)
{
	static const struct {
		const char *subject, *line;
	} cases[] = {
		{ "", "Subject: \r\n" },
		{ "Grüße", "Subject: =?UTF-8?B?R3LDvMOfZQ==?=\r\n" },
		{ "コード", "Subject: =?UTF-8?B?44Kz44O844OJ?=\r\n" },
		{ "=?x", "Subject: =?UTF-8?B?PT94?=\r\n" },
		{ " led", "Subject: =?UTF-8?B?IGxlZA==?=\r\n" },
		{ "a = b?", "Subject: a = b?\r\n" },
		/* 46 bytes, of which the last character's second would not fit into a word. */
		{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaä",
			"Subject: "
			"=?UTF-8?B?YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=?="
			"\r\n =?UTF-8?B?w6Q=?=\r\n" },
	};
	const struct span to[] = { SPAN("ada@example.org") };

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct mail mail = example(to, 1);
		struct error err;
		struct text out;

		text_init(&out);
		mail.subject = span_of(cases[i].subject);
		EXPECT_OK(mail_append(&out, &mail, &err), &err);
		EXPECT_CONTAINS(out.data, cases[i].line);
		text_done(&out);
	}
}

TEST(codec_mail__bodies_have_short_lines_that_end_with_crlf)
{
	static const struct {
		const char *text, *body;
	} cases[] = {
		{ "", "7bit\r\n\r\n\r\n" },
		{ "a\nb\rc\r\nd", "7bit\r\n\r\na\r\nb\r\nc\r\nd\r\n" },
		{ "\n.\n", "7bit\r\n\r\n\r\n.\r\n" },
		{ "ä", "base64\r\n\r\nw6QNCg==\r\n" },
		{ "a\x1b[31m", "base64\r\n\r\nYRtbMzFtDQo=\r\n" },
	};
	const struct span to[] = { SPAN("ada@example.org") };
	char *wide = mem_zalloc(2001);

	for (size_t i = 0; i <= ARRAY_LENGTH(cases); i++) {
		struct mail mail = example(to, 1);
		struct error err;
		struct text out;
		struct span lines, line;

		text_init(&out);
		memset(wide, 'w', 2000);
		mail.text = span_of(i < ARRAY_LENGTH(cases) ? cases[i].text : wide);
		EXPECT_OK(mail_append(&out, &mail, &err), &err);
		if (i < ARRAY_LENGTH(cases))
			EXPECT_CONTAINS(out.data, cases[i].body);
		lines = text_span(&out);
		while (span_split(&lines, '\n', &line))
			EXPECT_UINT(line.len, <=, 998);
		text_done(&out);
	}
	mem_free(wide);
}

TEST(codec_mail__no_text_of_a_caller_begins_or_ends_a_line_of_the_header)
{
	static const char *const bad[] = { "a\r\nBcc: eve@example.org", "a\nb", "a\rb", "a\tb",
		"a\x7f", "a\x01", "\xff", "\xc3" };
	const struct span to[] = { SPAN("ada@example.org") };

	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
		struct mail subject = example(to, 1), name = example(to, 1);
		struct error err;
		struct text out;

		text_init(&out);
		text_append_string(&out, "kept");
		subject.subject = name.from_name = span_of(bad[i]);
		EXPECT_INT(mail_append(&out, &subject, &err), ==, ERR_INVALID);
		EXPECT_INT(mail_append(&out, &name, &err), ==, ERR_INVALID);
		EXPECT_STR(out.data, "kept");
		text_done(&out);
	}
}

TEST(codec_mail__a_name_with_signs_is_quoted)
{
	const struct span to[] = { SPAN("ada@example.org") };
	struct mail mail = example(to, 1);
	struct text out;

	text_init(&out);
	mail.from_name = SPAN("Smith, \"Ada\" \\ <eve@example.org>");
	EXPECT_INT(mail_append(&out, &mail, NULL), ==, 0);
	EXPECT_CONTAINS(out.data,
		"From: \"Smith, \\\"Ada\\\" \\\\ <eve@example.org>\"\r\n <host@example.org>\r\n");
	text_done(&out);
}

TEST(codec_mail__addresses_are_dot_atoms_at_domains)
{
	static const char *const good[] = { "a@b", "ada@example.org", "a.b+c@example.org",
		"o'neil@example.org", "a@xn--bcher-kva.example", "root@localhost", "a@[192.0.2.1]",
		"a@[IPv6:2001:db8::1]", "!#$%&'*+-/=?^_`{|}~@example.org" };
	static const char *const bad[] = { "", "@", "a", "a@", "@b", "a@b@c", "a b@c", "a@b c",
		"a@-b", "a@b-", "a@b..c", "a..b@c", ".a@b", "a.@b", "a@.b", "a@b.", "\"a\"@b",
		"a@b>", "<a@b>", "a@b,c@d", "a@b\r\n", "a\n@b", "a@b\nRCPT TO:<x>", "ä@b", "a@ä",
		"a(x)@b", "a@[]", "a@[b", "a@[x y]", "a@b;", "a:b@c" };
	char *longer = mem_zalloc(300);

	for (size_t i = 0; i < ARRAY_LENGTH(good); i++)
		ck_assert_msg(mail_address_valid(span_of(good[i])), "%s", good[i]);
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
		ck_assert_msg(!mail_address_valid(span_of(bad[i])), "%s", bad[i]);
	EXPECT_FALSE(mail_address_valid((struct span){ "a\0@b", 4 }));
	memset(longer, 'a', 65);
	memcpy(longer + 65, "@b", 2);
	EXPECT_FALSE(mail_address_valid(span_of(longer)));
	EXPECT_TRUE(mail_address_valid(span_of(longer + 1)));
	mem_free(longer);
}

TEST(codec_mail__each_address_is_checked_and_somebody_is_needed)
{
	const struct span to[] = { SPAN("ada@example.org"), SPAN("bob@example.org>, <eve@x") };
	struct mail many = example(to, 2), none = example(to, 0), from = example(to, 1);
	struct error err;
	struct text out;

	text_init(&out);
	EXPECT_INT(mail_append(&out, &many, &err), ==, ERR_INVALID);
	EXPECT_CONTAINS(err.text, "address 2");
	EXPECT_INT(mail_append(&out, &none, &err), ==, ERR_INVALID);
	from.from = SPAN("nobody");
	EXPECT_INT(mail_append(&out, &from, &err), ==, ERR_INVALID);
	EXPECT_UINT(out.len, ==, 0);
	text_done(&out);
}
