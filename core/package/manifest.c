#include "package/manifest.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/map.h"
#include "base/semver_range.h"
#include "codec/json.h"
#include "codec/shown.h"
#include "package/config.h"
#include "package/elf_lint.h"
#include "package/tar_priv.h"

/* Widths of the columns of plugins and plugin_versions, in characters. */
#define WIDTH_DISPLAY_NAME 255
#define WIDTH_CATEGORY     100
#define WIDTH_LICENSE      50
#define WIDTH_URL          500
#define WIDTH_AUTHOR       255
#define WIDTH_VERSION      SEMVER_MAX
#define WIDTH_TAG          64

#define ROUTE_NAME_MAX        40
#define ROUTE_PATTERN_MAX     200
#define ROUTE_SEGMENTS_MAX    16
#define ROUTE_DEADLINE_MS     30000
#define ROUTE_DEADLINE_MS_MAX 86400000
#define ROUTE_BODY            (INT64_C(1) << 20)
#define ROUTE_BODY_MAX        (INT64_C(1) << 34)
#define SCOPE_MAX             100
#define INTERFACE_MAX         64
#define RANGE_MAX             100
#define MEMORY_MIN            (INT64_C(1) << 20)
#define RESOURCE_MAX          (INT64_C(1) << 50)
#define CPU_PERCENT_MAX       100000
#define HEALTH_MS_MAX         3600000
#define HEALTH_FAILURES_MAX   100

static const char *const methods[] = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS" };

/* Ids that the host itself serves and no plugin may. */
static const char *const host_interfaces[] = {
#define X(name, id, side, abi) id,
#include "mortise/interfaces.def"
#undef X
};

static bool lower_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* [a-z0-9-], 1 to max characters, no dash in front: it would read as a flag. */
static bool slug_valid(struct span s, size_t max)
{
	if (s.len == 0 || s.len > max || s.data[0] == '-')
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!lower_or_digit(s.data[i]) && s.data[i] != '-')
			return false;
	return true;
}

bool manifest_name_valid(struct span name)
{
	struct span rest = name, publisher;

	return span_split(&rest, '/', &publisher) && rest.data &&
	       slug_valid(publisher, MANIFEST_PUBLISHER_MAX) &&
	       slug_valid(rest, MANIFEST_PLUGIN_MAX);
}

const char *manifest_host_triplet(void)
{
#if defined(__x86_64__)
	return "x86_64-linux-gnu";
#elif defined(__aarch64__)
	return "aarch64-linux-gnu";
#elif defined(__riscv) && __riscv_xlen == 64
	return "riscv64-linux-gnu";
#else
#error "add this platform here and to elf_lint.c"
#endif
}

static int check_component(struct span part, struct span path, struct error *err)
{
	if (span_is(part, ".."))
		return error_set(
			err, ERR_PATH_PARENT, "path '%s' has a component '..'", shown(path).text);
	if (part.len == 0 || part.data[0] == '.' || part.data[0] == '-')
		return error_set(err, ERR_PATH_NAME,
			"path '%s' has a component that is empty or begins with '.' or '-'",
			shown(path).text);
	if (part.len > MANIFEST_COMPONENT_MAX)
		return error_set(err, ERR_PATH_NAME,
			"path '%s' has a component of more than %d characters", shown(path).text,
			MANIFEST_COMPONENT_MAX);
	for (size_t i = 0; i < part.len; i++) {
		char c = part.data[i];

		if (!lower_or_digit(c) && !(c >= 'A' && c <= 'Z') && c != '.' && c != '_' &&
			c != '+' && c != '-')
			return error_set(err, ERR_PATH_NAME,
				"path '%s' has a character that is not allowed", shown(path).text);
	}
	return 0;
}

