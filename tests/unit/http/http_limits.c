#include "http/limits.h"

#include "base/error.h"
#include "base/settings.h"
#include "lib/test.h"

TEST(http_limits__settings_are_brought_within_their_bounds)
{
	struct http_limits limits;
	struct settings settings;
	struct error err;

	EXPECT_OK(settings_init(&settings, &err), &err);
	http_limits_init(&limits, &settings);
	EXPECT_UINT(limits.head_bytes, ==, HTTP_HEAD_BYTES_MAX);
	EXPECT_UINT(limits.headers, ==, 100);
	EXPECT_UINT(limits.window_bytes, ==, 262144);
	EXPECT_OK(settings_set(&settings, "http.head_bytes", "1000000", &err), &err);
	EXPECT_OK(settings_set(&settings, "http.headers", "100000", &err), &err);
	EXPECT_OK(settings_set(&settings, "http.window_bytes", "1", &err), &err);
	EXPECT_OK(settings_set(&settings, "http.pipeline", "0", &err), &err);
	http_limits_init(&limits, &settings);
	EXPECT_UINT(limits.head_bytes, ==, HTTP_HEAD_BYTES_MAX);
	EXPECT_UINT(limits.headers, ==, HTTP_FIELDS_MAX);
	EXPECT_UINT(limits.window_bytes, ==, 16384);
	EXPECT_UINT(limits.pipeline, ==, 1);
	settings_done(&settings);
}
