#include "lifecycle/lifecycle.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "lifecycle/lifecycle_priv.h"
#include "store/instances.h"

/* Rows are read in pages and acted on only when all have come, since what is missing counts too.
 * A row that is older than our own last step on its installation tells nothing new: `touched`
 * holds the clock of that step, `read_at` the clock when the read began. */

struct store_fence lifecycle_fence(const struct lifecycle *lc)
{
	return (struct store_fence){ span_of(lc->node), lc->token };
}

bool lifecycle_may_retry(const struct error *err)
{
	return err->code == ERR_UNAVAIL || err->code == ERR_AGAIN || err->code == ERR_DEADLINE;
}

char *lifecycle_error_json(const struct error *err)
{
	struct text json;
	char *out;

	text_init(&json);
	text_printf(&json, "{\"code\":\"MRT-%d\",\"text\":", -err->code);
	text_append_json(&json, span_of(err->text));
	text_append_string(&json, ",\"fix\":");
	text_append_json(&json, span_of(error_advice(err)));
	text_append_char(&json, '}');
	out = text_take(&json);
	text_done(&json);
	return out;
}

/* ---- installations and instances ---- */

struct installation *lifecycle_find(struct lifecycle *lc, struct span plugin)
{
	list_for_each(struct installation, i, &lc->installations, link)
		if (span_is(plugin, i->plugin))
			return i;
	return NULL;
}

struct installation *lifecycle_find_id(struct lifecycle *lc, struct span id)
{
	list_for_each(struct installation, i, &lc->installations, link)
		if (span_is(id, i->id))
			return i;
	return NULL;
}

struct installation *lifecycle_add(struct lifecycle *lc, struct span id, struct span plugin)
{
	struct installation *i = mem_zalloc(sizeof(*i));

	i->lifecycle = lc;
	(void)snprintf(i->id, sizeof(i->id), "%.*s", SPAN_ARG(id));
	i->plugin = mem_printf("%.*s", SPAN_ARG(plugin));
	i->state = STATE_AVAILABLE;
	list_append(&lc->installations, &i->link);
	return i;
}

static char *join(const struct facts_list *list)
{
	struct text joined;
	char *words;

	text_init(&joined);
	for (size_t i = 0; i < list->count; i++) {
		if (i)
			text_append_char(&joined, ' ');
		text_append_span(&joined, list->items[i]);
	}
	words = text_take(&joined);
	text_done(&joined);
	return words;
}

static void set_text(char **field, struct span value)
{
	mem_free(*field);
	*field = value.data ? mem_printf("%.*s", SPAN_ARG(value)) : NULL;
}

void lifecycle_update(struct installation *i, const struct store_installation *row)
{
	struct db_array granted = row->permissions;
	struct span permission;
	struct text joined;

	set_text(&i->digest, row->installed_digest);
	set_text(&i->version, row->installed_version);
	set_text(&i->config, row->config);
	text_init(&joined);
	while (db_array_next(&granted, &permission)) {
		if (joined.len)
			text_append_char(&joined, ' ');
		text_append_span(&joined, permission);
	}
	mem_free(i->permissions);
	i->permissions = text_take(&joined);
	text_done(&joined);
}

void lifecycle_forget(struct installation *i)
{
	ASSERT(!i->serving && !i->change);
	list_remove(&i->link);
	mem_free(i->plugin);
	mem_free(i->digest);
	mem_free(i->version);
	mem_free(i->config);
	mem_free(i->permissions);
	mem_free(i);
}

struct instance *instance_new(struct lifecycle *lc, struct installation *installation,
	struct facts *facts, struct span config, struct span permissions)
{
	struct instance *inst = mem_zalloc(sizeof(*inst));
	char digest[DIGEST_TEXT_SIZE];

	digest_text(facts->content.digest, digest);
	inst->installation = installation;
	inst->plugin = mem_printf("%.*s", SPAN_ARG(facts->name));
	inst->version = mem_printf("%.*s", SPAN_ARG(facts->version));
	inst->digest = mem_strdup(digest);
	inst->config = mem_printf("%.*s", SPAN_ARG(config));
	inst->permissions = mem_printf("%.*s", SPAN_ARG(permissions));
	inst->provides = join(&facts->provides);
	inst->facts = *facts;
	memset(facts, 0, sizeof(*facts));
	list_append(&lc->instances, &inst->link);
	return inst;
}

