#include "supervise/plugin_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/io.h"
#include "base/loop.h"
#include "base/mem.h"

#define PLUGIN_LOG_MAGIC 0x676f6c70u
#define LOG_FILE_MODE    0640

struct plugin_log {
	uint32_t magic;
	struct uv_loop_s *loop;
	int folder;
	char *name; /* of the file */
	uint64_t limit_bytes;
	uint64_t dropped;
	struct text pending;
	struct text writing; /* the pool's while busy */
	struct error error;  /* the pool's while busy */
	bool busy;
	bool failed; /* the last write failed: said once, not per line */
	bool closing;
};

static void rotate(int folder, const char *name)
{
	for (int i = PLUGIN_LOG_KEPT; i > 0; i--) {
		CLEANUP(mem_freep) char *to = mem_printf("%s.%d", name, i);
		CLEANUP(mem_freep)
		char *from = i > 1 ? mem_printf("%s.%d", name, i - 1) : mem_strdup(name);

		(void)renameat(folder, from, folder, to);
	}
}

static int open_log(const struct plugin_log *log, struct error *err)
{
	int fd = openat(log->folder, log->name,
		O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, LOG_FILE_MODE);

	if (fd == -1)
		return error_set_errno(err, errno, "open log '%s'", log->name);
	if (fchmod(fd, LOG_FILE_MODE) == -1) {
		(void)close(fd);
		return error_set_errno(err, errno, "chmod log '%s'", log->name);
	}
	return fd;
}

/* [pool thread] */
static void write_pending(void *user)
{
	struct plugin_log *log = user;
	CLEANUP(io_closep) int fd = open_log(log, &log->error);
	struct stat st;

	if (fd < 0) {
		fd = -1;
		return;
	}
	if (fstat(fd, &st) == 0 && st.st_size > 0 &&
		(uint64_t)st.st_size + log->writing.len > log->limit_bytes) {
		rotate(log->folder, log->name);
		io_closep(&fd);
		fd = open_log(log, &log->error);
		if (fd < 0) {
			fd = -1;
			return;
		}
	}
	(void)io_write_all(fd, log->writing.data, log->writing.len, &log->error);
}

static void release(struct plugin_log *log)
{
	text_done(&log->pending);
	text_done(&log->writing);
	mem_free(log->name);
	log->magic = 0;
	mem_free(log);
}

static void flush(struct plugin_log *log);

static void on_written(void *user, int cancelled)
{
	struct plugin_log *log = user;

	(void)cancelled;
	ASSERT(log->magic == PLUGIN_LOG_MAGIC);
	if (log->error.code && !log->failed)
		log_warn("plugin log not written, lines are lost", LOG_STR("file", log->name),
			LOG_ERR(&log->error));
	log->failed = log->error.code != 0;
	log->busy = false;
	flush(log);
}

static void flush(struct plugin_log *log)
{
	if (log->busy)
		return;
	if (log->pending.len == 0) {
		if (log->closing)
			release(log);
		return;
	}
	text_clear(&log->writing);
	text_append_span(&log->writing, text_span(&log->pending));
	text_clear(&log->pending);
	memset(&log->error, 0, sizeof(log->error));
	log->busy = true;
	(void)work_submit(log->loop, write_pending, on_written, log);
}

struct plugin_log *plugin_log_start(
	struct uv_loop_s *loop, int folder, const char *plugin, uint64_t limit_bytes)
{
	struct plugin_log *log = mem_zalloc(sizeof(*log));
	char *slash;

	log->magic = PLUGIN_LOG_MAGIC;
	log->loop = loop;
	log->folder = folder;
	log->limit_bytes = limit_bytes;
	log->name = mem_printf("%s.log", plugin);
	slash = strchr(log->name, '/');
	if (slash)
		*slash = '.';
	ASSERT(!strchr(log->name, '/'));
	text_init(&log->pending);
	text_init(&log->writing);
	return log;
}

/* NUL is legal JSON as \u0000 and refused by many readers, PostgreSQL among them. */
static void append_string(struct text *out, struct span s)
{
	struct text repaired;

	text_init(&repaired);
	text_append_utf8(&repaired, s);
	text_append_json(out, text_span(&repaired));
	text_done(&repaired);
}

static void append_line(struct text *out, const struct plugin_log_line *line)
{
	char time[CLOCK_TEXT_SIZE];

	clock_text(clock_real_us(), time);
	text_printf(out, "{\"time\":\"%s\",\"level\":\"%s\",\"source\":\"%s\",\"message\":", time,
		log_level_name(line->level), line->source);
	append_string(out, line->message);
	text_append_string(out, ",\"fields\":{");
	for (size_t i = 0; i < line->field_count; i++) {
		if (i)
			text_append_char(out, ',');
		append_string(out, line->fields[i].key);
		text_append_char(out, ':');
		append_string(out, log_withholds(line->fields[i].key) ? SPAN("[withheld]")
								      : line->fields[i].value);
	}
	text_append_string(out, "}}\n");
}

static void append_dropped(struct plugin_log *log)
{
	CLEANUP(mem_freep)
	char *text = mem_printf("%llu lines dropped: the plugin wrote faster than the disk",
		(unsigned long long)log->dropped);

	append_line(&log->pending,
		&(struct plugin_log_line){
			.level = LOG_LEVEL_WARN, .source = "host", .message = span_of(text) });
	log->dropped = 0;
}

void plugin_log_write(struct plugin_log *log, const struct plugin_log_line *line)
{
	ASSERT(log->magic == PLUGIN_LOG_MAGIC && !log->closing);
	if (log->pending.len > PLUGIN_LOG_PENDING_MAX) {
		log->dropped++;
		return;
	}
	if (log->dropped)
		append_dropped(log);
	append_line(&log->pending, line);
	flush(log);
}

void plugin_log_close(struct plugin_log *log)
{
	ASSERT(log->magic == PLUGIN_LOG_MAGIC && !log->closing);
	if (log->dropped)
		append_dropped(log);
	log->closing = true;
	flush(log);
}
