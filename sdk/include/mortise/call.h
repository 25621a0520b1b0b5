/* call.h - mortise.call/1 and mortise.call.serve/1: extensions, the generic call
 *
 * An extension is a set of named methods that take and give a JSON object and,
 * where the method says so, bytes. The host offers some (catalog/1, identity/1,
 * kv/1, fetch/1, ...; their typed wrappers are catalog.h and so on), other plugins may
 * offer more. 64-bit integers travel as strings, lists come in pages with a
 * cursor. The host checks what its own extensions take and give; between plugins
 * it only carries, so both sides read what comes as a stranger's (json.h does).
 *
 * Whose call it is: one that names the request it serves runs for the user who
 * sent that request; one without runs as the plugin's own service account. Either
 * way the plugin's permissions bound what the host's extensions do for it. A call
 * to another plugin needs no permission: the provider hears who calls, and decides.
 */
#ifndef MORTISE_CALL_H
#define MORTISE_CALL_H

#include "abi.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MORTISE_CALL_1       "mortise.call/1"
#define MORTISE_CALL_SERVE_1 "mortise.call.serve/1"

#define MORTISE_CALL_JSON_MAX   1048576  /* bytes of JSON, each way */
#define MORTISE_CALL_BYTES_MAX  16777216 /* bytes of the byte buffer, each way */
#define MORTISE_CALL_DEPTH_MAX  8        /* calls within calls */
#define MORTISE_CALL_KEY_MAX    64       /* bytes of an operation key */
#define MORTISE_CALL_TIMEOUT_MS 30000    /* when timeout_ms is 0 */

struct mortise_call_args_1 {
	struct mortise_str extension; /* "catalog/1" */
	struct mortise_str method;    /* "apply" */
	struct mortise_str json;      /* an object; empty stands for {} */
	struct mortise_str bytes;     /* empty where the method takes none */

	/* Names this operation, so that a mutating method is done once however often it
	 * is called with the same key: after MORTISE_E_UNKNOWN, call again with the same.
	 * [A-Za-z0-9._:-], at most MORTISE_CALL_KEY_MAX; empty: no repetition is meant.
	 */
	struct mortise_str operation_key;

	mortise_id cause; /* the request or incoming call that this serves; 0: the plugin's own */
	uint32_t timeout_ms; /* 0: MORTISE_CALL_TIMEOUT_MS; never later than the cause's deadline */
	uint32_t reserved;   /* 0 */
};

/* The outcome, borrowed until done returns. */
struct mortise_call_result_1 {
	struct mortise_str json;  /* the result; empty on an error */
	struct mortise_str bytes; /* may be handed to http reply() or write() as it is */
	struct mortise_str text;  /* on an error: why, in words for people */
	mortise_id cause;         /* in done: as given in args, perhaps stale by now */
};

/* A call that came in, borrowed until on_call returns. */
struct mortise_call_incoming_1 {
	struct mortise_str extension;
	struct mortise_str method;
	struct mortise_str json;
	struct mortise_str bytes;
	struct mortise_str operation_key; /* the caller's or empty; the provider minds it */
	struct mortise_str caller; /* the calling plugin, "acme/geo"; empty: the host itself */
	uint64_t deadline_ns;      /* on the clock of core now_ns() */
};

typedef void (*mortise_call_done_cb)(struct mortise_instance *self, void *user, int32_t rc,
	const struct mortise_call_result_1 *result);

struct mortise_call_1 {
	/* [home, started] Start a call; everything in args is copied. done comes exactly
	 * once, never before this has returned, also after core cancel(), a deadline or the
	 * end of the instance; result is never NULL. operation may be NULL. At once:
	 * AGAIN: too many calls are out, try again in the next done; STALE: cause is
	 * over; TOO_LARGE: over a limit; INVALID. All else arrives in done, among it
	 * PERMISSION, NOT_FOUND, CONFLICT, DEADLINE, CANCELLED, UNSUPPORTED, LIMIT (the
	 * depth, too), UNAVAIL (not started, safe to repeat), UNKNOWN (perhaps done).
	 */
	int32_t (*call)(struct mortise_host *host, const struct mortise_call_args_1 *args,
		mortise_call_done_cb done, void *user, mortise_id *operation);

	/* [home, started] Answer a call that on_call brought, from then on its id is
	 * stale. rc is 0 with json and bytes, or a MORTISE_E_ code with text. STALE: it
	 * was answered or is over. On TOO_LARGE it is still to be answered.
	 */
	int32_t (*answer)(struct mortise_host *host, mortise_id call, int32_t rc,
		const struct mortise_call_result_1 *result);
};

/* Offered by a plugin that provides the extensions its manifest lists. */
struct mortise_call_serve_1 {
	/* [home] Somebody calls a method of an extension that the manifest provides.
	 * Answer once with answer(), now or later.
	 */
	void (*on_call)(struct mortise_instance *self, mortise_id call,
		const struct mortise_call_incoming_1 *incoming);

	/* [home] The call is over and its id stale before it was answered: CANCELLED,
	 * DEADLINE or UNAVAIL. May be NULL.
	 */
	void (*on_call_gone)(struct mortise_instance *self, mortise_id call, int32_t why);
};

#ifdef __cplusplus
}
#endif

#endif
