#include "package/elf_lint.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "codec/shown.h"

#define DESCRIPTOR_SYMBOL "mortise_plugin_v1"
#define DYNAMIC_MAX       (64u << 10)
#define STRING_MAX        1024
#define SYMBOLS_MAX       (1u << 18)
#define BUCKETS_MAX       (1u << 18)
#define BATCH             128
#define ORIGIN            "$ORIGIN"
#define ORIGIN_BRACED     "${ORIGIN}"

static const struct {
	const char *triplet;
	uint16_t machine;
} platforms[] = {
	{ "x86_64-linux-gnu", EM_X86_64 },
	{ "x86_64-linux-musl", EM_X86_64 },
	{ "aarch64-linux-gnu", EM_AARCH64 },
	{ "aarch64-linux-musl", EM_AARCH64 },
	{ "riscv64-linux-gnu", EM_RISCV },
	{ "riscv64-linux-musl", EM_RISCV },
};

/* What the dynamic section says, as addresses in memory. */
struct dynamic {
	uint64_t strings, strings_size, symbols, hash, gnu_hash;
};

bool elf_triplet_known(struct span triplet)
{
	for (size_t i = 0; i < ARRAY_LENGTH(platforms); i++)
		if (span_is(triplet, platforms[i].triplet))
			return true;
	return false;
}

static int check_machine(const struct elf_image *image, struct span triplet, struct error *err)
{
	for (size_t i = 0; i < ARRAY_LENGTH(platforms); i++)
		if (span_is(triplet, platforms[i].triplet) &&
			image->header.e_machine == platforms[i].machine)
			return 0;
	return error_set(err, ERR_ELF_MACHINE, "ELF machine %u is not that of '%s'",
		image->header.e_machine, shown(triplet).text);
}

static const Elf64_Phdr *find_segment(const struct elf_image *image, uint32_t type)
{
	for (unsigned i = 0; i < image->header.e_phnum; i++)
		if (image->segments[i].p_type == type)
			return &image->segments[i];
	return NULL;
}

static int check_stack(const struct elf_image *image, struct error *err)
{
	const Elf64_Phdr *stack = find_segment(image, PT_GNU_STACK);

	/* Without the segment the loader assumes the worst, as old compilers meant it. */
	if (!stack)
		return error_set(err, ERR_ELF_EXECSTACK, "no PT_GNU_STACK segment");
	if (stack->p_flags & PF_X)
		return error_set(err, ERR_ELF_EXECSTACK, "its stack is marked executable");
	return 0;
}

/* len bytes at an address, which must lie in what one segment loads from the file. */
static int read_address(
	const struct elf_image *image, uint64_t address, void *out, size_t len, struct error *err)
{
	for (unsigned i = 0; i < image->header.e_phnum; i++) {
		const Elf64_Phdr *s = &image->segments[i];
		uint64_t at = address - s->p_vaddr;

		if (s->p_type == PT_LOAD && address >= s->p_vaddr && at < s->p_filesz &&
			len <= s->p_filesz - at)
			return elf_image_read(image, s->p_offset + at, out, len, err);
	}
	return error_set(err, ERR_ELF_FORMAT, "address 0x%llx is not in any segment",
		(unsigned long long)address);
}

/* The string at an offset of the string table, cut at STRING_MAX. */
static int read_string(const struct elf_image *image, const struct dynamic *d, uint64_t offset,
	char out[static STRING_MAX], struct error *err)
{
	uint64_t left;
	size_t len;
	int rc;

	if (offset >= d->strings_size)
		return error_set(err, ERR_ELF_FORMAT, "a name lies outside the string table");
	left = d->strings_size - offset;
	len = left < STRING_MAX - 1 ? (size_t)left : STRING_MAX - 1;
	rc = read_address(image, d->strings + offset, out, len, err);
	out[len] = '\0';
	return rc;
}

static bool below_origin(struct span path)
{
	struct span rest = path, part;

	if (!span_split(&rest, '/', &part) ||
		(!span_is(part, ORIGIN) && !span_is(part, ORIGIN_BRACED)))
		return false;
	while (span_split(&rest, '/', &part))
		if (span_is(part, ".."))
			return false;
	return true;
}

static int check_runpath(
	const struct elf_image *image, const struct dynamic *d, uint64_t offset, struct error *err)
{
	char text[STRING_MAX];
	struct span rest, path;
	int rc = read_string(image, d, offset, text, err);

	if (rc < 0)
		return rc;
	rest = span_of(text);
	while (span_split(&rest, ':', &path))
		if (!below_origin(path))
			return error_set(err, ERR_ELF_RUNPATH, "its library path is '%s'",
				shown(span_of(text)).text);
	return 0;
}