int manifest_check_path(struct span path, struct error *err)
{
	struct span rest = path, part;
	size_t depth = 0;
	int rc = 0;

	if (path.len > 0 && path.data[0] == '/')
		return error_set(err, ERR_PATH_ABSOLUTE, "path '%s' is absolute", shown(path).text);
	while (rc == 0 && span_split(&rest, '/', &part)) {
		rc = check_component(part, path, err);
		depth++;
	}
	if (rc < 0)
		return rc;
	if (path.len == 0 || path.len > MANIFEST_PATH_MAX || depth > MANIFEST_DEPTH_MAX ||
		!tar_path_fits(path))
		return error_set(err, ERR_PATH_NAME,
			"path '%s' is empty, longer than %d characters or %d components, or does "
			"not fit a ustar header",
			shown(path).text, MANIFEST_PATH_MAX, MANIFEST_DEPTH_MAX);
	return 0;
}

/* ---- the parts of the manifest -------------------------------------------------------------- */

/* A finding whose code is not the reader's. */
static void adopt(struct json_reader *r, int rc)
{
	if (r->rc == 0)
		r->rc = rc;
}

static void value_fail(struct json_reader *r, const char *key, const char *why)
{
	if (r->rc < 0)
		return;
	r->code = ERR_MANIFEST_VALUE;
	json_reader_fail(r, key, "%s", why);
}

static bool url_valid(struct span url)
{
	if (!span_starts(url, "https://") && !span_starts(url, "http://"))
		return false;
	for (size_t i = 0; i < url.len; i++)
		if (url.data[i] <= ' ' || url.data[i] > '~')
			return false;
	return true;
}

static void read_url(struct json_reader *r, const char *key)
{
	struct span url = json_read_text(r, key, JSON_OPTIONAL, WIDTH_URL);

	if (url.len && !url_valid(url))
		value_fail(r, key, "is not an http or https URL in ASCII");
}

static void read_version(
	struct json_reader *r, const char *key, enum json_need need, struct span *out)
{
	struct span text = json_read_text(r, key, need, WIDTH_VERSION);
	struct semver version;

	if (text.data && !semver_parse(text, &version))
		value_fail(r, key, "is not a version such as 1.0.0 (SemVer 2.0.0)");
	if (out)
		*out = text;
}

/* [a-z0-9.-]+/N */
static bool interface_valid(struct span id)
{
	struct span rest = id, name;
	uint64_t revision;

	if (id.len > INTERFACE_MAX || !span_split(&rest, '/', &name) || name.len == 0)
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (!lower_or_digit(name.data[i]) && name.data[i] != '.' && name.data[i] != '-')
			return false;
	return rest.data && span_u64(rest, UINT32_MAX, &revision) && rest.data[0] != '0';
}

/* "area.verb", "area.verb:object" or, for a permission, "area" alone. */
static bool scope_valid(struct span scope, bool area_alone)
{
	struct span head = scope, object = scope, area, verb;

	(void)span_split(&object, ':', &head);
	if (object.data && object.len == 0)
		return false;
	for (size_t i = 0; i < object.len; i++)
		if (object.data[i] <= ' ' || object.data[i] > '~')
			return false;
	verb = head;
	if (!span_split(&verb, '.', &area) || !slug_valid(area, MANIFEST_PLUGIN_MAX))
		return false;
	return verb.data ? slug_valid(verb, MANIFEST_PLUGIN_MAX) : area_alone && !object.data;
}

static bool stands_before(const json_t *array, size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (json_equal(json_array_get(array, i), json_array_get(array, index)))
			return true;
	return false;
}

enum list_kind { LIST_TAGS, LIST_PERMISSIONS, LIST_PROVIDES, LIST_INTERFACES };

static bool element_valid(enum list_kind kind, struct span element)
{
	switch (kind) {
	case LIST_TAGS:
		return element.len > 0 && json_length(element) <= WIDTH_TAG;
	case LIST_PERMISSIONS:
		return element.len <= SCOPE_MAX && scope_valid(element, true);
	case LIST_PROVIDES:
		for (size_t i = 0; i < ARRAY_LENGTH(host_interfaces); i++)
			if (span_is(element, host_interfaces[i]))
				return false;
		return interface_valid(element) && !span_starts(element, "mortise.");
	case LIST_INTERFACES:
		return interface_valid(element);
	}
	return false;
}

