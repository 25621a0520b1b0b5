/* config.h - mortise.config/1 and mortise.config.apply/1: what an administrator set
 *
 * The configuration is one JSON object: the manifest's defaults with the
 * installation's own values over them, valid under the manifest's schema. It is
 * set at install and changed with 'mortise plugin configure': under a running
 * plugin that offers config.apply, with a new start of any other. A plugin that
 * refuses it, or is unhealthy with it, keeps the one before.
 */
#ifndef MORTISE_CONFIG_H
#define MORTISE_CONFIG_H

#include "abi.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MORTISE_CONFIG_1       "mortise.config/1"
#define MORTISE_CONFIG_APPLY_1 "mortise.config.apply/1"

struct mortise_config_1 {
	/* [home] The configuration in force, "{}" if there is none; json.h reads it. */
	int32_t (*get)(struct mortise_host *host, struct mortise_str *json);
};

/* Offered by a plugin that takes a new configuration while it runs. */
struct mortise_config_apply_1 {
	/* [home] Could this configuration be applied? Changes nothing. On failure *err
	 * says why, in words for the administrator. Called between start() and stop().
	 */
	int32_t (*check)(
		struct mortise_instance *self, struct mortise_str json, struct mortise_error *err);

	/* [home] Use it from now on; config get() gives it already. Comes after a
	 * check() that returned 0. On failure the old one is in force again and the
	 * plugin must be as before.
	 */
	int32_t (*apply)(
		struct mortise_instance *self, struct mortise_str json, struct mortise_error *err);
};

#ifdef __cplusplus
}
#endif

#endif
