#include "package/elf_lint.h"

#include <unistd.h>

#include "fixture.h"
#include "lib/test.h"
#include "package/manifest.h"

static int lint_fd(int fd, const char *triplet, struct error *err)
{
	struct elf_report report = { .warning = NULL };
	int rc = elf_lint(&report, fd, span_of(triplet), err);

	elf_report_done(&report);
	(void)close(fd);
	return rc;
}

static int lint(const char *object, struct error *err)
{
	return lint_fd(fixture_object_fd(object, 0), manifest_host_triplet(), err);
}

TEST(package_elf_lint__a_good_object_passes_and_exports_one_symbol)
{
	struct elf_report report;
	struct error err;
	int fd = fixture_object_fd("good", 0);

	EXPECT_OK(elf_lint(&report, fd, span_of(manifest_host_triplet()), &err), &err);
	EXPECT_UINT(report.exported, ==, 1);
	EXPECT_NULL(report.warning);
	EXPECT_STR(report.note.id, "acme/hello");
	elf_report_done(&report);
	(void)close(fd);
}

TEST(package_elf_lint__each_fault_has_its_own_code)
{
	static const struct {
		const char *object;
		int rc;
	} cases[] = { { "nonote", ERR_NOTE_MISSING }, { "rpath", ERR_ELF_RUNPATH },
		{ "origin", ERR_ELF_RUNPATH }, { "beside", 0 }, { "execstack", ERR_ELF_EXECSTACK },
		{ "textrel", ERR_ELF_TEXTREL } };
	struct error err;

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		int rc = lint(cases[i].object, &err);

		ck_assert_msg(rc == cases[i].rc, "%s: %d", cases[i].object, rc);
	}
}

TEST(package_elf_lint__an_object_for_another_machine_is_refused)
{
	const char *other = strcmp(manifest_host_triplet(), "aarch64-linux-gnu") == 0
				    ? "x86_64-linux-gnu"
				    : "aarch64-linux-gnu";
	struct error err;

	EXPECT_INT(lint_fd(fixture_object_fd("good", 0), other, &err), ==, ERR_ELF_MACHINE);
	EXPECT_CONTAINS(err.text, other);
}

TEST(package_elf_lint__every_truncation_is_refused)
{
	struct text bytes;
	struct error err;

	text_init(&bytes);
	fixture_object("good", &bytes);
	for (size_t size = 1; size < bytes.len; size++) {
		int rc = lint_fd(fixture_file((struct span){ bytes.data, size }),
			manifest_host_triplet(), &err);

		ck_assert_msg(rc == (size < 4 ? ERR_ELF_FORMAT : ERR_ELF_TRUNCATED),
			"cut at %zu: %d", size, rc);
	}
	text_done(&bytes);
}

TEST(package_elf_lint__what_is_no_shared_object_is_refused)
{
	struct text bytes;
	struct error err;

	text_init(&bytes);
	EXPECT_INT(lint_fd(fixture_file(SPAN("#!/bin/sh\n")), manifest_host_triplet(), &err), ==,
		ERR_ELF_FORMAT);
	fixture_object("good", &bytes);
	bytes.data[4] = 1; /* 32-bit */
	EXPECT_INT(lint_fd(fixture_file(text_span(&bytes)), manifest_host_triplet(), &err), ==,
		ERR_ELF_FORMAT);
	bytes.data[4] = 2;
	bytes.data[16] = 2; /* an executable */
	EXPECT_INT(lint_fd(fixture_file(text_span(&bytes)), manifest_host_triplet(), &err), ==,
		ERR_ELF_FORMAT);
	text_done(&bytes);
}

TEST(package_elf_lint__any_flipped_byte_is_survived)
{
	struct text bytes;
	struct error err;

	text_init(&bytes);
	fixture_object("good", &bytes);
	for (size_t i = 0; i < bytes.len; i++) {
		char kept = bytes.data[i];

		bytes.data[i] = (char)(kept ^ 0xff);
		(void)lint_fd(fixture_file(text_span(&bytes)), manifest_host_triplet(), &err);
		bytes.data[i] = kept;
	}
	text_done(&bytes);
}