/* An array of different strings; into out where it is not NULL. */
static size_t read_list(struct json_reader *r, const char *key, enum list_kind kind,
	struct span out[MANIFEST_INTERFACES_MAX])
{
	const json_t *array = json_read_array(r, key, JSON_OPTIONAL, MANIFEST_LIST_MAX);
	size_t n = json_array_size(array);

	_Static_assert(MANIFEST_LIST_MAX <= MANIFEST_INTERFACES_MAX, "a list fits");
	for (size_t i = 0; i < n && r->rc == 0; i++) {
		struct span element = json_span(json_array_get(array, i));

		if (!element.data)
			json_reader_fail(r, key, "holds something that is no string");
		else if (!element_valid(kind, element))
			value_fail(r, key, "holds an element that is not allowed there");
		else if (stands_before(array, i))
			value_fail(r, key, "holds an element twice");
		if (out)
			out[i] = element;
	}
	return r->rc < 0 ? 0 : n;
}

static void read_author(struct json_reader *outer, struct error *err)
{
	const json_t *object = json_read_object(outer, "author", JSON_OPTIONAL);
	struct json_reader r;

	if (!object)
		return;
	json_reader_init(&r, object, "manifest.author", ERR_MANIFEST_FORM, err);
	(void)json_read_text(&r, "name", JSON_OPTIONAL, WIDTH_AUTHOR);
	(void)json_read_text(&r, "email", JSON_OPTIONAL, WIDTH_AUTHOR);
	adopt(outer, json_reader_end(&r));
}

static void read_requires(struct json_reader *outer, struct manifest *m, struct error *err)
{
	const json_t *object = json_read_object(outer, "requires", JSON_OPTIONAL);
	struct json_reader r;

	if (!object)
		return;
	json_reader_init(&r, object, "manifest.requires", ERR_MANIFEST_FORM, err);
	m->require_count = read_list(&r, "abi", LIST_INTERFACES, m->requires);
	m->optional_count = read_list(&r, "optional", LIST_INTERFACES, m->optional);
	adopt(outer, json_reader_end(&r));
}

static void read_entries(struct json_reader *r, struct manifest *m, struct error *err)
{
	const json_t *object = json_read_object(r, "entry", JSON_REQUIRED);
	const char *triplet;
	json_t *path;

	if (!object || r->rc < 0)
		return;
	if (json_object_size(object) == 0 || json_object_size(object) > MANIFEST_ENTRIES_MAX) {
		value_fail(r, "entry", "has no platform or too many");
		return;
	}
	json_object_foreach((json_t *)object, triplet, path)
	{
		struct manifest_entry *entry = &m->entries[m->entry_count++];

		*entry = (struct manifest_entry){ span_of(triplet), json_span(path) };
		if (!elf_triplet_known(entry->triplet))
			value_fail(r, "entry", "names a platform that is not known");
		else if (!entry->path.data)
			json_reader_fail(r, "entry", "holds a path that is no string");
		else
			adopt(r, manifest_check_path(entry->path, err));
		if (r->rc < 0)
			return;
	}
}

static bool method_known(struct span method)
{
	for (size_t i = 0; i < ARRAY_LENGTH(methods); i++)
		if (span_is(method, methods[i]))
			return true;
	return false;
}

static bool route_name_valid(struct span name)
{
	if (name.len == 0 || name.len > ROUTE_NAME_MAX)
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (!lower_or_digit(name.data[i]) && name.data[i] != '_' && name.data[i] != '-')
			return false;
	return true;
}

/* The name in a segment "{name}", else SPAN_NONE. */
static struct span parameter_of(struct span segment)
{
	if (segment.len < 3 || segment.data[0] != '{' || segment.data[segment.len - 1] != '}')
		return SPAN_NONE;
	return (struct span){ segment.data + 1, segment.len - 2 };
}

