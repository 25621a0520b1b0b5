/* The peer is asked for with each request: a connection that is used again is no proof. */
#include "front/admit.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include "api/answer.h"
#include "base/clock.h"
#include "base/error.h"
#include "front/front.h"
#include "http/server.h"
#include "identity/principal.h"
#include "identity/rate.h"

void admit_address(const struct front *front, const struct http_request *request,
	char out[static ADMIT_ADDRESS_SIZE])
{
	const struct sockaddr *peer = http_request_peer(request);

	(void)front;
	out[0] = '\0';
	if (peer->sa_family == AF_INET)
		(void)inet_ntop(AF_INET,
			&((const struct sockaddr_in *)(const void *)peer)->sin_addr, out,
			ADMIT_ADDRESS_SIZE);
	else if (peer->sa_family == AF_INET6)
		(void)inet_ntop(AF_INET6,
			&((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr, out,
			ADMIT_ADDRESS_SIZE);
}

static bool place_allowed(
	const struct http_request *request, const struct principal *who, const char *address)
{
	struct span origin = http_head_get(http_request_head(request), HTTP_HEADER_ORIGIN);

	return principal_allows_peer(who, address) && principal_allows_origin(who, origin);
}

void admit(struct front *front, struct http_request *request, struct principal *who,
	const char *address, struct span request_id, admitted_cb admitted)
{
	struct answer_extra extra = { 0 };
	struct error err;
	int64_t left;

	if (!place_allowed(request, who, address)) {
		(void)error_set(&err, ERR_KEY_PLACE,
			"the API key may not be used from this address or origin");
		answer_problem(request, &err, request_id, &extra);
		return;
	}
	if (who->rate_limit > 0) {
		int64_t share = (who->rate_limit + front->rate_share - 1) / front->rate_share;

		extra.retry_after_s = rate_take(
			front->rate, who->key_hash, share, clock_real_us() / 1000000, &left);
		if (extra.retry_after_s > 0) {
			(void)error_set(&err, ERR_RATE,
				"the API key has %lld requests an hour, all used",
				(long long)who->rate_limit);
			answer_problem(request, &err, request_id, &extra);
			return;
		}
	}
	admitted(front, request, who, address, request_id);
}
