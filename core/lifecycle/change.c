#include <string.h>

#include "base/assert.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "lifecycle/change_priv.h"
#include "store/instances.h"

/* A change is a row of steps, the same for each action at every node:
 *
 *   install, enable   verify  wish  start  gate  commit  route
 *   update            verify  wish  start  gate  commit  route  retire
 *   configure         verify  wish  apply  start  gate  commit  route  retire
 *   disable           wish  drain  stop  commit
 *   uninstall         wish  drain  stop  commit  clean
 *
 * wish is transaction 1 and commit transaction 2; whatever fails before the commit is undone by
 * change_fail with the state that the table below names, after what was started is stopped. Each
 * step ends in change_step_done(), from the loop. A change without a number follows what another
 * node did: wish, commit and failure are then moves of this node's instance alone.
 *
 * configure gives the running plugin its new configuration; only for one that takes none while it
 * runs a second instance starts beside it, as at an update. A step without an instance to work on
 * is skipped.
 */
#define CHANGE_MAGIC 0x676e6863u

struct phase {
	struct list link;
	const char *name;
	const char *state;
	char *detail;
};

const struct change_action change_actions[ACTION_COUNT] = {
	[ACTION_INSTALL] = { "install",
		{ STEP_VERIFY, STEP_WISH, STEP_START, STEP_GATE, STEP_COMMIT, STEP_ROUTE,
			STEP_END },
		STATE_INSTALLING, STATE_INSTALLED, STATE_FAILED, false },
	[ACTION_UPDATE] = { "update",
		{ STEP_VERIFY, STEP_WISH, STEP_START, STEP_GATE, STEP_COMMIT, STEP_ROUTE,
			STEP_RETIRE, STEP_END },
		STATE_UPDATING, STATE_INSTALLED, STATE_INSTALLED, false },
	[ACTION_CONFIGURE] = { "configure",
		{ STEP_VERIFY, STEP_WISH, STEP_APPLY, STEP_START, STEP_GATE, STEP_COMMIT,
			STEP_ROUTE, STEP_RETIRE, STEP_END },
		STATE_COUNT, STATE_COUNT, STATE_COUNT, false },
	[ACTION_ENABLE] = { "enable",
		{ STEP_VERIFY, STEP_WISH, STEP_START, STEP_GATE, STEP_COMMIT, STEP_ROUTE,
			STEP_END },
		STATE_COUNT, STATE_INSTALLED, STATE_DISABLED, true },
	[ACTION_DISABLE] = { "disable", { STEP_WISH, STEP_DRAIN, STEP_STOP, STEP_COMMIT, STEP_END },
		STATE_COUNT, STATE_DISABLED, STATE_INSTALLED, true },
	[ACTION_UNINSTALL] = { "uninstall",
		{ STEP_WISH, STEP_DRAIN, STEP_STOP, STEP_COMMIT, STEP_CLEAN, STEP_END },
		STATE_UNINSTALLING, STATE_AVAILABLE, STATE_FAILED, true },
};

static void step_run(struct change *c);
static void change_failed(struct change *c, const struct error *err);
static void on_begin(void *arg, const struct error *err);

enum change_step change_step_of(const struct change *c)
{
	return change_actions[c->action].steps[c->at];
}

static void change_free(struct change *c)
{
	ASSERT(c->magic == CHANGE_MAGIC && !c->instance && list_empty(&c->phases));
	c->magic = 0;
	list_remove(&c->link);
	if (c->installation && c->installation->change == c)
		c->installation->change = NULL;
	mem_free(c->plugin);
	mem_free(c->digest);
	mem_free(c->config);
	mem_free(c->old_config);
	mem_free(c->old_row_config);
	mem_free(c);
}

/* ---- the end of an abandoned change: stop what it started, then go ---- */

static void on_abandoned_stopped(void *arg, const struct error *err)
{
	struct change *c = arg;

	(void)err;
	instance_free(c->instance);
	c->instance = NULL;
	change_free(c);
}

static void leave(struct change *c)
{
	while (!list_empty(&c->phases)) {
		struct phase *p = LIST_FIRST(&c->phases, struct phase, link);

		list_remove(&p->link);
		mem_free(p->detail);
		mem_free(p);
	}
	if (c->instance && c->instance->running) {
		c->lc->hooks->stop(c->lc->user, c->instance, on_abandoned_stopped, c);
		return;
	}
	if (c->instance)
		instance_free(c->instance);
	c->instance = NULL;
	change_free(c);
}

