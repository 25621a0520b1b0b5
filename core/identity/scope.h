/* scope.h - what a key may do, in words
 *
 * A scope is `area.verb` or `area.verb:object`: `plugins.write`, `hello.read`,
 * `plugins.write:acme/cost-report`. A holder may also hold `*` (everything), `read`
 * (every area's read) and `area.*`. Nothing is granted that no scope covers. Knows
 * nothing of keys, roles or users. [any thread]
 */
#ifndef MORTISE_IDENTITY_SCOPE_H
#define MORTISE_IDENTITY_SCOPE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

#define SCOPE_TEXT_MAX 200 /* bytes of one scope */
#define SCOPES_MAX     64  /* scopes of one key */

/* A list of scopes in one allocation. */
struct scopes {
	struct span *list; /* owned, with the bytes behind the spans */
	size_t count;
};

/* Copy list; *out is then the caller's, to be released with scopes_done(). What is no scope is
 * left out: it could cover nothing. */
void scopes_init(struct scopes *out, const struct span *list, size_t count);
void scopes_done(struct scopes *s);

/* May a key hold this text as a scope? */
bool scope_valid(struct span text);

/* Is this a scope that a route or a method may ask for: `area.verb`, both of [a-z0-9-]? */
bool scope_askable(struct span text);

/* Does one of the held scopes cover `wanted` (askable) on `object` (SPAN_NONE: on none in
 * particular, which only a scope without an object covers)? */
bool scopes_cover(const struct scopes *held, struct span wanted, struct span object);

/* Does the list hold all that the valid scope `other` does, so that its holder may give it away? */
bool scopes_hold(const struct scopes *held, struct span other);

#endif
