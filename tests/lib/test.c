#include "lib/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"

#define TEST_TIMEOUT_S 60

static struct test *first_test;
static const char folder_template[] = "/tmp/mortise-test-XXXXXX";
static char folder[sizeof(folder_template)];
static struct test *running;

void test_register(struct test *test)
{
	test->next = first_test;
	first_test = test;
}

const char *test_source(void)
{
	const char *path = getenv("MORTISE_SOURCE");

	ck_assert_msg(path != NULL, "MORTISE_SOURCE is not set: run the test through ctest");
	return path;
}

const char *test_build(void)
{
	const char *path = getenv("MORTISE_BUILD");

	ck_assert_msg(path != NULL, "MORTISE_BUILD is not set: run the test through ctest");
	return path;
}

/* Check runs the unchecked fixture in the parent, so that a test that crashed leaves no folder. */
static void make_folder(void)
{
	memcpy(folder, folder_template, sizeof(folder));
	ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void remove_folder(void)
{
	struct error err;

	if (io_remove_tree(AT_FDCWD, folder, &err) < 0)
		fprintf(stderr, "%s\n", err.text);
}

static void enter_folder(void)
{
	ck_assert_int_eq(chdir(folder), 0);
}

static int wanted(const struct test *test, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strstr(test->name, argv[i]))
			return 1;
	return argc < 2;
}

static void run_one(int index)
{
	(void)index;
	running->run();
}

static const TTest *check_test(struct test *test)
{
	TTest *entry = mem_zalloc(sizeof(*entry));

	*entry = (TTest){ test->name, run_one, __FILE__, __LINE__ };
	return entry;
}

/* One suite run a test keeps `running` right in each forked child. */
static int run_test(struct test *test)
{
	Suite *suite = suite_create(test->name);
	TCase *tcase = tcase_create(test->name);
	const TTest *entry = check_test(test);
	SRunner *runner;
	int failed;

	running = test;
	tcase_set_timeout(tcase, TEST_TIMEOUT_S);
	tcase_add_unchecked_fixture(tcase, make_folder, remove_folder);
	tcase_add_checked_fixture(tcase, enter_folder, NULL);
	tcase_add_test(tcase, entry);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_SILENT);
	failed = srunner_ntests_failed(runner);
	if (failed)
		srunner_print(runner, CK_VERBOSE);
	srunner_free(runner);
	mem_free((void *)entry);
	return failed;
}

/* Tests set what they want; what the caller's host is set to is none of their business. */
static void forget_settings(void)
{
	static const char *const kept[] = { "MORTISE_SOURCE=", "MORTISE_BUILD=", "MORTISE_TEST_" };

	for (size_t i = 0; environ[i];) {
		CLEANUP(mem_freep) char *name = mem_strdup(environ[i]);
		bool ours = strncmp(name, "MORTISE_", 8) == 0;

		for (size_t j = 0; j < ARRAY_LENGTH(kept); j++)
			ours = ours && strncmp(name, kept[j], strlen(kept[j])) != 0;
		name[strcspn(name, "=")] = '\0';
		if (ours)
			(void)unsetenv(name);
		else
			i++;
	}
}

int main(int argc, char **argv)
{
	int passed = 0, failed = 0;

	forget_settings();

	for (struct test *test = first_test; test; test = test->next) {
		if (!wanted(test, argc, argv))
			continue;
		if (run_test(test))
			failed++;
		else
			passed++;
	}
	printf("%d passed, %d failed\n", passed, failed);
	return failed || passed == 0;
}
