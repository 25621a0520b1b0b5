#include "identity/access.h"

#include "base/assert.h"
#include "base/error.h"
#include "base/mem.h"

static const struct access_rule rules[ACCESS_COUNT] = {
#define SCOPE(scope_, role, help)
#define ACTION(name_, text, scope_) [ACCESS_##name_] = { text, { "" scope_, sizeof(scope_) - 1 } },
#include "identity/access.def"
#undef ACTION
#undef SCOPE
};

static const struct {
	struct span scope;
	enum role least;
} own_scopes[] = {
#define SCOPE(scope_, role, help) { { "" scope_, sizeof(scope_) - 1 }, ROLE_##role },
#define ACTION(name, text, scope_)
#include "identity/access.def"
#undef ACTION
#undef SCOPE
};

const struct access_rule *access_rule(enum access_action action)
{
	ASSERT(action > ACCESS_NONE && action < ACCESS_COUNT);
	return &rules[action];
}

enum access_action access_find(struct span name)
{
	for (int a = ACCESS_NONE + 1; a < ACCESS_COUNT; a++)
		if (span_is(name, rules[a].name))
			return (enum access_action)a;
	return ACCESS_NONE;
}

bool access_is_public(enum access_action action)
{
	return span_is(access_rule(action)->scope, "public");
}

/* A half-logged-in session can only finish, or leave. */
static bool is_for_half(enum access_action action)
{
	return span_is(access_rule(action)->scope, "half");
}

enum role access_least_role(struct span scope)
{
	static const struct span read_suffix = { ".read", 5 };

	for (size_t i = 0; i < ARRAY_LENGTH(own_scopes); i++)
		if (span_equal(own_scopes[i].scope, scope))
			return own_scopes[i].least;
	if (scope.len > read_suffix.len && memcmp(scope.data + scope.len - read_suffix.len,
						   read_suffix.data, read_suffix.len) == 0)
		return ROLE_VIEWER;
	return ROLE_DEVELOPER;
}

/* Credentials are there, and whole. */
static int check_whole(const struct principal *p, struct error *err)
{
	if (!p)
		return error_set(
			err, ERR_AUTHENTICATION, "no API key and no session came with the request");
	if (p->half)
		return error_set(err, ERR_SECOND_FACTOR, "the session still owes a second factor");
	return 0;
}

int access_check_scope(
	const struct principal *p, struct span scope, struct span object, struct error *err)
{
	enum role least;
	int rc = check_whole(p, err);

	if (rc < 0)
		return rc;
	if (!scopes_cover(&p->scopes, scope, object)) {
		(void)error_set(err, ERR_PERMISSION,
			"the key has no scope that covers '%.*s%s%.*s'", SPAN_ARG(scope),
			object.data ? ":" : "", SPAN_ARG(object));
		(void)error_fix(err, "ask an administrator for a key with the scope '%.*s'",
			SPAN_ARG(scope));
		return ERR_PERMISSION;
	}
	least = access_least_role(scope);
	if (!p->account && p->role < least) {
		/* Without his name: this text stays in the audit trail when he is erased. */
		(void)error_set(err, ERR_PERMISSION,
			"'%.*s' takes the role %s, and the asker is %s", SPAN_ARG(scope),
			role_name(least), role_name(p->role));
		(void)error_fix(err, "ask an administrator for the role %s", role_name(least));
		return ERR_PERMISSION;
	}
	return 0;
}

int access_check(
	const struct principal *p, enum access_action action, struct span object, struct error *err)
{
	const struct access_rule *rule = access_rule(action);

	if (access_is_public(action) || (p && is_for_half(action)))
		return 0;
	if (rule->scope.len == 0 || is_for_half(action))
		return check_whole(p, err);
	return access_check_scope(p, rule->scope, object, err);
}
