/* elf_note.h - what a plugin's shared object says about itself, read without loading it
 *
 * Constructors run inside dlopen(), so everything is decided before it, from the file's bytes: an
 * ELF note of owner "Mortise" and type 1 whose text lists id, version and interfaces. The file is
 * hostile input; every offset in it is checked against the size it has. Only 64-bit little-endian
 * ELF is read. [any thread]
 */
#ifndef MORTISE_BASE_ELF_NOTE_H
#define MORTISE_BASE_ELF_NOTE_H

#include <elf.h>
#include <stddef.h>
#include <stdint.h>

struct error;

#define ELF_SEGMENTS_MAX 64

struct elf_image {
	int fd; /* borrowed */
	uint64_t size;
	Elf64_Ehdr header;
	Elf64_Phdr segments[ELF_SEGMENTS_MAX];
};

/* Read the headers of the file in fd. ERR_ELF_FORMAT: not a 64-bit little-endian shared object;
 * ERR_ELF_TRUNCATED: something it names lies beyond its end. */
int elf_image_open(struct elf_image *out, int fd, struct error *err);

/* len bytes at offset in the file; ERR_ELF_TRUNCATED when they are not all there. */
int elf_image_read(
	const struct elf_image *image, uint64_t offset, void *out, size_t len, struct error *err);

#define ELF_NOTE_ID_MAX         95 /* publisher (30), '/', plugin (64) */
#define ELF_NOTE_VERSION_MAX    50
#define ELF_NOTE_INTERFACE_MAX  64
#define ELF_NOTE_INTERFACES_MAX 64
#define ELF_NOTE_TEXT_MAX       8192

struct elf_note {
	char id[ELF_NOTE_ID_MAX + 1];
	char version[ELF_NOTE_VERSION_MAX + 1];
	size_t count;
	struct elf_note_interface {
		char id[ELF_NOTE_INTERFACE_MAX + 1];
		int required; /* need=: 1, want=: 0 */
	} interfaces[ELF_NOTE_INTERFACES_MAX];
};

/* Read the one note. ERR_NOTE_MISSING: no such note; ERR_NOTE_CORRUPT: it is not what the SDK
 * writes, or there are two. *out is unchanged on failure. */
int elf_note_read(struct elf_note *out, const struct elf_image *image, struct error *err);

/* The same from the text alone (the note's descriptor). */
int elf_note_parse(struct elf_note *out, const char *text, size_t len, struct error *err);

#endif
