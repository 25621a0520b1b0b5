/* os-catalog.c - import a Debian package list into the catalog
 *
 *   POST /api/os-catalog/import   a `status` or `Packages` text as the body
 *
 * The answer is a summary in JSON, or, for a client that accepts application/x-ndjson, a line of
 * progress for each batch and the summary, or an error, as the last line.
 *
 * An import goes through the phases below. Services are sent while the body is read;
 * relationships after it, since a dependency may name a package that comes later. A few
 * batches are out at a time; while they are, the body is not consumed, which stops the client.
 * Nothing is removed before everything was written: an import that fails leaves what is there.
 */
#include <mortise/plugin.h>
#include <mortise/reply.h>
#include <stdlib.h>

#include "entity.h"
#include "packages.h"

enum { ROUTE_IMPORT };

#define BATCHES_OUT_MAX    4    /* calls at a time: one is worked on, the others are on the way */
#define BATCH_SERVICES_MAX 500  /* services of one call */
#define BATCH_EDGES_MAX    2000 /* relationships of one call */
#define BATCH_BYTES_MAX \
	393216 /* send what is larger; one service more fits into the limit of a call */
#define CALL_TIMEOUT_MS 120000
#define RETRY_MS        50 /* when the host takes no call and none of ours is out */
#define CONFLICTS_SHOWN 10

enum phase {
	PHASE_BEGINNING,     /* sync.begin is out */
	PHASE_SERVICES,      /* the body is read */
	PHASE_LAST_SERVICES, /* the last batches of services are out */
	PHASE_RELATIONSHIPS,
	PHASE_LAST_RELATIONSHIPS,
	PHASE_FINISHING, /* sync.finish is out */
	PHASE_OVER,      /* answered, gone, or the last line is still to be written */
};

struct import {
	struct mortise_instance *self;
	mortise_id request; /* 0: it is over */
	enum phase phase;
	int streaming; /* progress is wanted, and the head is sent */
	uint64_t begun_ns;
	int64_t sync;
	uint32_t out;     /* calls whose done has not come */
	mortise_id retry; /* timer */

	char *body; /* given by the host and not consumed */
	uint64_t body_size;
	uint32_t body_last;
	uint64_t bytes_read;
	uint64_t bytes_of; /* 0: not announced */
	struct control_text text;
	struct packages packages;

	struct mortise_json_writer batch;
	uint32_t batch_count;
	uint32_t package; /* whose edges are written next */
	uint32_t edge;    /* which of them */

	uint64_t services_sent, skipped, duplicates, edges_sent;
	uint64_t created, updated, unchanged, teams_created, conflicts;
	uint64_t edges_created, edges_updated, edges_unchanged, edges_left_out;
	struct mortise_json_writer conflicts_shown;
	uint32_t conflicts_shown_count;
	struct mortise_json_writer last; /* the last line, when the window had no room for it */
};

struct mortise_instance {
	struct mortise_host *host;
	const struct mortise_core_1 *core;
	const struct mortise_http_1 *http;
	const struct mortise_call_1 *call;
	const struct mortise_timer_1 *timer;
	struct import *import; /* one at a time: syncs exclude each other */
};

static void advance(struct import *import);

/* ---- the answer ---------------------------------------------------------------------------- */

/* The import is answered for; settle() releases it when nothing of it is out any more. */
static void end_import(struct import *import)
{
	import->request = 0;
	import->phase = PHASE_OVER;
}

static void settle(struct import *import)
{
	struct mortise_instance *self = import->self;

	if (import->request != 0 || import->out > 0)
		return;
	if (import->retry)
		(void)self->timer->stop(self->host, import->retry);
	control_text_done(&import->text);
	packages_done(&import->packages);
	mortise_json_writer_done(&import->batch);
	mortise_json_writer_done(&import->conflicts_shown);
	mortise_json_writer_done(&import->last);
	free(import->body);
	free(import);
	self->import = NULL;
}

/* Write the last line and end; again from on_writable, if there is no room. */
static void write_last(struct import *import)
{
	struct mortise_instance *self = import->self;
	struct mortise_str line;
	int32_t rc = mortise_json_written(&import->last, &line);

	if (rc == 0)
		rc = self->http->write(self->host, import->request, line);
	if (rc == MORTISE_E_AGAIN)
		return;
	if (rc == 0)
		(void)self->http->end(self->host, import->request);
	else
		(void)self->http->abort(self->host, import->request);
	end_import(import);
}

