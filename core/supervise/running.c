#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
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
#include "store/jobs.h"
#include "supervise/backoff.h"
#include "supervise/health.h"
#include "supervise/plugin_log.h"
#include "supervise/supervisor_priv.h"
#include "supervise/worker.h"

/* One instance, kept running: check the files -> start a worker -> fronts connect -> go -> up; when
 * the worker ends, again, after a back-off, until the limit. In each phase a stop may come, and a
 * callback that was under way then finds `stopping`.
 */
#define RUNNING_MAGIC   0x6e6e7572u
#define RESTART_MAX_MS  30000
#define CONNECT_MS      2000 /* for fronts to connect; one that cannot is passed over */
#define GATE_RETRY_MS   300
#define LIMIT_FILES     1024
#define LIMIT_PROCESSES 256 /* threads count too */
#define UIDS            99999

enum phase {
	PHASE_CHECKING, /* files, on the pool */
	PHASE_RESTORING,
	PHASE_LOADING,
	PHASE_CONNECTING,
	PHASE_STARTING,
	PHASE_UP,
	PHASE_WAITING, /* for the next start */
	PHASE_ENDING
};

struct running {
	uint32_t magic;
	struct list link;
	struct supervisor *s;
	struct instance *inst;
	char *folder; /* DATA/instances/<installation> */
	uid_t uid;    /* its owner, and the worker's */
	struct plugin_log *log;
	struct worker *worker;
	enum phase phase;
	bool stopping;
	bool first_over; /* the first start has ended */
	bool restored;   /* once per start is enough */
	uint64_t generation;
	int64_t row_generation; /* of plugin_instances; 0: not known yet */
	bool asking_generation;
	uint64_t started_ns; /* of this worker */
	uint64_t well_ns;    /* when it last said that it is not unhealthy; 0: never */
	struct backoff backoff;
	unsigned restarts;
	uv_timer_t timer; /* of a restart, of connecting, of draining */
	uv_timer_t health_timer;
	unsigned handles;
	struct health health;
	struct text detail; /* of the last health answer */
	/* Waiting for fronts: those that have yet to answer. */
	uint64_t awaited;
	/* Fronts that hold nothing of this worker any more. Each says so once, as soon as a table
	 * calls the worker draining, which may be before anybody waits for it. */
	uint64_t let_go;
	/* What our callers wait for. */
	lifecycle_done_cb started, gated, drained, stopped, applied;
	void *started_arg, *gated_arg, *drained_arg, *stopped_arg, *applied_arg;
	bool reverting; /* what is applied was in force before */
	unsigned gate_failures;
	bool drain_acked;
	uint64_t drain_until_ns;
	/* Usage. */
	uint64_t cpu_before_ns; /* of earlier workers */
	uint64_t cpu_ns;        /* of this one, at the last sample */
	uint64_t sampled_ns;
	double cpu_percent;
	uint64_t memory_bytes;
	uint64_t disk_bytes;
	/* Of the check on the pool. */
	struct error check_error;
	int check_rc;
	struct error failure; /* why the last worker ended */
};

static void begin_start(struct running *r);
static void after_failure(struct running *r, const struct error *err, uint64_t lived_ms);
static void finish_stop(struct running *r);

static void call(lifecycle_done_cb *done, void *arg, const struct error *err)
{
	lifecycle_done_cb cb = *done;

	*done = NULL;
	if (cb)
		cb(arg, err);
}

/* ---- the instance's folder: its owner is the worker's user, for as long as it exists ---- */

