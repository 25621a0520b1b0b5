#include "base/elf_note.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"

#define NOTE_OWNER       "Mortise"
#define NOTE_TYPE        1
#define NOTE_SEGMENT_MAX (64u << 10)

int elf_image_read(
	const struct elf_image *image, uint64_t offset, void *out, size_t len, struct error *err)
{
	char *p = out;

	if (offset > image->size || len > image->size - offset)
		return error_set(err, ERR_ELF_TRUNCATED,
			"%zu bytes at offset %llu lie beyond the end of the file", len,
			(unsigned long long)offset);
	while (len > 0) {
		ssize_t n = pread(image->fd, p, len, (off_t)offset);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return error_set_errno(err, errno, "read the shared object");
		if (n == 0)
			return error_set(err, ERR_ELF_TRUNCATED, "the file became shorter");
		p += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int check_header(const Elf64_Ehdr *header, struct error *err)
{
	const unsigned char *ident = header->e_ident;

	if (memcmp(ident, ELFMAG, SELFMAG) != 0)
		return error_set(err, ERR_ELF_FORMAT, "not an ELF file");
	if (ident[EI_CLASS] != ELFCLASS64 || ident[EI_DATA] != ELFDATA2LSB)
		return error_set(err, ERR_ELF_FORMAT, "not a 64-bit little-endian ELF file");
	if (ident[EI_VERSION] != EV_CURRENT || header->e_version != EV_CURRENT)
		return error_set(err, ERR_ELF_FORMAT, "of an unknown ELF version");
	if (ident[EI_OSABI] != ELFOSABI_SYSV && ident[EI_OSABI] != ELFOSABI_GNU)
		return error_set(err, ERR_ELF_FORMAT, "for another operating system");
	if (header->e_type != ET_DYN)
		return error_set(err, ERR_ELF_FORMAT, "not a shared object");
	if (header->e_phentsize != sizeof(Elf64_Phdr) || header->e_phnum == 0)
		return error_set(err, ERR_ELF_FORMAT, "without program headers");
	if (header->e_phnum > ELF_SEGMENTS_MAX)
		return error_set(
			err, ERR_ELF_FORMAT, "with more than %d segments", ELF_SEGMENTS_MAX);
	return 0;
}

int elf_image_open(struct elf_image *out, int fd, struct error *err)
{
	struct elf_image image = { .fd = fd };
	struct stat st;
	int rc;

	if (fstat(fd, &st) == -1)
		return error_set_errno(err, errno, "stat the shared object");
	if (!S_ISREG(st.st_mode))
		return error_set(err, ERR_ELF_FORMAT, "not a regular file");
	image.size = (uint64_t)st.st_size;
	if (image.size < sizeof(image.header)) {
		char magic[SELFMAG] = { 0 };

		/* A file cut inside its header is truncated only if it began as ELF. */
		if (image.size >= SELFMAG && elf_image_read(&image, 0, magic, SELFMAG, NULL) == 0 &&
			memcmp(magic, ELFMAG, SELFMAG) == 0)
			return error_set(err, ERR_ELF_TRUNCATED, "cut inside the ELF header");
		return error_set(err, ERR_ELF_FORMAT, "not an ELF file");
	}
	rc = elf_image_read(&image, 0, &image.header, sizeof(image.header), err);
	if (rc == 0)
		rc = check_header(&image.header, err);
	if (rc == 0)
		rc = elf_image_read(&image, image.header.e_phoff, image.segments,
			image.header.e_phnum * sizeof(Elf64_Phdr), err);
	if (rc < 0)
		return rc;
	for (unsigned i = 0; i < image.header.e_phnum; i++) {
		const Elf64_Phdr *s = &image.segments[i];

		if (s->p_type != PT_NULL && s->p_filesz > 0 &&
			(s->p_offset > image.size || s->p_filesz > image.size - s->p_offset))
			return error_set(err, ERR_ELF_TRUNCATED,
				"segment %u lies beyond the end of the file", i);
	}
	/* The loader needs no section headers, but they end the file: a cut shows there first. */
	if (image.header.e_shoff != 0 &&
		(image.header.e_shoff > image.size ||
			(uint64_t)image.header.e_shnum * image.header.e_shentsize >
				image.size - image.header.e_shoff))
		return error_set(err, ERR_ELF_TRUNCATED,
			"the section headers lie beyond the end of the file");
	*out = image;
	return 0;
}

static bool interface_valid(struct span id)
{
	struct span rest = id, name;
	uint64_t revision;

	if (id.len == 0 || id.len > ELF_NOTE_INTERFACE_MAX)
		return false;
	(void)span_split(&rest, '/', &name);
	for (size_t i = 0; i < name.len; i++) {
		char c = name.data[i];

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-'))
			return false;
	}
	return name.len > 0 && rest.data && span_u64(rest, UINT32_MAX, &revision) &&
	       rest.data[0] != '0';
}

/* Copy a value of visible ASCII into out of max characters. */
static bool copy_value(struct span value, char *out, size_t max)
{
	if (value.len == 0 || value.len > max)
		return false;
	for (size_t i = 0; i < value.len; i++)
		if (value.data[i] <= ' ' || value.data[i] > '~')
			return false;
	memcpy(out, value.data, value.len);
	out[value.len] = '\0';
	return true;
}

static bool add_interface(struct elf_note *note, struct span id, int required)
{
	struct elf_note_interface *entry = &note->interfaces[note->count];

	if (note->count == ELF_NOTE_INTERFACES_MAX || !interface_valid(id) ||
		!copy_value(id, entry->id, ELF_NOTE_INTERFACE_MAX))
		return false;
	for (size_t i = 0; i < note->count; i++)
		if (strcmp(note->interfaces[i].id, entry->id) == 0)
			return false;
	entry->required = required;
	note->count++;
	return true;
}

static bool parse_line(struct elf_note *note, unsigned number, struct span line)
{
	struct span value = line, key;

	(void)span_split(&value, '=', &key);
	if (!value.data)
		return false;
	if (number == 0)
		return span_is(key, "id") && copy_value(value, note->id, ELF_NOTE_ID_MAX);
	if (number == 1)
		return span_is(key, "version") &&
		       copy_value(value, note->version, ELF_NOTE_VERSION_MAX);
	if (span_is(key, "need"))
		return add_interface(note, value, 1);
	return span_is(key, "want") && add_interface(note, value, 0);
}

int elf_note_parse(struct elf_note *out, const char *text, size_t len, struct error *err)
{
	struct span rest = { text, len }, line;
	struct elf_note note = { .count = 0 };
	unsigned number = 0;

	if (len > ELF_NOTE_TEXT_MAX)
		return error_set(err, ERR_NOTE_CORRUPT, "the note is longer than %d bytes",
			ELF_NOTE_TEXT_MAX);
	/* The SDK's macro ends the text like a C string. */
	if (len > 0 && text[len - 1] == '\0')
		rest.len--;
	if (rest.len == 0 || rest.data[rest.len - 1] != '\n')
		return error_set(err, ERR_NOTE_CORRUPT, "the note's last line does not end");
	rest.len--;
	for (; span_split(&rest, '\n', &line); number++)
		if (!parse_line(&note, number, line))
			return error_set(err, ERR_NOTE_CORRUPT, "line %u of the note is not valid",
				number + 1);
	if (number < 2)
		return error_set(err, ERR_NOTE_CORRUPT, "the note lacks its version");
	*out = note;
	return 0;
}

static uint64_t aligned(uint64_t n, uint64_t to)
{
	return (n + to - 1) / to * to;
}

/* Walk the notes of one segment. Damage is an error only once it hides what would be ours: notes
 * of others are none of our business, but their sizes must lead on. */
static int walk_notes(struct elf_note *out, unsigned *found, const char *data, size_t len,
	uint64_t alignment, struct error *err)
{
	uint64_t at = 0;

	while (len - at >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr note;
		uint64_t owner = at + sizeof(note), text, end;
		int rc;

		memcpy(&note, data + at, sizeof(note));
		text = at + aligned(sizeof(note) + note.n_namesz, alignment);
		end = text + note.n_descsz;
		if (owner + note.n_namesz > len || end > len)
			return error_set(
				err, ERR_NOTE_CORRUPT, "a note is longer than its segment");
		if (note.n_namesz == sizeof(NOTE_OWNER) && note.n_type == NOTE_TYPE &&
			memcmp(data + owner, NOTE_OWNER, sizeof(NOTE_OWNER)) == 0) {
			if ((*found)++)
				return error_set(err, ERR_NOTE_CORRUPT, "two Mortise notes");
			rc = elf_note_parse(out, data + text, note.n_descsz, err);
			if (rc < 0)
				return rc;
		}
		at = aligned(end, alignment);
		if (at > len)
			break;
	}
	return 0;
}

int elf_note_read(struct elf_note *out, const struct elf_image *image, struct error *err)
{
	CLEANUP(mem_freep) char *data = mem_alloc(NOTE_SEGMENT_MAX);
	struct elf_note note;
	unsigned found = 0;

	for (unsigned i = 0; i < image->header.e_phnum; i++) {
		const Elf64_Phdr *s = &image->segments[i];
		int rc;

		if (s->p_type != PT_NOTE)
			continue;
		if (s->p_filesz > NOTE_SEGMENT_MAX)
			return error_set(err, ERR_NOTE_CORRUPT,
				"a note segment of more than %u bytes", NOTE_SEGMENT_MAX);
		rc = elf_image_read(image, s->p_offset, data, s->p_filesz, err);
		if (rc == 0)
			rc = walk_notes(
				&note, &found, data, s->p_filesz, s->p_align == 8 ? 8 : 4, err);
		if (rc < 0)
			return rc;
	}
	if (!found)
		return error_set(err, ERR_NOTE_MISSING, "no note of owner '" NOTE_OWNER "'");
	*out = note;
	return 0;
}
