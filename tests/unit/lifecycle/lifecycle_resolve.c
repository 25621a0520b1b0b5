#include "lifecycle/resolve.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/mem.h"
#include "lib/test.h"

/* A world in words, one line a version:
 *   "acme/graph 3.0.1 needs acme/geo ^1, acme/indexer >=2.1"
 * "optional" and "peer" before a plugin say so; "yanked" and "unfit" stand behind the version. */
#define VERSIONS_MAX 64
#define NEEDS_MAX    8

struct world {
	struct resolve_version versions[VERSIONS_MAX];
	struct resolve_need needs[VERSIONS_MAX][NEEDS_MAX];
	struct resolve_installed installed[16];
	struct resolve_goal goals[8];
	struct resolve_input input;
};

static struct world world;

static struct span word(struct span *rest)
{
	struct span part = SPAN_NONE;

	while (rest->len > 0 && rest->data[0] == ' ') {
		rest->data++;
		rest->len--;
	}
	if (rest->len == 0 || !span_split(rest, ' ', &part))
		return SPAN_NONE;
	return part;
}

static void read_need(struct span text, struct resolve_need *need)
{
	need->plugin = word(&text);
	if (span_is(need->plugin, "optional"))
		need->kind = RESOLVE_OPTIONAL;
	if (span_is(need->plugin, "peer"))
		need->kind = RESOLVE_PEER;
	if (need->kind != RESOLVE_NEED)
		need->plugin = word(&text);
	need->range = text.data ? text : SPAN("");
}

static void read_version(const char *line, size_t index)
{
	struct resolve_version *v = &world.versions[index];
	struct span rest = span_of(line), part;

	v->plugin = word(&rest);
	v->version = word(&rest);
	v->needs = world.needs[index];
	while ((part = word(&rest)).data) {
		if (span_is(part, "yanked"))
			v->yanked = true;
		if (span_is(part, "unfit"))
			v->unfit = SPAN("needs mortise.http/2");
		if (!span_is(part, "needs"))
			continue;
		while (span_split(&rest, ',', &part))
			read_need(part, &world.needs[index][v->need_count++]);
		return;
	}
}

/* Lists end with NULL; a goal is "plugin range". */
static void set_world(
	const char *const *versions, const char *const *installed, const char *const *goals)
{
	world = (struct world){ 0 };
	for (; versions[world.input.version_count]; world.input.version_count++)
		read_version(versions[world.input.version_count], world.input.version_count);
	for (; installed && installed[world.input.installed_count]; world.input.installed_count++) {
		struct span rest = span_of(installed[world.input.installed_count]);

		world.installed[world.input.installed_count].plugin = word(&rest);
		world.installed[world.input.installed_count].version = rest;
	}
	for (; goals[world.input.goal_count]; world.input.goal_count++) {
		struct span rest = span_of(goals[world.input.goal_count]);

		world.goals[world.input.goal_count].plugin = word(&rest);
		world.goals[world.input.goal_count].range = rest.data ? rest : SPAN("");
	}
	world.input.versions = world.versions;
	world.input.installed = world.installed;
	world.input.goals = world.goals;
}

#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })

static struct error err;

/* "acme/geo 1.1.0 by acme/graph; acme/graph 2.0.9>3.0.1": the plan, or "error: " and its text. */
static const char *solve(void)
{
	static struct text out;
	struct resolve_plan *plan = NULL;
	int rc;

	if (!out.data)
		text_init(&out);
	text_clear(&out);
	err = (struct error){ 0 };
	rc = resolve(&plan, &world.input, &err);
	if (rc < 0) {
		EXPECT_INT(rc, ==, err.code);
		text_printf(&out, "error: %s", err.text);
	}
	for (size_t i = 0; rc == 0 && i < plan->count; i++) {
		const struct resolve_step *step = &plan->steps[i];

		text_printf(&out, "%s%.*s ", i ? "; " : "", SPAN_ARG(step->plugin));
		if (step->from.data)
			text_printf(&out, "%.*s>", SPAN_ARG(step->from));
		text_append_span(&out, step->to);
		if (step->needed_by.data)
			text_printf(&out, " by %.*s", SPAN_ARG(step->needed_by));
	}
	resolve_plan_free(plan);
	return out.data;
}

