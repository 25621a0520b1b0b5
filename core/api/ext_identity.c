/* identity/1: who asks, and what may they do */
#include "api/ext_priv.h"
#include "identity/access.h"
#include "identity/principal.h"
#include "store/access_rows.h"
#include "store/users.h"

#define LIMIT_DEFAULT 50u

/* ---- whoami ------------------------------------------------------------------------------------
 */

static json_t *text_or_empty(struct span s)
{
	return s.data ? json_stringn_nocheck(s.data, s.len) : json_string("");
}

static void on_user(const struct error *err, const struct store_user *rows, size_t n, void *user)
{
	struct ext_work *work = user;
	json_t *scopes;

	if (err || n != 1) {
		ext_fail(work, err);
		return;
	}
	scopes = json_array();
	for (size_t i = 0; i < work->who->scopes.count; i++)
		(void)json_array_append_new(scopes, rest_text(work->who->scopes.list[i]));
	ext_give(work,
		json_pack("{s:o, s:o, s:o, s:o, s:s, s:o}", "id", text_or_empty(rows[0].id), "name",
			text_or_empty(rows[0].name), "username", text_or_empty(rows[0].username),
			"provider", text_or_empty(rows[0].provider), "role",
			role_name(work->who->role), "scopes", scopes));
}

static int whoami(struct ext_work *work)
{
	store_user_get(work->api->options.db, &work->context, work->context.user_id, on_user, work);
	return 0;
}

/* ---- can ---------------------------------------------------------------------------------------
 */

/* By the table that decides /v1, or by a scope, which is what plugins' routes ask for. */
static int check(const struct ext_work *work, struct error *err)
{
	struct span action = ext_string(work, "action"), resource = ext_string(work, "resource");
	enum access_action known = access_find(action);

	if (known != ACCESS_NONE)
		return access_check(work->who, known, resource, err);
	return access_check_scope(work->who, action, resource, err);
}

static void give_allowed(void *user)
{
	struct ext_work *work = user;
	struct error err;
	int rc = check(work, &err);

	ext_give(work,
		json_pack("{s:b, s:s}", "allowed", rc == 0, "reason", rc == 0 ? "" : err.text));
}

static int can(struct ext_work *work, struct error *err)
{
	const struct api_options *options = &work->api->options;

	if (!scope_askable(ext_string(work, "action")))
		return error_set(err, ERR_INVALID, "'/action' is not of the form area.verb");
	/* Known at once, but an answer never comes before its question has returned. */
	(void)options->host->timer(options->host_user, 0, give_allowed, work);
	return 0;
}

/* ---- plugin ------------------------------------------------------------------------------------
 */

static void on_plugin(
	const struct error *err, const struct store_own_plugin *rows, size_t n, void *user)
{
	struct ext_work *work = user;
	struct span rest, one;
	json_t *permissions;

	if (err || n != 1) {
		ext_fail(work, err);
		return;
	}
	/* The ones that each call is checked against, not what a row says by now. */
	permissions = json_array();
	rest = span_of(work->permissions);
	while (span_split(&rest, ' ', &one))
		if (one.len > 0)
			(void)json_array_append_new(permissions, rest_text(one));
	ext_give(work,
		json_pack("{s:o, s:o, s:o, s:o}", "installation", rest_text(work->installation),
			"name", text_or_empty(rows[0].name), "account",
			text_or_empty(rows[0].account), "permissions", permissions));
}

static int plugin(struct ext_work *work)
{
	store_own_plugin(work->api->options.db, &work->context, on_plugin, work);
	return 0;
}

/* ---- teams -------------------------------------------------------------------------------------
 */

static void on_teams(
	const struct error *err, const struct store_membership *rows, size_t n, void *user)
{
	struct ext_work *work = user;
	json_t *list;

	if (err) {
		ext_fail(work, err);
		return;
	}
	list = json_array();
	for (size_t i = 0; i < n && i < work->limit; i++)
		(void)json_array_append_new(list,
			json_pack("{s:o, s:o, s:o, s:o}", "id", text_or_empty(rows[i].team_id),
				"name", text_or_empty(rows[i].team_name), "display_name",
				text_or_empty(rows[i].team_display_name), "role",
				text_or_empty(rows[i].role)));
	ext_give_page(work, list, "identity.teams",
		n > work->limit ? rows[work->limit - 1].team_name : SPAN_NONE);
}

static int teams(struct ext_work *work, struct error *err)
{
	struct text after;
	int rc;

	text_init(&after);
	work->limit = ext_uint32(work, "limit", LIMIT_DEFAULT);
	rc = ext_cursor(work, "identity.teams", &after, err);
	if (rc == 0)
		store_user_teams(work->api->options.db, &work->context, work->context.user_id,
			text_span(&after), work->limit + 1, on_teams, work);
	text_done(&after);
	return rc;
}

int ext_identity_start(struct ext_work *work, struct error *err)
{
	struct span method = span_of(work->method->name);

	if (span_is(method, "whoami"))
		return whoami(work);
	if (span_is(method, "can"))
		return can(work, err);
	if (span_is(method, "plugin"))
		return plugin(work);
	if (span_is(method, "teams"))
		return teams(work, err);
	return error_set(err, ERR_UNSUPPORTED, "identity/1 has no '%s' here", work->method->name);
}
