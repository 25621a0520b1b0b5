/* /v1/teams: ownership groups, their tree and their members. Who may write which team is the
 * policies' to say (schema 0017 and 0023); `mortise access explain` shows them. */
#include <stdio.h>
#include <stdlib.h>

#include "api/rest_fields.h"
#include "api/rest_priv.h"
#include "base/assert.h"
#include "base/mem.h"
#include "codec/json.h"
#include "identity/principal.h"
#include "store/teams.h"

#define NAME_SIZE 512
#define JSON_MAX  16384
#define BOTH      (REST_FIELD_CREATE | REST_FIELD_CHANGE)

static const struct rest_field fields[] = {
	{ .name = "id" },
	{ "name", REST_FIELD_TEXT, BOTH | REST_FIELD_NEEDED, 100, rest_wrong_name },
	{ "display_name", REST_FIELD_TEXT, BOTH, 255, rest_wrong_shown },
	{ "description", REST_FIELD_TEXT, BOTH | REST_FIELD_NULL, 10000, NULL },
	{ "avatar", REST_FIELD_TEXT, BOTH | REST_FIELD_NULL, 500, rest_wrong_web },
	{ "parent", REST_FIELD_TEXT, BOTH | REST_FIELD_NULL, 100, NULL },
	{ "owner", REST_FIELD_TEXT, REST_FIELD_CREATE | REST_FIELD_NULL, 100, NULL },
	{ "settings", REST_FIELD_OBJECT, BOTH | REST_FIELD_NULL, JSON_MAX, NULL },
	{ "metadata", REST_FIELD_OBJECT, BOTH | REST_FIELD_NULL, JSON_MAX, NULL },
	{ "active", REST_FIELD_BOOLEAN, REST_FIELD_CHANGE, 0, NULL },
	{ .name = "provider" },
	{ .name = "members" },
	{ .name = "created_at" },
	{ .name = "updated_at" },
	{ .name = NULL },
};

static const char *wrong_role(struct span text)
{
	if (span_is(text, "OWNER") || span_is(text, "MAINTAINER") || span_is(text, "MEMBER"))
		return NULL;
	return "is not one of OWNER, MAINTAINER, MEMBER";
}

static const struct rest_field member_fields[] = {
	{ "user", REST_FIELD_TEXT, REST_FIELD_CREATE | REST_FIELD_NEEDED, 100, NULL },
	{ "role", REST_FIELD_TEXT, BOTH, 20, wrong_role },
	{ .name = "user_id" },
	{ .name = "username" },
	{ .name = "name" },
	{ .name = "active" },
	{ .name = "joined_at" },
	{ .name = NULL },
};

/* ---- what is shown -----------------------------------------------------------------------------
 */

static json_t *team_of(const struct store_team *row)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:I, s:o, s:o}", "id",
		rest_text(row->id), "name", rest_text(row->name), "display_name",
		rest_text(row->display_name), "description", rest_text(row->description), "avatar",
		rest_text(row->avatar), "parent", rest_text(row->parent), "settings",
		rest_raw(row->settings), "metadata", rest_raw(row->metadata), "active", row->active,
		"provider", rest_text(row->provider), "members", (json_int_t)row->members,
		"created_at", rest_time(row->created_at), "updated_at", rest_time(row->updated_at));
}

static json_t *member_of(const struct store_member *row)
{
	return json_pack("{s:o, s:o, s:o, s:b, s:o, s:o}", "user_id", rest_text(row->user_id),
		"username", rest_text(row->username), "name", rest_text(row->name), "active",
		row->active, "role", rest_text(row->role), "joined_at", rest_time(row->joined_at));
}

static void on_team(const struct error *err, const struct store_team *rows, size_t n, void *user)
{
	struct rest_call *call = user;

	(void)n;
	if (!rest_end(call))
		return;
	if (err)
		rest_problem(call, err);
	else
		rest_json(call, 200, team_of(&rows[0]));
}

static void get(struct rest_call *call)
{
	char name[NAME_SIZE];

	if (!rest_param(call, "name", name, sizeof(name)))
		return;
	rest_begin(call);
	store_team_get(call->api->options.db, &call->context, span_of(name), on_team, call);
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

static struct page *page_new(struct rest_call *call)
{
	struct page *page = mem_zalloc(sizeof(*page));

	text_init(&page->filters);
	call->state = page;
	call->state_free = page_free;
	return page;
}

static void on_teams(const struct error *err, const struct store_team *rows, size_t n, void *user)
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
		(void)json_array_append_new(items, team_of(&rows[i]));
	rest_list(call, items, "teams", text_span(&page->filters),
		n > page->limit ? rows[page->limit - 1].name : SPAN_NONE);
}