static void fail(struct import *import, int32_t rc, struct mortise_str why)
{
	struct mortise_instance *self = import->self;
	struct mortise_json_writer *w = &import->last;
	char code[24];

	if (import->phase == PHASE_OVER)
		return;
	if (!import->streaming) {
		(void)mortise_reply_problem(self->host, self->http, import->request, rc, why);
		end_import(import);
		return;
	}
	import->phase = PHASE_OVER;
	(void)snprintf(code, sizeof(code), "MRT-%lld", -(long long)rc);
	mortise_json_open_object(w);
	mortise_json_put_string(w, "error", mortise_str_from(code));
	mortise_json_put_string(w, "detail", why);
	mortise_json_close(w);
	mortise_json_append(w, "\n", 1);
	write_last(import);
}

static void put_count(struct mortise_json_writer *w, const char *name, uint64_t count)
{
	mortise_json_put_integer(w, name, (int64_t)count);
}

static void write_summary(struct import *import,
	const struct mortise_catalog_sync_finish_result *gone, struct mortise_json_writer *w)
{
	uint64_t ns = import->self->core->now_ns(import->self->host) - import->begun_ns;
	struct mortise_str shown;

	mortise_json_open_object(w);
	put_count(w, "packages", import->packages.count);
	put_count(w, "not_installed", import->skipped);
	put_count(w, "duplicates", import->duplicates);
	mortise_json_add_key(w, MORTISE_STR("services"));
	mortise_json_open_object(w);
	put_count(w, "created", import->created);
	put_count(w, "updated", import->updated);
	put_count(w, "unchanged", import->unchanged);
	put_count(w, "removed", gone->services_removed);
	put_count(w, "conflicts", import->conflicts);
	mortise_json_close(w);
	mortise_json_add_key(w, MORTISE_STR("relationships"));
	mortise_json_open_object(w);
	put_count(w, "created", import->edges_created);
	put_count(w, "updated", import->edges_updated);
	put_count(w, "unchanged", import->edges_unchanged);
	put_count(w, "removed", gone->relationships_removed);
	put_count(w, "left_out", import->edges_left_out);
	put_count(w, "unresolved", import->packages.unresolved);
	mortise_json_close(w);
	put_count(w, "teams_created", import->teams_created);
	mortise_json_close(&import->conflicts_shown);
	if (mortise_json_written(&import->conflicts_shown, &shown) == 0) {
		mortise_json_add_key(w, MORTISE_STR("conflicts"));
		mortise_json_add_raw(w, shown);
	}
	put_count(w, "bytes", import->bytes_read);
	mortise_json_add_key(w, MORTISE_STR("seconds"));
	mortise_json_add_real(w, (double)(ns / 1000000) / 1000);
	mortise_json_close(w);
}

static void succeed(struct import *import, const struct mortise_catalog_sync_finish_result *gone)
{
	struct mortise_instance *self = import->self;
	struct mortise_json_writer w;

	if (import->streaming) {
		write_summary(import, gone, &import->last);
		mortise_json_append(&import->last, "\n", 1);
		import->phase = PHASE_OVER;
		write_last(import);
		return;
	}
	mortise_json_writer_init(&w);
	write_summary(import, gone, &w);
	(void)mortise_reply_json(self->host, self->http, import->request, 200, &w);
	end_import(import);
}

/* A line of progress. One that finds no room is left out: the next says more. */
static void show_progress(struct import *import)
{
	struct mortise_instance *self = import->self;
	struct mortise_json_writer w;
	struct mortise_str line;

	if (!import->streaming || import->phase == PHASE_OVER)
		return;
	mortise_json_writer_init(&w);
	mortise_json_open_object(&w);
	put_count(&w, "services", import->created + import->updated + import->unchanged);
	put_count(&w, "relationships",
		import->edges_created + import->edges_updated + import->edges_unchanged);
	put_count(&w, "bytes", import->bytes_read);
	if (import->bytes_of)
		put_count(&w, "of_bytes", import->bytes_of);
	mortise_json_close(&w);
	mortise_json_append(&w, "\n", 1);
	if (mortise_json_written(&w, &line) == 0)
		(void)self->http->write(self->host, import->request, line);
	mortise_json_writer_done(&w);
}

/* ---- calls --------------------------------------------------------------------------------- */

static struct mortise_call_setup setup_call(struct import *import, mortise_call_done_cb done)
{
	struct mortise_call_setup setup;