TEST(lifecycle_resolve__the_best_version_in_range_is_taken)
{
	static const char *const hello[] = { "acme/hello 1.0.0", "acme/hello 1.2.0",
		"acme/hello 1.3.0-rc.1", "acme/hello 2.0.0 unfit", "acme/hello 1.2.1 yanked",
		NULL };
	static const struct {
		const char *goal, *plan;
	} cases[] = {
		{ "acme/hello", "acme/hello 1.2.0" },
		{ "acme/hello ^1", "acme/hello 1.2.0" },
		{ "acme/hello ~1.0", "acme/hello 1.0.0" },
		{ "acme/hello ^1.3.0-rc.0", "acme/hello 1.3.0-rc.1" },
		{ "acme/hello 2", "error: acme/hello 2.0.0 (asked for) needs mortise.http/2" },
		{ "acme/hello 1.2.1", "error: acme/hello 1.2.1 (asked for) was withdrawn" },
		{ "acme/hello 9",
			"error: no version of acme/hello will do: acme/hello 9 was asked for" },
		{ "acme/other", "error: no registry of this host has a plugin 'acme/other'" },
		{ "acme/hello newest", "error: 'newest' is no range of versions" },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		set_world(hello, NULL, LIST(cases[i].goal));
		EXPECT_STR(solve(), cases[i].plan);
	}
}

TEST(lifecycle_resolve__what_is_needed_comes_along_first)
{
	set_world(LIST("acme/graph 3.0.1 needs acme/geo ^1, acme/indexer >=2.1", "acme/geo 1.1.0",
			  "acme/geo 2.0.0", "acme/indexer 2.0.9", "acme/indexer 2.1.4"),
		LIST("acme/indexer 2.0.9"), LIST("acme/graph"));
	EXPECT_STR(solve(), "acme/geo 1.1.0 by acme/graph; acme/indexer 2.0.9>2.1.4 by acme/graph; "
			    "acme/graph 3.0.1");
}

TEST(lifecycle_resolve__what_is_installed_stays_when_it_will_do)
{
	set_world(LIST("acme/graph 1.0.0 needs acme/geo ^1", "acme/geo 1.0.0 yanked",
			  "acme/geo 1.1.0"),
		LIST("acme/geo 1.0.0"), LIST("acme/graph"));
	EXPECT_STR(solve(), "acme/graph 1.0.0");
	/* Asked for by name, it moves. */
	world.goals[0].plugin = SPAN("acme/geo");
	EXPECT_STR(solve(), "acme/geo 1.0.0>1.1.0");
	/* And goes nowhere when it is the best already. */
	world.versions[2].yanked = true;
	EXPECT_STR(solve(), "");
}

TEST(lifecycle_resolve__a_conflict_names_who_asked_what_and_the_way_out)
{
	const char *const versions[] = { "acme/graph 3.0.1 needs acme/indexer >=2.1",
		"acme/indexer 2.0.9", "acme/indexer 2.1.4",
		"corp/report 1.0.0 needs acme/indexer <2.1",
		"corp/report 1.2.0 needs acme/indexer 2", NULL };

	set_world(versions, LIST("acme/indexer 2.0.9", "corp/report 1.0.0"), LIST("acme/graph ^3"));
	EXPECT_STR(solve(), "error: corp/report 1.0.0 (installed) needs acme/indexer <2.1, but "
			    "acme/graph 3.0.1 (asked for) needs acme/indexer >=2.1");
	EXPECT_INT(err.code, ==, ERR_RESOLVE);
	EXPECT_STR(err.fix, "mortise plugin install acme/graph@^3 --with corp/report@1.2.0");
	/* The command does resolve it. */
	set_world(versions, LIST("acme/indexer 2.0.9", "corp/report 1.0.0"),
		LIST("acme/graph ^3", "corp/report 1.2.0"));
	EXPECT_STR(solve(), "acme/indexer 2.0.9>2.1.4 by acme/graph; acme/graph 3.0.1; "
			    "corp/report 1.0.0>1.2.0");
}

TEST(lifecycle_resolve__a_lower_version_is_taken_where_the_highest_cannot_run)
{
	set_world(LIST("acme/graph 3.0.0 needs acme/indexer >=2.1",
			  "acme/graph 2.9.0 needs acme/indexer 2", "acme/indexer 2.0.9",
			  "acme/indexer 2.1.0", "corp/report 1.0.0 needs acme/indexer <2.1"),
		LIST("acme/indexer 2.0.9", "corp/report 1.0.0"), LIST("acme/graph"));
	EXPECT_STR(solve(), "acme/graph 2.9.0");
}

