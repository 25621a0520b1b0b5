/* shown.h - outsiders' bytes in a message for people
 *
 * Printable ASCII stays, everything else becomes \xNN, and what is long is cut: no name out of a
 * package can move a terminal's cursor or break a line of a log. [any thread]
 */
#ifndef MORTISE_CODEC_SHOWN_H
#define MORTISE_CODEC_SHOWN_H

#include "base/text.h"

#define SHOWN_SIZE 160

struct shown {
	char text[SHOWN_SIZE];
};

/* For one argument of a printf: shown(name).text. */
struct shown shown(struct span bytes);

#endif
