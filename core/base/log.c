#include "base/log.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log_priv.h"

static enum log_level lowest_level = LOG_LEVEL_INFO;
static const char *program_name = "mortise";

static const char *const level_names[LOG_LEVEL_COUNT] = { "debug", "info", "warn", "error" };

static int is_plain(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.data[i];

		if (c <= ' ' || c >= 0x7f || c == '"' || c == '=' || c == '\\')
			return 0;
	}
	return s.len > 0;
}

bool log_withholds(struct span key)
{
	for (size_t i = 0; log_withheld[i]; i++)
		if (span_is(key, log_withheld[i]))
			return true;
	return false;
}

void log_write(enum log_level level, const char *event, const struct log_field *fields, size_t n)
{
	char now[CLOCK_TEXT_SIZE];
	struct text line;

	if (level < lowest_level)
		return;
	clock_text(clock_real_us(), now);
	text_init(&line);
	text_printf(&line, "%s %s %s[%d]: %s", now, level_names[level], program_name, (int)getpid(),
		event);
	for (size_t i = 1; i < n && fields[i].key; i++) {
		text_printf(&line, " %s=", fields[i].key);
		if (log_withholds(span_of(fields[i].key)))
			text_append_string(&line, "[withheld]");
		else if (!fields[i].text.data)
			text_printf(&line, "%lld", (long long)fields[i].number);
		else if (is_plain(fields[i].text))
			text_append_span(&line, fields[i].text);
		else
			text_append_json(&line, fields[i].text);
	}
	text_append_char(&line, '\n');
	/* One write a line, so that lines of several processes do not mix. */
	(void)!write(STDERR_FILENO, line.data, line.len);
	text_done(&line);
}

void log_init(const char *program, enum log_level lowest)
{
	program_name = program;
	lowest_level = lowest;
}

enum log_level log_level_from(const char *name)
{
	for (int i = 0; i < LOG_LEVEL_COUNT; i++)
		if (strcmp(level_names[i], name) == 0)
			return (enum log_level)i;
	return LOG_LEVEL_COUNT;
}

const char *log_level_name(enum log_level level)
{
	return level_names[level];
}
