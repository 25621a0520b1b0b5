/* A plugin that calls whatever the request says: POST /call?e=EXTENSION&m=METHOD[&own=1], the body
 * is the JSON. It answers "RC JSON TEXT". With cause=N it names that handle as the cause; with
 * late=1 it answers first and calls for the request that is over, and GET /last then tells what
 * came of it. GET /crash ends it, GET /hang never answers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mortise/plugin.h>

enum { CALL, CRASH, HANG, LAST };

struct mortise_instance {
	struct mortise_host *host;
	const struct mortise_http_1 *http;
	const struct mortise_call_1 *call;
	char last[512]; /* outcome of the last late call */
};

struct job {
	mortise_id request;
	char extension[64], method[64], key[64];
	int own, late;
	mortise_id forged; /* 0: none */
	char *json;
	size_t size;
};

static int32_t create(
	struct mortise_host *host, struct mortise_instance **out, struct mortise_error *err)
{
	struct mortise_instance *self = calloc(1, sizeof(*self));

	(void)err;
	self->host = host;
	self->http = mortise_query_http_1(host);
	self->call = mortise_query_call_1(host);
	*out = self;
	return 0;
}

static int32_t start(struct mortise_instance *self, struct mortise_error *err)
{
	static const char *const names[] = { "call", "crash", "hang", "last" };

	for (uint32_t i = 0; i < 4; i++) {
		int32_t rc = self->http->bind(self->host, mortise_str_from(names[i]), i);

		if (rc < 0)
			return mortise_fail(err, rc, "bind '%s'", names[i]);
	}
	return 0;
}

static void destroy(struct mortise_instance *self)
{
	free(self);
}

/* The outcome goes to the client, or is kept when that was answered before. */
static void tell(struct mortise_instance *self, struct job *job, const char *text)
{
	if (job->late)
		(void)snprintf(self->last, sizeof(self->last), "%s", text);
	else
		self->http->reply(self->host, job->request, 200, MORTISE_STR("text/plain"),
			mortise_str_from(text));
	free(job->json);
	free(job);
}

static void on_done(struct mortise_instance *self, void *user, int32_t rc,
	const struct mortise_call_result_1 *result)
{
	size_t size = (size_t)(result->json.size + result->text.size) + 64;
	char *text = malloc(size);

	(void)snprintf(text, size, "%d %.*s %.*s", rc, (int)result->json.size, result->json.data,
		(int)result->text.size, result->text.data);
	tell(self, user, text);
	free(text);
}

static void read_query(
	struct mortise_instance *self, mortise_id request, const char *name, char *out)
{
	struct mortise_str value;

	if (self->http->query_param(self->host, request, mortise_str_from(name), &value) == 0)
		(void)snprintf(out, 64, "%.*s", (int)value.size, value.data);
}

static void on_request(struct mortise_instance *self, mortise_id request, uint32_t tag,
	const struct mortise_http_request_1 *head)
{
	struct job *job;
	char own[64] = "", late[64] = "", forged[64] = "";

	(void)head;
	if (tag == CRASH)
		abort();
	if (tag == HANG)
		return;
	if (tag == LAST) {
		self->http->reply(self->host, request, 200, MORTISE_STR("text/plain"),
			mortise_str_from(self->last));
		return;
	}
	job = calloc(1, sizeof(*job));
	job->request = request;
	read_query(self, request, "e", job->extension);
	read_query(self, request, "m", job->method);
	read_query(self, request, "k", job->key);
	read_query(self, request, "own", own);
	job->own = own[0] == '1';
	read_query(self, request, "late", late);
	job->late = late[0] == '1';
	read_query(self, request, "cause", forged);
	job->forged = strtoull(forged, NULL, 10);
	self->http->attach(self->host, request, job);
}

static void on_body(struct mortise_instance *self, mortise_id request, void *user,
	struct mortise_str piece, uint32_t last)
{
	struct mortise_call_args_1 args = { 0 };
	struct job *job = user;
	char refused[32];
	int32_t rc;

	if (!job)
		return;
	job->json = realloc(job->json, job->size + piece.size + 1);
	memcpy(job->json + job->size, piece.data, piece.size);
	job->size += piece.size;
	self->http->consume(self->host, request, piece.size);
	if (!last)
		return;
	args.extension = mortise_str_from(job->extension);
	args.method = mortise_str_from(job->method);
	args.json = mortise_str_of(job->json, job->size);
	args.operation_key = mortise_str_from(job->key);
	args.cause = job->own ? 0 : job->forged ? job->forged : request;
	if (job->late)
		self->http->reply(self->host, request, 200, MORTISE_STR("text/plain"),
			MORTISE_STR("answered"));
	rc = self->call->call(self->host, &args, on_done, job, NULL);
	if (rc < 0) {
		(void)snprintf(refused, sizeof(refused), "%d at once", rc);
		tell(self, job, refused);
	}
}

static const struct mortise_http_serve_1 serve = { .on_request = on_request, .on_body = on_body };
static const struct mortise_offer offers[] = { { MORTISE_HTTP_SERVE_1, &serve }, { NULL, NULL } };

MORTISE_PLUGIN("fixture/caller", "1.0.0", MORTISE_NEED(MORTISE_HTTP_1) MORTISE_NEED(MORTISE_CALL_1),
	.create = create, .start = start, .destroy = destroy, .offers = offers);
