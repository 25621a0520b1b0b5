/* plugin_log.h - what a plugin says, as JSON lines in a file of its own
 *
 * One file per plugin, FOLDER/<publisher>.<plugin>.log, one object per line:
 * {"time","level","source","message","fields":{}}. Whatever the bytes are, a line
 * stays one line: text is repaired to UTF-8 and escaped, never spliced. Writing
 * happens on the pool; what does not fit into PLUGIN_LOG_PENDING_MAX until then is
 * dropped and counted in the next line. At limit_bytes the file becomes NAME.1,
 * and so on up to NAME.PLUGIN_LOG_KEPT. [loop thread]
 */
#ifndef MORTISE_SUPERVISE_PLUGIN_LOG_H
#define MORTISE_SUPERVISE_PLUGIN_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "base/text.h"

struct uv_loop_s;
struct plugin_log; /* opaque */

#define PLUGIN_LOG_PENDING_MAX (1u << 20)
#define PLUGIN_LOG_KEPT        3

struct plugin_log_field {
	struct span key;
	struct span value;
};

struct plugin_log_line {
	enum log_level level;
	const char *source; /* "plugin", "stderr", "host" */
	struct span message;
	const struct plugin_log_field *fields;
	size_t field_count;
};

/* folder is an open descriptor that outlives the log; plugin is "publisher/plugin". */
struct plugin_log *plugin_log_start(
	struct uv_loop_s *loop, int folder, const char *plugin, uint64_t limit_bytes);

void plugin_log_write(struct plugin_log *log, const struct plugin_log_line *line);

/* Write what is pending, then release. */
void plugin_log_close(struct plugin_log *log);

#endif
