/* cursor.h - where a list goes on
 *
 * A cursor is opaque text that names the last row of a page, bound by a digest to the list and
 * the filters it was made for: changed by a hand or used with other filters, it is refused. It is
 * no credential: what a page shows is decided anew each time. [any thread]
 */
#ifndef MORTISE_API_CURSOR_H
#define MORTISE_API_CURSOR_H

#include "base/text.h"

struct error;

/* Append the cursor behind position in that list ("services") under those filters. */
void cursor_append(struct text *out, struct span list, struct span filters, struct span position);

/* Append the position of a cursor. ERR_CURSOR: not one of this list under these filters. */
int cursor_position(struct text *out, struct span cursor, struct span list, struct span filters,
	struct error *err);

#endif
