#include "host/host.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "host/host_priv.h"

#define POSTS_MAX       4096                  /* core.h promises it */
#define UNSENT_AGAIN_NS (5 * CLOCK_NS_PER_MS) /* a drain looks again whether all has left */
#define LINES_MAX       1024                  /* log lines of other threads on their way home */

static const unsigned state_next[HOST_STATE_COUNT] = {
	[HOST_NEW] = IN(CREATING),
	[HOST_CREATING] = IN(CREATED) | IN(DESTROYED),
	[HOST_CREATED] = IN(STARTING) | IN(STOPPING),
	[HOST_STARTING] = IN(SERVING) | IN(FAILED),
	[HOST_SERVING] = IN(DRAINING) | IN(STOPPING),
	[HOST_DRAINING] = IN(STOPPING),
	[HOST_FAILED] = IN(STOPPING),
	[HOST_STOPPING] = IN(DESTROYED),
};

void host_move(struct host *h, enum host_state to)
{
	ASSERT(state_next[h->state] & (1u << to));
	h->state = to;
}

/* ---- callbacks ---- */

static void copy_label(char *to, size_t size, const char *from)
{
	size_t len = from ? strnlen(from, size - 1) : 0;

	if (len)
		memcpy(to, from, len);
	to[len] = '\0';
}

void host_enter(struct host *h, const char *callback, const char *trace)
{
	ASSERT(!h->inside);
	h->inside = callback;
	if (!h->box)
		return;
	copy_label(h->box->callback, sizeof(h->box->callback), callback);
	copy_label(h->box->trace, sizeof(h->box->trace), trace);
	h->box->entered_ns = clock_ns();
}

struct scratch {
	struct list link;
	char data[];
};

char *host_scratch(struct host *h, size_t size)
{
	struct scratch *s = mem_alloc(sizeof(*s) + size);

	list_append(&h->scratch, &s->link);
	return s->data;
}

void host_leave(struct host *h)
{
	ASSERT(h->inside);
	h->inside = NULL;
	list_for_each_safe(struct scratch, s, &h->scratch, link) {
		list_remove(&s->link);
		mem_free(s);
	}
	if (!h->box)
		return;
	h->box->callback[0] = '\0';
	h->box->trace[0] = '\0';
	h->box->entered_ns = 0;
}

/* ---- the way home ---- */

struct post {
	struct list link;
	mortise_post_cb fn;
	void *user;
};

struct line {
	struct list link;
	struct text payload; /* an encoded worker_log */
};

static void emit(struct host *h, struct worker_log *line)
{
	line->dropped += h->lines_dropped;
	if (h->events->on_log(h->user, line))
		h->lines_dropped = 0;
	else
		h->lines_dropped++;
}

/* At home at once, behind those that wait; from elsewhere by way of the inbox. */
static void write_line(struct host *h, struct worker_log *line);

static void drain_lines(struct host *h)
{
	struct protocol_memory memory;
	struct list lines;

	list_init(&lines);
	(void)pthread_mutex_lock(&h->lock);
	while (!list_empty(&h->lines)) {
		struct line *l = LIST_FIRST(&h->lines, struct line, link);

		list_remove(&l->link);
		list_append(&lines, &l->link);
	}
	h->lines_count = 0;
	(void)pthread_mutex_unlock(&h->lock);
	if (list_empty(&lines))
		return;
	protocol_memory_init(&memory);
	list_for_each_safe(struct line, l, &lines, link) {
		struct worker_log line;

		if (decode_worker_log(&line, text_span(&l->payload), &memory, NULL) == 0)
			emit(h, &line);
		list_remove(&l->link);
		text_done(&l->payload);
		mem_free(l);
	}
	protocol_memory_done(&memory);
}

static void write_line(struct host *h, struct worker_log *line)
{
	struct line *l;

	line->time_us = clock_real_us();
	if (pthread_equal(pthread_self(), h->home)) {
		drain_lines(h);
		emit(h, line);
		return;
	}
	l = mem_zalloc(sizeof(*l));
	text_init(&l->payload);
	encode_worker_log(&l->payload, line);
	(void)pthread_mutex_lock(&h->lock);
	if (h->lines_count < LINES_MAX) {
		h->lines_count++;
		list_append(&h->lines, &l->link);
		l = NULL;
	} else {
		h->lines_dropped++;
	}
	(void)pthread_mutex_unlock(&h->lock);
	if (l) {
		text_done(&l->payload);
		mem_free(l);
	}
	(void)uv_async_send(&h->async);
}

