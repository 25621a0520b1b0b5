#include "base/log.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/io.h"
#include "lib/test.h"

TEST(base_log__fields_named_like_restricted_columns_are_withheld)
{
	static const char *const names[] = { "password", "token", "mfa_secret", "key_hash",
		"email" };
	struct error err;
	struct text text;
	int fd = open("log", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	text_init(&text);
	EXPECT_INT(dup2(fd, STDERR_FILENO), ==, STDERR_FILENO);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		log_info("said", LOG_STR(names[i], "hunter2"), LOG_STR("user", "shown"));
	log_info("said", LOG_INT("token", 4711));
	EXPECT_OK(io_read_file(AT_FDCWD, "log", 65536, &text, &err), &err);
	EXPECT_NULL(strstr(text.data, "hunter2"));
	EXPECT_NULL(strstr(text.data, "4711"));
	EXPECT_CONTAINS(text.data, "password=[withheld] user=shown\n");
	text_done(&text);
	(void)close(fd);
}

TEST(base_log__a_value_forges_neither_line_nor_key)
{
	struct error err;
	struct text text;
	int fd = open("log", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	text_init(&text);
	EXPECT_INT(dup2(fd, STDERR_FILENO), ==, STDERR_FILENO);
	log_warn("said", LOG_STR("name", "a\nb=c\x1b[31m"));
	EXPECT_OK(io_read_file(AT_FDCWD, "log", 65536, &text, &err), &err);
	EXPECT_CONTAINS(text.data, "name=\"a\\nb=c\\u001b[31m\"\n");
	text_done(&text);
	(void)close(fd);
}
