#include <sys/stat.h>
#include <unistd.h>

#include "bed.h"

static bool constructor_ran(void)
{
	return access("constructor-ran", F_OK) == 0;
}

static void expect_refused(
	const char *plugin, void (*change)(struct worker_start *), int code, const char *says)
{
	struct bed b;
	struct error err;

	bed_init_with(&b, plugin, "", NULL, NULL, change);
	EXPECT_INT(host_load(b.host, &err), ==, code);
	EXPECT_CONTAINS(err.text, says);
	bed_done(&b);
}

TEST(host_load__a_plugin_whose_note_fits_is_loaded)
{
	struct bed b;

	bed_init(&b, "constructor", "", NULL, NULL);
	bed_serve(&b);
	EXPECT_TRUE(constructor_ran());
	bed_done(&b);
}

static void other_inode(struct worker_start *start)
{
	start->inode++;
}

TEST(host_load__another_file_is_refused_before_its_code_runs)
{
	expect_refused("constructor", other_inode, ERR_ENTRY_CHANGED, "not the file that was");
	EXPECT_FALSE(constructor_ran());
}

static void other_version(struct worker_start *start)
{
	start->version = SPAN("1.0.1");
}

static void other_needs(struct worker_start *start)
{
	start->needs.count = 0;
}

static void other_id(struct worker_start *start)
{
	start->plugin = SPAN("fixture/other");
}

TEST(host_load__a_note_unlike_the_manifest_is_refused_before_code_runs)
{
	expect_refused("constructor", other_version, ERR_NOTE_MISMATCH, "1.0.1");
	expect_refused("constructor", other_needs, ERR_NOTE_MISMATCH, "interfaces");
	expect_refused("constructor", other_id, ERR_NOTE_MISMATCH, "fixture/other");
	EXPECT_FALSE(constructor_ran());
}

TEST(host_load__an_unknown_needed_interface_is_refused_before_code_runs)
{
	expect_refused("future", NULL, ERR_INTERFACE_UNKNOWN, "mortise.future/9");
	EXPECT_FALSE(constructor_ran());
}

TEST(host_load__no_note_is_refused_before_code_runs)
{
	expect_refused("nonote", NULL, ERR_NOTE_MISSING, "nonote.so");
	EXPECT_FALSE(constructor_ran());
}

TEST(host_load__a_descriptor_unlike_its_note_is_refused)
{
	expect_refused("liar", NULL, ERR_DESCRIPTOR, "fixture/truth");
}

static void no_file(struct worker_start *start)
{
	start->entry = SPAN("/nonexistent/x.so");
}

static void relative(struct worker_start *start)
{
	start->entry = SPAN("x.so");
}

TEST(host_load__no_file_is_a_reason)
{
	expect_refused("echo", no_file, ERR_SYSTEM, "/nonexistent/x.so");
	expect_refused("echo", relative, ERR_INVALID, "absolute");
}
