/* packages_priv.h - the facts of a package, as installations.c returns them too */
#ifndef MORTISE_STORE_PACKAGES_PRIV_H
#define MORTISE_STORE_PACKAGES_PRIV_H

#include "store/packages.h"
#include "store/store_priv.h"

/* Columns of package_facts() as f, in the order that is read. */
#define FACTS_COLUMNS                                                                         \
	"f.name, f.version, f.mount, f.entry, f.needs, f.wants, f.provides, f.route_names, "  \
	"f.route_methods, f.route_scopes, f.route_patterns, f.route_deadlines_ms, "           \
	"f.route_body_limits, f.health_interval_ms, f.health_timeout_ms, f.health_failures, " \
	"f.memory_bytes, f.disk_bytes, f.file_paths, f.file_sizes, f.file_modes, f.file_hashes"

void store_package_facts_read(struct db_row *r, struct store_package_facts *f);

#endif
