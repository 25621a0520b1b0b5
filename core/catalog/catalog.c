/* A page is read with one row more than it has: whether there is a next page is then known and
 * not guessed. The closure is PostgreSQL's (catalog_closure), which walks through the policies and
 * so never passes through a service that the asker may not see. */
#include "catalog/catalog.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "codec/json.h"
#include "store/services.h"

#define POSITION_MAX 600u

/* A statement that is under way, with a copy of what the next one needs. */
struct query {
	struct db_pool *db;
	catalog_cb done;
	void *user;
	unsigned limit;
	/* of a walk: */
	struct db_context context;
	struct text context_text;
	unsigned depth;
	bool reverse;
	int64_t after_depth;
	char *after_name;
};

static struct query *query_new(struct db_pool *db, unsigned limit, catalog_cb done, void *user)
{
	struct query *q = mem_zalloc(sizeof(*q));

	q->db = db;
	q->limit = limit < CATALOG_PAGE_MAX ? limit : CATALOG_PAGE_MAX;
	q->done = done;
	q->user = user;
	text_init(&q->context_text);
	return q;
}

static void query_end(struct query *q, const struct error *err, json_t *result, struct span next)
{
	q->done(q->user, err, result, next);
	text_done(&q->context_text);
	mem_free(q->after_name);
	mem_free(q);
}

static json_t *text_of(struct span s)
{
	return s.data ? json_stringn_nocheck(s.data, s.len) : json_string("");
}

static json_t *texts_of(struct db_array items)
{
	json_t *list = json_array();
	struct span item;

	while (db_array_next(&items, &item))
		(void)json_array_append_new(list, text_of(item));
	return list;
}

static json_t *time_of(int64_t us)
{
	char text[CLOCK_TEXT_SIZE];

	if (us == 0)
		return json_null();
	clock_text(us, text);
	return json_string(text);
}

/* JSON of the database; an empty object when it is none. */
static json_t *json_of(struct span s)
{
	json_t *value = s.data ? json_loadb(s.data, s.len, JSON_DECODE_ANY, NULL) : NULL;

	return value ? value : json_object();
}

static json_t *service_of(const struct store_service *row)
{
	json_t *metadata = json_of(row->metadata);
	json_t *homepage = json_object_get(metadata, "homepage");
	json_t *version = json_object_get(metadata, "version");
	json_t *service = json_object();
	const struct {
		const char *name;
		json_t *value;
	} members[] = {
		{ "id", text_of(row->id) },
		{ "name", text_of(row->name) },
		{ "display_name", text_of(row->display_name) },
		{ "description", text_of(row->description) },
		{ "type", text_of(row->type) },
		{ "lifecycle", text_of(row->lifecycle) },
		{ "tier", text_of(row->tier) },
		{ "health_status", text_of(row->health) },
		{ "version", json_is_string(version) ? json_incref(version) : json_string("") },
		{ "team", text_of(row->team_name) },
		{ "team_display_name", text_of(row->team_display_name) },
		{ "owner_id", text_of(row->owner_id) },
		{ "provider", text_of(row->provider) },
		{ "key", text_of(row->provider_key) },
		{ "homepage", json_is_string(homepage) ? json_incref(homepage) : json_string("") },
		{ "repository_url", text_of(row->repository_url) },
		{ "documentation_url", text_of(row->documentation_url) },
		{ "api_spec_url", text_of(row->api_spec_url) },
		{ "tags", texts_of(row->tags) },
		{ "labels", json_of(row->labels) },
		{ "annotations", json_of(row->annotations) },
		{ "metadata", metadata },
		{ "depends_on", json_integer(row->depends_on) },
		{ "created_at", time_of(row->created_at) },
		{ "updated_at", time_of(row->updated_at) },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(members); i++)
		(void)json_object_set_new_nocheck(service, members[i].name, members[i].value);
	return service;
}

/* ---- one, and many -----------------------------------------------------------------------------
 */

static void on_service(
	const struct error *err, const struct store_service *rows, size_t n, void *user)
{
	struct query *q = user;
	CLEANUP(json_freep) json_t *service = NULL;

	if (!err && n == 1)
		service = service_of(&rows[0]);
	query_end(q, err, service, SPAN_NONE);
}

void catalog_get(struct db_pool *db, const struct db_context *context, struct span name,
	catalog_cb done, void *user)
{
	store_service_get(db, context, name, on_service, query_new(db, 1, done, user));
}

