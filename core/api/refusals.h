/* refusals.h - what was refused or failed, on its way into the audit trail
 *
 * A change writes its audit row itself, in its transaction. A request that was refused (401, 403,
 * 429), and one that wanted to change something and failed, changed nothing: it is noted here and
 * written with the others of that second, so that a flood of refusals is a statement a second and
 * no more. Alike ones (who, from where, what, why) become one row with a count; beyond
 * REFUSALS_MAX different ones in a batch they are only counted, and the count gets a row of its
 * own. While the database is away they wait, under the same bound. [loop thread]
 */
#ifndef MORTISE_API_REFUSALS_H
#define MORTISE_API_REFUSALS_H

#include "base/text.h"

struct api;
struct error;
struct http_request;
struct principal;
struct refusals;

#define REFUSALS_MAX 256

struct refusal {
	struct http_request *request;
	const struct principal *who; /* NULL: nobody */
	const char *action;          /* of access.def; NULL: it did not get that far */
	const char *route;           /* the pattern; NULL: the path as it came */
	struct span object;          /* that the rule was about, if any */
	struct span address;
	struct span request_id;
	const struct error *err;
};

struct refusals *refusals_new(struct api *api);
void refusals_free(struct refusals *r);

/* Everything is copied. What is neither refused nor a failed change is not noted. */
void refusals_note(struct refusals *r, const struct refusal *refusal);

/* Send what waits, now. */
void refusals_flush(struct refusals *r);

#endif