	memset(&setup, 0, sizeof(setup));
	setup.host = import->self->host;
	setup.call = import->self->call;
	setup.done = done;
	setup.user = import;
	setup.cause = import->request;
	setup.timeout_ms = CALL_TIMEOUT_MS;
	return setup;
}

/* What every done does first: 0 if the result is to be read. */
static int32_t take_result(
	struct import *import, int32_t rc, const struct mortise_call_result_1 *result)
{
	import->out--;
	if (rc < 0)
		fail(import, rc, result->text);
	return import->phase == PHASE_OVER ? MORTISE_E_CANCELLED : 0;
}

/* What every done does last: rc is of reading the result. */
static void go_on(struct import *import, int32_t rc)
{
	if (rc < 0)
		fail(import, rc, MORTISE_STR("the host's answer cannot be read"));
	advance(import);
	settle(import);
}

static void on_applied(struct mortise_instance *self, void *user, int32_t rc,
	const struct mortise_call_result_1 *result)
{
	struct import *import = (struct import *)user;
	struct mortise_catalog_apply_result applied;
	struct mortise_catalog_conflict conflict;

	(void)self;
	if (take_result(import, rc, result) < 0) {
		settle(import);
		return;
	}
	rc = mortise_catalog_apply_read(result, &applied);
	if (rc == 0) {
		import->created += applied.created;
		import->updated += applied.updated;
		import->unchanged += applied.unchanged;
		import->teams_created += applied.teams_created;
		while (mortise_catalog_next_conflict(&applied.conflicts, &conflict) > 0) {
			import->conflicts++;
			if (import->conflicts_shown_count++ >= CONFLICTS_SHOWN)
				continue;
			mortise_json_open_object(&import->conflicts_shown);
			mortise_json_put_string(&import->conflicts_shown, "name", conflict.name);
			mortise_json_put_string(
				&import->conflicts_shown, "reason", conflict.reason);
			mortise_json_close(&import->conflicts_shown);
		}
		show_progress(import);
	}
	go_on(import, rc);
}

static void on_related(struct mortise_instance *self, void *user, int32_t rc,
	const struct mortise_call_result_1 *result)
{
	struct import *import = (struct import *)user;
	struct mortise_catalog_relate_result related;

	(void)self;
	if (take_result(import, rc, result) < 0) {
		settle(import);
		return;
	}
	rc = mortise_catalog_relate_read(result, &related);
	if (rc == 0) {
		import->edges_created += related.created;
		import->edges_updated += related.updated;
		import->edges_unchanged += related.unchanged;
		import->edges_left_out += related.missing + related.conflicts;
		show_progress(import);
	}
	go_on(import, rc);
}

static void on_begun(struct mortise_instance *self, void *user, int32_t rc,
	const struct mortise_call_result_1 *result)
{
	struct import *import = (struct import *)user;
	struct mortise_catalog_sync_begin_result begun;

	(void)self;
	if (take_result(import, rc, result) < 0) {
		settle(import);
		return;
	}
	rc = mortise_catalog_sync_begin_read(result, &begun);
	if (rc == 0) {
		import->sync = begun.sync;
		import->phase = PHASE_SERVICES;
	}
	go_on(import, rc);
}

static void on_finished(struct mortise_instance *self, void *user, int32_t rc,
	const struct mortise_call_result_1 *result)
{
	struct import *import = (struct import *)user;
	struct mortise_catalog_sync_finish_result gone;

	(void)self;
	if (take_result(import, rc, result) < 0) {
		settle(import);
		return;
	}
	rc = mortise_catalog_sync_finish_read(result, &gone);
	if (rc == 0)
		succeed(import, &gone);
	go_on(import, rc);
}

static void on_retry(struct mortise_instance *self, void *user)
{
	struct import *import = (struct import *)user;

	(void)self;
	import->retry = 0;
	advance(import);
	settle(import);
}

/* The outcome of starting a call: 1 started, 0 later, or the import has failed. */
static int32_t started(struct import *import, int32_t rc)
{
	struct mortise_instance *self = import->self;

	if (rc == 0) {
		import->out++;
		return 1;
	}
	if (rc != MORTISE_E_AGAIN) {
		fail(import, rc, MORTISE_STR("the catalog cannot be called"));
		return rc;
	}
	if (import->out == 0 && !import->retry)
		rc = self->timer->start(self->host, RETRY_MS, 0, on_retry, import, &import->retry);
	else
		rc = 0;
	if (rc < 0)
		fail(import, rc, MORTISE_STR("no timer to wait for the catalog"));
	return rc;
}

