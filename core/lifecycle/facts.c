#include "lifecycle/facts.h"

#include <string.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/mem.h"
#include "store/packages.h"

/* Every text of the row, copied one behind the other into one piece of memory. */
struct copy {
	char *at;
	size_t room;
};

static struct span copy_text(struct copy *c, struct span text)
{
	struct span copied = { c->at, text.len };

	ASSERT(text.len <= c->room);
	if (text.len)
		memcpy(c->at, text.data, text.len);
	c->at += text.len;
	c->room -= text.len;
	return copied;
}

static size_t room_for(const struct store_package_facts *row)
{
	return row->name.len + row->version.len + row->mount.len + row->entry.len +
	       row->needs.rest.len + row->wants.rest.len + row->provides.rest.len +
	       row->route_names.rest.len + row->route_methods.rest.len +
	       row->route_patterns.rest.len + row->route_scopes.rest.len;
}

static void read_list(struct copy *c, struct facts_list *out, struct db_array array)
{
	struct span item;

	out->items = array.count ? mem_calloc(array.count, sizeof(*out->items)) : NULL;
	while (db_array_next(&array, &item))
		out->items[out->count++] = copy_text(c, item);
}

static int read_routes(
	struct copy *c, struct facts *f, const struct store_package_facts *row, struct error *err)
{
	struct db_array names = row->route_names, methods = row->route_methods;
	struct db_array patterns = row->route_patterns, scopes = row->route_scopes;
	struct db_array deadlines = row->route_deadlines_ms, limits = row->route_body_limits;
	struct span name, method, pattern, scope;
	int64_t deadline_ms, body_limit;

	f->routes = names.count ? mem_calloc(names.count, sizeof(*f->routes)) : NULL;
	while (db_array_next(&names, &name)) {
		if (!db_array_next(&methods, &method) || !db_array_next(&patterns, &pattern) ||
			!db_array_next(&scopes, &scope) ||
			!db_array_next_number(&deadlines, &deadline_ms) ||
			!db_array_next_number(&limits, &body_limit))
			return error_set(
				err, ERR_FORMAT, "route '%.*s' is not whole", SPAN_ARG(name));
		f->routes[f->route_count++] = (struct facts_route){ .name = copy_text(c, name),
			.method = copy_text(c, method),
			.pattern = copy_text(c, pattern),
			.scope = copy_text(c, scope),
			.deadline_ms = (uint32_t)deadline_ms,
			.body_limit = (uint64_t)body_limit };
	}
	return 0;
}

static int read_files(struct facts *f, const struct store_package_facts *row, struct error *err)
{
	struct db_array paths = row->file_paths, sizes = row->file_sizes;
	struct db_array modes = row->file_modes, hashes = row->file_hashes;
	struct span path, mode, hash;
	int64_t size;

	while (db_array_next(&paths, &path)) {
		if (!db_array_next_number(&sizes, &size) || !db_array_next(&modes, &mode) ||
			!db_array_next(&hashes, &hash) || hash.len != SHA256_SIZE)
			return error_set(
				err, ERR_FORMAT, "file '%.*s' has no SHA-256", SPAN_ARG(path));
		package_store_content_add(&f->content, path, (uint64_t)size, span_is(mode, "0755"),
			(const uint8_t *)hash.data);
	}
	return 0;
}

static int read_names(
	struct copy *c, struct facts *f, const struct store_package_facts *row, struct error *err)
{
	if (row->name.len == 0 || row->version.len == 0 || row->mount.len == 0)
		return error_set(err, ERR_FORMAT, "the package names no plugin or no version");
	if (row->entry.len == 0)
		return error_set(err, ERR_PLATFORM, "'%.*s' %.*s has no entry for " FACTS_TRIPLET,
			SPAN_ARG(row->name), SPAN_ARG(row->version));
	f->name = copy_text(c, row->name);
	f->version = copy_text(c, row->version);
	f->mount = copy_text(c, row->mount);
	f->entry = copy_text(c, row->entry);
	return 0;
}

int facts_read(struct facts *out, const struct store_package_facts *row, struct span digest,
	struct error *err)
{
	struct copy c = { NULL, room_for(row) };
	int rc = 0;

	memset(out, 0, sizeof(*out));
	package_store_content_init(&out->content);
	out->memory = mem_alloc(c.room + 1);
	c.at = out->memory;
	if (!digest_parse(digest, out->content.digest))
		rc = error_set(err, ERR_FORMAT, "'%.*s' is not a digest", SPAN_ARG(digest));
	if (rc == 0)
		rc = read_names(&c, out, row, err);
	if (rc == 0)
		rc = read_routes(&c, out, row, err);
	if (rc == 0)
		rc = read_files(out, row, err);
	if (rc < 0) {
		facts_done(out);
		return rc;
	}
	read_list(&c, &out->needs, row->needs);
	read_list(&c, &out->wants, row->wants);
	read_list(&c, &out->provides, row->provides);
	out->health_interval_ms = (uint32_t)row->health_interval_ms;
	out->health_timeout_ms = (uint32_t)row->health_timeout_ms;
	out->health_failures = (unsigned)row->health_failures;
	out->memory_bytes = (uint64_t)row->memory_bytes;
	out->disk_bytes = (uint64_t)row->disk_bytes;
	return 0;
}

void facts_done(struct facts *f)
{
	mem_free(f->memory);
	mem_free(f->routes);
	mem_free(f->needs.items);
	mem_free(f->wants.items);
	mem_free(f->provides.items);
	package_store_content_done(&f->content);
	memset(f, 0, sizeof(*f));
}
