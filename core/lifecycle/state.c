#include "lifecycle/state.h"

#include "base/assert.h"
#include "base/log.h"

#define TO(name) (1u << STATE_##name)

/* available -> installing -> installed <-> disabled    installed -> updating -> installed
 * installing -> available, when nothing was committed  disabled, failed -> uninstalling ->
 * available failed -> installing                                 any but available -> failed
 */
static const struct {
	const char *name; /* the same word as in the database */
	unsigned next;    /* states that may follow */
	bool serves;
} states[STATE_COUNT] = {
	[STATE_AVAILABLE] = { "available", TO(INSTALLING), false },
	[STATE_INSTALLING] = { "installing", TO(INSTALLED) | TO(AVAILABLE) | TO(FAILED), false },
	[STATE_INSTALLED] = { "installed", TO(UPDATING) | TO(DISABLED) | TO(FAILED), true },
	[STATE_UPDATING] = { "updating", TO(INSTALLED) | TO(FAILED), true },
	[STATE_DISABLED] = { "disabled", TO(INSTALLED) | TO(UNINSTALLING) | TO(FAILED), false },
	[STATE_FAILED] = { "failed", TO(INSTALLING) | TO(UNINSTALLING), false },
	[STATE_UNINSTALLING] = { "uninstalling", TO(AVAILABLE) | TO(FAILED), false },
};

const char *state_name(enum state state)
{
	ASSERT((unsigned)state < STATE_COUNT);
	return states[state].name;
}

enum state state_from(struct span name)
{
	unsigned state = 0;

	while (state < STATE_COUNT && !span_is(name, states[state].name))
		state++;
	return (enum state)state;
}

bool state_may_follow(enum state from, enum state to)
{
	ASSERT((unsigned)from < STATE_COUNT && (unsigned)to < STATE_COUNT);
	return states[from].next & (1u << to);
}

bool state_serves(enum state state)
{
	ASSERT((unsigned)state < STATE_COUNT);
	return states[state].serves;
}

void state_move(enum state *state, enum state to, const char *plugin)
{
	if (*state == to)
		return;
	ASSERT(state_may_follow(*state, to));
	log_info("instance moved", LOG_STR("plugin", plugin), LOG_STR("from", state_name(*state)),
		LOG_STR("to", state_name(to)));
	*state = to;
}
