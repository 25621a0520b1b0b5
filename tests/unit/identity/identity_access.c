#include "identity/access.h"

#include "base/mem.h"
#include "lib/test.h"

static struct principal *holder(enum role role, const char *scope)
{
	struct principal *p = principal_new();
	struct span list[1] = { span_of(scope) };

	p->role = role;
	p->user_name = mem_strdup("ada");
	scopes_init(&p->scopes, list, 1);
	return p;
}

static int check(enum role role, const char *held, enum access_action action, const char *object)
{
	struct principal *p = holder(role, held);
	int rc = access_check(p, action, object ? span_of(object) : SPAN_NONE, NULL);

	principal_unref(p);
	return rc;
}

TEST(identity_access__every_action_has_a_name_and_an_askable_scope_of_the_table)
{
	for (int a = ACCESS_NONE + 1; a < ACCESS_COUNT; a++) {
		const struct access_rule *rule = access_rule((enum access_action)a);

		EXPECT_PTR(rule->name);
		EXPECT_TRUE(rule->scope.len == 0 || span_is(rule->scope, "public") ||
			    span_is(rule->scope, "half") || scope_askable(rule->scope));
	}
}

/* Every action, every scope of the table, every role: allowed exactly when the key holds the
 * action's own scope and the role reaches it. */
TEST(identity_access__the_matrix_is_deny_by_default)
{
	static const struct {
		const char *scope;
		enum role least;
	} scopes[] = {
#define SCOPE(scope_, role, help) { scope_, ROLE_##role },
#define ACTION(name, text, scope_)
#include "identity/access.def"
#undef ACTION
#undef SCOPE
	};

	for (int a = ACCESS_NONE + 1; a < ACCESS_COUNT; a++) {
		const struct access_rule *rule = access_rule((enum access_action)a);

		for (size_t s = 0; s < sizeof(scopes) / sizeof(scopes[0]); s++) {
			for (int r = 0; r < ROLE_COUNT; r++) {
				bool own = span_is(rule->scope, scopes[s].scope);
				bool yes = !scope_askable(rule->scope) ||
					   (own && r >= (int)scopes[s].least);

				ck_assert_msg((check((enum role)r, scopes[s].scope,
						       (enum access_action)a, NULL) == 0) == yes,
					"%s with %s as %s", rule->name, scopes[s].scope,
					role_name((enum role)r));
			}
		}
	}
}

TEST(identity_access__nobody_is_unauthenticated_and_a_missing_scope_is_forbidden)
{
	struct error err;

	EXPECT_INT(access_check(NULL, ACCESS_WHOAMI, SPAN_NONE, NULL), ==, ERR_AUTHENTICATION);
	struct principal *p = holder(ROLE_ADMIN, "catalog.read");
	EXPECT_INT(access_check(p, ACCESS_TRUST_WRITE, SPAN_NONE, &err), ==, ERR_PERMISSION);
	EXPECT_CONTAINS(err.text, "host.write");
	EXPECT_CONTAINS(err.fix, "host.write");
	principal_unref(p);
	p = holder(ROLE_VIEWER, "*");
	EXPECT_INT(access_check(p, ACCESS_TRUST_WRITE, SPAN_NONE, &err), ==, ERR_PERMISSION);
	EXPECT_CONTAINS(err.text, "ADMIN");
	principal_unref(p);
}

/* A session that owes a second factor gets nothing but what is for everybody, and its own end. */
TEST(identity_access__half_a_login_opens_what_is_public_or_half_only)
{
	struct principal *p = holder(ROLE_ADMIN, "*");

	p->half = true;
	for (int a = ACCESS_NONE + 1; a < ACCESS_COUNT; a++) {
		struct span scope = access_rule((enum access_action)a)->scope;
		bool open = span_is(scope, "public") || span_is(scope, "half");

		ck_assert_msg(access_check(p, (enum access_action)a, SPAN_NONE, NULL) ==
				      (open ? 0 : ERR_SECOND_FACTOR),
			"%s", access_rule((enum access_action)a)->name);
	}
	EXPECT_INT(
		access_check_scope(p, SPAN("hello.read"), SPAN_NONE, NULL), ==, ERR_SECOND_FACTOR);
	principal_unref(p);
}

