/* entry_priv.h - what an entry's ELF note says against the manifest and the host
 */
#ifndef MORTISE_PACKAGE_ENTRY_PRIV_H
#define MORTISE_PACKAGE_ENTRY_PRIV_H

#include <stddef.h>

struct elf_note;
struct error;
struct manifest;

/* Id, version, required and optional interfaces agree, in any order. ERR_NOTE_MISMATCH. */
int entry_check_note(const struct elf_note *note, const struct manifest *m, struct error *err);

/* Every required interface is among the offered ids (NULL: those of interfaces.def).
 * ERR_INTERFACE_UNKNOWN. */
int entry_check_interfaces(
	const struct manifest *m, const char *const *offered, size_t count, struct error *err);

#endif