bool change_resume(struct change *c)
{
	ASSERT(c->magic == CHANGE_MAGIC && c->busy);
	c->busy = false;
	if (!c->abandoned)
		return true;
	if (!c->writing)
		leave(c);
	return false;
}

/* ---- phases: written one after the other, in order, beside the steps ---- */

static void write_next_phase(struct change *c);

static void on_phase_written(const struct error *err, void *user)
{
	struct change *c = user;

	ASSERT(c->magic == CHANGE_MAGIC);
	c->writing = false;
	if (err)
		log_debug("phase not written", LOG_INT("change", c->number), LOG_ERR(err));
	if (c->abandoned) {
		if (!c->busy)
			leave(c);
		return;
	}
	write_next_phase(c);
}

static void write_next_phase(struct change *c)
{
	struct store_fence fence = lifecycle_fence(c->lc);
	struct phase *p = LIST_FIRST(&c->phases, struct phase, link);

	if (c->writing)
		return;
	if (!p) {
		void (*then)(struct change *) = c->when_written;

		c->when_written = NULL;
		if (then)
			then(c);
		return;
	}
	list_remove(&p->link);
	c->writing = true;
	store_change_phase(c->lc->db, &fence, c->number, span_of(p->name), span_of(p->state),
		span_of(p->detail), on_phase_written, c);
	mem_free(p->detail);
	mem_free(p);
}

static void note_phase(struct change *c, const char *state, const char *detail)
{
	struct phase *p;

	if (c->number == 0 || !change_steps[change_step_of(c)].phase || c->committed)
		return;
	p = mem_zalloc(sizeof(*p));
	p->name = change_steps[change_step_of(c)].name;
	p->state = state;
	p->detail = mem_strdup(detail);
	list_append(&c->phases, &p->link);
	write_next_phase(c);
}

/* The transactions that end a change come behind its phases. */
void change_when_written(struct change *c, void (*then)(struct change *))
{
	c->when_written = then;
	write_next_phase(c);
}

/* ---- the machine ---- */

static void touch(struct change *c)
{
	if (c->installation)
		c->installation->touched = ++c->lc->clock;
}

void change_step_done(struct change *c, const struct error *err)
{
	if (err) {
		note_phase(c, "failed", err->text);
		change_failed(c, err);
		return;
	}
	note_phase(c, "done", NULL);
	touch(c);
	c->at++;
	step_run(c);
}

void change_step_skip(struct change *c)
{
	note_phase(c, "skipped", NULL);
	c->at++;
	step_run(c);
}

static int fault(struct change *c, struct error *err)
{
	CLEANUP(mem_freep)
	char *point = mem_printf(
		"%s.%s", change_actions[c->action].name, change_steps[change_step_of(c)].name);

	if (FAULT_POINT(point) < 0)
		return error_set(err, ERR_FAULT, "at '%s'", point);
	return 0;
}

static void step_run(struct change *c)
{
	struct error err = { 0 };

	if (c->number && fault(c, &err) < 0 && !c->committed) {
		change_step_done(c, &err);
		return;
	}
	note_phase(c, "running", NULL);
	change_steps[change_step_of(c)].run(c);
}

static void on_retry(void *arg, const struct error *err)
{
	struct change *c = arg;

	(void)err;
	if (!change_resume(c))
		return;
	if (c->failing)
		change_failed(c, NULL);
	else
		change_steps[change_step_of(c)].run(c);
}

/* The database is away or we are fenced off: wait, and do this step again. A fenced node is taken
 * anew, and that abandons us. */
bool change_wait(struct change *c, const struct error *err)
{
	if (!err || !(lifecycle_may_retry(err) || err->code == ERR_FENCED))
		return false;
	c->busy = true;
	c->lc->hooks->after(c->lc->user, LIFECYCLE_RETRY_MS, on_retry, c);
	return true;
}

/* ---- its turn ----
 *
 * A change is over for the database at its commit, while here its routes still move and what it
 * replaced drains. The next one of the plugin may be claimed by then: it waits, for both hold the
 * installation.
 */

static bool is_of(const struct change *c, const struct change *other)
{
	return c != other && !other->abandoned && strcmp(c->plugin, other->plugin) == 0;
}

static bool other_runs(const struct change *c)
{
	list_for_each(struct change, other, &c->lc->changes, link)
		if (is_of(c, other))
			return true;
	return false;
}

