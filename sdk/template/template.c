/* template.c - a plugin to copy: one route that answers with what it was given
 *
 *   GET /api/template/echo/{word}   {"word":"..."}
 */
#include <mortise/plugin.h>
#include <mortise/reply.h>
#include <stdlib.h>

enum { ROUTE_ECHO };

struct mortise_instance {
	struct mortise_host *host;
	const struct mortise_http_1 *http;
};

static void on_request(struct mortise_instance *self, mortise_id request, uint32_t tag,
	const struct mortise_http_request_1 *head)
{
	struct mortise_json_writer w;
	struct mortise_str word;
	int32_t rc;

	(void)head;
	(void)tag; /* one route, so it can only be ROUTE_ECHO */
	rc = self->http->path_param(self->host, request, MORTISE_STR("word"), &word);
	if (rc < 0) {
		mortise_reply_problem(self->host, self->http, request, rc, MORTISE_STR("no word"));
		return;
	}
	mortise_json_writer_init(&w);
	mortise_json_open_object(&w);
	mortise_json_put_string(&w, "word", word);
	mortise_json_close(&w);
	mortise_reply_json(self->host, self->http, request, 200, &w);
}

static int32_t create(
	struct mortise_host *host, struct mortise_instance **out, struct mortise_error *err)
{
	struct mortise_instance *self = calloc(1, sizeof(*self));

	if (!self)
		return mortise_fail(err, MORTISE_E_LIMIT, "no memory");
	self->host = host;
	self->http = mortise_query_http_1(host);
	*out = self;
	return 0;
}

static int32_t start(struct mortise_instance *self, struct mortise_error *err)
{
	int32_t rc = self->http->bind(self->host, MORTISE_STR("echo"), ROUTE_ECHO);

	return rc < 0 ? mortise_fail(err, rc, "cannot bind route 'echo'") : 0;
}

static void destroy(struct mortise_instance *self)
{
	free(self);
}

static const struct mortise_http_serve_1 serve = { .on_request = on_request };
static const struct mortise_offer offers[] = { { MORTISE_HTTP_SERVE_1, &serve }, { NULL, NULL } };

MORTISE_PLUGIN("acme/template", "0.1.0", MORTISE_NEED(MORTISE_HTTP_1), .create = create,
	.start = start, .destroy = destroy, .offers = offers);
