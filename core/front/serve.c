/* From a request's head to the one who answers it: health, api or a plugin's worker.
 *
 * The warm path of a plugin's route asks no database and allocates one forward: the key is found
 * in the cache of authority, the route in the table. */
#include "api/answer.h"
#include "api/api.h"
#include "api/credentials.h"
#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "db/pool.h"
#include "front/admit.h"
#include "front/front.h"
#include "front/table.h"
#include "http/server.h"
#include "identity/access.h"
#include "identity/authority.h"
#include "identity/principal.h"

#define WAITING_MAGIC 0x57414954u

/* Longer than any answer of a database that is well, shorter than a health check's patience. */
#define PROBE_TIMEOUT_MS 1000

/* A request whose key is being asked for. */
struct waiting {
	uint32_t magic;
	struct front *front;
	struct http_request *request; /* NULL: its client has left */
	bool by_cookie;
	char request_id[FRONT_REQUEST_ID_SIZE];
};

/* ---- request ids -------------------------------------------------------------------------------
 */

static bool is_request_id(struct span s)
{
	if (s.len == 0 || s.len >= FRONT_REQUEST_ID_SIZE)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.data[i];

		if (!((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
			    c == '-' || c == '_' || c == '.'))
			return false;
	}
	return true;
}

static char *write_hex(char *at, uint64_t number)
{
	static const char digits[] = "0123456789abcdef";

	for (int shift = 60; shift >= 0; shift -= 4)
		*at++ = digits[(number >> shift) & 15];
	return at;
}

/* The client's own, when it is well-formed, else a new one. */
static struct span request_id_of(
	struct front *front, const struct http_head *head, char out[static FRONT_REQUEST_ID_SIZE])
{
	struct span given = http_head_get(head, HTTP_HEADER_X_REQUEST_ID);
	char *at = out;

	if (is_request_id(given)) {
		memcpy(out, given.data, given.len);
		at = out + given.len;
	} else {
		at = write_hex(at, front->boot);
		*at++ = '-';
		at = write_hex(at, front->next_request++);
	}
	*at = '\0';
	return (struct span){ out, (size_t)(at - out) };
}

/* ---- health ------------------------------------------------------------------------------------
 */

static void answer_health(struct http_request *request, struct span request_id, const char *missing)
{
	json_t *body = json_object();

	if (missing[0]) {
		struct span rest = span_of(missing), part;
		json_t *names = json_array();

		while (span_split(&rest, ' ', &part))
			(void)json_array_append_new(names, json_stringn(part.data, part.len));
		(void)json_object_set_new(body, "missing", names);
	}
	(void)json_object_set_new(body, "status", json_string(missing[0] ? "unavailable" : "ok"));
	answer_json(request, missing[0] ? 503 : 200, body, request_id, NULL, 0);
	json_decref(body);
}

/* A readiness question while the database is asked: a server that took our connection may still
 * not answer. */
struct probe {
	struct http_request *request; /* NULL: its client is gone */
	char request_id[FRONT_REQUEST_ID_SIZE];
};

static void on_probe_gone(void *user, struct http_request *request, enum http_gone why)
{
	struct probe *probe = user;

	(void)request;
	(void)why;
	probe->request = NULL;
}

static const struct http_owner probe_owner = { .on_gone = on_probe_gone };

static void on_probed(const struct db_result *result, void *user)
{
	struct probe *probe = user;

	if (probe->request)
		answer_health(
			probe->request, span_of(probe->request_id), result->err ? "database" : "");
	mem_free(probe);
}

static void probe_database(
	struct front *front, struct http_request *request, struct span request_id)
{
	static const struct db_statement statement = { .name = "front_probe", .sql = "SELECT 1" };
	struct probe *probe = mem_zalloc(sizeof(*probe));

	probe->request = request;
	memcpy(probe->request_id, request_id.data, request_id.len);
	http_request_own(request, &probe_owner, probe);
	db_query(front->pool, &(struct db_request){ .statement = &statement,
				      .timeout_ms = PROBE_TIMEOUT_MS,
				      .done = on_probed,
				      .user = probe });
}

