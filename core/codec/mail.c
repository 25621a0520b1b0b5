/* Header texts that are not short printable ASCII become encoded words (RFC 2047): base64 of whole
 * characters, each word at most 75 bytes, folded between words. The body is base64 of its UTF-8 in
 * lines of 76, unless it is short-lined ASCII already. */
#include "codec/mail.h"

#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/mem.h"
#include "codec/base64.h"

#define LOCAL_MAX        64  /* RFC 5321, 4.5.3.1.1 */
#define LABEL_MAX        63  /* of a domain name */
#define PLAIN_HEADER_MAX 66  /* with "Subject: " within the 78 that are asked for */
#define WORD_BYTES       45  /* base64 of it and "=?UTF-8?B??=" are 72 bytes */
#define BODY_BYTES       57  /* base64 of it is a line of 76 */
#define PLAIN_LINE_MAX   900 /* well within 998 */
#define US_PER_S         1000000

static bool is_letter_or_digit(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_control(unsigned char c)
{
	return c < ' ' || c == 0x7f;
}

/* ---- addresses --------------------------------------------------------------------------------
 */

static bool is_atom(struct span part)
{
	for (size_t i = 0; i < part.len; i++)
		if (!is_letter_or_digit((unsigned char)part.data[i]) &&
			!strchr("!#$%&'*+-/=?^_`{|}~", part.data[i]))
			return false;
	return part.len > 0;
}

static bool is_label(struct span part)
{
	for (size_t i = 0; i < part.len; i++)
		if (!is_letter_or_digit((unsigned char)part.data[i]) && part.data[i] != '-')
			return false;
	return part.len > 0 && part.len <= LABEL_MAX && part.data[0] != '-' &&
	       part.data[part.len - 1] != '-';
}

static bool all_parts(struct span dotted, bool (*is_part)(struct span part))
{
	struct span part;

	while (span_split(&dotted, '.', &part))
		if (!is_part(part))
			return false;
	return true;
}

/* [192.0.2.1] or [IPv6:2001:db8::1]: the server says whether it is one. */
static bool is_literal(struct span domain)
{
	if (domain.len < 3 || domain.data[0] != '[' || domain.data[domain.len - 1] != ']')
		return false;
	for (size_t i = 1; i + 1 < domain.len; i++)
		if (!is_letter_or_digit((unsigned char)domain.data[i]) && domain.data[i] != '.' &&
			domain.data[i] != ':')
			return false;
	return true;
}

bool mail_address_valid(struct span address)
{
	const char *at = address.len ? memchr(address.data, '@', address.len) : NULL;
	struct span local, domain;

	if (!at || address.len > MAIL_ADDRESS_MAX || memchr(address.data, '\0', address.len))
		return false;
	local = (struct span){ address.data, (size_t)(at - address.data) };
	domain = (struct span){ at + 1, address.len - local.len - 1 };
	if (local.len == 0 || local.len > LOCAL_MAX || domain.len == 0)
		return false;
	return all_parts(local, is_atom) && (is_literal(domain) || all_parts(domain, is_label));
}

/* ---- texts of the header ----------------------------------------------------------------------
 */

static int check_line(const char *what, struct span text, struct error *err)
{
	if (!utf8_valid(text))
		return error_set(err, ERR_INVALID, "%s is not UTF-8", what);
	for (size_t i = 0; i < text.len; i++)
		if (is_control((unsigned char)text.data[i]))
			return error_set(err, ERR_INVALID,
				"%s holds a control character (a line end, for example)", what);
	return 0;
}

/* Bytes of as many whole characters as fit into max. */
static size_t whole_characters(struct span text, size_t max)
{
	size_t len = text.len < max ? text.len : max;

	while (len < text.len && ((unsigned char)text.data[len] & 0xc0) == 0x80)
		len--;
	return len;
}

static bool is_plain(struct span text)
{
	if (text.len > PLAIN_HEADER_MAX || (text.len > 0 && text.data[0] == ' '))
		return false;
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.data[i] >= 0x80 ||
			(text.data[i] == '=' && i + 1 < text.len && text.data[i + 1] == '?'))
			return false;
	return true;
}

static void append_words(struct text *out, struct span text)
{
	for (bool first = true; text.len > 0; first = false) {
		size_t len = whole_characters(text, WORD_BYTES);

		text_append_string(out, first ? "=?UTF-8?B?" : "\r\n =?UTF-8?B?");
		base64_append(out, text.data, len);
		text_append_string(out, "?=");
		text = (struct span){ text.data + len, text.len - len };
	}
}

static void append_text(struct text *out, struct span text)
{
	if (is_plain(text))
		text_append_span(out, text);
	else
		append_words(out, text);
}

/* A name before an address: quoted where it is plain, for it may hold commas and brackets. */
static void append_name(struct text *out, struct span name)
{
	if (!is_plain(name)) {
		append_words(out, name);
		return;
	}
	text_append_char(out, '"');
	for (size_t i = 0; i < name.len; i++) {
		if (name.data[i] == '"' || name.data[i] == '\\')
			text_append_char(out, '\\');
		text_append_char(out, name.data[i]);
	}
	text_append_char(out, '"');
}

