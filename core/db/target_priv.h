/* target_priv.h - where to connect: a connection string, parsed once
 *
 * Holds the password. Host names are resolved by whoever connects on a loop
 * (conn.c): libpq would wait for it.
 */
#ifndef MORTISE_DB_TARGET_PRIV_H
#define MORTISE_DB_TARGET_PRIV_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

struct error;

struct target {
	char **keywords; /* both end with NULL, for PQconnectStartParams() */
	char **values;
	size_t n;
};

/* ERR_CONFIG. Neither the url nor a part of it stands in err's text. */
int target_new(struct target **out, const char *url, const char *application, struct error *err);
void target_free(struct target *t);
CLEANUP_FUNCTION(struct target, target_free)

struct target *target_copy(const struct target *t);

/* NULL when it is not set. */
const char *target_get(const struct target *t, const char *keyword);
void target_set(struct target *t, const char *keyword, const char *value);

#endif
