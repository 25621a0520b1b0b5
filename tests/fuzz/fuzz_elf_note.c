/* A shared object: its note and everything else that is read of it. */
#include <sys/mman.h>
#include <unistd.h>

#include "base/assert.h"
#include "package/elf_lint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	struct elf_report report = { .warning = NULL };
	struct elf_note note;

	(void)elf_note_parse(&note, (const char *)data, size, NULL);
	if (fd == -1)
		fd = memfd_create("fuzz", MFD_CLOEXEC);
	ASSERT(fd != -1);
	if (ftruncate(fd, 0) == -1 || pwrite(fd, data, size, 0) != (ssize_t)size)
		return 0;
	if (elf_lint(&report, fd, SPAN("x86_64-linux-gnu"), NULL) == 0)
		elf_report_done(&report);
	return 0;
}