static void on_services(
	const struct error *err, const struct store_service *rows, size_t n, void *user)
{
	struct query *q = user;
	CLEANUP(json_freep) json_t *list = NULL;
	size_t shown = n < q->limit ? n : q->limit;

	if (!err) {
		list = json_array();
		for (size_t i = 0; i < shown; i++)
			(void)json_array_append_new(list, service_of(&rows[i]));
	}
	query_end(q, err, list, !err && n > q->limit ? rows[q->limit - 1].name : SPAN_NONE);
}

void catalog_list(struct db_pool *db, const struct db_context *context,
	const struct catalog_filter *filter, catalog_cb done, void *user)
{
	struct store_services_filter rows = {
		.query = filter->query,
		.type = filter->type,
		.lifecycle = filter->lifecycle,
		.team = filter->team,
		.tag = filter->tag,
		.provider = filter->provider,
		.after = filter->after,
	};
	struct query *q = query_new(db, filter->limit, done, user);

	rows.limit = q->limit + 1;
	store_services_list(db, context, &rows, on_services, q);
}

/* ---- dependencies ------------------------------------------------------------------------------
 */

static void on_closure(
	const struct error *err, const struct store_dependency *rows, size_t n, void *user)
{
	struct query *q = user;
	CLEANUP(json_freep) json_t *list = NULL;
	char next[POSITION_MAX];
	size_t shown = n < q->limit ? n : q->limit;
	int len = 0;

	if (!err) {
		list = json_array();
		for (size_t i = 0; i < shown; i++)
			(void)json_array_append_new(list,
				json_pack("{s:o, s:o, s:o, s:o, s:I, s:o}", "id",
					text_of(rows[i].id), "name", text_of(rows[i].name),
					"display_name", text_of(rows[i].display_name), "type",
					text_of(rows[i].type), "depth", (json_int_t)rows[i].depth,
					"via", text_of(rows[i].via)));
	}
	if (!err && n > q->limit)
		len = snprintf(next, sizeof(next), "%lld %.*s", (long long)rows[q->limit - 1].depth,
			SPAN_ARG(rows[q->limit - 1].name));
	query_end(q, err, list, len > 0 ? (struct span){ next, (size_t)len } : SPAN_NONE);
}

static void on_start(
	const struct error *err, const struct store_service *rows, size_t n, void *user)
{
	struct query *q = user;
	struct store_closure closure = {
		.depth = q->depth,
		.reverse = q->reverse,
		.after_depth = q->after_depth,
		.after_name = q->after_name ? span_of(q->after_name) : SPAN_NONE,
		.limit = q->limit + 1,
	};

	if (err || n != 1) {
		query_end(q, err, NULL, SPAN_NONE);
		return;
	}
	closure.service_id = rows[0].id;
	store_service_closure(q->db, &q->context, &closure, on_closure, q);
}

/* The context is the caller's and ends before the second statement starts. */
static void copy_context(struct query *q, const struct db_context *context)
{
	struct span *spans[] = { &q->context.user_id, &q->context.plugin, &q->context.environment,
		&q->context.tenant_id, &q->context.request_id, &q->context.session_id,
		&q->context.ip_address, &q->context.user_agent };
	size_t at = 0;

	q->context = *context;
	for (size_t i = 0; i < ARRAY_LENGTH(spans); i++)
		text_append_span(&q->context_text, *spans[i]);
	for (size_t i = 0; i < ARRAY_LENGTH(spans); i++) {
		spans[i]->data = q->context_text.data + at;
		at += spans[i]->len;
	}
}

static bool read_position(struct query *q, struct span after)
{
	struct span rest = after, depth;
	uint64_t number;

	if (after.len == 0)
		return true;
	if (!span_split(&rest, ' ', &depth) || !span_u64(depth, CATALOG_DEPTH_MAX, &number) ||
		rest.len == 0)
		return false;
	q->after_depth = (int64_t)number;
	q->after_name = mem_printf("%.*s", SPAN_ARG(rest));
	return true;
}

void catalog_dependencies(struct db_pool *db, const struct db_context *context,
	const struct catalog_walk *walk, catalog_cb done, void *user)
{
	struct query *q = query_new(db, walk->limit, done, user);

	q->depth = walk->depth;
	q->reverse = walk->reverse;
	copy_context(q, context);
	/* A position comes out of a cursor that was checked: what is none begins anew. */
	(void)read_position(q, walk->after);
	store_service_get(db, context, walk->name, on_start, q);
}
