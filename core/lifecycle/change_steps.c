/* What each step of a change does. The order of steps, and what becomes of a change that fails, is
 * change.c's. */
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "lifecycle/change_priv.h"
#include "store/instances.h"
#include "store/packages.h"

static void wish(struct change *c);
static void commit(struct change *c);

/* ---- verify: package row, configuration, files ---- */

static void on_verified(void *arg, const struct error *err)
{
	struct change *c = arg;

	if (change_resume(c))
		change_step_done(c, err);
}

static void on_configured(void *arg, const struct error *err, struct span config)
{
	struct change *c = arg;

	if (!change_resume(c))
		return;
	if (err) {
		change_step_done(c, err);
		return;
	}
	mem_free(c->instance->config);
	c->instance->config = mem_printf("%.*s", SPAN_ARG(config));
	if (c->action == ACTION_CONFIGURE) {
		/* Its files are looked at when it starts, if it has to. */
		change_step_done(c, NULL);
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

	if (!change_resume(c) || change_wait(c, err))
		return;
	if (err) {
		change_step_done(c, err);
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
		change_step_done(c, &why);
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
	enum state to = change_actions[c->action].wished;

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
	change_step_done(c, NULL);
}

static void on_wish_known(
	const struct error *err, const struct store_change *rows, size_t n, void *user)
{
	struct change *c = user;
	struct error why = { 0 };

	if (!change_resume(c) || change_wait(c, err))
		return;
	if (!err && n == 1 && rows[0].wished_at == 0) {
		wish(c);
		return;
	}
	if (!err && change_actions[c->action].resumes) {
		wished(c);
		return;
	}
	/* It was written, and its row is not in our hands: undo it. */
	c->wished = !err;
	(void)error_set(&why, ERR_UNKNOWN, "the connection to the database ended during the wish");
	change_step_done(c, err ? err : &why);
}

static void on_wish(
	const struct error *err, const struct store_installation *rows, size_t n, void *user)
{
	struct change *c = user;

	if (!change_resume(c))
		return;
	if (err && err->code == ERR_UNKNOWN) {
		c->busy = true;
		store_change_get(c->lc->db, NULL, c->number, on_wish_known, c);
		return;
	}
	if (change_wait(c, err))
		return;
	if (err) {
		change_step_done(c, err);
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
void change_follow_move(struct change *c, enum state state, const char *failure)
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
	enum state to = change_actions[c->action].wished;

	if (c->action == ACTION_UNINSTALL && i->state == STATE_INSTALLED)
		change_follow_move(c, STATE_DISABLED, NULL);
	else if (to != STATE_COUNT && i->state != to)
		change_follow_move(c, to, NULL);
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
		change_step_done(c, NULL);
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
void change_swap_configuration(struct change *c)
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
		change_swap_configuration(c);
	if (!change_resume(c))
		return;
	if (err && err->code == ERR_UNSUPPORTED) {
		/* An instance of its own, then. */
		c->instance->config = TAKE(c->old_config);
		c->instance->row_config = TAKE(c->old_row_config);
		change_step_skip(c);
		return;
	}
	instance_free(c->instance);
	c->instance = NULL;
	change_step_done(c, err);
}

static void apply(struct change *c)
{
	struct installation *i = c->installation;

	if (!i->serving) {
		/* It is disabled, and starts with it one day. */
		instance_free(c->instance);
		c->instance = NULL;
		change_step_skip(c);
		return;
	}
	c->old_config = TAKE(c->instance->config);
	c->old_row_config = TAKE(c->instance->row_config);
	change_swap_configuration(c);
	c->busy = true;
	c->lc->hooks->apply(c->lc->user, i->serving, on_applied, c);
}

/* ---- start, gate ---- */

static void on_started(void *arg, const struct error *err)
{
	struct change *c = arg;

	if (change_resume(c))
		change_step_done(c, err);
}

static void start(struct change *c)
{
	if (!c->instance) {
		change_step_skip(c);
		return;
	}
	c->busy = true;
	c->lc->hooks->start(c->lc->user, c->instance, on_started, c);
}

static void gate(struct change *c)
{
	struct instance *inst = c->applied ? c->installation->serving : c->instance;

	if (!inst) {
		change_step_skip(c);
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
	if (change_actions[c->action].committed != STATE_COUNT)
		state_move(&i->state, change_actions[c->action].committed, i->plugin);
	if (c->instance) {
		mem_free(i->version);
		mem_free(i->digest);
		i->version = mem_strdup(c->instance->version);
		i->digest = mem_strdup(c->instance->digest);
	}
	change_step_done(c, NULL);
}

static void on_moved(
	const struct error *err, const struct store_instance *rows, size_t n, void *user)
{
	struct change *c = user;
	enum state now;

	(void)rows;
	(void)n;
	if (!change_resume(c))
		return;
	now = c->installation->state;
	if (err &&
		(lifecycle_may_retry(err) || err->code == ERR_FENCED || err->code == ERR_UNKNOWN)) {
		/* Moving to where it is already is no move, so again is fine. */
		change_follow_move(c, now, NULL);
		return;
	}
	if (err)
		log_error("instance not moved", LOG_STR("plugin", c->plugin), LOG_ERR(err));
	if (c->failing)
		change_end(c);
	else if (change_step_of(c) == STEP_COMMIT)
		committed(c);
	else if (c->action == ACTION_UNINSTALL && now == STATE_DISABLED)
		change_follow_move(c, STATE_UNINSTALLING, NULL);
	else
		wished(c);
}

static void on_commit_known(
	const struct error *err, const struct store_change *rows, size_t n, void *user)
{
	struct change *c = user;

	if (!change_resume(c) || change_wait(c, err))
		return;
	if (!err && n == 1 && span_is(rows[0].state, "done"))
		committed(c);
	else if (!err && n == 1 && span_is(rows[0].state, "running"))
		commit(c);
	else
		change_step_done(c, err ? err
					: &(struct error){ .code = ERR_UNKNOWN,
						  .text = "the change ended elsewhere" });
}

static void on_commit(
	const struct error *err, const struct store_installation *rows, size_t n, void *user)
{
	struct change *c = user;

	(void)rows;
	(void)n;
	if (!change_resume(c))
		return;
	if (err && err->code == ERR_UNKNOWN) {
		/* The change's row settles it, never a blind retry. */
		c->busy = true;
		store_change_get(c->lc->db, NULL, c->number, on_commit_known, c);
		return;
	}
	if (change_wait(c, err))
		return;
	if (err)
		change_step_done(c, err);
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
		change_when_written(c, send_commit);
	else if (change_actions[c->action].committed == STATE_COUNT)
		committed(c);
	else
		change_follow_move(c, change_actions[c->action].committed, NULL);
}

/* ---- behind the commit: nothing of it can fail the change ---- */

static void on_routed(void *arg, const struct error *err)
{
	struct change *c = arg;

	(void)err;
	if (change_resume(c))
		change_step_done(c, NULL);
}

static void route(struct change *c)
{
	struct installation *i = c->installation;
	struct instance *old = i->serving;

	if (!c->instance) {
		change_step_skip(c);
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
	if (change_resume(c))
		change_step_done(c, NULL);
}

static void on_retired_drained(void *arg, const struct error *err)
{
	struct change *c = arg;

	(void)err;
	if (!change_resume(c))
		return;
	c->busy = true;
	c->lc->hooks->stop(c->lc->user, c->instance, on_retired_stopped, c);
}

static void retire(struct change *c)
{
	if (!c->instance) {
		change_step_done(c, NULL);
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
		change_step_done(c, NULL);
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
	if (change_resume(c))
		change_step_done(c, NULL);
}

static void stop(struct change *c)
{
	if (!c->installation->serving) {
		change_step_done(c, NULL);
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

/* ---- the table ---- */

const struct change_step_row change_steps[STEP_COUNT] = {
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
	[STEP_END] = { "end", change_end, false },
};