static bool segment_valid(struct span segment)
{
	struct span parameter = parameter_of(segment);
	struct span checked = parameter.data ? parameter : segment;

	/* "." and ".." mean something else to every client. */
	if (checked.len == 0 || span_is(checked, ".") || span_is(checked, ".."))
		return false;
	for (size_t i = 0; i < checked.len; i++) {
		char c = checked.data[i];

		if (lower_or_digit(c) || (c >= 'A' && c <= 'Z') || c == '_')
			continue;
		if (parameter.data || (c != '.' && c != '~' && c != '-'))
			return false;
	}
	return true;
}

/* "/" or "/segment/{parameter}..."; parameter names differ. */
static bool pattern_valid(struct span pattern)
{
	struct span seen[ROUTE_SEGMENTS_MAX], rest, segment;
	size_t parameters = 0, segments = 0;

	if (pattern.len == 0 || pattern.len > ROUTE_PATTERN_MAX || pattern.data[0] != '/')
		return false;
	if (pattern.len == 1)
		return true;
	rest = (struct span){ pattern.data + 1, pattern.len - 1 };
	while (span_split(&rest, '/', &segment)) {
		struct span parameter = parameter_of(segment);

		if (!segment_valid(segment) || segments++ == ROUTE_SEGMENTS_MAX)
			return false;
		if (!parameter.data)
			continue;
		for (size_t i = 0; i < parameters; i++)
			if (span_equal(seen[i], parameter))
				return false;
		seen[parameters++] = parameter;
	}
	return true;
}

/* Whether two patterns match the same paths: equal but for the names of parameters. */
static bool patterns_equal(struct span a, struct span b)
{
	struct span x, y;

	for (;;) {
		bool more_a = span_split(&a, '/', &x), more_b = span_split(&b, '/', &y);

		if (!more_a || !more_b)
			return more_a == more_b;
		if ((parameter_of(x).data != NULL) != (parameter_of(y).data != NULL))
			return false;
		if (!parameter_of(x).data && !span_equal(x, y))
			return false;
	}
}

static int read_route(struct manifest *m, const json_t *object, size_t index, struct error *err)
{
	struct manifest_route *route = &m->routes[index];
	struct json_reader r;
	char where[40];

	(void)snprintf(where, sizeof(where), "manifest.routes[%zu]", index);
	json_reader_init(&r, object, where, ERR_MANIFEST_FORM, err);
	route->name = json_read_text(&r, "name", JSON_REQUIRED, ROUTE_NAME_MAX);
	route->method = json_read_text(&r, "method", JSON_REQUIRED, 10);
	route->pattern = json_read_text(&r, "pattern", JSON_REQUIRED, ROUTE_PATTERN_MAX);
	route->scope = json_read_text(&r, "scope", JSON_REQUIRED, SCOPE_MAX);
	route->deadline_ms = json_read_integer(
		&r, "deadline_ms", JSON_OPTIONAL, 1, ROUTE_DEADLINE_MS_MAX, ROUTE_DEADLINE_MS);
	route->body_limit =
		json_read_integer(&r, "body_limit", JSON_OPTIONAL, 0, ROUTE_BODY_MAX, ROUTE_BODY);
	if (!route_name_valid(route->name))
		value_fail(&r, "name", "is not 1 to 40 of a-z 0-9 _ -");
	if (!method_known(route->method))
		value_fail(&r, "method", "is not GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS");
	if (!pattern_valid(route->pattern))
		value_fail(&r, "pattern", "is not '/' and segments, each literal or {parameter}");
	if (!scope_valid(route->scope, false))
		value_fail(&r, "scope", "is not area.verb or area.verb:object");
	for (size_t i = 0; i < index && r.rc == 0; i++) {
		if (span_equal(route->name, m->routes[i].name))
			value_fail(&r, "name", "stands twice");
		if (span_equal(route->method, m->routes[i].method) &&
			patterns_equal(route->pattern, m->routes[i].pattern))
			value_fail(&r, "pattern", "matches the same requests as an earlier route");
	}
	return json_reader_end(&r);
}

