#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/fault.h"
#include "base/io.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/settings.h"
#include "codec/digest.h"
#include "lifecycle/package_store.h"
#include "store/packages.h"
#include "supervise/supervisor_priv.h"

/* The store is changed by one job at a time, so none can see another's half-done work:
 *
 *   upload    trusted keys -> stage checks and unpacks -> copy into the store -> chunks into the
 *             database -> the rows that name it -> answer
 *   restore   package row -> chunks into a file -> stage -> copy
 *   sweep     the digests that rows name -> remove the other entries
 *
 * The order is what makes a crash harmless: what no row names is removed by the next sweep, and
 * chunks are put again under the same digest. */
#define JOBS_MAX          32 /* waiting */
#define CHUNKS_IN_FLIGHT  4
#define STAGE_MEMORY      (UINT64_C(64) << 20)
#define STAGE_CPU_SECONDS 60
#define DIGESTS_MAX       1000000

enum kind { KIND_UPLOAD, KIND_RESTORE, KIND_SWEEP };

struct job {
	struct list link;
	struct uploads *u;
	enum kind kind;
	int fd; /* the package; -1: none */
	uint64_t size;
	/* Upload: whom to answer. */
	struct front *front;
	uint64_t front_life;
	uint64_t id;
	char *user;
	/* Restore. */
	lifecycle_done_cb done;
	void *arg;
	/* What stage found. */
	char *digest, *name, *version, *manifest, *key_id, *warnings;
	struct package_store_content content;
	char staging[32];
	struct error err;
	/* Chunks. */
	int64_t chunks, next_chunk;
	unsigned in_flight;
	bool stored;
	/* Sweep. */
	uint8_t (*keep)[SHA256_SIZE];
	size_t keep_count;
	char last[DIGEST_TEXT_SIZE];
	size_t removed;
};

struct uploads {
	struct supervisor *s;
	struct list jobs; /* the first one runs */
	unsigned waiting;
	uint64_t count;
	bool running;
	bool closing;
};

static void begin(struct uploads *u);

static void job_free(struct job *j)
{
	io_closep(&j->fd);
	mem_free(j->user);
	mem_free(j->digest);
	mem_free(j->name);
	mem_free(j->version);
	mem_free(j->manifest);
	mem_free(j->key_id);
	mem_free(j->warnings);
	package_store_content_done(&j->content);
	mem_free(j->keep);
	mem_free(j);
}

static void answer(struct job *j, const struct error *err)
{
	struct front_staged m = { .rc = err ? err->code : 0 };

	/* Another life of that front did not ask. */
	if (front_life(j->front) != j->front_life)
		return;
	if (err) {
		m.text = span_of(err->text);
		m.fix = span_of(error_advice(err));
	} else {
		m.digest = span_of(j->digest);
		m.name = span_of(j->name);
		m.version = span_of(j->version);
		m.manifest = span_of(j->manifest);
		m.signer = span_of(j->key_id);
		m.warnings = span_of(j->warnings);
	}
	front_staged(j->front, j->id, &m);
}

static void end(struct job *j, const struct error *err)
{
	struct uploads *u = j->u;

	if (j->kind == KIND_UPLOAD)
		answer(j, err);
	else if (j->kind == KIND_RESTORE)
		j->done(j->arg, err);
	if (err)
		log_warn(j->kind == KIND_UPLOAD    ? "package refused"
			 : j->kind == KIND_RESTORE ? "package not restored"
						   : "store not swept",
			LOG_STR("plugin", j->name), LOG_ERR(err));
	else if (j->kind == KIND_UPLOAD)
		log_info("package accepted", LOG_STR("plugin", j->name),
			LOG_STR("version", j->version), LOG_STR("digest", j->digest));
	u->running = false;
	list_remove(&j->link);
	u->waiting--;
	job_free(j);
	if (u->closing)
		supervisor_closing_step(u->s);
	else
		begin(u);
}

