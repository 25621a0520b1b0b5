#include <stdio.h>

#include "base/elf_note.h"
#include "base/error.h"
#include "codec/shown.h"
#include "package/entry_priv.h"
#include "package/manifest.h"

static const struct {
	const char *id;
	unsigned abi;
} known[] = {
#define X(name, id, side, abi) { id, abi },
#include "mortise/interfaces.def"
#undef X
};

static bool note_lists(const struct elf_note *note, struct span id, int required)
{
	for (size_t i = 0; i < note->count; i++)
		if (note->interfaces[i].required == required && span_is(id, note->interfaces[i].id))
			return true;
	return false;
}

static int check_list(const struct elf_note *note, const struct span *ids, size_t count,
	int required, struct error *err)
{
	size_t noted = 0;

	for (size_t i = 0; i < note->count; i++)
		noted += note->interfaces[i].required == required;
	for (size_t i = 0; i < count; i++)
		if (!note_lists(note, ids[i], required))
			return error_set(err, ERR_NOTE_MISMATCH,
				"the manifest lists '%s' as %s, the ELF note does not",
				shown(ids[i]).text, required ? "required" : "optional");
	/* Both lists are free of duplicates. */
	if (noted != count)
		return error_set(err, ERR_NOTE_MISMATCH,
			"the ELF note lists %zu %s interfaces, the manifest %zu", noted,
			required ? "required" : "optional", count);
	return 0;
}

int entry_check_note(const struct elf_note *note, const struct manifest *m, struct error *err)
{
	int rc;

	if (!span_is(m->name, note->id))
		return error_set(err, ERR_NOTE_MISMATCH,
			"the ELF note says '%s', the manifest '%s'", note->id, shown(m->name).text);
	if (!span_is(m->version, note->version))
		return error_set(err, ERR_NOTE_MISMATCH,
			"the ELF note says version %s, the manifest %s", note->version,
			shown(m->version).text);
	rc = check_list(note, m->requires, m->require_count, 1, err);
	return rc < 0 ? rc : check_list(note, m->optional, m->optional_count, 0, err);
}

/* Length of the name in "name/N". */
static size_t name_length(const char *id)
{
	return strcspn(id, "/");
}

/* What to say of an id that is not offered: the ABI that has it, or the nearest one there is. */
static int refuse(struct span id, struct error *err)
{
	for (size_t i = 0; i < ARRAY_LENGTH(known); i++)
		if (span_is(id, known[i].id))
			return error_set(err, ERR_INTERFACE_UNKNOWN,
				"it requires '%s' of ABI %u.%u, which this host does not offer",
				known[i].id, known[i].abi >> 8, known[i].abi & 255);
	for (size_t i = ARRAY_LENGTH(known); i-- > 0;) {
		size_t n = name_length(known[i].id);

		if (id.len > n && memcmp(id.data, known[i].id, n + 1) == 0)
			return error_set(err, ERR_INTERFACE_UNKNOWN,
				"it requires '%s', which no ABI that this host knows has; the "
				"newest "
				"is '%s' of ABI %u.%u",
				shown(id).text, known[i].id, known[i].abi >> 8, known[i].abi & 255);
	}
	return error_set(err, ERR_INTERFACE_UNKNOWN,
		"it requires '%s', which no ABI that this host knows has", shown(id).text);
}

int entry_check_interfaces(
	const struct manifest *m, const char *const *offered, size_t count, struct error *err)
{
	for (size_t i = 0; i < m->require_count; i++) {
		bool found = false;

		for (size_t j = 0; offered && j < count && !found; j++)
			found = span_is(m->requires[i], offered[j]);
		for (size_t j = 0; !offered && j < ARRAY_LENGTH(known) && !found; j++)
			found = span_is(m->requires[i], known[j].id);
		if (!found)
			return refuse(m->requires[i], err);
	}
	return 0;
}