/* ---- batches ------------------------------------------------------------------------------- */

static void open_batch(struct import *import, const char *list)
{
	if (import->batch_count > 0)
		return;
	mortise_json_writer_reset(&import->batch);
	mortise_json_open_object(&import->batch);
	mortise_json_add_key(&import->batch, MORTISE_STR("sync"));
	mortise_json_add_int64(&import->batch, import->sync);
	mortise_json_add_key(&import->batch, mortise_str_from(list));
	mortise_json_open_array(&import->batch);
}

static int batch_is_full(const struct import *import, uint32_t count_max)
{
	return import->batch_count >= count_max || import->batch.size >= BATCH_BYTES_MAX;
}

/* Send the batch: 1 sent, or there was none; 0 later; or the import has failed. */
static int32_t send_batch(struct import *import)
{
	int edges = import->phase >= PHASE_RELATIONSHIPS;
	struct mortise_call_setup setup = setup_call(import, edges ? on_related : on_applied);
	struct mortise_call_args_1 args;
	uint32_t count = import->batch_count;
	int32_t rc;

	if (count == 0)
		return 1;
	if (import->out >= BATCHES_OUT_MAX)
		return 0;
	if (import->batch.depth > 0) { /* else it was closed for an earlier try */
		mortise_json_close(&import->batch);
		mortise_json_close(&import->batch);
	}
	memset(&args, 0, sizeof(args));
	args.extension = MORTISE_STR(MORTISE_CATALOG_1);
	args.method = edges ? MORTISE_STR("relate") : MORTISE_STR("apply");
	args.cause = setup.cause;
	args.timeout_ms = setup.timeout_ms;
	rc = mortise_json_written(&import->batch, &args.json);
	if (rc == 0)
		rc = setup.call->call(setup.host, &args, setup.done, setup.user, NULL);
	rc = started(import, rc);
	if (rc != 1)
		return rc;
	import->batch_count = 0;
	if (edges)
		import->edges_sent += count;
	else
		import->services_sent += count;
	return 1;
}

static int is_installed(struct mortise_str status)
{
	static const char *const absent[] = { "not-installed", "config-files" };

	for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++) {
		size_t size = strlen(absent[i]);

		if (status.size >= size &&
			memcmp(status.data + status.size - size, absent[i], size) == 0)
			return 0;
	}
	return 1; /* a Packages file has no status */
}

/* A stanza is complete: note it and put it into the batch. */
static int32_t take_stanza(struct import *import, struct mortise_error *err)
{
	const struct control_text *text = &import->text;
	struct mortise_str name = control_text_field(text, CONTROL_PACKAGE);
	int32_t rc;

	if (name.size == 0)
		return mortise_fail(err, MORTISE_E_FORMAT,
			"line %llu: what begins here has no field 'Package'",
			(unsigned long long)text->stanza);
	if (!is_installed(control_text_field(text, CONTROL_STATUS))) {
		import->skipped++;
		return 0;
	}
	rc = packages_add(&import->packages, name, control_text_field(text, CONTROL_PRE_DEPENDS),
		control_text_field(text, CONTROL_DEPENDS),
		control_text_field(text, CONTROL_PROVIDES));
	if (rc < 0)
		return mortise_fail(err, rc, "the list is larger than memory allows");
	if (rc == 0) {
		import->duplicates++;
		return 0;
	}
	open_batch(import, "entities");
	entity_write(&import->batch, text);
	import->batch_count++;
	return 0;
}

/* Give back what was read of the body. */
static void consume(struct import *import, uint64_t n)
{
	struct mortise_instance *self = import->self;

	if (n == 0)
		return;
	import->body_size -= n;
	memmove(import->body, import->body + n, import->body_size);
	import->bytes_read += n;
	(void)self->http->consume(self->host, import->request, n);
}

/* Read the body as far as batches can be sent: 1 all of it, 0 later, or an error. */
static int32_t read_services(struct import *import, struct mortise_error *err)
{
	const char *at = import->body, *end = at + import->body_size;
	int32_t rc = 1;

	while (rc > 0) {
		if (batch_is_full(import, BATCH_SERVICES_MAX)) {
			rc = send_batch(import);
			if (rc <= 0)
				break;
		}
		rc = control_text_read(&import->text, &at, end, err);
		if (rc == 0 && import->body_last) {
			rc = control_text_end(&import->text, err);
			if (rc == 0) {
				consume(import, (uint64_t)(at - import->body));
				return 1;
			}
		}
		if (rc > 0) {
			rc = take_stanza(import, err);
			rc = rc < 0 ? rc : 1;
		}
	}
	if (import->phase != PHASE_OVER)
		consume(import, (uint64_t)(at - import->body));
	return rc;
}