static void list(struct rest_call *call)
{
	struct page *page = page_new(call);
	struct store_teams_filter filter;
	struct rest_query q;

	rest_query_init(&q, call);
	filter = (struct store_teams_filter){
		.q = rest_query_text(&q, "q"),
		.parent = rest_query_text(&q, "parent"),
		.member = rest_query_text(&q, "member"),
	};
	if (span_is(filter.member, "me"))
		filter.member = call->context.user_id;
	page->limit =
		(unsigned)rest_query_number(&q, "limit", 1, REST_LIMIT_MAX, REST_LIMIT_DEFAULT);
	filter.limit = page->limit + 1;
	filter.after = rest_query_after(&q, "teams");
	text_append_span(&page->filters, text_span(&q.filters));
	if (rest_query_end(&q)) {
		rest_begin(call);
		store_teams_list(call->api->options.db, &call->context, &filter, on_teams, call);
	}
	rest_query_done(&q);
}

static void on_members(
	const struct error *err, const struct store_member *rows, size_t n, void *user)
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
		(void)json_array_append_new(items, member_of(&rows[i]));
	rest_list(call, items, "members", text_span(&page->filters),
		n > page->limit ? rows[page->limit - 1].position : SPAN_NONE);
}

static void list_members(struct rest_call *call)
{
	struct page *page = page_new(call);
	char name[NAME_SIZE];
	struct rest_query q;
	struct span after;

	if (!rest_param(call, "name", name, sizeof(name)))
		return;
	rest_query_init(&q, call);
	/* A cursor counts for the team it was made for. */
	text_printf(&q.filters, "team=%s&", name);
	page->limit =
		(unsigned)rest_query_number(&q, "limit", 1, REST_LIMIT_MAX, REST_LIMIT_DEFAULT);
	after = rest_query_after(&q, "members");
	text_append_span(&page->filters, text_span(&q.filters));
	if (rest_query_end(&q)) {
		rest_begin(call);
		store_members_list(call->api->options.db, &call->context, span_of(name), after,
			page->limit + 1, on_members, call);
	}
	rest_query_done(&q);
}

/* ---- creation and changes ----------------------------------------------------------------------
 */

static void on_created(const struct error *err, const struct store_team *rows, size_t n, void *user)
{
	struct rest_call *call = user;
	char location[NAME_SIZE];

	(void)n;
	if (!rest_end(call))
		return;
	if (err) {
		rest_problem(call, err);
		return;
	}
	(void)snprintf(location, sizeof(location), "/v1/teams/%.*s", SPAN_ARG(rows[0].name));
	rest_created(call, 201, location, team_of(&rows[0]));
}

/* Is the asker a person, who can own a team? */
static bool is_person(const struct principal *who)
{
	static const char *const accounts[] = { "system", "plugin", "team" };

	for (size_t i = 0; i < ARRAY_LENGTH(accounts); i++)
		if (who->user_provider && strcmp(who->user_provider, accounts[i]) == 0)
			return false;
	return true;
}

static void create(struct rest_call *call)
{
	char *members;

	if (!rest_fields_check(call, fields, REST_FIELD_CREATE))
		return;
	/* Whoever makes a team owns it, unless he says who does. */
	if (!json_object_get(call->json, "owner") && is_person(call->who))
		(void)json_object_set_new(call->json, "owner", json_string(call->who->user_id));
	members = json_dumps(call->json, JSON_COMPACT);
	ASSERT(members);
	rest_begin(call);
	store_team_create(
		call->api->options.db, &call->context, span_of(members), on_created, call);
	free(members);
}

static void send_change(struct rest_call *call, int64_t seen)
{
	CLEANUP(json_freep) json_t *columns = json_copy(call->json);
	json_t *active = json_object_get(columns, "active");
	char name[NAME_SIZE];
	char *patch;

	if (!rest_param(call, "name", name, sizeof(name)))
		return;
	if (active) {
		(void)json_object_set(columns, "is_active", active);
		(void)json_object_del(columns, "active");
	}
	patch = json_dumps(columns, JSON_COMPACT);
	ASSERT(patch);
	rest_begin(call);
	store_team_change(call->api->options.db, &call->context, span_of(name), span_of(patch),
		seen, on_team, call);
	free(patch);
}

static void on_seen(const struct error *err, const struct store_team *rows, size_t n, void *user)
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
	now = team_of(&rows[0]);
	if (rest_matches(call, now))
		send_change(call, rows[0].updated_at);
	json_decref(now);
}

