/* /v1/access: the table of who may do what, and why somebody may or may not do one thing.
 *
 * An explanation asks the very code and the very policies that decide: access_check() with a
 * principal made for the question, and each policy's own expression over the row (schema 0023,
 * access_rows). It repeats no rule, so it cannot say something else than what happens. */
#include <stdarg.h>
#include <stdio.h>

#include "api/ext.h"
#include "api/ext_schema.h"
#include "api/rest_priv.h"
#include "base/assert.h"
#include "base/mem.h"
#include "identity/principal.h"
#include "store/access_rows.h"

/* ---- the table ---------------------------------------------------------------------------------
 */

static json_t *routes_of(enum access_action action)
{
	json_t *routes = json_array();

	for (const struct rest_route *const *table = rest_tables; *table; table++)
		for (const struct rest_route *r = *table; r->method; r++)
			if (r->rule.action == action)
				(void)json_array_append_new(
					routes, json_sprintf("%s %s", r->method, r->pattern));
	return routes;
}

static json_t *action_of(enum access_action action)
{
	struct span scope = access_rule(action)->scope;
	bool askable = scope_askable(scope);

	return json_pack("{s:s, s:o, s:o, s:s, s:o}", "action", access_rule(action)->name, "scope",
		askable ? rest_text(scope) : json_null(), "least_role",
		askable ? json_string(role_name(access_least_role(scope))) : json_null(),
		"asks_for",
		access_is_public(action) ? "nothing"
		: span_is(scope, "half") ? "half a session"
		: askable                ? "scope and role"
					 : "a key or session",
		"routes", routes_of(action));
}

static void table(struct rest_call *call)
{
	json_t *items = json_array();

	for (int a = ACCESS_NONE + 1; a < ACCESS_COUNT; a++)
		(void)json_array_append_new(items, action_of((enum access_action)a));
	rest_list(call, items, "access", SPAN(""), SPAN_NONE);
}

/* ---- the question ------------------------------------------------------------------------------
 */

/* The rows that stand behind an action (or a scope), and what is done to them. */
static const struct {
	const char *name, *type, *command;
} behind[] = {
	{ "service.read", "service", "SELECT" },
	{ "catalog.read", "service", "SELECT" },
	{ "catalog.write", "service", "UPDATE" },
	{ "team.read", "team", "SELECT" },
	{ "team.write", "team", "UPDATE" },
	{ "member.write", "member", "INSERT" },
	{ "user.write", "user", "UPDATE" },
	{ "key.read", "key", "UPDATE" },
	{ "key.write", "key", "UPDATE" },
	{ "installation.read", "installation", "SELECT" },
	{ "installation.logs", "installation", "SELECT" },
	{ "installation.change", "installation", "UPDATE" },
};

struct question {
	char *user, *name, *resource, *plugin,
		*scopes;                 /* name: of the action; "" for what is not */
	enum access_action action;       /* ACCESS_NONE: name is a scope, or a plugin's call */
	const struct ext_method *method; /* of a plugin's call */
	struct span scope;
	json_t *steps;
	json_t *subject;
	char user_id[PRINCIPAL_ID_SIZE];
	char installation[PRINCIPAL_ID_SIZE];
	bool refused;   /* a step said no: */
	const char *by; /* the last step's rule, borrowed from steps */
	const char *why;
};

static void question_free(void *state)
{
	struct question *q = state;

	json_decref(q->steps);
	json_decref(q->subject);
	mem_free(q->user);
	mem_free(q->name);
	mem_free(q->resource);
	mem_free(q->plugin);
	mem_free(q->scopes);
	mem_free(q);
}

/* The first step that refuses decides; without one, the last. */
__attribute__((format(printf, 4, 5))) static void add_step(
	struct question *q, const char *rule, bool allows, const char *format, ...)
{
	json_t *step;
	va_list args;

	va_start(args, format);
	step = json_pack("{s:s, s:b, s:o}", "rule", rule, "allows", allows, "why",
		json_vsprintf(format, args));
	va_end(args);
	ASSERT(step);
	(void)json_array_append_new(q->steps, step);
	if (q->refused)
		return;
	q->refused = !allows;
	q->by = json_string_value(json_object_get(step, "rule"));
	q->why = json_string_value(json_object_get(step, "why"));
}

