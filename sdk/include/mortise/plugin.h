/* plugin.h - what a plugin is to its host; the one header a plugin must include
 *
 * A plugin is a shared object that exports one data symbol, mortise_plugin_v1,
 * and carries an ELF note that says what it needs. The host reads the note
 * without loading the object, refuses what it cannot serve, then calls, all at
 * home (abi.h) and in this order:
 *
 *   create -> start -> serving -> drain -> stop -> destroy
 *
 * A whole plugin in one file, built with cc -shared -fPIC:
 *
 *   #include <mortise/plugin.h>
 *
 *   struct mortise_instance { struct mortise_host *host; };
 *   ...
 *   MORTISE_PLUGIN("acme/hello", "1.0.0", MORTISE_NEED(MORTISE_HTTP_1),
 *       .create = create, .start = start, .destroy = destroy, .offers = offers);
 */
#ifndef MORTISE_PLUGIN_H
#define MORTISE_PLUGIN_H

#include "abi.h"
#include "call.h"
#include "config.h"
#include "core.h"
#include "health.h"
#include "http.h"
#include "metrics.h"
#include "timer.h"
#include "work.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What create() gets; everything else is found by id. */
struct mortise_host {
	uint32_t abi; /* newest ABI the host knows; for messages, never to be compared */
	uint32_t reserved;

	/* [any] The interface with this id, for the life of the instance and always
	 * the same pointer; cast it to the struct of that name. NULL: the host does not
	 * offer it, or the plugin's note names it neither as need nor as want. An id
	 * that is needed is never NULL.
	 */
	const void *(*query)(struct mortise_host *host, const char *id);
};

/* An interface that the plugin offers, to be called by the host. */
struct mortise_offer {
	const char *id;
	const void *interface;
};

struct mortise_plugin {
	uint32_t struct_size; /* sizeof(struct mortise_plugin) */
	uint32_t abi;         /* MORTISE_ABI at build time; for messages */
	const char *id;       /* "publisher/plugin", as in the note */
	const char *version;  /* as in the note */

	/* [home] Make the instance and find interfaces; no other host function than
	 * query, [any] and [home] ones. On 0 *self is what every later call gets. On
	 * failure *err says why, nothing is left behind, and no other call follows.
	 */
	int32_t (*create)(struct mortise_host *host, struct mortise_instance **self,
		struct mortise_error *err);

	/* [home] Bind routes, start timers. On 0 requests may come. On failure *err says
	 * why; the host undoes what was registered and calls destroy().
	 */
	int32_t (*start)(struct mortise_instance *self, struct mortise_error *err);

	/* [home] No new request, call or probe comes from now on; finish those that are
	 * open within deadline_ms. stop() follows when none is left, nor a call or work of
	 * your own, so that what is begun here can end; at the latest at the deadline, after
	 * on_gone for what is still open. May be NULL.
	 */
	void (*drain)(struct mortise_instance *self, uint32_t deadline_ms);

	/* [home] The end: join your own threads. No request, call or timer callback comes
	 * after it; each operation still out gets its done, with CANCELLED if it had no
	 * outcome. May be NULL.
	 */
	void (*stop)(struct mortise_instance *self);

	/* [home] Release the instance. Nothing follows. The host stays valid until this
	 * returns, for [any] functions only.
	 */
	void (*destroy)(struct mortise_instance *self);

	/* Ends with { NULL, NULL }; NULL for none. An id the host does not know is
	 * ignored; a plugin that cannot do without also names it as a need.
	 */
	const struct mortise_offer *offers;
};

extern __attribute__((visibility("default"))) const struct mortise_plugin mortise_plugin_v1;

/* The note: owner "Mortise", type 1. Its descriptor is a text that ends in one NUL,
 * lines of the form key=value in this order: id, version, then any number of need and
 * want. Section .note.mortise, 4-byte aligned.
 */
#define MORTISE_NOTE_OWNER   "Mortise"
#define MORTISE_NOTE_TYPE    1
#define MORTISE_NOTE_SECTION ".note.mortise"

#define MORTISE_NEED(id) "need=" id "\n" /* refuse to load me where this is missing */
#define MORTISE_WANT(id) "want=" id "\n" /* query() gives NULL where this is missing */

#define MORTISE_NOTE(id, version, interfaces)                                                    \
	__attribute__((used, section(MORTISE_NOTE_SECTION), aligned(4))) static const struct {   \
		uint32_t owner_size, text_size, type;                                            \
		char owner[sizeof(MORTISE_NOTE_OWNER)];                                          \
		char text[sizeof("id=" id "\nversion=" version "\n" MORTISE_NEED(MORTISE_CORE_1) \
				interfaces)];                                                    \
	} mortise_note = { sizeof(MORTISE_NOTE_OWNER),                                           \
		sizeof("id=" id "\nversion=" version "\n" MORTISE_NEED(MORTISE_CORE_1)           \
				interfaces),                                                     \
		MORTISE_NOTE_TYPE, MORTISE_NOTE_OWNER,                                           \
		"id=" id "\nversion=" version "\n" MORTISE_NEED(MORTISE_CORE_1) interfaces }

/* Define the plugin: id and version as literals, then MORTISE_NEED() and MORTISE_WANT()
 * one after the other without commas ("" for none; core/1 is needed by itself), then the
 * members of struct mortise_plugin from create on: by name in C, in their order in C++.
 */
#define MORTISE_PLUGIN(id, version, interfaces, ...)                                     \
	MORTISE_NOTE(id, version, interfaces);                                           \
	const struct mortise_plugin mortise_plugin_v1 = { sizeof(struct mortise_plugin), \
		MORTISE_ABI, id, version, __VA_ARGS__ }

/* Typed forms of query(). */
#define MORTISE_DEFINE_QUERY(name, id)                                                             \
	static inline const struct mortise_##name *mortise_query_##name(struct mortise_host *host) \
	{                                                                                          \
		return (const struct mortise_##name *)host->query(host, id);                       \
	}
MORTISE_DEFINE_QUERY(core_1, MORTISE_CORE_1)
MORTISE_DEFINE_QUERY(http_1, MORTISE_HTTP_1)
MORTISE_DEFINE_QUERY(timer_1, MORTISE_TIMER_1)
MORTISE_DEFINE_QUERY(work_1, MORTISE_WORK_1)
MORTISE_DEFINE_QUERY(metrics_1, MORTISE_METRICS_1)
MORTISE_DEFINE_QUERY(config_1, MORTISE_CONFIG_1)
MORTISE_DEFINE_QUERY(call_1, MORTISE_CALL_1)
#undef MORTISE_DEFINE_QUERY

#ifdef __cplusplus
}
#endif

#endif
