/* Validation walks the generated tables; the functions of an extension's own file may rely on it:
 * every parameter has its type and its bounds, required ones are there, no other is. */
#include "api/ext_priv.h"

#include <stdio.h>
#include <stdlib.h>

#include "api/cursor.h"
#include "base/assert.h"
#include "codec/json.h"
#include "identity/access.h"
#include "identity/principal.h"

#define PATH_MAX_BYTES 256

/* A value and where it stands, for messages. */
struct place {
	char path[PATH_MAX_BYTES];
};

static const struct {
	const char *extension;
	int (*start)(struct ext_work *work, struct error *err);
} starts[] = {
	{ "catalog/1", ext_catalog_start },
	{ "fetch/1", ext_fetch_start },
	{ "identity/1", ext_identity_start },
	{ "kv/1", ext_kv_start },
	{ "secret/1", ext_secret_start },
};

static const struct ext_schema *find_schema(struct span extension)
{
	for (const struct ext_schema *s = ext_schemas; s->extension; s++)
		if (span_is(extension, s->extension))
			return s;
	return NULL;
}

static const struct ext_method *find_method(const struct ext_schema *schema, struct span name)
{
	for (const struct ext_method *m = schema->methods; m->name; m++)
		if (span_is(name, m->name))
			return m;
	return NULL;
}

const struct ext_method *ext_find(struct span name)
{
	const struct ext_schema *schema;
	struct span extension;

	for (size_t i = name.len; i-- > 0;) {
		if (name.data[i] != '.')
			continue;
		extension = (struct span){ name.data, i };
		schema = find_schema(extension);
		return schema ? find_method(schema,
					(struct span){ name.data + i + 1, name.len - i - 1 })
			      : NULL;
	}
	return NULL;
}

bool ext_is_ours(struct span extension)
{
	const struct ext_schema *schema = find_schema(extension);

	return schema && !schema->by_plugin;
}

bool ext_is_lent(struct span extension)
{
	const struct ext_schema *schema = find_schema(extension);

	return schema && schema->by_plugin;
}

bool ext_is_mutating(struct span extension, struct span method)
{
	const struct ext_schema *schema = find_schema(extension);
	const struct ext_method *m = schema ? find_method(schema, method) : NULL;

	return !m || m->mutating;
}

/* ---- checking parameters -----------------------------------------------------------------------
 */

static int wrong(const struct place *at, const char *what, struct error *err)
{
	return error_set(err, ERR_INVALID, "'%s' %s", at->path, what);
}

static int check_string(
	const struct ext_field *f, const json_t *value, const struct place *at, struct error *err)
{
	struct span text = json_span(value);

	if (!text.data)
		return wrong(at, "is not a string", err);
	if (memchr(text.data, '\0', text.len))
		return wrong(at, "holds a NUL", err);
	if (json_length(text) > (size_t)f->max)
		return wrong(at, "is too long", err);
	if (!f->values)
		return 0;
	for (const char *const *v = f->values; *v; v++)
		if (span_is(text, *v))
			return 0;
	return wrong(at, "is not one of its values", err);
}

static bool read_int64(struct span text, int64_t *out)
{
	bool negative = text.len > 0 && text.data[0] == '-';
	uint64_t number;

	if (negative)
		text = (struct span){ text.data + 1, text.len - 1 };
	if (!span_u64(text, (uint64_t)INT64_MAX + negative, &number))
		return false;
	*out = negative ? (int64_t)(0 - number) : (int64_t)number;
	return true;
}

static int check_int64(
	const struct ext_field *f, const json_t *value, const struct place *at, struct error *err)
{
	struct span text = json_span(value);
	int64_t number;

	if (!text.data || !read_int64(text, &number))
		return wrong(at, "is not a string of digits", err);
	if (number < f->min || number > f->max)
		return wrong(at, "is out of its range", err);
	return 0;
}

