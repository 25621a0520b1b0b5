/* A page is read with one row more than it has: whether there is a next page is then known and
 * not guessed. Dependencies are walked in the graph while the asker's view, which the database
 * tells, is asked for; without a graph they are PostgreSQL's (catalog_closure), which walks through
 * the policies. Neither passes through a service that the asker may not see, and the rows of both
 * are read through the policies, so the graph can at worst show too little. */
#include "catalog/catalog.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "catalog/follow.h"
#include "catalog/graph.h"
#include "codec/json.h"
#include "store/graph.h"
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
	unsigned after_depth;
	char *after_name;
	struct follow *follow;
	unsigned waits;       /* for the view, for the graph */
	bool seen;            /* the view has come: */
	struct error failure; /* or this */
	char *start;
	bool all;
	struct text teams; /* one behind the other, with a 0 behind each */
	size_t teams_count;
	char *provider;
	char *next; /* position behind the page */
};

static struct query *query_new(struct db_pool *db, unsigned limit, catalog_cb done, void *user)
{
	struct query *q = mem_zalloc(sizeof(*q));

	q->db = db;
	q->limit = limit < CATALOG_PAGE_MAX ? limit : CATALOG_PAGE_MAX;
	q->done = done;
	q->user = user;
	text_init(&q->context_text);
	text_init(&q->teams);
	return q;
}

static void query_end(struct query *q, const struct error *err, json_t *result, struct span next)
{
	q->done(q->user, err, result, next);
	text_done(&q->context_text);
	text_done(&q->teams);
	mem_free(q->after_name);
	mem_free(q->start);
	mem_free(q->provider);
	mem_free(q->next);
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

static json_t *dependencies_of(const struct store_dependency *rows, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		(void)json_array_append_new(list,
			json_pack("{s:o, s:o, s:o, s:o, s:I, s:o}", "id", text_of(rows[i].id),
				"name", text_of(rows[i].name), "display_name",
				text_of(rows[i].display_name), "type", text_of(rows[i].type),
				"depth", (json_int_t)rows[i].depth, "via", text_of(rows[i].via)));
	return list;
}

static char *position_of(int64_t depth, struct span name)
{
	return mem_printf("%lld %.*s", (long long)depth, SPAN_ARG(name));
}

static void on_closure(
	const struct error *err, const struct store_dependency *rows, size_t n, void *user)
{
	struct query *q = user;
	CLEANUP(json_freep) json_t *list = NULL;

	if (!err)
		list = dependencies_of(rows, n < q->limit ? n : q->limit);
	if (!err && n > q->limit)
		q->next = position_of(rows[q->limit - 1].depth, rows[q->limit - 1].name);
	query_end(q, err, list, span_of(q->next));
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
	q->after_depth = (unsigned)number;
	q->after_name = mem_printf("%.*s", SPAN_ARG(rest));
	return true;
}

/* ---- dependencies, in memory -------------------------------------------------------------------
 */

static void ask_database(struct query *q, struct span name)
{
	store_service_get(q->db, &q->context, name, on_start, q);
}

static void on_rows(
	const struct error *err, const struct store_dependency *rows, size_t n, void *user)
{
	struct query *q = user;
	CLEANUP(json_freep) json_t *list = err ? NULL : dependencies_of(rows, n);

	query_end(q, err, list, err ? SPAN_NONE : span_of(q->next));
}

/* The page's rows, read as the asker. */
static void read_rows(struct query *q, const struct graph_row *rows, size_t n)
{
	CLEANUP(mem_freep) struct span *ids = mem_calloc(2 * n, sizeof(*ids));
	CLEANUP(mem_freep) int64_t *depths = mem_calloc(n, sizeof(*depths));

	for (size_t i = 0; i < n; i++) {
		ids[i] = rows[i].id;
		ids[n + i] = rows[i].via;
		depths[i] = rows[i].depth;
	}
	store_dependencies_get(q->db, &q->context,
		&(struct store_found){ .ids = ids, .vias = ids + n, .depths = depths, .count = n },
		on_rows, q);
}

static void walk_graph(struct query *q, struct graph *g)
{
	CLEANUP(mem_freep) struct graph_row *rows = mem_calloc(q->limit + 1, sizeof(*rows));
	CLEANUP(mem_freep) struct span *teams = mem_calloc(q->teams_count, sizeof(*teams));
	struct graph_view view = { .all = q->all,
		.teams = teams,
		.teams_count = q->teams_count,
		.provider = span_of(q->provider) };
	struct graph_walk walk = { .start = span_of(q->start),
		.depth = q->depth,
		.reverse = q->reverse,
		.after_depth = q->after_depth,
		.after_name = q->after_name ? span_of(q->after_name) : SPAN(""),
		.limit = q->limit + 1 };
	const char *team = q->teams.data;
	size_t n;

	for (size_t i = 0; i < q->teams_count; i++) {
		teams[i] = span_of(team);
		team += teams[i].len + 1;
	}
	n = graph_walk(g, &view, &walk, rows);
	if (n > q->limit) {
		n = q->limit;
		q->next = position_of(rows[n - 1].depth, rows[n - 1].name);
	}
	read_rows(q, rows, n);
}

/* View and graph have come, or will not. */
static void go_on(struct query *q)
{
	struct graph *g = follow_graph(q->follow);

	if (--q->waits > 0)
		return;
	if (!q->seen)
		query_end(q, &q->failure, NULL, SPAN_NONE);
	else if (g)
		walk_graph(q, g);
	else
		ask_database(q, span_of(q->start));
}

static void on_graph(void *user)
{
	go_on(user);
}

static void on_view(
	const struct error *err, const struct store_graph_view *rows, size_t n, void *user)
{
	struct query *q = user;

	if (err) {
		q->failure = *err;
	} else if (n == 1) {
		struct db_array teams = rows[0].teams;
		struct span team;

		q->seen = true;
		q->start = mem_printf("%.*s", SPAN_ARG(rows[0].service_id));
		q->all = rows[0].all;
		if (rows[0].provider.data)
			q->provider = mem_printf("%.*s", SPAN_ARG(rows[0].provider));
		for (; db_array_next(&teams, &team); q->teams_count++) {
			text_append_span(&q->teams, team);
			text_append_char(&q->teams, '\0');
		}
	}
	go_on(q);
}

void catalog_dependencies(struct db_pool *db, struct follow *follow,
	const struct db_context *context, const struct catalog_walk *walk, catalog_cb done,
	void *user)
{
	struct query *q = query_new(db, walk->limit, done, user);

	q->depth = walk->depth;
	q->reverse = walk->reverse;
	copy_context(q, context);
	/* A position comes out of a cursor that was checked: what is none begins anew. */
	(void)read_position(q, walk->after);
	if (!follow || follow_ask(follow, on_graph, q) < 0) {
		ask_database(q, walk->name);
		return;
	}
	q->follow = follow;
	q->waits = 2;
	store_graph_view(db, &q->context, walk->name, on_view, q);
}