static void read_routes(struct json_reader *r, struct manifest *m, struct error *err)
{
	const json_t *array = json_read_array(r, "routes", JSON_OPTIONAL, MANIFEST_ROUTES_MAX);

	m->route_count = json_array_size(array);
	for (size_t i = 0; i < m->route_count && r->rc == 0; i++)
		adopt(r, read_route(m, json_array_get(array, i), i, err));
}

static void read_resources(struct json_reader *outer, struct error *err)
{
	const json_t *object = json_read_object(outer, "resources", JSON_OPTIONAL);
	struct json_reader r;

	if (!object)
		return;
	json_reader_init(&r, object, "manifest.resources", ERR_MANIFEST_FORM, err);
	(void)json_read_integer(&r, "memory_bytes", JSON_OPTIONAL, MEMORY_MIN, RESOURCE_MAX, 0);
	(void)json_read_integer(&r, "cpu_percent", JSON_OPTIONAL, 1, CPU_PERCENT_MAX, 0);
	(void)json_read_integer(&r, "disk_bytes", JSON_OPTIONAL, 0, RESOURCE_MAX, 0);
	adopt(outer, json_reader_end(&r));
}

static void read_health(struct json_reader *outer, struct error *err)
{
	const json_t *object = json_read_object(outer, "health", JSON_OPTIONAL);
	struct json_reader r;

	if (!object)
		return;
	json_reader_init(&r, object, "manifest.health", ERR_MANIFEST_FORM, err);
	(void)json_read_integer(&r, "interval_ms", JSON_OPTIONAL, 100, HEALTH_MS_MAX, 0);
	(void)json_read_integer(&r, "timeout_ms", JSON_OPTIONAL, 1, HEALTH_MS_MAX, 0);
	(void)json_read_integer(&r, "failures", JSON_OPTIONAL, 1, HEALTH_FAILURES_MAX, 0);
	read_url(&r, "url");
	adopt(outer, json_reader_end(&r));
}

/* Defaults may leave out what the schema requires, for the admin gives that; what they do set must
 * be valid. */
static int check_defaults(const json_t *schema, const json_t *defaults, struct error *err)
{
	CLEANUP(json_freep) json_t *partial = NULL;
	int rc;

	if (!schema || !defaults)
		return 0;
	partial = json_copy((json_t *)schema);
	(void)json_object_del(partial, "required");
	rc = config_validate(partial, defaults, err);
	if (rc < 0)
		(void)error_wrap(err, "manifest.config.defaults");
	return rc;
}

static void read_config(struct json_reader *outer, struct manifest *m, struct error *err)
{
	const json_t *object = json_read_object(outer, "config", JSON_OPTIONAL);
	struct json_reader r;

	if (!object)
		return;
	json_reader_init(&r, object, "manifest.config", ERR_MANIFEST_FORM, err);
	m->config_schema = json_read_object(&r, "schema", JSON_OPTIONAL);
	m->config_defaults = json_read_object(&r, "defaults", JSON_OPTIONAL);
	adopt(outer, json_reader_end(&r));
	if (outer->rc == 0 && m->config_schema)
		adopt(outer, config_check_schema(m->config_schema, err));
	if (outer->rc == 0)
		adopt(outer, check_defaults(m->config_schema, m->config_defaults, err));
}

static int read_dependency(const json_t *object, const char *list, size_t index, struct error *err)
{
	struct semver_range parsed;
	struct json_reader r;
	struct span name, range;
	char where[60];

	(void)snprintf(where, sizeof(where), "manifest.%s[%zu]", list, index);
	json_reader_init(&r, object, where, ERR_MANIFEST_FORM, err);
	name = json_read_text(&r, "name", JSON_REQUIRED, MANIFEST_PATH_MAX);
	range = json_read_text(&r, "range", JSON_REQUIRED, RANGE_MAX);
	(void)json_read_boolean(&r, "optional", false);
	if (name.data && !manifest_name_valid(name))
		value_fail(&r, "name", "is not publisher/plugin");
	if (range.data && !semver_range_parse(range, &parsed))
		value_fail(
			&r, "range", "is no range of versions such as '^1.2' or '>=1.0.0 <2.0.0'");
	return json_reader_end(&r);
}