static void change(struct rest_call *call)
{
	char name[NAME_SIZE];

	if (!rest_fields_check(call, fields, REST_FIELD_CHANGE))
		return;
	if (!rest_is_conditional(call)) {
		send_change(call, 0);
		return;
	}
	if (!rest_param(call, "name", name, sizeof(name)))
		return;
	rest_begin(call);
	store_team_get(call->api->options.db, &call->context, span_of(name), on_seen, call);
}

static void on_gone(const struct error *err, struct span id, void *user)
{
	struct rest_call *call = user;

	if (!rest_end(call))
		return;
	if (err)
		rest_problem(call, err);
	else
		rest_json(call, 200, json_pack("{s:o, s:b}", "id", rest_text(id), "deleted", 1));
}

static void delete_team(struct rest_call *call)
{
	char name[NAME_SIZE];
	struct rest_query q;
	struct span reason;

	rest_query_init(&q, call);
	reason = rest_query_option(&q, "reason");
	if (rest_query_end(&q) && rest_param(call, "name", name, sizeof(name))) {
		rest_begin(call);
		store_team_delete(call->api->options.db, &call->context, span_of(name), reason,
			on_gone, call);
	}
	rest_query_done(&q);
}

/* ---- members -----------------------------------------------------------------------------------
 */

static void answer_member(struct rest_call *call, const struct error *err,
	const struct store_member *rows, int status)
{
	if (!rest_end(call))
		return;
	if (err)
		rest_problem(call, err);
	else
		rest_json(call, status, member_of(&rows[0]));
}

static void on_added(const struct error *err, const struct store_member *rows, size_t n, void *user)
{
	(void)n;
	answer_member(user, err, rows, 201);
}

static void on_changed(
	const struct error *err, const struct store_member *rows, size_t n, void *user)
{
	(void)n;
	answer_member(user, err, rows, 200);
}

static void add_member(struct rest_call *call)
{
	struct span role, member;
	char name[NAME_SIZE];

	if (!rest_fields_check(call, member_fields, REST_FIELD_CREATE) ||
		!rest_param(call, "name", name, sizeof(name)))
		return;
	member = json_span(json_object_get(call->json, "user"));
	role = json_span(json_object_get(call->json, "role"));
	rest_begin(call);
	store_member_put(call->api->options.db, &call->context, STORE_MEMBER_ADD, span_of(name),
		span_is(member, "me") ? call->context.user_id : member,
		role.data ? role : SPAN("MEMBER"), on_added, call);
}

static void change_member(struct rest_call *call)
{
	struct span role = json_span(json_object_get(call->json, "role"));
	char name[NAME_SIZE], member[REST_USER_SIZE];

	if (!rest_fields_check(call, member_fields, REST_FIELD_CHANGE))
		return;
	if (!role.data) {
		rest_invalid(call, "/role", "is missing");
		return;
	}
	if (!rest_param(call, "name", name, sizeof(name)) || !rest_user(call, member))
		return;
	rest_begin(call);
	store_member_put(call->api->options.db, &call->context, STORE_MEMBER_CHANGE, span_of(name),
		span_of(member), role, on_changed, call);
}

static void remove_member(struct rest_call *call)
{
	char name[NAME_SIZE], member[REST_USER_SIZE];

	if (!rest_param(call, "name", name, sizeof(name)) || !rest_user(call, member))
		return;
	rest_begin(call);
	store_member_remove(call->api->options.db, &call->context, span_of(name), span_of(member),
		on_gone, call);
}

#define ONE     "/v1/teams/{name}"
#define MEMBERS ONE "/members"

const struct rest_route rest_teams_routes[] = {
	REST_ROUTE("GET", "/v1/teams", TEAM_READ, NONE, NONE, list),
	REST_ROUTE("POST", "/v1/teams", TEAM_CREATE, NONE, JSON, create),
	REST_ROUTE("GET", ONE, TEAM_READ, NONE, NONE, get),
	REST_ROUTE("PATCH", ONE, TEAM_WRITE, NONE, JSON, change),
	REST_ROUTE("DELETE", ONE, TEAM_WRITE, NONE, NONE, delete_team),
	REST_ROUTE("GET", MEMBERS, TEAM_READ, NONE, NONE, list_members),
	REST_ROUTE("POST", MEMBERS, MEMBER_WRITE, NONE, JSON, add_member),
	REST_ROUTE("PATCH", MEMBERS "/{user}", MEMBER_WRITE, NONE, JSON, change_member),
	REST_ROUTE("DELETE", MEMBERS "/{user}", MEMBER_WRITE, NONE, NONE, remove_member),
	REST_ROUTES_END,
};
