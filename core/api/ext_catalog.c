/* catalog/1: what plugins know, written in bulk, and what the asker may see, read in pages */
#include <stdio.h>

#include "api/ext_priv.h"
#include "catalog/catalog.h"
#include "codec/json.h"
#include "store/services.h"

#define LIMIT_DEFAULT 50u
#define TEAMS         "catalog.teams"

/* ---- writing -----------------------------------------------------------------------------------
 */

static void on_text(const struct error *err, struct span text, void *user)
{
	struct ext_work *work = user;

	if (err)
		ext_fail(work, err);
	else
		ext_give_text(work, text);
}

/* The plugin was granted it, and the subject has it too. */
static bool may_make_teams(const struct ext_work *work)
{
	struct span rest = span_of(work->permissions), part;

	while (span_split(&rest, ' ', &part))
		if (span_is(part, TEAMS))
			return access_check_scope(work->who, SPAN(TEAMS), SPAN_NONE, NULL) == 0;
	return false;
}

typedef void (*catalog_write_fn)(struct db_pool *db, const struct db_context *context,
	const struct store_catalog_write *write, store_text_cb done, void *user);

static int write_items(struct ext_work *work, const char *items, catalog_write_fn write_all)
{
	struct store_catalog_write write = {
		.provider = work->installation,
		.sync = ext_int64(work, "sync", 0),
		.operation = work->operation_key,
		.create_teams = may_make_teams(work),
	};
	struct text text;

	text_init(&text);
	if (items)
		json_append(&text, json_object_get(work->json, items));
	write.items = text_span(&text);
	write_all(work->api->options.db, &work->context, &write, on_text, work);
	text_done(&text);
	return 0;
}

static void on_sync(const struct error *err, int64_t number, void *user)
{
	struct ext_work *work = user;
	char text[24];

	if (err) {
		ext_fail(work, err);
		return;
	}
	(void)snprintf(text, sizeof(text), "%lld", (long long)number);
	ext_give(work, json_pack("{s:s}", "sync", text));
}

static int sync_begin(struct ext_work *work)
{
	store_catalog_sync_begin(work->api->options.db, &work->context, work->installation,
		work->operation_key, on_sync, work);
	return 0;
}

/* ---- reading -----------------------------------------------------------------------------------
 */

static void on_service(void *user, const struct error *err, json_t *result, struct span next)
{
	struct ext_work *work = user;

	(void)next;
	if (err || !result)
		ext_fail(work, err);
	else
		ext_give(work, json_pack("{s:O}", "service", result));
}

static void on_services(void *user, const struct error *err, json_t *result, struct span next)
{
	struct ext_work *work = user;

	if (err)
		ext_fail(work, err);
	else
		ext_give_page(work, json_incref(result), "catalog.list", next);
}

static int list(struct ext_work *work, struct error *err)
{
	struct catalog_filter filter = {
		.type = ext_string(work, "type"),
		.lifecycle = ext_string(work, "lifecycle"),
		.team = ext_string(work, "team"),
		.tag = ext_string(work, "tag"),
		.limit = ext_uint32(work, "limit", LIMIT_DEFAULT),
	};
	struct text after;
	int rc;

	text_printf(&work->filters, "%.*s&%.*s&%.*s&%.*s", SPAN_ARG(filter.type),
		SPAN_ARG(filter.lifecycle), SPAN_ARG(filter.team), SPAN_ARG(filter.tag));
	text_init(&after);
	rc = ext_cursor(work, "catalog.list", &after, err);
	filter.after = after.len > 0 ? text_span(&after) : SPAN_NONE;
	if (rc == 0)
		catalog_list(work->api->options.db, &work->context, &filter, on_services, work);
	text_done(&after);
	return rc;
}

static void on_dependencies(void *user, const struct error *err, json_t *result, struct span next)
{
	struct ext_work *work = user;

	if (err)
		ext_fail(work, err);
	else
		ext_give_page(work, json_incref(result), "catalog.dependencies", next);
}

static int dependencies(struct ext_work *work, struct error *err)
{
	struct catalog_walk walk = {
		.name = ext_string(work, "name"),
		.depth = ext_uint32(work, "depth", 1),
		.reverse = json_is_true(json_object_get(work->json, "reverse")),
		.limit = ext_uint32(work, "limit", LIMIT_DEFAULT),
	};
	struct text after;
	int rc;

	text_printf(&work->filters, "%.*s&%u&%d", SPAN_ARG(walk.name), walk.depth, walk.reverse);
	text_init(&after);
	rc = ext_cursor(work, "catalog.dependencies", &after, err);
	walk.after = after.len > 0 ? text_span(&after) : SPAN_NONE;
	if (rc == 0)
		catalog_dependencies(work->api->options.db, work->api->follow, &work->context,
			&walk, on_dependencies, work);
	text_done(&after);
	return rc;
}

int ext_catalog_start(struct ext_work *work, struct error *err)
{
	struct span method = span_of(work->method->name);

	if (span_is(method, "apply"))
		return write_items(work, "entities", store_catalog_apply);
	if (span_is(method, "relate"))
		return write_items(work, "edges", store_catalog_relate);
	if (span_is(method, "sync.begin"))
		return sync_begin(work);
	if (span_is(method, "sync.finish"))
		return write_items(work, NULL, store_catalog_sync_finish);
	if (span_is(method, "get")) {
		catalog_get(work->api->options.db, &work->context, ext_string(work, "name"),
			on_service, work);
		return 0;
	}
	if (span_is(method, "list"))
		return list(work, err);
	if (span_is(method, "dependencies"))
		return dependencies(work, err);
	return error_set(err, ERR_UNSUPPORTED, "catalog/1 has no '%s' here", work->method->name);
}
