/* record() may come from any thread, so definitions and series stand under a lock of their own;
 * what changed leaves for the supervisor once a second, from home.
 */
#include <math.h>

#include "base/clock.h"
#include "base/mem.h"
#include "host/host_priv.h"

#define NAME_MAX_BYTES  100
#define HELP_MAX_BYTES  1000
#define VALUE_MAX_BYTES 256 /* of a label; cut there */
#define METRICS_MAX     1000
#define FLUSH_NS        CLOCK_NS_PER_SEC
/* Keeps a message below the limit of WORKER_METRICS with the longest labels. */
#define SAMPLES_A_MESSAGE 64
#define KIND_METRIC       1

struct metric {
	char *name;
	int32_t kind;
	char *labels[MORTISE_METRIC_LABELS_MAX];
	uint32_t label_count;
	uint64_t id;
};

struct series {
	const struct metric *metric;
	char *labels; /* "key=value" lines */
	double value;
	bool changed;
};

static bool name_valid(struct mortise_str name)
{
	if (!str_valid(name) || name.size == 0 || name.size > NAME_MAX_BYTES)
		return false;
	for (uint64_t i = 0; i < name.size; i++) {
		char c = name.data[i];

		if (!(c >= 'a' && c <= 'z') && (i == 0 || (!(c >= '0' && c <= '9') && c != '_')))
			return false;
	}
	return true;
}

static bool same(const struct metric *a, const struct mortise_metric_1 *b)
{
	if (a->kind != b->kind || a->label_count != b->label_count)
		return false;
	for (uint32_t i = 0; i < a->label_count; i++)
		if (!span_is(span_from(b->labels[i]), a->labels[i]))
			return false;
	return true;
}

static int32_t check_definition(const struct mortise_metric_1 *m)
{
	if (!m || !name_valid(m->name) || !str_valid(m->help) || m->help.size > HELP_MAX_BYTES)
		return MORTISE_E_INVALID;
	if (m->label_count > MORTISE_METRIC_LABELS_MAX || (m->label_count && !m->labels))
		return MORTISE_E_INVALID;
	for (uint32_t i = 0; i < m->label_count; i++)
		if (!name_valid(m->labels[i]))
			return MORTISE_E_INVALID;
	if (m->kind != MORTISE_METRIC_COUNTER && m->kind != MORTISE_METRIC_GAUGE)
		return MORTISE_E_UNSUPPORTED;
	return 0;
}

static struct metric *add_metric(struct metrics *all, const struct mortise_metric_1 *m)
{
	struct metric *metric = mem_zalloc(sizeof(*metric));

	metric->name = mem_printf("%.*s", SPAN_ARG(span_from(m->name)));
	metric->kind = m->kind;
	metric->label_count = m->label_count;
	for (uint32_t i = 0; i < m->label_count; i++)
		metric->labels[i] = mem_printf("%.*s", SPAN_ARG(span_from(m->labels[i])));
	metric->id = slots_add(&all->ids, metric, KIND_METRIC);
	(void)map_put(&all->metrics, span_from(m->name), metric);
	return metric;
}

static int32_t metrics_define(
	struct mortise_host *handle, const struct mortise_metric_1 *m, mortise_id *out)
{
	int32_t rc;
	struct host *h = host_at_home(handle, "metrics.define", STATES_HOME, &rc);
	struct metric *metric;

	if (!h)
		return rc;
	rc = check_definition(m);
	if (rc != 0 || !out)
		return rc ? rc : MORTISE_E_INVALID;
	(void)pthread_mutex_lock(&h->metrics.lock);
	metric = map_get(&h->metrics.metrics, span_from(m->name));
	if (metric && !same(metric, m))
		rc = MORTISE_E_CONFLICT;
	else if (!metric && h->metrics.metrics.count >= METRICS_MAX)
		rc = MORTISE_E_LIMIT;
	else if (!metric)
		metric = add_metric(&h->metrics, m);
	if (rc == 0)
		*out = metric->id;
	(void)pthread_mutex_unlock(&h->metrics.lock);
	return rc;
}

/* Control characters part the lines, so a value cannot hold one. */
static void append_value(struct text *out, struct mortise_str value)
{
	uint64_t size = value.size < VALUE_MAX_BYTES ? value.size : VALUE_MAX_BYTES;

	for (uint64_t i = 0; i < size; i++)
		text_append_char(out, (unsigned char)value.data[i] < ' ' ? ' ' : value.data[i]);
}

/* The series of a metric with these values, made if need be; NULL: over the limit. */
static struct series *find_series(
	struct metrics *all, const struct metric *metric, const struct mortise_str *values)
{
	struct series *series;
	struct text key;
	size_t name;

	text_init(&key);
	text_append_string(&key, metric->name);
	text_append_char(&key, '\n');
	name = key.len;
	for (uint32_t i = 0; i < metric->label_count; i++) {
		text_printf(&key, "%s%s=", i ? "\n" : "", metric->labels[i]);
		append_value(&key, values[i]);
	}
	series = map_get(&all->series, text_span(&key));
	if (!series && all->series.count < MORTISE_METRIC_SERIES_MAX) {
		series = mem_zalloc(sizeof(*series));
		series->metric = metric;
		series->labels = mem_strdup(key.data + name);
		(void)map_put(&all->series, text_span(&key), series);
	}
	text_done(&key);
	return series;
}

