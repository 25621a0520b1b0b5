/* semver_range.h - which versions will do, as npm's semver 7 writes it
 *
 *     *   1.2   ^1.2.3   ~1.2   >=1.0.0 <2.0.0   1.2.3 - 2.3   ^1 || ^2
 *
 * A pre-release will do only where a comparator of the same alternative names a pre-release of the
 * same major.minor.patch: ^1.2.3-rc.1 takes 1.2.3-rc.2, but not 1.3.0-rc.1. A range borrows the
 * text that it was parsed from. [any thread]
 */
#ifndef MORTISE_BASE_SEMVER_RANGE_H
#define MORTISE_BASE_SEMVER_RANGE_H

#include "base/semver.h"

#define SEMVER_RANGE_MAX       200 /* bytes of text */
#define SEMVER_RANGE_TERMS_MAX 64
#define SEMVER_NUMBER_MAX      ((UINT64_C(1) << 53) - 1) /* as in npm */

enum semver_relation { SEMVER_BELOW, SEMVER_AT_MOST, SEMVER_EQUAL, SEMVER_AT_LEAST, SEMVER_ABOVE };

struct semver_term {
	enum semver_relation relation;
	struct semver version;
	bool first; /* of an alternative; all terms of one must hold */
};

struct semver_range {
	struct semver_term terms[SEMVER_RANGE_TERMS_MAX];
	size_t count;
};

/* False when text is not a range of at most SEMVER_RANGE_MAX bytes. The empty text is "*". */
bool semver_range_parse(struct span text, struct semver_range *out);

bool semver_range_matches(const struct semver_range *range, const struct semver *version);

#endif
