#include "supervise/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <uv.h>

#include "base/text.h"
#include "lib/test.h"
#include "supervise/lines.h"

struct run {
	struct process_exit exit;
	int exits;
	struct text output;
	struct lines *lines;
};

static void on_line(void *user, struct span line)
{
	struct run *run = user;

	text_append_span(&run->output, line);
	text_append_char(&run->output, '|');
}

static void on_exit_of(void *user, const struct process_exit *exit)
{
	struct run *run = user;

	run->exit = *exit;
	run->exits++;
	lines_close(run->lines, NULL);
}

static void run_shell(struct run *run, const char *script, int kill_with)
{
	const char *argv[] = { "sh", "-c", script, NULL };
	struct process_options options = { .path = "/bin/sh", .argv = argv };
	struct process_fd fds[3];
	struct process *process = NULL;
	struct error err = { 0 };
	int writer, null = open("/dev/null", O_RDWR | O_CLOEXEC);

	memset(run, 0, sizeof(*run));
	text_init(&run->output);
	EXPECT_OK(lines_start(&run->lines, uv_default_loop(), on_line, run, &writer, &err), &err);
	fds[0] = (struct process_fd){ writer, 1 };
	fds[1] = (struct process_fd){ writer, 2 };
	fds[2] = (struct process_fd){ null, 3 };
	options.fds = fds;
	options.fd_count = 3;
	EXPECT_OK(
		process_start(&process, uv_default_loop(), &options, on_exit_of, run, &err), &err);
	(void)close(writer);
	(void)close(null);
	EXPECT_INT(process_pid(process), >, 0);
	if (kill_with)
		process_kill(process, kill_with);
	EXPECT_INT(uv_run(uv_default_loop(), UV_RUN_DEFAULT), ==, 0);
	EXPECT_INT(run->exits, ==, 1);
}

TEST(supervise_process__exit_code_and_last_words_arrive)
{
	struct run run;

	run_shell(&run, "echo one; echo two >&2; printf three; exit 7", 0);
	EXPECT_INT(run.exit.code, ==, 7);
	EXPECT_INT(run.exit.signal, ==, 0);
	EXPECT_STR(run.output.data, "one|two|three|");
	EXPECT_UINT(run.exit.max_rss_bytes, >, 0);
	text_done(&run.output);
}

TEST(supervise_process__a_signal_is_told_apart)
{
	struct text text;
	struct run run;

	run_shell(&run, "sleep 60", SIGKILL);
	EXPECT_INT(run.exit.signal, ==, SIGKILL);
	EXPECT_INT(run.exit.code, ==, -1);
	text_init(&text);
	process_exit_text(&run.exit, &text);
	EXPECT_STR(text.data, "killed by signal 9 (Killed)");
	text_done(&text);
	text_done(&run.output);
}

TEST(supervise_process__only_the_named_descriptors_are_inherited)
{
	struct run run;
	int stray = dup2(STDIN_FILENO, 40); /* on purpose without close-on-exec */

	EXPECT_INT(stray, >, 2);
	run_shell(&run, "for f in /proc/$$/fd/*; do printf '%s ' ${f##*/}; done; echo", 0);
	/* 4 is the shell's own, for reading the folder. */
	EXPECT_STR(run.output.data, "0 1 2 3 4 |");
	text_done(&run.output);
	(void)close(stray);
}

TEST(supervise_process__secrets_in_our_environment_stay_here)
{
	struct run run;

	(void)setenv("MORTISE_DATABASE", "postgresql://owner:secret@host/db", 1);
	(void)setenv("MORTISE_TOKEN", "mrt_secret", 1);
	run_shell(&run, "env", 0);
	EXPECT_NULL(strstr(run.output.data, "secret"));
	text_done(&run.output);
}

TEST(supervise_process__usage_at_exit_holds_the_cpu_time)
{
	struct run run;

	run_shell(&run, "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done", 0);
	EXPECT_UINT(run.exit.cpu_ns, >, 1000000);
	text_done(&run.output);
}

TEST(supervise_process__a_program_that_is_not_there_is_an_error)
{
	const char *argv[] = { "nothing", NULL };
	struct process_options options = { .path = "/nonexistent/program", .argv = argv };
	struct process *process = NULL;
	struct error err = { 0 };
	struct run run;

	EXPECT_INT(process_start(&process, uv_default_loop(), &options, on_exit_of, &run, &err), ==,
		ERR_SYSTEM);
	EXPECT_NULL(process);
	EXPECT_CONTAINS(err.text, "/nonexistent/program");
}

TEST(supervise_process__a_running_child_can_be_measured)
{
	const char *argv[] = { "sleep", "60", NULL };
	struct process_options options = { .path = "/bin/sleep", .argv = argv };
	struct process *process = NULL;
	struct error err = { 0 };
	uint64_t cpu = 0, memory = 0;
	struct run run = { 0 };
	int writer;

	text_init(&run.output);
	EXPECT_OK(lines_start(&run.lines, uv_default_loop(), on_line, &run, &writer, &err), &err);
	EXPECT_OK(
		process_start(&process, uv_default_loop(), &options, on_exit_of, &run, &err), &err);
	(void)close(writer);
	EXPECT_TRUE(process_usage(process, &cpu, &memory));
	EXPECT_UINT(memory, >, 0);
	process_kill(process, SIGTERM);
	EXPECT_INT(uv_run(uv_default_loop(), UV_RUN_DEFAULT), ==, 0);
	EXPECT_INT(run.exit.signal, ==, SIGTERM);
	text_done(&run.output);
}

TEST(supervise_lines__a_long_line_arrives_in_parts)
{
	struct run run;

	run_shell(&run, "head -c 20000 /dev/zero | tr '\\0' x", 0);
	EXPECT_UINT(run.output.len, ==, 20000 + 3);
	EXPECT_INT(run.output.data[LINES_MAX], ==, '|');
	text_done(&run.output);
}
