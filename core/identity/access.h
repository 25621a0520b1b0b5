/* access.h - may this principal do that, and if not, why
 *
 * Both halves must agree: a scope of the key covers what is asked, and the role of
 * its owner is high enough for that scope, now. What the table (access.def) does
 * not name is not allowed. Knows no rows: those are PostgreSQL's row-level
 * security. [loop thread]
 */
#ifndef MORTISE_IDENTITY_ACCESS_H
#define MORTISE_IDENTITY_ACCESS_H

#include "identity/principal.h"

struct error;

enum access_action {
	ACCESS_NONE, /* no rule: refused */
#define SCOPE(scope, role, help)
#define ACTION(name, text, scope) ACCESS_##name,
#include "identity/access.def"
#undef ACTION
#undef SCOPE
	ACCESS_COUNT
};

struct access_rule {
	const char *name;  /* "installation.change" */
	struct span scope; /* or "public", "half", or "" when valid credentials are all it takes */
};

/* The row of an action; never NULL for one that is in the table. */
const struct access_rule *access_rule(enum access_action action);

/* The action of that name; ACCESS_NONE: there is none. */
enum access_action access_find(struct span name);

/* May nobody at all ask? */
bool access_is_public(enum access_action action);

/* The least role that a scope takes. */
enum role access_least_role(struct span scope);

/* 0, or ERR_AUTHENTICATION (p is NULL), ERR_SECOND_FACTOR (p has shown a password only), or
 * ERR_PERMISSION with the reason: the scope or the role that is missing. object narrows the scope;
 * SPAN_NONE when there is none. */
int access_check(const struct principal *p, enum access_action action, struct span object,
	struct error *err);

/* The same for a scope that a plugin's route or an extension's method asks for. */
int access_check_scope(
	const struct principal *p, struct span scope, struct span object, struct error *err);

#endif