static struct change *next_in_turn(const struct change *c)
{
	list_for_each(struct change, other, &c->lc->changes, link)
		if (is_of(c, other) && other->waiting)
			return other;
	return NULL;
}

static void judge(struct change *c)
{
	bool resumes = change_actions[c->action].resumes;

	if ((c->interrupted && !(c->wished && resumes)) ||
		(c->wished && !c->interrupted && !resumes)) {
		c->failing = true;
		(void)error_set(&c->err, ERR_INTERRUPTED,
			"interrupted: the host stopped while it %s",
			c->wished ? "was under way" : "had hardly begun");
	} else if (!c->installation && (c->wished || c->action != ACTION_INSTALL)) {
		c->failing = true;
		(void)error_set(&c->err, ERR_NOT_INSTALLED, "'%s' is not installed on this node",
			c->plugin);
	}
}

static void take_turn(struct change *c)
{
	struct installation *i = lifecycle_find(c->lc, span_of(c->plugin));

	c->waiting = false;
	c->installation = i;
	if (i) {
		i->change = c;
		if (!c->config && c->action != ACTION_INSTALL && i->config)
			c->config = mem_strdup(i->config);
		if ((c->action == ACTION_ENABLE || c->action == ACTION_CONFIGURE) && i->digest) {
			mem_free(c->digest);
			c->digest = mem_strdup(i->digest);
		}
	}
	touch(c);
	log_info(c->interrupted ? "change found" : "change begun", LOG_INT("change", c->number),
		LOG_STR("plugin", c->plugin), LOG_STR("action", change_actions[c->action].name));
	judge(c);
	c->busy = true;
	c->lc->hooks->after(c->lc->user, 0, on_begin, c);
}

/* ---- the end ---- */

void change_end(struct change *c)
{
	struct lifecycle *lc = c->lc;
	struct installation *i = c->installation;
	int64_t number = c->number;
	bool gone = i && i->state == STATE_AVAILABLE;
	/* A failure has set the wish back, so there may be something to start again. What failed
	 * while following is tried again at the next wish, not in a circle. */
	bool look = (c->failing && number != 0) || (i && i->missed);
	struct change *next = next_in_turn(c);

	if (number)
		log_info("change ended", LOG_INT("change", number), LOG_STR("plugin", c->plugin),
			LOG_STR("action", change_actions[c->action].name),
			LOG_STR("outcome", c->failing ? "failed" : "done"),
			LOG_STR("error", c->failing ? c->err.text : "-"));
	touch(c);
	change_free(c);
	if (gone && !i->serving)
		lifecycle_forget(i);
	else if (i && i->serving && !i->serving->running)
		/* It failed for good while the change held it. */
		lifecycle_bury(lc, i->serving);
	if (next)
		take_turn(next);
	if (number)
		lc->hooks->ended(lc->user, number);
	lifecycle_wake(lc, look);
}

static enum state failed_state(const struct change *c)
{
	/* Another node's install, that never moved anything here: it is cancelled. */
	if (c->action == ACTION_INSTALL && c->installation &&
		c->installation->state == STATE_AVAILABLE)
		return STATE_AVAILABLE;
	if (change_actions[c->action].failed == STATE_COUNT)
		return c->installation ? c->installation->state : STATE_INSTALLED;
	return change_actions[c->action].failed;
}

static void on_failed(
	const struct error *err, const struct store_change *rows, size_t n, void *user)
{
	struct change *c = user;

	(void)rows;
	(void)n;
	if (!change_resume(c) || change_wait(c, err))
		return;
	/* ERR_UNKNOWN: the second time it is no longer running, and that is as good. */
	if (err && err->code == ERR_UNKNOWN) {
		change_failed(c, NULL);
		return;
	}
	if (err)
		log_error("failure of a change not recorded", LOG_INT("change", c->number),
			LOG_ERR(err));
	else if (c->wished && c->installation)
		state_move(&c->installation->state, failed_state(c), c->plugin);
	change_end(c);
}

static void send_failure(struct change *c)
{
	struct store_fence fence = lifecycle_fence(c->lc);
	CLEANUP(mem_freep) char *json = lifecycle_error_json(&c->err);

	c->busy = true;
	c->ending = true;
	store_change_fail(c->lc->db, &fence, c->number,
		c->wished ? span_of(state_name(failed_state(c))) : SPAN_NONE, span_of(json),
		on_failed, c);
}