void host_note(struct host *h, const char *message, const char *key, const char *value)
{
	const struct protocol_pair fields[] = { { span_of(key), span_of(value) },
		{ SPAN("callback"), span_of(h->inside) } };
	bool home = pthread_equal(pthread_self(), h->home);
	struct worker_log line = { .level = LOG_LEVEL_WARN,
		.source = WORKER_LOG_HOST,
		.message = span_of(message),
		.fields = { fields, home && h->inside ? 2 : 1 } };

	write_line(h, &line);
}

/* Runs those that waited when it began; what they post comes a turn later. */
static void run_posts(struct host *h)
{
	struct list posts;

	list_init(&posts);
	(void)pthread_mutex_lock(&h->lock);
	while (!list_empty(&h->posts)) {
		struct post *p = LIST_FIRST(&h->posts, struct post, link);

		list_remove(&p->link);
		list_append(&posts, &p->link);
	}
	h->posts_count = 0;
	(void)pthread_mutex_unlock(&h->lock);
	list_for_each_safe(struct post, p, &posts, link) {
		list_remove(&p->link);
		if (h->self) {
			host_enter(h, "core.post", NULL);
			p->fn(h->self, p->user);
			host_leave(h);
		}
		mem_free(p);
	}
}

static void on_async(uv_async_t *async)
{
	struct host *h = async->data;

	drain_lines(h);
	metrics_wake(h);
	/* Before create() returned there is no instance to post to; it runs once there is. */
	if (h->self)
		run_posts(h);
}

/* ---- who may call what ---- */

static void report_once(struct host *h, const char *function, int32_t code)
{
	size_t i;

	(void)pthread_mutex_lock(&h->lock);
	for (i = 0; i < ARRAY_LENGTH(h->reported) && h->reported[i].function; i++)
		if (h->reported[i].code == code && strcmp(h->reported[i].function, function) == 0)
			break;
	if (i < ARRAY_LENGTH(h->reported) && !h->reported[i].function) {
		h->reported[i].function = function;
		h->reported[i].code = code;
	} else {
		i = ARRAY_LENGTH(h->reported);
	}
	(void)pthread_mutex_unlock(&h->lock);
	if (i < ARRAY_LENGTH(h->reported))
		host_note(h,
			code == MORTISE_E_THREAD
				? "the plugin called a home function from another thread"
				: "the plugin called a function in a state that does not allow it",
			"function", function);
}

struct host *host_at_any(struct mortise_host *handle, int32_t *rc)
{
	struct host *h = (struct host *)handle;

	*rc = MORTISE_E_INVALID;
	if (!handle || h->magic != HOST_MAGIC)
		return NULL;
	*rc = MORTISE_E_STATE;
	if (h->state == HOST_DESTROYED)
		return NULL;
	*rc = 0;
	return h;
}

struct host *host_at_home(
	struct mortise_host *handle, const char *function, unsigned states, int32_t *rc)
{
	struct host *h = host_at_any(handle, rc);

	if (!h)
		return NULL;
	if (!pthread_equal(pthread_self(), h->home))
		*rc = MORTISE_E_THREAD;
	else if (!(states & (1u << h->state)) || h->stop_told)
		*rc = MORTISE_E_STATE;
	else
		return h;
	report_once(h, function, *rc);
	return NULL;
}

/* ---- core/1 ---- */

static uint64_t core_now_ns(struct mortise_host *handle)
{
	(void)handle;
	return clock_ns();
}

static enum log_level level_from(int32_t level)
{
	if (level <= MORTISE_LOG_ERROR)
		return LOG_LEVEL_ERROR;
	if (level == MORTISE_LOG_WARNING)
		return LOG_LEVEL_WARN;
	return level == MORTISE_LOG_NOTICE ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG;
}

static struct span cut(struct mortise_str s, size_t *room)
{
	struct span out = { s.data, s.data && s.size ? s.size : 0 };

