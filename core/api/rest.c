#include "api/rest_priv.h"

#include <stdio.h>
#include <stdlib.h>

#include "api/answer.h"
#include "api/cursor.h"
#include "api/refusals.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "catalog/follow.h"
#include "codec/digest.h"
#include "codec/json.h"
#include "http/problem.h"
#include "http/server.h"
#include "http/target.h"
#include "identity/principal.h"

#define CALL_MAGIC 0x52455354u
#define ETAG_HEX   32u

const struct rest_route *const rest_tables[] = {
	rest_access_routes,
	rest_audit_routes,
	rest_changes_routes,
	rest_installations_routes,
	rest_key_ring_routes,
	rest_keys_routes,
	rest_logs_routes,
	rest_packages_routes,
	rest_privacy_routes,
	rest_passwords_routes,
	rest_plugins_routes,
	rest_second_factor_routes,
	rest_secrets_routes,
	rest_services_routes,
	rest_sessions_routes,
	rest_settings_routes,
	rest_teams_routes,
	rest_trust_routes,
	rest_usage_routes,
	rest_users_routes,
	rest_whoami_routes,
	NULL,
};

int api_new(struct api **out, const struct api_options *options, struct error *err)
{
	struct api *api = mem_zalloc(sizeof(*api));
	int rc = 0;

	api->options = *options;
	api->environment = mem_strdup(options->environment);
	api->node = mem_strdup(options->node);
	api->log_folder = mem_strdup(options->log_folder);
	api->spool_folder = mem_strdup(options->spool_folder);
	api->routes = routes_new();
	api->follow = follow_new(options->db);
	api->refusals = refusals_new(api);
	list_init(&api->watches);
	list_init(&api->streams);
	for (const struct rest_route *const *table = rest_tables; rc == 0 && *table; table++)
		for (const struct rest_route *route = *table; rc == 0 && route->method; route++)
			rc = routes_add(api->routes, span_of(route->method),
				span_of(route->pattern), (void *)(uintptr_t)route, err);
	if (rc < 0) {
		api_free(api);
		return rc;
	}
	*out = api;
	return 0;
}

void api_free(struct api *api)
{
	if (!api)
		return;
	routes_free(api->routes);
	follow_free(api->follow);
	refusals_free(api->refusals);
	mem_free(api->environment);
	mem_free(api->node);
	mem_free(api->log_folder);
	mem_free(api->spool_folder);
	mem_free(api);
}

/* ---- the life of a call ------------------------------------------------------------------------
 */

static void free_if_over(struct rest_call *call)
{
	if (call->request || call->under_way > 0)
		return;
	if (call->state_free)
		call->state_free(call->state);
	principal_unref(call->who);
	json_decref(call->json);
	/* It may have held a password. */
	mem_wipe(call->body.data, call->body.len);
	for (size_t i = 0; i < REST_COOKIES_MAX; i++) {
		if (call->cookies[i])
			mem_wipe(call->cookies[i], strlen(call->cookies[i]));
		mem_free(call->cookies[i]);
	}
	text_done(&call->body);
	call->magic = 0;
	mem_free(call);
}

void rest_begin(struct rest_call *call)
{
	call->under_way++;
}

bool rest_end(struct rest_call *call)
{
	ASSERT(call->magic == CALL_MAGIC && call->under_way > 0);
	call->under_way--;
	if (call->request)
		return true;
	free_if_over(call);
	return false;
}

/* The answer is out. */
static void answered(struct rest_call *call)
{
	call->request = NULL;
	if (call->on_over)
		call->on_over(call);
	free_if_over(call);
}

/* What is refused or fails to change something goes into the audit trail. */
static void note_refusal(struct rest_call *call, const struct error *err)
{
	refusals_note(
		call->api->refusals, &(struct refusal){
					     .request = call->request,
					     .who = call->who,
					     .action = access_rule(call->route->rule.action)->name,
					     .route = call->route->pattern,
					     .object = span_of(call->plugin),
					     .address = span_of(call->peer),
					     .request_id = span_of(call->id),
					     .err = err,
				     });
}

struct refusals *api_refusals(struct api *api)
{
	return api->refusals;
}

void rest_problem(struct rest_call *call, const struct error *err)
{
	note_refusal(call, err);
	answer_problem(call->request, err, span_of(call->id), NULL);
	answered(call);
}

