/* ext.h - the calls of plugins to the host's own extensions
 *
 * catalog/1, fetch/1, identity/1, kv/1 and so on. A call is checked against the tables that are
 * generated from the extensions' schema files (ext_schema.h), against the permissions that the
 * installation was granted and against the rights of the subject; all of them must allow it. Knows
 * no channel. [loop thread]
 */
#ifndef MORTISE_API_EXT_H
#define MORTISE_API_EXT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

struct api;
struct error;
struct ext_work; /* opaque: a call under way */
struct principal;

struct ext_call {              /* borrowed until ext_call_start() returns */
	struct span extension; /* "catalog/1" */
	struct span method;
	struct span json; /* an object; empty: {} */
	struct span bytes;
	struct span operation_key;
	struct principal *who;    /* the subject: a user, or a plugin's own account */
	struct span installation; /* who calls */
	const char *permissions;  /* of the installation, parted by blanks */
	struct span request_id;
	uint64_t deadline_ns;
};

/* The outcome, borrowed until it returns. json and bytes are empty when rc is not 0. */
typedef void (*ext_done_cb)(
	void *user, int rc, struct span text, struct span json, struct span bytes);

struct ext_method;

/* The method of "catalog/1.apply"; NULL: the host has none such. */
const struct ext_method *ext_find(struct span name);
/* Is it an extension of the host's own? */
bool ext_is_ours(struct span extension);
/* Might a call of it have changed something? True for what is not known. */
bool ext_is_mutating(struct span extension, struct span method);

/* 0: done comes once, later; *work (NULL is fine) names the call until then. Otherwise nothing was
 * started and done never comes. */
int ext_call_start(struct api *api, const struct ext_call *call, ext_done_cb done, void *user,
	struct ext_work **work, struct error *err);
/* Nobody waits for it any more: let it end soon. */
void ext_call_cancel(struct ext_work *work);

/* An extension whose schema is ours, but which a plugin provides (notify/1)? */
bool ext_is_lent(struct span extension);
/* May this call of such an extension be handed to its provider? Method, parameters and bytes are
 * checked, and the permission where permissions is not NULL: it is for calls of the host itself.
 * Of call only extension, method, json, bytes, who and permissions count. */
int ext_check_lent(const struct ext_call *call, struct error *err);

#endif
