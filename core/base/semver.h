/* semver.h - versions as Semantic Versioning 2.0.0 has them
 *
 * A version borrows the text that it was parsed from. Build metadata is kept and never compared.
 * [any thread]
 */
#ifndef MORTISE_BASE_SEMVER_H
#define MORTISE_BASE_SEMVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

#define SEMVER_MAX 50 /* characters: the width of plugin_versions.version */

struct semver {
	uint64_t major, minor, patch;
	struct span prerelease; /* behind "-"; SPAN_NONE when there is none */
	struct span build;      /* behind "+"; SPAN_NONE when there is none */
};

/* False when text is not a version of at most SEMVER_MAX characters. */
bool semver_parse(struct span text, struct semver *out);

/* Precedence by section 11: below, equal to or above 0. */
int semver_compare(const struct semver *a, const struct semver *b);

#endif
