#include "supervise/supervisor.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/settings.h"
#include "lifecycle/package_store.h"
#include "store/instances.h"
#include "store/nodes.h"
#include "supervise/key_ring.h"
#include "supervise/supervisor_priv.h"

/* The end goes in steps: no further change; fronts finish and end; plugins stop; the store's job
 * ends; the node is released. Each part calls supervisor_closing_step() when it is over. */
#define FRONT_START_MS 15000
#define FRONT_FAILURES 4 /* of each, until the start counts as failed */
#define COUNTERS_BYTES (1u << 20)
#define LEASE_RETRY_MS 500
#define RENEWALS       3  /* in the time of a lease */
#define DISK_SAMPLES   12 /* disk usage is walked each so many samples */
#define RELEASE_MS     2000
#define FETCH_STOP_MS  1000

struct delay {
	struct list link;
	uv_timer_t timer;
	struct supervisor *s;
	lifecycle_done_cb done;
	void *arg;
};

struct store_fence supervisor_fence(const struct supervisor *s)
{
	return (struct store_fence){ span_of(s->o.node), lifecycle_token(s->lifecycle) };
}

/* ---- calls that come later ---- */

static void on_delay_closed(uv_handle_t *handle)
{
	struct delay *d = CONTAINER_OF(handle, struct delay, timer);
	struct supervisor *s = d->s;

	list_remove(&d->link);
	d->done(d->arg, NULL);
	mem_free(d);
	if (s->closing)
		supervisor_closing_step(s);
}

static void on_delay(uv_timer_t *timer)
{
	uv_close((uv_handle_t *)timer, on_delay_closed);
}

void supervisor_after(struct supervisor *s, uint64_t ms, lifecycle_done_cb done, void *arg)
{
	struct delay *d = mem_zalloc(sizeof(*d));

	d->s = s;
	d->done = done;
	d->arg = arg;
	list_append(&s->delays, &d->link);
	(void)uv_timer_init(s->loop, &d->timer);
	(void)uv_timer_start(&d->timer, on_delay, s->closing ? 0 : ms, 0);
}

static void hasten_delays(struct supervisor *s)
{
	list_for_each(struct delay, d, &s->delays, link)
		if (!uv_is_closing((uv_handle_t *)&d->timer))
			(void)uv_timer_start(&d->timer, on_delay, 0, 0);
}

/* ---- the route table ---- */

struct snapshot {
	struct front_table_worker *workers;
	struct front_table_route *routes;
	struct front_table table;
};

static size_t count_routes(const struct supervisor *s)
{
	size_t n = 0;

	list_for_each(struct instance, inst, lifecycle_instances(s->lifecycle), link)
		n += inst->facts.route_count;
	return n;
}

static size_t count_instances(const struct supervisor *s)
{
	size_t n = 0;

	list_for_each(struct instance, inst, lifecycle_instances(s->lifecycle), link)
		n++;
	return n;
}

static void snapshot_init(struct snapshot *shot, struct supervisor *s)
{
	uint32_t workers = 0, routes = 0;

	shot->workers = mem_calloc(count_instances(s) + 1, sizeof(*shot->workers));
	shot->routes = mem_calloc(count_routes(s) + 1, sizeof(*shot->routes));
	list_for_each(struct instance, inst, lifecycle_instances(s->lifecycle), link) {
		if (!inst->running || !inst->installation ||
			!running_describe(inst->running, &shot->workers[workers]))
			continue;
		for (size_t i = 0; i < inst->facts.route_count && inst->routed; i++) {
			const struct facts_route *r = &inst->facts.routes[i];

			shot->routes[routes++] = (struct front_table_route){ workers, r->name,
				r->method, r->pattern, r->scope, r->deadline_ms, r->body_limit };
		}
		workers++;
	}
	shot->table.number = s->table;
	shot->table.workers.items = shot->workers;
	shot->table.workers.count = workers;
	shot->table.routes.items = shot->routes;
	shot->table.routes.count = routes;
}

static void snapshot_done(struct snapshot *shot)
{
	mem_free(shot->workers);
	mem_free(shot->routes);
}

static bool all_have(const struct supervisor *s, uint64_t number)
{
	for (size_t f = 0; f < s->front_count; f++)
		if (s->fronts[f] && front_live(s->fronts[f]) && s->acked[f] < number)
			return false;
	return true;
}