void instance_free(struct instance *inst)
{
	ASSERT(!inst->running);
	list_remove(&inst->link);
	mem_free(inst->plugin);
	mem_free(inst->version);
	mem_free(inst->digest);
	mem_free(inst->config);
	mem_free(inst->row_config);
	mem_free(inst->permissions);
	mem_free(inst->provides);
	facts_done(&inst->facts);
	mem_free(inst);
}

/* ---- an instance that failed for good ---- */

struct burial {
	struct lifecycle *lc;
	char id[LIFECYCLE_ID_MAX + 1];
	int64_t token;
	char *failure;
};

static void send_burial(struct burial *b);

static void burial_free(struct burial *b)
{
	mem_free(b->failure);
	mem_free(b);
}

static void on_burial_retry(void *arg, const struct error *err)
{
	(void)err;
	send_burial(arg);
}

static void on_buried(
	const struct error *err, const struct store_instance *rows, size_t n, void *user)
{
	struct burial *b = user;
	struct lifecycle *lc = b->lc;

	(void)rows;
	(void)n;
	if (err && !lc->stopping && (lifecycle_may_retry(err) || err->code == ERR_UNKNOWN)) {
		lc->hooks->after(lc->user, LIFECYCLE_RETRY_MS, on_burial_retry, b);
		return;
	}
	if (err)
		log_error("failure of an instance not recorded", LOG_STR("installation", b->id),
			LOG_ERR(err));
	burial_free(b);
}

static void send_burial(struct burial *b)
{
	struct store_fence fence = lifecycle_fence(b->lc);
	struct store_instance_move move = { .installation_id = span_of(b->id),
		.state = span_of(state_name(STATE_FAILED)),
		.failure = span_of(b->failure) };

	/* A later life of the node has read the rows anew and starts what they say. */
	if (b->token != b->lc->token || b->lc->stopping) {
		burial_free(b);
		return;
	}
	store_instance_move(b->lc->db, &fence, &move, on_buried, b);
}

static void on_published(void *arg, const struct error *err)
{
	(void)arg;
	(void)err;
}

void lifecycle_bury(struct lifecycle *lc, struct instance *inst)
{
	struct installation *i = inst->installation;
	struct burial *b = mem_zalloc(sizeof(*b));

	b->lc = lc;
	b->token = lc->token;
	b->failure = lifecycle_error_json(&inst->failure);
	memcpy(b->id, i->id, sizeof(b->id));
	log_error("plugin failed", LOG_STR("plugin", i->plugin), LOG_ERR(&inst->failure));
	i->touched = ++lc->clock;
	state_move(&i->state, STATE_FAILED, i->plugin);
	i->serving = NULL;
	instance_free(inst);
	lc->hooks->publish(lc->user, on_published, lc);
	send_burial(b);
}

void lifecycle_gave_up(struct lifecycle *lc, struct instance *inst, const struct error *err)
{
	struct installation *i = inst->installation;

	ASSERT(!inst->running);
	inst->failure = *err;
	/* A change that holds it ends first, and looks then. */
	if (i && i->serving == inst && !i->change && !lc->stopping)
		lifecycle_bury(lc, inst);
}

/* ---- rows ---- */

static void keep(struct installation *i, const struct store_installation *row)
{
	struct lifecycle *lc = i->lifecycle;
	struct error err = { 0 };
	struct facts facts;

	if (facts_read(&facts, &row->facts, row->installed_digest, &err) < 0) {
		log_error("installation cannot run", LOG_STR("plugin", i->plugin), LOG_ERR(&err));
		return;
	}
	i->serving = instance_new(lc, i, &facts, row->config, span_of(i->permissions));
	set_text(&i->serving->row_config, row->config);
	i->serving->routed = true;
	lc->hooks->keep(lc->user, i->serving);
}

/* What this node has to do so that its instance is what the row wishes. */
static void decide(struct installation *i, const struct store_installation *row)
{
	bool gone = row->uninstalled_at != 0;
	bool wanted = row->enabled && !gone && row->installed_digest.data;
	bool other = row->installed_digest.data && row->instance_digest.data &&
		     !span_equal(row->installed_digest, row->instance_digest);

	switch (i->state) {
	case STATE_INSTALLED:
		if (gone)
			change_follow(i, ACTION_UNINSTALL);
		else if (!wanted)
			change_follow(i, ACTION_DISABLE);
		else if (other)
			change_follow(i, ACTION_UPDATE);
		else if (!i->serving)
			keep(i, row);
		else if (!span_equal(row->config, span_of(i->serving->row_config)))
			change_follow(i, ACTION_CONFIGURE);
		break;
	case STATE_UPDATING:
		if (wanted)
			change_follow(i, ACTION_UPDATE);
		break;
	case STATE_AVAILABLE:
	case STATE_INSTALLING:
		if (wanted)
			change_follow(i, ACTION_INSTALL);
		break;
	case STATE_DISABLED:
		if (gone)
			change_follow(i, ACTION_UNINSTALL);
		else if (wanted)
			change_follow(i, ACTION_ENABLE);
		break;
	case STATE_FAILED:
	case STATE_UNINSTALLING:
		if (gone)
			change_follow(i, ACTION_UNINSTALL);
		break;
	case STATE_COUNT:
		BUG("a state that is none");
	}
}