static void read_dependencies(struct json_reader *r, const char *key, struct error *err)
{
	const json_t *array = json_read_array(r, key, JSON_OPTIONAL, MANIFEST_LIST_MAX);

	for (size_t i = 0; i < json_array_size(array) && r->rc == 0; i++)
		adopt(r, read_dependency(json_array_get(array, i), key, i, err));
}

static void read_span(struct json_reader *outer, const char *key, struct error *err)
{
	const json_t *object = json_read_object(outer, key, JSON_OPTIONAL);
	struct json_reader r;

	if (!object)
		return;
	json_reader_init(&r, object, key, ERR_MANIFEST_FORM, err);
	read_version(&r, "min", JSON_OPTIONAL, NULL);
	read_version(&r, "max", JSON_OPTIONAL, NULL);
	adopt(outer, json_reader_end(&r));
}

/* ---- payload and files ---------------------------------------------------------------------- */

static void read_digest(struct json_reader *r, uint8_t out[static SHA256_SIZE])
{
	struct span hex = json_read_text(r, "sha256", JSON_REQUIRED, 2 * SHA256_SIZE);

	if (r->rc == 0 && !hex_decode(hex, out, SHA256_SIZE))
		json_reader_fail(r, "sha256", "is not 64 lower-case hex digits");
}

static void read_payload(struct json_reader *outer, struct manifest *m, struct error *err)
{
	const json_t *object = json_read_object(outer, "payload", JSON_REQUIRED);
	struct json_reader r;

	if (!object)
		return;
	json_reader_init(&r, object, "manifest.payload", ERR_MANIFEST_FORM, err);
	m->payload_size =
		(uint64_t)json_read_integer(&r, "size", JSON_REQUIRED, 1, INT64_MAX / 2, 0);
	m->unpacked_size = (uint64_t)json_read_integer(
		&r, "unpacked_size", JSON_REQUIRED, 1, INT64_MAX / 2, 0);
	read_digest(&r, m->payload_digest);
	adopt(outer, json_reader_end(&r));
}

static int read_file(
	struct manifest_file *file, const json_t *object, size_t index, struct error *err)
{
	struct json_reader r;
	struct span mode;
	char where[40];
	int rc;

	(void)snprintf(where, sizeof(where), "manifest.files[%zu]", index);
	json_reader_init(&r, object, where, ERR_MANIFEST_FORM, err);
	file->path = json_read_text(&r, "path", JSON_REQUIRED, MANIFEST_BYTES_MAX);
	file->size = (uint64_t)json_read_integer(
		&r, "size", JSON_REQUIRED, 0, (INT64_C(1) << 33) - 1, 0);
	mode = json_read_text(&r, "mode", JSON_REQUIRED, MANIFEST_PATH_MAX);
	file->mode = span_is(mode, "0755") ? 0755 : 0644;
	read_digest(&r, file->digest);
	rc = json_reader_end(&r);
	if (rc == 0 && !span_is(mode, "0644") && !span_is(mode, "0755"))
		rc = error_set(err, ERR_ENTRY_MODE, "'%s.mode' is neither 0644 nor 0755", where);
	return rc < 0 ? rc : manifest_check_path(file->path, err);
}

/* A path or a folder of one, as it was first seen. */
struct seen {
	struct span path;
	bool folder;
};

static struct span fold_case(struct span path, char out[MANIFEST_PATH_MAX])
{
	for (size_t i = 0; i < path.len; i++) {
		char c = path.data[i];

		out[i] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
	}
	return (struct span){ out, path.len };
}