/* True: it was a question about health, and is or will be answered. */
static bool serve_health(
	struct front *front, struct http_request *request, struct span path, struct span request_id)
{
	const struct http_head *head = http_request_head(request);
	bool live = span_is(path, "/livez"), startup = span_is(path, "/startupz");
	const char *missing = "";

	if (!live && !startup && !span_is(path, "/readyz"))
		return false;
	if (head->method != HTTP_METHOD_GET && head->method != HTTP_METHOD_HEAD) {
		struct answer_extra extra = { .allow = SPAN("GET, HEAD") };
		struct error err;

		(void)error_set(&err, ERR_METHOD, "it only answers GET");
		answer_problem(request, &err, request_id, &extra);
		return true;
	}
	/* Startup: everything was there once. Readiness: it is there now. */
	if (!live && !(startup && front->started)) {
		if (front->stopping)
			missing = "stopping";
		else if (!front->database_up)
			missing = front->table ? "database" : "database table";
		else if (!front->table)
			missing = "table";
	}
	if (!live && !startup && !missing[0]) {
		probe_database(front, request, request_id);
		return true;
	}
	answer_health(request, request_id, missing);
	return true;
}

/* ---- the principal is known --------------------------------------------------------------------
 */

static void serve_plugin(struct front *front, struct http_request *request, struct principal *who,
	struct span request_id)
{
	const struct http_head *head = http_request_head(request);
	struct span method = span_of(http_method_name(head->method));
	struct answer_extra extra = { 0 };
	const struct table_route *route;
	struct routes_found params;
	struct error err;
	int rc;

	if (!front->table) {
		(void)error_set(&err, ERR_NOT_READY, "the host has no route table yet");
		answer_problem(request, &err, request_id, NULL);
		return;
	}
	rc = table_match(front->table, method, head->path, &route, &params);
	if (rc == ERR_METHOD) {
		text_clear(&front->scratch);
		table_allow(front->table, head->path, &front->scratch);
		extra.allow = text_span(&front->scratch);
		(void)error_set(&err, rc, "'%.*s' does not take %.*s", SPAN_ARG(head->path),
			SPAN_ARG(method));
	} else if (rc < 0) {
		(void)error_set(&err, rc, "no plugin serves '%.*s'", SPAN_ARG(head->path));
	} else {
		/* A route without a scope is for everybody who has shown all that he owes. */
		if (route->scope[0])
			rc = access_check_scope(who, span_of(route->scope), SPAN_NONE, &err);
		else if (who->half)
			rc = error_set(
				&err, ERR_SECOND_FACTOR, "the session still owes a second factor");
		if (rc == 0) {
			forward_start(front, request, who, route, &params, request_id);
			return;
		}
	}
	front_refuse(front, request, who, request_id, &err, &extra);
}

/* who is NULL for what anybody may ask. */
static void log_request(const struct http_head *head, const struct principal *who, const char *peer,
	struct span request_id)
{
	log_info("request", LOG_SPAN("request", request_id),
		LOG_STR("user", who ? who->user_id : ""), LOG_STR("key", who ? who->key_id : ""),
		LOG_STR("session", who ? who->session_id : ""), LOG_STR("peer", peer),
		LOG_STR("method", http_method_name(head->method)), LOG_SPAN("path", head->path));
}

static void serve_admitted(struct front *front, struct http_request *request, struct principal *who,
	const char *address, struct span request_id)
{
	struct span path = http_request_head(request)->path;
	struct error err;

	authority_used(front->authority, who);
	if (front->settings.access_log)
		log_request(http_request_head(request), who, address, request_id);
	if (span_starts(path, "/api/")) {
		serve_plugin(front, request, who, request_id);
	} else if (span_starts(path, "/v1/")) {
		api_serve(front->api, request, who, request_id, span_of(address));
	} else {
		(void)error_set(&err, ERR_NOT_FOUND, "there is no '%.*s'", SPAN_ARG(path));
		answer_problem(request, &err, request_id, NULL);
	}
}

