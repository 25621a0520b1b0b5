/* A search from the best version down, one plugin after another, that goes back when nothing fits.
 * What it met first when nothing fitted is what it tells: that is where the best plan broke. */
#include "lifecycle/resolve.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/semver_range.h"

struct plugin {
	struct span name;
	const struct resolve_version *const *versions; /* best first */
	size_t count;
	const struct resolve_version *installed; /* NULL: is not */
	const struct resolve_goal *goal;         /* NULL: was not asked for */
	const struct resolve_version *chosen;    /* NULL: not yet */
	bool queued;
};

struct search {
	const struct resolve_input *input;
	struct resolve_version *unknown; /* installed versions that no row has */
	const struct resolve_version **rows;
	size_t row_count;
	struct plugin *plugins; /* by name */
	size_t plugin_count;
	struct plugin **queue; /* in the order of decision */
	size_t queued;
	unsigned tries;
	bool told; /* err and the fix are set */
	struct error *err;
};

/* ---- rows, in one order ---------------------------------------------------------------------- */

static int compare_versions(struct span a, struct span b)
{
	struct semver x, y;
	int order = 0;

	if (semver_parse(a, &x) && semver_parse(b, &y))
		order = semver_compare(&x, &y);
	return order ? order : span_compare(a, b);
}

static int compare_rows(const void *a, const void *b)
{
	const struct resolve_version *x = *(const struct resolve_version *const *)a;
	const struct resolve_version *y = *(const struct resolve_version *const *)b;
	int order = span_compare(x->plugin, y->plugin);

	return order ? order : compare_versions(y->version, x->version);
}

static int compare_plugins(const void *a, const void *b)
{
	return span_compare(((const struct plugin *)a)->name, ((const struct plugin *)b)->name);
}

static struct plugin *find_plugin(const struct search *s, struct span name)
{
	struct plugin key = { .name = name };

	return s->plugin_count
		       ? bsearch(&key, s->plugins, s->plugin_count, sizeof(key), compare_plugins)
		       : NULL;
}

static const struct resolve_version *find_version(const struct plugin *p, struct span version)
{
	for (size_t i = 0; p && i < p->count; i++)
		if (span_equal(p->versions[i]->version, version))
			return p->versions[i];
	return NULL;
}

static bool has_row(const struct resolve_input *input, const struct resolve_installed *installed)
{
	for (size_t i = 0; i < input->version_count; i++)
		if (span_equal(input->versions[i].plugin, installed->plugin) &&
			span_equal(input->versions[i].version, installed->version))
			return true;
	return false;
}

static void index_rows(struct search *s)
{
	const struct resolve_input *input = s->input;
	size_t from = 0;

	s->rows = mem_calloc(input->version_count + input->installed_count + 1, sizeof(*s->rows));
	s->unknown = mem_calloc(input->installed_count + 1, sizeof(*s->unknown));
	for (size_t i = 0; i < input->version_count; i++)
		s->rows[s->row_count++] = &input->versions[i];
	for (size_t i = 0; i < input->installed_count; i++) {
		if (has_row(input, &input->installed[i]))
			continue;
		s->unknown[i].plugin = input->installed[i].plugin;
		s->unknown[i].version = input->installed[i].version;
		s->rows[s->row_count++] = &s->unknown[i];
	}
	qsort(s->rows, s->row_count, sizeof(*s->rows), compare_rows);
	s->plugins = mem_calloc(s->row_count + 1, sizeof(*s->plugins));
	s->queue = mem_calloc(s->row_count + 1, sizeof(struct plugin *));
	for (size_t i = 0; i < s->row_count; i++) {
		if (i + 1 < s->row_count && span_equal(s->rows[i]->plugin, s->rows[i + 1]->plugin))
			continue;
		s->plugins[s->plugin_count++] = (struct plugin){ .name = s->rows[i]->plugin,
			.versions = s->rows + from,
			.count = i + 1 - from };
		from = i + 1;
	}
	for (size_t i = 0; i < input->installed_count; i++) {
		struct plugin *p = find_plugin(s, input->installed[i].plugin);

		p->installed = find_version(p, input->installed[i].version);
	}
}

/* ---- what fits ------------------------------------------------------------------------------- */

static bool in_range(struct span range, const struct resolve_version *v)
{
	struct semver_range parsed;
	struct semver version;

	return semver_range_parse(range, &parsed) && semver_parse(v->version, &version) &&
	       semver_range_matches(&parsed, &version);
}

