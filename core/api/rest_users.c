/* /v1/users: people, as their administrators and they themselves see and change them.
 *
 * A password passes through here once, on its way to its hash, and is in no log, answer or audit
 * row. What the asker may not see of another is not in the answer. Giving rights away (making
 * users, changing roles, names and addresses) takes a right of its own (user.admin), so that a key
 * that may write access.write alone cannot make an account that may more than the key. */
#include <stdio.h>
#include <stdlib.h>

#include "api/rest_fields.h"
#include "api/rest_priv.h"
#include "base/assert.h"
#include "base/mem.h"
#include "codec/json.h"
#include "identity/hash_pool.h"
#include "identity/principal.h"
#include "store/users.h"

#define REASON_MAX      255
#define PREFERENCES_MAX 16384

static const char *wrong_role(struct span text)
{
	return role_from(text) == ROLE_COUNT
		       ? "is not one of ADMIN, PLATFORM_ENGINEER, DEVELOPER, VIEWER"
		       : NULL;
}

static const char *wrong_provider(struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.data[i];

		if (!((c >= 'a' && c <= 'z') ||
			    (i > 0 && ((c >= '0' && c <= '9') || c == '-' || c == '_'))))
			return "is not of [a-z0-9_-], beginning with a letter";
	}
	return NULL;
}

#define BOTH (REST_FIELD_CREATE | REST_FIELD_CHANGE)

static const struct rest_field fields[] = {
	{ .name = "id" },
	{ "name", REST_FIELD_TEXT, BOTH | REST_FIELD_NEEDED, 255, rest_wrong_shown },
	{ "username", REST_FIELD_TEXT, BOTH | REST_FIELD_NULL, 100, rest_wrong_name },
	{ "avatar", REST_FIELD_TEXT, BOTH | REST_FIELD_NULL, 500, rest_wrong_web },
	{ "email", REST_FIELD_TEXT, BOTH | REST_FIELD_NEEDED, 255, rest_wrong_email },
	{ "phone_number", REST_FIELD_TEXT, BOTH | REST_FIELD_NULL, 20, rest_wrong_phone },
	{ "provider", REST_FIELD_TEXT, REST_FIELD_CREATE, 50, wrong_provider },
	{ "provider_id", REST_FIELD_TEXT, REST_FIELD_CREATE, 255, rest_wrong_shown },
	{ "password", REST_FIELD_TEXT, REST_FIELD_CREATE, PASSWORD_BYTES_MAX, NULL },
	{ "role", REST_FIELD_TEXT, BOTH, 30, wrong_role },
	{ "preferences", REST_FIELD_OBJECT, BOTH | REST_FIELD_NULL, PREFERENCES_MAX, NULL },
	{ .name = "active" },
	{ .name = "second_factor" },
	{ .name = "last_login" },
	{ .name = "created_at" },
	{ .name = "updated_at" },
	{ .name = "teams" },
	{ .name = NULL },
};

/* ---- what is shown -----------------------------------------------------------------------------
 */

static void set(json_t *object, const char *name, json_t *value)
{
	(void)json_object_set_new_nocheck(object, name, value);
}

static json_t *user_of(const struct store_user *row)
{
	json_t *user = json_object();

	set(user, "id", rest_text(row->id));
	set(user, "name", rest_text(row->name));
	set(user, "username", rest_text(row->username));
	set(user, "avatar", rest_text(row->avatar));
	set(user, "provider", rest_text(row->provider));
	set(user, "role", rest_text(row->role));
	set(user, "active", json_boolean(row->active));
	set(user, "teams", rest_raw(row->teams));
	set(user, "created_at", rest_time(row->created_at));
	set(user, "updated_at", rest_time(row->updated_at));
	/* Everybody has an address: none means that the asker may not see it. */
	if (row->email.data) {
		set(user, "email", rest_text(row->email));
		set(user, "phone_number", rest_text(row->phone_number));
		set(user, "provider_id", rest_text(row->provider_id));
		set(user, "second_factor", json_boolean(row->second_factor));
		set(user, "preferences", rest_raw(row->preferences));
		set(user, "last_login", rest_time(row->last_login));
	}
	return user;
}

static void on_user(const struct error *err, const struct store_user *rows, size_t n, void *user)
{
	struct rest_call *call = user;

	(void)n;
	if (!rest_end(call))
		return;
	if (err)
		rest_problem(call, err);
	else
		rest_json(call, 200, user_of(&rows[0]));
}

static void get(struct rest_call *call)
{
	char name[REST_USER_SIZE];

	if (!rest_user(call, name))
		return;
	rest_begin(call);
	store_user_get(call->api->options.db, &call->context, span_of(name), on_user, call);
}

