/* ext_priv.h - what the files of the extensions share */
#ifndef MORTISE_API_EXT_PRIV_H
#define MORTISE_API_EXT_PRIV_H

#include <jansson.h>

#include "api/ext.h"
#include "api/ext_schema.h"
#include "api/rest_priv.h"
#include "base/error.h"

/* One call under way. json is the parameters, checked against the schema. */
struct ext_work {
	struct api *api;
	ext_done_cb done;
	void *user;
	const struct ext_method *method;
	json_t *json;
	struct principal *who;
	char *permissions;
	struct db_context context;
	struct text spans; /* what the context and the spans below borrow from */
	struct span installation;
	struct span operation_key;
	struct span bytes;
	uint64_t deadline_ns;
	struct text filters; /* of a list: what its cursor is bound to */
	unsigned limit;
	/* Of what may take long: hasten the end, which comes as ever. NULL: it is over soon. */
	void (*cancel)(struct ext_work *work);
	void *state; /* the method's own */
};

/* Start the work; 0, or why not. */
int ext_catalog_start(struct ext_work *work, struct error *err);
int ext_fetch_start(struct ext_work *work, struct error *err);
int ext_identity_start(struct ext_work *work, struct error *err);
int ext_kv_start(struct ext_work *work, struct error *err);
int ext_secret_start(struct ext_work *work, struct error *err);

/* Open a secret of the calling plugin. 0: done comes once, later, with a value that is wiped when
 * it returns; work lives until then. ERR_NOT_FOUND: it is not set; ERR_SEALED: it does not open,
 * which the audit trail says too. */
typedef void (*ext_secret_cb)(void *user, const struct error *err, struct span value);
int ext_secret_open(
	struct ext_work *work, struct span name, ext_secret_cb done, void *user, struct error *err);

/* The end, in one of these forms; work is gone after. result is taken over. */
void ext_fail(struct ext_work *work, const struct error *err);
void ext_give(struct ext_work *work, json_t *result);
void ext_give_bytes(struct ext_work *work, json_t *result, struct span bytes);
void ext_give_text(struct ext_work *work, struct span json);
/* {"items","next"}; items is taken over. */
void ext_give_page(struct ext_work *work, json_t *items, const char *list, struct span next);

/* Parameters that the schema has checked. */
struct span ext_string(const struct ext_work *work, const char *name);
int64_t ext_int64(const struct ext_work *work, const char *name, int64_t fallback);
unsigned ext_uint32(const struct ext_work *work, const char *name, unsigned fallback);
/* The position of `cursor`, appended to out; work->filters and limit are set before. */
int ext_cursor(struct ext_work *work, const char *list, struct text *out, struct error *err);

#endif