/* Delete the staging folder, then end. */
static void remove_staging(void *user)
{
	struct job *j = user;
	struct error err = { 0 };

	if (package_store_staging_remove(j->u->s->store, j->staging, &err) < 0)
		log_warn("staging folder not removed", LOG_ERR(&err));
}

static void on_staging_removed(void *user, int cancelled)
{
	struct job *j = user;

	(void)cancelled;
	end(j, j->err.code ? &j->err : NULL);
}

static void conclude(struct job *j, const struct error *err)
{
	if (err && err != &j->err)
		j->err = *err;
	if (!j->staging[0]) {
		end(j, j->err.code ? &j->err : NULL);
		return;
	}
	(void)work_submit(j->u->s->loop, remove_staging, on_staging_removed, j);
}

static bool fault(struct job *j, const char *point)
{
	(void)point;
	if (FAULT_POINT(point) == 0)
		return false;
	(void)error_set(&j->err, ERR_FAULT, "at '%s'", point);
	conclude(j, &j->err);
	return true;
}

/* ---- rows ---- */

static void on_registered(const struct error *err, int64_t created, void *user)
{
	struct job *j = user;

	(void)created;
	if (!err && fault(j, "stage.answer"))
		return;
	conclude(j, err);
}

static void register_package(struct job *j)
{
	struct store_fence fence = supervisor_fence(j->u->s);
	const struct store_package_register m = { .digest = span_of(j->digest),
		.manifest = span_of(j->manifest),
		.envelope = text_span(&j->content.envelope),
		.size = (int64_t)j->size,
		.key_id = j->key_id[0] ? span_of(j->key_id) : SPAN_NONE,
		.actor = j->user[0] ? span_of(j->user) : SPAN_NONE,
		.stored = true };

	if (fault(j, "stage.register"))
		return;
	store_package_register(j->u->s->o.db, &fence, &m, on_registered, j);
}

/* ---- chunks into the database ---- */

struct chunk {
	struct job *job;
	int64_t number;
	char *data;
	size_t len;
	int rc;
	struct error err;
};

static void put_more(struct job *j);

static void chunk_over(struct chunk *c, const struct error *err)
{
	struct job *j = c->job;

	if (err && j->err.code == 0)
		j->err = *err;
	mem_free(c->data);
	mem_free(c);
	j->in_flight--;
	put_more(j);
}

static void on_chunk_put(const struct error *err, void *user)
{
	chunk_over(user, err);
}

/* [pool thread] */
static void read_chunk(void *user)
{
	struct chunk *c = user;
	off_t at = (off_t)c->number * STORE_CHUNK_BYTES;

	while (c->len < STORE_CHUNK_BYTES) {
		ssize_t n = pread(c->job->fd, c->data + c->len, STORE_CHUNK_BYTES - c->len,
			at + (off_t)c->len);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			c->rc = error_set_errno(&c->err, errno, "read the package");
		if (n <= 0)
			return;
		c->len += (size_t)n;
	}
}

static void on_chunk_read(void *user, int cancelled)
{
	struct chunk *c = user;
	struct job *j = c->job;
	struct store_fence fence = supervisor_fence(j->u->s);

	(void)cancelled;
	if (c->rc < 0 || j->err.code) {
		chunk_over(c, c->rc < 0 ? &c->err : NULL);
		return;
	}
	store_package_chunk_put(j->u->s->o.db, &fence, span_of(j->digest), c->number,
		(struct span){ c->data, c->len }, on_chunk_put, c);
}

static void put_more(struct job *j)
{
	while (j->err.code == 0 && j->in_flight < CHUNKS_IN_FLIGHT && j->next_chunk < j->chunks) {
		struct chunk *c = mem_zalloc(sizeof(*c));

		c->job = j;
		c->number = j->next_chunk++;
		c->data = mem_alloc(STORE_CHUNK_BYTES);
		j->in_flight++;
		(void)work_submit(j->u->s->loop, read_chunk, on_chunk_read, c);
	}
	if (j->in_flight > 0)
		return;
	if (j->err.code)
		conclude(j, &j->err);
	else
		register_package(j);
}

