#include "api/refusals.h"

#include <stdio.h>
#include <stdlib.h>

#include "api/rest_priv.h"
#include "base/assert.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "codec/json.h"
#include "http/server.h"
#include "identity/principal.h"
#include "store/audit.h"

#define BATCH_MS  1000u
#define PATH_MAX  200u
#define AGENT_MAX 1000u

struct noted {
	json_t *row;
	int64_t count;
};

struct refusals {
	struct api *api;
	struct map noted; /* what makes them alike -> struct noted */
	int64_t dropped;
	uint64_t timer;
	char *sent; /* the batch under way */
	bool failing;
};

static void noted_free(struct noted *n)
{
	json_decref(n->row);
	mem_free(n);
}

static void forget(struct refusals *r)
{
	map_for_each(entry, &r->noted)
		noted_free(entry->value);
	map_done(&r->noted);
	map_init(&r->noted);
	r->dropped = 0;
}

struct refusals *refusals_new(struct api *api)
{
	struct refusals *r = mem_zalloc(sizeof(*r));

	r->api = api;
	map_init(&r->noted);
	return r;
}

void refusals_free(struct refusals *r)
{
	if (!r)
		return;
	forget(r);
	map_done(&r->noted);
	free(r->sent);
	mem_free(r);
}

/* ---- sending -----------------------------------------------------------------------------------
 */

static void on_timer(void *user);

static void wait(struct refusals *r)
{
	const struct api_options *o = &r->api->options;

	if (r->timer == 0)
		r->timer = o->host->timer(o->host_user, BATCH_MS, on_timer, r);
}

static void on_written(const struct error *err, int64_t number, void *user)
{
	struct refusals *r = user;
	/* It did not happen, so it may be tried again as it is. */
	bool again = err && (err->code == ERR_UNAVAIL || err->code == ERR_AGAIN ||
				    err->code == ERR_DEADLINE);

	(void)number;
	if (err && !r->failing)
		log_warn(again ? "refusals are not in the audit trail yet"
			       : "refusals are not in the audit trail",
			LOG_ERR(err));
	r->failing = err != NULL;
	if (!again) {
		free(r->sent);
		r->sent = NULL;
	}
	if (r->sent || r->noted.count > 0 || r->dropped > 0)
		wait(r);
}

static json_t *dropped_row(int64_t dropped)
{
	return json_pack("{s:s, s:s, s:s, s:{s:I}}", "action", "request", "status", "failure",
		"error", "more refusals than the audit trail takes in a second", "metadata",
		"count", (json_int_t)dropped);
}

static char *take_batch(struct refusals *r)
{
	json_t *rows = json_array();
	char *text;

	map_for_each(entry, &r->noted) {
		struct noted *n = entry->value;

		if (n->count > 1)
			(void)json_object_set_new(json_object_get(n->row, "metadata"), "count",
				json_integer(n->count));
		(void)json_array_append(rows, n->row);
	}
	if (r->dropped > 0)
		(void)json_array_append_new(rows, dropped_row(r->dropped));
	text = json_dumps(rows, JSON_COMPACT);
	ASSERT(text);
	json_decref(rows);
	forget(r);
	return text;
}

static void send(struct refusals *r)
{
	if (!r->sent)
		r->sent = take_batch(r);
	store_audit_refusals(r->api->options.db, span_of(r->sent), on_written, r);
}

static void on_timer(void *user)
{
	struct refusals *r = user;

	r->timer = 0;
	send(r);
}

void refusals_flush(struct refusals *r)
{
	const struct api_options *o = &r->api->options;

	if (r->timer == 0)
		return;
	o->host->timer_stop(o->host_user, r->timer);
	on_timer(r);
}

/* ---- noting ------------------------------------------------------------------------------------
 */

static bool is_refusal(int status)
{
	return status == 401 || status == 403 || status == 429;
}

static json_t *text_of(struct span s, size_t max)
{
	if (!s.data || !utf8_valid(s))
		return json_null();
	while (s.len > max || (s.len > 0 && !utf8_valid(s)))
		s.len--;
	return json_stringn(s.data, s.len);
}

/* Words that name what the client chose stay out, but for refusals: those name rules. */
static const char *reason(const struct error *err, int status)
{
	return is_refusal(status) ? err->text : error_entry(err->code)->text;
}

static json_t *row_of(const struct refusal *f, int status)
{
	const struct http_head *head = http_request_head(f->request);
	json_t *row = json_object(), *metadata = json_object();
	char code[16];

	(void)snprintf(code, sizeof(code), "MRT-%04d", -f->err->code);
	(void)json_object_set_new(metadata, "code", json_string(code));
	(void)json_object_set_new(metadata, "method", json_string(http_method_name(head->method)));
	(void)json_object_set_new(
		metadata, "path", f->route ? json_string(f->route) : text_of(head->path, PATH_MAX));
	if (f->who) {
		(void)json_object_set_new(row, "user_id", json_string(f->who->user_id));
		if (f->who->key_id[0])
			(void)json_object_set_new(metadata, "key_id", json_string(f->who->key_id));
		if (f->who->session_id[0])
			(void)json_object_set_new(
				row, "session_id", json_string(f->who->session_id));
	}
	(void)json_object_set_new(row, "ip_address", text_of(f->address, 64));
	(void)json_object_set_new(
		row, "user_agent", text_of(http_head_get(head, HTTP_HEADER_USER_AGENT), AGENT_MAX));
	(void)json_object_set_new(row, "request_id", text_of(f->request_id, 64));
	(void)json_object_set_new(row, "action", json_string(f->action ? f->action : "request"));
	(void)json_object_set_new(row, "resource_name", text_of(f->object, 255));
	(void)json_object_set_new(row, "status", json_string(status >= 500 ? "error" : "failure"));
	(void)json_object_set_new(row, "error", json_string(reason(f->err, status)));
	(void)json_object_set_new(row, "metadata", metadata);
	return row;
}

/* Whatever the row says but for the request's own id. */
static void append_likeness(struct text *out, const json_t *row)
{
	json_t *copy = json_copy((json_t *)row);

	(void)json_object_del(copy, "request_id");
	json_append(out, copy);
	json_decref(copy);
}

void refusals_note(struct refusals *r, const struct refusal *f)
{
	int status = error_entry(f->err->code)->http_status;
	struct noted *n;
	struct text key;
	json_t *row;

	if (!is_refusal(status) && http_method_safe(http_request_head(f->request)->method))
		return;
	row = row_of(f, status);
	text_init(&key);
	append_likeness(&key, row);
	n = map_get(&r->noted, text_span(&key));
	if (n) {
		n->count++;
		json_decref(row);
	} else if (r->noted.count >= REFUSALS_MAX) {
		r->dropped++;
		json_decref(row);
	} else {
		n = mem_zalloc(sizeof(*n));
		n->row = row;
		n->count = 1;
		(void)map_put(&r->noted, text_span(&key), n);
	}
	text_done(&key);
	if (!r->sent)
		wait(r);
}
