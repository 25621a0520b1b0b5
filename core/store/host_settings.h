/* host_settings.h - settings that administrators change while the host runs
 */
#ifndef MORTISE_STORE_HOST_SETTINGS_H
#define MORTISE_STORE_HOST_SETTINGS_H

#include "store/store.h"

struct store_host_setting {
	struct span name;
	struct span value; /* JSON */
};
typedef void (*store_host_settings_cb)(
	const struct error *err, const struct store_host_setting *rows, size_t n, void *user);

/* As they hold in an environment: its own before the default for all. [front, supervisor] */
void store_host_settings_list(struct db_pool *db, const struct db_context *context,
	struct span environment, store_host_settings_cb done, void *user);

/* environment "": for all. [front, administrators] */
void store_host_setting_put(struct db_pool *db, const struct db_context *context,
	struct span environment, struct span name, struct span value, store_done_cb done,
	void *user);

#endif