static void on_known(
	const struct error *err, const struct store_package *rows, size_t n, void *user)
{
	struct job *j = user;

	if (err && err->code != ERR_NOT_FOUND) {
		conclude(j, err);
		return;
	}
	j->chunks = (int64_t)((j->size + STORE_CHUNK_BYTES - 1) / STORE_CHUNK_BYTES);
	if (!err && n == 1 && rows[0].stored)
		j->next_chunk = j->chunks;
	if (!fault(j, "stage.chunks"))
		put_more(j);
}

/* ---- the copy ---- */

static int hash_package(struct job *j)
{
	CLEANUP(mem_freep) char *data = mem_alloc(STORE_CHUNK_BYTES);
	uint8_t digest[SHA256_SIZE];
	struct sha256 hash = { 0 };
	off_t at = 0;
	ssize_t n;

	sha256_init(&hash);
	do {
		n = pread(j->fd, data, STORE_CHUNK_BYTES, at);
		if (n > 0) {
			sha256_update(&hash, data, (size_t)n);
			at += n;
		}
	} while (n > 0 || (n == -1 && errno == EINTR));
	sha256_final(&hash, digest);
	sha256_done(&hash);
	j->size = (uint64_t)at;
	if (n == -1)
		return error_set_errno(&j->err, errno, "read the package");
	if (!digest_equal(digest, j->content.digest, SHA256_SIZE))
		return error_set(&j->err, ERR_PACKAGE_CHANGED,
			"the package is not the one that was checked");
	return 0;
}

/* [pool thread] What stage said of the file is taken at its word for nothing but refusals. */
static void copy_into_store(void *user)
{
	struct job *j = user;

	if (hash_package(j) == 0)
		(void)package_store_put(j->u->s->store, j->staging, &j->content, &j->err);
}

static void on_copied(void *user, int cancelled)
{
	struct job *j = user;

	(void)cancelled;
	if (j->err.code || j->kind == KIND_RESTORE) {
		conclude(j, j->err.code ? &j->err : NULL);
		return;
	}
	store_package_get(j->u->s->o.db, NULL, span_of(j->digest), on_known, j);
}

/* ---- stage ---- */

static char *text_of(struct span s)
{
	return mem_printf("%.*s", SPAN_ARG(s));
}

/* A line each; what stage says of a package never holds a line of its own. */
static char *lines_of(struct protocol_spans list)
{
	struct text t;
	char *lines;

	text_init(&t);
	for (uint32_t i = 0; i < list.count; i++) {
		if (i)
			text_append_char(&t, '\n');
		text_append_span(&t, list.items[i]);
	}
	lines = text_take(&t);
	text_done(&t);
	return lines;
}

static int take_result(struct job *j, const struct stage_package_result *r)
{
	uint8_t digest[SHA256_SIZE];

	if (r->rc != 0) {
		(void)error_set(&j->err, error_entry(r->rc)->code, "%.*s", SPAN_ARG(r->text));
		if (r->fix.len)
			(void)error_fix(&j->err, "%.*s", SPAN_ARG(r->fix));
		return j->err.code;
	}
	if (!digest_parse(r->digest, digest))
		return error_set(&j->err, ERR_PROTOCOL, "stage gave no digest");
	if (j->kind == KIND_RESTORE && !span_is(r->digest, j->digest))
		return error_set(&j->err, ERR_PACKAGE_CHANGED,
			"what the database holds of '%s' is another package", j->digest);
	memcpy(j->content.digest, digest, sizeof(digest));
	text_append_span(&j->content.envelope, r->envelope);
	for (uint32_t i = 0; i < r->files.count; i++) {
		const struct stage_file *file = &r->files.items[i];

		if (file->sha256.len != SHA256_SIZE)
			return error_set(&j->err, ERR_PROTOCOL, "stage gave no SHA-256 of a file");
		package_store_content_add(&j->content, file->path, file->size, file->mode == 0755,
			(const uint8_t *)file->sha256.data);
	}
	mem_free(j->digest);
	mem_free(j->name);
	j->digest = text_of(r->digest);
	j->name = text_of(r->name);
	j->version = text_of(r->version);
	j->manifest = text_of(r->manifest);
	j->key_id = text_of(r->key_id);
	j->warnings = lines_of(r->warnings);
	return 0;
}