static int note_path(struct map *paths, struct span path, bool folder, struct error *err)
{
	char folded[MANIFEST_PATH_MAX];
	struct span key = fold_case(path, folded);
	struct seen *seen = map_get(paths, key);

	if (!seen) {
		seen = mem_alloc(sizeof(*seen));
		*seen = (struct seen){ path, folder };
		(void)map_put(paths, key, seen);
		return 0;
	}
	if (!span_equal(seen->path, path))
		return error_set(err, ERR_PATH_CASE, "paths '%s' and '%s' differ in case only",
			shown(seen->path).text, shown(path).text);
	if (folder && seen->folder)
		return 0;
	return error_set(err, ERR_PATH_DUPLICATE, "path '%s' stands twice", shown(path).text);
}

static int check_paths(const struct manifest *m, struct error *err)
{
	struct map paths;
	int rc = 0;

	map_init(&paths);
	for (size_t i = 0; i < m->file_count && rc == 0; i++) {
		struct span path = m->files[i].path;

		for (size_t at = 0; at < path.len && rc == 0; at++)
			if (path.data[at] == '/')
				rc = note_path(&paths, (struct span){ path.data, at }, true, err);
		if (rc == 0)
			rc = note_path(&paths, path, false, err);
	}
	map_for_each(entry, &paths)
		mem_free(entry->value);
	map_done(&paths);
	return rc;
}

static void read_files(struct json_reader *r, struct manifest *m, struct error *err)
{
	const json_t *array = json_read_array(r, "files", JSON_REQUIRED, MANIFEST_FILES_MAX);

	if (r->rc < 0)
		return;
	m->file_count = json_array_size(array);
	m->files = mem_calloc(m->file_count ? m->file_count : 1, sizeof(*m->files));
	for (size_t i = 0; i < m->file_count && r->rc == 0; i++)
		adopt(r, read_file(&m->files[i], json_array_get(array, i), i, err));
	if (r->rc == 0)
		adopt(r, check_paths(m, err));
}

/* What the manifest names as a file must be one of its files. */
static int check_named(const struct manifest *m, struct span readme, struct error *err)
{
	for (size_t i = 0; i < m->entry_count; i++)
		if (!manifest_find_file(m, m->entries[i].path))
			return error_set(err, ERR_MANIFEST_VALUE,
				"'manifest.entry' names '%s', which is not among the files",
				shown(m->entries[i].path).text);
	if (readme.len && !manifest_find_file(m, readme))
		return error_set(err, ERR_MANIFEST_VALUE,
			"'manifest.readme' names '%s', which is not among the files",
			shown(readme).text);
	return 0;
}

/* ---- the whole ------------------------------------------------------------------------------ */

static void read_name(struct json_reader *r, struct manifest *m)
{
	struct span rest;

	m->name = json_read_text(r, "name", JSON_REQUIRED, MANIFEST_PATH_MAX);
	if (r->rc < 0)
		return;
	if (!manifest_name_valid(m->name)) {
		value_fail(r, "name", "is not publisher/plugin of a-z 0-9 -, at most 30 and 64");
		return;
	}
	rest = m->name;
	(void)span_split(&rest, '/', &m->publisher);
	m->plugin = rest;
}

static void read_running(struct json_reader *r, struct manifest *m)
{
	struct span instances = json_read_text(r, "instances", JSON_OPTIONAL, 10);

	if (instances.data && !span_is(instances, "one") && !span_is(instances, "many"))
		value_fail(r, "instances", "is neither 'one' nor 'many'");
	m->many = span_is(instances, "many");
	m->mount = json_read_text(r, "mount", JSON_OPTIONAL, MANIFEST_PLUGIN_MAX);
	if (!m->mount.data)
		m->mount = m->plugin;
	else if (!slug_valid(m->mount, MANIFEST_PLUGIN_MAX))
		value_fail(r, "mount", "is not 1 to 64 of a-z 0-9 -");
}

