/* mail.h - one message of plain text as RFC 5322 writes it
 *
 * Takes texts of any script and gives bytes that every server takes: ASCII, lines of at most 998
 * bytes that end with CRLF. No text of the caller's becomes a line of the header, or ends one: what
 * could is refused. [any thread]
 */
#ifndef MORTISE_CODEC_MAIL_H
#define MORTISE_CODEC_MAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

struct error;

#define MAIL_ADDRESS_MAX 254 /* RFC 5321, 4.5.3.1.3, without the angle brackets */

struct mail {
	struct span from;      /* address */
	struct span from_name; /* for people; may be empty */
	const struct span *to; /* addresses */
	size_t to_count;
	struct span subject;
	struct span text;
	struct span id;  /* left half of the Message-ID: letters, digits, '.', '-' and '_' */
	int64_t time_us; /* real time */
};

/* An address as servers take them without extensions: ASCII, a dot-atom, '@' and a domain name or
 * an address in brackets. No comment, no quoted string, nothing that starts another. */
bool mail_address_valid(struct span address);

/* Append the message. ERR_INVALID: an address is none, or a line holds control characters or is no
 * UTF-8; out is unchanged then. */
int mail_append(struct text *out, const struct mail *mail, struct error *err);

/* Append the Message-ID that mail_append() gives, without angle brackets. */
void mail_append_id(struct text *out, const struct mail *mail);

#endif