static void read_page(struct lifecycle *lc);

static void take_row(struct lifecycle *lc, const struct store_installation *row)
{
	struct installation *i = lifecycle_find_id(lc, row->id);
	enum state state = row->state.data ? state_from(row->state) : STATE_AVAILABLE;

	if (state == STATE_COUNT) {
		log_error("unknown state in a row", LOG_SPAN("plugin", row->plugin_name),
			LOG_SPAN("state", row->state));
		return;
	}
	if (!i)
		i = lifecycle_add(lc, row->id, row->plugin_name);
	i->listed = true;
	if (i->change || i->touched > lc->read_at) {
		/* It may hold somebody's wish all the same: look again when we are done. */
		i->missed = true;
		lc->read_again = lc->read_again || !i->change;
		return;
	}
	i->missed = false;
	lifecycle_update(i, row);
	/* The row is the truth about the state, whatever way it got there. */
	i->state = state;
	if (lc->settled)
		decide(i, row);
}

static void on_unlisted_stopped(void *arg, const struct error *err)
{
	struct installation *i = arg;

	(void)err;
	instance_free(i->serving);
	i->serving = NULL;
	i->state = STATE_AVAILABLE;
}

static void drop_unlisted(struct lifecycle *lc)
{
	list_for_each_safe(struct installation, i, &lc->installations, link) {
		if (i->listed || i->change || i->touched > lc->read_at)
			continue;
		if (!i->serving) {
			lifecycle_forget(i);
		} else if (i->serving->routed) {
			log_warn("an installation is in no row, stopping it",
				LOG_STR("plugin", i->plugin));
			i->serving->routed = false;
			lc->hooks->stop(lc->user, i->serving, on_unlisted_stopped, i);
		}
	}
}

static bool anything_serves(const struct lifecycle *lc)
{
	list_for_each(struct installation, i, &lc->installations, link)
		if (i->serving)
			return true;
	return false;
}

static void claim(struct lifecycle *lc);
static void begin_read(struct lifecycle *lc);

static void on_read_retry(void *arg, const struct error *err)
{
	struct lifecycle *lc = arg;

	(void)err;
	lc->reading = false;
	if (!lc->stopping)
		begin_read(lc);
}

static void end_read(struct lifecycle *lc)
{
	bool again = lc->read_again || lc->read_token != lc->token;

	lc->reading = false;
	lc->read_again = false;
	if (lc->read_token == lc->token) {
		if (lc->read_rows == 0 && anything_serves(lc))
			log_error("no installation is visible where some were, changing nothing");
		else
			drop_unlisted(lc);
		/* The first pass told the states; with the claims it is known which rows an
		 * interrupted change holds, and the second pass acts. */
		if (!lc->settled)
			claim(lc);
	}
	if (again)
		begin_read(lc);
	else if (lc->settled)
		lc->hooks->settled(lc->user);
}

static void on_rows(
	const struct error *err, const struct store_installation *rows, size_t n, void *user)
{
	struct lifecycle *lc = user;

	if (lc->stopping) {
		lc->reading = false;
		return;
	}
	if (err) {
		log_warn("installations not read, trying again", LOG_ERR(err));
		lc->hooks->after(lc->user, LIFECYCLE_RETRY_MS, on_read_retry, lc);
		return;
	}
	lc->read_rows += n;
	for (size_t r = 0; r < n && lc->read_token == lc->token; r++)
		take_row(lc, &rows[r]);
	if (n == STORE_INSTALLATIONS_PAGE && lc->read_token == lc->token) {
		(void)snprintf(lc->last_id, sizeof(lc->last_id), "%.*s", SPAN_ARG(rows[n - 1].id));
		read_page(lc);
		return;
	}
	end_read(lc);
}

