#include "api/routes.h"

#include "lib/test.h"

static struct routes *table(void)
{
	static const struct {
		const char *method, *pattern;
	} rows[] = {
		{ "GET", "/{name}" },
		{ "GET", "/ping" },
		{ "POST", "/ping" },
		{ "POST", "/import" },
		{ "GET", "/{a}/b" },
		{ "GET", "/a/{b}" },
		{ "GET", "/a/{b}/{c}" },
		{ "GET", "/" },
		{ "DELETE", "/only/delete" },
		{ "GET", "/sp ace" },
	};
	struct routes *r = routes_new();
	struct error err;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		EXPECT_OK(routes_add(r, span_of(rows[i].method), span_of(rows[i].pattern),
				  (void *)(uintptr_t)(i + 1), &err),
			&err);
	return r;
}

TEST(api_routes__a_literal_beats_a_parameter_from_left_to_right)
{
	static const struct {
		const char *method, *path;
		int rc;
		unsigned route;
		const char *first; /* value of the first parameter */
	} cases[] = {
		{ "GET", "/ping", 0, 2, NULL },
		{ "HEAD", "/ping", 0, 2, NULL },
		{ "POST", "/ping", 0, 3, NULL },
		{ "GET", "/pong", 0, 1, "pong" },
		{ "GET", "/import", 0, 1, "import" },
		{ "POST", "/import", 0, 4, NULL },
		{ "PUT", "/import", ERR_METHOD, 0, NULL },
		{ "GET", "/a/b", 0, 6, "b" },
		{ "GET", "/x/b", 0, 5, "x" },
		{ "GET", "/x/c", ERR_NOT_FOUND, 0, NULL },
		{ "GET", "/a/x/y", 0, 7, "x" },
		{ "GET", "/", 0, 8, NULL },
		{ "GET", "", 0, 8, NULL },
		{ "GET", "/ping/", ERR_NOT_FOUND, 0, NULL },
		{ "GET", "//", ERR_NOT_FOUND, 0, NULL },
		{ "GET", "/a//y", ERR_NOT_FOUND, 0, NULL },
		{ "GET", "/only/delete", ERR_METHOD, 0, NULL },
		{ "HEAD", "/only/delete", ERR_METHOD, 0, NULL },
		{ "GET", "/p%69ng", 0, 2, NULL },
		{ "GET", "/p%6", 0, 1, "p%6" },
		{ "GET", "/sp%20ace", 0, 10, NULL },
		{ "GET", "/b%C3%A4r", 0, 1, "b%C3%A4r" },
		{ "GET", "/pin", 0, 1, "pin" },
		{ "GET", "/pingg", 0, 1, "pingg" },
	};
	struct routes *r = table();

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct routes_found found = { 0 };
		int rc = routes_match(r, span_of(cases[i].method), span_of(cases[i].path), &found);

		ck_assert_msg(rc == cases[i].rc && (uintptr_t)found.route == cases[i].route,
			"%s %s: %d, route %u", cases[i].method, cases[i].path, rc,
			(unsigned)(uintptr_t)found.route);
		if (cases[i].first)
			EXPECT_SPAN(found.values[0], cases[i].first);
	}
	routes_free(r);
}

TEST(api_routes__allow_lists_what_fits_the_path)
{
	struct routes *r = table();
	struct text allow;

	text_init(&allow);
	routes_allow(r, SPAN("/ping"), &allow);
	EXPECT_STR(allow.data, "GET, HEAD, POST");
	text_done(&allow);
	routes_free(r);
}

TEST(api_routes__equal_patterns_and_wrong_ones_are_refused)
{
	struct routes *r = table();
	int route;

	EXPECT_INT(routes_add(r, SPAN("GET"), SPAN("/{other}"), &route, NULL), ==, ERR_CONFLICT);
	EXPECT_INT(routes_add(r, SPAN("GET"), SPAN("/a/{x}/{y}"), &route, NULL), ==, ERR_CONFLICT);
	EXPECT_INT(routes_add(r, SPAN("GET"), SPAN("ping"), &route, NULL), ==, ERR_INVALID);
	EXPECT_INT(routes_add(r, SPAN("GET"), SPAN(""), &route, NULL), ==, ERR_INVALID);
	EXPECT_INT(routes_add(r, SPAN("GET"), SPAN("/{}"), &route, NULL), ==, ERR_INVALID);
	EXPECT_INT(routes_add(r, SPAN("GET"), SPAN("/{x"), &route, NULL), ==, ERR_INVALID);
	EXPECT_INT(routes_add(r, SPAN("GET"), SPAN("/1/2/3/4/5/6/7/8/9/a/b/c/d/e/f/g/h"), &route,
			   NULL),
		==, ERR_INVALID);
	EXPECT_INT(routes_add(r, SPAN("PUT"), SPAN("/{other}"), &route, NULL), ==, 0);
	routes_free(r);
}