void rest_problem_later(struct rest_call *call, const struct error *err, unsigned retry_after_s)
{
	struct answer_extra extra = { .retry_after_s = retry_after_s };

	note_refusal(call, err);
	answer_problem(call->request, err, span_of(call->id), &extra);
	answered(call);
}

void rest_refuse(struct rest_call *call, int code, const char *text)
{
	struct error err;

	(void)error_set(&err, code, "%s", text);
	rest_problem(call, &err);
}

void rest_invalid(struct rest_call *call, const char *pointer, const char *detail)
{
	struct problem_part part = { span_of(pointer), span_of(detail) };
	struct answer_extra extra = { .parts = &part, .part_count = 1 };
	struct error err;

	(void)error_set(&err, ERR_INVALID, "'%s' %s", pointer, detail);
	note_refusal(call, &err);
	answer_problem(call->request, &err, span_of(call->id), &extra);
	answered(call);
}

static struct span trim_blanks(struct span s)
{
	while (s.len > 0 && (s.data[0] == ' ' || s.data[0] == '\t'))
		s = (struct span){ s.data + 1, s.len - 1 };
	while (s.len > 0 && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t'))
		s.len--;
	return s;
}

static void make_etag(const char *text, char etag[static ETAG_HEX + 3])
{
	char hex[SHA256_HEX_SIZE];

	sha256_hex(span_of(text), hex);
	(void)snprintf(etag, ETAG_HEX + 3, "\"%.*s\"", (int)ETAG_HEX, hex);
}

static void send_json(
	struct rest_call *call, int status, const char *location, struct span link, json_t *json)
{
	const struct http_head *head = http_request_head(call->request);
	struct http_answer_field fields[3 + REST_COOKIES_MAX];
	char *text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
	char etag[ETAG_HEX + 3];
	size_t n = 0;
	struct span body;

	ASSERT(text);
	json_decref(json);
	body = span_of(text);
	if (location)
		fields[n++] = (struct http_answer_field){ SPAN("Location"), span_of(location) };
	if (link.len > 0)
		fields[n++] = (struct http_answer_field){ SPAN("Link"), link };
	for (size_t i = 0; i < REST_COOKIES_MAX && call->cookies[i]; i++)
		fields[n++] =
			(struct http_answer_field){ SPAN("Set-Cookie"), span_of(call->cookies[i]) };
	/* What a merge patch answers is what a GET would. */
	if ((http_method_safe(head->method) || head->method == HTTP_METHOD_PATCH) &&
		status == 200) {
		make_etag(text, etag);
		fields[n++] = (struct http_answer_field){ SPAN("ETag"), span_of(etag) };
		if (http_method_safe(head->method) &&
			span_is(http_head_get(head, HTTP_HEADER_IF_NONE_MATCH), etag)) {
			status = 304;
			body = SPAN("");
		}
	}
	answer_text(call->request, status, SPAN("application/json"), body, span_of(call->id),
		fields, n);
	free(text);
	answered(call);
}

bool rest_is_conditional(const struct rest_call *call)
{
	struct span value = http_head_get(http_request_head(call->request), HTTP_HEADER_IF_MATCH);

	return value.data && !span_is(value, "*");
}

bool rest_matches(struct rest_call *call, const json_t *now)
{
	struct span rest = http_head_get(http_request_head(call->request), HTTP_HEADER_IF_MATCH);
	char *text = json_dumps(now, JSON_COMPACT | JSON_ENCODE_ANY);
	char etag[ETAG_HEX + 3];
	struct error err;
	struct span one;

	ASSERT(text);
	make_etag(text, etag);
	free(text);
	while (span_split(&rest, ',', &one))
		if (span_is(trim_blanks(one), etag))
			return true;
	(void)error_set(&err, ERR_PRECONDITION, "it has changed since it was read");
	rest_problem(call, &err);
	return false;
}

void rest_json(struct rest_call *call, int status, json_t *json)
{
	send_json(call, status, NULL, SPAN_NONE, json);
}

void rest_created(struct rest_call *call, int status, const char *location, json_t *json)
{
	send_json(call, status, location, SPAN_NONE, json);
}

/* The request's own query with another `after`. */
static void append_link(struct text *out, const struct http_head *head, struct span cursor)
{
	struct span rest = head->query, name, value;

	text_printf(out, "<%.*s?", SPAN_ARG(head->path));
	while (rest.data && http_query_next(&rest, &name, &value))
		if (!span_is(name, "after"))
			text_printf(out, "%.*s=%.*s&", SPAN_ARG(name), SPAN_ARG(value));
	text_printf(out, "after=%.*s>; rel=\"next\"", SPAN_ARG(cursor));
}

void rest_list(struct rest_call *call, json_t *items, const char *list, struct span filters,
	struct span next)
{
	struct text cursor, link;
	json_t *page = json_object();

