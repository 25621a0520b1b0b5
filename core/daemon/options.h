/* options.h - the command line of mortised
 */
#ifndef MORTISE_DAEMON_OPTIONS_H
#define MORTISE_DAEMON_OPTIONS_H

#include <stdbool.h>

#include "base/settings.h"

struct error;

struct options {
	struct settings settings;
	int ready_fd; /* -1: nobody waits */
	bool help;
	bool version;
};

/* Settings from the environment, with the flags over them, checked. ERR_USAGE: no such flag;
 * ERR_CONFIG: names the setting. On failure ready_fd may be set all the same, so that whoever
 * waits can be told. */
int options_init(struct options *o, int argc, char **argv, struct error *err);
void options_done(struct options *o);

void options_print_help(const struct options *o);

#endif
