/* /v1/privacy: what people ask about what is kept of them
 *
 * Anybody asks for himself; an administrator asks for anybody, and decides. Deciding takes the
 * right of changing users (access.users), since it changes or erases one. An archive is made while
 * it is sent, page by page from the database, so that nobody's life has to fit into memory; its
 * last member says that it is whole, and one that could not be finished is cut. */
#include <string.h>

#include "api/rest_fields.h"
#include "api/rest_priv.h"
#include "base/clock.h"
#include "base/mem.h"
#include "codec/json.h"
#include "store/privacy.h"

#define ID_SIZE    32
#define REASON_MAX 1000
#define PAGE_ROWS  200

static const char *const types[] = { "access", "portability", "deletion", "rectification",
	"restriction" };
static const char *const statuses[] = { "pending", "in_progress", "completed", "rejected" };

/* What a rectification may change. */
static const struct {
	const char *name;
	size_t max;
	const char *(*wrong)(struct span text);
} changes[] = {
	{ "name", 255, rest_wrong_shown },
	{ "username", 100, rest_wrong_name },
	{ "email", 255, rest_wrong_email },
	{ "phone_number", 20, rest_wrong_phone },
	{ "avatar", 500, rest_wrong_web },
};

static bool is_one_of(struct span word, const char *const *words, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (span_is(word, words[i]))
			return true;
	return false;
}

/* ---- what is shown -----------------------------------------------------------------------------
 */

static bool has_archive(const struct store_privacy *row)
{
	return span_is(row->status, "completed") &&
	       (span_is(row->type, "access") || span_is(row->type, "portability"));
}

static json_t *privacy_of(const struct store_privacy *row)
{
	bool open = span_is(row->status, "pending") || span_is(row->status, "in_progress");
	json_t *request = json_object();
	const struct {
		const char *name;
		json_t *value;
	} members[] = {
		{ "id", rest_text(row->id) },
		{ "type", rest_text(row->type) },
		{ "status", rest_text(row->status) },
		{ "user_id", rest_text(row->user_id) },
		{ "user", rest_text(row->user_name) },
		{ "details", rest_raw(row->details) },
		{ "result", rest_raw(row->result) },
		{ "archive", has_archive(row)
				     ? json_sprintf("/v1/privacy/%.*s/archive", SPAN_ARG(row->id))
				     : json_null() },
		{ "requested_by", rest_text(row->requested_by) },
		{ "requested_at", rest_time(row->requested_at) },
		{ "due_at", rest_time(row->due_at) },
		{ "overdue", json_boolean(open && clock_real_us() > row->due_at) },
		{ "processed_by", rest_text(row->processed_by) },
		{ "processed_at", rest_time(row->processed_at) },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(members); i++)
		(void)json_object_set_new_nocheck(request, members[i].name, members[i].value);
	return request;
}

static void on_request(
	const struct error *err, const struct store_privacy *rows, size_t n, void *user)
{
	struct rest_call *call = user;

	(void)n;
	if (!rest_end(call))
		return;
	if (err)
		rest_problem(call, err);
	else
		rest_json(call, 200, privacy_of(&rows[0]));
}

static void get(struct rest_call *call)
{
	char id[ID_SIZE];

	if (!rest_param(call, "id", id, sizeof(id)))
		return;
	rest_begin(call);
	store_privacy_get(call->api->options.db, &call->context, span_of(id), on_request, call);
}

struct page {
	unsigned limit;
	char *filters;
};

static void page_free(void *state)
{
	struct page *page = state;

	mem_free(page->filters);
	mem_free(page);
}

static void on_list(const struct error *err, const struct store_privacy *rows, size_t n, void *user)
{
	struct rest_call *call = user;
	const struct page *page = call->state;
	json_t *items;

	if (!rest_end(call))
		return;
	if (err) {
		rest_problem(call, err);
		return;
	}
	items = json_array();
	for (size_t i = 0; i < n && i < page->limit; i++)
		(void)json_array_append_new(items, privacy_of(&rows[i]));
	rest_list(call, items, "privacy", span_of(page->filters),
		n > page->limit ? rows[page->limit - 1].position : SPAN_NONE);
}

