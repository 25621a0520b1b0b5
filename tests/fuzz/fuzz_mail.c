/* A message from texts that the input chooses: whatever they are, the header is the one that was
 * meant, every line is ASCII, short and ended by CRLF. */
#include <assert.h>
#include <stdlib.h>

#include "codec/mail.h"

#define HEADERS  9 /* Date, From, To, Subject, Message-ID, Auto-Submitted and three of MIME */
#define LINE_MAX 998

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input is parted at bytes 0xfe, which no UTF-8 has. */
static struct span part(struct span *rest)
{
	struct span found = SPAN("");

	(void)span_split(rest, (char)0xfe, &found);
	return found.data ? found : SPAN("");
}

static void check_line(struct span line, bool in_header)
{
	assert(line.len > 0 && line.data[line.len - 1] == '\r' && line.len - 1 <= LINE_MAX);
	for (size_t i = 0; i + 1 < line.len; i++) {
		assert((unsigned char)line.data[i] < 0x80 && line.data[i] != '\r' && line.data[i]);
		assert(!in_header || line.data[i] >= ' ');
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = { (const char *)data, size };
	struct mail mail = { .id = SPAN("id"), .to_count = 1 };
	struct span to, lines, line;
	struct text out;
	size_t headers = 0;
	bool in_header = true;

	mail.from = part(&rest);
	to = part(&rest);
	mail.to = &to;
	mail.from_name = part(&rest);
	mail.subject = part(&rest);
	mail.text = part(&rest);
	text_init(&out);
	if (mail_append(&out, &mail, NULL) < 0) {
		assert(out.len == 0);
		text_done(&out);
		return 0;
	}
	assert(mail_address_valid(mail.from) && mail_address_valid(to));
	lines = text_span(&out);
	assert(lines.data[lines.len - 1] == '\n');
	lines.len--;
	while (span_split(&lines, '\n', &line)) {
		check_line(line, in_header);
		if (in_header && line.len == 1)
			in_header = false;
		headers += in_header && line.data[0] != ' ';
	}
	assert(!in_header && headers == HEADERS);
	text_done(&out);
	return 0;
}
