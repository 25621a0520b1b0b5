/* /v1/changes: what was done, by whom, and how far it is
 *
 * A change can be watched: as one answer that waits (?wait=30s) or as a stream of events, one for
 * each new form of it. The database's NOTIFY says when to look; a slow tick looks as well, since a
 * NOTIFY may be missed. The id of an event is a digest of its data, so a client that comes back
 * with Last-Event-ID gets the present form only if it differs.
 *
 * Who watches learns that a change is done when what it did can be asked for: a change is done in
 * the database at its commit, and its routes are everywhere a moment later, of which the
 * supervisor sends news. They may not come (another node's change), so they are waited for a
 * little while only. */
#include <stdio.h>
#include <stdlib.h>

#include "api/rest_changes_priv.h"
#include "api/rest_priv.h"
#include "base/clock.h"
#include "codec/digest.h"
#include "http/server.h"

#define TICK_MS      1000u
#define HEARTBEAT_NS (15 * CLOCK_NS_PER_SEC)
#define WAIT_MAX_S   60u
#define ID_HEX       16u
#define NEWS_NS      (2 * CLOCK_NS_PER_SEC)

struct watch {
	struct list link; /* in api->watches */
	struct rest_call *call;
	int64_t number;
	bool events; /* a stream; else one answer that waits */
	bool looking;
	bool again;
	uint64_t until_ns; /* of a wait */
	uint64_t beat_ns;
	uint64_t done_ns; /* it was first seen done; 0: not yet */
	uint64_t timer;
	char last[ID_HEX + 1]; /* id of the last form that was sent */
};

/* "2026-11-23T21:36:00.123456+00:00", as jsonb has times. */
static bool read_time(const json_t *value, int64_t *us)
{
	const char *text = json_string_value(value);
	size_t len = text ? strlen(text) : 0;
	char utc[48];
	int hours, minutes;
	char sign;

	if (len < 7 || len >= sizeof(utc) ||
		sscanf(text + len - 6, "%c%2d:%2d", &sign, &hours, &minutes) != 3 ||
		(sign != '+' && sign != '-'))
		return value && clock_parse(span_of(text), us);
	(void)snprintf(utc, sizeof(utc), "%.*sZ", (int)(len - 6), text);
	if (!clock_parse(span_of(utc), us))
		return false;
	*us += (sign == '-' ? 1 : -1) * (int64_t)(hours * 60 + minutes) * 60 * 1000000;
	return true;
}

static json_t *phases_of(struct span text)
{
	json_t *phases = rest_raw(text), *phase;
	size_t i;

	json_array_foreach(phases, i, phase)
	{
		int64_t begun, ended;

		if (read_time(json_object_get(phase, "started_at"), &begun) &&
			read_time(json_object_get(phase, "ended_at"), &ended))
			(void)json_object_set_new(
				phase, "seconds", json_real((double)(ended - begun) / 1e6));
	}
	return phases;
}

json_t *rest_change_json(const struct store_change *row)
{
	json_t *change = json_object();
	const struct {
		const char *name;
		json_t *value;
	} members[] = {
		{ "number", json_integer(row->number) },
		{ "action", rest_text(row->action) },
		{ "plugin", rest_text(row->plugin_name) },
		{ "environment", rest_text(row->environment) },
		{ "state", rest_text(row->state) },
		{ "installation_id", rest_text(row->installation_id) },
		{ "from_version", rest_text(row->from_version) },
		{ "to_version", rest_text(row->to_version) },
		{ "digest", rest_text(row->digest) },
		{ "actor_id", rest_text(row->actor_id) },
		{ "actor", rest_text(row->actor_name) },
		{ "reason", rest_text(row->reason) },
		{ "phases", phases_of(row->phases) },
		{ "parameters", rest_raw(row->parameters) },
		{ "result", rest_raw(row->result) },
		{ "error", rest_raw(row->error) },
		{ "node", rest_text(row->node_id) },
		{ "created_at", rest_time(row->created_at) },
		{ "wished_at", rest_time(row->wished_at) },
		{ "finished_at", rest_time(row->finished_at) },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(members); i++)
		(void)json_object_set_new_nocheck(change, members[i].name, members[i].value);
	return change;
}

/* ---- the list ----------------------------------------------------------------------------------
 */

struct changes_page {
	struct rest_call *call;
	unsigned limit;
	char *filters;
};