static void list(struct rest_call *call)
{
	struct page *page = mem_zalloc(sizeof(*page));
	struct store_privacy_filter filter = { 0 };
	struct rest_query q;

	rest_query_init(&q, call);
	filter.status = rest_query_text(&q, "status");
	filter.type = rest_query_text(&q, "type");
	filter.user = rest_query_text(&q, "user");
	page->limit =
		(unsigned)rest_query_number(&q, "limit", 1, REST_LIMIT_MAX, REST_LIMIT_DEFAULT);
	page->filters = mem_strdup(q.filters.data);
	filter.after = rest_query_after(&q, "privacy");
	filter.limit = page->limit + 1;
	call->state = page;
	call->state_free = page_free;
	if (rest_query_end(&q)) {
		if (filter.status.data &&
			!is_one_of(filter.status, statuses, ARRAY_LENGTH(statuses))) {
			rest_invalid(call, "?status",
				"is not pending, in_progress, completed or rejected");
		} else if (filter.type.data &&
			   !is_one_of(filter.type, types, ARRAY_LENGTH(types))) {
			rest_invalid(call, "?type",
				"is not access, portability, deletion, rectification or "
				"restriction");
		} else {
			rest_begin(call);
			store_privacy_list(
				call->api->options.db, &call->context, &filter, on_list, call);
		}
	}
	rest_query_done(&q);
}

/* ---- asking ------------------------------------------------------------------------------------
 */

static void on_created(
	const struct error *err, const struct store_privacy *rows, size_t n, void *user)
{
	CLEANUP(mem_freep) char *location = NULL;
	struct rest_call *call = user;

	(void)n;
	if (!rest_end(call))
		return;
	if (err) {
		rest_problem(call, err);
		return;
	}
	location = mem_printf("/v1/privacy/%.*s", SPAN_ARG(rows[0].id));
	rest_created(call, 201, location, privacy_of(&rows[0]));
}

/* The members that shall be otherwise, into details. */
static void read_changes(struct json_reader *outer, const json_t *object, json_t *details)
{
	struct json_reader r;
	json_t *taken = json_object();
	struct error err;

	json_reader_init(&r, object, "body.changes", ERR_INVALID, &err);
	for (size_t i = 0; i < ARRAY_LENGTH(changes); i++) {
		struct span value =
			json_read_text(&r, changes[i].name, JSON_OPTIONAL, changes[i].max);
		const char *wrong = value.data ? changes[i].wrong(value) : NULL;

		if (wrong)
			json_reader_fail(&r, changes[i].name, "%s", wrong);
		else if (value.data)
			(void)json_object_set_new(taken, changes[i].name, rest_text(value));
	}
	if (json_reader_end(&r) < 0)
		json_reader_fail(outer, "changes", "is refused: %s", err.text);
	(void)json_object_set_new(details, "changes", taken);
}

/* {"type","user"?,"reason"?,"changes"?} */
static void request(struct rest_call *call)
{
	CLEANUP(json_freep) json_t *details = json_object();
	const json_t *wanted;
	struct json_reader r;
	struct span type, user, reason;
	struct text text;
	struct error err;

	json_reader_init(&r, call->json, "body", ERR_INVALID, &err);
	type = json_read_text(&r, "type", JSON_REQUIRED, 20);
	user = json_read_text(&r, "user", JSON_OPTIONAL, REST_USER_SIZE);
	reason = json_read_text(&r, "reason", JSON_OPTIONAL, REASON_MAX);
	wanted = json_read_object(&r, "changes", JSON_OPTIONAL);
	if (type.data && !is_one_of(type, types, ARRAY_LENGTH(types)))
		json_reader_fail(&r, "type",
			"is not access, portability, deletion, rectification or restriction");
	if (wanted)
		read_changes(&r, wanted, details);
	if (json_reader_end(&r) < 0) {
		rest_problem(call, &err);
		return;
	}
	if (reason.data)
		(void)json_object_set_new(details, "reason", rest_text(reason));
	text_init(&text);
	json_append(&text, details);
	rest_begin(call);
	store_privacy_request(call->api->options.db, &call->context,
		span_is(user, "me") ? SPAN_NONE : user, type, text_span(&text), on_created, call);
	text_done(&text);
}

/* ---- deciding ----------------------------------------------------------------------------------
 */

static bool read_one(struct rest_call *call, const char *member, enum json_need need,
	struct span *value, char id[static ID_SIZE])
{
	struct json_reader r;
	struct error err;

	json_reader_init(&r, call->json, "body", ERR_INVALID, &err);
	*value = json_read_text(&r, member, need, REASON_MAX);
	if (json_reader_end(&r) == 0)
		return rest_param(call, "id", id, ID_SIZE);
	rest_problem(call, &err);
	return false;
}

static void complete(struct rest_call *call)
{
	char id[ID_SIZE];
	struct span note;

	if (!read_one(call, "note", JSON_OPTIONAL, &note, id))
		return;
	rest_begin(call);
	store_privacy_complete(
		call->api->options.db, &call->context, span_of(id), note, on_request, call);
}