static void read_page(struct lifecycle *lc)
{
	store_installations_of_node(lc->db, span_of(lc->node), span_of(lc->environment),
		SPAN(FACTS_TRIPLET), lc->last_id[0] ? span_of(lc->last_id) : SPAN_NONE, on_rows,
		lc);
}

static void begin_read(struct lifecycle *lc)
{
	if (lc->reading) {
		lc->read_again = true;
		return;
	}
	lc->reading = true;
	lc->read_at = lc->clock;
	lc->read_token = lc->token;
	lc->read_rows = 0;
	lc->last_id[0] = '\0';
	list_for_each(struct installation, i, &lc->installations, link)
		i->listed = false;
	read_page(lc);
}

/* ---- claims ---- */

static void on_claim_retry(void *arg, const struct error *err)
{
	struct lifecycle *lc = arg;

	(void)err;
	lc->claiming = false;
	if (!lc->stopping)
		claim(lc);
}

static void on_claimed(
	const struct error *err, const struct store_change *rows, size_t n, void *user)
{
	struct lifecycle *lc = user;
	bool first = lc->first_claim;

	if (lc->stopping || (err && err->code == ERR_FENCED)) {
		lc->claiming = false;
		return;
	}
	if (err) {
		lc->hooks->after(lc->user, LIFECYCLE_RETRY_MS, on_claim_retry, lc);
		return;
	}
	lc->claiming = false;
	for (size_t r = 0; r < n; r++)
		change_run(lc, &rows[r], first);
	lc->first_claim = false;
	if (!lc->settled) {
		lc->settled = true;
		begin_read(lc);
	}
	if (lc->claim_again)
		claim(lc);
}

static void claim(struct lifecycle *lc)
{
	struct store_fence fence = lifecycle_fence(lc);

	if (lc->claiming) {
		lc->claim_again = true;
		return;
	}
	lc->claiming = true;
	lc->claim_again = false;
	store_changes_claim(lc->db, &fence, on_claimed, lc);
}

/* ---- the life of the node ---- */

struct lifecycle *lifecycle_new(const struct lifecycle_options *options)
{
	struct lifecycle *lc = mem_zalloc(sizeof(*lc));

	lc->db = options->db;
	lc->node = mem_strdup(options->node);
	lc->environment = mem_strdup(options->environment);
	lc->hooks = options->hooks;
	lc->user = options->user;
	list_init(&lc->installations);
	list_init(&lc->instances);
	list_init(&lc->changes);
	return lc;
}

static void abandon_changes(struct lifecycle *lc)
{
	struct list *next;

	for (struct list *l = lc->changes.next; l != &lc->changes; l = next) {
		next = l->next;
		change_abandon(change_of_link(l));
	}
}

void lifecycle_begin(struct lifecycle *lc, int64_t token)
{
	lc->token = token;
	lc->settled = false;
	lc->first_claim = true;
	abandon_changes(lc);
	begin_read(lc);
}

int64_t lifecycle_token(const struct lifecycle *lc)
{
	return lc->token;
}

void lifecycle_wake(struct lifecycle *lc, bool rows)
{
	if (lc->stopping || lc->token == 0)
		return;
	if (!lc->settled) {
		lc->claim_again = lc->claiming;
		return;
	}
	claim(lc);
	if (rows)
		begin_read(lc);
}

bool lifecycle_ends(const struct lifecycle *lc, int64_t number)
{
	for (struct list *l = lc->changes.next; l != &lc->changes; l = l->next)
		if (change_ending(change_of_link(l)) == number)
			return true;
	return false;
}

bool lifecycle_knows(struct lifecycle *lc, const char *installation)
{
	return lifecycle_find_id(lc, span_of(installation)) != NULL;
}

bool lifecycle_settled(const struct lifecycle *lc)
{
	return lc->settled && !lc->reading;
}

struct list *lifecycle_instances(struct lifecycle *lc)
{
	return &lc->instances;
}

void lifecycle_stop(struct lifecycle *lc)
{
	lc->stopping = true;
	abandon_changes(lc);
}

void lifecycle_free(struct lifecycle *lc)
{
	if (!lc)
		return;
	ASSERT(list_empty(&lc->changes));
	list_for_each_safe(struct installation, i, &lc->installations, link) {
		i->serving = NULL;
		lifecycle_forget(i);
	}
	list_for_each_safe(struct instance, inst, &lc->instances, link)
		instance_free(inst);
	mem_free(lc->node);
	mem_free(lc->environment);
	mem_free(lc);
}
