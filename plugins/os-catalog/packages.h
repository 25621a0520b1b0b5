/* packages.h - the packages of one list, and who needs whom
 *
 * Filled while the list is read; afterwards each package's Depends are resolved to
 * packages of the same list. Knows nothing of the catalog.
 */
#ifndef OS_CATALOG_PACKAGES_H
#define OS_CATALOG_PACKAGES_H

#include <mortise/abi.h>

#define PACKAGES_BYTES_MAX    268435456u /* of all names and dependencies together */
#define PACKAGES_REQUIRES_MAX 1000 /* bytes of one edge's text; what would follow is left out */

/* A dependency on a package of the list. requires says in the list's words what is
 * needed, "a (>= 2) | b"; empty where that is the target's bare name.
 */
struct packages_edge {
	uint32_t target;
	uint64_t offset, size; /* of requires */
};

struct packages {
	struct packages_name *names; /* by number: packages and what they provide */
	uint32_t name_count;
	uint32_t name_capacity;
	uint32_t *table; /* hash table of name numbers + 1 */
	uint32_t table_size;
	uint32_t *list; /* name numbers of the packages, in order */
	uint32_t count;
	uint32_t list_capacity;
	uint64_t seed;
	char *text; /* names and dependencies */
	uint64_t text_size;
	uint64_t text_capacity;

	uint32_t round; /* calls of packages_resolve() */

	/* of the package resolved last */
	struct packages_edge *edges;
	uint32_t edge_count;
	uint32_t edge_capacity;
	uint64_t unresolved; /* dependencies, of all packages resolved so far, that none here
				satisfies */
	char *requires;
	uint64_t requires_size;
	uint64_t requires_capacity;
};

/* seed: any number a sender of lists cannot foresee. */
void packages_init(struct packages *p, uint64_t seed);
void packages_done(struct packages *p);

/* Add a package with its dependencies (each as in the control text, perhaps empty). 1: added;
 * 0: one of this name is there already, nothing changed; LIMIT: PACKAGES_BYTES_MAX or memory.
 */
int32_t packages_add(struct packages *p, struct mortise_str name, struct mortise_str pre_depends,
	struct mortise_str depends, struct mortise_str provides);

/* Resolve the dependencies of package number i (below count) into p->edges, each target once.
 * Of alternatives the first counts that is a package of the list, else the first that one of
 * them provides, by its first provider; versions are not compared. LIMIT: memory.
 */
int32_t packages_resolve(struct packages *p, uint32_t i);

/* The name of package number i, until the next packages_add(). */
struct mortise_str packages_name(const struct packages *p, uint32_t i);

/* The name of an edge's target, and what the edge requires, until the next packages_resolve(). */
struct mortise_str packages_target(const struct packages *p, const struct packages_edge *edge);
struct mortise_str packages_requires(const struct packages *p, const struct packages_edge *edge);

#endif
