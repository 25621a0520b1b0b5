/* change.h - follow a change to its end, as a person wants to see it */
#ifndef MORTISE_CLI_CHANGE_H
#define MORTISE_CLI_CHANGE_H

#include <jansson.h>

struct cli;
struct error;

/* Show the phases of the change (an answer of the host) as they happen; with --json print the ended
 * change. 0: it is done; otherwise its own error, so that the exit code tells how it ended. */
int change_follow(struct cli *cli, const json_t *change, struct error *err);

#endif
