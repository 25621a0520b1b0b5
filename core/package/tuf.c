/* The client workflow of TUF 1.0.34, chapter 5; sections are named where they are done. */
#include "package/tuf.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/error.h"
#include "codec/json.h"
#include "codec/shown.h"
#include "package/tuf_priv.h"

#define CLOCK_FILE "clock" /* the latest time of a refresh that succeeded */

struct tuf {
	const struct tuf_files *files;
	int64_t now_us;
	int64_t seen_us; /* the latest time of a refresh before */
	struct tuf_metadata root, timestamp, snapshot, targets;
	struct tuf_metadata visited[TUF_VISITS_MAX]; /* by the last tuf_find() */
	size_t visited_count;
};

static const size_t longest[] = { TUF_ROOT_MAX, TUF_TIMESTAMP_MAX, TUF_SNAPSHOT_MAX,
	TUF_TARGETS_MAX };

/* ---- names of files -------------------------------------------------------------------------- */

/* RFC 3986's unreserved characters stay: a role's name can lead nowhere. */
static void append_encoded(struct text *out, const char *name)
{
	static const char kept[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~";

	for (; *name; name++) {
		if (strchr(kept, *name))
			text_append_char(out, *name);
		else
			text_printf(out, "%%%02X", (unsigned char)*name);
	}
}

/* "root.json"; with a version as the repository names it: "3.root.json". The caller's. */
static char *file_name(const char *role, int64_t version)
{
	struct text name;
	char *taken;

	text_init(&name);
	if (version > 0)
		text_printf(&name, "%" PRId64 ".", version);
	append_encoded(&name, role);
	text_append_string(&name, ".json");
	taken = text_take(&name);
	text_done(&name);
	return taken;
}

/* ---- trusted metadata in files ----------------------------------------------------------------
 */

static int load(const struct tuf *t, const char *role, enum tuf_type type, struct text *bytes,
	struct error *err)
{
	CLEANUP(mem_freep) char *name = file_name(role, 0);

	return t->files->load(t->files->user, name, longest[type], bytes, err);
}

static int save(const struct tuf *t, const char *role, struct span bytes, struct error *err)
{
	CLEANUP(mem_freep) char *name = file_name(role, 0);

	return t->files->save(t->files->user, name, bytes, err);
}

static int forget(const struct tuf *t, const char *role, struct error *err)
{
	CLEANUP(mem_freep) char *name = file_name(role, 0);

	return t->files->remove(t->files->user, name, err);
}

static void replace(struct tuf_metadata *place, struct tuf_metadata *by)
{
	tuf_metadata_done(place);
	*place = *by;
	*by = (struct tuf_metadata){ 0 };
}

/* Parsed and signed by those who may sign it. */
static int accept(struct tuf_metadata *out, enum tuf_type type, struct span bytes,
	struct tuf_signers signers, const char *file, struct error *err)
{
	int rc = tuf_metadata_parse(out, type, bytes, file, err);

	if (rc == 0)
		rc = tuf_metadata_verify(out, signers, file, err);
	if (rc < 0)
		tuf_metadata_done(out);
	return rc;
}

static int check_fresh(
	const struct tuf *t, const struct tuf_metadata *m, const char *file, struct error *err)
{
	char expires[CLOCK_TEXT_SIZE], now[CLOCK_TEXT_SIZE];

	if (m->expires_us > t->now_us)
		return 0;
	clock_text(m->expires_us, expires);
	clock_text(t->now_us, now);
	return error_set(err, ERR_TUF_EXPIRED, "'%s', version %" PRId64 ", expired at %s; it is %s",
		shown(span_of(file)).text, m->version, expires, now);
}

static int fetch(const struct tuf_source *source, const char *name, size_t max, struct text *out,
	struct error *err)
{
	int rc = source->fetch(source->user, name, max, out, err);

	return rc < 0 ? error_wrap(err, "fetch '%s'", shown(span_of(name)).text), rc : 0;
}

/* ---- 5.2 and 5.3: root ----------------------------------------------------------------------- */

int tuf_trust_root(const struct tuf_files *files, struct span root, struct error *err)
{
	struct tuf_metadata m = { 0 };
	const char *const roles[] = { "timestamp", "snapshot", "targets" };
	int rc = tuf_metadata_parse(&m, TUF_ROOT, root, "root.json", err);

	if (rc == 0)
		rc = tuf_metadata_verify(&m, tuf_root_signers(&m, "root"), "root.json", err);
	tuf_metadata_done(&m);
	/* What another root made trusted is nothing to this one. */
	for (size_t i = 0; rc == 0 && i < ARRAY_LENGTH(roles); i++) {
		CLEANUP(mem_freep) char *name = file_name(roles[i], 0);

		rc = files->remove(files->user, name, err);
	}
	if (rc == 0)
		rc = files->remove(files->user, CLOCK_FILE, err);
	return rc == 0 ? files->save(files->user, "root.json", root, err) : rc;
}

/* Was a key taken from the role? (5.3.11) */
static bool rotated(
	const struct tuf_metadata *old, const struct tuf_metadata *new, const char *role)
{
	struct tuf_signers before = tuf_root_signers(old, role),
			   after = tuf_root_signers(new, role);

	for (size_t i = 0; i < json_array_size(before.keyids); i++) {
		struct span id = json_span(json_array_get(before.keyids, i));
		bool there = false;

		for (size_t j = 0; j < json_array_size(after.keyids) && !there; j++)
			there = span_equal(id, json_span(json_array_get(after.keyids, j)));
		if (!there)
			return true;
	}
	return false;
}

/* One step of 5.3.3 to 5.3.9: signed by the old keys and by its own, and exactly one further. */
static int next_root(struct tuf *t, struct span bytes, const char *file, struct error *err)
{
	struct tuf_metadata m = { 0 };
	int rc = accept(&m, TUF_ROOT, bytes, tuf_root_signers(&t->root, "root"), file, err);

	if (rc == 0)
		rc = tuf_metadata_verify(&m, tuf_root_signers(&m, "root"), file, err);
	if (rc == 0 && m.version != t->root.version + 1)
		rc = error_set(err, ERR_TUF_VERSION, "'%s' holds version %" PRId64,
			shown(span_of(file)).text, m.version);
	/* 5.3.11, before the root is kept: were it after, a crash between would skip it. */
	if (rc == 0 && (rotated(&t->root, &m, "timestamp") || rotated(&t->root, &m, "snapshot"))) {
		rc = forget(t, "timestamp", err);
		if (rc == 0)
			rc = forget(t, "snapshot", err);
	}
	if (rc == 0)
		rc = save(t, "root", bytes, err);
	if (rc == 0)
		replace(&t->root, &m);
	tuf_metadata_done(&m);
	return rc;
}

static int refresh_root(struct tuf *t, const struct tuf_source *source, struct error *err)
{
	struct text bytes;
	int rc = 0;

	text_init(&bytes);
	for (unsigned i = 0; i < TUF_ROOTS_MAX && rc == 0; i++) {
		CLEANUP(mem_freep) char *name = file_name("root", t->root.version + 1);

		text_clear(&bytes);
		rc = fetch(source, name, TUF_ROOT_MAX, &bytes, err);
		if (rc == ERR_NOT_FOUND)
			break;
		if (rc == 0)
			rc = next_root(t, text_span(&bytes), name, err);
	}
	text_done(&bytes);
	if (rc < 0 && rc != ERR_NOT_FOUND)
		return rc;
	return check_fresh(t, &t->root, "root.json", err);
}

/* ---- 5.4: timestamp -------------------------------------------------------------------------- */

/* What is in the file and still signed by those who may. Nothing there is nothing wrong. */
static void recall(struct tuf *t, struct tuf_metadata *place, enum tuf_type type, const char *role)
{
	struct tuf_metadata m = { 0 };
	struct text bytes;

	text_init(&bytes);
	if (load(t, role, type, &bytes, NULL) == 0 &&
		accept(&m, type, text_span(&bytes), tuf_root_signers(&t->root, role), role, NULL) ==
			0)
		replace(place, &m);
	text_done(&bytes);
}

static int64_t snapshot_version(const struct tuf_metadata *timestamp)
{
	struct tuf_file file = { 0 };

	(void)tuf_metadata_file(timestamp, "snapshot", &file);
	return file.version;
}

static int check_timestamp(const struct tuf *t, const struct tuf_metadata *m, struct error *err)
{
	if (!t->timestamp.document)
		return 0;
	if (m->version < t->timestamp.version)
		return error_set(err, ERR_TUF_ROLLBACK,
			"'timestamp.json' is version %" PRId64 "; version %" PRId64 " was trusted",
			m->version, t->timestamp.version);
	if (snapshot_version(m) < snapshot_version(&t->timestamp))
		return error_set(err, ERR_TUF_ROLLBACK,
			"'timestamp.json' names snapshot %" PRId64 "; %" PRId64 " was trusted",
			snapshot_version(m), snapshot_version(&t->timestamp));
	return 0;
}

/* A timestamp of the trusted version is no news, whatever else it says (5.4.3). */
static int new_timestamp(struct tuf *t, struct span bytes, struct error *err)
{
	struct tuf_metadata m = { 0 };
	int rc = accept(&m, TUF_TIMESTAMP, bytes, tuf_root_signers(&t->root, "timestamp"),
		"timestamp.json", err);

	if (rc == 0)
		rc = check_timestamp(t, &m, err);
	if (rc == 0 && m.version != t->timestamp.version) {
		rc = check_fresh(t, &m, "timestamp.json", err);
		if (rc == 0)
			rc = save(t, "timestamp", bytes, err);
		if (rc == 0)
			replace(&t->timestamp, &m);
	}
	tuf_metadata_done(&m);
	return rc;
}

static int missing(int rc, const char *file, struct error *err)
{
	if (rc != ERR_NOT_FOUND)
		return rc;
	return error_set(
		err, ERR_TUF_MISSING, "the repository has no '%s'", shown(span_of(file)).text);
}

static int refresh_timestamp(struct tuf *t, const struct tuf_source *source, struct error *err)
{
	struct text bytes;
	int rc;

	text_init(&bytes);
	recall(t, &t->timestamp, TUF_TIMESTAMP, "timestamp");
	rc = missing(fetch(source, "timestamp.json", TUF_TIMESTAMP_MAX, &bytes, err),
		"timestamp.json", err);
	if (rc == 0)
		rc = new_timestamp(t, text_span(&bytes), err);
	text_done(&bytes);
	return rc == 0 ? check_fresh(t, &t->timestamp, "timestamp.json", err) : rc;
}

/* ---- what snapshot and all targets have in common -------------------------------------------- */

/* The role whose file and version another role names: from our file where it is that one, else
 * fetched; then saved. *out is the caller's. before may refuse it, once it is otherwise trusted. */
struct wanted {
	const char *role;
	enum tuf_type type;
	struct tuf_file file;
	struct tuf_signers signers;
	int (*before)(const struct tuf *t, const struct tuf_metadata *m, struct error *err);
};

static int check_wanted(const struct tuf *t, const struct wanted *w, struct span bytes,
	const char *file, struct tuf_metadata *out, struct error *err)
{
	int rc = tuf_file_check(&w->file, bytes, file, err);

	if (rc == 0)
		rc = accept(out, w->type, bytes, w->signers, file, err);
	if (rc < 0)
		return rc;
	if (out->version != w->file.version)
		rc = error_set(err, ERR_TUF_VERSION,
			"'%s' holds version %" PRId64 "; signed was %" PRId64,
			shown(span_of(file)).text, out->version, w->file.version);
	if (rc == 0 && w->before)
		rc = w->before(t, out, err);
	if (rc == 0)
		rc = check_fresh(t, out, file, err);
	if (rc < 0)
		tuf_metadata_done(out);
	return rc;
}

static int obtain(struct tuf *t, const struct tuf_source *source, const struct wanted *w,
	struct tuf_metadata *out, struct error *err)
{
	bool consistent = json_is_true(json_object_get(t->root.body, "consistent_snapshot"));
	CLEANUP(mem_freep) char *name = file_name(w->role, consistent ? w->file.version : 0);
	size_t max = w->file.length ? (size_t)w->file.length : longest[w->type];
	struct text bytes;
	int rc;

	text_init(&bytes);
	rc = load(t, w->role, w->type, &bytes, NULL);
	if (rc == 0)
		rc = check_wanted(t, w, text_span(&bytes), name, out, NULL);
	if (rc < 0) {
		text_clear(&bytes);
		rc = missing(fetch(source, name, max, &bytes, err), name, err);
		if (rc == 0)
			rc = check_wanted(t, w, text_span(&bytes), name, out, err);
		if (rc == 0)
			rc = save(t, w->role, text_span(&bytes), err);
		if (rc < 0)
			tuf_metadata_done(out);
	}
	text_done(&bytes);
	return rc;
}

/* ---- 5.5: snapshot --------------------------------------------------------------------------- */

/* 5.5.5: no role is older than in the snapshot that was trusted, and none is gone. */
static int check_snapshot(const struct tuf *t, const struct tuf_metadata *m, struct error *err)
{
	const json_t *old = json_object_get(t->snapshot.body, "meta"), *file;
	const json_t *new = json_object_get(m->body, "meta");
	const char *name;

	json_object_foreach((json_t *)old, name, file)
	{
		const json_t *now = json_object_get(new, name);
		int64_t was = json_integer_value(json_object_get(file, "version"));
		int64_t is = json_integer_value(json_object_get(now, "version"));

		if (!now)
			return error_set(err, ERR_TUF_ROLLBACK,
				"'snapshot.json' no longer names '%s'", shown(span_of(name)).text);
		if (is < was)
			return error_set(err, ERR_TUF_ROLLBACK,
				"'snapshot.json' names '%s' in version %" PRId64 "; %" PRId64
				" was trusted",
				shown(span_of(name)).text, is, was);
	}
	return 0;
}

static int refresh_snapshot(struct tuf *t, const struct tuf_source *source, struct error *err)
{
	struct wanted wanted = { .role = "snapshot",
		.type = TUF_SNAPSHOT,
		.signers = tuf_root_signers(&t->root, "snapshot"),
		.before = check_snapshot };
	struct tuf_metadata m = { 0 };
	int rc;

	recall(t, &t->snapshot, TUF_SNAPSHOT, "snapshot");
	(void)tuf_metadata_file(&t->timestamp, "snapshot", &wanted.file);
	rc = obtain(t, source, &wanted, &m, err);
	if (rc == 0)
		replace(&t->snapshot, &m);
	return rc;
}

/* ---- 5.6: targets ---------------------------------------------------------------------------- */

static int obtain_targets(struct tuf *t, const struct tuf_source *source, const char *role,
	struct tuf_signers signers, struct tuf_metadata *out, struct error *err)
{
	struct wanted wanted = { .role = role, .type = TUF_TARGETS, .signers = signers };

	if (!tuf_metadata_file(&t->snapshot, role, &wanted.file))
		return error_set(err, ERR_TUF_MISSING,
			"role '%s' is delegated, but 'snapshot.json' does not name it",
			shown(span_of(role)).text);
	return obtain(t, source, &wanted, out, err);
}

/* The latest clock of a refresh, for the next one: the slack must not add up. */
static int note_time(const struct tuf *t, struct error *err)
{
	char now[CLOCK_TEXT_SIZE];

	clock_text(t->now_us > t->seen_us ? t->now_us : t->seen_us, now);
	return t->files->save(t->files->user, CLOCK_FILE, span_of(now), err);
}

int tuf_refresh(struct tuf *t, const struct tuf_source *source, struct error *err)
{
	struct tuf_metadata m = { 0 };
	int rc = refresh_root(t, source, err);

	if (rc == 0)
		rc = refresh_timestamp(t, source, err);
	if (rc == 0)
		rc = refresh_snapshot(t, source, err);
	if (rc == 0)
		rc = obtain_targets(
			t, source, "targets", tuf_root_signers(&t->root, "targets"), &m, err);
	if (rc == 0)
		replace(&t->targets, &m);
	return rc == 0 ? note_time(t, err) : rc;
}

/* ---- 5.6.7: the search ----------------------------------------------------------------------- */

/* A role still to be looked at. Its keys are its delegator's to name: a role that was good for one
 * delegator need not be so for another. */
struct visit {
	const json_t *delegations;
	const json_t *role;
};

struct search {
	struct span path;
	struct visit *stack; /* the next one is the last */
	size_t height;
	const char *names[TUF_VISITS_MAX]; /* that were visited */
	size_t visits;
};

static bool was_visited(const struct search *s, const char *role)
{
	for (size_t i = 0; i < s->visits; i++)
		if (strcmp(s->names[i], role) == 0)
			return true;
	return false;
}

/* Push what m delegates for the path, the first on top. A terminating one is the last that counts:
 * what else was to be looked at is dropped. */
static void push_delegations(struct search *s, const struct tuf_metadata *m)
{
	const json_t *delegations = json_object_get(m->body, "delegations");
	const json_t *roles = json_object_get(delegations, "roles");
	bool terminated = false;
	size_t from = s->height;

	for (size_t i = 0; i < json_array_size(roles) && !terminated; i++) {
		const json_t *role = json_array_get(roles, i);

		if (!tuf_delegation_covers(role, s->path))
			continue;
		s->stack = mem_realloc(s->stack, (s->height + 1) * sizeof(*s->stack));
		s->stack[s->height++] = (struct visit){ delegations, role };
		terminated = json_is_true(json_object_get(role, "terminating"));
	}
	if (terminated) {
		s->height -= from;
		memmove(s->stack, s->stack + from, s->height * sizeof(*s->stack));
		from = 0;
	}
	for (size_t a = from, b = s->height; a + 1 < b; a++, b--) {
		struct visit swap = s->stack[a];

		s->stack[a] = s->stack[b - 1];
		s->stack[b - 1] = swap;
	}
}

static bool has_target(
	const struct tuf_metadata *m, const char *role, struct span path, struct tuf_target *out)
{
	const json_t *targets = json_object_get(m->body, "targets");
	const char *name;
	json_t *target;

	json_object_foreach((json_t *)targets, name, target)
	{
		if (!span_is(path, name))
			continue;
		*out = (struct tuf_target){
			.path = span_of(name),
			.length = (uint64_t)json_integer_value(json_object_get(target, "length")),
			.hashes = json_object_get(target, "hashes"),
			.custom = json_object_get(target, "custom"),
			.role = role,
		};
		return true;
	}
	return false;
}

/* Look at the role on top of the stack. 1: the target is found. */
static int visit_next(struct tuf *t, const struct tuf_source *source, struct search *s,
	struct tuf_target *out, struct error *err)
{
	struct visit visit = s->stack[--s->height];
	const char *name = json_string_value(json_object_get(visit.role, "name"));
	struct tuf_signers signers = {
		.keys = json_object_get(visit.delegations, "keys"),
		.keyids = json_object_get(visit.role, "keyids"),
		.threshold = json_integer_value(json_object_get(visit.role, "threshold")),
	};
	struct tuf_metadata *m = &t->visited[t->visited_count];
	int rc;

	if (was_visited(s, name))
		return 0;
	if (s->visits == TUF_VISITS_MAX)
		return error_set(err, ERR_LIMIT, "more than %u roles are delegated for '%s'",
			TUF_VISITS_MAX, shown(s->path).text);
	rc = obtain_targets(t, source, name, signers, m, err);
	if (rc < 0)
		return rc;
	t->visited_count++;
	s->names[s->visits++] = name;
	if (has_target(m, name, s->path, out))
		return 1;
	push_delegations(s, m);
	return 0;
}

static void forget_visits(struct tuf *t)
{
	while (t->visited_count > 0)
		tuf_metadata_done(&t->visited[--t->visited_count]);
}

int tuf_find(struct tuf *t, const struct tuf_source *source, struct span path,
	struct tuf_target *out, struct error *err)
{
	struct search s = { .path = path };
	int rc = 0;

	ASSERT(t->targets.document != NULL);
	forget_visits(t);
	if (has_target(&t->targets, "targets", path, out))
		return 0;
	push_delegations(&s, &t->targets);
	while (s.height > 0 && rc == 0)
		rc = visit_next(t, source, &s, out, err);
	mem_free(s.stack);
	if (rc == 0)
		rc = error_set(
			err, ERR_NOT_FOUND, "the repository has no target '%s'", shown(path).text);
	return rc == 1 ? 0 : rc;
}

/* ---- targets --------------------------------------------------------------------------------- */

/* Section 6.2: with consistent snapshots a digest stands before the name, the first that is
 * listed, as other clients choose. */
void tuf_target_file(const struct tuf *t, const struct tuf_target *target, struct text *out)
{
	const char *slash = memrchr(target->path.data, '/', target->path.len);
	size_t folder = slash ? (size_t)(slash - target->path.data) + 1 : 0;

	text_append(out, target->path.data, folder);
	if (json_is_true(json_object_get(t->root.body, "consistent_snapshot"))) {
		const json_t *hex =
			json_object_iter_value(json_object_iter((json_t *)target->hashes));

		text_append_span(out, json_span(hex));
		text_append_char(out, '.');
	}
	text_append(out, target->path.data + folder, target->path.len - folder);
}

void tuf_check_init(struct tuf_check *check, const struct tuf_target *target)
{
	const char *name;
	json_t *hex;

	*check = (struct tuf_check){ .length = target->length, .left = target->length };
	json_object_foreach((json_t *)target->hashes, name, hex)
	{
		ASSERT(check->count < TUF_HASHES_MAX);
		hash_init(&check->hashes[check->count], span_of(name));
		check->wanted[check->count++] = json_span(hex);
	}
}

int tuf_check_update(struct tuf_check *check, const void *data, size_t len, struct error *err)
{
	if (len > check->left)
		return error_set(err, ERR_TUF_DIGEST,
			"the target is longer than the %" PRIu64 " bytes that are signed",
			check->length);
	check->left -= len;
	for (size_t i = 0; i < check->count; i++)
		hash_update(&check->hashes[i], data, len);
	return 0;
}

int tuf_check_final(struct tuf_check *check, struct error *err)
{
	int rc = 0;

	if (check->left > 0)
		rc = error_set(err, ERR_TUF_DIGEST,
			"the target ends %" PRIu64 " bytes before the %" PRIu64 " that are signed",
			check->left, check->length);
	for (size_t i = 0; i < check->count && rc == 0; i++)
		if (!hash_matches(&check->hashes[i], check->wanted[i]))
			rc = error_set(err, ERR_TUF_DIGEST,
				"the target is not the one of digest %.*s",
				SPAN_ARG(check->wanted[i]));
	tuf_check_done(check);
	return rc;
}

void tuf_check_done(struct tuf_check *check)
{
	for (size_t i = 0; i < check->count; i++)
		hash_done(&check->hashes[i]);
	check->count = 0;
}

/* ---- opening and closing --------------------------------------------------------------------- */

/* Whoever sets the clock back would make what is out of date fresh again. */
static int check_clock(struct tuf *t, struct error *err)
{
	struct text seen;
	int rc = 0;

	text_init(&seen);
	if (t->files->load(t->files->user, CLOCK_FILE, CLOCK_TEXT_SIZE, &seen, NULL) == 0 &&
		clock_parse(text_span(&seen), &t->seen_us) &&
		t->now_us < t->seen_us - INT64_C(1000000) * TUF_CLOCK_SLACK_S) {
		char now[CLOCK_TEXT_SIZE];

		clock_text(t->now_us, now);
		rc = error_set(err, ERR_TUF_CLOCK, "the clock says %s, but it was %s before", now,
			seen.data);
	}
	text_done(&seen);
	return rc;
}

int tuf_open(struct tuf **out, const struct tuf_files *files, int64_t now_us, struct error *err)
{
	CLEANUP(tuf_freep) struct tuf *t = mem_zalloc(sizeof(*t));
	struct text bytes;
	int rc;

	t->files = files;
	t->now_us = now_us;
	text_init(&bytes);
	rc = load(t, "root", TUF_ROOT, &bytes, err);
	if (rc == 0)
		rc = tuf_metadata_parse(&t->root, TUF_ROOT, text_span(&bytes), "root.json", err);
	if (rc == 0)
		rc = tuf_metadata_verify(
			&t->root, tuf_root_signers(&t->root, "root"), "root.json", err);
	text_done(&bytes);
	if (rc == 0)
		rc = check_clock(t, err);
	if (rc == 0)
		*out = TAKE(t);
	return rc;
}

void tuf_free(struct tuf *t)
{
	if (!t)
		return;
	forget_visits(t);
	tuf_metadata_done(&t->root);
	tuf_metadata_done(&t->timestamp);
	tuf_metadata_done(&t->snapshot);
	tuf_metadata_done(&t->targets);
	mem_free(t);
}

static const struct tuf_metadata *top_role(const struct tuf *t, const char *role)
{
	const struct {
		const char *name;
		const struct tuf_metadata *m;
	} roles[] = { { "root", &t->root }, { "timestamp", &t->timestamp },
		{ "snapshot", &t->snapshot }, { "targets", &t->targets } };

	for (size_t i = 0; i < ARRAY_LENGTH(roles); i++)
		if (strcmp(role, roles[i].name) == 0)
			return roles[i].m;
	BUG("no such top-level role");
}

int64_t tuf_version(const struct tuf *t, const char *role)
{
	return top_role(t, role)->version;
}

int64_t tuf_expires(const struct tuf *t, const char *role)
{
	return top_role(t, role)->expires_us;
}
