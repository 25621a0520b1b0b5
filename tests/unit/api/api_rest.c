#include "api/api.h"

#include "api/rest_priv.h"
#include "lib/test.h"

static const struct rest_route *const tables[] = { rest_services_routes, rest_plugins_routes,
	rest_installations_routes, rest_logs_routes, rest_packages_routes, rest_changes_routes,
	rest_keys_routes, rest_trust_routes, rest_whoami_routes, rest_usage_routes };

TEST(api_rest__every_route_has_a_rule_and_none_is_there_twice)
{
	struct api_options options = {
		.environment = "test", .node = "n", .log_folder = "/", .spool_folder = "/"
	};
	struct api *api = NULL;
	struct error err;

	EXPECT_OK(api_new(&api, &options, &err), &err);
	api_free(api);
}

TEST(api_rest__what_changes_something_asks_for_more_than_a_read)
{
	for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++) {
		for (const struct rest_route *r = tables[t]; r->method; r++) {
			struct span scope = access_rule(r->action)->scope;
			bool read = scope.len >= 5 &&
				    memcmp(scope.data + scope.len - 5, ".read", 5) == 0;

			ck_assert_msg(strcmp(r->method, "GET") == 0 || !read, "%s %s", r->method,
				r->pattern);
			ck_assert_msg(strncmp(r->pattern, "/v1/", 4) == 0, "%s", r->pattern);
		}
	}
}