	if (out.len > *room)
		out.len = *room;
	*room -= out.len;
	return out;
}

static void core_log(struct mortise_host *handle, int32_t level, struct mortise_str message,
	const struct mortise_field *fields, uint32_t count)
{
	struct protocol_pair pairs[MORTISE_LOG_FIELDS_MAX];
	size_t room = MORTISE_LOG_SIZE_MAX;
	struct worker_log line = { .source = WORKER_LOG_PLUGIN };
	struct host *h;
	int32_t rc;

	h = host_at_any(handle, &rc);
	if (!h)
		return;
	line.level = level_from(level);
	line.message = cut(message, &room);
	if (count > MORTISE_LOG_FIELDS_MAX)
		count = MORTISE_LOG_FIELDS_MAX;
	for (uint32_t i = 0; fields && i < count; i++) {
		pairs[i].key = cut(fields[i].key, &room);
		pairs[i].value = cut(fields[i].value, &room);
		line.fields.count++;
	}
	line.fields.items = pairs;
	write_line(h, &line);
}

static int32_t core_post(struct mortise_host *handle, mortise_post_cb fn, void *user)
{
	struct post *p;
	struct host *h;
	int32_t rc;

	h = host_at_any(handle, &rc);
	if (!h)
		return rc;
	if (!fn)
		return MORTISE_E_INVALID;
	p = mem_zalloc(sizeof(*p));
	p->fn = fn;
	p->user = user;
	(void)pthread_mutex_lock(&h->lock);
	/* Asked under the lock: after the last run_posts() nothing may be accepted any more. */
	if (h->state == HOST_DESTROYED || h->stop_told)
		rc = MORTISE_E_STATE;
	else if (h->posts_count >= POSTS_MAX)
		rc = MORTISE_E_AGAIN;
	if (rc == 0) {
		h->posts_count++;
		list_append(&h->posts, &p->link);
	}
	(void)pthread_mutex_unlock(&h->lock);
	if (rc != 0)
		mem_free(p);
	else
		(void)uv_async_send(&h->async);
	return rc;
}

static int32_t core_cancel(struct mortise_host *handle, mortise_id operation)
{
	int32_t rc;
	struct host *h = host_at_home(handle, "core.cancel", STATES_HOME, &rc);

	if (!h)
		return rc;
	rc = call_cancel(h, operation);
	return rc == MORTISE_E_STALE ? work_cancel_1(h, operation) : rc;
}

const struct mortise_core_1 host_core_1 = { core_now_ns, core_log, core_post, core_cancel,
	health_report };

static const void *query(struct mortise_host *handle, const char *id)
{
	static const struct {
		const char *id;
		const void *interface;
	} offered[] = {
		{ MORTISE_CORE_1, &host_core_1 },
		{ MORTISE_HTTP_1, &host_http_1 },
		{ MORTISE_TIMER_1, &host_timer_1 },
		{ MORTISE_WORK_1, &host_work_1 },
		{ MORTISE_METRICS_1, &host_metrics_1 },
		{ MORTISE_CONFIG_1, &host_config_1 },
		{ MORTISE_CALL_1, &host_call_1 },
	};
	struct host *h;
	bool named = false;
	int32_t rc;

	h = host_at_any(handle, &rc);
	if (!h || !id)
		return NULL;
	for (uint32_t i = 0; i < h->start.needs.count && !named; i++)
		named = span_is(h->start.needs.items[i], id);
	for (uint32_t i = 0; i < h->start.wants.count && !named; i++)
		named = span_is(h->start.wants.items[i], id);
	for (size_t i = 0; i < ARRAY_LENGTH(offered) && named; i++)
		if (strcmp(offered[i].id, id) == 0)
			return offered[i].interface;
	return NULL;
}

/* ---- life ---- */