static bool uid_is_taken(int folder, uid_t uid)
{
	int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy == -1 ? NULL : fdopendir(copy);
	struct dirent *entry;
	bool taken = false;

	while (dir && !taken && (entry = readdir(dir)) != NULL) {
		struct stat st;

		taken = fstatat(folder, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			st.st_uid == uid;
	}
	if (dir)
		(void)closedir(dir);
	return taken;
}

static int choose_uid(struct supervisor *s, int folder, uid_t *uid, struct error *err)
{
	/* The base itself is stage's. */
	for (uid_t n = 1; n <= UIDS; n++) {
		*uid = (uid_t)s->o.settings->uid_base + n;
		if (!uid_is_taken(folder, *uid))
			return 0;
	}
	return error_set(err, ERR_LIMIT, "no user id is left for a worker");
}

static int make_folder(struct running *r, struct error *err)
{
	CLEANUP(mem_freep) char *parent = mem_printf("%s/instances", r->s->o.data);
	CLEANUP(io_closep) int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const char *id = r->inst->installation->id;
	struct stat st;
	int rc = 0;

	mem_free(r->folder);
	r->folder = mem_printf("%s/%s", parent, id);
	if (fd == -1)
		return error_set_errno(err, errno, "open '%s'", parent);
	if (fstatat(fd, id, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		r->uid = st.st_uid;
		if (!r->s->o.root || r->uid != 0)
			return 0;
	} else if (mkdirat(fd, id, 0700) == -1) {
		return error_set_errno(err, errno, "make folder '%s'", r->folder);
	}
	r->uid = geteuid();
	if (r->s->o.root)
		rc = choose_uid(r->s, fd, &r->uid, err);
	if (rc == 0 && r->s->o.root &&
		fchownat(fd, id, r->uid, (gid_t)r->uid, AT_SYMLINK_NOFOLLOW) == -1)
		rc = error_set_errno(err, errno, "chown '%s'", r->folder);
	return rc;
}

/* ---- the worker's events ---- */

static void host_says(struct running *r, enum log_level level, const char *text)
{
	plugin_log_write(
		r->log, &(struct plugin_log_line){
				.level = level, .source = "host", .message = span_of(text) });
}

static void go(struct running *r)
{
	(void)uv_timer_stop(&r->timer);
	r->phase = PHASE_STARTING;
	worker_go(r->worker);
}

static void on_connect_deadline(uv_timer_t *timer)
{
	struct running *r = CONTAINER_OF(timer, struct running, timer);

	if (r->phase != PHASE_CONNECTING)
		return;
	log_warn("not every front connected in time, starting without",
		LOG_STR("plugin", r->inst->plugin));
	r->awaited = 0;
	go(r);
}

static void ask_front(struct running *r, struct front *front)
{
	const struct front_worker_connect m = { span_of(r->inst->installation->id), r->generation,
		span_of(worker_path(r->worker)) };

	front_connect(front, &m);
}

static void on_loaded(void *user)
{
	struct running *r = user;

	r->phase = PHASE_CONNECTING;
	r->awaited = r->let_go = 0;
	for (size_t f = 0; f < r->s->front_count; f++) {
		if (!front_live(r->s->fronts[f]))
			continue;
		r->awaited |= UINT64_C(1) << f;
		ask_front(r, r->s->fronts[f]);
	}
	if (r->awaited == 0)
		go(r);
	else
		(void)uv_timer_start(&r->timer, on_connect_deadline, CONNECT_MS, 0);
}

static void on_rolled_up(const struct error *err, int64_t number, void *user)
{
	(void)number;
	(void)user;
	if (err)
		log_debug("rollup not written", LOG_ERR(err));
}

/* A health that changed does not wait for the minute's rollup, either. */
static void on_reported(const struct error *err, int64_t number, void *user)
{
	struct supervisor *s = user;
	struct store_fence fence = supervisor_fence(s);

	(void)number;
	if (err)
		log_debug("sample not written", LOG_ERR(err));
	else if (!s->closing)
		store_installations_rollup(s->o.db, &fence, on_rolled_up, s);
}

/* Health and restarts of a new worker do not wait for the next sample. */
static void report_now(struct running *r)
{
	struct store_fence fence = supervisor_fence(r->s);
	struct store_sample sample;
	bool valid;

	if (r->row_generation == 0 || r->health.status == HEALTH_STATUS_UNKNOWN)
		return;
	running_sample(r, clock_ns(), &sample, &valid);
	if (valid)
		store_instance_samples(r->s->o.db, &fence, &sample, 1, on_reported, r->s);
}

static void on_row_generation(const struct error *err, int64_t number, void *user)
{
	struct running *r = user;

	ASSERT(r->magic == RUNNING_MAGIC);
	r->asking_generation = false;
	/* An error: the next sample asks again. */
	if (!err && r->worker) {
		r->row_generation = number;
		report_now(r);
	}
	if (r->phase == PHASE_ENDING)
		finish_stop(r);
}

static void ask_row_generation(struct running *r)
{
	struct store_fence fence = supervisor_fence(r->s);

	if (r->asking_generation || r->s->closing)
		return;
	r->asking_generation = true;
	store_instance_started(r->s->o.db, &fence, span_of(r->inst->installation->id),
		worker_pid(r->worker), on_row_generation, r);
}

static void ask_health(struct running *r)
{
	if (r->worker && r->phase == PHASE_UP && !r->stopping)
		worker_ask(r->worker, r->inst->facts.health_timeout_ms);
}

static void on_health_timer(uv_timer_t *timer)
{
	ask_health(CONTAINER_OF(timer, struct running, health_timer));
}

static void on_started(void *user)
{
	CLEANUP(mem_freep) char *started = NULL;
	struct running *r = user;
	uint32_t interval = r->inst->facts.health_interval_ms;

	r->phase = PHASE_UP;
	r->first_over = true;
	started = mem_printf("version %s started", r->inst->version);
	host_says(r, LOG_LEVEL_INFO, started);
	log_info("worker up", LOG_STR("plugin", r->inst->plugin),
		LOG_STR("version", r->inst->version), LOG_INT("pid", worker_pid(r->worker)),
		LOG_INT("generation", r->generation));
	r->row_generation = 0;
	ask_row_generation(r);
	health_init(&r->health, r->inst->facts.health_failures);
	(void)uv_timer_start(&r->health_timer, on_health_timer, 0, interval ? interval : 1);
	if (r->inst->routed)
		supervisor_publish(r->s, NULL, NULL);
	call(&r->started, r->started_arg, NULL);
	supervisor_check_ready(r->s);
}

static void gate_answer(struct running *r, enum health_status answer, struct span detail)
{
	struct error err = { 0 };

	if (answer != HEALTH_STATUS_UNHEALTHY) {
		call(&r->gated, r->gated_arg, NULL);
		return;
	}
	if (++r->gate_failures < r->inst->facts.health_failures) {
		(void)uv_timer_start(&r->health_timer, on_health_timer, GATE_RETRY_MS,
			r->inst->facts.health_interval_ms ? r->inst->facts.health_interval_ms : 1);
		return;
	}
	(void)error_set(&err, ERR_UNHEALTHY, "its health check said unhealthy %u times: %.*s",
		r->gate_failures, SPAN_ARG(detail));
	call(&r->gated, r->gated_arg, &err);
}

/* It serves, and badly: a new start is all that the host can do for it. */
static void end_unhealthy(struct running *r, struct span detail)
{
	char text[ERROR_TEXT_MAX];

	(void)snprintf(text, sizeof(text),
		"its health check said unhealthy %u times in a row: %.*s", r->health.unwell,
		SPAN_ARG(detail));
	(void)uv_timer_stop(&r->health_timer);
	worker_kill(r->worker, ERR_UNHEALTHY, text);
}

static void on_health(void *user, enum health_status status, struct span detail)
{
	struct running *r = user;

	if (r->stopping)
		return;
	if (status != HEALTH_STATUS_UNHEALTHY)
		r->well_ns = clock_ns();
	text_clear(&r->detail);
	text_append_span(&r->detail, detail);
	if (health_answer(&r->health, status)) {
		log_info("health changed", LOG_STR("plugin", r->inst->plugin),
			LOG_STR("health", health_status_name(r->health.status)));
		report_now(r);
	}
	if (r->gated)
		gate_answer(r, status, detail);
	else if (health_is_lost(&r->health) && !r->inst->draining)
		end_unhealthy(r, detail);
}

static void on_configured(void *user, const struct error *err)
{
	struct running *r = user;

	if (err && r->reverting) {
		/* Between two configurations it is of no use. */
		worker_kill(r->worker, ERR_PLUGIN_REFUSED,
			"it did not take back the configuration that it had");
		err = NULL;
	}
	r->reverting = false;
	call(&r->applied, r->applied_arg, err);
}

static void append_metric(struct supervisor *s, const struct running *r, int64_t time_us,
	const struct worker_metric *m)
{
	static const char *const types[WORKER_METRIC_COUNT] = {
		[WORKER_METRIC_COUNTER] = "counter",
		[WORKER_METRIC_GAUGE] = "gauge",
	};
	struct span labels = m->labels, line, key;
	struct text name;
	char time[CLOCK_TEXT_SIZE];
	bool first = true;

	clock_text(time_us, time);
	text_init(&name);
	text_append_utf8(&name, m->name);
	text_append_string(&s->metrics, s->metrics.len ? ",{\"time\":\"" : "[{\"time\":\"");
	text_printf(&s->metrics,
		"%s\",\"type\":\"%s\",\"installation_id\":\"%s\",\"value\":%.17g,"
		"\"name\":",
		time, types[m->kind], r->inst->installation->id, m->value);
	text_append_json(&s->metrics, text_span(&name));
	text_append_string(&s->metrics, ",\"labels\":{");
	while (labels.len && span_split(&labels, '\n', &line)) {
		if (!span_split(&line, '=', &key) || !line.data || key.len == 0)
			continue;
		if (!first)
			text_append_char(&s->metrics, ',');
		first = false;
		text_clear(&name);
		text_append_utf8(&name, key);
		text_append_json(&s->metrics, text_span(&name));
		text_append_char(&s->metrics, ':');
		text_clear(&name);
		text_append_utf8(&name, line);
		text_append_json(&s->metrics, text_span(&name));
	}
	text_append_string(&s->metrics, "}}");
	text_done(&name);
}

#define METRICS_PENDING_MAX (512u << 10) /* what does not fit until the next sample is lost */
#define METRIC_NAME_MAX     100

static void on_metrics(void *user, const struct worker_metrics *metrics)
{
	struct running *r = user;
	int64_t now_us = clock_real_us();

	for (uint32_t i = 0; i < metrics->samples.count; i++) {
		const struct worker_metric *m = &metrics->samples.items[i];

		if (r->s->metrics.len > METRICS_PENDING_MAX)
			return;
		if (m->kind >= WORKER_METRIC_COUNT || !isfinite(m->value) || m->name.len == 0 ||
			m->name.len > METRIC_NAME_MAX)
			continue;
		append_metric(r->s, r, now_us, m);
	}
}

/* ---- the end of a worker ---- */

static void on_termination_written(const struct error *err, int64_t number, void *user)
{
	(void)number;
	(void)user;
	if (err)
		log_warn("termination not recorded", LOG_ERR(err));
}

static const char *kind_of(const struct worker_end *end)
{
	if (end->rc == ERR_LIMIT)
		return "limit";
	if (end->rc == ERR_WORKER_STALLED)
		return "stall";
	if (end->rc == ERR_UNHEALTHY)
		return "health";
	if (end->exit.signal && end->rc == ERR_WORKER_DIED)
		return "crash";
	if (!end->started)
		return "start";
	return end->exit.signal ? "crash" : "exit";
}

static void write_termination(struct running *r, const struct worker_end *end)
{
	struct store_fence fence = supervisor_fence(r->s);
	struct text ids;
	struct store_termination record = { .installation_id = span_of(r->inst->installation->id),
		.generation = r->row_generation,
		.version = span_of(r->inst->version),
		.digest = span_of(r->inst->digest),
		.kind = span_of(kind_of(end)),
		.signal = end->exit.signal,
		.exit_status = end->exit.code,
		.reason = span_of(end->text),
		.cpu_ns = (int64_t)end->exit.cpu_ns,
		.memory_bytes = (int64_t)end->exit.max_rss_bytes };

	text_init(&ids);
	text_append_char(&ids, '[');
	if (end->box_valid) {
		record.callback = span_of(end->box->callback);
		for (size_t i = 0; i < BLACK_BOX_REQUESTS; i++) {
			if (!end->box->requests[i][0])
				continue;
			if (ids.len > 1)
				text_append_char(&ids, ',');
			text_append_json(&ids, span_of(end->box->requests[i]));
		}
	}
	text_append_char(&ids, ']');
	record.request_ids = text_span(&ids);
	store_termination_write(r->s->o.db, &fence, &record, on_termination_written, r->s);
	text_done(&ids);
}

/* How long it was of use: the time in which it was only unhealthy is no quiet one, or a plugin with
 * a long interval between its checks would be started again for ever. */
static uint64_t lived_ms(const struct running *r, const struct worker_end *end)
{
	uint64_t until_ns = end->rc == ERR_UNHEALTHY ? r->well_ns : clock_ns();

	return until_ns > r->started_ns ? (until_ns - r->started_ns) / CLOCK_NS_PER_MS : 0;
}

static void on_end(void *user, const struct worker_end *end)
{
	struct running *r = user;

	ASSERT(r->magic == RUNNING_MAGIC);
	r->worker = NULL;
	r->cpu_before_ns += end->exit.cpu_ns;
	r->cpu_ns = 0;
	r->memory_bytes = 0;
	r->cpu_percent = 0;
	(void)uv_timer_stop(&r->health_timer);
	if (end->rc != 0 && !(r->stopping && r->s->fast)) {
		host_says(r, LOG_LEVEL_ERROR, end->text);
		log_warn("worker ended", LOG_STR("plugin", r->inst->plugin),
			LOG_INT("generation", r->generation), LOG_STR("why", end->text));
		write_termination(r, end);
	}
	if (r->stopping) {
		finish_stop(r);
		return;
	}
	if (r->inst->draining) {
		/* It was leaving anyway: nothing to wait for, and no successor. */
		(void)uv_timer_stop(&r->timer);
		r->phase = PHASE_WAITING;
		call(&r->drained, r->drained_arg, NULL);
		return;
	}
	(void)error_set(&r->failure, end->rc ? end->rc : ERR_WORKER_DIED, "%s",
		end->rc ? end->text : "the worker ended by itself");
	/* Whoever waits for a worker's word has its end for an answer. */
	r->phase = PHASE_WAITING;
	call(&r->applied, r->applied_arg, r->reverting ? NULL : &r->failure);
	r->reverting = false;
	call(&r->gated, r->gated_arg, &r->failure);
	if (r->stopping)
		return;
	after_failure(r, &r->failure, lived_ms(r, end));
}

static void on_worker_drained(void *user)
{
	struct running *r = user;

	(void)uv_timer_stop(&r->timer);
	call(&r->drained, r->drained_arg, NULL);
}

static const struct worker_events worker_events = {
	.on_loaded = on_loaded,
	.on_started = on_started,
	.on_health = on_health,
	.on_configured = on_configured,
	.on_drained = on_worker_drained,
	.on_metrics = on_metrics,
	.on_end = on_end,
};

/* ---- the start of a worker ---- */

static void describe_start(
	struct running *r, struct worker_start *m, struct span *routes, const char *entry)
{
	const struct facts *facts = &r->inst->facts;

	for (size_t i = 0; i < facts->route_count; i++)
		routes[i] = facts->routes[i].name;
	*m = (struct worker_start){
		.installation = span_of(r->inst->installation->id),
		.generation = r->generation,
		.plugin = span_of(r->inst->plugin),
		.version = span_of(r->inst->version),
		.folder = span_of(r->folder),
		.entry = span_of(entry),
		.device = r->inst->device,
		.inode = r->inst->inode,
		.needs = { facts->needs.items, (uint32_t)facts->needs.count },
		.wants = { facts->wants.items, (uint32_t)facts->wants.count },
		.config = span_of(r->inst->config),
		.routes = { routes, (uint32_t)facts->route_count },
		.provides = { facts->provides.items, (uint32_t)facts->provides.count },
		.drop_rights = r->s->o.root,
		.uid = r->uid,
		.gid = r->uid,
		.limit_files = LIMIT_FILES,
		.limit_processes = r->s->o.root ? LIMIT_PROCESSES : 0,
		.limit_file_bytes = facts->disk_bytes,
	};
}

static int begin_worker(struct running *r, struct error *err)
{
	struct supervisor *s = r->s;
	CLEANUP(mem_freep) char *program = mem_printf("%s/mortise-worker", s->o.program);
	CLEANUP(mem_freep) char *folder = mem_printf("%s/workers", s->o.run);
	CLEANUP(mem_freep) char *name = mem_printf("%.*s", SPAN_ARG(r->inst->facts.entry));
	CLEANUP(mem_freep)
	char *entry = package_store_path(s->store, r->inst->facts.content.digest, name);
	CLEANUP(mem_freep)
	struct span *routes = mem_calloc(r->inst->facts.route_count + 1, sizeof(*routes));
	struct worker_start start;
	const struct worker_options options = { .program = program,
		.folder = folder,
		.root = s->o.root,
		.front_gid = s->o.service_gid,
		.start = &start,
		.log = r->log,
		.start_ms = (uint32_t)s->o.settings->worker_start_ms,
		.stall_ms = (uint32_t)s->o.settings->worker_stall_ms,
		.events = &worker_events,
		.user = r };
	int rc = make_folder(r, err);

	if (rc < 0)
		return rc;
	r->generation = ++s->generation;
	describe_start(r, &start, routes, entry);
	r->started_ns = clock_ns();
	r->well_ns = 0;
	return worker_begin(&r->worker, s->loop, &options, err);
}

static void load(struct running *r)
{
	struct error err = { 0 };

	r->phase = PHASE_LOADING;
	r->inst->checked = false;
	if (begin_worker(r, &err) < 0)
		after_failure(r, &err, 0);
}

static void on_restored(void *arg, const struct error *err)
{
	struct running *r = arg;

	ASSERT(r->magic == RUNNING_MAGIC);
	if (r->stopping) {
		finish_stop(r);
		return;
	}
	if (err)
		after_failure(r, err, 0);
	else
		begin_start(r);
}

/* [pool thread] The instance is not touched by the loop while this runs. */
static void check_files(void *user)
{
	struct running *r = user;
	char entry[PACKAGE_STORE_PATH_MAX + 1];

	(void)snprintf(entry, sizeof(entry), "%.*s", SPAN_ARG(r->inst->facts.entry));
	memset(&r->check_error, 0, sizeof(r->check_error));
	r->check_rc = package_store_check(r->s->store, &r->inst->facts.content, entry,
		&r->inst->device, &r->inst->inode, &r->check_error);
}

static void on_files_checked(void *user, int cancelled)
{
	struct running *r = user;

	(void)cancelled;
	ASSERT(r->magic == RUNNING_MAGIC);
	if (r->stopping) {
		finish_stop(r);
	} else if (r->check_rc == 0) {
		load(r);
	} else if ((r->check_rc == ERR_NOT_FOUND || r->check_rc == ERR_PACKAGE_CHANGED) &&
		   !r->restored) {
		log_error("package in the store is not whole, bringing it back",
			LOG_STR("plugin", r->inst->plugin), LOG_ERR(&r->check_error));
		r->restored = true;
		r->phase = PHASE_RESTORING;
		uploads_restore(r->s->uploads, r->inst->digest, on_restored, r);
	} else {
		after_failure(r, &r->check_error, 0);
	}
}

static void begin_start(struct running *r)
{
	if (r->inst->checked) {
		load(r);
		return;
	}
	r->phase = PHASE_CHECKING;
	(void)work_submit(r->s->loop, check_files, on_files_checked, r);
}

static void on_restart(uv_timer_t *timer)
{
	struct running *r = CONTAINER_OF(timer, struct running, timer);

	if (r->phase != PHASE_WAITING)
		return;
	r->restored = false;
	begin_start(r);
}

/* ---- the end ---- */

static void on_handle_closed(uv_handle_t *handle)
{
	struct running *r = handle->data;
	struct supervisor *s = r->s;
	lifecycle_done_cb stopped = r->stopped, started = r->started, gated = r->gated,
			  drained = r->drained, applied = r->applied;
	struct instance *inst = r->inst;
	struct error failure = r->failure;
	void *stopped_arg = r->stopped_arg, *started_arg = r->started_arg,
	     *gated_arg = r->gated_arg, *drained_arg = r->drained_arg,
	     *applied_arg = r->applied_arg;
	bool gave_up = !r->stopping;

	ASSERT(r->magic == RUNNING_MAGIC);
	if (--r->handles > 0)
		return;
	r->magic = 0;
	list_remove(&r->link);
	supervisor_forget_waiters(s, r);
	inst->running = NULL;
	plugin_log_close(r->log);
	text_done(&r->detail);
	mem_free(r->folder);
	mem_free(r);
	if (!s->closing)
		supervisor_publish(s, NULL, NULL);
	if (failure.code == 0)
		(void)error_set(&failure, ERR_CANCELLED, "it was stopped");
	if (applied)
		applied(applied_arg, &failure);
	if (started)
		started(started_arg, &failure);
	else if (gated)
		gated(gated_arg, &failure);
	else if (drained)
		drained(drained_arg, NULL);
	else if (gave_up)
		lifecycle_gave_up(s->lifecycle, inst, &failure);
	if (stopped)
		stopped(stopped_arg, NULL);
	supervisor_check_ready(s);
	if (s->closing)
		supervisor_closing_step(s);
}

static void finish_stop(struct running *r)
{
	ASSERT(!r->worker);
	r->phase = PHASE_ENDING;
	/* The answer would come to nobody. */
	if (r->asking_generation || uv_is_closing((uv_handle_t *)&r->timer))
		return;
	r->handles = 2;
	r->timer.data = r;
	r->health_timer.data = r;
	uv_close((uv_handle_t *)&r->timer, on_handle_closed);
	uv_close((uv_handle_t *)&r->health_timer, on_handle_closed);
}

static void after_failure(struct running *r, const struct error *err, uint64_t lived_ms)
{
	uint64_t wait_ms = r->started ? BACKOFF_GIVE_UP : backoff_next(&r->backoff, lived_ms);

	if (err != &r->failure)
		r->failure = *err;
	r->first_over = true;
	if (wait_ms == BACKOFF_GIVE_UP || r->s->closing) {
		finish_stop(r);
		return;
	}
	r->restarts++;
	r->phase = PHASE_WAITING;
	log_info("worker starts again", LOG_STR("plugin", r->inst->plugin),
		LOG_INT("restarts", r->restarts), LOG_INT("wait_ms", wait_ms), LOG_ERR(err));
	(void)uv_timer_start(&r->timer, on_restart, wait_ms, 0);
	supervisor_check_ready(r->s);
}

/* ---- for the supervisor ---- */

static void on_begin(uv_timer_t *timer)
{
	begin_start(CONTAINER_OF(timer, struct running, timer));
}

struct running *running_new(
	struct supervisor *s, struct instance *inst, lifecycle_done_cb started, void *arg)
{
	const struct settings *settings = s->o.settings;
	struct running *r = mem_zalloc(sizeof(*r));

	r->magic = RUNNING_MAGIC;
	r->s = s;
	r->inst = inst;
	r->started = started;
	r->started_arg = arg;
	r->log = plugin_log_start(s->loop, s->o.logs_fd, inst->plugin, settings->log_bytes);
	text_init(&r->detail);
	backoff_init(&r->backoff, settings->worker_restart_window_ms, RESTART_MAX_MS,
		(unsigned)settings->worker_restarts);
	health_init(&r->health, inst->facts.health_failures);
	(void)uv_timer_init(s->loop, &r->timer);
	(void)uv_timer_init(s->loop, &r->health_timer);
	list_append(&s->running, &r->link);
	inst->running = r;
	(void)uv_timer_start(&r->timer, on_begin, 0, 0);
	return r;
}

struct running *running_of_link(struct list *link)
{
	return LIST_ENTRY(link, struct running, link);
}

bool running_settled(const struct running *r)
{
	return r->first_over;
}

const char *running_folder(const struct running *r)
{
	return r->folder;
}

bool running_describe(const struct running *r, struct front_table_worker *out)
{
	const struct instance *inst = r->inst;
	bool up = r->phase == PHASE_UP && r->worker;

	/* What is installed keeps its routes while its worker starts or waits to: fronts find no
	 * worker of generation 0 and say so, instead of denying that there is such a path. */
	if (!inst->routed && !(up && inst->draining))
		return false;
	*out = (struct front_table_worker){
		.installation = span_of(inst->installation->id),
		.generation = up ? r->generation : 0,
		.plugin = span_of(inst->plugin),
		.version = span_of(inst->version),
		.mount = inst->facts.mount,
		.permissions = span_of(inst->permissions),
		.provides = span_of(inst->provides),
		.draining = up && inst->draining,
	};
	return true;
}

void running_gate(struct running *r, lifecycle_done_cb done, void *arg)
{
	uint32_t interval = r->inst->facts.health_interval_ms;

	r->gated = done;
	r->gated_arg = arg;
	r->gate_failures = 0;
	/* A worker that is being restarted is asked once it is up. */
	if (r->phase == PHASE_UP)
		(void)uv_timer_start(&r->health_timer, on_health_timer, 0, interval ? interval : 1);
}

bool running_apply(struct running *r, bool revert, lifecycle_done_cb done, void *arg)
{
	ASSERT(!r->applied);
	if (!r->worker || r->phase != PHASE_UP) {
		/* One that is just starting was told the configuration that shall not be. */
		if (revert && r->worker)
			worker_kill(r->worker, ERR_CANCELLED, "its configuration is taken back");
		return false;
	}
	r->applied = done;
	r->applied_arg = arg;
	r->reverting = revert;
	worker_configure(r->worker, span_of(r->inst->config));
	return true;
}

static uint32_t drain_left_ms(const struct running *r)
{
	uint64_t now = clock_ns();

	return now < r->drain_until_ns ? (uint32_t)((r->drain_until_ns - now) / CLOCK_NS_PER_MS) + 1
				       : 1;
}

/* Fronts have nothing in flight, or no more time: now the plugin's own work. */
static void drain_worker(struct running *r)
{
	r->awaited = 0;
	if (r->worker && r->phase == PHASE_UP)
		worker_drain(r->worker, drain_left_ms(r));
	else
		call(&r->drained, r->drained_arg, NULL);
}

static void check_drained(struct running *r)
{
	if (r->drained && r->drain_acked && r->awaited == 0)
		drain_worker(r);
}

#define DRAIN_PATIENCE_MS 500 /* behind the deadline that the worker was given */

static void on_drain_deadline(uv_timer_t *timer)
{
	struct running *r = CONTAINER_OF(timer, struct running, timer);

	if (!r->drained)
		return;
	log_warn("drain deadline passed, going on", LOG_STR("plugin", r->inst->plugin));
	call(&r->drained, r->drained_arg, NULL);
}

static void on_drain_published(void *arg, const struct error *err)
{
	struct running *r = arg;

	(void)err;
	ASSERT(r->magic == RUNNING_MAGIC);
	r->drain_acked = true;
	check_drained(r);
}

void running_drain(struct running *r, lifecycle_done_cb done, void *arg)
{
	uint32_t deadline_ms = (uint32_t)r->s->o.settings->worker_drain_ms;

	r->drained = done;
	r->drained_arg = arg;
	r->drain_acked = false;
	r->drain_until_ns = clock_ns() + deadline_ms * CLOCK_NS_PER_MS;
	r->awaited = 0;
	/* What is not up holds nothing, and its timer is that of a start. */
	if (r->phase == PHASE_UP) {
		for (size_t f = 0; f < r->s->front_count; f++)
			if (front_live(r->s->fronts[f]))
				r->awaited |= UINT64_C(1) << f;
		r->awaited &= ~r->let_go;
		(void)uv_timer_start(
			&r->timer, on_drain_deadline, deadline_ms + DRAIN_PATIENCE_MS, 0);
	}
	supervisor_publish(r->s, on_drain_published, r);
}

void running_stop(struct running *r, lifecycle_done_cb done, void *arg)
{

	ASSERT(r->magic == RUNNING_MAGIC);
	if (done) {
		r->stopped = done;
		r->stopped_arg = arg;
	}
	if (r->stopping)
		return;
	r->stopping = true;
	r->inst->routed = false;
	if (r->inst->draining) {
		/* Fronts let go of it before it ends, and do not call it lost. */
		r->inst->draining = false;
		supervisor_publish(r->s, NULL, NULL);
	}
	(void)uv_timer_stop(&r->timer);
	(void)uv_timer_stop(&r->health_timer);
	if (r->worker)
		worker_stop(r->worker, (uint32_t)r->s->o.settings->worker_drain_ms);
	else if (r->phase != PHASE_CHECKING && r->phase != PHASE_RESTORING)
		finish_stop(r);
}

void running_kill(struct running *r)
{
	if (r->worker)
		worker_kill(r->worker, ERR_CANCELLED, "the host stops at once");
}

void running_sample(struct running *r, uint64_t now_ns, struct store_sample *out, bool *valid)
{
	uint64_t cpu_ns, memory_bytes, limit = r->inst->facts.memory_bytes;

	*valid = false;
	if (!r->worker || r->phase != PHASE_UP || !worker_usage(r->worker, &cpu_ns, &memory_bytes))
		return;
	if (r->sampled_ns && now_ns > r->sampled_ns && cpu_ns >= r->cpu_ns && r->cpu_ns)
		r->cpu_percent =
			100.0 * (double)(cpu_ns - r->cpu_ns) / (double)(now_ns - r->sampled_ns);
	r->cpu_ns = cpu_ns;
	r->sampled_ns = now_ns;
	r->memory_bytes = memory_bytes;
	if (limit && memory_bytes > limit) {
		char text[96];

		(void)snprintf(text, sizeof(text), "memory of %llu bytes is over its limit of %llu",
			(unsigned long long)memory_bytes, (unsigned long long)limit);
		worker_kill(r->worker, ERR_LIMIT, text);
	}
	if (r->row_generation == 0) {
		ask_row_generation(r);
		return;
	}
	*out = (struct store_sample){
		.installation_id = span_of(r->inst->installation->id),
		.generation = r->row_generation,
		.health = span_of(health_status_name(r->health.status)),
		.health_detail = r->detail.len ? text_span(&r->detail) : SPAN_NONE,
		.cpu_ns = (int64_t)(r->cpu_before_ns + cpu_ns),
		.cpu_percent = r->cpu_percent,
		.memory_bytes = (int64_t)memory_bytes,
		.disk_bytes = (int64_t)(r->disk_bytes +
					package_store_content_size(&r->inst->facts.content)),
		.restarts = r->restarts,
	};
	*valid = true;
}

void running_set_disk(struct running *r, uint64_t bytes)
{
	r->disk_bytes = bytes;
}

void running_front_ready(struct running *r, struct front *front)
{
	/* One that comes while others connect is asked, and not waited for. */
	if (r->worker && r->phase >= PHASE_CONNECTING && r->phase <= PHASE_UP)
		ask_front(r, front);
}

static void front_over(struct running *r, const struct front *front)
{
	r->awaited &= ~(UINT64_C(1) << front_slot(front));
	if (r->awaited)
		return;
	if (r->phase == PHASE_CONNECTING && !r->stopping)
		go(r);
	else
		check_drained(r);
}

void running_front_lost(struct running *r, struct front *front)
{
	r->let_go &= ~(UINT64_C(1) << front_slot(front));
	if (r->awaited & (UINT64_C(1) << front_slot(front)))
		front_over(r, front);
}

static bool is_ours(const struct running *r, struct span installation, uint64_t generation)
{
	return r->worker && generation == r->generation &&
	       span_is(installation, r->inst->installation->id);
}

void running_front_connected(
	struct running *r, struct front *front, const struct front_worker_connected *connected)
{
	if (!is_ours(r, connected->installation, connected->generation))
		return;
	if (connected->rc != 0)
		log_warn("front could not connect to a worker, going on without",
			LOG_INT("slot", front_slot(front)), LOG_STR("plugin", r->inst->plugin),
			LOG_SPAN("why", connected->text));
	if (r->phase == PHASE_CONNECTING)
		front_over(r, front);
}

void running_front_drained(
	struct running *r, struct front *front, const struct front_drained *drained)
{
	if (!is_ours(r, drained->installation, drained->generation))
		return;
	r->let_go |= UINT64_C(1) << front_slot(front);
	if (r->drained)
		front_over(r, front);
}