static const struct resolve_need *need_of(const struct resolve_version *v, struct span plugin)
{
	for (size_t i = 0; i < v->need_count; i++)
		if (span_equal(v->needs[i].plugin, plugin))
			return &v->needs[i];
	return NULL;
}

/* The first decided version whose need keeps v out; NULL: none does. */
static const struct resolve_version *kept_out_by(
	const struct search *s, const struct resolve_version *v)
{
	for (size_t i = 0; i < s->queued; i++) {
		const struct resolve_version *by = s->queue[i]->chosen;
		const struct resolve_need *need = by ? need_of(by, v->plugin) : NULL;

		if (need && !in_range(need->range, v))
			return by;
	}
	return NULL;
}

static bool is_installed(const struct search *s, const struct resolve_version *v)
{
	return find_plugin(s, v->plugin)->installed == v;
}

/* The first need of v that what is decided does not meet, or that nobody could; NULL: none. What
 * runs without something that it needs is no worse off than before. */
static const struct resolve_need *unmet_need(
	const struct search *s, const struct resolve_version *v)
{
	for (size_t i = 0; i < v->need_count; i++) {
		const struct resolve_need *need = &v->needs[i];
		const struct plugin *p = find_plugin(s, need->plugin);

		if (p ? p->chosen && !in_range(need->range, p->chosen)
		      : need->kind == RESOLVE_NEED && !is_installed(s, v))
			return need;
	}
	return NULL;
}

static const struct resolve_need *absent_peer(
	const struct search *s, const struct resolve_version *v)
{
	for (size_t i = 0; i < v->need_count; i++) {
		const struct plugin *p = find_plugin(s, v->needs[i].plugin);

		if (v->needs[i].kind == RESOLVE_PEER && (!p || !p->chosen))
			return &v->needs[i];
	}
	return NULL;
}

/* What is installed stays, unless it was asked for or a decided need keeps it out. */
static bool may_move(const struct search *s, const struct plugin *p)
{
	return !p->installed || p->goal || kept_out_by(s, p->installed);
}

static bool fits(const struct search *s, const struct plugin *p, const struct resolve_version *v)
{
	if (v != p->installed && (v->yanked || v->unfit.data))
		return false;
	if (p->goal && !in_range(p->goal->range, v))
		return false;
	return !kept_out_by(s, v) && !unmet_need(s, v);
}

/* ---- saying why not -------------------------------------------------------------------------- */

static void append_who(const struct search *s, struct text *out, const struct resolve_version *v)
{
	const struct plugin *p = find_plugin(s, v->plugin);

	text_printf(out, "%.*s %.*s", SPAN_ARG(v->plugin), SPAN_ARG(v->version));
	if (p->goal)
		text_append_string(out, " (asked for)");
	else if (v == p->installed)
		text_append_string(out, " (installed)");
	/* Who brought it, back to what was asked for. */
	for (size_t i = 0; !p->goal && v != p->installed && i < s->queued && s->queue[i] != p;
		i++) {
		const struct resolve_version *by = s->queue[i]->chosen;
		const struct resolve_need *need = by ? need_of(by, v->plugin) : NULL;

		if (need && need->kind == RESOLVE_NEED) {
			text_append_string(out, " (needed by ");
			append_who(s, out, by);
			text_append_char(out, ')');
			return;
		}
	}
}

static void append_range(struct text *out, const struct resolve_need *need)
{
	text_printf(out, "%.*s %.*s", SPAN_ARG(need->plugin),
		need->range.len ? (int)need->range.len : 1,
		need->range.len ? need->range.data : "*");
}

/* All that decided versions and the goal ask of the plugin. */
static void append_asks(const struct search *s, struct text *out, const struct plugin *p)
{
	bool first = true;

	if (p->goal && p->goal->range.len > 0) {
		text_printf(out, "%.*s %.*s was asked for", SPAN_ARG(p->name),
			SPAN_ARG(p->goal->range));
		first = false;
	}
	for (size_t i = 0; i < s->queued; i++) {
		const struct resolve_version *by = s->queue[i]->chosen;
		const struct resolve_need *need = by ? need_of(by, p->name) : NULL;

		if (!need)
			continue;
		text_append_string(out, first ? "" : ", ");
		append_who(s, out, by);
		text_append_string(out, " needs ");
		append_range(out, need);
		first = false;
	}
	if (first)
		text_printf(out, "%.*s was asked for", SPAN_ARG(p->name));
}

