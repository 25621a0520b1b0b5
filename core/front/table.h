/* table.h - the route table: a numbered snapshot of which worker serves what
 *
 * Made whole from a message of the supervisor and never changed after; a new
 * table replaces the old one between two requests. [loop thread]
 */
#ifndef MORTISE_FRONT_TABLE_H
#define MORTISE_FRONT_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "api/routes.h"
#include "base/text.h"

struct error;
struct front_table;
struct link;
struct table; /* opaque */

struct table_worker {
	char *installation;
	uint64_t generation;
	char *plugin; /* "acme/geo" */
	char *version;
	char *mount;
	char *permissions; /* granted, parted by blanks */
	char *provides;    /* extensions, parted by blanks */
	bool draining;
	struct link *link; /* set and cleared by link.c; NULL: none */
};

struct table_route {
	const struct table_worker *worker;
	char *name;
	char *method;
	char *scope;
	uint32_t deadline_ms;
	uint64_t body_limit;
};

/* From the message; *out is the caller's. ERR_PROTOCOL: it contradicts itself. */
int table_new(struct table **out, const struct front_table *message, struct error *err);
void table_free(struct table *t);

uint64_t table_number(const struct table *t);
size_t table_workers(const struct table *t);
struct table_worker *table_worker_at(const struct table *t, size_t index);

/* 0 with *route and what the pattern's parameters are. ERR_NOT_FOUND; ERR_METHOD. */
int table_match(const struct table *t, struct span method, struct span path,
	const struct table_route **route, struct routes_found *params);
void table_allow(const struct table *t, struct span path, struct text *out);

/* The worker whose plugin provides the extension ("acme.geo/1"); NULL: none. */
const struct table_worker *table_provider(const struct table *t, struct span extension);

/* Does the list, parted by blanks, hold the word? */
bool table_lists(const char *list, struct span word);

#endif
