/* resolve.h - which versions of which plugins, so that everything asked for runs
 *
 * Rows in, a plan out: no database, no clock, and the same plan whatever the order of the rows. An
 * environment runs one version of a plugin. What is installed is the lock: it stays as it is unless
 * it is asked for, or something in the plan needs another version of it.
 *
 *   - A wanted plugin gets its highest version in range that this host can run and whose needs can
 *     be met. Pre-releases only where a range names one (base/semver_range.h).
 *   - A withdrawn ("yanked") version will do only where it is installed already.
 *   - A need brings its plugin along; an optional need and a peer only say which version will do
 *     if it is there, and a peer must be there.
 *   - Versions are tried from the best down, plugin by plugin: wanted ones by name, then what they
 *     need, then what else is installed. The first plan that fits is the answer.
 *
 * [any thread]
 */
#ifndef MORTISE_LIFECYCLE_RESOLVE_H
#define MORTISE_LIFECYCLE_RESOLVE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

struct error;

#define RESOLVE_TRIES_MAX 200000u /* versions looked at before it is given up */

enum resolve_kind { RESOLVE_NEED, RESOLVE_OPTIONAL, RESOLVE_PEER };

struct resolve_need {
	struct span plugin; /* "acme/geo" */
	struct span range;
	enum resolve_kind kind;
};

struct resolve_version {
	struct span plugin;
	struct span version;
	bool yanked;
	struct span unfit; /* SPAN_NONE, or why this host cannot run it: "needs mortise.http/2" */
	const struct resolve_need *needs;
	size_t need_count;
};

struct resolve_installed {
	struct span plugin;
	struct span version; /* where no row has it, nothing is known that it needs */
};

struct resolve_goal {
	struct span plugin;
	struct span range; /* "" or "*": any */
};

struct resolve_input { /* borrowed until resolve_plan_free() */
	const struct resolve_version *versions;
	size_t version_count;
	const struct resolve_installed *installed;
	size_t installed_count;
	const struct resolve_goal *goals; /* each plugin once */
	size_t goal_count;
};

struct resolve_step { /* what changes, what is needed before what needs it */
	struct span plugin;
	struct span from; /* SPAN_NONE: is not installed */
	struct span to;
	struct span needed_by; /* SPAN_NONE: was asked for */
};

struct resolve_plan {
	struct resolve_step *steps;
	size_t count; /* 0: everything is as asked for */
};

/* ERR_NOT_FOUND: no version of a wanted plugin is known. ERR_RESOLVE: no plan fits; the text says
 * who asked for what, the fix which command would resolve it, where there is one. ERR_LIMIT: given
 * up. ERR_INVALID: a range is none. */
int resolve(struct resolve_plan **out, const struct resolve_input *input, struct error *err);
void resolve_plan_free(struct resolve_plan *plan);

#endif
