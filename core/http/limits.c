#include "http/limits.h"

#include "base/settings.h"

static uint32_t within(uint64_t value, uint32_t lowest, uint32_t highest)
{
	if (value < lowest)
		return lowest;
	return value > highest ? highest : (uint32_t)value;
}

void http_limits_init(struct http_limits *limits, const struct settings *s)
{
	/* Times fit the server's clock arithmetic with room to spare; a window below one read
	 * would stop each body for nothing. */
	const uint32_t longest_ms = 24 * 3600 * 1000, least_window = 16384;

	*limits = (struct http_limits){
		.head_bytes = within(s->http_head_bytes, 256, HTTP_HEAD_BYTES_MAX),
		.headers = within(s->http_headers, 1, HTTP_FIELDS_MAX),
		.target_bytes = within(s->http_target_bytes, 64, HTTP_HEAD_BYTES_MAX),
		.body_bytes = s->http_body_bytes,
		.window_bytes = within(s->http_window_bytes, least_window, 1u << 30),
		.min_rate = within(s->http_min_rate, 0, UINT32_MAX),
		.rate_grace_ms = within(s->http_rate_grace_ms, 1, longest_ms),
		.head_ms = within(s->http_head_ms, 1, longest_ms),
		.idle_ms = within(s->http_idle_ms, 1, longest_ms),
		.request_ms = within(s->http_request_ms, 0, longest_ms),
		.half_close_ms = within(s->http_half_close_ms, 0, longest_ms),
		.linger_ms = within(s->http_linger_ms, 1, longest_ms),
		.connections = within(s->http_connections, 1, UINT32_MAX),
		.connection_uses = within(s->http_connection_uses, 1, UINT32_MAX),
		.pipeline = within(s->http_pipeline, 1, 1024),
	};
}