/* Why this version of p does not fit. */
static void append_reason(const struct search *s, struct text *out, const struct plugin *p,
	const struct resolve_version *v)
{
	const struct resolve_version *by = kept_out_by(s, v);
	const struct resolve_need *need = unmet_need(s, v);
	const struct plugin *other = need ? find_plugin(s, need->plugin) : NULL;

	append_who(s, out, v);
	if (v != p->installed && v->unfit.data) {
		text_printf(out, " %.*s", SPAN_ARG(v->unfit));
	} else if (v != p->installed && v->yanked) {
		text_append_string(out, " was withdrawn");
	} else if (by) {
		text_append_string(out, " is not what others need: ");
		append_asks(s, out, p);
	} else if (need && !other) {
		text_append_string(out, " needs ");
		append_range(out, need);
		text_append_string(out, ", which no registry of this host has");
	} else if (need) {
		text_append_string(out, " needs ");
		append_range(out, need);
		text_append_string(out, ", but ");
		append_asks(s, out, other);
	}
}

/* A command that resolves it: the best version of an installed plugin that would go with the rest.
 */
static void suggest(struct search *s, const struct plugin *p)
{
	const struct resolve_goal *goal = s->input->goal_count ? &s->input->goals[0] : NULL;

	if (!goal || p->goal || !p->installed)
		return;
	for (size_t i = 0; i < p->count; i++) {
		const struct resolve_version *v = p->versions[i];

		if (v == p->installed || v->yanked || v->unfit.data || kept_out_by(s, v) ||
			unmet_need(s, v))
			continue;
		(void)error_fix(s->err, "mortise plugin install %.*s%s%.*s --with %.*s@%.*s",
			SPAN_ARG(goal->plugin), goal->range.len ? "@" : "", SPAN_ARG(goal->range),
			SPAN_ARG(v->plugin), SPAN_ARG(v->version));
		return;
	}
}

/* Only the first dead end is told. */
static void tell(struct search *s, const struct plugin *p)
{
	struct text why;

	if (s->told)
		return;
	s->told = true;
	text_init(&why);
	if (!may_move(s, p)) {
		append_reason(s, &why, p, p->installed);
	} else {
		const struct resolve_version *best = NULL;

		for (size_t i = 0; i < p->count && !best; i++)
			if (!(p->goal && !in_range(p->goal->range, p->versions[i])) &&
				!kept_out_by(s, p->versions[i]))
				best = p->versions[i];
		if (best) {
			append_reason(s, &why, p, best);
		} else {
			text_printf(&why, "no version of %.*s will do: ", SPAN_ARG(p->name));
			append_asks(s, &why, p);
		}
	}
	(void)error_set(s->err, ERR_RESOLVE, "%s", why.data);
	suggest(s, p);
	text_done(&why);
}

static void tell_peer(
	struct search *s, const struct resolve_version *v, const struct resolve_need *peer)
{
	struct text why;

	if (s->told)
		return;
	s->told = true;
	text_init(&why);
	append_who(s, &why, v);
	text_append_string(&why, " goes with ");
	append_range(&why, peer);
	text_append_string(&why, ", which is not installed");
	(void)error_set(s->err, ERR_RESOLVE, "%s", why.data);
	(void)error_fix(s->err, "mortise plugin install %.*s first", SPAN_ARG(peer->plugin));
	text_done(&why);
}

/* ---- the search ------------------------------------------------------------------------------ */

static void enqueue(struct search *s, struct plugin *p)
{
	if (p->queued)
		return;
	p->queued = true;
	s->queue[s->queued++] = p;
}

static int compare_names(const void *a, const void *b)
{
	return span_compare((*(struct plugin *const *)a)->name, (*(struct plugin *const *)b)->name);
}

static void enqueue_needs(struct search *s, const struct resolve_version *v)
{
	size_t from = s->queued;

	for (size_t i = 0; i < v->need_count; i++) {
		struct plugin *p = find_plugin(s, v->needs[i].plugin);

		if (p && v->needs[i].kind == RESOLVE_NEED)
			enqueue(s, p);
	}
	qsort(s->queue + from, s->queued - from, sizeof(struct plugin *), compare_names);
}

static void dequeue_to(struct search *s, size_t count)
{
	while (s->queued > count)
		s->queue[--s->queued]->queued = false;
}

static bool peers_are_there(struct search *s)
{
	for (size_t i = 0; i < s->queued; i++) {
		const struct resolve_version *v = s->queue[i]->chosen;
		const struct resolve_need *peer = is_installed(s, v) ? NULL : absent_peer(s, v);

		if (peer) {
			tell_peer(s, v, peer);
			return false;
		}
	}
	return true;
}

