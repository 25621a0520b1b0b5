/* Ranges of versions; what one accepts it accepts again, and it never takes a lower bound for an
 * upper one. */
#include "base/assert.h"
#include "base/semver_range.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const texts[] = { "0.0.0", "1.2.3", "1.2.3-rc.1", "2.0.0-0", "9.9.9" };
	struct semver_range range;

	if (!semver_range_parse((struct span){ (const char *)data, size }, &range))
		return 0;
	ASSERT(range.count > 0 && range.terms[0].first);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct semver version;
		bool will_do;

		ASSERT(semver_parse(span_of(texts[i]), &version));
		will_do = semver_range_matches(&range, &version);
		ASSERT(will_do == semver_range_matches(&range, &version));
		/* One term alone decides a range of one term, but for pre-releases. */
		if (range.count == 1 && range.terms[0].relation == SEMVER_EQUAL && will_do)
			ASSERT(semver_compare(&version, &range.terms[0].version) == 0);
	}
	return 0;
}