static void read_described(struct json_reader *r, struct manifest *m)
{
	struct span released;
	int64_t time;

	m->display_name = json_read_text(r, "display_name", JSON_REQUIRED, WIDTH_DISPLAY_NAME);
	(void)json_read_text(r, "description", JSON_OPTIONAL, MANIFEST_TEXT_MAX);
	(void)json_read_text(r, "category", JSON_OPTIONAL, WIDTH_CATEGORY);
	(void)json_read_text(r, "license", JSON_OPTIONAL, WIDTH_LICENSE);
	(void)json_read_text(r, "changelog", JSON_OPTIONAL, MANIFEST_TEXT_MAX);
	(void)json_read_text(r, "release_notes", JSON_OPTIONAL, MANIFEST_TEXT_MAX);
	(void)json_read_boolean(r, "breaking", false);
	(void)read_list(r, "tags", LIST_TAGS, NULL);
	read_url(r, "homepage");
	read_url(r, "repository");
	read_url(r, "documentation");
	released = json_read_text(r, "released_at", JSON_OPTIONAL, CLOCK_TEXT_SIZE);
	if (released.data && !clock_parse(released, &time))
		value_fail(r, "released_at", "is not a time such as 2026-11-01T00:00:00Z");
}

static int read_manifest(struct manifest *m, enum manifest_kind kind, struct error *err)
{
	struct json_reader r;
	struct span readme;
	int rc;

	json_reader_init(&r, m->json, "manifest", ERR_MANIFEST_FORM, err);
	read_name(&r, m);
	read_version(&r, "version", JSON_REQUIRED, &m->version);
	read_described(&r, m);
	read_author(&r, err);
	read_requires(&r, m, err);
	read_entries(&r, m, err);
	read_running(&r, m);
	read_routes(&r, m, err);
	(void)read_list(&r, "permissions", LIST_PERMISSIONS, NULL);
	(void)read_list(&r, "provides", LIST_PROVIDES, NULL);
	read_resources(&r, err);
	read_health(&r, err);
	read_config(&r, m, err);
	read_dependencies(&r, "dependencies", err);
	read_dependencies(&r, "peer_dependencies", err);
	read_span(&r, "platform", err);
	read_span(&r, "backstage", err);
	readme = json_read_text(&r, "readme", JSON_OPTIONAL, MANIFEST_PATH_MAX);
	if (readme.len && r.rc == 0)
		adopt(&r, manifest_check_path(readme, err));
	if (kind == MANIFEST_PACKAGE) {
		read_payload(&r, m, err);
		read_files(&r, m, err);
	}
	rc = json_reader_end(&r);
	if (rc == 0 && kind == MANIFEST_PACKAGE)
		rc = check_named(m, readme, err);
	return rc;
}

int manifest_parse(
	struct manifest **out, struct span json, enum manifest_kind kind, struct error *err)
{
	static const struct json_limits limits = { MANIFEST_BYTES_MAX, JSON_DEPTH_MAX,
		JSON_VALUES_MAX };
	CLEANUP(manifest_freep) struct manifest *m = mem_zalloc(sizeof(*m));
	int rc = json_parse(&m->json, json, &limits, err);

	if (rc < 0) {
		if (err)
			err->code = ERR_MANIFEST_FORM;
		(void)error_wrap(err, "manifest");
		return ERR_MANIFEST_FORM;
	}
	rc = read_manifest(m, kind, err);
	if (rc < 0)
		return rc;
	*out = TAKE(m);
	return 0;
}

void manifest_free(struct manifest *m)
{
	if (!m)
		return;
	json_decref(m->json);
	mem_free(m->files);
	mem_free(m);
}

const struct manifest_file *manifest_find_file(const struct manifest *m, struct span path)
{
	for (size_t i = 0; i < m->file_count; i++)
		if (span_equal(m->files[i].path, path))
			return &m->files[i];
	return NULL;
}

const struct manifest_entry *manifest_find_entry(const struct manifest *m, struct span triplet)
{
	for (size_t i = 0; i < m->entry_count; i++)
		if (span_equal(m->entries[i].triplet, triplet))
			return &m->entries[i];
	return NULL;
}
