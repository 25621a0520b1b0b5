/* The node's key ring follows the rows, and one node seals everything anew.
 *
 * Each look says to the database what this node's ring can use and hears how the keys stand. Then
 * in this order: read the file again when it lacks a key that is wanted; destroy a key that is
 * retired; go one step on with a rotation that this node holds. What a step does is either a
 * commit of the database or repeated without harm, so a host that dies anywhere goes on where the
 * rows say it was, and another node takes over when the claim has lapsed:
 *
 *   asked      add a key to the file, tell the database         (a key that no row knows is used
 *                                                               first: it was made before a crash)
 *   spreading  wait until every live node has it, make it current in one commit
 *   sealing    wait until every live node seals with it; seal in batches, each envelope replaced
 *              only where it is still the one that was read; finish when none is left
 *
 * An envelope that does not open is left as it is, named in the rotation's row and in the log; the
 * key it names cannot be retired while it stands. */
#include "base/assert.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "store/key_ring.h"
#include "supervise/key_ring.h"
#include "supervise/supervisor_priv.h"

#define TICK_MS           1000
#define IDLE_TICKS        30 /* between looks when nothing rang */
#define CLAIM_MS          15000
#define BATCH             100
#define UNREADABLE_LOGGED 20 /* of a pass */

struct rotation {
	struct supervisor *s;
	bool busy;    /* a look, a step or work on the file is under way */
	bool on_file; /* in the pool's thread */
	bool again;   /* it rang meanwhile */
	bool lacking; /* a key that the file should have: look again soon */
	bool reread;  /* the file was read again for what it lacks */
	bool active;  /* a rotation is held: do not wait for a ring */
	unsigned ticks;

	char spare[SEAL_KEY_ID_MAX + 1]; /* a key of the file that no row knows; "" for none */
	int64_t number;                  /* of the rotation under way */
	bool sealing;
	struct text after;  /* the place that the next batch begins behind */
	struct text places; /* unreadable in this pass, a line each */
	size_t unreadable;
	int64_t resealed;
};

/* ---- one after the other ---- */

static void look(struct rotation *r);

static void rest(struct rotation *r)
{
	r->busy = false;
	if (r->again && !r->s->closing)
		look(r);
}

/* True: this step failed, or the host ends; the next look tries again. */
static bool gave_up(struct rotation *r, const struct error *err, const char *what)
{
	if (!err && !r->s->closing)
		return false;
	if (err && !r->s->closing && err->code != ERR_FENCED && err->code != ERR_UNAVAIL)
		log_warn("the key ring's work stands still, it goes on by itself",
			LOG_STR("step", what), LOG_ERR(err));
	rest(r);
	return true;
}

/* ---- the file, in the pool's thread ---- */

struct file_work {
	struct rotation *r;
	const struct key_ring *ring;
	struct key_ring *fresh;
	char retire[SEAL_KEY_ID_MAX + 1];
	bool add;
	struct error err;
};

static void run_file_work(void *user)
{
	struct file_work *w = user;

	if (w->add)
		(void)key_ring_add(&w->fresh, w->ring, &w->err);
	else if (w->retire[0])
		(void)key_ring_retire(&w->fresh, w->ring, span_of(w->retire), &w->err);
	else
		(void)key_ring_reopen(&w->fresh, w->ring, &w->err);
}

static void on_failed(const struct error *err, void *user)
{
	if (!gave_up(user, err, "fail"))
		rest(user);
}

static void on_file_work(void *user, int cancelled)
{
	struct file_work *w = user;
	struct rotation *r = w->r;
	struct supervisor *s = r->s;
	struct store_fence fence = supervisor_fence(s);

	(void)cancelled;
	r->on_file = false;
	if (w->fresh) {
		key_ring_free(*s->o.key_ring);
		*s->o.key_ring = w->fresh;
		r->again = true; /* the database wants to know what the ring can use now */
	} else if (!s->closing) {
		log_error("the key ring's file cannot be used", LOG_ERR(&w->err));
	}
	if (!w->fresh && w->add && !s->closing)
		store_rotation_fail(s->o.db, &fence, r->number, span_of(w->err.text), on_failed, r);
	else
		rest(r);
	mem_free(w);
	if (s->closing)
		supervisor_closing_step(s);
}

static void begin_file_work(struct rotation *r, bool add, struct span retire)
{
	struct file_work *w = mem_zalloc(sizeof(*w));

	ASSERT(!r->on_file);
	w->r = r;
	w->ring = *r->s->o.key_ring;
	w->add = add;
	memcpy(w->retire, retire.data ? retire.data : "", retire.len);
	r->on_file = true;
	(void)work_submit(r->s->loop, run_file_work, on_file_work, w);
}

/* ---- sealing ---- */

static void next_batch(struct rotation *r);

static void begin_pass(struct rotation *r)
{
	text_clear(&r->after);
	text_clear(&r->places);
	r->unreadable = 0;
}