/* Called whenever a front acknowledged or ended. */
static void check_waiters(struct supervisor *s)
{
	list_for_each_safe(struct table_waiter, w, &s->waiters, link) {
		if (!all_have(s, w->number) && !s->closing)
			continue;
		list_remove(&w->link);
		/* From the loop: whoever waits may be the one that published. */
		supervisor_after(s, 0, w->done, w->arg);
		mem_free(w);
	}
}

void supervisor_forget_waiters(struct supervisor *s, const void *arg)
{
	list_for_each_safe(struct table_waiter, w, &s->waiters, link) {
		if (w->arg != arg)
			continue;
		list_remove(&w->link);
		mem_free(w);
	}
}

void supervisor_publish(struct supervisor *s, lifecycle_done_cb done, void *arg)
{
	struct snapshot shot;

	s->table++;
	snapshot_init(&shot, s);
	/* A table without what the rows name would deny that there are such paths. */
	for (size_t f = 0; f < s->front_count && s->rows_known; f++)
		if (s->fronts[f])
			front_table(s->fronts[f], &shot.table);
	snapshot_done(&shot);
	if (done) {
		struct table_waiter *w = mem_zalloc(sizeof(*w));

		w->number = s->table;
		w->done = done;
		w->arg = arg;
		list_append(&s->waiters, &w->link);
	}
	check_waiters(s);
}

/* ---- fronts ---- */

static struct list *next_running(struct supervisor *s, struct list *at)
{
	return at->next == &s->running ? NULL : at->next;
}