static void answer(struct rest_call *call)
{
	const struct question *q = call->state;

	rest_json(call, 200,
		json_pack("{s:O, s:s, s:o, s:o, s:b, s:s, s:s, s:O}", "user", q->subject, "action",
			q->name, "resource",
			q->resource[0] ? json_string(q->resource) : json_null(), "plugin",
			q->plugin[0] ? json_string(q->plugin) : json_null(), "allowed", !q->refused,
			"decided_by", q->by, "why", q->why, "steps", q->steps));
}

/* ---- scope and role ----------------------------------------------------------------------------
 */

static bool takes_object(enum access_action action)
{
	for (const struct rest_route *const *table = rest_tables; *table; table++)
		for (const struct rest_route *r = *table; r->method; r++)
			if (r->rule.action == action && r->object != REST_OBJECT_NONE)
				return true;
	return false;
}

/* The subject as he would come: with these scopes, or, as a plugin's account, its permissions. */
static struct principal *principal_for(
	const struct question *q, const struct store_access_facts *facts)
{
	struct principal *p = principal_new();
	struct span rest = span_of(q->scopes), list[SCOPES_MAX];
	struct db_array permissions = facts->permissions;
	size_t n = 0;

	p->role = role_from(facts->role);
	p->user_name = mem_printf("%.*s", SPAN_ARG(facts->name));
	p->account = span_is(facts->provider, "plugin");
	if (p->account)
		while (n < SCOPES_MAX && db_array_next(&permissions, &list[n]))
			n++;
	else
		while (n < SCOPES_MAX && span_split(&rest, ',', &list[n]))
			n++;
	scopes_init(&p->scopes, list, n);
	return p;
}

static void explain_scope(struct question *q, const struct principal *p, struct span object)
{
	char rule[SCOPE_TEXT_MAX + 16];
	enum role least = access_least_role(q->scope);
	bool covered = scopes_cover(&p->scopes, q->scope, object);
	bool high = p->account || p->role >= least;

	(void)snprintf(rule, sizeof(rule), "scope %.*s", SPAN_ARG(q->scope));
	if (p->account)
		add_step(q, rule, covered, "as itself a plugin has its permissions for scopes");
	else
		add_step(q, rule, covered, "the key or session has the scopes '%s'", q->scopes);
	if (p->account)
		add_step(q, "role", true, "a plugin's account has no role that counts");
	else
		add_step(q, "role", high, "'%.*s' takes %s, and '%s' is %s", SPAN_ARG(q->scope),
			role_name(least), p->user_name, role_name(p->role));
	ASSERT((access_check_scope(p, q->scope, object, NULL) == 0) == (covered && high));
}

static void explain_rule(struct question *q, const struct principal *p)
{
	bool object = q->action != ACCESS_NONE && takes_object(q->action) && q->resource[0];

	if (q->scope.len > 0 && scope_askable(q->scope))
		explain_scope(q, p, object ? span_of(q->resource) : SPAN_NONE);
	else if (q->action != ACCESS_NONE && access_is_public(q->action))
		add_step(q, "access.def", true, "anybody may, without a key or session");
	else
		add_step(q, "access.def", true, "every valid key and session may");
}

static void explain_permission(struct question *q, struct db_array permissions)
{
	char rule[SCOPE_TEXT_MAX + 16];
	struct span one;
	bool granted = q->method->permission[0] == '\0';

	while (!granted && db_array_next(&permissions, &one))
		granted = span_is(one, q->method->permission);
	(void)snprintf(rule, sizeof(rule), "permission %s", q->method->permission);
	add_step(q, rule, granted,
		granted ? "'%s' has it since its install"
			: "'%s' was not granted it at its install",
		q->plugin);
}

/* ---- rows --------------------------------------------------------------------------------------
 */

static void on_rows(
	const struct error *err, const struct store_access_row *rows, size_t n, void *user)
{
	struct rest_call *call = user;
	struct question *q = call->state;
	bool any = false;
	char rule[128];

	if (!rest_end(call))
		return;
	if (err) {
		rest_problem(call, err);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		if (rows[i].restrictive && rows[i].holds)
			continue;
		if (!rows[i].restrictive && (any || !rows[i].holds))
			continue;
		any = any || !rows[i].restrictive;
		(void)snprintf(rule, sizeof(rule), "policy %.*s", SPAN_ARG(rows[i].policy));
		add_step(q, rule, rows[i].holds,
			rows[i].holds ? "it lets '%s' through" : "it must hold, and refuses '%s'",
			q->resource);
	}
	if (!any) {
		struct text names;

		text_init(&names);
		for (size_t i = 0; i < n; i++)
			if (!rows[i].restrictive)
				text_printf(&names, "%s%.*s", names.len ? ", " : "",
					SPAN_ARG(rows[i].policy));
		add_step(q, "policies", false, "none lets '%s' through: %s", q->resource,
			names.data);
		text_done(&names);
	}
	answer(call);
}

