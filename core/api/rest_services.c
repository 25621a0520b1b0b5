/* /v1/services: the catalog, for people */
#include "api/rest_priv.h"
#include "catalog/catalog.h"
#include "codec/json.h"

#define NAME_MAX_BYTES 1024

/* A page that was asked for: what its cursor is bound to. */
struct page {
	struct rest_call *call;
	const char *list;
	char *filters;
};

static void page_free(void *state)
{
	struct page *page = state;

	mem_free(page->filters);
	mem_free(page);
}

static struct page *page_new(struct rest_call *call, const char *list, struct rest_query *q)
{
	struct page *page = mem_zalloc(sizeof(*page));

	page->call = call;
	page->list = list;
	page->filters = mem_strdup(q->filters.data);
	call->state = page;
	call->state_free = page_free;
	rest_begin(call);
	return page;
}

static void on_page(void *user, const struct error *err, json_t *result, struct span next)
{
	struct page *page = user;
	struct rest_call *call = page->call;

	if (!rest_end(call))
		return;
	if (err)
		rest_problem(call, err);
	else
		rest_list(call, json_incref(result), page->list, span_of(page->filters), next);
}

static void list(struct rest_call *call)
{
	struct catalog_filter filter;
	struct rest_query q;

	rest_query_init(&q, call);
	filter = (struct catalog_filter){
		.query = rest_query_text(&q, "q"),
		.type = rest_query_text(&q, "type"),
		.lifecycle = rest_query_text(&q, "lifecycle"),
		.team = rest_query_text(&q, "team"),
		.tag = rest_query_text(&q, "tag"),
		.provider = rest_query_text(&q, "provider"),
	};
	filter.limit =
		(unsigned)rest_query_number(&q, "limit", 1, REST_LIMIT_MAX, REST_LIMIT_DEFAULT);
	filter.after = rest_query_after(&q, "services");
	if (rest_query_end(&q))
		catalog_list(call->api->options.db, &call->context, &filter, on_page,
			page_new(call, "services", &q));
	rest_query_done(&q);
}

static void on_service(void *user, const struct error *err, json_t *result, struct span next)
{
	struct rest_call *call = user;

	(void)next;
	if (!rest_end(call))
		return;
	if (err)
		rest_problem(call, err);
	else
		rest_json(call, 200, json_incref(result));
}

static void get(struct rest_call *call)
{
	char name[NAME_MAX_BYTES];

	if (!rest_param(call, "name", name, sizeof(name)))
		return;
	rest_begin(call);
	catalog_get(call->api->options.db, &call->context, span_of(name), on_service, call);
}

static void dependencies(struct rest_call *call)
{
	struct catalog_walk walk = { 0 };
	struct span direction;
	char name[NAME_MAX_BYTES];
	struct rest_query q;

	if (!rest_param(call, "name", name, sizeof(name)))
		return;
	rest_query_init(&q, call);
	text_printf(&q.filters, "name=%s&", name);
	direction = rest_query_text(&q, "direction");
	walk.depth = (unsigned)rest_query_number(&q, "depth", 1, CATALOG_DEPTH_MAX, 1);
	text_printf(&q.filters, "depth=%u&", walk.depth);
	walk.limit =
		(unsigned)rest_query_number(&q, "limit", 1, REST_LIMIT_MAX, REST_LIMIT_DEFAULT);
	walk.after = rest_query_after(&q, "dependencies");
	walk.reverse = span_is(direction, "in");
	walk.name = span_of(name);
	if (direction.data && !walk.reverse && !span_is(direction, "out"))
		(void)error_set(&q.err, ERR_INVALID, "'direction' is 'out' or 'in'");
	if (rest_query_end(&q))
		catalog_dependencies(call->api->options.db, call->api->follow, &call->context,
			&walk, on_page, page_new(call, "dependencies", &q));
	rest_query_done(&q);
}

const struct rest_route rest_services_routes[] = {
	REST_ROUTE("GET", "/v1/services", SERVICE_READ, NONE, NONE, list),
	REST_ROUTE("GET", "/v1/services/{name}", SERVICE_READ, NONE, NONE, get),
	REST_ROUTE(
		"GET", "/v1/services/{name}/dependencies", SERVICE_READ, NONE, NONE, dependencies),
	REST_ROUTES_END,
};
