/* plugin.cc - a plugin in C++17: the same header, members in their order */
#include <mortise/identity.h>
#include <mortise/plugin.h>
#include <mortise/reply.h>
#include <new>
#include <string>

struct mortise_instance {
	mortise_host *host;
	const mortise_http_1 *http;
};

namespace
{

void on_request(
	mortise_instance *self, mortise_id request, uint32_t, const mortise_http_request_1 *)
{
	/* Instantiates templates of the standard library, which are not hidden by themselves. */
	std::string text = "pong " + std::to_string(std::stoi("7"));

	mortise_reply_text(
		self->host, self->http, request, 200, mortise_str_of(text.data(), text.size()));
}

int32_t create(mortise_host *host, mortise_instance **out, mortise_error *err)
{
	auto *self = new (std::nothrow) mortise_instance{ host, mortise_query_http_1(host) };

	if (!self)
		return mortise_fail(err, MORTISE_E_LIMIT, "no memory");
	*out = self;
	return 0;
}

int32_t start(mortise_instance *self, mortise_error *err)
{
	int32_t rc = self->http->bind(self->host, MORTISE_STR("ping"), 0);

	return rc < 0 ? mortise_fail(err, rc, "cannot bind route 'ping'") : 0;
}

void destroy(mortise_instance *self)
{
	delete self;
}

const mortise_http_serve_1 serve = { on_request, nullptr, nullptr, nullptr };
const mortise_offer offers[] = { { MORTISE_HTTP_SERVE_1, &serve }, { nullptr, nullptr } };

} // namespace

MORTISE_PLUGIN("acme/cplusplus", "1.0.0",
	MORTISE_NEED(MORTISE_HTTP_1) MORTISE_WANT(MORTISE_TIMER_1), create, start, nullptr, nullptr,
	destroy, offers);
