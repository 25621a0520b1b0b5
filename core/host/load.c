/* Constructors run inside dlopen(), so the file is identified and its note compared before; what
 * the note promised is compared with the descriptor before any function of the plugin is called.
 * RTLD_NODELETE because a plugin may leave threads or thread-local destructors behind: unmapping
 * its code would crash in them. The only true unload is the end of the process.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/elf_note.h"
#include "base/io.h"
#include "base/mem.h"
#include "host/host_priv.h"

bool load_offers(const char *id)
{
	static const char *const known[] = {
#define SIDE_HOST(id)          id,
#define SIDE_PLUGIN(id)        id,
#define SIDE_EXTENSION(id)     id,
#define X(name, id, side, abi) SIDE_##side(id)
#include <mortise/interfaces.def>
#undef X
	};

	for (size_t i = 0; i < ARRAY_LENGTH(known); i++)
		if (strcmp(known[i], id) == 0)
			return true;
	return false;
}

static int check_file(const struct host *h, int fd, const char *path, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st) == -1)
		return error_set_errno(err, errno, "stat '%s'", path);
	if (!S_ISREG(st.st_mode) || st.st_dev != h->start.device || st.st_ino != h->start.inode)
		return error_set(err, ERR_ENTRY_CHANGED,
			"'%s' is not the file that was checked (device %llu inode %llu)", path,
			(unsigned long long)h->start.device, (unsigned long long)h->start.inode);
	return 0;
}

static bool listed(const struct protocol_spans *list, const char *id)
{
	for (uint32_t i = 0; i < list->count; i++)
		if (span_is(list->items[i], id))
			return true;
	return false;
}

static int check_note(const struct host *h, const struct elf_note *note, struct error *err)
{
	if (!span_is(h->start.plugin, note->id) || !span_is(h->start.version, note->version))
		return error_set(err, ERR_NOTE_MISMATCH,
			"the note says '%s %s', the manifest '%.*s %.*s'", note->id, note->version,
			SPAN_ARG(h->start.plugin), SPAN_ARG(h->start.version));
	if (note->count != (size_t)h->start.needs.count + h->start.wants.count)
		return error_set(err, ERR_NOTE_MISMATCH,
			"the note names %zu interfaces, the manifest %u", note->count,
			h->start.needs.count + h->start.wants.count);
	for (size_t i = 0; i < note->count; i++) {
		const struct elf_note_interface *interface = &note->interfaces[i];

		if (!listed(interface->required ? &h->start.needs : &h->start.wants, interface->id))
			return error_set(err, ERR_NOTE_MISMATCH,
				"the note names interface '%s', the manifest does not",
				interface->id);
		if (interface->required && !load_offers(interface->id))
			return error_set(err, ERR_INTERFACE_UNKNOWN,
				"plugin '%s' %s needs interface '%s', which this host does not "
				"know",
				note->id, note->version, interface->id);
	}
	return 0;
}

static int check_before(struct host *h, const char *path, struct error *err)
{
	CLEANUP(io_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	CLEANUP(mem_freep) struct elf_image *image = mem_alloc(sizeof(*image));
	CLEANUP(mem_freep) struct elf_note *note = mem_alloc(sizeof(*note));
	int rc;

	if (fd == -1)
		return error_set_errno(err, errno, "open '%s'", path);
	rc = check_file(h, fd, path, err);
	if (rc < 0)
		return rc;
	rc = elf_image_open(image, fd, err);
	if (rc < 0)
		return error_wrap(err, "'%s'", path);
	rc = elf_note_read(note, image, err);
	if (rc < 0)
		return error_wrap(err, "'%s'", path);
	return check_note(h, note, err);
}

static int check_descriptor(const struct host *h, const struct mortise_plugin *p, struct error *err)
{
	if (p->struct_size != sizeof(*p))
		return error_set(err, ERR_DESCRIPTOR,
			"mortise_plugin_v1 says it has %u bytes, not %zu", p->struct_size,
			sizeof(*p));
	if (!p->id || !p->version || !span_is(h->start.plugin, p->id) ||
		!span_is(h->start.version, p->version))
		return error_set(err, ERR_DESCRIPTOR,
			"mortise_plugin_v1 says '%s %s', the note '%.*s %.*s'", p->id ? p->id : "",
			p->version ? p->version : "", SPAN_ARG(h->start.plugin),
			SPAN_ARG(h->start.version));
	if (!p->create || !p->start || !p->destroy)
		return error_set(
			err, ERR_DESCRIPTOR, "mortise_plugin_v1 lacks create, start or destroy");
	return 0;
}

static void find_offers(struct host *h, const struct mortise_offer *offer)
{
	for (; offer && offer->id; offer++) {
		if (strcmp(offer->id, MORTISE_HTTP_SERVE_1) == 0)
			h->serve = offer->interface;
		else if (strcmp(offer->id, MORTISE_CALL_SERVE_1) == 0)
			h->call_serve = offer->interface;
		else if (strcmp(offer->id, MORTISE_CONFIG_APPLY_1) == 0)
			h->apply = offer->interface;
		else if (strcmp(offer->id, MORTISE_HEALTH_1) == 0)
			h->health = offer->interface;
	}
	/* An offer without its obligatory functions is none. */
	if (h->serve && !h->serve->on_request)
		h->serve = NULL;
	if (h->call_serve && !h->call_serve->on_call)
		h->call_serve = NULL;
	if (h->apply && (!h->apply->check || !h->apply->apply))
		h->apply = NULL;
	if (h->health && !h->health->probe)
		h->health = NULL;
}

int load_plugin(struct host *h, struct error *err)
{
	CLEANUP(mem_freep) char *path = mem_printf("%.*s", SPAN_ARG(h->start.entry));
	const struct mortise_plugin *plugin;
	void *library;
	int rc;

	if (path[0] != '/' || strlen(path) != h->start.entry.len)
		return error_set(err, ERR_INVALID, "the entry's path is not absolute");
	rc = check_before(h, path, err);
	if (rc < 0)
		return rc;
	host_enter(h, "load", NULL);
	library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	host_leave(h);
	if (!library)
		return error_set(err, ERR_LOAD, "%s", dlerror());
	plugin = dlsym(library, "mortise_plugin_v1");
	if (!plugin)
		return error_set(err, ERR_DESCRIPTOR, "'%s' exports no mortise_plugin_v1", path);
	rc = check_descriptor(h, plugin, err);
	if (rc < 0)
		return rc;
	find_offers(h, plugin->offers);
	h->plugin = plugin;
	return 0;
}