#define each_running(r, s)                                                                  \
	for (struct list *r##_at_ = next_running(s, &(s)->running),                         \
			 *r##_next_ = r##_at_ ? next_running(s, r##_at_) : NULL;            \
		r##_at_;                                                                    \
		r##_at_ = r##_next_, r##_next_ = r##_at_ ? next_running(s, r##_at_) : NULL) \
		for (struct running *r = running_of_link(r##_at_); r; r = NULL)

static void on_front_ready(void *user, struct front *front)
{
	struct supervisor *s = user;
	struct snapshot shot;

	s->acked[front_slot(front)] = 0;
	each_running(r, s) running_front_ready(r, front);
	if (s->rows_known) {
		snapshot_init(&shot, s);
		front_table(front, &shot.table);
		snapshot_done(&shot);
	}
	supervisor_check_ready(s);
}

static void on_front_lost(void *user, struct front *front)
{
	struct supervisor *s = user;

	each_running(r, s) running_front_lost(r, front);
	check_waiters(s);
}

/* At the start somebody waits: when no front comes up at all, that is said. Later they are started
 * again for ever. */
static void on_front_failed(void *user, struct front *front, const struct error *err)
{
	struct supervisor *s = user;

	(void)front;
	for (size_t f = 0; f < s->front_count; f++)
		if (front_live(s->fronts[f]))
			return;
	if (++s->front_failures == FRONT_FAILURES * s->front_count && !s->ready && !s->closing)
		s->o.on_failed(s->o.user, err);
}

static void on_table_ack(void *user, struct front *front, uint64_t number)
{
	struct supervisor *s = user;

	if (number > s->table)
		return;
	s->acked[front_slot(front)] = number;
	check_waiters(s);
	supervisor_check_ready(s);
}

static void on_connected(
	void *user, struct front *front, const struct front_worker_connected *connected)
{
	struct supervisor *s = user;

	each_running(r, s) running_front_connected(r, front, connected);
}

static void on_drained(void *user, struct front *front, const struct front_drained *drained)
{
	struct supervisor *s = user;

	each_running(r, s) running_front_drained(r, front, drained);
}

static void on_stage(
	void *user, struct front *front, uint64_t id, const struct front_stage *stage, int fd)
{
	struct supervisor *s = user;

	uploads_add(s->uploads, front, id, stage, fd);
}

static void on_key_ring(
	void *user, struct front *front, uint64_t id, const struct front_key_ring *message)
{
	struct supervisor *s = user;
	struct front_key_ring_result answer = { 0 };
	struct error err = { 0 };
	struct text result;

	text_init(&result);
	/* An envelope is a third longer than what it holds: a text that grows leaves copies. */
	(void)text_reserve(&result, 2 * message->data.len + 1024);
	answer.rc = key_ring_serve(
		*s->o.key_ring, message->op, message->context, message->data, &result, &err);
	answer.text = span_of(err.text);
	answer.result = answer.rc == 0 ? text_span(&result) : SPAN_NONE;
	if (answer.rc == ERR_SEALED || answer.rc == ERR_NOT_FOUND)
		log_error("a secret does not open in its place",
			LOG_SPAN("place", message->context), LOG_ERR(&err));
	front_key_ring_result(front, id, &answer);
	mem_wipe(result.data, result.cap);
	text_done(&result);
}

static void on_front_closed(void *user, struct front *front)
{
	struct supervisor *s = user;

	s->fronts[front_slot(front)] = NULL;
	s->fronts_open--;
	check_waiters(s);
	supervisor_closing_step(s);
}

static const struct front_events front_events = {
	.on_ready = on_front_ready,
	.on_lost = on_front_lost,
	.on_failed = on_front_failed,
	.on_table_ack = on_table_ack,
	.on_connected = on_connected,
	.on_drained = on_drained,
	.on_stage = on_stage,
	.on_key_ring = on_key_ring,
	.on_closed = on_front_closed,
};

/* Every setting but the URLs of the database and the proxy, which may hold passwords. */
static void collect_settings(struct supervisor *s)
{
	struct setting setting;
	char *value;

	for (size_t i = 0; settings_at(s->o.settings, i, &setting, &value); i++) {
		if (strcmp(setting.name, "database") == 0 ||
			strcmp(setting.name, "database.front") == 0 ||
			strcmp(setting.name, "fetch.proxy") == 0) {
			mem_free(value);
			continue;
		}
		s->front_settings = mem_realloc(s->front_settings,
			(s->front_setting_count + 1) * sizeof(*s->front_settings));
		s->front_settings[s->front_setting_count++] =
			(struct protocol_pair){ span_of(setting.name), span_of(value) };
	}
}

static void start_fronts(struct supervisor *s)
{
	CLEANUP(mem_freep) char *program = mem_printf("%s/mortise-front", s->o.program);

	collect_settings(s);
	s->front_count = s->o.listener_count;
	for (size_t f = 0; f < s->front_count; f++) {
		const struct front_options options = { .slot = (uint32_t)f,
			.listener = s->o.listeners[f],
			.counters = s->counters,
			.program = program,
			.rights = { .shim = s->o.shim,
				.change = s->o.root,
				.uid = s->o.service_uid,
				.gid = s->o.service_gid,
				.death_signal = SIGKILL },
			.start = &s->front_starts[f],
			.start_ms = FRONT_START_MS,
			.silence_ms = (uint32_t)s->o.settings->front_silence_ms,
			.events = &front_events,
			.user = s };

		s->front_starts[f] = (struct front_start){ .slot = (uint32_t)f,
			.environment = span_of(s->o.settings->environment),
			.node = span_of(s->o.node),
			.database = span_of(s->o.front_database),
			.settings = { s->front_settings, (uint32_t)s->front_setting_count },
			.fetch = span_of(fetch_path(s->fetch)) };
		s->fronts[f] = front_new(s->loop, &options);
		s->fronts_open++;
	}
}

/* ---- requests to other hosts ---- */

static void on_fetch_closed(void *user)
{
	struct supervisor *s = user;

	s->fetch = NULL;
	supervisor_closing_step(s);
}

static int start_fetch(struct supervisor *s, struct error *err)
{
	const struct settings *settings = s->o.settings;
	const struct fetch_options options = { .program = s->fetch_program,
		.folder = s->worker_sockets,
		.rights = { .shim = s->o.shim,
			.change = s->o.root,
			.uid = (uid_t)settings->uid_base + SUPERVISOR_UID_FETCH,
			.gid = (gid_t)settings->uid_base + SUPERVISOR_UID_FETCH,
			.death_signal = SIGKILL },
		.front_gid = s->o.service_gid,
		.start = { .transfers = (uint32_t)settings->fetch_transfers,
			.plugin_transfers = (uint32_t)settings->fetch_plugin_transfers,
			.proxy = span_of(settings->fetch_proxy),
			.no_proxy = span_of(settings->fetch_no_proxy),
			.authorities = span_of(settings->fetch_authorities) },
		.silence_ms = (uint32_t)settings->front_silence_ms,
		.on_closed = on_fetch_closed,
		.user = s };

	return fetch_open(&s->fetch, s->loop, &options, err);
}

static void lease(struct supervisor *s, bool anew);

/* ---- news of the database ---- */

static void tell_fronts(struct supervisor *s, struct span topic, struct span payload)
{
	const struct front_notify m = { topic, payload };

	for (size_t f = 0; f < s->front_count; f++)
		if (s->fronts[f])
			front_notify(s->fronts[f], &m);
}

void supervisor_notify(struct supervisor *s, struct span channel, struct span payload)
{
	bool change = span_is(channel, "mortise_changes"),
	     wish = span_is(channel, "mortise_wishes");
	uint64_t number = 0;

	if (s->closing)
		return;
	if (change && span_u64(payload, INT64_MAX, &number) &&
		lifecycle_ends(s->lifecycle, (int64_t)number))
		/* Its routes are not everywhere yet; on_change_ended() tells. */
		return;
	if (span_is(channel, "mortise_key_ring")) {
		rotation_ring(s->rotation);
		return;
	}
	tell_fronts(s, channel, payload);
	if (change || wish)
		lifecycle_wake(s->lifecycle, wish);
}

void supervisor_connected(struct supervisor *s)
{
	if (!s->closing && !s->leasing && lifecycle_token(s->lifecycle) == 0)
		lease(s, true);
}

void supervisor_look(struct supervisor *s)
{
	if (!s->closing)
		lifecycle_wake(s->lifecycle, true);
	if (!s->closing)
		rotation_ring(s->rotation);
}

/* ---- hooks of the lifecycle ---- */

static void hook_start(void *user, struct instance *inst, lifecycle_done_cb done, void *arg)
{
	(void)running_new(user, inst, done, arg);
}

static void hook_keep(void *user, struct instance *inst)
{
	(void)running_new(user, inst, NULL, NULL);
}

struct refusal {
	lifecycle_done_cb done;
	void *arg;
	struct error err;
};

static void on_refusal(void *arg, const struct error *err)
{
	struct refusal *r = arg;

	(void)err;
	r->done(r->arg, &r->err);
	mem_free(r);
}

/* done(arg, err), later. */
static void refuse(struct supervisor *s, const struct error *err, lifecycle_done_cb done, void *arg)
{
	struct refusal *r = mem_zalloc(sizeof(*r));

	r->done = done;
	r->arg = arg;
	r->err = *err;
	supervisor_after(s, 0, on_refusal, r);
}

static void hook_gate(void *user, struct instance *inst, lifecycle_done_cb done, void *arg)
{
	struct error err = inst->failure;

	if (inst->running) {
		running_gate(inst->running, done, arg);
		return;
	}
	/* It ended for good between its start and now. */
	if (err.code == 0)
		(void)error_set(&err, ERR_WORKER_DIED, "the worker ended");
	refuse(user, &err, done, arg);
}

static void hook_apply(void *user, struct instance *inst, lifecycle_done_cb done, void *arg)
{
	struct error err = { 0 };

	if (inst->running && running_apply(inst->running, false, done, arg))
		return;
	(void)error_set(&err, ERR_UNSUPPORTED, "the plugin does not run just now");
	refuse(user, &err, done, arg);
}

static void hook_revert(void *user, struct instance *inst, lifecycle_done_cb done, void *arg)
{
	if (!inst->running || !running_apply(inst->running, true, done, arg))
		supervisor_after(user, 0, done, arg);
}

static void hook_publish(void *user, lifecycle_done_cb done, void *arg)
{
	supervisor_publish(user, done, arg);
}

static void hook_drain(void *user, struct instance *inst, lifecycle_done_cb done, void *arg)
{
	if (inst->running)
		running_drain(inst->running, done, arg);
	else
		supervisor_publish(user, done, arg);
}

static void hook_stop(void *user, struct instance *inst, lifecycle_done_cb done, void *arg)
{
	if (inst->running)
		running_stop(inst->running, done, arg);
	else
		supervisor_after(user, 0, done, arg);
}

static void hook_after(void *user, uint64_t ms, lifecycle_done_cb done, void *arg)
{
	supervisor_after(user, ms, done, arg);
}

static void hook_settled(void *user)
{
	struct supervisor *s = user;

	if (!s->rows_known) {
		s->rows_known = true;
		uploads_sweep(s->uploads);
		supervisor_publish(s, NULL, NULL);
	}
	supervisor_check_ready(s);
}

static void hook_ended(void *user, int64_t number)
{
	struct supervisor *s = user;
	char payload[24];

	(void)snprintf(payload, sizeof(payload), "%lld", (long long)number);
	tell_fronts(s, SPAN("mortise_change_ended"), span_of(payload));
}

struct check {
	struct supervisor *s;
	struct instance *inst;
	bool restored;
	lifecycle_done_cb done;
	void *arg;
	struct error err;
};

static void submit_check(struct check *c);

static void on_check_restored(void *arg, const struct error *err)
{
	struct check *c = arg;

	if (err) {
		c->done(c->arg, err);
		mem_free(c);
		return;
	}
	submit_check(c);
}

/* [pool thread] */
static void check_files(void *user)
{
	struct check *c = user;
	char entry[PACKAGE_STORE_PATH_MAX + 1];

	(void)snprintf(entry, sizeof(entry), "%.*s", SPAN_ARG(c->inst->facts.entry));
	memset(&c->err, 0, sizeof(c->err));
	(void)package_store_check(c->s->store, &c->inst->facts.content, entry, &c->inst->device,
		&c->inst->inode, &c->err);
}

static void on_files_checked(void *user, int cancelled)
{
	struct check *c = user;

	(void)cancelled;
	if ((c->err.code == ERR_NOT_FOUND || c->err.code == ERR_PACKAGE_CHANGED) && !c->restored) {
		c->restored = true;
		uploads_restore(c->s->uploads, c->inst->digest, on_check_restored, c);
		return;
	}
	c->inst->checked = c->err.code == 0;
	c->done(c->arg, c->err.code ? &c->err : NULL);
	mem_free(c);
}

static void submit_check(struct check *c)
{
	(void)work_submit(c->s->loop, check_files, on_files_checked, c);
}

static void hook_verify(void *user, struct instance *inst, lifecycle_done_cb done, void *arg)
{
	struct check *c = mem_zalloc(sizeof(*c));

	c->s = user;
	c->inst = inst;
	c->done = done;
	c->arg = arg;
	submit_check(c);
}

struct configuring {
	lifecycle_text_cb done;
	void *arg;
};

static void on_config(void *user, const struct stage_config_result *result, const struct error *err)
{
	struct configuring *c = user;
	struct error why = { 0 };

	if (result && result->rc != 0) {
		(void)error_set(
			&why, error_entry(result->rc)->code, "%.*s", SPAN_ARG(result->text));
		if (result->fix.len)
			(void)error_fix(&why, "%.*s", SPAN_ARG(result->fix));
		err = &why;
	}
	c->done(c->arg, err, err ? SPAN_NONE : result->config);
	mem_free(c);
}

static void hook_configure(
	void *user, struct span manifest, struct span config, lifecycle_text_cb done, void *arg)
{
	struct supervisor *s = user;
	struct stage_options options = supervisor_stage_options(s);
	const struct stage_config m = { manifest, config };
	struct configuring *c = mem_zalloc(sizeof(*c));

	c->done = done;
	c->arg = arg;
	stage_check_config(s->loop, &options, &m, on_config, c);
}

struct cleaning {
	struct supervisor *s;
	char *folder;
	lifecycle_done_cb done;
	void *arg;
	struct error err;
};

/* [pool thread] */
static void remove_folder(void *user)
{
	struct cleaning *c = user;

	(void)io_remove_tree(AT_FDCWD, c->folder, &c->err);
}

static void on_folder_removed(void *user, int cancelled)
{
	struct cleaning *c = user;

	(void)cancelled;
	if (c->err.code)
		log_warn("folder not removed", LOG_STR("folder", c->folder), LOG_ERR(&c->err));
	if (c->done)
		c->done(c->arg, NULL);
	mem_free(c->folder);
	mem_free(c);
}

static void hook_clean(void *user, const char *installation, lifecycle_done_cb done, void *arg)
{
	struct supervisor *s = user;
	struct cleaning *c = mem_zalloc(sizeof(*c));

	c->s = s;
	c->folder = mem_printf("%s/instances/%s", s->o.data, installation);
	c->done = done;
	c->arg = arg;
	(void)work_submit(s->loop, remove_folder, on_folder_removed, c);
}

static const struct lifecycle_hooks hooks = {
	.verify = hook_verify,
	.configure = hook_configure,
	.apply = hook_apply,
	.revert = hook_revert,
	.start = hook_start,
	.keep = hook_keep,
	.gate = hook_gate,
	.publish = hook_publish,
	.drain = hook_drain,
	.stop = hook_stop,
	.clean = hook_clean,
	.after = hook_after,
	.settled = hook_settled,
	.ended = hook_ended,
};

struct stage_options supervisor_stage_options(const struct supervisor *s)
{
	struct stage_options options = {
		.program = s->stage_program,
		.rights = { .shim = s->o.shim,
			.change = s->o.root,
			.uid = (uid_t)s->o.settings->uid_base,
			.gid = (gid_t)s->o.settings->uid_base,
			.death_signal = SIGKILL },
		.timeout_ms = (uint32_t)s->o.settings->stage_timeout_ms,
	};

	return options;
}

/* ---- samples ---- */

static void on_samples(const struct error *err, int64_t number, void *user)
{
	(void)number;
	(void)user;
	if (err)
		log_debug("samples not written", LOG_ERR(err));
}

struct walk {
	struct supervisor *s;
	size_t count;
	char **folders;
	uint64_t *bytes;
};

static uint64_t walk_folder(int fd, unsigned depth)
{
	DIR *dir = fdopendir(fd);
	struct dirent *entry;
	uint64_t bytes = 0;

	while (dir && (entry = readdir(dir)) != NULL) {
		struct stat st;
		int child;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
			fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == -1)
			continue;
		bytes += (uint64_t)st.st_blocks * 512;
		if (!S_ISDIR(st.st_mode) || depth == 0)
			continue;
		child = openat(
			dirfd(dir), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (child != -1)
			bytes += walk_folder(child, depth - 1);
	}
	if (dir)
		(void)closedir(dir);
	else
		(void)close(fd);
	return bytes;
}

#define WALK_DEPTH 32

/* [pool thread] */
static void walk_folders(void *user)
{
	struct walk *w = user;

	for (size_t i = 0; i < w->count; i++) {
		int fd = open(w->folders[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		if (fd != -1)
			w->bytes[i] = walk_folder(fd, WALK_DEPTH);
	}
}

static void on_walked(void *user, int cancelled)
{
	struct walk *w = user;

	(void)cancelled;
	for (size_t i = 0; i < w->count; i++) {
		each_running(r, w->s) if (running_folder(r) &&
					  strcmp(running_folder(r), w->folders[i]) == 0)
			running_set_disk(r, w->bytes[i]);
		mem_free(w->folders[i]);
	}
	mem_free(w->folders);
	mem_free(w->bytes);
	w->s->walking = false;
	mem_free(w);
}

static void measure_disk(struct supervisor *s)
{
	struct walk *w;
	size_t n = 0;

	if (s->walking || s->samples++ % DISK_SAMPLES != 0)
		return;
	w = mem_zalloc(sizeof(*w));
	w->s = s;
	each_running(r, s) n += running_folder(r) != NULL;
	w->folders = mem_calloc(n + 1, sizeof(*w->folders));
	w->bytes = mem_calloc(n + 1, sizeof(*w->bytes));
	each_running(r, s) if (running_folder(r)) w->folders[w->count++] =
		mem_strdup(running_folder(r));
	s->walking = true;
	(void)work_submit(s->loop, walk_folders, on_walked, w);
}

static void on_sample(uv_timer_t *timer)
{
	struct supervisor *s = CONTAINER_OF(timer, struct supervisor, sample_timer);
	struct store_fence fence = supervisor_fence(s);
	CLEANUP(mem_freep)
	struct store_sample *samples = mem_calloc(STORE_SAMPLES_MAX, sizeof(*samples));
	uint64_t now = clock_ns();
	size_t n = 0;

	measure_disk(s);
	each_running(r, s)
	{
		bool valid;

		if (n == STORE_SAMPLES_MAX)
			break;
		running_sample(r, now, &samples[n], &valid);
		n += valid;
	}
	if (n && fence.token)
		store_instance_samples(s->o.db, &fence, samples, n, on_samples, s);
	if (s->metrics.len && fence.token) {
		text_append_char(&s->metrics, ']');
		store_metrics_write(s->o.db, &fence, text_span(&s->metrics), on_samples, s);
		text_clear(&s->metrics);
	}
}

/* ---- the node's lease ---- */

static void on_leased(const struct error *err, const struct store_node *rows, size_t n, void *user)
{
	struct supervisor *s = user;
	uint64_t next_ms = s->o.settings->node_lease_ms / RENEWALS;

	s->leasing = false;
	if (s->closing)
		return;
	if (err && err->code == ERR_FENCED) {
		log_warn("this node's lease was lost, taking it anew", LOG_ERR(err));
		lease(s, true);
		return;
	}
	if (err) {
		if (!s->lease_failed)
			log_warn("the node's lease is not renewed, plugins go on", LOG_ERR(err));
		s->lease_failed = true;
		next_ms = LEASE_RETRY_MS;
	} else {
		s->lease_failed = false;
		ASSERT(n == 1);
		if (rows[0].fencing_token != lifecycle_token(s->lifecycle))
			lifecycle_begin(s->lifecycle, rows[0].fencing_token);
		else
			/* Also the doorbell of last resort. */
			lifecycle_wake(s->lifecycle, false);
	}
	(void)uv_timer_start(&s->lease_timer, s->on_lease_timer, next_ms, 0);
}

static void lease(struct supervisor *s, bool anew)
{
	const struct store_node_lease m = { .node = span_of(s->o.node),
		.environment = span_of(s->o.settings->environment),
		.token = anew ? 0 : lifecycle_token(s->lifecycle),
		.ttl_ms = (unsigned)s->o.settings->node_lease_ms,
		.facts = SPAN("{\"version\":\"" MORTISE_VERSION "\"}") };

	s->leasing = true;
	store_node_lease(s->o.db, &m, on_leased, s);
}

static void on_lease_timer(uv_timer_t *timer)
{
	struct supervisor *s = CONTAINER_OF(timer, struct supervisor, lease_timer);

	if (!s->leasing)
		lease(s, false);
}

/* ---- ready ---- */

/* Folders of installations that no row knows: an uninstall was cut short. */
static void remove_stray_folders(struct supervisor *s)
{
	CLEANUP(mem_freep) char *path = mem_printf("%s/instances", s->o.data);
	DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.' && !lifecycle_knows(s->lifecycle, entry->d_name))
			hook_clean(s, entry->d_name, NULL, NULL);
	if (dir)
		(void)closedir(dir);
}

static bool first_starts_are_over(struct supervisor *s)
{
	each_running(r, s) if (!running_settled(r)) return false;
	return true;
}

static bool a_front_serves(const struct supervisor *s)
{
	for (size_t f = 0; f < s->front_count; f++)
		if (front_live(s->fronts[f]) && s->acked[f] == s->table)
			return true;
	return false;
}

void supervisor_check_ready(struct supervisor *s)
{
	if (s->ready || s->closing || !lifecycle_settled(s->lifecycle) ||
		!first_starts_are_over(s) || !a_front_serves(s))
		return;
	s->ready = true;
	remove_stray_folders(s);
	s->o.on_ready(s->o.user);
}

/* ---- the beginning and the end ---- */

static void on_trust_read(void *arg, const struct error *err)
{
	(void)arg;
	if (err)
		log_warn("trusted keys not read", LOG_ERR(err));
}

static void on_mirror_timer(uv_timer_t *timer)
{
	struct supervisor *s = CONTAINER_OF(timer, struct supervisor, mirror_timer);

	if (!trust_busy(s->trust) && !uploads_busy(s->uploads))
		trust_read(s->trust, on_trust_read, s);
	supervisor_check_ready(s);
}

#define MIRROR_MS       30000
#define MIRROR_FIRST_MS 500

/* Fronts count in it how often a key was used; they lay it out themselves. It outlives each of
 * them, so a front that dies does not reset a limit. */
static int make_counters(struct supervisor *s, struct error *err)
{
	s->counters = memfd_create("mortise-counters", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (s->counters == -1)
		return error_set_errno(err, errno, "make the fronts' counters");
	if (ftruncate(s->counters, COUNTERS_BYTES) == -1 ||
		fcntl(s->counters, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == -1)
		return error_set_errno(err, errno, "size the fronts' counters");
	return 0;
}

int supervisor_start(struct supervisor **out, struct uv_loop_s *loop,
	const struct supervisor_options *options, struct error *err)
{
	const struct lifecycle_options lifecycle = { .db = options->db,
		.node = options->node,
		.environment = options->settings->environment,
		.hooks = &hooks };
	struct lifecycle_options own = lifecycle;
	struct supervisor *s = mem_zalloc(sizeof(*s));
	int rc;

	s->loop = loop;
	s->o = *options;
	list_init(&s->delays);
	list_init(&s->running);
	list_init(&s->waiters);
	text_init(&s->metrics);
	s->fetch_program = mem_printf("%s/mortise-fetch", options->program);
	s->worker_sockets = mem_printf("%s/workers", options->run);
	rc = make_counters(s, err);
	if (rc == 0)
		rc = package_store_open(&s->store, options->data, err);
	if (rc == 0)
		rc = start_fetch(s, err);
	if (rc < 0) {
		io_closep(&s->counters);
		package_store_free(s->store);
		text_done(&s->metrics);
		mem_free(s->fetch_program);
		mem_free(s->worker_sockets);
		mem_free(s);
		return rc;
	}
	/* Sockets of workers are named by it, and fronts tell lives apart: unlike that of any
	 * earlier life of this host. */
	s->generation = (uint64_t)clock_real_us();
	s->stage_program = mem_printf("%s/mortise-stage", options->program);
	own.user = s;
	s->lifecycle = lifecycle_new(&own);
	s->uploads = uploads_new(s);
	s->trust = trust_new(s);
	s->jobs = jobs_new(s);
	s->sealer = sealer_new(s);
	s->rotation = rotation_new(s);
	s->on_lease_timer = on_lease_timer;
	(void)uv_timer_init(loop, &s->sample_timer);
	(void)uv_timer_init(loop, &s->lease_timer);
	(void)uv_timer_init(loop, &s->mirror_timer);
	(void)uv_timer_start(&s->sample_timer, on_sample, options->settings->sample_ms,
		options->settings->sample_ms);
	(void)uv_timer_start(&s->mirror_timer, on_mirror_timer, MIRROR_FIRST_MS, MIRROR_MS);
	start_fronts(s);
	*out = s;
	return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct supervisor *s = handle->data;

	if (--s->timers_open == 0)
		s->o.on_closed(s->o.user);
}

static void close_timers(struct supervisor *s)
{
	uv_timer_t *timers[] = { &s->sample_timer, &s->lease_timer, &s->mirror_timer };

	s->closed = true;
	s->timers_open = ARRAY_LENGTH(timers);
	for (size_t i = 0; i < ARRAY_LENGTH(timers); i++) {
		timers[i]->data = s;
		uv_close((uv_handle_t *)timers[i], on_timer_closed);
	}
}

static void on_released(const struct error *err, void *user)
{
	struct supervisor *s = user;

	(void)err;
	if (!s->closed)
		close_timers(s);
}

static void on_release_late(uv_timer_t *timer)
{
	on_released(NULL, CONTAINER_OF(timer, struct supervisor, lease_timer));
}

static void release_node(struct supervisor *s)
{
	struct store_fence fence = supervisor_fence(s);

	s->released = true;
	if (fence.token == 0) {
		close_timers(s);
		return;
	}
	(void)uv_timer_start(&s->lease_timer, on_release_late, RELEASE_MS, 0);
	store_node_release(s->o.db, &fence, on_released, s);
}

void supervisor_closing_step(struct supervisor *s)
{
	if (!s->closing || s->released)
		return;
	if (s->fronts_open > 0 && !s->fast)
		return;
	/* Whoever could want an answer of it is gone. */
	if (s->fetch)
		fetch_close(s->fetch, s->fast ? 0 : FETCH_STOP_MS);
	each_running(r, s) running_stop(r, NULL, NULL);
	if (s->fast)
		each_running(r, s) running_kill(r);
	if (s->fronts_open > 0 || s->fetch || !list_empty(&s->running) ||
		!uploads_close(s->uploads) || !list_empty(&s->delays) || s->walking ||
		trust_busy(s->trust) || rotation_busy(s->rotation))
		return;
	release_node(s);
}

void supervisor_close(struct supervisor *s, bool fast)
{
	uint32_t deadline_ms = fast ? 0 : (uint32_t)s->o.settings->stop_ms;

	s->fast = s->fast || fast;
	if (!s->closing) {
		s->closing = true;
		lifecycle_stop(s->lifecycle);
		jobs_close(s->jobs);
		sealer_close(s->sealer);
		(void)uv_timer_stop(&s->sample_timer);
		(void)uv_timer_stop(&s->lease_timer);
		(void)uv_timer_stop(&s->mirror_timer);
		check_waiters(s);
		hasten_delays(s);
	}
	for (size_t f = 0; f < s->front_count; f++)
		if (s->fronts[f])
			front_close(s->fronts[f], deadline_ms);
	supervisor_closing_step(s);
}

void supervisor_free(struct supervisor *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->front_setting_count; i++)
		mem_free((void *)(uintptr_t)s->front_settings[i].value.data);
	mem_free(s->front_settings);
	uploads_free(s->uploads);
	trust_free(s->trust);
	rotation_free(s->rotation);
	lifecycle_free(s->lifecycle);
	package_store_free(s->store);
	io_closep(&s->counters);
	text_done(&s->metrics);
	mem_free(s->stage_program);
	mem_free(s->fetch_program);
	mem_free(s->worker_sockets);
	mem_free(s);
}