/* ---- lists -------------------------------------------------------------------------------------
 */

struct page {
	unsigned limit;
	struct text filters;
};

static void page_free(void *state)
{
	struct page *page = state;

	text_done(&page->filters);
	mem_free(page);
}

static void on_users(const struct error *err, const struct store_user *rows, size_t n, void *user)
{
	struct rest_call *call = user;
	struct page *page = call->state;
	json_t *items;

	if (!rest_end(call))
		return;
	if (err) {
		rest_problem(call, err);
		return;
	}
	items = json_array();
	for (size_t i = 0; i < n && i < page->limit; i++)
		(void)json_array_append_new(items, user_of(&rows[i]));
	rest_list(call, items, "users", text_span(&page->filters),
		n > page->limit ? rows[page->limit - 1].position : SPAN_NONE);
}

static bool is_filter(struct rest_call *call, const char *name, struct span value, bool good)
{
	char pointer[32];

	if (!value.data || good)
		return true;
	(void)snprintf(pointer, sizeof(pointer), "?%s", name);
	rest_invalid(call, pointer, "is none of its values");
	return false;
}

static void list(struct rest_call *call)
{
	struct page *page = mem_zalloc(sizeof(*page));
	struct store_users_filter filter;
	struct rest_query q;

	text_init(&page->filters);
	call->state = page;
	call->state_free = page_free;
	rest_query_init(&q, call);
	filter = (struct store_users_filter){
		.q = rest_query_text(&q, "q"),
		.role = rest_query_text(&q, "role"),
		.active = rest_query_text(&q, "active"),
		.team = rest_query_text(&q, "team"),
		.provider = rest_query_text(&q, "provider"),
	};
	page->limit =
		(unsigned)rest_query_number(&q, "limit", 1, REST_LIMIT_MAX, REST_LIMIT_DEFAULT);
	filter.limit = page->limit + 1;
	filter.after = rest_query_after(&q, "users");
	text_append_span(&page->filters, text_span(&q.filters));
	if (rest_query_end(&q) &&
		is_filter(call, "role", filter.role, role_from(filter.role) != ROLE_COUNT) &&
		is_filter(call, "active", filter.active,
			span_is(filter.active, "true") || span_is(filter.active, "false"))) {
		rest_begin(call);
		store_users_list(call->api->options.db, &call->context, &filter, on_users, call);
	}
	rest_query_done(&q);
}

/* ---- creation ----------------------------------------------------------------------------------
 */

static void on_created(const struct error *err, const struct store_user *rows, size_t n, void *user)
{
	struct rest_call *call = user;
	char location[REST_USER_SIZE];

	(void)n;
	if (!rest_end(call))
		return;
	if (err) {
		rest_problem(call, err);
		return;
	}
	(void)snprintf(location, sizeof(location), "/v1/users/%.*s", SPAN_ARG(rows[0].id));
	rest_created(call, 201, location, user_of(&rows[0]));
}

/* The body has no password any more. */
static void store(struct rest_call *call, const char *hash)
{
	char *members = json_dumps(call->json, JSON_COMPACT);

	ASSERT(members);
	rest_begin(call);
	store_user_create(call->api->options.db, &call->context, span_of(members), span_of(hash),
		on_created, call);
	free(members);
}

static void on_hashed(void *user, const struct error *err, const char *hash)
{
	struct rest_call *call = user;

	if (!rest_end(call))
		return;
	if (err)
		rest_problem(call, err);
	else
		store(call, hash);
}

static bool hash_password(struct rest_call *call, struct span password)
{
	const struct span own[] = {
		json_span(json_object_get(call->json, "username")),
		json_span(json_object_get(call->json, "name")),
		json_span(json_object_get(call->json, "email")),
	};
	struct error err;
	int rc = password_check(password, own, ARRAY_LENGTH(own), &err);

	if (rc == 0)
		rc = hash_pool_enter(call->api->options.hashes, &err);
	if (rc == 0)
		hash_pool_make(call->api->options.hashes, password, on_hashed, call);
	if (rc < 0)
		rest_problem(call, &err);
	return rc == 0;
}

static void create(struct rest_call *call)
{
	json_t *password = json_object_get(call->json, "password");

	if (!rest_fields_check(call, fields, REST_FIELD_CREATE))
		return;
	if (!password) {
		store(call, NULL);
		return;
	}
	rest_begin(call);
	if (!hash_password(call, json_span(password))) {
		(void)rest_end(call);
		return;
	}
	/* The pool has its own copy, and wipes it. */
	mem_wipe((void *)(uintptr_t)json_string_value(password), json_string_length(password));
	(void)json_object_del(call->json, "password");
}