static void changes_page_free(void *state)
{
	struct changes_page *page = state;

	mem_free(page->filters);
	mem_free(page);
}

static void on_changes(
	const struct error *err, const struct store_change *rows, size_t n, void *user)
{
	struct changes_page *page = user;
	struct rest_call *call = page->call;
	char next[24] = "";
	json_t *list;

	if (!rest_end(call))
		return;
	if (err) {
		rest_problem(call, err);
		return;
	}
	list = json_array();
	for (size_t i = 0; i < n && i < page->limit; i++)
		(void)json_array_append_new(list, rest_change_json(&rows[i]));
	if (n > page->limit)
		(void)snprintf(next, sizeof(next), "%lld", (long long)rows[page->limit - 1].number);
	rest_list(
		call, list, "changes", span_of(page->filters), next[0] ? span_of(next) : SPAN_NONE);
}

static void list(struct rest_call *call)
{
	struct changes_page *page = mem_zalloc(sizeof(*page));
	struct store_changes_filter filter = { .environment = call->context.environment };
	struct rest_query q;
	struct span after;
	uint64_t before = 0;

	rest_query_init(&q, call);
	filter.plugin_name = rest_query_text(&q, "plugin");
	filter.state = rest_query_text(&q, "state");
	page->call = call;
	page->limit =
		(unsigned)rest_query_number(&q, "limit", 1, REST_LIMIT_MAX, REST_LIMIT_DEFAULT);
	page->filters = mem_strdup(q.filters.data);
	after = rest_query_after(&q, "changes");
	if (after.data)
		(void)span_u64(after, INT64_MAX, &before);
	filter.before = (int64_t)before;
	filter.limit = page->limit + 1;
	call->state = page;
	call->state_free = changes_page_free;
	if (rest_query_end(&q)) {
		rest_begin(call);
		store_changes_list(
			call->api->options.db, &call->context, &filter, on_changes, page);
	}
	rest_query_done(&q);
}

/* ---- one, now or watched -----------------------------------------------------------------------
 */

static void look(struct watch *w);

static void watch_free(void *state)
{
	mem_free(state);
}

static void watch_over(struct rest_call *call)
{
	struct watch *w = call->state;

	list_remove(&w->link);
	rest_timer_stop(call, w->timer);
	w->timer = 0;
}

static void on_tick(void *user)
{
	struct watch *w = user;

	w->timer = rest_timer(w->call, TICK_MS, on_tick, w);
	if (w->events && clock_ns() >= w->beat_ns) {
		w->beat_ns = clock_ns() + HEARTBEAT_NS;
		(void)rest_heartbeat(w->call);
	}
	look(w);
}

static bool is_running(const struct store_change *row)
{
	return span_is(row->state, "running");
}

static bool has_ended(const struct api *api, int64_t number)
{
	for (size_t i = 0; i < REST_ENDED_MAX && i < api->ended_count; i++)
		if (api->ended[i] == number)
			return true;
	return false;
}

/* Done, but perhaps not everywhere yet. */
static bool is_settling(struct watch *w, const struct store_change *row)
{
	uint64_t now = clock_ns();

	if (!span_is(row->state, "done") || has_ended(w->call->api, w->number) ||
		clock_real_us() - row->finished_at > (int64_t)(NEWS_NS / 1000))
		return false;
	if (w->done_ns == 0)
		w->done_ns = now;
	return now - w->done_ns < NEWS_NS && !w->call->api->stopping;
}

/* False: that was the last one, and the watch is gone. */
static bool send_form(struct watch *w, const struct store_change *row)
{
	struct rest_call *call = w->call;
	json_t *change = rest_change_json(row);
	char *text = json_dumps(change, JSON_COMPACT), hex[SHA256_HEX_SIZE];
	bool sent = true;

	json_decref(change);
	sha256_hex(span_of(text), hex);
	hex[ID_HEX] = '\0';
	if (strcmp(hex, w->last) != 0)
		sent = rest_event(call, hex, "change", span_of(text));
	free(text);
	if (!sent)
		return true; /* the client is slow: the form of the next look is as good */
	memcpy(w->last, hex, sizeof(w->last));
	if (is_running(row) && !call->api->stopping)
		return true;
	rest_events_end(call);
	return false;
}

