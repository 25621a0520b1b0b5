/* installations_priv.h - an installation's row, as changes.c returns it too */
#ifndef MORTISE_STORE_INSTALLATIONS_PRIV_H
#define MORTISE_STORE_INSTALLATIONS_PRIV_H

#include "store/installations.h"
#include "store/store_priv.h"

/* Columns of plugin_installations as i, in the order that the shape reads. */
#define INSTALLATION_COLUMNS                                                                       \
	"i.id, i.plugin_id, i.environment, i.installed_version, i.installed_digest, "              \
	"i.previous_version, i.wished_version, i.wished_digest, i.config, i.granted_permissions, " \
	"i.health_check_url, i.installed_by, i.health_status, i.health_metrics, "                  \
	"i.cpu_usage::float8, i.memory_usage, i.disk_usage, i.is_enabled, i.revision, "            \
	"i.installed_at, i.updated_at, i.disabled_at, i.uninstalled_at"

extern const struct store_shape store_installation_bare; /* INSTALLATION_COLUMNS alone */

#endif
