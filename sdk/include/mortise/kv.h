/* clang-format off */
/* kv.h - kv/1: a small store of the plugin's own, keys to JSON values or bytes
 *
 * Each installation has its own keys, the same on every node and for every subject; nobody else
 * sees them, and they go when the plugin is uninstalled.
 *
 * An etag is an opaque text that changes with each write. if_etag makes a write conditional on
 * it; the etag "0" stands for a key that is not there.
 *
 * Written by sdk/extensions/generate from kv.1.json; change that. extension.h says how to call
 * and read.
 */
#ifndef MORTISE_KV_H
#define MORTISE_KV_H

#include "extension.h"

#ifdef __cplusplus
extern "C" {
#endif

#if MORTISE_ABI >= 0x0100

#define MORTISE_KV_1 "kv/1"

struct mortise_kv_get_params {
	/* the key (required; at most 512 characters) */
	struct mortise_str key;
};

/* The value of a key, as JSON or as bytes, as it was put. Needs the permission kv. NOT_FOUND:
 * no such key, or its time is over.
 */
static inline int32_t mortise_kv_get(const struct mortise_call_setup *setup,
	const struct mortise_kv_get_params *params, mortise_id *operation)
{
	struct mortise_json_writer writer, *w = &writer;

	mortise_json_writer_init(w);
	mortise_json_open_object(w);
	mortise_json_add_key(w, MORTISE_STR("key"));
	mortise_json_add_string(w, params->key);
	mortise_json_close(w);
	return mortise_extension_call(setup, MORTISE_STR("kv/1"),
		MORTISE_STR("get"), w, mortise_str_of(NULL, 0), operation);
}

struct mortise_kv_get_result {
	/* absent where bytes were put */
	struct mortise_json value;
	/* for a later conditional write */
	struct mortise_str etag;
	/* where escaped texts are decoded */
	char scratch[80];
};

static inline int32_t mortise_kv_get_read_object(
	const struct mortise_json *object, struct mortise_kv_get_result *out)
{
	struct mortise_json_each each = mortise_json_each(object);
	uint64_t used = 0;
	int32_t rc = 0;

	memset(out, 0, sizeof(*out));
	if (object->type != MORTISE_JSON_OBJECT)
		return MORTISE_E_FORMAT;
	while (rc == 0 && mortise_json_next(&each)) {
		if (mortise_json_is(&each.key, "value"))
			out->value = each.value;
		else if (each.value.type == MORTISE_JSON_NULL)
			continue;
		else if (mortise_json_is(&each.key, "etag"))
			rc = mortise_extension_string(&each.value, out->scratch,
				sizeof(out->scratch), &used, &out->etag);
	}
	return rc;
}

/* Read the result of get in done, when rc is 0. The bytes stand in result->bytes. FORMAT: it is none. */
static inline int32_t mortise_kv_get_read(
	const struct mortise_call_result_1 *result, struct mortise_kv_get_result *out)
{
	struct mortise_json object;
	int32_t rc = mortise_extension_result(result, &object);

	return rc < 0 ? rc : mortise_kv_get_read_object(&object, out);
}

struct mortise_kv_put_params {
	/* the key: 1 to 512 bytes, no NUL (required; at most 512 characters) */
	struct mortise_str key;
	/* any JSON; absent: the bytes count */
	struct mortise_str value;
	/* only if this is the etag now; "0": only if absent (at most 20 characters) */
	struct mortise_str if_etag;
	/* forget it after so long; absent: never */
	int64_t ttl_ms;
	/* bytes, at most 16777216 */
	struct mortise_str bytes;
};

/* Set a key to a JSON value or to bytes, one of the two. Needs the permission kv. Mutating:
 * repeat it safely with the same operation key. CONFLICT: if_etag does not match. INVALID:
 * value and bytes, or neither.
 */
static inline int32_t mortise_kv_put(const struct mortise_call_setup *setup,
	const struct mortise_kv_put_params *params, mortise_id *operation)
{
	struct mortise_json_writer writer, *w = &writer;

	mortise_json_writer_init(w);
	mortise_json_open_object(w);
	mortise_json_add_key(w, MORTISE_STR("key"));
	mortise_json_add_string(w, params->key);
	if (params->value.data) {
		mortise_json_add_key(w, MORTISE_STR("value"));
		mortise_json_add_raw(w, params->value);
	}
	if (params->if_etag.data) {
		mortise_json_add_key(w, MORTISE_STR("if_etag"));
		mortise_json_add_string(w, params->if_etag);
	}
	if (params->ttl_ms != 0) {
		mortise_json_add_key(w, MORTISE_STR("ttl_ms"));
		mortise_json_add_int64(w, params->ttl_ms);
	}
	mortise_json_close(w);
	return mortise_extension_call(setup, MORTISE_STR("kv/1"),
		MORTISE_STR("put"), w, params->bytes, operation);
}

struct mortise_kv_put_result {
	/* the new etag */
	struct mortise_str etag;
	/* where escaped texts are decoded */
	char scratch[80];
};

static inline int32_t mortise_kv_put_read_object(
	const struct mortise_json *object, struct mortise_kv_put_result *out)
{
	struct mortise_json_each each = mortise_json_each(object);
	uint64_t used = 0;
	int32_t rc = 0;

	memset(out, 0, sizeof(*out));
	if (object->type != MORTISE_JSON_OBJECT)
		return MORTISE_E_FORMAT;
	while (rc == 0 && mortise_json_next(&each)) {
		if (each.value.type == MORTISE_JSON_NULL)
			continue;
		else if (mortise_json_is(&each.key, "etag"))
			rc = mortise_extension_string(&each.value, out->scratch,
				sizeof(out->scratch), &used, &out->etag);
	}
	return rc;
}

/* Read the result of put in done, when rc is 0. FORMAT: it is none. */
static inline int32_t mortise_kv_put_read(
	const struct mortise_call_result_1 *result, struct mortise_kv_put_result *out)
{
	struct mortise_json object;
	int32_t rc = mortise_extension_result(result, &object);

	return rc < 0 ? rc : mortise_kv_put_read_object(&object, out);
}

struct mortise_kv_delete_params {
	/* the key (required; at most 512 characters) */
	struct mortise_str key;
	/* only if this is the etag now (at most 20 characters) */
	struct mortise_str if_etag;
};

/* Remove a key. One that is not there is no error without if_etag. Needs the permission kv.
 * Mutating: repeat it safely with the same operation key. CONFLICT: if_etag does not match.
 */
static inline int32_t mortise_kv_delete(const struct mortise_call_setup *setup,
	const struct mortise_kv_delete_params *params, mortise_id *operation)
{
	struct mortise_json_writer writer, *w = &writer;

	mortise_json_writer_init(w);
	mortise_json_open_object(w);
	mortise_json_add_key(w, MORTISE_STR("key"));
	mortise_json_add_string(w, params->key);
	if (params->if_etag.data) {
		mortise_json_add_key(w, MORTISE_STR("if_etag"));
		mortise_json_add_string(w, params->if_etag);
	}
	mortise_json_close(w);
	return mortise_extension_call(setup, MORTISE_STR("kv/1"),
		MORTISE_STR("delete"), w, mortise_str_of(NULL, 0), operation);
}

struct mortise_kv_delete_result {
	/* whether it was there */
	uint32_t deleted;
};

static inline int32_t mortise_kv_delete_read_object(
	const struct mortise_json *object, struct mortise_kv_delete_result *out)
{
	struct mortise_json_each each = mortise_json_each(object);
	int32_t rc = 0;

	memset(out, 0, sizeof(*out));
	if (object->type != MORTISE_JSON_OBJECT)
		return MORTISE_E_FORMAT;
	while (rc == 0 && mortise_json_next(&each)) {
		if (each.value.type == MORTISE_JSON_NULL)
			continue;
		else if (mortise_json_is(&each.key, "deleted"))
			rc = mortise_json_boolean(&each.value, &out->deleted);
	}
	return rc;
}

/* Read the result of delete in done, when rc is 0. FORMAT: it is none. */
static inline int32_t mortise_kv_delete_read(
	const struct mortise_call_result_1 *result, struct mortise_kv_delete_result *out)
{
	struct mortise_json object;
	int32_t rc = mortise_extension_result(result, &object);

	return rc < 0 ? rc : mortise_kv_delete_read_object(&object, out);
}

/* A key, without its value. */
struct mortise_kv_entry {
	/* the key */
	struct mortise_str key;
	/* of its present value */
	struct mortise_str etag;
	/* where escaped texts are decoded */
	char scratch[2128];
};

static inline int32_t mortise_kv_read_entry(
	const struct mortise_json *object, struct mortise_kv_entry *out)
{
	struct mortise_json_each each = mortise_json_each(object);
	uint64_t used = 0;
	int32_t rc = 0;

	memset(out, 0, sizeof(*out));
	if (object->type != MORTISE_JSON_OBJECT)
		return MORTISE_E_FORMAT;
	while (rc == 0 && mortise_json_next(&each)) {
		if (each.value.type == MORTISE_JSON_NULL)
			continue;
		else if (mortise_json_is(&each.key, "key"))
			rc = mortise_extension_string(&each.value, out->scratch,
				sizeof(out->scratch), &used, &out->key);
		else if (mortise_json_is(&each.key, "etag"))
			rc = mortise_extension_string(&each.value, out->scratch,
				sizeof(out->scratch), &used, &out->etag);
	}
	return rc;
}

/* 1 and the next of a list, 0 behind the last, or a negative code: FORMAT. */
static inline int32_t mortise_kv_next_entry(
	struct mortise_json_each *list, struct mortise_kv_entry *out)
{
	int32_t rc;

	if (!mortise_json_next(list))
		return 0;
	rc = mortise_kv_read_entry(&list->value, out);
	return rc < 0 ? rc : 1;
}

struct mortise_kv_list_params {
	/* only keys that begin so (at most 512 characters) */
	struct mortise_str prefix;
	/* of one page; default 50 */
	uint32_t limit;
	/* next of the page before (at most 2048 characters) */
	struct mortise_str cursor;
};

/* Keys in byte order, page by page. Needs the permission kv. INVALID: the cursor is none.
 */
static inline int32_t mortise_kv_list(const struct mortise_call_setup *setup,
	const struct mortise_kv_list_params *params, mortise_id *operation)
{
	struct mortise_json_writer writer, *w = &writer;

	mortise_json_writer_init(w);
	mortise_json_open_object(w);
	if (params->prefix.data) {
		mortise_json_add_key(w, MORTISE_STR("prefix"));
		mortise_json_add_string(w, params->prefix);
	}
	if (params->limit != 0) {
		mortise_json_add_key(w, MORTISE_STR("limit"));
		mortise_json_add_integer(w, params->limit);
	}
	if (params->cursor.data) {
		mortise_json_add_key(w, MORTISE_STR("cursor"));
		mortise_json_add_string(w, params->cursor);
	}
	mortise_json_close(w);
	return mortise_extension_call(setup, MORTISE_STR("kv/1"),
		MORTISE_STR("list"), w, mortise_str_of(NULL, 0), operation);
}

struct mortise_kv_list_result {
	/* the page */
	struct mortise_json_each items;
	/* cursor of the next page; empty: this was the last */
	struct mortise_str next;
	/* where escaped texts are decoded */
	char scratch[8192];
};

static inline int32_t mortise_kv_list_read_object(
	const struct mortise_json *object, struct mortise_kv_list_result *out)
{
	struct mortise_json_each each = mortise_json_each(object);
	uint64_t used = 0;
	int32_t rc = 0;

	memset(out, 0, sizeof(*out));
	if (object->type != MORTISE_JSON_OBJECT)
		return MORTISE_E_FORMAT;
	while (rc == 0 && mortise_json_next(&each)) {
		if (each.value.type == MORTISE_JSON_NULL)
			continue;
		else if (mortise_json_is(&each.key, "items"))
			out->items = mortise_json_each(&each.value);
		else if (mortise_json_is(&each.key, "next"))
			rc = mortise_extension_string(&each.value, out->scratch,
				sizeof(out->scratch), &used, &out->next);
	}
	return rc;
}

/* Read the result of list in done, when rc is 0. FORMAT: it is none. */
static inline int32_t mortise_kv_list_read(
	const struct mortise_call_result_1 *result, struct mortise_kv_list_result *out)
{
	struct mortise_json object;
	int32_t rc = mortise_extension_result(result, &object);

	return rc < 0 ? rc : mortise_kv_list_read_object(&object, out);
}

#endif

#ifdef __cplusplus
}
#endif

#endif
