#include "lifecycle/facts.h"

#include <string.h>

#include <jansson.h>

#include "base/error.h"
#include "base/mem.h"
#include "codec/json.h"

#define HEALTH_INTERVAL_MS 5000
#define HEALTH_TIMEOUT_MS  2000
#define HEALTH_FAILURES    3
/* Of a route that names none; package/manifest.c says the same. */
#define DEADLINE_MS 30000
#define BODY_LIMIT  (UINT64_C(1) << 20)

static struct span member_text(const json_t *object, const char *key)
{
	struct span s = json_span(json_object_get(object, key));

	return s.data ? s : SPAN("");
}

static uint64_t member_number(const json_t *object, const char *key, uint64_t fallback)
{
	const json_t *value = json_object_get(object, key);

	return json_is_integer(value) && json_integer_value(value) >= 0
		       ? (uint64_t)json_integer_value(value)
		       : fallback;
}

static void read_list(struct facts_list *out, const json_t *array)
{
	size_t n = json_array_size(array);

	out->items = n ? mem_calloc(n, sizeof(*out->items)) : NULL;
	for (size_t i = 0; i < n; i++)
		if (json_span(json_array_get(array, i)).data)
			out->items[out->count++] = json_span(json_array_get(array, i));
}

static void read_routes(struct facts *f, const json_t *array)
{
	size_t n = json_array_size(array);

	f->routes = n ? mem_calloc(n, sizeof(*f->routes)) : NULL;
	for (size_t i = 0; i < n; i++) {
		const json_t *route = json_array_get(array, i);
		struct facts_route *r = &f->routes[f->route_count++];
		char *pattern = mem_printf("/api/%.*s%.*s", SPAN_ARG(f->mount),
			SPAN_ARG(member_text(route, "pattern")));

		r->name = member_text(route, "name");
		r->method = member_text(route, "method");
		r->pattern = span_of(pattern);
		r->scope = member_text(route, "scope");
		r->deadline_ms = (uint32_t)member_number(route, "deadline_ms", DEADLINE_MS);
		r->body_limit = member_number(route, "body_limit", BODY_LIMIT);
	}
}

static int read_files(struct facts *f, const json_t *array, struct error *err)
{
	size_t i;
	const json_t *file;

	json_array_foreach(array, i, file)
	{
		uint8_t sha256[SHA256_SIZE];

		if (!hex_decode(member_text(file, "sha256"), sha256, sizeof(sha256)))
			return error_set(
				err, ERR_FORMAT, "the manifest's files[%zu] has no SHA-256", i);
		package_store_content_add(&f->content, member_text(file, "path"),
			member_number(file, "size", 0), span_is(member_text(file, "mode"), "0755"),
			sha256);
	}
	return 0;
}

static void read_health(struct facts *f, const json_t *health)
{
	f->health_interval_ms = (uint32_t)member_number(health, "interval_ms", HEALTH_INTERVAL_MS);
	f->health_timeout_ms = (uint32_t)member_number(health, "timeout_ms", HEALTH_TIMEOUT_MS);
	f->health_failures = (unsigned)member_number(health, "failures", HEALTH_FAILURES);
}

static int read_names(struct facts *f, struct error *err)
{
	const char *slash;

	f->name = member_text(f->manifest, "name");
	f->version = member_text(f->manifest, "version");
	f->mount = member_text(f->manifest, "mount");
	slash = memchr(f->name.data, '/', f->name.len);
	if (!slash || f->version.len == 0)
		return error_set(err, ERR_FORMAT, "the manifest names no plugin or no version");
	if (f->mount.len == 0)
		f->mount = (struct span){ slash + 1,
			f->name.len - (size_t)(slash + 1 - f->name.data) };
	f->entry = member_text(json_object_get(f->manifest, "entry"), FACTS_TRIPLET);
	if (f->entry.len == 0)
		return error_set(err, ERR_PLATFORM, "'%.*s' %.*s has no entry for " FACTS_TRIPLET,
			SPAN_ARG(f->name), SPAN_ARG(f->version));
	return 0;
}

int facts_read(struct facts *out, struct span manifest, struct span digest, struct error *err)
{
	const json_t *requires, *resources;
	int rc;

	memset(out, 0, sizeof(*out));
	package_store_content_init(&out->content);
	rc = json_parse(&out->manifest, manifest, NULL, err);
	if (rc == 0 && !digest_parse(digest, out->content.digest))
		rc = error_set(err, ERR_FORMAT, "'%.*s' is not a digest", SPAN_ARG(digest));
	if (rc == 0)
		rc = read_names(out, err);
	if (rc == 0)
		rc = read_files(out, json_object_get(out->manifest, "files"), err);
	if (rc < 0) {
		facts_done(out);
		return rc;
	}
	requires = json_object_get(out->manifest, "requires");
	resources = json_object_get(out->manifest, "resources");
	read_list(&out->needs, json_object_get(requires, "abi"));
	read_list(&out->wants, json_object_get(requires, "optional"));
	read_list(&out->provides, json_object_get(out->manifest, "provides"));
	read_routes(out, json_object_get(out->manifest, "routes"));
	read_health(out, json_object_get(out->manifest, "health"));
	out->memory_bytes = member_number(resources, "memory_bytes", 0);
	out->disk_bytes = member_number(resources, "disk_bytes", 0);
	return 0;
}

void facts_done(struct facts *f)
{
	for (size_t i = 0; i < f->route_count; i++)
		mem_free((void *)(uintptr_t)f->routes[i].pattern.data);
	mem_free(f->routes);
	mem_free(f->needs.items);
	mem_free(f->wants.items);
	mem_free(f->provides.items);
	package_store_content_done(&f->content);
	json_decref(f->manifest);
	memset(f, 0, sizeof(*f));
}
