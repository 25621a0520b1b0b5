#include "api/api.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/rest_priv.h"
#include "base/io.h"
#include "base/mem.h"
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

#define TABLE_BEGIN "<!-- access table -->\n"
#define TABLE_END   "<!-- end -->"

static void append_row(struct text *out, enum access_action action)
{
	const struct access_rule *rule = access_rule(action);
	const char *separator = "";

	text_printf(out, "| %s | ", rule->name);
	if (scope_askable(rule->scope))
		text_printf(out, "%.*s | %s | ", SPAN_ARG(rule->scope),
			role_name(access_least_role(rule->scope)));
	else
		text_printf(out, "%s | - | ",
			access_is_public(action)       ? "none: anybody"
			: span_is(rule->scope, "half") ? "none: any session, also a half one"
						       : "none: any key or session");
	for (const struct rest_route *const *table = rest_tables; *table; table++) {
		for (const struct rest_route *r = *table; r->method; r++) {
			if (r->rule.action != action)
				continue;
			text_printf(out, "%s`%s %s`", separator, r->method, r->pattern);
			separator = ", ";
		}
	}
	text_append_string(out, " |\n");
}

TEST(api_rest__the_readme_has_the_access_table)
{
	CLEANUP(mem_freep)
	char *path = mem_printf("%s/core/api/README.md", getenv("MORTISE_SOURCE"));
	struct text expected, readme;
	const char *begin, *end;
	struct error err;

	text_init(&expected);
	text_init(&readme);
	text_append_string(
		&expected, "| action | scope | least role | routes |\n| --- | --- | --- | --- |\n");
	for (int a = ACCESS_NONE + 1; a < ACCESS_COUNT; a++)
		append_row(&expected, (enum access_action)a);
	EXPECT_OK(io_read_file(AT_FDCWD, path, 1u << 20, &readme, &err), &err);
	begin = strstr(readme.data, TABLE_BEGIN);
	end = begin ? strstr(begin, TABLE_END) : NULL;
	ck_assert_msg(end, "%s has no access table", path);
	begin += strlen(TABLE_BEGIN);
	if ((size_t)(end - begin) != expected.len ||
		memcmp(begin, expected.data, expected.len) != 0) {
		CLEANUP(mem_freep)
		char *right = mem_printf("%s/access-table.md", getenv("MORTISE_BUILD"));
		FILE *file = fopen(right, "we");

		EXPECT_PTR(file);
		EXPECT_UINT(fwrite(expected.data, 1, expected.len, file), ==, expected.len);
		EXPECT_INT(fclose(file), ==, 0);
		ck_abort_msg("the access table of %s is not that of the code: put %s there", path,
			right);
	}
	text_done(&expected);
	text_done(&readme);
}