static void on_finished(const struct error *err, int64_t done, void *user)
{
	struct rotation *r = user;

	if (gave_up(r, err, "finish"))
		return;
	if (done)
		log_info("the key ring is rotated", LOG_INT("rotation", r->number),
			LOG_INT("resealed", r->resealed), LOG_INT("unreadable", r->unreadable));
	r->active = !done; /* or some were written with the old key meanwhile: another pass */
	begin_pass(r);
	rest(r);
}

static void finish(struct rotation *r)
{
	struct store_fence fence = supervisor_fence(r->s);
	struct span *places = mem_calloc(r->unreadable + 1, sizeof(*places));
	struct span lines = text_span(&r->places), line;
	size_t n = 0;

	while (n < r->unreadable && span_split(&lines, '\n', &line))
		places[n++] = line;
	if (FAULT_POINT("key_ring.finish") < 0)
		rest(r);
	else
		store_rotation_finish(r->s->o.db, &fence, r->number, places, n, on_finished, r);
	mem_free(places);
}

static void on_resealed(const struct error *err, int64_t n, void *user)
{
	struct rotation *r = user;

	if (gave_up(r, err, "reseal"))
		return;
	r->resealed += n;
	next_batch(r);
}

static void note_unreadable(struct rotation *r, struct span place, const struct error *err)
{
	if (r->unreadable < UNREADABLE_LOGGED)
		log_error("an envelope does not open, it is left as it is",
			LOG_SPAN("place", place), LOG_ERR(err));
	text_append_span(&r->places, place);
	text_append_char(&r->places, '\n');
	r->unreadable++;
}

struct batch {
	struct span places[BATCH], old[BATCH], fresh[BATCH];
	struct text texts[BATCH];
	size_t n;
};

static void seal_batch(
	struct rotation *r, struct batch *b, const struct store_envelope *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct text *fresh = &b->texts[b->n];
		struct error err = { 0 };

		text_init(fresh);
		if (key_ring_reseal(*r->s->o.key_ring, rows[i].context, rows[i].envelope, fresh,
			    &err) < 0) {
			note_unreadable(r, rows[i].place, &err);
			text_done(fresh);
			continue;
		}
		b->places[b->n] = rows[i].place;
		b->old[b->n] = rows[i].envelope;
		b->fresh[b->n] = text_span(fresh);
		b->n++;
	}
}

static void on_stale(
	const struct error *err, const struct store_envelope *rows, size_t n, void *user)
{
	struct rotation *r = user;
	struct store_fence fence = supervisor_fence(r->s);
	struct batch *b;

	if (gave_up(r, err, "read"))
		return;
	if (n == 0) {
		finish(r);
		return;
	}
	text_clear(&r->after);
	text_append_span(&r->after, rows[n - 1].place);
	b = mem_zalloc(sizeof(*b));
	seal_batch(r, b, rows, n);
	if (b->n == 0) {
		next_batch(r);
	} else if (FAULT_POINT("key_ring.reseal") < 0) {
		rest(r);
	} else {
		const struct store_reseal reseal = { .number = r->number,
			.ttl_ms = CLAIM_MS,
			.places = b->places,
			.old_envelopes = b->old,
			.new_envelopes = b->fresh,
			.n = b->n };

		store_rotation_reseal(r->s->o.db, &fence, &reseal, on_resealed, r);
	}
	for (size_t i = 0; i < b->n; i++)
		text_done(&b->texts[i]);
	mem_free(b);
}

static void next_batch(struct rotation *r)
{
	store_rotation_stale(r->s->o.db, r->number, text_span(&r->after), BATCH, on_stale, r);
}

/* ---- the steps before ---- */

static void on_spread(const struct error *err, struct span waits_for, void *user)
{
	struct rotation *r = user;

	if (gave_up(r, err, "spread"))
		return;
	if (waits_for.len == 0 && r->sealing) {
		next_batch(r);
		return;
	}
	/* Whatever moves it on rings; and there is the tick. */
	rest(r);
}

static void on_coming(const struct error *err, void *user)
{
	struct rotation *r = user;

	if (gave_up(r, err, "coming"))
		return;
	r->again = true;
	rest(r);
}

static void announce_key(struct rotation *r)
{
	const struct key_ring *ring = *r->s->o.key_ring;
	struct store_fence fence = supervisor_fence(r->s);

	if (FAULT_POINT("key_ring.coming") < 0) {
		rest(r);
		return;
	}
	for (size_t i = 0; i < key_ring_count(ring); i++) {
		struct key_ring_entry key;

		key_ring_entry(ring, i, &key);
		if (strcmp(key.id, r->spare) != 0)
			continue;
		store_rotation_coming(r->s->o.db, &fence, r->number, span_of(key.id),
			span_of(key.fingerprint), on_coming, r);
		return;
	}
	rest(r);
}

