/* kv/1: what a plugin keeps for itself */
#include <stdio.h>

#include "api/ext_priv.h"
#include "codec/json.h"
#include "store/kv.h"

#define LIMIT_DEFAULT 50u
#define ETAG_SIZE     24

static void etag_text(int64_t etag, char out[static ETAG_SIZE])
{
	(void)snprintf(out, ETAG_SIZE, "%lld", (long long)etag);
}

/* -1: whatever is there. */
static int read_etag(const struct ext_work *work, int64_t *out, struct error *err)
{
	struct span text = ext_string(work, "if_etag");
	uint64_t number;

	*out = -1;
	if (!text.data)
		return 0;
	if (!span_u64(text, INT64_MAX, &number))
		return error_set(err, ERR_INVALID, "'/if_etag' is no etag");
	*out = (int64_t)number;
	return 0;
}

static int check_key(const struct ext_work *work, struct error *err)
{
	struct span key = ext_string(work, "key");

	return key.len == 0 || key.len > 512
		       ? error_set(err, ERR_INVALID, "'/key' is not 1 to 512 bytes")
		       : 0;
}

static void on_get(const struct error *err, const struct store_kv *rows, size_t n, void *user)
{
	struct ext_work *work = user;
	char etag[ETAG_SIZE];
	json_t *result;

	if (err && err->code == ERR_NOT_FOUND) {
		struct span key = ext_string(work, "key");
		struct error missing;

		(void)error_set(&missing, ERR_NOT_FOUND, "no key '%.*s'", SPAN_ARG(key));
		ext_fail(work, &missing);
		return;
	}
	if (err || n != 1) {
		ext_fail(work, err);
		return;
	}
	etag_text(rows[0].etag, etag);
	result = json_pack("{s:s}", "etag", etag);
	if (rows[0].value.data)
		(void)json_object_set_new(result, "value", rest_raw(rows[0].value));
	ext_give_bytes(work, result, rows[0].bytes);
}

static void on_put(const struct error *err, int64_t number, void *user)
{
	struct ext_work *work = user;
	char etag[ETAG_SIZE];

	if (err) {
		ext_fail(work, err);
		return;
	}
	etag_text(number, etag);
	ext_give(work, json_pack("{s:s}", "etag", etag));
}

static int put(struct ext_work *work, struct error *err)
{
	const json_t *value = json_object_get(work->json, "value");
	struct store_kv_put kv = {
		.key = ext_string(work, "key"),
		.bytes = work->bytes,
		.ttl_ms = ext_int64(work, "ttl_ms", 0),
		.operation = work->operation_key,
	};
	struct text text;
	int rc = read_etag(work, &kv.etag, err);

	if (rc < 0)
		return rc;
	if ((value != NULL) == (work->bytes.len > 0))
		return error_set(err, ERR_INVALID, "either '/value' or bytes, and one of them");
	text_init(&text);
	if (value) {
		json_append(&text, value);
		kv.value = text_span(&text);
	}
	store_kv_put(work->api->options.db, &work->context, &kv, on_put, work);
	text_done(&text);
	return 0;
}

static void on_delete(const struct error *err, int64_t number, void *user)
{
	struct ext_work *work = user;
	struct error own;

	if (!err && number == 0 && ext_string(work, "if_etag").data &&
		!span_is(ext_string(work, "if_etag"), "0")) {
		(void)error_set(&own, ERR_CONFLICT, "the etag does not match");
		err = &own;
	}
	if (err)
		ext_fail(work, err);
	else
		ext_give(work, json_pack("{s:b}", "deleted", number != 0));
}

static int delete (struct ext_work *work, struct error *err)
{
	int64_t etag;
	int rc = read_etag(work, &etag, err);

	if (rc == 0)
		store_kv_delete(work->api->options.db, &work->context, ext_string(work, "key"),
			etag, work->operation_key, on_delete, work);
	return rc;
}

static void on_list(const struct error *err, const struct store_kv *rows, size_t n, void *user)
{
	struct ext_work *work = user;
	json_t *list;

	if (err) {
		ext_fail(work, err);
		return;
	}
	list = json_array();
	for (size_t i = 0; i < n && i < work->limit; i++) {
		char etag[ETAG_SIZE];

		etag_text(rows[i].etag, etag);
		(void)json_array_append_new(
			list, json_pack("{s:o, s:s}", "key", rest_text(rows[i].key), "etag", etag));
	}
	ext_give_page(work, list, "kv", n > work->limit ? rows[work->limit - 1].key : SPAN_NONE);
}

static int list(struct ext_work *work, struct error *err)
{
	struct span prefix = ext_string(work, "prefix");
	struct text after;
	int rc;

	work->limit = ext_uint32(work, "limit", LIMIT_DEFAULT);
	if (work->limit >= STORE_ROWS_MAX) /* one row more tells whether there is a next page */
		work->limit = STORE_ROWS_MAX - 1;
	text_printf(&work->filters, "installation=%.*s&prefix=%.*s", SPAN_ARG(work->installation),
		SPAN_ARG(prefix));
	text_init(&after);
	rc = ext_cursor(work, "kv", &after, err);
	if (rc == 0)
		store_kv_list(work->api->options.db, &work->context, prefix,
			after.len > 0 ? text_span(&after) : SPAN_NONE, work->limit + 1, on_list,
			work);
	text_done(&after);
	return rc;
}

int ext_kv_start(struct ext_work *work, struct error *err)
{
	struct span method = span_of(work->method->name);
	int rc;

	if (span_is(method, "list"))
		return list(work, err);
	rc = check_key(work, err);
	if (rc < 0)
		return rc;
	if (span_is(method, "get")) {
		store_kv_get(work->api->options.db, &work->context, ext_string(work, "key"), on_get,
			work);
		return 0;
	}
	if (span_is(method, "put"))
		return put(work, err);
	if (span_is(method, "delete"))
		return delete (work, err);
	return error_set(err, ERR_UNSUPPORTED, "kv/1 has no '%s' here", work->method->name);
}