static void copy_start(struct host *h, const struct worker_start *start)
{
	encode_worker_start(&h->start_bytes, start);
	if (decode_worker_start(&h->start, text_span(&h->start_bytes), &h->start_memory, NULL) < 0)
		BUG("the start message does not survive its own encoding");
	h->routes = mem_calloc(h->start.routes.count + 1, sizeof(*h->routes));
	h->bound = mem_calloc(h->start.routes.count + 1, sizeof(*h->bound));
	for (uint32_t i = 0; i < h->start.routes.count; i++) {
		struct route *route = &h->routes[i];

		route->name = h->start.routes.items[i];
		(void)snprintf(route->label, sizeof(route->label), "http.on_request %.*s",
			SPAN_ARG(route->name));
	}
	text_append_span(&h->config, h->start.config.len ? h->start.config : SPAN("{}"));
}

static void on_stop_due(struct due *due);
static void on_drain_due(struct due *due);

struct host *host_new(struct uv_loop_s *loop, const struct worker_start *start,
	struct black_box *box, const struct host_events *events, void *user)
{
	struct host *h = mem_zalloc(sizeof(*h));

	h->abi.abi = MORTISE_ABI_LATEST;
	h->abi.query = query;
	h->magic = HOST_MAGIC;
	h->loop = loop;
	h->home = pthread_self();
	h->events = events;
	h->user = user;
	h->box = box;
	h->box_free = UINT64_MAX;
	_Static_assert(BLACK_BOX_REQUESTS == 64, "box_free has a bit for each place");
	text_init(&h->start_bytes);
	text_init(&h->config);
	protocol_memory_init(&h->start_memory);
	protocol_memory_init(&h->memory);
	copy_start(h, start);
	list_init(&h->scratch);
	list_init(&h->peers);
	list_init(&h->probes);
	list_init(&h->posts);
	list_init(&h->lines);
	slots_init(&h->ledger.slots);
	h->drain_due.fire = on_drain_due;
	h->stop_due.fire = on_stop_due;
	(void)pthread_mutex_init(&h->lock, NULL);
	agenda_init(h);
	metrics_init(h);
	if (uv_async_init(loop, &h->async, on_async) != 0)
		BUG("uv_async_init refused");
	h->async.data = h;
	h->handles = 2;
	if (box) {
		memset(box, 0, sizeof(*box));
		box->magic = BLACK_BOX_MAGIC;
	}
	return h;
}

/* A plugin's refusal in its own words, with the step it refused. */
static int refused(const struct mortise_error *why, int32_t rc, const char *step, struct error *err)
{
	struct text words;
	int code;

	text_init(&words);
	text_append_utf8(&words, (struct span){ why->text, strnlen(why->text, sizeof(why->text)) });
	if (words.len == 0)
		text_printf(&words, "it gave no reason (code %d)", rc);
	code = error_set(err, ERR_PLUGIN_REFUSED, "%s: %s", step, words.data);
	text_done(&words);
	return code;
}

int host_load(struct host *h, struct error *err)
{
	struct mortise_error why = { 0 };
	struct mortise_instance *self = NULL;
	int32_t rc;

	ASSERT(h->state == HOST_NEW);
	rc = load_plugin(h, err);
	if (rc < 0)
		return rc;
	host_move(h, HOST_CREATING);
	host_enter(h, "create", NULL);
	rc = h->plugin->create(&h->abi, &self, &why);
	host_leave(h);
	if (rc == 0 && !self)
		rc = mortise_fail(&why, MORTISE_E_INTERNAL, "it gave no instance");
	if (rc != 0) {
		ledger_undo(h);
		host_move(h, HOST_DESTROYED);
		return refused(&why, rc, "create", err);
	}
	h->self = self;
	host_move(h, HOST_CREATED);
	(void)uv_async_send(&h->async);
	return 0;
}

static int check_routes(struct host *h, struct error *err)
{
	for (uint32_t i = 0; i < h->start.routes.count; i++) {
		if (!h->routes[i].bound)
			return error_set(err, ERR_ROUTE_UNBOUND,
				"start() did not bind route '%.*s' of the manifest",
				SPAN_ARG(h->routes[i].name));
		h->bound[h->bound_count++] = h->routes[i].name;
	}
	if (h->start.provides.count && !h->call_serve)
		return error_set(err, ERR_PLUGIN_REFUSED,
			"the manifest provides '%.*s', but the plugin does not offer %s",
			SPAN_ARG(h->start.provides.items[0]), MORTISE_CALL_SERVE_1);
	return 0;
}

