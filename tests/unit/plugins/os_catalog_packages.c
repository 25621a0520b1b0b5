#include "lib/test.h"

#include <stdlib.h>

#include "../../../plugins/os-catalog/packages.h"

static struct packages p;

static int32_t add(const char *name, const char *pre, const char *depends, const char *provides)
{
	return packages_add(&p, mortise_str_from(name), mortise_str_from(pre),
		mortise_str_from(depends), mortise_str_from(provides));
}

/* The edges of a package as "target<requires>;". */
static const char *edges(uint32_t i)
{
	static char out[4096];
	size_t used = 0;

	EXPECT_INT(packages_resolve(&p, i), ==, 0);
	out[0] = '\0';
	for (uint32_t e = 0; e < p.edge_count; e++) {
		struct mortise_str target = packages_target(&p, &p.edges[e]),
				   requires = packages_requires(&p, &p.edges[e]);

		used += (size_t)snprintf(out + used, sizeof(out) - used, "%.*s<%.*s>;",
			(int)target.size, target.data, (int) requires.size,
			requires.data ? requires.data : "");
	}
	return out;
}

TEST(os_catalog_packages__alternatives_versions_and_virtual_packages)
{
	packages_init(&p, 1);
	EXPECT_INT(add("app", "libc6 (>= 2.36)",
			   "missing | mta, python3:any (>= 3.11) | python2, later, gone,\n libc6 "
			   "(<< 3), , app, v",
			   ""),
		==, 1);
	EXPECT_INT(add("exim", "", "", "mta, v (= 1)"), ==, 1);
	EXPECT_INT(add("postfix", "", "", "mta"), ==, 1);
	EXPECT_INT(add("python2", "", "", ""), ==, 1);
	EXPECT_INT(add("python3", "", "app [amd64]", ""), ==, 1);
	EXPECT_INT(add("libc6", "", "", ""), ==, 1);
	EXPECT_INT(add("later", "", "exim | postfix", ""), ==, 1);
	EXPECT_STR(edges(0), "libc6<libc6 (>= 2.36), libc6 (<< 3)>;exim<missing | mta, "
			     "v>;python3<python3:any (>= 3.11) | python2>;later<>;");
	EXPECT_UINT(p.unresolved, ==, 1);
	EXPECT_STR(edges(6), "exim<exim | postfix>;");
	EXPECT_STR(edges(4), "app<app [amd64]>;");
	EXPECT_STR(edges(1), "");
	packages_done(&p);
}

TEST(os_catalog_packages__a_real_package_comes_before_a_provider)
{
	packages_init(&p, 2);
	EXPECT_INT(add("a", "", "virtual | real", ""), ==, 1);
	EXPECT_INT(add("provider", "", "", "virtual"), ==, 1);
	EXPECT_INT(add("real", "", "", ""), ==, 1);
	EXPECT_STR(edges(0), "real<virtual | real>;");
	packages_done(&p);
}

TEST(os_catalog_packages__the_first_of_one_name_counts)
{
	packages_init(&p, 3);
	EXPECT_INT(add("a", "", "b", ""), ==, 1);
	EXPECT_INT(add("a", "", "c", "d"), ==, 0);
	EXPECT_INT(add("b", "", "d", ""), ==, 1);
	EXPECT_UINT(p.count, ==, 2);
	EXPECT_STR(edges(0), "b<>;");
	EXPECT_STR(edges(1), "");
	packages_done(&p);
}

TEST(os_catalog_packages__many_names_and_one_target_often)
{
	char name[32], *depends = malloc(1 << 20);
	size_t used = 0;

	packages_init(&p, 4);
	for (int i = 0; i < 20000; i++) {
		(void)snprintf(name, sizeof(name), "p%d", i);
		EXPECT_INT(add(name, "", "p1 (>= 1)", ""), ==, 1);
	}
	for (int i = 0; i < 40000; i++)
		used += (size_t)snprintf(depends + used, (1 << 20) - used, "p7 (>> %d),", i);
	EXPECT_INT(add("last", "", depends, ""), ==, 1);
	EXPECT_INT(packages_resolve(&p, 20000), ==, 0);
	EXPECT_UINT(p.edge_count, ==, 1);
	EXPECT_UINT(packages_requires(&p, &p.edges[0]).size, <=, PACKAGES_REQUIRES_MAX);
	free(depends);
	packages_done(&p);
}