static void reject(struct rest_call *call)
{
	char id[ID_SIZE];
	struct span reason;

	if (!read_one(call, "reason", JSON_REQUIRED, &reason, id))
		return;
	rest_begin(call);
	store_privacy_reject(
		call->api->options.db, &call->context, span_of(id), reason, on_request, call);
}

/* ---- the archive -------------------------------------------------------------------------------
 */

struct archive {
	char id[ID_SIZE];
	char **tables;
	size_t table_count;
	size_t at;
	char *place;        /* in the table; NULL: at its beginning */
	struct text wanted; /* to be sent, once the client takes it */
};

static void archive_free(void *state)
{
	struct archive *a = state;

	for (size_t i = 0; i < a->table_count; i++)
		mem_free(a->tables[i]);
	mem_free(a->tables);
	mem_free(a->place);
	text_done(&a->wanted);
	mem_free(a);
}

static void send_archive(struct rest_call *call);

static void on_page(
	const struct error *err, const struct store_privacy_row *rows, size_t n, void *user)
{
	struct rest_call *call = user;
	struct archive *a = call->state;

	if (!rest_end(call))
		return;
	if (err) {
		rest_stream_cut(call, err);
		return;
	}
	if (!a->place)
		text_printf(&a->wanted, "%s\n\"%s\":[", a->at ? "," : "", a->tables[a->at]);
	for (size_t i = 0; i < n; i++) {
		text_append_string(&a->wanted, i || a->place ? ",\n" : "\n");
		text_append_span(&a->wanted, rows[i].value);
	}
	if (n == PAGE_ROWS) {
		mem_free(a->place);
		a->place = mem_printf("%.*s", SPAN_ARG(rows[n - 1].place));
	} else {
		mem_free(a->place);
		a->place = NULL;
		a->at++;
		text_append_char(&a->wanted, ']');
	}
	send_archive(call);
}

/* What is made goes out before more is made. */
static void send_archive(struct rest_call *call)
{
	struct archive *a = call->state;
	bool whole = a->at == a->table_count;

	if (a->wanted.len && !rest_stream_write(call, text_span(&a->wanted)))
		return;
	text_clear(&a->wanted);
	if (whole) {
		if (rest_stream_write(call, SPAN("},\n\"complete\":true}\n")))
			rest_stream_end(call);
		return;
	}
	rest_begin(call);
	store_privacy_page(call->api->options.db, &call->context, span_of(a->id),
		span_of(a->tables[a->at]), a->place ? span_of(a->place) : SPAN_NONE, PAGE_ROWS,
		on_page, call);
}

static void on_tables(
	const struct error *err, const struct store_privacy_table *rows, size_t n, void *user)
{
	struct rest_call *call = user;
	struct archive *a = call->state;

	if (!rest_end(call))
		return;
	if (err) {
		rest_problem(call, err);
		return;
	}
	a->tables = mem_calloc(n, sizeof(*a->tables));
	for (; a->table_count < n; a->table_count++)
		a->tables[a->table_count] = mem_printf("%.*s", SPAN_ARG(rows[a->table_count].name));
	text_printf(&a->wanted, "{\"format\":\"mortise.privacy/1\",\n\"about\":%.*s,\n\"data\":{",
		SPAN_ARG(rows[0].about));
	call->on_writable = send_archive;
	rest_stream_begin(call, SPAN("application/json"));
	send_archive(call);
}

static void archive(struct rest_call *call)
{
	struct archive *a = mem_zalloc(sizeof(*a));

	text_init(&a->wanted);
	call->state = a;
	call->state_free = archive_free;
	if (!rest_param(call, "id", a->id, sizeof(a->id)))
		return;
	rest_begin(call);
	store_privacy_archive(
		call->api->options.db, &call->context, span_of(a->id), on_tables, call);
}

const struct rest_route rest_privacy_routes[] = {
	REST_ROUTE("GET", "/v1/privacy", PRIVACY_READ, NONE, NONE, list),
	REST_ROUTE("POST", "/v1/privacy", PRIVACY_WRITE, NONE, JSON, request),
	REST_ROUTE("GET", "/v1/privacy/{id}", PRIVACY_READ, NONE, NONE, get),
	REST_ROUTE("GET", "/v1/privacy/{id}/archive", PRIVACY_READ, NONE, NONE, archive),
	REST_ROUTE("POST", "/v1/privacy/{id}/complete", PRIVACY_HANDLE, NONE, JSON, complete),
	REST_ROUTE("POST", "/v1/privacy/{id}/reject", PRIVACY_WRITE, NONE, JSON, reject),
	REST_ROUTES_END,
};
