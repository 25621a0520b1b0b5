#include "base/fault.h"

#ifdef MORTISE_FAULT_POINTS

#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

static const char *const names[] = {
#define X(name, what) name,
#include "base/fault.def"
#undef X
	NULL,
};

static unsigned passages[ARRAY_LENGTH(names)];

static size_t index_of(const char *name)
{
	for (size_t i = 0; names[i]; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	BUG("a fault point that fault.def does not name");
}

static int act(const char *name, struct span action)
{
	log_warn("fault point fires", LOG_STR("point", name), LOG_SPAN("action", action));
	if (span_is(action, "kill"))
		(void)kill(getpid(), SIGKILL);
	else if (span_is(action, "stop"))
		(void)kill(getpid(), SIGSTOP);
	else if (span_is(action, "fail"))
		return ERR_FAULT;
	else
		BUG("MORTISE_FAULT names an action other than fail, kill, stop");
	return 0;
}

int fault_point(const char *name)
{
	struct span armed = span_of(getenv("MORTISE_FAULT")), one;
	unsigned passage = ++passages[index_of(name)];

	while (armed.len && span_split(&armed, ',', &one)) {
		struct span point, action;
		uint64_t nth = 1;

		if (!span_split(&one, ':', &point) || !span_split(&one, ':', &action))
			BUG("MORTISE_FAULT is NAME:ACTION[:N][,...]");
		if (one.data && !span_u64(one, UINT32_MAX, &nth))
			BUG("MORTISE_FAULT: N is a number");
		if (span_is(point, name) && passage == nth)
			return act(name, action);
	}
	return 0;
}

#endif