static int check_strings(
	const struct ext_field *f, const json_t *value, const struct place *at, struct error *err)
{
	size_t i;
	json_t *item;

	if (!json_is_array(value) || json_array_size(value) > (size_t)f->max)
		return wrong(at, "is not an array, or too long a one", err);
	json_array_foreach(value, i,
		item) if (!json_is_string(item) || json_length(json_span(item)) > f->item_max ||
			  memchr(json_span(item).data, '\0', json_span(item).len)) return wrong(at,
		"holds something that is no string, or too long a one", err);
	return 0;
}

static int check_map(
	const struct ext_field *f, const json_t *value, const struct place *at, struct error *err)
{
	const char *key;
	json_t *item;

	if (!json_is_object(value) || json_object_size(value) > (size_t)f->max)
		return wrong(at, "is not an object, or too large a one", err);
	json_object_foreach((json_t *)(uintptr_t)value, key,
		item) if (!json_is_string(item) || json_length(span_of(key)) > f->item_max ||
			  json_length(json_span(item)) > f->item_max) return wrong(at,
		"holds something that is no string, or too long a one", err);
	return 0;
}

static int check_json(
	const struct ext_field *f, const json_t *value, const struct place *at, struct error *err)
{
	size_t size = json_dumpb(value, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY);

	return size > (size_t)f->max ? wrong(at, "is too large", err) : 0;
}

static int check_object(const struct ext_field *fields, const json_t *object,
	const struct place *at, struct error *err);

