/* host.h - load one plugin and run it
 *
 * The host side of the ABI (sdk/include/mortise): it loads the shared object, offers the interfaces
 * that its note names, serves the fronts that connect, and keeps every registration of the plugin
 * in one ledger, which stop, failed start and failed load undo the same way. No host function
 * calls the plugin back before it returns, and callbacks never nest. What a plugin does wrong at
 * the border gives it an error, is reported once, and never ends the host; what the fronts send
 * is hostile. Knows nothing of installations, of the supervisor's channel, or of rights.
 * [loop thread, which becomes the plugin's home thread]
 */
#ifndef MORTISE_HOST_HOST_H
#define MORTISE_HOST_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "channel/protocol.h"

struct error;
struct uv_loop_s;
struct host; /* opaque */

/* All are called from the loop or from within a function of this header. */
struct host_events {
	/* A line of the plugin or about it. False: no room, the line is dropped and counted. */
	bool (*on_log)(void *user, const struct worker_log *line);
	/* What changed since the last samples. False: no room, they come again, added up. */
	bool (*on_metrics)(void *user, const struct worker_metrics *metrics);
	/* Exactly once for each host_probe(), never from within it. */
	void (*on_health)(void *user, uint64_t ask, uint32_t status, struct span detail);
	/* Once after host_drain(), never from within it. */
	void (*on_drained)(void *user);
	/* Once after host_stop(), never from within it: the plugin is destroyed, or its own threads
	 * would not let it be in time (rc ERR_DEADLINE). What it left behind is listed. */
	void (*on_stopped)(void *user, const struct worker_stopped *report);
	/* After host_close(): the host's memory is released when this returns. */
	void (*on_closed)(void *user);
};

/* A host without a plugin. start is copied; of it, plugin, version, entry, device, inode, needs,
 * wants, config, routes and provides are used. box (may be NULL) outlives the host, events too. */
struct host *host_new(struct uv_loop_s *loop, const struct worker_start *start,
	struct black_box *box, const struct host_events *events, void *user);

/* Load the plugin and create its instance. Nothing of it has run when this fails with
 * ERR_ENTRY_CHANGED (another file than device and inode say), ERR_NOTE_MISMATCH (its note is not
 * what start says), ERR_INTERFACE_UNKNOWN, or another ERR_ELF_ or ERR_NOTE_ code. ERR_LOAD:
 * the dynamic linker refused. ERR_DESCRIPTOR: mortise_plugin_v1 is not what the note says.
 * ERR_PLUGIN_REFUSED: create() failed, with its text. Then only host_close() may follow. */
int host_load(struct host *h, struct error *err);

/* Start the plugin; from then on it serves. ERR_PLUGIN_REFUSED: start() failed, with its text.
 * ERR_ROUTE_UNBOUND: it left a route of the manifest unbound. host_stop() must follow then. */
int host_start(struct host *h, struct error *err);

/* The names of the routes that are bound; the spans belong to the host. Returns their number. */
uint32_t host_routes(const struct host *h, const struct span **names);

/* Serve the front at the other end of fd, which is the host's from here on. */
int host_serve(struct host *h, int fd, struct error *err);

/* Ask the plugin how it is. A probe that is still out is over then. */
void host_probe(struct host *h, uint64_t ask, uint32_t timeout_ms);

/* Give it a new configuration. ERR_UNSUPPORTED: it takes none while it runs. ERR_STATE: it is not
 * serving. ERR_PLUGIN_REFUSED: with its text; the old one stays in force. */
int host_configure(struct host *h, struct span config, struct error *err);

/* Started, not draining or stopping. */
bool host_serving(const struct host *h);

/* Take no new request or call; on_drained when none is open, or at the deadline, after which what
 * was open is gone for the plugin and failed for the front. */
void host_drain(struct host *h, uint32_t deadline_ms);

/* Stop and destroy the plugin. Work on pool threads that does not return within deadline_ms is
 * reported and left, and so is the instance. */
void host_stop(struct host *h, uint32_t deadline_ms);

/* The end. Not while a plugin is loaded that was not stopped. */
void host_close(struct host *h);

/* In a child that a plugin forked: close the descriptors of the fronts, so that they see the end
 * of this process when it comes. [forked child] */
void host_forked(struct host *h);

#endif