static void record_failure(struct change *c)
{
	CLEANUP(mem_freep) char *json = NULL;

	if (c->number) {
		change_when_written(c, send_failure);
		return;
	}
	log_error("following another node failed", LOG_STR("plugin", c->plugin),
		LOG_STR("action", change_actions[c->action].name), LOG_ERR(&c->err));
	json = lifecycle_error_json(&c->err);
	if (c->wished && state_may_follow(c->installation->state, failed_state(c)))
		change_follow_move(c, failed_state(c), json);
	else
		change_end(c);
}

static void on_reverted(void *arg, const struct error *err)
{
	struct change *c = arg;

	(void)err;
	if (change_resume(c))
		change_failed(c, NULL);
}

static void on_candidate_stopped(void *arg, const struct error *err)
{
	struct change *c = arg;

	(void)err;
	instance_free(c->instance);
	c->instance = NULL;
	if (change_resume(c))
		record_failure(c);
}

/* err NULL: go on with the failure that is known. */
static void change_failed(struct change *c, const struct error *err)
{
	if (err && !c->failing)
		c->err = *err;
	c->failing = true;
	if (c->applied) {
		c->applied = false;
		change_swap_configuration(c);
		if (c->installation->serving->running) {
			c->busy = true;
			c->lc->hooks->revert(c->lc->user, c->installation->serving, on_reverted, c);
			return;
		}
		/* Its worker failed for good with the new one. */
		c->installation->serving->failure = c->err;
	}
	if (c->instance && c->instance->running) {
		c->busy = true;
		c->lc->hooks->stop(c->lc->user, c->instance, on_candidate_stopped, c);
		return;
	}
	if (c->instance)
		instance_free(c->instance);
	c->instance = NULL;
	record_failure(c);
}

/* ---- the beginning ---- */

static struct change *change_new(struct lifecycle *lc, enum action action, const char *plugin)
{
	struct change *c = mem_zalloc(sizeof(*c));

	c->magic = CHANGE_MAGIC;
	c->lc = lc;
	c->action = action;
	c->plugin = mem_strdup(plugin);
	list_init(&c->phases);
	list_append(&lc->changes, &c->link);
	return c;
}

static enum action action_from(struct span name)
{
	unsigned action = 0;

	while (action < ACTION_COUNT && !span_is(name, change_actions[action].name))
		action++;
	return (enum action)action;
}

static void on_begin(void *arg, const struct error *err)
{
	struct change *c = arg;

	(void)err;
	if (!change_resume(c))
		return;
	if (c->failing)
		change_failed(c, NULL);
	else
		step_run(c);
}

void change_run(struct lifecycle *lc, const struct store_change *row, bool interrupted)
{
	enum action action = action_from(row->action);
	CLEANUP(mem_freep) char *plugin = mem_printf("%.*s", SPAN_ARG(row->plugin_name));
	struct change *c;

	if (action == ACTION_COUNT) {
		log_error("unknown action", LOG_INT("change", row->number),
			LOG_SPAN("action", row->action));
		return;
	}
	c = change_new(lc, action, plugin);
	c->number = row->number;
	c->wished = row->wished_at != 0;
	c->digest = mem_printf("%.*s", SPAN_ARG(row->digest));
	if (row->config.data)
		c->config = mem_printf("%.*s", SPAN_ARG(row->config));
	c->interrupted = interrupted;
	c->waiting = other_runs(c);
	if (!c->waiting)
		take_turn(c);
}

void change_follow(struct installation *i, enum action action)
{
	struct change *c = change_new(i->lifecycle, action, i->plugin);

	c->installation = i;
	c->digest = mem_strdup(i->digest ? i->digest : "");
	c->config = mem_strdup(i->config ? i->config : "{}");
	i->change = c;
	c->busy = true;
	i->lifecycle->hooks->after(i->lifecycle->user, 0, on_begin, c);
}

void change_abandon(struct change *c)
{
	ASSERT(c->magic == CHANGE_MAGIC);
	c->abandoned = true;
	if (c->installation && c->installation->change == c)
		c->installation->change = NULL;
	if (!c->busy && !c->writing)
		leave(c);
}

int64_t change_ending(const struct change *c)
{
	return c->ending && !c->abandoned ? c->number : 0;
}

struct change *change_of_link(struct list *link)
{
	return LIST_ENTRY(link, struct change, link);
}
