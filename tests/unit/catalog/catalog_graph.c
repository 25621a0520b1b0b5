#include "catalog/graph.h"

#include <stdio.h>

#include "base/mem.h"
#include "lib/test.h"

#define ROWS_MAX 64

static const struct graph_view everything = { .all = true };

/* needs: "b c", of service id of a team; its name is the id. */
static void put(struct graph *g, const char *id, const char *team, const char *needs)
{
	struct span list[8], rest = span_of(needs), part;
	struct graph_service service = {
		.id = span_of(id), .name = span_of(id), .team = span_of(team), .needs = list
	};

	while (span_split(&rest, ' ', &part))
		if (part.len > 0)
			list[service.needs_count++] = part;
	EXPECT_TRUE(graph_put(g, &service));
}

/* "b1a c2b ": id, depth, via of each row. */
static const char *walk(struct graph *g, const struct graph_view *view, struct graph_walk w)
{
	static char text[512];
	struct graph_row rows[ROWS_MAX];
	size_t n, at = 0;

	if (w.limit == 0)
		w.limit = ROWS_MAX;
	if (w.depth == 0)
		w.depth = 100;
	n = graph_walk(g, view, &w, rows);
	text[0] = '\0';
	for (size_t i = 0; i < n; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%.*s%u%.*s ",
			SPAN_ARG(rows[i].id), rows[i].depth, SPAN_ARG(rows[i].via));
	return text;
}

#define WALK(from, ...) ((struct graph_walk){ .start = SPAN(from), __VA_ARGS__ })

/* a -> b, c; b -> d; c -> d; d -> a (a circle), e */
static struct graph *diamond(void)
{
	struct graph *g = graph_new();

	put(g, "a", "red", "c b");
	put(g, "b", "red", "d");
	put(g, "c", "blue", "d");
	put(g, "d", "red", "a e");
	put(g, "e", "", "");
	return g;
}

TEST(catalog_graph__a_walk_gives_each_service_once_nearest_first)
{
	struct graph *g = diamond();

	EXPECT_STR(walk(g, &everything, WALK("a", .depth = 100)), "b1a c1a d2b e3d ");
	EXPECT_STR(walk(g, &everything, WALK("a", .depth = 2)), "b1a c1a d2b ");
	EXPECT_STR(walk(g, &everything, WALK("e", .reverse = true)), "d1e b2d c2d a3b ");
	EXPECT_STR(walk(g, &everything, WALK("e", .reverse = false)), "");
	EXPECT_STR(walk(g, &everything, WALK("nobody", .reverse = false)), "");
	graph_free(g);
}

TEST(catalog_graph__a_page_begins_behind_the_last_row_of_the_one_before)
{
	struct graph *g = diamond();

	EXPECT_STR(walk(g, &everything, WALK("a", .limit = 1)), "b1a ");
	EXPECT_STR(walk(g, &everything,
			   WALK("a", .limit = 2, .after_depth = 1, .after_name = SPAN("b"))),
		"c1a d2b ");
	EXPECT_STR(walk(g, &everything,
			   WALK("a", .limit = 9, .after_depth = 2, .after_name = SPAN("d"))),
		"e3d ");
	graph_free(g);
}

TEST(catalog_graph__what_is_hidden_is_not_walked_through)
{
	struct span red = SPAN("red");
	struct graph_view of_red = { .teams = &red, .teams_count = 1 };
	struct graph_view of_nobody = { 0 };
	struct graph *g = diamond();

	EXPECT_STR(walk(g, &of_red, WALK("a", .depth = 100)), "b1a d2b ");
	put(g, "b", "blue", "d"); /* now both ways to d are hidden */
	EXPECT_STR(walk(g, &of_red, WALK("a", .depth = 100)), "");
	EXPECT_STR(walk(g, &of_red, WALK("c", .depth = 100)), "");
	EXPECT_STR(walk(g, &of_nobody, WALK("a", .depth = 100)), "");
	EXPECT_STR(walk(g, &everything, WALK("a", .depth = 1)), "b1a c1a ");
	graph_free(g);
}

TEST(catalog_graph__a_provider_is_no_team_of_the_same_name)
{
	struct span need = SPAN("y"), red = SPAN("red");
	struct graph_service x = { .id = SPAN("x"),
		.name = SPAN("x"),
		.provider = SPAN("red"),
		.needs = &need,
		.needs_count = 1 };
	struct graph_view team = { .teams = &red, .teams_count = 1 },
			  provider = { .provider = red };
	struct graph *g = graph_new();

	EXPECT_TRUE(graph_put(g, &x));
	put(g, "y", "red", "");
	EXPECT_STR(walk(g, &team, WALK("x", .depth = 9)), "");
	EXPECT_STR(walk(g, &provider, WALK("x", .depth = 9)), "");
	x.id = x.name = SPAN("y");
	x.needs_count = 0;
	EXPECT_TRUE(graph_put(g, &x));
	EXPECT_STR(walk(g, &provider, WALK("x", .depth = 9)), "y1x ");
	graph_free(g);
}

TEST(catalog_graph__a_service_that_is_removed_can_come_back)
{
	struct graph *g = diamond();

	EXPECT_UINT(graph_services(g), ==, 5);
	graph_remove(g, SPAN("d"));
	graph_remove(g, SPAN("nobody"));
	EXPECT_UINT(graph_services(g), ==, 4);
	EXPECT_STR(walk(g, &everything, WALK("a", .depth = 9)), "b1a c1a ");
	EXPECT_STR(walk(g, &everything, WALK("e", .reverse = true)), "");
	put(g, "d", "red", "e");
	EXPECT_STR(walk(g, &everything, WALK("a", .depth = 9)), "b1a c1a d2b e3d ");
	EXPECT_STR(walk(g, &everything, WALK("e", .reverse = true)), "d1e b2d c2d a3b ");
	graph_free(g);
}

TEST(catalog_graph__of_a_wide_level_the_first_names_are_given_in_order)
{
	struct graph *g = graph_new();
	struct graph_row rows[8];
	struct graph_walk w = { .start = SPAN("root"), .depth = 1, .limit = 7 };
	struct span needs[500];
	char ids[500][8], text[8];
	struct graph_service root = { .id = SPAN("root"), .name = SPAN("root"), .needs = needs };

	for (unsigned i = 0; i < 500; i++) {
		(void)snprintf(ids[i], sizeof(ids[i]), "n%03u", i * 331 % 500);
		put(g, ids[i], "", "");
		needs[root.needs_count++] = span_of(ids[i]);
	}
	EXPECT_TRUE(graph_put(g, &root));
	for (unsigned from = 0; from < 500; from += 7) {
		size_t n = graph_walk(g, &everything, &w, rows);

		EXPECT_UINT(n, ==, 500 - from < 7 ? 500 - from : 7);
		for (unsigned i = 0; i < n; i++) {
			(void)snprintf(text, sizeof(text), "n%03u", from + i);
			EXPECT_TRUE(span_is(rows[i].name, text));
		}
		w.after_depth = 1;
		w.after_name = rows[n - 1].name;
	}
	graph_free(g);
}
