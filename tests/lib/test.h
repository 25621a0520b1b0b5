/* test.h - TEST and EXPECT over the Check library
 *
 * Each TEST registers itself, runs in a process of its own with a time limit and
 * an empty folder as its working directory, which is removed after. A test
 * program is its TESTs and mortise_test; `PROGRAM NAME...` runs the tests whose
 * names contain one of the words.
 */
#ifndef MORTISE_TESTS_LIB_TEST_H
#define MORTISE_TESTS_LIB_TEST_H

#include <check.h>
#include <stdint.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"

struct test {
	const char *name;
	void (*run)(void);
	struct test *next;
};

void test_register(struct test *test);

/* A test whose name is <module>_<file>__<the behaviour, as a sentence>. */
#define TEST(test_name)                                                      \
	static void test_name(void);                                         \
	__attribute__((constructor)) static void test_name##_register_(void) \
	{                                                                    \
		static struct test entry = { #test_name, test_name, NULL };  \
		test_register(&entry);                                       \
	}                                                                    \
	static void test_name(void)

#define EXPECT_INT(a, op, b)        ck_assert_int_op(a, op, b)
#define EXPECT_UINT(a, op, b)       ck_assert_uint_op(a, op, b)
#define ck_assert_int_op(a, op, b)  _ck_assert_int(a, op, b)
#define ck_assert_uint_op(a, op, b) _ck_assert_uint(a, op, b)
#define EXPECT_TRUE(x)              ck_assert_msg((x), "expected: %s", #x)
#define EXPECT_FALSE(x)             ck_assert_msg(!(x), "expected not: %s", #x)
#define EXPECT_NULL(p)              ck_assert_ptr_null(p)
#define EXPECT_PTR(p)               ck_assert_ptr_nonnull(p)
#define EXPECT_STR(a, b)            ck_assert_str_eq(a, b)
#define EXPECT_CONTAINS(text, part) \
	ck_assert_msg(strstr((text), (part)), "expected '%s' in '%s'", (part), (text))
#define EXPECT_SPAN(got, string)                                                               \
	do {                                                                                   \
		struct span span_ = (got);                                                     \
		ck_assert_msg(span_is(span_, (string)), "expected '%s', got '%.*s'", (string), \
			SPAN_ARG(span_));                                                      \
	} while (0)
/* rc is 0; otherwise the test fails with err's text. */
#define EXPECT_OK(rc, err)                                                    \
	do {                                                                  \
		int rc_ = (rc);                                               \
		ck_assert_msg(rc_ == 0, "%s: %d: %s", #rc, rc_, (err)->text); \
	} while (0)

/* Environment of a test run: the source tree and the build folder. */
const char *test_source(void);
const char *test_build(void);

#endif