static void write_edge(struct import *import, const struct packages_edge *edge)
{
	const struct packages *packages = &import->packages;
	struct mortise_str requires = packages_requires(packages, edge);
	struct mortise_json_writer *w = &import->batch;

	open_batch(import, "edges");
	mortise_json_open_object(w);
	mortise_json_put_string(w, "source", packages_name(packages, import->package));
	mortise_json_put_string(w, "target", packages_target(packages, edge));
	if (requires.size > 0) {
		mortise_json_add_key(w, MORTISE_STR("metadata"));
		mortise_json_open_object(w);
		mortise_json_put_string(w, "requires", requires);
		mortise_json_close(w);
	}
	mortise_json_close(w);
	import->batch_count++;
}

/* Write relationships as far as batches can be sent: 1 all of them, 0 later, or an error. */
static int32_t write_relationships(struct import *import)
{
	struct packages *packages = &import->packages;

	for (;;) {
		int32_t rc = 1;

		if (batch_is_full(import, BATCH_EDGES_MAX))
			rc = send_batch(import);
		if (rc <= 0)
			return rc;
		if (import->package == packages->count)
			return 1;
		if (import->edge == 0) {
			rc = packages_resolve(packages, import->package);
			if (rc < 0)
				return rc;
		}
		if (import->edge < packages->edge_count) {
			write_edge(import, &packages->edges[import->edge++]);
			continue;
		}
		import->edge = 0;
		import->package++;
	}
}

static int32_t finish(struct import *import)
{
	struct mortise_call_setup setup = setup_call(import, on_finished);
	struct mortise_catalog_sync_finish_params params = { .sync = import->sync };
	int32_t rc = started(import, mortise_catalog_sync_finish(&setup, &params, NULL));

	if (rc == 1)
		import->phase = PHASE_FINISHING;
	return rc;
}

static void begin(struct import *import)
{
	struct mortise_call_setup setup = setup_call(import, on_begun);

	(void)started(import, mortise_catalog_sync_begin(&setup, NULL));
}

/* ---- the import ---------------------------------------------------------------------------- */

/* One step: 1 and there may be another, 0 until something comes, or an error. */
static int32_t step(struct import *import, struct mortise_error *err)
{
	int32_t rc = 0;

	switch (import->phase) {
	case PHASE_BEGINNING:
		if (import->out == 0 && !import->retry)
			begin(import);
		return 0;
	case PHASE_SERVICES:
		rc = read_services(import, err);
		if (rc == 1 && import->packages.count == 0 && import->skipped == 0)
			return mortise_fail(err, MORTISE_E_FORMAT,
				"the body holds no package; send a dpkg status or Packages text");
		if (rc == 1)
			import->phase = PHASE_LAST_SERVICES;
		return rc;
	case PHASE_LAST_SERVICES:
		rc = send_batch(import);
		if (rc != 1 || import->out > 0)
			return rc < 0 ? rc : 0;
		import->phase = PHASE_RELATIONSHIPS;
		return 1;
	case PHASE_RELATIONSHIPS:
		rc = write_relationships(import);
		if (rc == 1)
			import->phase = PHASE_LAST_RELATIONSHIPS;
		return rc;
	case PHASE_LAST_RELATIONSHIPS:
		rc = send_batch(import);
		if (rc != 1 || import->out > 0)
			return rc < 0 ? rc : 0;
		rc = finish(import);
		return rc < 0 ? rc : 0;
	default:
		return 0;
	}
}

/* Go as far as possible. */
static void advance(struct import *import)
{
	struct mortise_error err;
	int32_t rc = 1;

	err.text[0] = '\0';
	while (rc > 0 && import->phase != PHASE_OVER)
		rc = step(import, &err);
	if (rc < 0)
		fail(import, rc,
			err.text[0] ? mortise_str_from(err.text)
				    : MORTISE_STR("the import cannot go on"));
}