/* RFC 5322, 3.3, in UTC; strftime would speak the language of the environment. */
static void append_date(struct text *out, int64_t time_us)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t seconds = (time_t)(time_us / US_PER_S);
	struct tm tm = { 0 };

	(void)gmtime_r(&seconds, &tm);
	text_printf(out, "Date: %.3s, %d %.3s %d %02d:%02d:%02d +0000\r\n", days + 3 * tm.tm_wday,
		tm.tm_mday, months + 3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
		tm.tm_sec);
}

/* ---- the body ---------------------------------------------------------------------------------
 */

/* Every kind of line end as CRLF, and one at the end. */
static void append_lines(struct text *out, struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		bool pair = text.data[i] == '\r' && i + 1 < text.len && text.data[i + 1] == '\n';

		if (text.data[i] == '\r' || text.data[i] == '\n')
			text_append_string(out, "\r\n");
		else
			text_append_char(out, text.data[i]);
		i += pair;
	}
	if (text.len == 0 || (text.data[text.len - 1] != '\n' && text.data[text.len - 1] != '\r'))
		text_append_string(out, "\r\n");
}

static bool goes_as_it_is(struct span lines)
{
	size_t line = 0;

	for (size_t i = 0; i < lines.len; i++) {
		unsigned char c = (unsigned char)lines.data[i];

		line = c == '\n' ? 0 : line + 1;
		if (c >= 0x80 || (is_control(c) && c != '\r' && c != '\n' && c != '\t') ||
			line > PLAIN_LINE_MAX)
			return false;
	}
	return true;
}

static void append_body(struct text *out, struct span text)
{
	struct text lines;

	text_init(&lines);
	append_lines(&lines, text);
	if (goes_as_it_is(text_span(&lines))) {
		text_append_string(out, "Content-Transfer-Encoding: 7bit\r\n\r\n");
		text_append_span(out, text_span(&lines));
	} else {
		text_append_string(out, "Content-Transfer-Encoding: base64\r\n\r\n");
		for (size_t at = 0; at < lines.len; at += BODY_BYTES) {
			size_t left = lines.len - at;

			base64_append(out, lines.data + at, left < BODY_BYTES ? left : BODY_BYTES);
			text_append_string(out, "\r\n");
		}
	}
	mem_wipe(lines.data, lines.len);
	text_done(&lines);
}

/* ---- the message ------------------------------------------------------------------------------
 */

static int check(const struct mail *mail, struct error *err)
{
	int rc = check_line("the subject", mail->subject, err);

	if (rc == 0)
		rc = check_line("the sender's name", mail->from_name, err);
	if (rc == 0 && !utf8_valid(mail->text))
		rc = error_set(err, ERR_INVALID, "the text is not UTF-8");
	if (rc == 0 && mail->text.len && memchr(mail->text.data, '\0', mail->text.len))
		rc = error_set(err, ERR_INVALID, "the text holds a NUL");
	if (rc == 0 && !mail_address_valid(mail->from))
		rc = error_set(err, ERR_INVALID, "the sender's address is none");
	if (rc == 0 && mail->to_count == 0)
		rc = error_set(err, ERR_INVALID, "nobody to send it to");
	for (size_t i = 0; rc == 0 && i < mail->to_count; i++)
		if (!mail_address_valid(mail->to[i]))
			rc = error_set(err, ERR_INVALID,
				"address %zu is none; an address is ASCII, its domain in the xn-- "
				"form where it is not",
				i + 1);
	return rc;
}

void mail_append_id(struct text *out, const struct mail *mail)
{
	const char *at = memchr(mail->from.data, '@', mail->from.len);

	text_append_span(out, mail->id);
	text_append(out, at, mail->from.len - (size_t)(at - mail->from.data));
}

int mail_append(struct text *out, const struct mail *mail, struct error *err)
{
	int rc = check(mail, err);

	if (rc < 0)
		return rc;
	append_date(out, mail->time_us);
	text_append_string(out, "From: ");
	if (mail->from_name.len > 0) {
		append_name(out, mail->from_name);
		text_append_string(out, "\r\n ");
	}
	text_printf(out, "<%.*s>\r\nTo: ", SPAN_ARG(mail->from));
	for (size_t i = 0; i < mail->to_count; i++)
		text_printf(out, "%s<%.*s>", i ? ",\r\n " : "", SPAN_ARG(mail->to[i]));
	text_append_string(out, "\r\nSubject: ");
	append_text(out, mail->subject);
	text_append_string(out, "\r\nMessage-ID: <");
	mail_append_id(out, mail);
	/* RFC 3834: nobody's absence note shall answer it. */
	text_append_string(out, ">\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
				"Content-Type: text/plain; charset=utf-8\r\n");
	append_body(out, mail->text);
	return 0;
}
