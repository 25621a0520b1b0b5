/* One set of routes per mount, found by the path's second segment, so that a request walks the
 * routes of its own plugin only. */
#include "front/table.h"

#include "base/error.h"
#include "base/map.h"
#include "base/mem.h"
#include "channel/protocol.h"

#define API "/api/"

struct table {
	uint64_t number;
	struct table_worker *workers;
	size_t worker_count;
	struct table_route *routes;
	size_t route_count;
	struct map mounts; /* mount -> struct routes */
};

static char *copy(struct span s)
{
	return mem_printf("%.*s", SPAN_ARG(s));
}

/* The mount that a path names, data NULL when it is not below /api/. */
static struct span mount_of(struct span path)
{
	struct span rest;
	const char *end;

	if (!span_starts(path, API))
		return SPAN_NONE;
	rest = (struct span){ path.data + sizeof(API) - 1, path.len - (sizeof(API) - 1) };
	end = memchr(rest.data, '/', rest.len);
	return (struct span){ rest.data, end ? (size_t)(end - rest.data) : rest.len };
}

void table_free(struct table *t)
{
	if (!t)
		return;
	map_for_each(entry, &t->mounts)
		routes_free(entry->value);
	map_done(&t->mounts);
	for (size_t i = 0; i < t->worker_count; i++) {
		mem_free(t->workers[i].installation);
		mem_free(t->workers[i].plugin);
		mem_free(t->workers[i].version);
		mem_free(t->workers[i].mount);
		mem_free(t->workers[i].permissions);
		mem_free(t->workers[i].provides);
	}
	for (size_t i = 0; i < t->route_count; i++) {
		mem_free(t->routes[i].name);
		mem_free(t->routes[i].method);
		mem_free(t->routes[i].scope);
	}
	mem_free(t->workers);
	mem_free(t->routes);
	mem_free(t);
}
CLEANUP_FUNCTION(struct table, table_free)

static int add_route(struct table *t, const struct front_table_route *from, struct error *err)
{
	struct table_route *route = &t->routes[t->route_count];
	struct span mount = mount_of(from->pattern);
	struct routes *routes;

	if (from->worker >= t->worker_count || mount.len == 0)
		return error_set(err, ERR_PROTOCOL, "route '%.*s' of the table has no worker",
			SPAN_ARG(from->name));
	*route = (struct table_route){
		.worker = &t->workers[from->worker],
		.name = copy(from->name),
		.method = copy(from->method),
		.scope = copy(from->scope),
		.deadline_ms = from->deadline_ms,
		.body_limit = from->body_limit,
	};
	t->route_count++;
	routes = map_get(&t->mounts, mount);
	if (!routes) {
		routes = routes_new();
		(void)map_put(&t->mounts, mount, routes);
	}
	return routes_add(routes, from->method, from->pattern, route, err);
}

int table_new(struct table **out, const struct front_table *message, struct error *err)
{
	CLEANUP(table_freep) struct table *t = mem_zalloc(sizeof(*t));
	int rc;

	map_init(&t->mounts);
	t->number = message->number;
	t->workers = mem_calloc(message->workers.count + 1, sizeof(*t->workers));
	for (; t->worker_count < message->workers.count; t->worker_count++) {
		const struct front_table_worker *from = &message->workers.items[t->worker_count];

		t->workers[t->worker_count] = (struct table_worker){
			.installation = copy(from->installation),
			.generation = from->generation,
			.plugin = copy(from->plugin),
			.version = copy(from->version),
			.mount = copy(from->mount),
			.permissions = copy(from->permissions),
			.provides = copy(from->provides),
			.draining = from->draining != 0,
		};
	}
	t->routes = mem_calloc(message->routes.count + 1, sizeof(*t->routes));
	for (size_t i = 0; i < message->routes.count; i++) {
		rc = add_route(t, &message->routes.items[i], err);
		if (rc < 0) {
			(void)error_wrap(err, "route table %llu", (unsigned long long)t->number);
			return rc;
		}
	}
	*out = TAKE(t);
	return 0;
}

uint64_t table_number(const struct table *t)
{
	return t->number;
}

size_t table_workers(const struct table *t)
{
	return t->worker_count;
}

struct table_worker *table_worker_at(const struct table *t, size_t index)
{
	return &t->workers[index];
}

int table_match(const struct table *t, struct span method, struct span path,
	const struct table_route **route, struct routes_found *params)
{
	struct span mount = mount_of(path);
	const struct routes *routes = mount.len ? map_get(&t->mounts, mount) : NULL;
	int rc;

	if (!routes)
		return ERR_NOT_FOUND;
	rc = routes_match(routes, method, path, params);
	if (rc == 0)
		*route = params->route;
	return rc;
}

void table_allow(const struct table *t, struct span path, struct text *out)
{
	struct span mount = mount_of(path);
	const struct routes *routes = mount.len ? map_get(&t->mounts, mount) : NULL;

	if (routes)
		routes_allow(routes, path, out);
}

bool table_lists(const char *list, struct span word)
{
	struct span rest = span_of(list), part;

	while (span_split(&rest, ' ', &part))
		if (part.len > 0 && span_equal(part, word))
			return true;
	return false;
}

const struct table_worker *table_provider(const struct table *t, struct span extension)
{
	for (size_t i = 0; i < t->worker_count; i++)
		if (!t->workers[i].draining && table_lists(t->workers[i].provides, extension))
			return &t->workers[i];
	return NULL;
}
