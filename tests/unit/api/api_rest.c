#include "api/api.h"

#include "api/rest_priv.h"
#include "lib/test.h"

TEST(api_rest__no_route_is_there_twice)
{
	struct api_options options = {
		.environment = "test", .node = "n", .log_folder = "/", .spool_folder = "/"
	};
	struct api *api = NULL;
	struct error err;

	EXPECT_OK(api_new(&api, &options, &err), &err);
	api_free(api);
}

static bool ends_with_read(struct span scope)
{
	return scope.len >= 5 && memcmp(scope.data + scope.len - 5, ".read", 5) == 0;
}

TEST(api_rest__what_changes_something_asks_for_more_than_a_read)
{
	for (const struct rest_route *const *table = rest_tables; *table; table++) {
		for (const struct rest_route *r = *table; r->method; r++) {
			struct span scope = access_rule(r->rule.action)->scope;

			ck_assert_msg(strcmp(r->method, "GET") == 0 || !ends_with_read(scope),
				"%s %s", r->method, r->pattern);
			ck_assert_msg(strncmp(r->pattern, "/v1/", 4) == 0, "%s", r->pattern);
		}
	}
}

TEST(api_rest__every_rule_has_a_route)
{
	bool used[ACCESS_COUNT] = { false };

	for (const struct rest_route *const *table = rest_tables; *table; table++)
		for (const struct rest_route *r = *table; r->method; r++)
			used[r->rule.action] = true;
	for (int a = ACCESS_NONE + 1; a < ACCESS_COUNT; a++)
		ck_assert_msg(used[a], "no route asks for '%s'",
			access_rule((enum access_action)a)->name);
}