static void on_staged(
	void *user, const struct stage_package_result *result, const struct error *err)
{
	struct job *j = user;

	if (err) {
		conclude(j, err);
		return;
	}
	if (take_result(j, result) < 0) {
		conclude(j, &j->err);
		return;
	}
	if (fault(j, "stage.copy"))
		return;
	(void)work_submit(j->u->s->loop, copy_into_store, on_copied, j);
}

static void stage(struct job *j)
{
	struct supervisor *s = j->u->s;
	const struct settings *settings = s->o.settings;
	struct stage_options options = supervisor_stage_options(s);
	CLEANUP(mem_freep) char *folder = NULL;
	struct stage_package m = { .environment = span_of(settings->environment),
		.triplet = SPAN(FACTS_TRIPLET),
		.package_bytes = settings->package_bytes,
		.unpacked_bytes = settings->unpacked_bytes,
		.memory_bytes = STAGE_MEMORY,
		.cpu_seconds = STAGE_CPU_SECONDS };
	uid_t uid = options.rights.uid;

	if (fault(j, "stage.begin"))
		return;
	(void)snprintf(
		j->staging, sizeof(j->staging), "job-%llu", (unsigned long long)++j->u->count);
	if (package_store_staging_make(
		    s->store, j->staging, uid, options.rights.gid, &folder, &j->err) < 0) {
		conclude(j, &j->err);
		return;
	}
	m.folder = span_of(folder);
	trust_describe(s->trust, &m);
	stage_check_package(s->loop, &options, &m, j->fd, on_staged, j);
}

static void on_trust(void *arg, const struct error *err)
{
	struct job *j = arg;

	if (err)
		conclude(j, err);
	else
		stage(j);
}

/* ---- restore ---- */

static void next_chunk(struct job *j);

static void on_chunk(const struct error *err, struct span bytes, void *user)
{
	struct job *j = user;

	if (err && err->code == ERR_NOT_FOUND && j->next_chunk > 0) {
		trust_read(j->u->s->trust, on_trust, j);
		return;
	}
	if (err) {
		conclude(j, err);
		return;
	}
	/* Into the page cache: a MiB at a time, as it comes. */
	if (io_write_all(j->fd, bytes.data, bytes.len, &j->err) < 0) {
		conclude(j, &j->err);
		return;
	}
	j->next_chunk++;
	next_chunk(j);
}

static void next_chunk(struct job *j)
{
	store_package_chunk_get(j->u->s->o.db, span_of(j->digest), j->next_chunk, on_chunk, j);
}

