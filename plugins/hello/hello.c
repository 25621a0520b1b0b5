/* hello.c - the smallest useful plugin: two routes, a call, a timer, a metric
 *   GET /api/hello/ping     pong
 *   GET /api/hello/{name}   {"hello":"name","caller":"who asks"}
 */
#include <mortise/identity.h>
#include <mortise/plugin.h>
#include <mortise/reply.h>

enum { ROUTE_PING, ROUTE_GREET };
enum { TICK_SECONDS = 10, TICK_MS = TICK_SECONDS * 1000 };

struct mortise_instance {
	struct mortise_host *host;
	const struct mortise_http_1 *http;
	const struct mortise_call_1 *call;
	const struct mortise_timer_1 *timer;
	const struct mortise_metrics_1 *metrics;
	mortise_id served; /* the metric */
	mortise_id ticks;  /* the timer */
};

/* The host has said who asks. Where the client left meanwhile, replies do nothing. */
static void on_whoami(struct mortise_instance *self, void *user, int32_t rc,
	const struct mortise_call_result_1 *result)
{
	struct mortise_identity_whoami_result who;
	struct mortise_json_writer w;
	struct mortise_str name;

	(void)user;
	if (rc == 0)
		rc = mortise_identity_whoami_read(result, &who);
	if (rc == 0)
		rc = self->http->path_param(self->host, result->cause, MORTISE_STR("name"), &name);
	if (rc < 0) {
		mortise_reply_problem(self->host, self->http, result->cause, rc, result->text);
		return;
	}
	mortise_json_writer_init(&w);
	mortise_json_open_object(&w);
	mortise_json_put_string(&w, "hello", name);
	mortise_json_put_string(&w, "caller", who.name);
	mortise_json_close(&w);
	mortise_reply_json(self->host, self->http, result->cause, 200, &w);
}

static void on_request(struct mortise_instance *self, mortise_id request, uint32_t tag,
	const struct mortise_http_request_1 *head)
{
	struct mortise_call_setup setup = {
		.host = self->host, .call = self->call, .done = on_whoami, .cause = request
	};
	int32_t rc;

	(void)head;
	if (tag == ROUTE_PING)
		rc = mortise_reply_text(self->host, self->http, request, 200, MORTISE_STR("pong"));
	else
		rc = mortise_identity_whoami(&setup, NULL);
	if (rc < 0)
		mortise_reply_problem(self->host, self->http, request, rc, MORTISE_STR("busy"));
}

static void on_tick(struct mortise_instance *self, void *user)
{
	(void)user;
	self->metrics->record(self->host, self->served, NULL, 0, TICK_SECONDS);
}

static int32_t create(
	struct mortise_host *host, struct mortise_instance **out, struct mortise_error *err)
{
	struct mortise_instance *self = calloc(1, sizeof(*self));

	if (!self)
		return mortise_fail(err, MORTISE_E_LIMIT, "no memory");
	self->host = host;
	self->http = mortise_query_http_1(host);
	self->call = mortise_query_call_1(host);
	self->timer = mortise_query_timer_1(host);
	self->metrics = mortise_query_metrics_1(host);
	*out = self;
	return 0;
}

static int32_t start(struct mortise_instance *self, struct mortise_error *err)
{
	const struct mortise_metric_1 served = { .name = MORTISE_STR("served_seconds_total"),
		.help = MORTISE_STR("How long this plugin has served"),
		.kind = MORTISE_METRIC_COUNTER };
	int32_t rc = self->http->bind(self->host, MORTISE_STR("ping"), ROUTE_PING);

	if (rc == 0)
		rc = self->http->bind(self->host, MORTISE_STR("greet"), ROUTE_GREET);
	if (rc == 0)
		rc = self->metrics->define(self->host, &served, &self->served);
	if (rc == 0)
		rc = self->timer->start(self->host, TICK_MS, TICK_MS, on_tick, NULL, &self->ticks);
	return rc < 0 ? mortise_fail(err, rc, "cannot register") : 0;
}

/* The host would stop the timer, too, and report it as left over. */
static void stop(struct mortise_instance *self)
{
	self->timer->stop(self->host, self->ticks);
}

static void destroy(struct mortise_instance *self)
{
	free(self);
}

static const struct mortise_http_serve_1 serve = { .on_request = on_request };
static const struct mortise_offer offers[] = { { MORTISE_HTTP_SERVE_1, &serve }, { NULL, NULL } };

MORTISE_PLUGIN("mortise/hello", "1.0.0",
	MORTISE_NEED(MORTISE_HTTP_1) MORTISE_NEED(MORTISE_CALL_1) MORTISE_NEED(MORTISE_TIMER_1)
		MORTISE_NEED(MORTISE_METRICS_1),
	.create = create, .start = start, .stop = stop, .destroy = destroy, .offers = offers);
