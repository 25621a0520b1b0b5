#include "base/error.h"

#include <errno.h>

#include "lib/test.h"

TEST(base_error__wrap_puts_the_context_first)
{
	struct error err = { 0 };

	EXPECT_INT(error_set(&err, ERR_NOT_FOUND, "no row '%s'", "x"), ==, ERR_NOT_FOUND);
	EXPECT_INT(error_wrap(&err, "plugin '%s'", "a/b"), ==, ERR_NOT_FOUND);
	EXPECT_STR(err.text, "plugin 'a/b': no row 'x'");
	EXPECT_STR(error_advice(&err), error_entry(ERR_NOT_FOUND)->fix);
	(void)error_fix(&err, "run 'mortise plugin list'");
	EXPECT_STR(error_advice(&err), "run 'mortise plugin list'");
}

TEST(base_error__a_failure_that_nobody_reads_is_a_failure)
{
	EXPECT_INT(error_set(NULL, ERR_NOT_FOUND, "no row"), ==, ERR_NOT_FOUND);
	EXPECT_INT(error_wrap(NULL, "plugin"), <, 0);
	EXPECT_INT(error_fix(NULL, "look"), <, 0);
}

TEST(base_error__the_reason_of_errno_is_last)
{
	struct error err = { 0 };

	EXPECT_INT(error_set_errno(&err, ENOENT, "open 'x'"), ==, ERR_SYSTEM);
	EXPECT_STR(err.text, "open 'x': No such file or directory");
}

TEST(base_error__every_entry_is_complete_and_its_number_unique)
{
	size_t count;
	const struct error_entry *entries = error_entries(&count);

	for (size_t i = 0; i < count; i++) {
		EXPECT_TRUE(entries[i].text[0] && entries[i].fix[0]);
		EXPECT_TRUE(entries[i].http_status >= 400 && entries[i].http_status < 600);
		EXPECT_TRUE(entries[i].exit_code > 0);
		for (size_t j = 0; j < i; j++)
			EXPECT_INT(entries[i].code, !=, entries[j].code);
	}
	EXPECT_INT(error_from_sqlstate("42501"), ==, ERR_PERMISSION);
	EXPECT_INT(error_from_sqlstate("99999"), ==, ERR_INTERNAL);
	EXPECT_INT(error_from_name("DEADLINE"), ==, ERR_DEADLINE);
}
