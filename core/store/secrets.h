/* secrets.h - secrets of plugins, as envelopes
 *
 * An envelope is sealed for the place "plugin_installations.secrets:<installation>:<name>" by the
 * supervisor's key ring; here it is only kept. All of it [front].
 */
#ifndef MORTISE_STORE_SECRETS_H
#define MORTISE_STORE_SECRETS_H

#include "store/store.h"

#define STORE_SECRET_NAME_MAX 64

/* A letter, then letters, digits, '.', '_' and '-'. */
bool store_secret_name_valid(struct span name);

struct store_secret {
	struct span name;
	struct span key_id; /* of the master key that sealed it */
	int64_t set_at;
	struct span set_by;
	int64_t read_at; /* to the minute; 0: never since it was set */
};
typedef void (*store_secrets_cb)(
	const struct error *err, const struct store_secret *rows, size_t n, void *user);

/* Of an installation that the asker sees; never a value. */
void store_secrets_list(struct db_pool *db, const struct db_context *context,
	struct span installation, store_secrets_cb done, void *user);
/* ERR_PERMISSION; ERR_NOT_FOUND: no such installation; ERR_SEAL_KEY: sealed with a key that has
 * just gone out of use. */
void store_secret_put(struct db_pool *db, const struct db_context *context,
	struct span installation, struct span name, struct span envelope, store_done_cb done,
	void *user);
/* The number is 0 when there was none. */
void store_secret_remove(struct db_pool *db, const struct db_context *context,
	struct span installation, struct span name, store_number_cb done, void *user);

/* The envelope of a secret of the context's plugin. ERR_NOT_FOUND. */
void store_secret_get(struct db_pool *db, const struct db_context *context, struct span name,
	store_text_cb done, void *user);
/* It did not open: say so in the audit trail. */
void store_secret_unreadable(struct db_pool *db, const struct db_context *context, struct span name,
	struct span error, store_done_cb done, void *user);

#endif
