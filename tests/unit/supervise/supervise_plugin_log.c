#include "supervise/plugin_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <jansson.h>
#include <uv.h>

#include "base/io.h"
#include "lib/test.h"

static void say(struct plugin_log *log, struct span message)
{
	struct plugin_log_field field = { SPAN("k\"ey"), SPAN("va\nlue") };

	plugin_log_write(log, &(struct plugin_log_line){ .level = LOG_LEVEL_WARN,
				      .source = "plugin",
				      .message = message,
				      .fields = &field,
				      .field_count = 1 });
}

static void finish(struct plugin_log *log)
{
	plugin_log_close(log);
	EXPECT_INT(uv_run(uv_default_loop(), UV_RUN_DEFAULT), ==, 0);
	(void)uv_loop_close(uv_default_loop());
}

TEST(supervise_plugin_log__hostile_bytes_stay_one_json_line_each)
{
	int folder = open(".", O_RDONLY | O_DIRECTORY);
	struct plugin_log *log =
		plugin_log_start(uv_default_loop(), folder, "acme/hello", 1u << 20);
	struct span rest, line;
	struct error err = { 0 };
	struct text file;
	int lines = 0;

	say(log, SPAN("plain"));
	say(log, SPAN("two\nlines\" \\ \x1b[31m \0 nul"));
	say(log, SPAN("bad utf-8 \xff\xc0\xaf end"));
	finish(log);

	text_init(&file);
	EXPECT_OK(io_read_file(folder, "acme.hello.log", 1u << 20, &file, &err), &err);
	rest = text_span(&file);
	while (span_split(&rest, '\n', &line) && line.len) {
		json_t *object = json_loadb(line.data, line.len, 0, NULL);

		EXPECT_PTR(object);
		EXPECT_STR(json_string_value(json_object_get(object, "level")), "warn");
		EXPECT_STR(json_string_value(
				   json_object_get(json_object_get(object, "fields"), "k\"ey")),
			"va\nlue");
		json_decref(object);
		lines++;
	}
	EXPECT_INT(lines, ==, 3);
	text_done(&file);
	(void)close(folder);
}

TEST(supervise_plugin_log__a_full_file_becomes_the_first_of_the_old)
{
	int folder = open(".", O_RDONLY | O_DIRECTORY);

	for (int i = 0; i < 6; i++) {
		uv_loop_t loop;
		struct plugin_log *log;

		EXPECT_INT(uv_loop_init(&loop), ==, 0);
		log = plugin_log_start(&loop, folder, "acme/hello", 150);
		say(log, SPAN("a line that fills more than half of the file's room"));
		plugin_log_close(log);
		EXPECT_INT(uv_run(&loop, UV_RUN_DEFAULT), ==, 0);
		EXPECT_INT(uv_loop_close(&loop), ==, 0);
	}
	EXPECT_INT(access("acme.hello.log", F_OK), ==, 0);
	EXPECT_INT(access("acme.hello.log.1", F_OK), ==, 0);
	EXPECT_INT(access("acme.hello.log.3", F_OK), ==, 0);
	EXPECT_INT(access("acme.hello.log.4", F_OK), ==, -1);
	(void)close(folder);
}

TEST(supervise_plugin_log__a_flood_is_bounded_and_counted)
{
	int folder = open(".", O_RDONLY | O_DIRECTORY);
	struct plugin_log *log =
		plugin_log_start(uv_default_loop(), folder, "acme/hello", 1u << 30);
	struct error err = { 0 };
	struct text file;

	for (int i = 0; i < 100000; i++)
		say(log, SPAN("spam spam spam spam spam spam spam spam spam spam spam spam spam"));
	finish(log);
	text_init(&file);
	EXPECT_OK(io_read_file(folder, "acme.hello.log", 1u << 30, &file, &err), &err);
	EXPECT_UINT(file.len, <, 2 * PLUGIN_LOG_PENDING_MAX + (1u << 20));
	EXPECT_CONTAINS(file.data, "lines dropped");
	text_done(&file);
	(void)close(folder);
}