int host_start(struct host *h, struct error *err)
{
	struct mortise_error why = { 0 };
	int32_t rc;

	host_move(h, HOST_STARTING);
	host_enter(h, "start", NULL);
	rc = h->plugin->start(h->self, &why);
	host_leave(h);
	if (rc != 0)
		rc = refused(&why, rc, "start", err);
	else
		rc = check_routes(h, err);
	host_move(h, rc == 0 ? HOST_SERVING : HOST_FAILED);
	return rc;
}

uint32_t host_routes(const struct host *h, const struct span **names)
{
	*names = h->bound;
	return h->bound_count;
}

/* ---- drain and stop ---- */

/* What is open is counted before it is ended, the rest once stop() had its chance to end it. */
#define REPORT_AT_STOP (1u << ENTRY_REQUEST | 1u << ENTRY_INCOMING)

/* Open for the plugin, still on its way to a front, or what the plugin itself waits for: a drain()
 * that saves something does it by a call. */
static bool anything_open(const struct host *h)
{
	if (h->ledger.counts[ENTRY_CALL] || h->ledger.counts[ENTRY_WORK])
		return true;
	list_for_each(struct peer, p, &h->peers, link) {
		if (p->channel && (p->requests.count || p->incoming.count))
			return true;
	}
	return false;
}

static void end_open(struct host *h, int32_t why)
{
	for (uint64_t id = slots_next(&h->ledger.slots, 0); id;
		id = slots_next(&h->ledger.slots, id)) {
		struct entry *entry = slots_get(&h->ledger.slots, id, 0);

		if (entry->kind == ENTRY_REQUEST)
			http_undo(entry, why);
		else if (entry->kind == ENTRY_INCOMING)
			incoming_undo(entry, why);
	}
}

static void tell_drained(struct host *h)
{
	h->drain_told = true;
	due_cancel(h, &h->drain_due);
	h->events->on_drained(h->user);
}

/* Answers that were given and wait for a front to read: an end of the process would lose them. */
static bool anything_unsent(const struct host *h)
{
	list_for_each(struct peer, p, &h->peers, link) {
		if (p->channel && channel_pending(p->channel) > 0)
			return true;
	}
	return false;
}

static void on_drain_due(struct due *due)
{
	struct host *h = CONTAINER_OF(due, struct host, drain_due);
	uint64_t now = clock_ns();

	if (h->state != HOST_DRAINING || h->drain_told)
		return;
	if (now < h->drain_ns && (anything_open(h) || anything_unsent(h))) {
		now += UNSENT_AGAIN_NS;
		due_set(h, &h->drain_due,
			anything_open(h) || now > h->drain_ns ? h->drain_ns : now);
		return;
	}
	end_open(h, MORTISE_E_DEADLINE);
	tell_drained(h);
}

bool host_serving(const struct host *h)
{
	return h->state == HOST_SERVING;
}

void host_drain(struct host *h, uint32_t deadline_ms)
{
	ASSERT(host_serving(h));
	host_move(h, HOST_DRAINING);
	if (h->plugin->drain) {
		host_enter(h, "drain", NULL);
		h->plugin->drain(h->self, deadline_ms);
		host_leave(h);
	}
	h->drain_ns = clock_ns() + deadline_ms * CLOCK_NS_PER_MS;
	due_set(h, &h->drain_due, anything_open(h) ? h->drain_ns : 0);
}

static void tell_stopped(struct host *h, int rc)
{
	struct worker_leftover *list = mem_calloc(h->leftover_count + 1, sizeof(*list));
	struct worker_stopped report = { .rc = rc, .leftovers = { list, h->leftover_count } };

	if (rc != 0)
		report.text = SPAN("work on a pool thread did not return in time");
	for (uint32_t i = 0; i < h->leftover_count; i++)
		list[i] = (struct worker_leftover){ h->leftovers[i].kind,
			span_of(h->leftovers[i].name), h->leftovers[i].count };
	h->events->on_stopped(h->user, &report);
	mem_free(list);
}