static int check_needed(
	const struct elf_image *image, const struct dynamic *d, uint64_t offset, struct error *err)
{
	char text[STRING_MAX];
	int rc = read_string(image, d, offset, text, err);

	if (rc == 0 && strchr(text, '/') && !below_origin(span_of(text)))
		rc = error_set(err, ERR_ELF_RUNPATH, "it needs a library by the path '%s'",
			shown(span_of(text)).text);
	return rc;
}

static int check_tag(const struct elf_image *image, const struct dynamic *d, const Elf64_Dyn *entry,
	struct error *err)
{
	switch (entry->d_tag) {
	case DT_TEXTREL:
		return error_set(err, ERR_ELF_TEXTREL, "it has text relocations");
	case DT_FLAGS:
		if (entry->d_un.d_val & DF_TEXTREL)
			return error_set(err, ERR_ELF_TEXTREL, "it has text relocations");
		return 0;
	case DT_RPATH:
	case DT_RUNPATH:
		return check_runpath(image, d, entry->d_un.d_val, err);
	case DT_NEEDED:
		return check_needed(image, d, entry->d_un.d_val, err);
	default:
		return 0;
	}
}

static void note_address(struct dynamic *d, const Elf64_Dyn *entry)
{
	switch (entry->d_tag) {
	case DT_STRTAB:
		d->strings = entry->d_un.d_ptr;
		break;
	case DT_STRSZ:
		d->strings_size = entry->d_un.d_val;
		break;
	case DT_SYMTAB:
		d->symbols = entry->d_un.d_ptr;
		break;
	case DT_HASH:
		d->hash = entry->d_un.d_ptr;
		break;
	case DT_GNU_HASH:
		d->gnu_hash = entry->d_un.d_ptr;
		break;
	default:
		break;
	}
}

static int check_dynamic(const struct elf_image *image, struct dynamic *out, struct error *err)
{
	CLEANUP(mem_freep) Elf64_Dyn *entries = mem_alloc(DYNAMIC_MAX);
	const Elf64_Phdr *segment = find_segment(image, PT_DYNAMIC);
	size_t count;
	int rc;

	if (!segment || segment->p_filesz > DYNAMIC_MAX)
		return error_set(
			err, ERR_ELF_FORMAT, "it has no dynamic section, or one out of bounds");
	rc = elf_image_read(image, segment->p_offset, entries, segment->p_filesz, err);
	count = segment->p_filesz / sizeof(*entries);
	/* The tags that name strings need the table's place, which may come after them. */
	for (size_t i = 0; i < count && rc == 0 && entries[i].d_tag != DT_NULL; i++)
		note_address(out, &entries[i]);
	for (size_t i = 0; i < count && rc == 0 && entries[i].d_tag != DT_NULL; i++)
		rc = check_tag(image, out, &entries[i], err);
	return rc;
}

/* ---- exported symbols ------------------------------------------------------------------------ */

/* The last symbol that the GNU hash table reaches, plus one: its chains end with an odd word. */
static int count_gnu(
	const struct elf_image *image, uint64_t table, uint32_t *out, struct error *err)
{
	struct {
		uint32_t buckets, first, bloom, shift;
	} head;
	uint32_t batch[BATCH], last = 0;
	uint64_t buckets, chains;
	int rc = read_address(image, table, &head, sizeof(head), err);

	if (rc < 0)
		return rc;
	if (head.buckets > BUCKETS_MAX || head.bloom > BUCKETS_MAX || head.first > SYMBOLS_MAX)
		return error_set(err, ERR_ELF_FORMAT, "its symbol hash table is out of bounds");
	buckets = table + sizeof(head) + (uint64_t)head.bloom * sizeof(uint64_t);
	chains = buckets + (uint64_t)head.buckets * sizeof(uint32_t);
	for (uint32_t i = 0; i < head.buckets; i += BATCH) {
		uint32_t n = head.buckets - i < BATCH ? head.buckets - i : BATCH;

		rc = read_address(image, buckets + (uint64_t)i * sizeof(uint32_t), batch,
			n * sizeof(uint32_t), err);
		if (rc < 0)
			return rc;
		for (uint32_t j = 0; j < n; j++)
			last = batch[j] > last ? batch[j] : last;
	}
	if (last < head.first) {
		*out = head.first;
		return 0;
	}
	for (;; last++) {
		uint32_t word;

		if (last >= SYMBOLS_MAX)
			return error_set(
				err, ERR_ELF_FORMAT, "it has more than %u symbols", SYMBOLS_MAX);
		rc = read_address(image, chains + (uint64_t)(last - head.first) * sizeof(word),
			&word, sizeof(word), err);
		if (rc < 0)
			return rc;
		if (word & 1)
			break;
	}
	*out = last + 1;
	return 0;
}