static void serve_as(struct front *front, struct http_request *request, struct principal *who,
	bool by_cookie, struct span request_id)
{
	char address[ADMIT_ADDRESS_SIZE];
	struct error err;

	/* The token of a browser's session is worth nothing to who has read it out of there. */
	if (who->by_cookie != by_cookie) {
		(void)error_set(&err, ERR_SESSION_UNKNOWN,
			"the session is over, or its token was replaced or has expired");
		front_refuse(front, request, NULL, request_id, &err, NULL);
		return;
	}
	admit_address(front, request, address);
	admit(front, request, who, address, request_id, serve_admitted);
}

/* True: anybody may ask that of /v1, whatever credentials came with it, and it is being served. */
static bool serve_public(struct front *front, struct http_request *request, struct span request_id)
{
	const struct http_head *head = http_request_head(request);
	char address[ADMIT_ADDRESS_SIZE];

	if (!span_starts(head->path, "/v1/") ||
		!api_is_public(front->api, span_of(http_method_name(head->method)), head->path))
		return false;
	admit_address(front, request, address);
	if (front->settings.access_log)
		log_request(head, NULL, address, request_id);
	api_serve(front->api, request, NULL, request_id, span_of(address));
	return true;
}

/* ---- finding out who asks ----------------------------------------------------------------------
 */

static void on_waiting_gone(void *user, struct http_request *request, enum http_gone why)
{
	struct waiting *w = user;

	(void)request;
	(void)why;
	ASSERT(w->magic == WAITING_MAGIC);
	w->request = NULL;
}

static const struct http_owner waiting_owner = { .on_gone = on_waiting_gone };

static void on_principal(void *user, int rc, struct principal *who, const struct error *err)
{
	struct waiting *w = user;

	ASSERT(w->magic == WAITING_MAGIC);
	if (w->request && rc == 0)
		serve_as(w->front, w->request, who, w->by_cookie, span_of(w->request_id));
	else if (w->request)
		front_refuse(w->front, w->request, NULL, span_of(w->request_id), err, NULL);
	w->magic = 0;
	mem_free(w);
}

static void ask(struct front *front, struct http_request *request,
	const struct credentials *credentials, struct span request_id)
{
	struct waiting *w = mem_zalloc(sizeof(*w));

	w->magic = WAITING_MAGIC;
	w->front = front;
	w->request = request;
	w->by_cookie = credentials->by_cookie;
	memcpy(w->request_id, request_id.data, request_id.len);
	http_request_own(request, &waiting_owner, w);
	authority_ask(front->authority, credentials->token, on_principal, w);
}

/* One key or token that may be looked up; a change by cookie only from our own pages. */
static int read_credentials(struct front *front, const struct http_head *head,
	struct credentials *credentials, struct error *err)
{
	int rc = credentials_read(head, credentials, err);

	if (rc < 0)
		return rc;
	if (!credentials->token.data)
		return error_set(
			err, ERR_AUTHENTICATION, "no API key and no session came with the request");
	if (credentials->by_cookie && !http_method_safe(head->method))
		return credentials_check_origin(head, front->settings.http_origins, err);
	return 0;
}

void serve_request(void *user, struct http_request *request)
{
	struct front *front = user;
	const struct http_head *head = http_request_head(request);
	char id[FRONT_REQUEST_ID_SIZE];
	struct span request_id = request_id_of(front, head, id);
	struct credentials credentials;
	struct principal *who;
	struct error err;
	int rc;

	if (serve_health(front, request, head->path, request_id) ||
		serve_public(front, request, request_id))
		return;
	rc = read_credentials(front, head, &credentials, &err);
	if (rc == 0)
		rc = authority_find(front->authority, credentials.token, &who);
	if (rc == 0) {
		serve_as(front, request, who, credentials.by_cookie, request_id);
	} else if (rc == ERR_AGAIN) {
		ask(front, request, &credentials, request_id);
	} else {
		if (rc == ERR_KEY_MALFORMED)
			(void)credentials_malformed(&credentials, &err);
		front_refuse(front, request, NULL, request_id, &err, NULL);
	}
}
