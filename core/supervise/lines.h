/* lines.h - what a child writes to its log pipe, line by line
 *
 * The bytes are an outsider's: a line is at most LINES_MAX bytes (longer ones
 * arrive in parts), and no more than LINES_PER_SECOND bytes are read in a
 * second, so that a flood blocks its writer and nobody else. [loop thread]
 */
#ifndef MORTISE_SUPERVISE_LINES_H
#define MORTISE_SUPERVISE_LINES_H

#include "base/text.h"

struct error;
struct uv_loop_s;
struct lines; /* opaque */

#define LINES_MAX        (8u << 10)
#define LINES_PER_SECOND (1u << 20)

/* One line without its end, in whatever encoding the child chose. */
typedef void (*lines_cb)(void *user, struct span line);
typedef void (*lines_closed_cb)(void *user);

/* Make a pipe; *writer is the caller's, for the child's fd 1 and 2. */
int lines_start(struct lines **out, struct uv_loop_s *loop, lines_cb on_line, void *user,
	int *writer, struct error *err);

/* Deliver what is left in the pipe, then end. on_closed comes from the loop. */
void lines_close(struct lines *l, lines_closed_cb on_closed);

#endif
