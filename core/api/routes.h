/* routes.h - which route a method and a path mean
 *
 * Patterns are literal segments and `{name}` segments that take one segment each,
 * never an empty one: `/services/{name}/dependencies`. Among the routes of the
 * method that fit, a literal beats a parameter, from left to right. HEAD asks for
 * what GET is there for. Matching allocates nothing and compares percent-encoded
 * literals by what they mean. Knows no requests. [loop thread]
 */
#ifndef MORTISE_API_ROUTES_H
#define MORTISE_API_ROUTES_H

#include "base/text.h"

struct error;
struct routes; /* opaque */

#define ROUTES_SEGMENTS_MAX 16
#define ROUTES_PARAMS_MAX   8

struct routes_found {
	void *route;
	size_t count;
	struct span names[ROUTES_PARAMS_MAX];  /* borrowed from the routes */
	struct span values[ROUTES_PARAMS_MAX]; /* borrowed from the path, still percent-encoded */
};

struct routes *routes_new(void);
void routes_free(struct routes *r);

/* Add a route (borrowed, not NULL). ERR_INVALID: no pattern, or too long a one. ERR_CONFLICT: the
 * method has one that fits the same paths. */
int routes_add(
	struct routes *r, struct span method, struct span pattern, void *route, struct error *err);

/* 0; ERR_NOT_FOUND: no route fits the path; ERR_METHOD: some do, with other methods. */
int routes_match(
	const struct routes *r, struct span method, struct span path, struct routes_found *out);

/* Append the methods that fit the path, as the Allow field wants them: "GET, HEAD, POST". */
void routes_allow(const struct routes *r, struct span path, struct text *out);

#endif