static int count_symbols(
	const struct elf_image *image, const struct dynamic *d, uint32_t *out, struct error *err)
{
	uint32_t head[2] = { 0, 0 };
	int rc = 0;

	if (d->gnu_hash)
		return count_gnu(image, d->gnu_hash, out, err);
	if (d->hash)
		rc = read_address(image, d->hash, head, sizeof(head), err);
	if (rc == 0 && head[1] > SYMBOLS_MAX)
		rc = error_set(err, ERR_ELF_FORMAT, "it has more than %u symbols", SYMBOLS_MAX);
	*out = head[1];
	return rc;
}

static bool exported(const Elf64_Sym *symbol)
{
	unsigned char bind = ELF64_ST_BIND(symbol->st_info);
	unsigned char visibility = ELF64_ST_VISIBILITY(symbol->st_other);

	return symbol->st_shndx != SHN_UNDEF &&
	       (bind == STB_GLOBAL || bind == STB_WEAK || bind == STB_GNU_UNIQUE) &&
	       (visibility == STV_DEFAULT || visibility == STV_PROTECTED);
}

struct exports {
	size_t count;
	bool descriptor;
	struct text names; /* of the first others */
};

static int note_symbol(const struct elf_image *image, const struct dynamic *d,
	const Elf64_Sym *symbol, struct exports *out, struct error *err)
{
	char name[STRING_MAX];
	int rc;

	if (!exported(symbol))
		return 0;
	out->count++;
	/* Once the descriptor is found and enough names are shown, counting is all that is left. */
	if (out->descriptor && out->count > ELF_SYMBOLS_SHOWN + 1)
		return 0;
	rc = read_string(image, d, symbol->st_name, name, err);
	if (rc < 0)
		return rc;
	if (strcmp(name, DESCRIPTOR_SYMBOL) == 0 && ELF64_ST_TYPE(symbol->st_info) == STT_OBJECT)
		out->descriptor = true;
	else if (out->count <= ELF_SYMBOLS_SHOWN + 1)
		text_printf(&out->names, "%s'%s'", out->names.len ? ", " : "",
			shown(span_of(name)).text);
	return 0;
}

static int read_symbols(const struct elf_image *image, const struct dynamic *d, struct exports *out,
	struct error *err)
{
	Elf64_Sym batch[BATCH];
	uint32_t count = 0;
	int rc = count_symbols(image, d, &count, err);

	for (uint32_t i = 0; i < count && rc == 0; i += BATCH) {
		uint32_t n = count - i < BATCH ? count - i : BATCH;

		rc = read_address(image, d->symbols + (uint64_t)i * sizeof(*batch), batch,
			n * sizeof(*batch), err);
		for (uint32_t j = 0; j < n && rc == 0; j++)
			rc = note_symbol(image, d, &batch[j], out, err);
	}
	return rc;
}

static int check_symbols(struct elf_report *report, const struct elf_image *image,
	const struct dynamic *d, struct error *err)
{
	struct exports exports = { .count = 0 };
	int rc;

	text_init(&exports.names);
	rc = read_symbols(image, d, &exports, err);
	if (rc == 0 && !exports.descriptor)
		rc = error_set(err, ERR_ELF_SYMBOL, "it does not export '" DESCRIPTOR_SYMBOL "'");
	report->exported = exports.count;
	if (rc == 0 && exports.count > 1)
		report->warning = mem_printf(
			"it exports %zu symbols besides " DESCRIPTOR_SYMBOL
			" (%s%s), which may clash with others in one process; hide them with "
			"-fvisibility=hidden and a version script, as the SDK's build does",
			exports.count - 1, exports.names.data,
			exports.count - 1 > ELF_SYMBOLS_SHOWN ? ", ..." : "");
	text_done(&exports.names);
	return rc;
}

int elf_lint(struct elf_report *out, int fd, struct span triplet, struct error *err)
{
	struct elf_report report = { .warning = NULL };
	struct dynamic dynamic = { 0 };
	struct elf_image image;
	int rc = elf_image_open(&image, fd, err);

	if (rc == 0)
		rc = check_machine(&image, triplet, err);
	if (rc == 0)
		rc = check_stack(&image, err);
	if (rc == 0)
		rc = check_dynamic(&image, &dynamic, err);
	if (rc == 0)
		rc = elf_note_read(&report.note, &image, err);
	if (rc == 0)
		rc = check_symbols(&report, &image, &dynamic, err);
	if (rc < 0)
		return rc;
	*out = report;
	return 0;
}

void elf_report_done(struct elf_report *report)
{
	mem_free(report->warning);
	report->warning = NULL;
}
