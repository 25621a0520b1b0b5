/* log.h - one line a fact, on fd 2
 *
 * A line is `time level event key=value ...`; values with anything but plain
 * characters are quoted, so no value can forge a line or a key. Whoever handles
 * an error logs it, once. Error: someone must act. Warn: we carried on, and say
 * so. Never a secret: the value of a field that is named like a restricted or
 * personal column of the database is withheld. Library modules do not log above
 * debug. [any thread]
 */
#ifndef MORTISE_BASE_LOG_H
#define MORTISE_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

struct error;

enum log_level {
	LOG_LEVEL_DEBUG,
	LOG_LEVEL_INFO,
	LOG_LEVEL_WARN,
	LOG_LEVEL_ERROR,
	LOG_LEVEL_COUNT
};

struct log_field {
	const char *key;
	struct span text; /* used when text.data is not NULL */
	int64_t number;
};

#define LOG_STR(key, s)                            \
	{                                          \
		(key), span_of((s) ? (s) : "-"), 0 \
	}
#define LOG_SPAN(key, s)      \
	{                     \
		(key), (s), 0 \
	}
#define LOG_INT(key, n)                        \
	{                                      \
		(key), SPAN_NONE, (int64_t)(n) \
	}
#define LOG_ERR(err)                             \
	{                                        \
		"error", span_of((err)->text), 0 \
	}

/* log_info("worker ready", LOG_STR("plugin", name), LOG_INT("pid", pid)); the fields may be none.
 */
#define log_at(level, event, ...)                                                     \
	log_write((level), (event), (const struct log_field[]){ { 0 }, __VA_ARGS__ }, \
		sizeof((const struct log_field[]){ { 0 }, __VA_ARGS__ }) /            \
			sizeof(struct log_field))
#define log_debug(...) log_at(LOG_LEVEL_DEBUG, __VA_ARGS__, )
#define log_info(...)  log_at(LOG_LEVEL_INFO, __VA_ARGS__, )
#define log_warn(...)  log_at(LOG_LEVEL_WARN, __VA_ARGS__, )
#define log_error(...) log_at(LOG_LEVEL_ERROR, __VA_ARGS__, )

/* fields[0] is skipped, so that a call without fields is still an array. */
void log_write(enum log_level level, const char *event, const struct log_field *fields, size_t n);

/* Is a field of that name withheld? For those who write logs of their own. */
bool log_withholds(struct span key);

/* What is below is dropped. The program name stands in each line. */
void log_init(const char *program, enum log_level lowest);

/* "debug", "info", "warn", "error"; LOG_LEVEL_COUNT for anything else. */
enum log_level log_level_from(const char *name);
const char *log_level_name(enum log_level level);

#endif