static void on_claimed(
	const struct error *err, const struct store_rotation *rows, size_t n, void *user)
{
	struct rotation *r = user;
	struct store_fence fence = supervisor_fence(r->s);

	if (gave_up(r, err, "claim"))
		return;
	r->active = n == 1 || r->lacking;
	if (n == 0) {
		rest(r);
		return;
	}
	if (rows[0].number != r->number) {
		r->number = rows[0].number;
		r->resealed = 0;
		begin_pass(r);
	}
	r->sealing = span_is(rows[0].state, "sealing");
	if (span_is(rows[0].state, "asked")) {
		if (r->spare[0])
			announce_key(r);
		else
			begin_file_work(r, true, SPAN_NONE);
	} else if (FAULT_POINT("key_ring.switch") < 0) {
		rest(r);
	} else {
		store_rotation_spread(r->s->o.db, &fence, r->number, on_spread, r);
	}
}

/* ---- looking ---- */

static const struct store_key *find_row(const struct store_key *rows, size_t n, const char *id)
{
	for (size_t i = 0; i < n; i++)
		if (span_is(rows[i].id, id))
			return &rows[i];
	return NULL;
}

/* A key of the file that has no row, the newest; and one whose row is retired while the file still
 * has all of it. */
static void compare(
	struct rotation *r, const struct store_key *rows, size_t n, struct key_ring_entry *retire)
{
	const struct key_ring *ring = *r->s->o.key_ring;

	r->spare[0] = '\0';
	retire->id[0] = '\0';
	for (size_t i = 0; i < key_ring_count(ring); i++) {
		struct key_ring_entry key;
		const struct store_key *row;

		key_ring_entry(ring, i, &key);
		row = find_row(rows, n, key.id);
		if (!row && !key.retired)
			memcpy(r->spare, key.id, sizeof(r->spare));
		if (row && !key.retired && span_is(row->state, "retired"))
			*retire = key;
	}
}

/* The key of the database's choice; false: the file must be read again. */
static bool follow(struct rotation *r, const struct store_key *rows, size_t n)
{
	struct key_ring *ring = *r->s->o.key_ring;
	bool complete = true;

	for (size_t i = 0; i < n; i++) {
		bool there = key_ring_has(ring, rows[i].id, rows[i].fingerprint);

		if (span_is(rows[i].state, "retired"))
			continue;
		complete = complete && there;
		if (!there || !span_is(rows[i].state, "current") ||
			span_is(rows[i].id, key_ring_used(ring)))
			continue;
		(void)key_ring_use(ring, rows[i].id, NULL);
		r->again = true; /* whoever waits for this node to seal with it hears so */
		log_info(
			"the key ring seals with another key", LOG_STR("key", key_ring_used(ring)));
	}
	return complete;
}

static void on_keys(const struct error *err, const struct store_key *rows, size_t n, void *user)
{
	struct rotation *r = user;
	struct store_fence fence = supervisor_fence(r->s);
	struct key_ring_entry retire;
	bool lacking;

	if (gave_up(r, err, "look"))
		return;
	compare(r, rows, n, &retire);
	lacking = !follow(r, rows, n);
	if (lacking && !r->reread) {
		r->reread = true;
		begin_file_work(r, false, SPAN_NONE);
		return;
	}
	if (lacking && !r->lacking)
		log_error("the key ring lacks a key that the other nodes have: copy theirs",
			LOG_STR("file", key_ring_path(*r->s->o.key_ring)));
	r->lacking = lacking;
	r->reread = false;
	if (retire.id[0] && FAULT_POINT("key_ring.destroy") == 0)
		begin_file_work(r, false, span_of(retire.id));
	else
		store_rotation_claim(r->s->o.db, &fence, CLAIM_MS, on_claimed, r);
}

static void look(struct rotation *r)
{
	const struct key_ring *ring = *r->s->o.key_ring;
	struct store_fence fence = supervisor_fence(r->s);
	struct key_ring_entry keys[KEY_RING_KEYS_MAX];
	struct span usable[KEY_RING_KEYS_MAX];
	size_t n = 0;

	r->ticks = 0;
	if (r->busy || fence.token == 0 || r->s->closing) {
		r->again = true;
		return;
	}
	r->busy = true;
	r->again = false;
	for (size_t i = 0; i < key_ring_count(ring); i++) {
		key_ring_entry(ring, i, &keys[n]);
		if (!keys[n].retired) {
			usable[n] = span_of(keys[n].id);
			n++;
		}
	}
	store_key_ring_look(
		r->s->o.db, &fence, usable, n, span_of(key_ring_used(ring)), on_keys, r);
}

static void on_tick(void *arg, const struct error *err)
{
	struct rotation *r = arg;

	(void)err;
	if (r->s->closing)
		return;
	if (++r->ticks >= IDLE_TICKS || r->active || r->again)
		look(r);
	supervisor_after(r->s, TICK_MS, on_tick, r);
}

struct rotation *rotation_new(struct supervisor *s)
{
	struct rotation *r = mem_zalloc(sizeof(*r));

	r->s = s;
	r->again = true;
	text_init(&r->after);
	text_init(&r->places);
	supervisor_after(s, TICK_MS, on_tick, r);
	return r;
}

void rotation_ring(struct rotation *r)
{
	look(r);
}

bool rotation_busy(const struct rotation *r)
{
	return r->on_file;
}

void rotation_free(struct rotation *r)
{
	if (!r)
		return;
	text_done(&r->after);
	text_done(&r->places);
	mem_free(r);
}