/* ---- changes -----------------------------------------------------------------------------------
 */

/* Of himself a user changes these; everything else gives or moves rights. The database says the
 * same (user_change). */
static bool is_own_to_change(const char *member)
{
	return strcmp(member, "name") == 0 || strcmp(member, "avatar") == 0 ||
	       strcmp(member, "preferences") == 0;
}

static bool gives_rights(const json_t *patch)
{
	const char *name;
	json_t *value;

	json_object_foreach(
		(json_t *)(uintptr_t)patch, name, value) if (!is_own_to_change(name)) return true;
	return false;
}

static void send_change(struct rest_call *call, int64_t seen)
{
	char name[REST_USER_SIZE];
	char *patch;

	if (!rest_user(call, name))
		return;
	patch = json_dumps(call->json, JSON_COMPACT);
	ASSERT(patch);
	rest_begin(call);
	store_user_change(call->api->options.db, &call->context, span_of(name), span_of(patch),
		seen, on_user, call);
	free(patch);
}

static void on_seen(const struct error *err, const struct store_user *rows, size_t n, void *user)
{
	struct rest_call *call = user;
	json_t *now;

	(void)n;
	if (!rest_end(call))
		return;
	if (err) {
		rest_problem(call, err);
		return;
	}
	now = user_of(&rows[0]);
	if (rest_matches(call, now))
		send_change(call, rows[0].updated_at);
	json_decref(now);
}

static void change(struct rest_call *call)
{
	char name[REST_USER_SIZE];

	if (!rest_fields_check(call, fields, REST_FIELD_CHANGE) ||
		(gives_rights(call->json) && !rest_may(call, ACCESS_USER_ADMIN)))
		return;
	if (!rest_is_conditional(call)) {
		send_change(call, 0);
		return;
	}
	if (!rest_user(call, name))
		return;
	rest_begin(call);
	store_user_get(call->api->options.db, &call->context, span_of(name), on_seen, call);
}

/* {"reason"}, or an empty body. */
static bool read_reason(struct rest_call *call, struct span *reason)
{
	struct json_reader reader;
	struct error err;

	json_reader_init(&reader, call->json, "body", ERR_INVALID, &err);
	*reason = json_read_text(&reader, "reason", JSON_OPTIONAL, REASON_MAX);
	if (json_reader_end(&reader) == 0)
		return true;
	rest_problem(call, &err);
	return false;
}

static void set_active(struct rest_call *call, bool active)
{
	char name[REST_USER_SIZE];
	struct span reason;

	if (!read_reason(call, &reason) || !rest_user(call, name))
		return;
	rest_begin(call);
	store_user_activate(call->api->options.db, &call->context, span_of(name), active, reason,
		on_user, call);
}

static void activate(struct rest_call *call)
{
	set_active(call, true);
}

static void deactivate(struct rest_call *call)
{
	set_active(call, false);
}

static void on_deleted(const struct error *err, struct span id, void *user)
{
	struct rest_call *call = user;

	if (!rest_end(call))
		return;
	if (err)
		rest_problem(call, err);
	else
		rest_json(call, 200, json_pack("{s:o, s:b}", "id", rest_text(id), "deleted", 1));
}

static void delete_user(struct rest_call *call)
{
	char name[REST_USER_SIZE];
	struct rest_query q;
	struct span reason;

	rest_query_init(&q, call);
	reason = rest_query_option(&q, "reason");
	if (rest_query_end(&q) && rest_user(call, name)) {
		rest_begin(call);
		store_user_delete(call->api->options.db, &call->context, span_of(name), reason,
			on_deleted, call);
	}
	rest_query_done(&q);
}

const struct rest_route rest_users_routes[] = {
	REST_ROUTE("GET", "/v1/users", USER_READ, NONE, NONE, list),
	REST_ROUTE("POST", "/v1/users", USER_ADMIN, NONE, JSON, create),
	REST_ROUTE("GET", "/v1/users/{user}", USER_READ, NONE, NONE, get),
	REST_ROUTE("PATCH", "/v1/users/{user}", USER_WRITE, NONE, JSON, change),
	REST_ROUTE("DELETE", "/v1/users/{user}", USER_ADMIN, NONE, NONE, delete_user),
	REST_ROUTE("POST", "/v1/users/{user}/activate", USER_ADMIN, NONE, JSON, activate),
	REST_ROUTE("POST", "/v1/users/{user}/deactivate", USER_ADMIN, NONE, JSON, deactivate),
	REST_ROUTES_END,
};