static void destroy_plugin(struct host *h)
{
	bool more = true;

	/* What they post in turn runs too; only then is the door shut. */
	while (more) {
		run_posts(h);
		(void)pthread_mutex_lock(&h->lock);
		more = !list_empty(&h->posts);
		if (!more)
			h->stop_told = true;
		(void)pthread_mutex_unlock(&h->lock);
	}
	host_enter(h, "destroy", NULL);
	h->plugin->destroy(h->self);
	host_leave(h);
	drain_lines(h);
	metrics_flush(h);
	h->self = NULL;
	host_move(h, HOST_DESTROYED);
}

static void on_stop_due(struct due *due)
{
	struct host *h = CONTAINER_OF(due, struct host, stop_due);

	if (h->state != HOST_STOPPING || h->stop_told)
		return;
	if (h->ledger.counts[ENTRY_WORK] == 0) {
		destroy_plugin(h);
		tell_stopped(h, 0);
	} else if (clock_ns() >= h->stop_ns) {
		(void)pthread_mutex_lock(&h->lock);
		h->stop_told = true;
		(void)pthread_mutex_unlock(&h->lock);
		tell_stopped(h, ERR_DEADLINE);
	} else {
		due_set(h, &h->stop_due, h->stop_ns);
	}
}

void host_settle(struct host *h)
{
	if (h->state == HOST_DRAINING && !h->drain_told && !anything_open(h))
		due_set(h, &h->drain_due, 0);
	if (h->state == HOST_STOPPING && !h->stop_told && h->ledger.counts[ENTRY_WORK] == 0)
		due_set(h, &h->stop_due, 0);
	host_try_close(h);
}

void host_stop(struct host *h, uint32_t deadline_ms)
{
	bool started = h->state == HOST_SERVING || h->state == HOST_DRAINING;

	ASSERT(h->state != HOST_NEW && h->state != HOST_CREATING);
	if (h->state == HOST_STOPPING || h->state == HOST_DESTROYED)
		return;
	h->stop_ns = clock_ns() + deadline_ms * CLOCK_NS_PER_MS;
	/* What a failed start leaves is not the plugin's to undo, so it is nobody's leftover. */
	if (started)
		ledger_report(h, REPORT_AT_STOP);
	end_open(h, MORTISE_E_UNAVAIL);
	due_cancel(h, &h->drain_due);
	host_move(h, HOST_STOPPING);
	if (started && h->plugin->stop) {
		host_enter(h, "stop", NULL);
		h->plugin->stop(h->self);
		host_leave(h);
	}
	if (started)
		ledger_report(h, ~REPORT_AT_STOP);
	ledger_undo(h);
	due_set(h, &h->stop_due, 0);
}

static void forget_inbox(struct host *h)
{
	list_for_each_safe(struct post, p, &h->posts, link) {
		mem_free(p);
	}
	list_for_each_safe(struct line, l, &h->lines, link) {
		text_done(&l->payload);
		mem_free(l);
	}
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct host *h = handle->data;

	if (--h->handles > 0)
		return;
	h->events->on_closed(h->user);
	h->magic = 0;
	forget_inbox(h);
	for (uint32_t i = 0; i < h->leftover_count; i++)
		mem_free(h->leftovers[i].name);
	mem_free(h->leftovers);
	probes_done(h);
	metrics_done(h);
	agenda_done(h);
	slots_done(&h->ledger.slots);
	protocol_memory_done(&h->memory);
	protocol_memory_done(&h->start_memory);
	text_done(&h->start_bytes);
	text_done(&h->config);
	mem_free(h->routes);
	mem_free(h->bound);
	(void)pthread_mutex_destroy(&h->lock);
	mem_free(h);
}

void host_try_close(struct host *h)
{
	if (!h->closing || !list_empty(&h->peers) || h->ledger.counts[ENTRY_WORK] > 0 ||
		uv_is_closing((uv_handle_t *)&h->async))
		return;
	uv_close((uv_handle_t *)&h->async, on_handle_closed);
	uv_close((uv_handle_t *)&h->agenda.timer, on_handle_closed);
}

void host_close(struct host *h)
{
	ASSERT(h->state == HOST_NEW || h->state == HOST_DESTROYED || h->stop_told);
	h->closing = true;
	(void)uv_timer_stop(&h->agenda.timer);
	peers_close(h);
	host_try_close(h);
}