static void restore(struct job *j)
{
	CLEANUP(mem_freep) char *folder = mem_printf("%s/staging", j->u->s->o.data);

	j->fd = open(folder, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	if (j->fd == -1) {
		(void)error_set_errno(&j->err, errno, "make a file in '%s'", folder);
		conclude(j, &j->err);
		return;
	}
	next_chunk(j);
}

/* ---- sweep ---- */

/* [pool thread] */
static void sweep_store(void *user)
{
	struct job *j = user;

	(void)package_store_sweep(j->u->s->store, (const uint8_t(*)[SHA256_SIZE])j->keep,
		j->keep_count, 0, &j->removed, &j->err);
}

static void on_swept(void *user, int cancelled)
{
	struct job *j = user;

	(void)cancelled;
	if (j->removed)
		log_info("packages that no row names are removed", LOG_INT("count", j->removed));
	conclude(j, j->err.code ? &j->err : NULL);
}

static void on_digests(
	const struct error *err, const struct store_package *rows, size_t n, void *user)
{
	struct job *j = user;

	if (err) {
		conclude(j, err);
		return;
	}
	j->keep = mem_realloc(j->keep, (j->keep_count + n + 1) * sizeof(*j->keep));
	for (size_t i = 0; i < n; i++)
		if (digest_parse(rows[i].digest, j->keep[j->keep_count]))
			j->keep_count++;
	if (n == STORE_ROWS_MAX && j->keep_count < DIGESTS_MAX) {
		(void)snprintf(j->last, sizeof(j->last), "%.*s", SPAN_ARG(rows[n - 1].digest));
		store_package_digests(j->u->s->o.db, span_of(j->last), on_digests, j);
		return;
	}
	(void)work_submit(j->u->s->loop, sweep_store, on_swept, j);
}

/* ---- the queue ---- */

static void on_begin(void *arg, const struct error *err)
{
	struct uploads *u = arg;
	struct job *j = LIST_FIRST(&u->jobs, struct job, link);

	(void)err;
	ASSERT(j && u->running);
	if (u->closing) {
		(void)error_set(&j->err, ERR_UNAVAIL, "the host stops");
		conclude(j, &j->err);
		return;
	}
	switch (j->kind) {
	case KIND_UPLOAD:
		trust_read(u->s->trust, on_trust, j);
		break;
	case KIND_RESTORE:
		restore(j);
		break;
	case KIND_SWEEP:
		store_package_digests(u->s->o.db, SPAN_NONE, on_digests, j);
		break;
	}
}

static void begin(struct uploads *u)
{
	if (u->running || list_empty(&u->jobs))
		return;
	u->running = true;
	supervisor_after(u->s, 0, on_begin, u);
}

static struct job *add(struct uploads *u, enum kind kind)
{
	struct job *j = mem_zalloc(sizeof(*j));

	j->u = u;
	j->kind = kind;
	j->fd = -1;
	package_store_content_init(&j->content);
	list_append(&u->jobs, &j->link);
	u->waiting++;
	return j;
}

struct uploads *uploads_new(struct supervisor *s)
{
	struct uploads *u = mem_zalloc(sizeof(*u));

	u->s = s;
	list_init(&u->jobs);
	return u;
}

bool uploads_close(struct uploads *u)
{
	u->closing = true;
	if (!u->running)
		list_for_each_safe(struct job, j, &u->jobs, link) {
			struct error err = { 0 };

			(void)error_set(&err, ERR_UNAVAIL, "the host stops");
			if (j->kind == KIND_RESTORE)
				j->done(j->arg, &err);
			list_remove(&j->link);
			job_free(j);
		}
	return list_empty(&u->jobs);
}

bool uploads_busy(const struct uploads *u)
{
	return u->running;
}

void uploads_free(struct uploads *u)
{
	mem_free(u);
}

void uploads_add(
	struct uploads *u, struct front *front, uint64_t id, const struct front_stage *m, int fd)
{
	struct job *j;

	if (u->waiting >= JOBS_MAX || u->closing) {
		const struct front_staged refusal = { .rc = ERR_AGAIN,
			.text = SPAN("too many packages wait to be checked") };

		(void)close(fd);
		front_staged(front, id, &refusal);
		return;
	}
	j = add(u, KIND_UPLOAD);
	j->fd = fd;
	j->size = m->size;
	j->front = front;
	j->front_life = front_life(front);
	j->id = id;
	j->user = text_of(m->user);
	j->name = mem_strdup("unknown");
	begin(u);
}

void uploads_restore(struct uploads *u, const char *digest, lifecycle_done_cb done, void *arg)
{
	struct job *j = add(u, KIND_RESTORE);

	j->digest = mem_strdup(digest);
	j->name = mem_strdup(digest);
	j->done = done;
	j->arg = arg;
	begin(u);
}

void uploads_sweep(struct uploads *u)
{
	struct job *j = add(u, KIND_SWEEP);

	j->name = mem_strdup("-");
	begin(u);
}
