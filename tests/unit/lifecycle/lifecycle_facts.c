#include "lifecycle/facts.h"

#include "base/error.h"
#include "lib/test.h"

#define DIGEST "sha256:0000000000000000000000000000000000000000000000000000000000000000"

/* A manifest with these routes, as staging left it. */
#define MANIFEST(routes)                                \
	"{\"name\":\"acme/geo\",\"version\":\"1.0.0\"," \
	"\"entry\":{\"" FACTS_TRIPLET "\":\"lib/geo.so\"},\"files\":[],\"routes\":[" routes "]}"

TEST(lifecycle_facts__a_route_without_limits_gets_the_ones_the_manifest_promises)
{
	struct facts f;
	struct error err;

	EXPECT_OK(facts_read(&f,
			  SPAN(MANIFEST("{\"name\":\"put\",\"method\":\"PUT\",\"pattern\":\"/{x}\","
					"\"scope\":\"geo.write\"}")),
			  SPAN(DIGEST), &err),
		&err);
	EXPECT_UINT(f.route_count, ==, 1);
	EXPECT_SPAN(f.routes[0].pattern, "/api/geo/{x}");
	EXPECT_UINT(f.routes[0].deadline_ms, ==, 30000);
	EXPECT_UINT(f.routes[0].body_limit, ==, 1 << 20);
	facts_done(&f);
}

TEST(lifecycle_facts__a_body_limit_of_zero_means_no_body)
{
	struct facts f;
	struct error err;

	EXPECT_OK(facts_read(&f,
			  SPAN(MANIFEST("{\"name\":\"get\",\"method\":\"GET\",\"pattern\":\"/\","
					"\"scope\":\"geo.read\",\"body_limit\":0}")),
			  SPAN(DIGEST), &err),
		&err);
	EXPECT_UINT(f.routes[0].body_limit, ==, 0);
	facts_done(&f);
}