static int32_t record_locked(struct metrics *all, mortise_id id, const struct mortise_str *values,
	uint32_t count, double value)
{
	struct metric *metric = slots_get(&all->ids, id, KIND_METRIC);
	struct series *series;

	if (!metric)
		return MORTISE_E_STALE;
	if (count != metric->label_count || (count && !values) || !isfinite(value))
		return MORTISE_E_INVALID;
	for (uint32_t i = 0; i < count; i++)
		if (!str_valid(values[i]))
			return MORTISE_E_INVALID;
	if (metric->kind == MORTISE_METRIC_COUNTER && value < 0)
		return MORTISE_E_INVALID;
	series = find_series(all, metric, values);
	if (!series) {
		all->refused++;
		return MORTISE_E_LIMIT;
	}
	series->value = metric->kind == MORTISE_METRIC_COUNTER ? series->value + value : value;
	series->changed = true;
	return 0;
}

static int32_t metrics_record(struct mortise_host *handle, mortise_id metric,
	const struct mortise_str *values, uint32_t count, double value)
{
	int32_t rc;
	struct host *h = host_at_any(handle, &rc);

	if (!h)
		return rc;
	(void)pthread_mutex_lock(&h->metrics.lock);
	rc = record_locked(&h->metrics, metric, values, count, value);
	(void)pthread_mutex_unlock(&h->metrics.lock);
	if ((rc == 0 || rc == MORTISE_E_LIMIT) && !atomic_exchange(&h->metrics.dirty, true))
		(void)uv_async_send(&h->async);
	return rc;
}

/* Tell these; on success a counter begins again at 0. */
static bool tell(struct host *h, struct series **changed, uint32_t count)
{
	struct worker_metric samples[SAMPLES_A_MESSAGE];
	struct worker_metrics message = { .time_us = clock_real_us(),
		.samples = { samples, count } };

	for (uint32_t i = 0; i < count; i++)
		samples[i] = (struct worker_metric){
			.kind = changed[i]->metric->kind == MORTISE_METRIC_COUNTER
					? WORKER_METRIC_COUNTER
					: WORKER_METRIC_GAUGE,
			.name = span_of(changed[i]->metric->name),
			.labels = span_of(changed[i]->labels),
			.value = changed[i]->value,
		};
	if (!h->events->on_metrics(h->user, &message))
		return false;
	for (uint32_t i = 0; i < count; i++) {
		changed[i]->changed = false;
		if (changed[i]->metric->kind == MORTISE_METRIC_COUNTER)
			changed[i]->value = 0;
	}
	return true;
}

static void tell_refused(struct host *h)
{
	uint64_t refused;
	char text[24];

	(void)pthread_mutex_lock(&h->metrics.lock);
	refused = h->metrics.refused;
	h->metrics.refused = 0;
	(void)pthread_mutex_unlock(&h->metrics.lock);
	if (!refused)
		return;
	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)refused);
	host_note(h, "values over the limit of metric series were dropped", "count", text);
}

void metrics_flush(struct host *h)
{
	struct series *changed[SAMPLES_A_MESSAGE];
	uint32_t count = 0;
	bool room = true;

	atomic_store(&h->metrics.dirty, false);
	(void)pthread_mutex_lock(&h->metrics.lock);
	map_for_each(entry, &h->metrics.series) {
		struct series *series = entry->value;

		if (!series->changed || !room)
			continue;
		changed[count++] = series;
		if (count == SAMPLES_A_MESSAGE) {
			room = tell(h, changed, count);
			count = 0;
		}
	}
	if (room && count)
		room = tell(h, changed, count);
	(void)pthread_mutex_unlock(&h->metrics.lock);
	tell_refused(h);
	if (!room)
		due_set(h, &h->metrics.due, clock_ns() + FLUSH_NS);
}

static void on_due(struct due *due)
{
	metrics_flush(CONTAINER_OF(due, struct host, metrics.due));
}

void metrics_wake(struct host *h)
{
	if (atomic_load(&h->metrics.dirty) && !h->metrics.due.place)
		due_set(h, &h->metrics.due, clock_ns() + FLUSH_NS);
}

void metrics_init(struct host *h)
{
	(void)pthread_mutex_init(&h->metrics.lock, NULL);
	slots_init(&h->metrics.ids);
	map_init(&h->metrics.metrics);
	map_init(&h->metrics.series);
	h->metrics.due.fire = on_due;
}

void metrics_done(struct host *h)
{
	due_cancel(h, &h->metrics.due);
	map_for_each(entry, &h->metrics.series) {
		struct series *series = entry->value;

		mem_free(series->labels);
		mem_free(series);
	}
	map_for_each(entry, &h->metrics.metrics) {
		struct metric *metric = entry->value;

		mem_free(metric->name);
		for (uint32_t i = 0; i < metric->label_count; i++)
			mem_free(metric->labels[i]);
		mem_free(metric);
	}
	map_done(&h->metrics.series);
	map_done(&h->metrics.metrics);
	slots_done(&h->metrics.ids);
	(void)pthread_mutex_destroy(&h->metrics.lock);
}

const struct mortise_metrics_1 host_metrics_1 = { metrics_define, metrics_record };