static bool decide(struct search *s, size_t at);

static bool try_version(
	struct search *s, struct plugin *p, const struct resolve_version *v, size_t at)
{
	size_t queued = s->queued;

	if (s->tries >= RESOLVE_TRIES_MAX)
		return false;
	s->tries++;
	if (!fits(s, p, v))
		return false;
	p->chosen = v;
	enqueue_needs(s, v);
	if (decide(s, at + 1))
		return true;
	p->chosen = NULL;
	dequeue_to(s, queued);
	return false;
}

/* Decide all that is queued from place `at` on; then what else is installed. */
static bool decide(struct search *s, size_t at)
{
	struct plugin *p;
	bool moves;

	if (at == s->queued)
		for (size_t i = 0; i < s->plugin_count; i++)
			if (s->plugins[i].installed)
				enqueue(s, &s->plugins[i]);
	if (at == s->queued)
		return peers_are_there(s);
	p = s->queue[at];
	moves = may_move(s, p);
	if (p->installed && !p->goal && try_version(s, p, p->installed, at))
		return true;
	for (size_t i = 0; moves && i < p->count; i++)
		if ((p->goal || p->versions[i] != p->installed) &&
			try_version(s, p, p->versions[i], at))
			return true;
	tell(s, p);
	return false;
}

static int begin_goals(struct search *s)
{
	for (size_t i = 0; i < s->input->goal_count; i++) {
		const struct resolve_goal *goal = &s->input->goals[i];
		struct plugin *p = find_plugin(s, goal->plugin);
		struct semver_range range;

		if (!semver_range_parse(goal->range, &range))
			return error_set(s->err, ERR_INVALID, "'%.*s' is no range of versions",
				SPAN_ARG(goal->range));
		if (!p)
			return error_set(s->err, ERR_NOT_FOUND,
				"no registry of this host has a plugin '%.*s'",
				SPAN_ARG(goal->plugin));
		p->goal = goal;
		enqueue(s, p);
	}
	qsort(s->queue, s->queued, sizeof(struct plugin *), compare_names);
	return 0;
}

/* ---- the plan -------------------------------------------------------------------------------- */

static struct span brought_by(const struct search *s, const struct plugin *p)
{
	for (size_t i = 0; !p->goal && i < s->queued; i++) {
		const struct resolve_need *need = need_of(s->queue[i]->chosen, p->name);

		if (need && (need->kind == RESOLVE_NEED || p->chosen != p->installed))
			return s->queue[i]->name;
	}
	return SPAN_NONE;
}

/* What p needs, then p; queued is the mark of what has not been written yet. */
static void write_step(struct search *s, struct plugin *p, struct resolve_plan *plan)
{
	if (!p || !p->queued || !p->chosen)
		return;
	p->queued = false;
	for (size_t i = 0; i < p->chosen->need_count; i++)
		write_step(s, find_plugin(s, p->chosen->needs[i].plugin), plan);
	if (p->chosen == p->installed)
		return;
	plan->steps[plan->count++] = (struct resolve_step){
		.plugin = p->name,
		.from = p->installed ? p->installed->version : SPAN_NONE,
		.to = p->chosen->version,
		.needed_by = brought_by(s, p),
	};
}

static struct resolve_plan *write_plan(struct search *s)
{
	struct resolve_plan *plan = mem_zalloc(sizeof(*plan));

	plan->steps = mem_calloc(s->queued + 1, sizeof(*plan->steps));
	for (size_t i = 0; i < s->queued; i++)
		write_step(s, s->queue[i], plan);
	return plan;
}

int resolve(struct resolve_plan **out, const struct resolve_input *input, struct error *err)
{
	struct search s = { .input = input, .err = err };
	int rc;

	index_rows(&s);
	rc = begin_goals(&s);
	if (rc == 0 && decide(&s, 0))
		*out = write_plan(&s);
	else if (rc == 0 && s.tries >= RESOLVE_TRIES_MAX)
		rc = error_set(err, ERR_LIMIT, "no plan was found among %u versions looked at",
			RESOLVE_TRIES_MAX);
	else if (rc == 0)
		rc = ERR_RESOLVE;
	mem_free(s.queue);
	mem_free(s.plugins);
	mem_free(s.rows);
	mem_free(s.unknown);
	return rc;
}

void resolve_plan_free(struct resolve_plan *plan)
{
	if (!plan)
		return;
	mem_free(plan->steps);
	mem_free(plan);
}
