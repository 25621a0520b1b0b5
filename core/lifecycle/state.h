/* state.h - the states of an installation on this node, and who may follow whom
 *
 * The words are the ones of plugin_instances.state. The database checks every
 * move again (MC005); this table is what the change runner plans by. Knows no
 * row and no process. [loop thread]
 */
#ifndef MORTISE_LIFECYCLE_STATE_H
#define MORTISE_LIFECYCLE_STATE_H

#include <stdbool.h>

#include "base/text.h"

enum state {
	STATE_AVAILABLE,
	STATE_INSTALLING,
	STATE_INSTALLED,
	STATE_UPDATING,
	STATE_DISABLED,
	STATE_FAILED,
	STATE_UNINSTALLING,
	STATE_COUNT
};

/* "available", the same word as in the database. */
const char *state_name(enum state state);

/* The state of that name; STATE_COUNT when there is none. */
enum state state_from(struct span name);

/* May `to` follow `from`? */
bool state_may_follow(enum state from, enum state to);

/* In which states does a version serve: its worker runs and its routes stand? */
bool state_serves(enum state state);

/* Move *state of the installation called plugin: the only place that assigns one. A move that
 * is not in the table is a mistake of ours and ends the process. Staying is no move. */
void state_move(enum state *state, enum state to, const char *plugin);

#endif
