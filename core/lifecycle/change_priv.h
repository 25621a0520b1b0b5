/* change_priv.h - what the machine of changes (change.c) and its steps (change_steps.c) share
 */
#ifndef MORTISE_LIFECYCLE_CHANGE_PRIV_H
#define MORTISE_LIFECYCLE_CHANGE_PRIV_H

#include "lifecycle/lifecycle_priv.h"

#define CHANGE_STEPS_MAX 9

enum change_step {
	STEP_VERIFY,
	STEP_WISH,
	STEP_APPLY,
	STEP_START,
	STEP_GATE,
	STEP_COMMIT,
	STEP_ROUTE,
	STEP_RETIRE,
	STEP_DRAIN,
	STEP_STOP,
	STEP_CLEAN,
	STEP_END,
	STEP_COUNT
};

struct change {
	uint32_t magic;
	struct list link;
	struct lifecycle *lc;
	int64_t number; /* 0: follows another node */
	enum action action;
	size_t at;
	bool interrupted; /* an earlier life had begun it */
	bool waiting;     /* for the end of another change of this plugin */
	bool wished;
	bool committed;
	bool applied; /* the serving instance runs with the new configuration */
	bool failing;
	bool ending; /* its last transaction was sent */
	bool abandoned;
	bool busy; /* a callback is under way */
	char *plugin;
	char *digest;
	char *config;     /* wished for; NULL: the schema's defaults */
	char *old_config; /* of the serving instance, once it is replaced */
	char *old_row_config;
	struct installation *installation; /* NULL before the wish of a first install */
	struct instance *instance;         /* started by this change, not serving yet */
	struct error err;
	struct list phases; /* to be written */
	bool writing;
	void (*when_written)(struct change *c);
};

/* A step: run() ends in change_step_done() or change_step_skip(), from the loop. */
struct change_step_row {
	const char *name;
	void (*run)(struct change *c);
	bool phase; /* stands in changes.phases; not what happens behind the commit */
};
extern const struct change_step_row change_steps[STEP_COUNT];

struct change_action {
	const char *name;
	enum change_step steps[CHANGE_STEPS_MAX];
	enum state wished;    /* the instance's state at the wish; COUNT: as it is */
	enum state committed; /* and at the commit */
	enum state failed;    /* when it fails between the two; COUNT: as it is */
	bool resumes;         /* one that was interrupted behind the wish goes on */
};
extern const struct change_action change_actions[ACTION_COUNT];

/* ---- change.c: for steps ---- */

enum change_step change_step_of(const struct change *c);
/* Every callback begins here: false when the change has no further step. */
bool change_resume(struct change *c);
/* The step is over; with an error the change fails. */
void change_step_done(struct change *c, const struct error *err);
/* There was nothing to do. */
void change_step_skip(struct change *c);
/* The database is away or we are fenced off: true, and the step is done again later. */
bool change_wait(struct change *c, const struct error *err);
/* Call then once the phases so far are written. */
void change_when_written(struct change *c, void (*then)(struct change *));
void change_end(struct change *c);

/* ---- change_steps.c: for the machine ---- */

/* Move this node's instance for a change that another node made. */
void change_follow_move(struct change *c, enum state state, const char *failure);
/* The serving instance's configuration and the one before change places. */
void change_swap_configuration(struct change *c);

#endif