static int wants_progress(struct mortise_instance *self, mortise_id request)
{
	static const char type[] = "application/x-ndjson";
	struct mortise_str accept;

	if (self->http->header(self->host, request, MORTISE_STR("accept"), &accept) < 0)
		return 0;
	for (uint64_t i = 0; i + sizeof(type) - 1 <= accept.size; i++)
		if (memcmp(accept.data + i, type, sizeof(type) - 1) == 0)
			return 1;
	return 0;
}

static void on_request(struct mortise_instance *self, mortise_id request, uint32_t tag,
	const struct mortise_http_request_1 *head)
{
	struct import *import;

	(void)tag; /* one route, so it can only be ROUTE_IMPORT */
	if (self->import) {
		(void)mortise_reply_problem(self->host, self->http, request, MORTISE_E_CONFLICT,
			MORTISE_STR("an import is running; wait for its end"));
		return;
	}
	import = (struct import *)calloc(1, sizeof(*import));
	if (import)
		import->body = (char *)malloc(MORTISE_HTTP_WINDOW);
	if (!import || !import->body) {
		free(import);
		(void)mortise_reply_problem(self->host, self->http, request, MORTISE_E_LIMIT,
			MORTISE_STR("no memory for an import"));
		return;
	}
	self->import = import;
	import->self = self;
	import->request = request;
	import->begun_ns = self->core->now_ns(self->host);
	import->bytes_of = head->body_size == MORTISE_HTTP_SIZE_UNKNOWN ? 0 : head->body_size;
	control_text_init(&import->text);
	packages_init(&import->packages, import->begun_ns ^ (uint64_t)(uintptr_t)import);
	mortise_json_open_array(&import->conflicts_shown);
	(void)self->http->attach(self->host, request, import);
	if (wants_progress(self, request))
		import->streaming = self->http->begin(self->host, request, 200,
					    MORTISE_STR("application/x-ndjson")) == 0;
	advance(import);
	settle(import);
}

static void on_body(struct mortise_instance *self, mortise_id request, void *user,
	struct mortise_str piece, uint32_t last)
{
	struct import *import = (struct import *)user;

	(void)self;
	(void)request;
	if (piece.size > MORTISE_HTTP_WINDOW - import->body_size) {
		fail(import, MORTISE_E_INTERNAL, MORTISE_STR("the host sent more than its window"));
	} else {
		if (piece.size > 0)
			memcpy(import->body + import->body_size, piece.data, piece.size);
		import->body_size += piece.size;
		import->body_last = last;
		advance(import);
	}
	settle(import);
}

static void on_writable(struct mortise_instance *self, mortise_id request, void *user)
{
	struct import *import = (struct import *)user;

	(void)self;
	(void)request;
	if (import->phase == PHASE_OVER)
		write_last(import);
	settle(import);
}

static void on_gone(struct mortise_instance *self, mortise_id request, void *user, int32_t why)
{
	struct import *import = (struct import *)user;

	(void)self;
	(void)request;
	(void)why;
	end_import(import);
	settle(import);
}

static int32_t create(
	struct mortise_host *host, struct mortise_instance **out, struct mortise_error *err)
{
	struct mortise_instance *self = (struct mortise_instance *)calloc(1, sizeof(*self));

	if (!self)
		return mortise_fail(err, MORTISE_E_LIMIT, "no memory");
	self->host = host;
	self->core = mortise_query_core_1(host);
	self->http = mortise_query_http_1(host);
	self->call = mortise_query_call_1(host);
	self->timer = mortise_query_timer_1(host);
	*out = self;
	return 0;
}

static int32_t start(struct mortise_instance *self, struct mortise_error *err)
{
	int32_t rc = self->http->bind(self->host, MORTISE_STR("import"), ROUTE_IMPORT);

	return rc < 0 ? mortise_fail(err, rc, "cannot bind route 'import'") : 0;
}

static void destroy(struct mortise_instance *self)
{
	free(self);
}

static const struct mortise_http_serve_1 serve = {
	.on_request = on_request, .on_body = on_body, .on_writable = on_writable, .on_gone = on_gone
};
static const struct mortise_offer offers[] = { { MORTISE_HTTP_SERVE_1, &serve }, { NULL, NULL } };

MORTISE_PLUGIN("mortise/os-catalog", "1.0.0",
	MORTISE_NEED(MORTISE_HTTP_1) MORTISE_NEED(MORTISE_CALL_1) MORTISE_NEED(MORTISE_TIMER_1)
		MORTISE_NEED(MORTISE_CATALOG_1),
	.create = create, .start = start, .destroy = destroy, .offers = offers);