static void on_look(const struct error *err, const struct store_change *rows, size_t n, void *user)
{
	struct watch *w = user;
	struct rest_call *call = w->call;

	w->looking = false;
	if (!rest_end(call))
		return;
	if (err && http_answer_begun(call->request)) {
		if (err->code != ERR_UNAVAIL) /* else the next tick looks again */
			rest_events_end(call);
		return;
	}
	if (err || n != 1) {
		rest_problem(call, err);
		return;
	}
	if (w->events && !http_answer_begun(call->request))
		rest_events_begin(call);
	if (w->timer && is_settling(w, &rows[0])) {
		/* Its news, or the next tick, look again. */
	} else if (w->events) {
		if (!send_form(w, &rows[0]))
			return;
	} else if (!is_running(&rows[0]) || clock_ns() >= w->until_ns || call->api->stopping) {
		rest_json(call, 200, rest_change_json(&rows[0]));
		return;
	}
	if (w->again) {
		w->again = false;
		look(w);
	}
}

static void look(struct watch *w)
{
	if (w->looking) {
		w->again = true;
		return;
	}
	w->looking = true;
	rest_begin(w->call);
	store_change_get(w->call->api->options.db, &w->call->context, w->number, on_look, w);
}

static void on_writable(struct rest_call *call)
{
	look(call->state);
}

/* "30s" or "30": seconds to wait for the end. */
static uint64_t read_wait(struct rest_query *q)
{
	struct span value = rest_query_option(q, "wait");
	uint64_t seconds;

	if (!value.data)
		return 0;
	if (value.len > 1 && value.data[value.len - 1] == 's')
		value.len--;
	if (!span_u64(value, WAIT_MAX_S, &seconds))
		(void)error_set(&q->err, ERR_INVALID, "'wait' is not 0s to %us", WAIT_MAX_S);
	return q->err.code ? 0 : seconds;
}

static void get(struct rest_call *call)
{
	struct span last =
		http_head_get(http_request_head(call->request), HTTP_HEADER_LAST_EVENT_ID);
	struct watch *w;
	char text[24];
	struct rest_query q;
	uint64_t number, wait;
	bool ok;

	rest_query_init(&q, call);
	wait = read_wait(&q);
	ok = rest_query_end(&q);
	rest_query_done(&q);
	if (!ok || !rest_param(call, "number", text, sizeof(text)))
		return;
	if (!span_u64(span_of(text), INT64_MAX, &number)) {
		struct error err;

		(void)error_set(&err, ERR_NOT_FOUND, "'%s' is no change number", text);
		rest_problem(call, &err);
		return;
	}
	w = mem_zalloc(sizeof(*w));
	w->call = call;
	w->number = (int64_t)number;
	w->events = rest_wants_events(call);
	w->until_ns = clock_ns() + wait * CLOCK_NS_PER_SEC;
	w->beat_ns = clock_ns() + HEARTBEAT_NS;
	if (last.len == ID_HEX)
		memcpy(w->last, last.data, ID_HEX);
	list_append(&call->api->watches, &w->link);
	call->state = w;
	call->state_free = watch_free;
	call->on_over = watch_over;
	call->on_writable = on_writable;
	if (wait > 0)
		http_request_deadline(call->request, (uint32_t)(wait + 10) * 1000);
	if (wait > 0 || w->events)
		w->timer = rest_timer(call, TICK_MS, on_tick, w);
	look(w);
}

void api_notify(struct api *api, struct span topic, struct span payload)
{
	uint64_t number;

	bool ended = span_is(topic, "mortise_change_ended");

	if ((!ended && !span_is(topic, "mortise_changes")) ||
		!span_u64(payload, INT64_MAX, &number))
		return;
	if (ended)
		api->ended[api->ended_count++ % REST_ENDED_MAX] = (int64_t)number;
	list_for_each_safe(struct watch, w, &api->watches, link)
		if (w->number == (int64_t)number)
			look(w);
}

void rest_changes_stop(struct api *api)
{
	list_for_each(struct watch, w, &api->watches, link)
		look(w);
}

const struct rest_route rest_changes_routes[] = {
	REST_ROUTE("GET", "/v1/changes", CHANGE_READ, NONE, NONE, list),
	REST_ROUTE("GET", "/v1/changes/{number}", CHANGE_READ, NONE, NONE, get),
	REST_ROUTES_END,
};
