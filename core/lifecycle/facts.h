/* facts.h - what the host needs to know of a package
 *
 * The database took the signed manifest apart into typed columns; here they become
 * what outlives the row. Every span points into the facts. [loop thread]
 */
#ifndef MORTISE_LIFECYCLE_FACTS_H
#define MORTISE_LIFECYCLE_FACTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "lifecycle/package_store.h"

struct error;
struct store_package_facts;

/* Which entry of a package runs here. */
#if defined(__x86_64__)
#define FACTS_TRIPLET "x86_64-linux-gnu"
#elif defined(__aarch64__)
#define FACTS_TRIPLET "aarch64-linux-gnu"
#else
#error "add the platform's triplet"
#endif

struct facts_route {
	struct span name;
	struct span method;
	struct span pattern; /* the whole path: /api/<mount><pattern of the manifest> */
	struct span scope;
	uint32_t deadline_ms;
	uint64_t body_limit; /* 0: no body */
};

struct facts_list {
	struct span *items;
	size_t count;
};

struct facts {
	char *memory; /* all texts */
	struct span name;
	struct span version;
	struct span mount;
	struct span entry; /* below files/ */
	struct facts_list needs;
	struct facts_list wants;
	struct facts_list provides;
	struct facts_route *routes;
	size_t route_count;
	uint32_t health_interval_ms;
	uint32_t health_timeout_ms;
	unsigned health_failures;
	uint64_t memory_bytes; /* 0: no limit */
	uint64_t disk_bytes;
	struct package_store_content content; /* without the envelope */
};

/* ERR_FORMAT: the row is of no package of this host's form; ERR_PLATFORM: no entry for this
 * machine. digest is that of the package, "sha256:...". On failure *out is as after facts_done().
 */
int facts_read(struct facts *out, const struct store_package_facts *row, struct span digest,
	struct error *err);
void facts_done(struct facts *f);

#endif
