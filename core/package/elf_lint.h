/* elf_lint.h - what a plugin's shared object may not bring with it
 *
 * Refused: another machine than its entry names, text relocations, an executable stack, a library
 * path outside $ORIGIN, no mortise_plugin_v1. Read from the file's bytes; nothing is loaded.
 */
#ifndef MORTISE_PACKAGE_ELF_LINT_H
#define MORTISE_PACKAGE_ELF_LINT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/elf_note.h"
#include "base/text.h"

struct error;

#define ELF_SYMBOLS_SHOWN 5

struct elf_report {
	struct elf_note note;
	size_t exported; /* symbols that others may bind to */
	char *warning;   /* NULL, or what is wrong with them and how to hide them */
};

/* Check the file in fd as the entry of triplet. ERR_ELF_FORMAT, ERR_ELF_TRUNCATED,
 * ERR_ELF_MACHINE, ERR_ELF_TEXTREL, ERR_ELF_EXECSTACK, ERR_ELF_RUNPATH, ERR_ELF_SYMBOL,
 * ERR_NOTE_MISSING, ERR_NOTE_CORRUPT. *out is the caller's, for elf_report_done(). */
int elf_lint(struct elf_report *out, int fd, struct span triplet, struct error *err);
void elf_report_done(struct elf_report *report);

/* Whether triplet is one that entries may have. */
bool elf_triplet_known(struct span triplet);

#endif