TEST(identity_access__nobody_gets_what_is_public_only)
{
	for (int a = ACCESS_NONE + 1; a < ACCESS_COUNT; a++)
		EXPECT_INT(access_check(NULL, (enum access_action)a, SPAN_NONE, NULL), ==,
			access_is_public((enum access_action)a) ? 0 : ERR_AUTHENTICATION);
}

TEST(identity_access__an_object_narrows_the_scope)
{
	EXPECT_INT(check(ROLE_ADMIN, "plugins.write:acme/x", ACCESS_INSTALLATION_CHANGE, "acme/x"),
		==, 0);
	EXPECT_INT(check(ROLE_ADMIN, "plugins.write:acme/x", ACCESS_INSTALLATION_CHANGE, "acme/y"),
		==, ERR_PERMISSION);
	EXPECT_INT(check(ROLE_ADMIN, "plugins.write:acme/x", ACCESS_PACKAGE_UPLOAD, NULL), ==,
		ERR_PERMISSION);
}

TEST(identity_access__a_plugins_read_is_for_viewers_and_the_rest_for_developers)
{
	EXPECT_INT(access_least_role(SPAN("hello.read")), ==, ROLE_VIEWER);
	EXPECT_INT(access_least_role(SPAN("hello.write")), ==, ROLE_DEVELOPER);
	EXPECT_INT(access_least_role(SPAN("hello.bread")), ==, ROLE_DEVELOPER);
}

TEST(identity_principal__networks_hold_for_mapped_addresses_and_exact_bits)
{
	static const struct {
		const char *networks, *peer;
		bool yes;
	} cases[] = {
		{ "10.0.0.0/8", "10.255.0.1", true },
		{ "10.0.0.0/8", "11.0.0.1", false },
		{ "10.0.0.0/8", "::ffff:10.1.2.3", true },
		{ "192.168.1.0/25", "192.168.1.127", true },
		{ "192.168.1.0/25", "192.168.1.128", false },
		{ "127.0.0.1", "127.0.0.1", true },
		{ "127.0.0.1", "127.0.0.2", false },
		{ "0.0.0.0/0", "8.8.8.8", true },
		{ "0.0.0.0/0", "2001:db8::1", false },
		{ "::/0", "2001:db8::1", true },
		{ "2001:db8::/33", "2001:db8:7fff::1", true },
		{ "2001:db8::/33", "2001:db8:8000::1", false },
		{ "10.0.0.0/8,::1", "::1", true },
		{ "10.0.0.0/33", "10.0.0.1", false },
		{ "nonsense", "10.0.0.1", false },
		{ "10.0.0.0/8", "nonsense", false },
		{ "10.0.0.0/8", "", false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct principal *p = principal_new();

		p->allowed_ips = mem_strdup(cases[i].networks);
		ck_assert_msg(principal_allows_peer(p, cases[i].peer) == cases[i].yes, "%s in %s",
			cases[i].peer, cases[i].networks);
		principal_unref(p);
	}
}

TEST(identity_principal__an_origin_counts_only_when_it_is_equal)
{
	struct principal *p = principal_new();

	EXPECT_TRUE(principal_allows_origin(p, SPAN("https://a.example")));
	p->allowed_origins = mem_strdup("https://a.example\nhttps://b.example");
	EXPECT_TRUE(principal_allows_origin(p, SPAN("https://b.example")));
	EXPECT_FALSE(principal_allows_origin(p, SPAN("https://b.example.evil")));
	EXPECT_FALSE(principal_allows_origin(p, SPAN("null")));
	EXPECT_TRUE(principal_allows_origin(p, SPAN("")));
	principal_unref(p);
}
