#include <string.h>

#include "base/assert.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "lifecycle/lifecycle_priv.h"
#include "store/instances.h"
#include "store/packages.h"

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
 * step ends in step_done(), from the loop. A change without a number follows what another node
 * did: wish, commit and failure are then moves of this node's instance alone.
 *
 * configure gives the running plugin its new configuration; only for one that takes none while it
 * runs a second instance starts beside it, as at an update. A step without an instance to work on
 * is skipped.
 */
enum step {
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

#define STEPS_MAX 9

struct phase {
	struct list link;
	const char *name;
	const char *state;
	char *detail;
};

struct change {
	uint32_t magic;
	struct list link;
	struct lifecycle *lc;
	int64_t number; /* 0: follows another node */
	enum action action;
	size_t at;
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

#define CHANGE_MAGIC 0x676e6863u

static void verify(struct change *c);
static void wish(struct change *c);
static void apply(struct change *c);
static void start(struct change *c);
static void gate(struct change *c);
static void commit(struct change *c);
static void route(struct change *c);
static void retire(struct change *c);
static void drain(struct change *c);
static void stop(struct change *c);
static void clean(struct change *c);
static void end(struct change *c);

static const struct {
	const char *name;
	void (*run)(struct change *c);
	bool phase; /* stands in changes.phases; not what happens behind the commit */
} steps[STEP_COUNT] = {
	[STEP_VERIFY] = { "verify", verify, true },
	[STEP_WISH] = { "wish", wish, false },
	[STEP_APPLY] = { "apply", apply, true },
	[STEP_START] = { "start", start, true },
	[STEP_GATE] = { "gate", gate, true },
	[STEP_COMMIT] = { "commit", commit, false },
	[STEP_ROUTE] = { "route", route, false },
	[STEP_RETIRE] = { "retire", retire, false },
	[STEP_DRAIN] = { "drain", drain, true },
	[STEP_STOP] = { "stop", stop, true },
	[STEP_CLEAN] = { "clean", clean, false },
	[STEP_END] = { "end", end, false },
};

static const struct {
	const char *name;
	enum step steps[STEPS_MAX];
	enum state wished;    /* the instance's state at the wish; COUNT: as it is */
	enum state committed; /* and at the commit */
	enum state failed;    /* when it fails between the two; COUNT: as it is */
	bool resumes;         /* one that was interrupted behind the wish goes on */
} actions[ACTION_COUNT] = {
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

static enum step step_of(const struct change *c)
{
	return actions[c->action].steps[c->at];
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

/* Every callback begins here: false when the change has no further step. */
static bool resume(struct change *c)
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

	if (c->number == 0 || !steps[step_of(c)].phase || c->committed)
		return;
	p = mem_zalloc(sizeof(*p));
	p->name = steps[step_of(c)].name;
	p->state = state;
	p->detail = mem_strdup(detail);
	list_append(&c->phases, &p->link);
	write_next_phase(c);
}

/* The transactions that end a change come behind its phases. */
static void when_written(struct change *c, void (*then)(struct change *))
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

static void step_done(struct change *c, const struct error *err)
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

static void step_skip(struct change *c)
{
	note_phase(c, "skipped", NULL);
	c->at++;
	step_run(c);
}

static int fault(struct change *c, struct error *err)
{
	CLEANUP(mem_freep)
	char *point = mem_printf("%s.%s", actions[c->action].name, steps[step_of(c)].name);

	if (FAULT_POINT(point) < 0)
		return error_set(err, ERR_FAULT, "at '%s'", point);
	return 0;
}

static void step_run(struct change *c)
{
	struct error err = { 0 };

	if (c->number && fault(c, &err) < 0 && !c->committed) {
		step_done(c, &err);
		return;
	}
	note_phase(c, "running", NULL);
	steps[step_of(c)].run(c);
}

static void on_retry(void *arg, const struct error *err)
{
	struct change *c = arg;

	(void)err;
	if (!resume(c))
		return;
	if (c->failing)
		change_failed(c, NULL);
	else
		steps[step_of(c)].run(c);
}

/* The database is away or we are fenced off: wait, and do this step again. A fenced node is taken
 * anew, and that abandons us. */
static bool wait_for_database(struct change *c, const struct error *err)
{
	if (!err || !(lifecycle_may_retry(err) || err->code == ERR_FENCED))
		return false;
	c->busy = true;
	c->lc->hooks->after(c->lc->user, LIFECYCLE_RETRY_MS, on_retry, c);
	return true;
}

/* ---- verify: package row, configuration, files ---- */

static void on_verified(void *arg, const struct error *err)
{
	struct change *c = arg;

	if (resume(c))
		step_done(c, err);
}

static void on_configured(void *arg, const struct error *err, struct span config)
{
	struct change *c = arg;

	if (!resume(c))
		return;
	if (err) {
		step_done(c, err);
		return;
	}
	mem_free(c->instance->config);
	c->instance->config = mem_printf("%.*s", SPAN_ARG(config));
	if (c->action == ACTION_CONFIGURE) {
		/* Its files are looked at when it starts, if it has to. */
		step_done(c, NULL);
		return;
	}
	c->busy = true;
	c->lc->hooks->verify(c->lc->user, c->instance, on_verified, c);
}

/* Two plugins at one mount would take each other's requests. */
static int check_mount(struct change *c, const struct facts *facts, struct error *err)
{
	list_for_each(struct instance, other, &c->lc->instances, link)
		if (strcmp(other->plugin, c->plugin) != 0 &&
			span_equal(other->facts.mount, facts->mount))
			return error_set(err, ERR_CONFLICT, "'%s' is mounted at /api/%.*s already",
				other->plugin, SPAN_ARG(facts->mount));
	return 0;
}

static void on_package(
	const struct error *err, const struct store_package_facts *rows, size_t n, void *user)
{
	struct change *c = user;
	struct installation *i = c->installation;
	struct error why = { 0 };
	struct facts facts;
	int rc;

	if (!resume(c) || wait_for_database(c, err))
		return;
	if (err) {
		step_done(c, err);
		return;
	}
	ASSERT(n == 1);
	rc = facts_read(&facts, &rows[0], span_of(c->digest), &why);
	if (rc == 0) {
		rc = check_mount(c, &facts, &why);
		if (rc < 0)
			facts_done(&facts);
	}
	if (rc < 0) {
		step_done(c, &why);
		return;
	}
	c->instance = instance_new(
		c->lc, i, &facts, SPAN("{}"), span_of(i && i->permissions ? i->permissions : ""));
	c->busy = true;
	c->lc->hooks->configure(c->lc->user, rows[0].manifest,
		c->config ? span_of(c->config) : SPAN("{}"), on_configured, c);
}

static void verify(struct change *c)
{
	c->busy = true;
	store_package_facts_get(c->lc->db, span_of(c->digest), SPAN(FACTS_TRIPLET), on_package, c);
}

/* ---- wish ---- */

static void wished(struct change *c)
{
	struct installation *i = c->installation;
	enum state to = actions[c->action].wished;

	c->wished = true;
	i->change = c;
	if (c->instance) {
		c->instance->installation = i;
		mem_free(c->instance->row_config);
		c->instance->row_config = mem_strdup(i->config);
	}
	if (c->action == ACTION_UNINSTALL && i->state == STATE_INSTALLED)
		state_move(&i->state, STATE_DISABLED, i->plugin);
	if (to != STATE_COUNT)
		state_move(&i->state, to, i->plugin);
	step_done(c, NULL);
}

static void on_wish_known(
	const struct error *err, const struct store_change *rows, size_t n, void *user)
{
	struct change *c = user;
	struct error why = { 0 };

	if (!resume(c) || wait_for_database(c, err))
		return;
	if (!err && n == 1 && rows[0].wished_at == 0) {
		wish(c);
		return;
	}
	if (!err && actions[c->action].resumes) {
		wished(c);
		return;
	}
	/* It was written, and its row is not in our hands: undo it. */
	c->wished = !err;
	(void)error_set(&why, ERR_UNKNOWN, "the connection to the database ended during the wish");
	step_done(c, err ? err : &why);
}

static void on_wish(
	const struct error *err, const struct store_installation *rows, size_t n, void *user)
{
	struct change *c = user;

	if (!resume(c))
		return;
	if (err && err->code == ERR_UNKNOWN) {
		c->busy = true;
		store_change_get(c->lc->db, NULL, c->number, on_wish_known, c);
		return;
	}
	if (wait_for_database(c, err))
		return;
	if (err) {
		step_done(c, err);
		return;
	}
	ASSERT(n == 1);
	if (!c->installation)
		c->installation = lifecycle_find_id(c->lc, rows[0].id);
	if (!c->installation)
		c->installation = lifecycle_add(c->lc, rows[0].id, span_of(c->plugin));
	lifecycle_update(c->installation, &rows[0]);
	if (c->instance) {
		mem_free(c->instance->permissions);
		c->instance->permissions = mem_strdup(c->installation->permissions);
	}
	wished(c);
}

static void on_moved(
	const struct error *err, const struct store_instance *rows, size_t n, void *user);

/* Move this node's instance for a change that another node made. */
static void follow_move(struct change *c, enum state state, const char *failure)
{
	struct store_fence fence = lifecycle_fence(c->lc);
	struct store_instance_move move = { .installation_id = span_of(c->installation->id),
		.state = span_of(state_name(state)),
		.failure = span_of(failure) };

	if (c->instance && (c->action == ACTION_INSTALL || state == STATE_INSTALLED) && !failure) {
		move.version = span_of(c->instance->version);
		move.digest = span_of(c->instance->digest);
	}
	c->busy = true;
	state_move(&c->installation->state, state, c->plugin);
	store_instance_move(c->lc->db, &fence, &move, on_moved, c);
}

static void follow_wish(struct change *c)
{
	struct installation *i = c->installation;
	enum state to = actions[c->action].wished;

	if (c->action == ACTION_UNINSTALL && i->state == STATE_INSTALLED)
		follow_move(c, STATE_DISABLED, NULL);
	else if (to != STATE_COUNT && i->state != to)
		follow_move(c, to, NULL);
	else
		wished(c);
}

static void wish(struct change *c)
{
	struct store_fence fence = lifecycle_fence(c->lc);
	struct store_change_wish m = { .number = c->number };

	if (c->number == 0) {
		follow_wish(c);
		return;
	}
	if (c->wished) {
		/* Written by an earlier life; its state came with the rows. */
		if (c->instance)
			c->instance->installation = c->installation;
		step_done(c, NULL);
		return;
	}
	if (c->instance && c->action != ACTION_ENABLE)
		m.config = span_of(c->instance->config);
	c->busy = true;
	store_change_wish(c->lc->db, &fence, &m, on_wish, c);
}

/* ---- apply: to the instance that serves, in its place ---- */

static void swap_text(char **a, char **b)
{
	char *held = *a;

	*a = *b;
	*b = held;
}

/* The serving instance with the candidate's configuration, or back with its own: a worker that is
 * started anew meanwhile has the right one, too. */
static void swap_configuration(struct change *c)
{
	struct instance *serving = c->installation->serving;

	swap_text(&serving->config, &c->old_config);
	swap_text(&serving->row_config, &c->old_row_config);
}

static void on_applied(void *arg, const struct error *err)
{
	struct change *c = arg;

	c->applied = !err;
	if (err)
		swap_configuration(c);
	if (!resume(c))
		return;
	if (err && err->code == ERR_UNSUPPORTED) {
		/* An instance of its own, then. */
		c->instance->config = TAKE(c->old_config);
		c->instance->row_config = TAKE(c->old_row_config);
		step_skip(c);
		return;
	}
	instance_free(c->instance);
	c->instance = NULL;
	step_done(c, err);
}

static void apply(struct change *c)
{
	struct installation *i = c->installation;

	if (!i->serving) {
		/* It is disabled, and starts with it one day. */
		instance_free(c->instance);
		c->instance = NULL;
		step_skip(c);
		return;
	}
	c->old_config = TAKE(c->instance->config);
	c->old_row_config = TAKE(c->instance->row_config);
	swap_configuration(c);
	c->busy = true;
	c->lc->hooks->apply(c->lc->user, i->serving, on_applied, c);
}

/* ---- start, gate ---- */

static void on_started(void *arg, const struct error *err)
{
	struct change *c = arg;

	if (resume(c))
		step_done(c, err);
}

static void start(struct change *c)
{
	if (!c->instance) {
		step_skip(c);
		return;
	}
	c->busy = true;
	c->lc->hooks->start(c->lc->user, c->instance, on_started, c);
}

static void gate(struct change *c)
{
	struct instance *inst = c->applied ? c->installation->serving : c->instance;

	if (!inst) {
		step_skip(c);
		return;
	}
	c->busy = true;
	c->lc->hooks->gate(c->lc->user, inst, on_started, c);
}

/* ---- commit ---- */

static void committed(struct change *c)
{
	struct installation *i = c->installation;

	c->committed = true;
	if (actions[c->action].committed != STATE_COUNT)
		state_move(&i->state, actions[c->action].committed, i->plugin);
	if (c->instance) {
		mem_free(i->version);
		mem_free(i->digest);
		i->version = mem_strdup(c->instance->version);
		i->digest = mem_strdup(c->instance->digest);
	}
	step_done(c, NULL);
}

static void on_moved(
	const struct error *err, const struct store_instance *rows, size_t n, void *user)
{
	struct change *c = user;
	enum state now;

	(void)rows;
	(void)n;
	if (!resume(c))
		return;
	now = c->installation->state;
	if (err &&
		(lifecycle_may_retry(err) || err->code == ERR_FENCED || err->code == ERR_UNKNOWN)) {
		/* Moving to where it is already is no move, so again is fine. */
		follow_move(c, now, NULL);
		return;
	}
	if (err)
		log_error("instance not moved", LOG_STR("plugin", c->plugin), LOG_ERR(err));
	if (c->failing)
		end(c);
	else if (step_of(c) == STEP_COMMIT)
		committed(c);
	else if (c->action == ACTION_UNINSTALL && now == STATE_DISABLED)
		follow_move(c, STATE_UNINSTALLING, NULL);
	else
		wished(c);
}

static void on_commit_known(
	const struct error *err, const struct store_change *rows, size_t n, void *user)
{
	struct change *c = user;

	if (!resume(c) || wait_for_database(c, err))
		return;
	if (!err && n == 1 && span_is(rows[0].state, "done"))
		committed(c);
	else if (!err && n == 1 && span_is(rows[0].state, "running"))
		commit(c);
	else
		step_done(c, err ? err
				 : &(struct error){ .code = ERR_UNKNOWN,
					   .text = "the change ended elsewhere" });
}

static void on_commit(
	const struct error *err, const struct store_installation *rows, size_t n, void *user)
{
	struct change *c = user;

	(void)rows;
	(void)n;
	if (!resume(c))
		return;
	if (err && err->code == ERR_UNKNOWN) {
		/* The change's row settles it, never a blind retry. */
		c->busy = true;
		store_change_get(c->lc->db, NULL, c->number, on_commit_known, c);
		return;
	}
	if (wait_for_database(c, err))
		return;
	if (err)
		step_done(c, err);
	else
		committed(c);
}

static void send_commit(struct change *c)
{
	struct store_fence fence = lifecycle_fence(c->lc);
	CLEANUP(mem_freep)
	char *result = c->instance ? mem_printf("{\"mount\":\"/api/%.*s\",\"routes\":%zu}",
					     SPAN_ARG(c->instance->facts.mount),
					     c->instance->facts.route_count)
				   : mem_strdup("{}");

	c->busy = true;
	c->ending = true;
	store_change_commit(c->lc->db, &fence, c->number, span_of(result), on_commit, c);
}

static void commit(struct change *c)
{
	if (c->number)
		when_written(c, send_commit);
	else if (actions[c->action].committed == STATE_COUNT)
		committed(c);
	else
		follow_move(c, actions[c->action].committed, NULL);
}

/* ---- behind the commit: nothing of it can fail the change ---- */

static void on_routed(void *arg, const struct error *err)
{
	struct change *c = arg;

	(void)err;
	if (resume(c))
		step_done(c, NULL);
}

static void route(struct change *c)
{
	struct installation *i = c->installation;
	struct instance *old = i->serving;

	if (!c->instance) {
		step_skip(c);
		return;
	}
	i->serving = c->instance;
	i->serving->routed = true;
	/* Kept until it is retired; without a serving successor it stays the one to stop. */
	c->instance = old;
	if (old) {
		old->routed = false;
		old->draining = true;
	}
	c->busy = true;
	c->lc->hooks->publish(c->lc->user, on_routed, c);
}

static void on_retired_stopped(void *arg, const struct error *err)
{
	struct change *c = arg;

	(void)err;
	instance_free(c->instance);
	c->instance = NULL;
	if (resume(c))
		step_done(c, NULL);
}

static void on_retired_drained(void *arg, const struct error *err)
{
	struct change *c = arg;

	(void)err;
	if (!resume(c))
		return;
	c->busy = true;
	c->lc->hooks->stop(c->lc->user, c->instance, on_retired_stopped, c);
}

static void retire(struct change *c)
{
	if (!c->instance) {
		step_done(c, NULL);
		return;
	}
	c->busy = true;
	c->lc->hooks->drain(c->lc->user, c->instance, on_retired_drained, c);
}

/* ---- drain, stop, clean ---- */

static void drain(struct change *c)
{
	struct instance *serving = c->installation->serving;

	if (!serving) {
		step_done(c, NULL);
		return;
	}
	serving->routed = false;
	serving->draining = true;
	c->busy = true;
	c->lc->hooks->drain(c->lc->user, serving, on_routed, c);
}

static void on_stopped(void *arg, const struct error *err)
{
	struct change *c = arg;
	struct installation *i = c->installation;

	(void)err;
	instance_free(i->serving);
	i->serving = NULL;
	if (resume(c))
		step_done(c, NULL);
}

static void stop(struct change *c)
{
	if (!c->installation->serving) {
		step_done(c, NULL);
		return;
	}
	c->busy = true;
	c->lc->hooks->stop(c->lc->user, c->installation->serving, on_stopped, c);
}

static void clean(struct change *c)
{
	c->busy = true;
	c->lc->hooks->clean(c->lc->user, c->installation->id, on_routed, c);
}

/* ---- the end ---- */

static void end(struct change *c)
{
	struct lifecycle *lc = c->lc;
	struct installation *i = c->installation;
	int64_t number = c->number;
	bool gone = i && i->state == STATE_AVAILABLE;
	/* A failure has set the wish back, so there may be something to start again. What failed
	 * while following is tried again at the next wish, not in a circle. */
	bool look = (c->failing && number != 0) || (i && i->missed);

	if (number)
		log_info("change ended", LOG_INT("change", number), LOG_STR("plugin", c->plugin),
			LOG_STR("action", actions[c->action].name),
			LOG_STR("outcome", c->failing ? "failed" : "done"),
			LOG_STR("error", c->failing ? c->err.text : "-"));
	touch(c);
	change_free(c);
	if (gone && !i->serving)
		lifecycle_forget(i);
	else if (i && i->serving && !i->serving->running)
		/* It failed for good while the change held it. */
		lifecycle_bury(lc, i->serving);
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
	if (actions[c->action].failed == STATE_COUNT)
		return c->installation ? c->installation->state : STATE_INSTALLED;
	return actions[c->action].failed;
}

static void on_failed(
	const struct error *err, const struct store_change *rows, size_t n, void *user)
{
	struct change *c = user;

	(void)rows;
	(void)n;
	if (!resume(c) || wait_for_database(c, err))
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
	end(c);
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
		when_written(c, send_failure);
		return;
	}
	log_error("following another node failed", LOG_STR("plugin", c->plugin),
		LOG_STR("action", actions[c->action].name), LOG_ERR(&c->err));
	json = lifecycle_error_json(&c->err);
	if (c->wished && state_may_follow(c->installation->state, failed_state(c)))
		follow_move(c, failed_state(c), json);
	else
		end(c);
}

static void on_reverted(void *arg, const struct error *err)
{
	struct change *c = arg;

	(void)err;
	if (resume(c))
		change_failed(c, NULL);
}

static void on_candidate_stopped(void *arg, const struct error *err)
{
	struct change *c = arg;

	(void)err;
	instance_free(c->instance);
	c->instance = NULL;
	if (resume(c))
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
		swap_configuration(c);
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

	while (action < ACTION_COUNT && !span_is(name, actions[action].name))
		action++;
	return (enum action)action;
}

static void on_begin(void *arg, const struct error *err)
{
	struct change *c = arg;

	(void)err;
	if (!resume(c))
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
	c->installation = lifecycle_find(lc, row->plugin_name);
	if (c->installation) {
		c->installation->change = c;
		if (!c->config && action != ACTION_INSTALL && c->installation->config)
			c->config = mem_strdup(c->installation->config);
		if ((action == ACTION_ENABLE || action == ACTION_CONFIGURE) &&
			c->installation->digest) {
			mem_free(c->digest);
			c->digest = mem_strdup(c->installation->digest);
		}
	}
	touch(c);
	log_info(interrupted ? "change found" : "change begun", LOG_INT("change", c->number),
		LOG_STR("plugin", plugin), LOG_STR("action", actions[action].name));
	if ((interrupted && !(c->wished && actions[action].resumes)) ||
		(c->wished && !interrupted && !actions[action].resumes)) {
		c->failing = true;
		(void)error_set(&c->err, ERR_INTERRUPTED,
			"interrupted: the host stopped while it %s",
			c->wished ? "was under way" : "had hardly begun");
	} else if (!c->installation && (c->wished || action != ACTION_INSTALL)) {
		c->failing = true;
		(void)error_set(
			&c->err, ERR_NOT_INSTALLED, "'%s' is not installed on this node", plugin);
	}
	c->busy = true;
	lc->hooks->after(lc->user, 0, on_begin, c);
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