	text_init(&cursor);
	text_init(&link);
	if (next.data) {
		cursor_append(&cursor, span_of(list), filters, next);
		append_link(&link, http_request_head(call->request), text_span(&cursor));
	}
	(void)json_object_set_new(page, "items", items);
	(void)json_object_set_new(page, "next", next.data ? json_string(cursor.data) : json_null());
	send_json(call, 200, NULL, text_span(&link), page);
	text_done(&cursor);
	text_done(&link);
}

/* ---- reading the request -----------------------------------------------------------------------
 */

static struct span raw_param(const struct rest_call *call, const char *name)
{
	for (size_t i = 0; i < call->params.count; i++)
		if (span_is(call->params.names[i], name))
			return call->params.values[i];
	BUG("the pattern has no such parameter");
}

static bool decode_param(struct rest_call *call, const char *name, char *buffer, size_t size)
{
	struct span value;

	if (http_decode(raw_param(call, name), false, buffer, size - 1, &value) < 0 ||
		value.len >= size)
		return false;
	memmove(buffer, value.data, value.len);
	buffer[value.len] = '\0';
	return true;
}

bool rest_param(struct rest_call *call, const char *name, char *buffer, size_t size)
{
	struct error err;

	if (decode_param(call, name, buffer, size))
		return true;
	(void)error_set(&err, ERR_NOT_FOUND, "nothing has such a name");
	rest_problem(call, &err);
	return false;
}

bool rest_user(struct rest_call *call, char user[static REST_USER_SIZE])
{
	if (!rest_param(call, "user", user, REST_USER_SIZE))
		return false;
	if (strcmp(user, "me") == 0)
		(void)snprintf(user, REST_USER_SIZE, "%s", call->who->user_id);
	return true;
}

bool rest_may(struct rest_call *call, enum access_action action)
{
	struct error err;

	if (access_check(call->who, action, SPAN_NONE, &err) == 0)
		return true;
	rest_problem(call, &err);
	return false;
}

bool rest_allowed(struct rest_call *call, struct span object)
{
	struct error err;

	if (access_check(call->who, call->route->rule.action, object, &err) == 0)
		return true;
	rest_problem(call, &err);
	return false;
}

bool rest_operation_key(struct rest_call *call, struct span *key)
{
	struct span value =
		http_head_get(http_request_head(call->request), HTTP_HEADER_IDEMPOTENCY_KEY);

	*key = SPAN_NONE;
	if (!value.data)
		return true;
	/* The draft's form is a quoted string; a bare token is what most clients send. */
	if (value.len >= 2 && value.data[0] == '"' && value.data[value.len - 1] == '"')
		value = (struct span){ value.data + 1, value.len - 2 };
	for (size_t i = 0; i < value.len; i++) {
		char c = value.data[i];

		if (!((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
			    c == '-' || c == '_' || c == '.' || c == ':')) {
			value.len = 0;
			break;
		}
	}
	if (value.len == 0 || value.len > REST_KEY_MAX) {
		rest_invalid(call, "Idempotency-Key", "is not 1 to 64 of [A-Za-z0-9._:-]");
		return false;
	}
	*key = value;
	return true;
}

void rest_query_init(struct rest_query *q, struct rest_call *call)
{
	memset(q, 0, offsetof(struct rest_query, buffer));
	q->call = call;
	q->used = 0;
	q->err.code = 0;
	q->err.text[0] = q->err.fix[0] = '\0';
	text_init(&q->filters);
	text_init(&q->position);
}

void rest_query_done(struct rest_query *q)
{
	text_done(&q->filters);
	text_done(&q->position);
}

struct span rest_query_option(struct rest_query *q, const char *name)
{
	struct span query = http_request_head(q->call->request)->query, value;
	int rc;

	ASSERT(q->known_count < REST_QUERY_MAX);
	q->known[q->known_count++] = name;
	if (!query.data)
		return SPAN_NONE;
	rc = http_query_get(query, name, q->buffer + q->used, sizeof(q->buffer) - q->used, &value);
	if (rc == ERR_NOT_FOUND)
		return SPAN_NONE;
	if (rc < 0) {
		(void)error_set(&q->err, ERR_INVALID, "query parameter '%s' is not valid", name);
		return SPAN_NONE;
	}
	if (value.data == q->buffer + q->used)
		q->used += value.len;
	return value;
}

struct span rest_query_text(struct rest_query *q, const char *name)
{
	struct span value = rest_query_option(q, name);

	if (value.data)
		text_printf(&q->filters, "%s=%.*s&", name, SPAN_ARG(value));
	return value.len > 0 ? value : SPAN_NONE;
}

uint64_t rest_query_number(
	struct rest_query *q, const char *name, uint64_t min, uint64_t max, uint64_t fallback)
{
	struct span value = rest_query_option(q, name);
	uint64_t number;

	if (!value.data)
		return fallback;
	if (!span_u64(value, max, &number) || number < min) {
		(void)error_set(&q->err, ERR_INVALID,
			"query parameter '%s' is not a number from %llu to %llu", name,
			(unsigned long long)min, (unsigned long long)max);
		return fallback;
	}
	return number;
}

struct span rest_query_after(struct rest_query *q, const char *list)
{
	struct span cursor = rest_query_option(q, "after");

	if (!cursor.data || q->err.code)
		return SPAN_NONE;
	if (cursor_position(&q->position, cursor, span_of(list), text_span(&q->filters), &q->err) <
		0)
		return SPAN_NONE;
	return text_span(&q->position);
}

static bool is_known(const struct rest_query *q, struct span name)
{
	for (size_t i = 0; i < q->known_count; i++)
		if (span_is(name, q->known[i]))
			return true;
	return false;
}

bool rest_query_end(struct rest_query *q)
{
	struct span rest = http_request_head(q->call->request)->query, name, value;

	while (q->err.code == 0 && rest.data && http_query_next(&rest, &name, &value))
		if (!is_known(q, name))
			(void)error_set(&q->err, ERR_INVALID, "unknown query parameter '%.*s'",
				SPAN_ARG(name));
	if (q->err.code == 0)
		return true;
	rest_problem(q->call, &q->err);
	return false;
}

/* ---- values ------------------------------------------------------------------------------------
 */

json_t *rest_text(struct span s)
{
	return s.data ? json_stringn_nocheck(s.data, s.len) : json_null();
}

json_t *rest_texts(struct db_array items)
{
	json_t *list = json_array();
	struct span item;

	while (db_array_next(&items, &item))
		(void)json_array_append_new(list, rest_text(item));
	return list;
}

json_t *rest_time(int64_t us)
{
	char text[CLOCK_TEXT_SIZE];

	if (us == 0)
		return json_null();
	clock_text(us, text);
	return json_string(text);
}

json_t *rest_raw(struct span json)
{
	json_t *value = json.data ? json_loadb(json.data, json.len, JSON_DECODE_ANY, NULL) : NULL;

	return value ? value : json_null();
}

json_t *rest_number(int64_t number, int64_t none)
{
	return number == none ? json_null() : json_integer(number);
}

json_t *rest_real(double number)
{
	return number < 0 ? json_null() : json_real(number);
}

/* ---- server-sent events ------------------------------------------------------------------------
 */

bool rest_wants_events(const struct rest_call *call)
{
	const struct http_head *head = http_request_head(call->request);
	struct span accept = http_head_get(head, HTTP_HEADER_ACCEPT);

	/* A stream without a body would hold up what follows on the connection, and for nothing. */
	return head->method != HTTP_METHOD_HEAD && accept.len > 0 &&
	       memmem(accept.data, accept.len, "text/event-stream", strlen("text/event-stream"));
}

void rest_events_begin(struct rest_call *call)
{
	const struct http_answer_field fields[] = {
		{ SPAN("X-Request-Id"), span_of(call->id) },
		{ SPAN("Cache-Control"), SPAN("no-store") },
		{ SPAN("X-Accel-Buffering"), SPAN("no") }, /* or a proxy holds it back */
	};
	struct http_answer answer = {
		.status = 200,
		.content_type = SPAN("text/event-stream"),
		.fields = fields,
		.field_count = ARRAY_LENGTH(fields),
	};

	http_request_deadline(call->request, 0);
	if (http_answer_begin(call->request, &answer, HTTP_LENGTH_UNKNOWN, NULL) < 0)
		BUG("the head of an event stream is not valid");
	(void)rest_heartbeat(call);
}

bool rest_heartbeat(struct rest_call *call)
{
	return http_answer_write(call->request, SPAN(": \n\n")) == 0;
}

bool rest_event(struct rest_call *call, const char *id, const char *event, struct span data)
{
	struct text frame;
	bool sent;

	text_init(&frame);
	if (id)
		text_printf(&frame, "id: %s\n", id);
	if (event)
		text_printf(&frame, "event: %s\n", event);
	text_printf(&frame, "data: %.*s\n\n", SPAN_ARG(data));
	sent = http_answer_write(call->request, text_span(&frame)) == 0;
	text_done(&frame);
	return sent;
}

void rest_events_end(struct rest_call *call)
{
	http_answer_end(call->request);
	answered(call);
}

void rest_stream_begin(struct rest_call *call, struct span type)
{
	const struct http_answer_field fields[] = {
		{ SPAN("X-Request-Id"), span_of(call->id) },
		{ SPAN("Cache-Control"), SPAN("no-store") },
	};
	const struct http_answer answer = {
		.status = 200,
		.content_type = type,
		.fields = fields,
		.field_count = ARRAY_LENGTH(fields),
	};

	http_request_deadline(call->request, 0);
	if (http_answer_begin(call->request, &answer, HTTP_LENGTH_UNKNOWN, NULL) < 0)
		BUG("the head of a stream is not valid");
}

bool rest_stream_write(struct rest_call *call, struct span piece)
{
	return http_answer_write(call->request, piece) == 0;
}

void rest_stream_end(struct rest_call *call)
{
	http_answer_end(call->request);
	answered(call);
}

void rest_stream_cut(struct rest_call *call, const struct error *err)
{
	log_warn("an answer is cut short", LOG_STR("request", call->id), LOG_ERR(err));
	http_request_abort(call->request);
	answered(call);
}

uint64_t rest_timer(struct rest_call *call, uint32_t ms, api_timer_cb fire, void *user)
{
	return call->api->options.host->timer(call->api->options.host_user, ms, fire, user);
}

void rest_timer_stop(struct rest_call *call, uint64_t timer)
{
	if (timer)
		call->api->options.host->timer_stop(call->api->options.host_user, timer);
}

/* ---- the owner of requests ---------------------------------------------------------------------
 */

static void on_gone(void *user, struct http_request *request, enum http_gone why)
{
	struct rest_call *call = user;

	(void)request;
	(void)why;
	ASSERT(call->magic == CALL_MAGIC);
	answered(call);
}

static void on_writable(void *user, struct http_request *request)
{
	struct rest_call *call = user;

	(void)request;
	ASSERT(call->magic == CALL_MAGIC);
	if (call->on_writable)
		call->on_writable(call);
}

static void parse_and_serve(struct rest_call *call)
{
	struct error err;

	if (call->body.len > 0) {
		if (json_parse(&call->json, text_span(&call->body), NULL, &err) < 0) {
			rest_problem(call, &err);
			return;
		}
		if (!json_is_object(call->json)) {
			rest_invalid(call, "", "is not a JSON object");
			return;
		}
	} else {
		call->json = json_object();
	}
	call->route->serve(call);
}

static void on_body(void *user, struct http_request *request, struct span piece, bool last)
{
	struct rest_call *call = user;

	ASSERT(call->magic == CALL_MAGIC);
	if (call->on_body) {
		call->on_body(call, piece, last);
		return;
	}
	text_append_span(&call->body, piece);
	http_body_consumed(request, piece.len);
	if (last)
		parse_and_serve(call);
}

static const struct http_owner owner = {
	.on_body = on_body,
	.on_writable = on_writable,
	.on_gone = on_gone,
};

static int check_media_type(struct http_request *request, struct error *err)
{
	const struct http_head *head = http_request_head(request);
	struct span rest = http_head_get(head, HTTP_HEADER_CONTENT_TYPE), type = SPAN_NONE;

	(void)span_split(&rest, ';', &type);
	type = trim_blanks(type);
	if (span_equal_nocase(type, SPAN("application/json")) ||
		(head->method == HTTP_METHOD_PATCH &&
			span_equal_nocase(type, SPAN("application/merge-patch+json"))))
		return 0;
	return error_set(err, ERR_MEDIA_TYPE, "the body must be 'application/json'%s",
		head->method == HTTP_METHOD_PATCH ? " or 'application/merge-patch+json'" : "");
}

/* Read the body as the route wants it, then serve. */
static void start(struct rest_call *call)
{
	struct error err;
	int rc = 0;

	if (call->route->body != REST_BODY_JSON) {
		call->route->serve(call);
		return;
	}
	if (!http_request_has_body(call->request)) {
		parse_and_serve(call);
		return;
	}
	if (http_request_head(call->request)->content_length > 0)
		rc = check_media_type(call->request, &err);
	if (rc == 0)
		rc = http_body_read(call->request, REST_JSON_MAX, &err);
	if (rc < 0)
		rest_problem(call, &err);
}

static int find_route(struct api *api, struct http_request *request, struct routes_found *found,
	struct error *err, struct text *allow)
{
	const struct http_head *head = http_request_head(request);
	struct span method = span_of(http_method_name(head->method));
	int rc = routes_match(api->routes, method, head->path, found);

	if (rc == ERR_METHOD) {
		routes_allow(api->routes, head->path, allow);
		return error_set(err, rc, "'%.*s' does not take %.*s", SPAN_ARG(head->path),
			SPAN_ARG(method));
	}
	if (rc < 0)
		return error_set(err, rc, "there is no '%.*s'", SPAN_ARG(head->path));
	return 0;
}

static bool check_object(struct rest_call *call, struct error *err)
{
	char publisher[40], plugin[72];
	struct span object = SPAN_NONE;

	/* The route asks once it knows the object; who is not whole learns nothing of its body. */
	if (call->route->object == REST_OBJECT_BODY && call->who && !call->who->half)
		return true;
	if (call->route->object == REST_OBJECT_PLUGIN) {
		if (!decode_param(call, "publisher", publisher, sizeof(publisher)) ||
			!decode_param(call, "plugin", plugin, sizeof(plugin))) {
			(void)error_set(err, ERR_NOT_FOUND, "no plugin has such a name");
			return false;
		}
		(void)snprintf(
			call->plugin, sizeof(call->plugin), "%.31s/%.65s", publisher, plugin);
		object = span_of(call->plugin);
	}
	return access_check(call->who, call->route->rule.action, object, err) == 0;
}

static void describe_asker(struct rest_call *call)
{
	struct span agent = http_head_get(http_request_head(call->request), HTTP_HEADER_USER_AGENT);

	call->context = (struct db_context){
		.user_id = span_of(call->who ? call->who->user_id : ""),
		.environment = span_of(call->api->environment),
		.request_id = span_of(call->id),
		.session_id = span_of(call->who ? call->who->session_id : ""),
		.ip_address = span_of(call->peer),
		/* A header may hold any byte, the database takes UTF-8 only. */
		.user_agent = utf8_valid(agent) ? agent : SPAN_NONE,
	};
}

static void copy_span(char *out, size_t size, struct span s)
{
	(void)snprintf(out, size, "%.*s", SPAN_ARG(s));
}

bool api_is_public(const struct api *api, struct span method, struct span path)
{
	struct routes_found found;
	const struct rest_route *route;

	if (routes_match(api->routes, method, path, &found) < 0)
		return false;
	route = found.route;
	return access_is_public(route->rule.action);
}

void api_serve(struct api *api, struct http_request *request, struct principal *who,
	struct span request_id, struct span peer)
{
	struct rest_call *call;
	struct routes_found found = { 0 };
	struct answer_extra extra = { 0 };
	struct text allow;
	struct error err;

	text_init(&allow);
	if (find_route(api, request, &found, &err, &allow) < 0) {
		extra.allow = text_span(&allow);
		answer_problem(request, &err, request_id, &extra);
		text_done(&allow);
		return;
	}
	text_done(&allow);
	call = mem_zalloc(sizeof(*call));
	call->magic = CALL_MAGIC;
	call->api = api;
	call->request = request;
	call->who = who ? principal_ref(who) : NULL;
	call->route = found.route;
	call->params = found;
	text_init(&call->body);
	copy_span(call->id, sizeof(call->id), request_id);
	copy_span(call->peer, sizeof(call->peer), peer);
	describe_asker(call);
	http_request_own(request, &owner, call);
	if (check_object(call, &err))
		start(call);
	else
		rest_problem(call, &err);
}