TEST(lifecycle_resolve__chains_are_told_back_to_what_was_asked_for)
{
	set_world(LIST("a/top 1.0.0 needs b/mid 1", "b/mid 1.0.0 needs c/low ^2", "c/low 1.0.0"),
		NULL, LIST("a/top"));
	EXPECT_STR(solve(),
		"error: no version of c/low will do: b/mid 1.0.0 (needed by a/top 1.0.0 "
		"(asked for)) needs c/low ^2");
	set_world(LIST("a/top 1.0.0 needs b/mid 1"), NULL, LIST("a/top"));
	EXPECT_STR(solve(), "error: a/top 1.0.0 (asked for) needs b/mid 1, which no registry of "
			    "this host has");
}

TEST(lifecycle_resolve__optional_needs_and_peers_bring_nothing_along)
{
	set_world(LIST("a/top 1.0.0 needs optional b/mid 1", "b/mid 1.0.0", "b/mid 2.0.0"), NULL,
		LIST("a/top"));
	EXPECT_STR(solve(), "a/top 1.0.0");
	/* But they say which version will do. */
	set_world(LIST("a/top 1.0.0 needs optional b/mid 1", "b/mid 1.0.0", "b/mid 2.0.0"), NULL,
		LIST("a/top", "b/mid"));
	EXPECT_STR(solve(), "b/mid 1.0.0; a/top 1.0.0");
	set_world(LIST("a/top 1.0.0 needs peer b/mid 1", "b/mid 1.0.0"), NULL, LIST("a/top"));
	EXPECT_STR(solve(),
		"error: a/top 1.0.0 (asked for) goes with b/mid 1, which is not installed");
	EXPECT_STR(err.fix, "mortise plugin install b/mid first");
	set_world(LIST("a/top 1.0.0 needs peer b/mid 1", "b/mid 1.0.0"), LIST("b/mid 1.0.0"),
		LIST("a/top"));
	EXPECT_STR(solve(), "a/top 1.0.0");
}

TEST(lifecycle_resolve__circles_of_needs_end)
{
	set_world(LIST("a/x 1.0.0 needs b/y 1", "b/y 1.0.0 needs a/x 1"), NULL, LIST("a/x"));
	EXPECT_STR(solve(), "b/y 1.0.0 by a/x; a/x 1.0.0");
	set_world(LIST("a/x 1.0.0 needs b/y 1", "b/y 1.0.0 needs a/x 2"), NULL, LIST("a/x"));
	EXPECT_CONTAINS(solve(), "error: b/y 1.0.0 (needed by a/x 1.0.0 (asked for)) needs a/x 2");
}

TEST(lifecycle_resolve__what_lacks_something_already_stands_in_nobody_s_way)
{
	set_world(LIST("a/old 1.0.0 needs gone/away 1, peer b/also 1", "c/new 1.0.0"),
		LIST("a/old 1.0.0", "d/unlisted 4.0.0"), LIST("c/new"));
	EXPECT_STR(solve(), "c/new 1.0.0");
}

TEST(lifecycle_resolve__the_order_of_rows_changes_nothing)
{
	const char *rows[] = { "a/top 1.0.0 needs b/mid *, c/low *", "b/mid 1.0.0 needs c/low 1",
		"b/mid 2.0.0 needs c/low 2", "c/low 1.0.0", "c/low 2.0.0 unfit",
		"c/low 2.1.0 yanked", NULL };
	size_t n = ARRAY_LENGTH(rows) - 1;

	srand(1);
	for (int round = 0; round < 200; round++) {
		for (size_t i = n - 1; i > 0; i--) {
			size_t j = (size_t)rand() % (i + 1);
			const char *swap = rows[i];

			rows[i] = rows[j];
			rows[j] = swap;
		}
		set_world(rows, NULL, LIST("a/top"));
		EXPECT_STR(solve(), "c/low 1.0.0 by a/top; b/mid 1.0.0 by a/top; a/top 1.0.0");
	}
}

TEST(lifecycle_resolve__a_search_without_end_is_given_up)
{
	static char lines[VERSIONS_MAX][120];
	const char *rows[VERSIONS_MAX] = { 0 };
	size_t n = 0;

	/* Seven plugins of eight versions each, every one good alone, and a last that fits none. */
	for (int plugin = 0; plugin < 7; plugin++)
		for (int version = 1; version <= 8; version++, n++) {
			(void)snprintf(lines[n], sizeof(lines[n]), "p/p%d %d.0.0 needs p/p%d *",
				plugin, version, plugin + 1);
			rows[n] = lines[n];
		}
	rows[n++] = "p/p7 1.0.0 unfit";
	set_world(rows, NULL, LIST("p/p0"));
	EXPECT_STR(solve(), "error: no plan was found among 200000 versions looked at");
	EXPECT_INT(err.code, ==, ERR_LIMIT);
}