static int check_list(
	const struct ext_field *f, const json_t *value, const struct place *at, struct error *err)
{
	struct place below;
	size_t i;
	json_t *item;
	int rc;

	if (!json_is_array(value) || json_array_size(value) > (size_t)f->max)
		return wrong(at, "is not an array, or too long a one", err);
	json_array_foreach(value, i, item)
	{
		(void)snprintf(below.path, sizeof(below.path), "%.200s/%zu", at->path, i);
		rc = check_object(f->fields, item, &below, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int check_value(
	const struct ext_field *f, const json_t *value, const struct place *at, struct error *err)
{
	switch (f->type) {
	case EXT_TYPE_STRING:
		return check_string(f, value, at, err);
	case EXT_TYPE_INT64:
		return check_int64(f, value, at, err);
	case EXT_TYPE_UINT32:
		if (!json_is_integer(value) || json_integer_value(value) < f->min ||
			json_integer_value(value) > f->max)
			return wrong(at, "is not a number in its range", err);
		return 0;
	case EXT_TYPE_BOOLEAN:
		return json_is_boolean(value) ? 0 : wrong(at, "is neither true nor false", err);
	case EXT_TYPE_STRINGS:
		return check_strings(f, value, at, err);
	case EXT_TYPE_MAP:
		return check_map(f, value, at, err);
	case EXT_TYPE_JSON:
		return check_json(f, value, at, err);
	case EXT_TYPE_LIST:
		return check_list(f, value, at, err);
	default:
		BUG("a type that the schema does not have");
	}
}

static const struct ext_field *find_field(const struct ext_field *fields, const char *name)
{
	for (const struct ext_field *f = fields; f->name; f++)
		if (strcmp(f->name, name) == 0)
			return f;
	return NULL;
}

static int check_object(const struct ext_field *fields, const json_t *object,
	const struct place *at, struct error *err)
{
	struct place below;
	const char *key;
	json_t *value;
	int rc;

	if (!json_is_object(object))
		return wrong(at, "is not an object", err);
	json_object_foreach((json_t *)(uintptr_t)object, key, value)
	{
		const struct ext_field *f = find_field(fields, key);

		(void)snprintf(below.path, sizeof(below.path), "%.150s/%.80s", at->path, key);
		rc = f ? check_value(f, value, &below, err) : wrong(&below, "is not known", err);
		if (rc < 0)
			return rc;
	}
	for (const struct ext_field *f = fields; f->name; f++) {
		(void)snprintf(below.path, sizeof(below.path), "%.150s/%.80s", at->path, f->name);
		if (f->required && !json_object_get(object, f->name))
			return wrong(&below, "is missing", err);
	}
	return 0;
}

/* ---- checking rights ---------------------------------------------------------------------------
 */

static bool is_granted(const char *permissions, const char *permission)
{
	struct span rest = span_of(permissions), part;

	while (span_split(&rest, ' ', &part))
		if (part.len > 0 && span_is(part, permission))
			return true;
	return false;
}

static int check_rights(
	const struct ext_call *call, const struct ext_method *method, struct error *err)
{
	if (method->permission[0] && !is_granted(call->permissions, method->permission))
		return error_set(err, ERR_PERMISSION,
			"the plugin was not granted the permission '%s'", method->permission);
	if (!method->scope[0])
		return 0;
	return access_check_scope(call->who, span_of(method->scope), SPAN_NONE, err);
}

/* ---- a call's life -----------------------------------------------------------------------------
 */

static void work_free(struct ext_work *work)
{
	json_decref(work->json);
	principal_unref(work->who);
	text_done(&work->spans);
	text_done(&work->filters);
	mem_free(work->permissions);
	mem_free(work);
}

void ext_fail(struct ext_work *work, const struct error *err)
{
	struct error own;

	if (!err) {
		(void)error_set(&own, ERR_INTERNAL, "the database gave no answer that can be read");
		err = &own;
	}
	/* A plugin knows the codes of the ABI; what else went wrong is the nearest of them. */
	if (err->code < ERR_FORMAT || err->code > ERR_INVALID) {
		static const struct {
			int status, code;
		} nearest[] = { { 400, ERR_INVALID }, { 403, ERR_PERMISSION },
			{ 404, ERR_NOT_FOUND }, { 409, ERR_CONFLICT }, { 413, ERR_TOO_LARGE },
			{ 422, ERR_FORMAT }, { 429, ERR_LIMIT }, { 503, ERR_UNAVAIL } };
		int status = error_entry(err->code)->http_status, code = ERR_INTERNAL;

		for (size_t i = 0; i < ARRAY_LENGTH(nearest); i++)
			if (nearest[i].status == status)
				code = nearest[i].code;
		(void)error_set(&own, code, "%.900s", err->text);
		err = &own;
	}
	work->done(work->user, err->code, span_of(err->text), SPAN_NONE, SPAN_NONE);
	work_free(work);
}

void ext_give_text(struct ext_work *work, struct span json)
{
	work->done(work->user, 0, SPAN_NONE, json, SPAN_NONE);
	work_free(work);
}

void ext_give_bytes(struct ext_work *work, json_t *result, struct span bytes)
{
	char *text = json_dumps(result, JSON_COMPACT);

	ASSERT(text);
	json_decref(result);
	work->done(work->user, 0, SPAN_NONE, span_of(text), bytes);
	free(text);
	work_free(work);
}

void ext_give(struct ext_work *work, json_t *result)
{
	ext_give_bytes(work, result, SPAN_NONE);
}

void ext_give_page(struct ext_work *work, json_t *items, const char *list, struct span next)
{
	struct text cursor;
	json_t *page = json_object();

	text_init(&cursor);
	if (next.data)
		cursor_append(&cursor, span_of(list), text_span(&work->filters), next);
	(void)json_object_set_new(page, "items", items);
	(void)json_object_set_new(page, "next", json_string(cursor.data));
	text_done(&cursor);
	ext_give(work, page);
}

struct span ext_string(const struct ext_work *work, const char *name)
{
	return json_span(json_object_get(work->json, name));
}

int64_t ext_int64(const struct ext_work *work, const char *name, int64_t fallback)
{
	struct span text = ext_string(work, name);

	if (text.data && !read_int64(text, &fallback))
		BUG("a number that was checked is none");
	return fallback;
}

unsigned ext_uint32(const struct ext_work *work, const char *name, unsigned fallback)
{
	const json_t *value = json_object_get(work->json, name);

	return value ? (unsigned)json_integer_value(value) : fallback;
}

int ext_cursor(struct ext_work *work, const char *list, struct text *out, struct error *err)
{
	struct span cursor = ext_string(work, "cursor");

	if (cursor.len == 0)
		return 0;
	if (cursor_position(out, cursor, span_of(list), text_span(&work->filters), err) < 0)
		return error_set(err, ERR_INVALID, "the cursor is none of this list");
	return 0;
}

/* The place of a copy of s in spans, from 1, as long as spans still grows and so may move. */
static struct span keep(struct text *spans, struct span s)
{
	struct span place = { (const char *)(uintptr_t)(spans->len + 1), s.len };

	text_append_span(spans, s);
	return s.len > 0 ? place : SPAN_NONE;
}

static struct ext_work *work_new(struct api *api, const struct ext_call *call)
{
	struct ext_work *work = mem_zalloc(sizeof(*work));
	struct span *spans[] = { &work->installation, &work->operation_key, &work->bytes,
		&work->context.request_id };

	work->api = api;
	work->who = principal_ref(call->who);
	work->permissions = mem_strdup(call->permissions);
	text_init(&work->spans);
	text_init(&work->filters);
	work->installation = keep(&work->spans, call->installation);
	work->operation_key = keep(&work->spans, call->operation_key);
	work->bytes = keep(&work->spans, call->bytes);
	work->context.request_id = keep(&work->spans, call->request_id);
	for (size_t i = 0; i < ARRAY_LENGTH(spans); i++)
		if (spans[i]->data)
			spans[i]->data = work->spans.data + (uintptr_t)spans[i]->data - 1;
	work->context.user_id = span_of(work->who->user_id);
	work->context.plugin = work->installation;
	work->context.environment = span_of(api->environment);
	work->deadline_ns = call->deadline_ns;
	return work;
}

static int parse(struct span text, const struct ext_method *method, json_t **out, struct error *err)
{
	static const struct json_limits limits = { JSON_BYTES_MAX, JSON_DEPTH_MAX, 1u << 20 };
	struct place at = { "" };
	int rc;

	if (text.len == 0)
		text = SPAN("{}");
	rc = json_parse(out, text, &limits, err);
	return rc < 0 ? rc : check_object(method->params, *out, &at, err);
}

/* The method and its parameters, which are the caller's to release. */
static int check_call(const struct ext_call *call, const struct ext_method **method, json_t **json,
	struct error *err)
{
	const struct ext_schema *schema = find_schema(call->extension);
	const struct ext_method *m = schema ? find_method(schema, call->method) : NULL;
	int rc;

	if (!m)
		return error_set(err, ERR_UNSUPPORTED, "there is no method '%.*s' of '%.*s'",
			SPAN_ARG(call->method), SPAN_ARG(call->extension));
	if (call->permissions) {
		rc = check_rights(call, m, err);
		if (rc < 0)
			return rc;
	}
	if (call->bytes.len > m->bytes_in)
		return error_set(err, ERR_INVALID, "'%s' takes at most %llu bytes", m->name,
			(unsigned long long)m->bytes_in);
	rc = parse(call->json, m, json, err);
	if (rc == 0)
		*method = m;
	return rc;
}

int ext_check_lent(const struct ext_call *call, struct error *err)
{
	CLEANUP(json_freep) json_t *json = NULL;
	const struct ext_method *method;

	ASSERT(ext_is_lent(call->extension));
	return check_call(call, &method, &json, err);
}

int ext_call_start(struct api *api, const struct ext_call *call, ext_done_cb done, void *user,
	struct ext_work **out, struct error *err)
{
	CLEANUP(json_freep) json_t *json = NULL;
	const struct ext_method *method;
	struct ext_work *work;
	int rc;

	ASSERT(call->permissions);
	rc = check_call(call, &method, &json, err);
	if (rc < 0)
		return rc;
	work = work_new(api, call);
	work->method = method;
	work->done = done;
	work->user = user;
	work->json = json_incref(json);
	rc = ERR_UNSUPPORTED;
	for (size_t i = 0; i < ARRAY_LENGTH(starts); i++)
		if (span_is(call->extension, starts[i].extension))
			rc = starts[i].start(work, err);
	if (rc < 0)
		work_free(work);
	else if (out)
		*out = work;
	return rc;
}

void ext_call_cancel(struct ext_work *work)
{
	if (work->cancel)
		work->cancel(work);
}