static void ask_rows(struct rest_call *call)
{
	const struct question *q = call->state;
	struct store_access_question rows = {
		.user = span_of(q->user_id),
		.installation = span_of(q->installation),
		.resource = span_of(q->resource),
	};

	for (size_t i = 0; i < ARRAY_LENGTH(behind) && q->resource[0]; i++) {
		if (strcmp(behind[i].name, q->name) == 0 ||
			(q->action == ACCESS_NONE && span_is(q->scope, behind[i].name))) {
			rows.type = behind[i].type;
			rows.command = behind[i].command;
		}
	}
	if (!rows.type) {
		answer(call);
		return;
	}
	rest_begin(call);
	store_access_rows(call->api->options.db, &call->context, &rows, on_rows, call);
}

static void on_facts(
	const struct error *err, const struct store_access_facts *rows, size_t n, void *user)
{
	struct rest_call *call = user;
	struct question *q = call->state;
	struct principal *p;
	struct error own;

	(void)n;
	if (!rest_end(call))
		return;
	if (!err && q->plugin[0] && !rows[0].installation.data) {
		(void)error_set(
			&own, ERR_NOT_FOUND, "plugin '%s' is not installed here", q->plugin);
		err = &own;
	}
	if (err) {
		rest_problem(call, err);
		return;
	}
	(void)snprintf(q->user_id, sizeof(q->user_id), "%.*s", SPAN_ARG(rows[0].user_id));
	(void)snprintf(
		q->installation, sizeof(q->installation), "%.*s", SPAN_ARG(rows[0].installation));
	q->subject = json_pack("{s:o, s:o, s:o}", "id", rest_text(rows[0].user_id), "name",
		rest_text(rows[0].name), "role", rest_text(rows[0].role));
	add_step(q, "account", rows[0].active,
		rows[0].active ? "'%.*s' is active"
			       : "'%.*s' is inactive: no key and no session of his counts",
		SPAN_ARG(rows[0].name));
	if (q->method)
		explain_permission(q, rows[0].permissions);
	p = principal_for(q, &rows[0]);
	explain_rule(q, p);
	principal_unref(p);
	ask_rows(call);
}

/* What the name means: a row of the table, a plugin's call ("catalog/1.apply"), or a scope. */
static bool find_action(struct rest_call *call, struct question *q)
{
	struct span name = span_of(q->name);

	q->action = access_find(name);
	q->method = ext_find(name);
	if (q->action != ACCESS_NONE)
		q->scope = access_rule(q->action)->scope;
	else if (q->method)
		q->scope = span_of(q->method->scope);
	else if (scope_askable(name))
		q->scope = name;
	else {
		rest_invalid(call, "?action",
			"names no action ('mortise access list'), scope or call of a plugin");
		return false;
	}
	if (q->method && !q->plugin[0]) {
		rest_invalid(call, "?plugin", "is missing: which plugin makes the call");
		return false;
	}
	return true;
}

static char *copy(struct span s, const char *fallback)
{
	return s.data ? mem_printf("%.*s", SPAN_ARG(s)) : mem_strdup(fallback);
}

static void explain(struct rest_call *call)
{
	struct question *q = mem_zalloc(sizeof(*q));
	struct rest_query query;

	call->state = q;
	call->state_free = question_free;
	q->steps = json_array();
	rest_query_init(&query, call);
	q->user = copy(rest_query_option(&query, "user"), "me");
	q->name = copy(rest_query_option(&query, "action"), "");
	q->resource = copy(rest_query_option(&query, "resource"), "");
	q->plugin = copy(rest_query_option(&query, "plugin"), "");
	q->scopes = copy(rest_query_option(&query, "scopes"), "*");
	if (rest_query_end(&query) && find_action(call, q)) {
		rest_begin(call);
		store_access_facts(call->api->options.db, &call->context,
			strcmp(q->user, "me") == 0 ? call->context.user_id : span_of(q->user),
			span_of(q->plugin), on_facts, call);
	}
	rest_query_done(&query);
}

const struct rest_route rest_access_routes[] = {
	REST_ROUTE("GET", "/v1/access", ACCESS_EXPLAIN, NONE, NONE, table),
	REST_ROUTE("GET", "/v1/access/explain", ACCESS_EXPLAIN, NONE, NONE, explain),
	REST_ROUTES_END,
};
