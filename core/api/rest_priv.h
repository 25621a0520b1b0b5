/* rest_priv.h - what the routes of /v1 share
 *
 * A rest_call is one request. It lives until it was answered or its client has left, and nothing
 * that was started for it is under way: what is started is counted by rest_begin(), and its
 * callback asks rest_end() first whether anybody still wants the answer. [loop thread]
 */
#ifndef MORTISE_API_REST_PRIV_H
#define MORTISE_API_REST_PRIV_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "api/api.h"
#include "api/routes.h"
#include "base/error.h"
#include "base/list.h"
#include "base/text.h"
#include "identity/access.h"
#include "store/store.h"

#define REST_LIMIT_DEFAULT 50u
#define REST_LIMIT_MAX     500u
#define REST_JSON_MAX      (1u << 20)
#define REST_ID_SIZE       48
#define REST_PEER_SIZE     48
#define REST_KEY_MAX       64u
#define REST_ENDED_MAX     64u
#define REST_COOKIES_MAX   2

struct api {
	struct api_options options;
	struct follow *follow; /* the catalog's graph */
	char *environment;
	char *node;
	char *log_folder;
	char *spool_folder;
	struct routes *routes;
	struct refusals *refusals;
	struct list watches;           /* of changes */
	int64_t ended[REST_ENDED_MAX]; /* changes of this node whose routes are everywhere */
	size_t ended_count;            /* ever */
	struct list streams;           /* of logs */
	bool stopping;
};

enum rest_object { /* what narrows the scope */
	REST_OBJECT_NONE,
	REST_OBJECT_PLUGIN, /* {publisher}/{plugin} of the path */
	REST_OBJECT_BODY    /* stands in the body: the route asks rest_allowed() itself */
};

enum rest_body {
	REST_BODY_NONE,
	REST_BODY_JSON,  /* an object; an empty body is an empty one */
	REST_BODY_STREAM /* the route reads it */
};

struct rest_call;

/* The rule of a route. It comes first and is made by REST_ROUTE() alone, so that a route which
 * names no rule of access.def does not compile (tests/lint/check-routes). */
struct rest_rule {
	enum access_action action;
};

struct rest_route {
	struct rest_rule rule;
	const char *method; /* NULL ends a table */
	const char *pattern;
	enum rest_object object;
	enum rest_body body;
	void (*serve)(struct rest_call *call);
};

#define REST_RULE_CHECK(action)                                                              \
	sizeof(struct {                                                                      \
		_Static_assert((action) != ACCESS_NONE, "a route has a rule of access.def"); \
		char checked;                                                                \
	})
#define REST_RULE(action)                                                    \
	{                                                                    \
		(enum access_action)((action) + 0 * REST_RULE_CHECK(action)) \
	}

/* REST_ROUTE("GET", "/v1/keys", KEY_READ, NONE, NONE, list): method, pattern, the rule's name in
 * access.def, REST_OBJECT_ and REST_BODY_ without their prefix, the function. */
#define REST_ROUTE(method, pattern, rule, object, body, serve)                                     \
	{                                                                                          \
		REST_RULE(ACCESS_##rule), method, pattern, REST_OBJECT_##object, REST_BODY_##body, \
			serve                                                                      \
	}

#define REST_ROUTES_END        \
	{                      \
		.method = NULL \
	}

extern const struct rest_route rest_access_routes[], rest_audit_routes[], rest_changes_routes[],
	rest_installations_routes[], rest_key_ring_routes[], rest_keys_routes[], rest_logs_routes[],
	rest_packages_routes[], rest_privacy_routes[], rest_passwords_routes[],
	rest_plugins_routes[], rest_second_factor_routes[], rest_secrets_routes[],
	rest_services_routes[], rest_sessions_routes[], rest_settings_routes[], rest_teams_routes[],
	rest_trust_routes[], rest_usage_routes[], rest_users_routes[], rest_whoami_routes[];

/* All of them, NULL at the end. */
extern const struct rest_route *const rest_tables[];

struct rest_call {
	uint32_t magic;
	struct api *api;
	struct http_request *request; /* NULL: answered, or its client has left */
	struct principal *who;
	const struct rest_route *route;
	struct routes_found params;
	unsigned under_way;
	struct db_context context; /* for the store */
	struct text body;
	json_t *json;
	void *state; /* of the route, */
	void (*state_free)(void *state);
	void (*on_over)(struct rest_call *call); /* it was answered, or its client has left */
	void (*on_writable)(struct rest_call *call);
	void (*on_body)(struct rest_call *call, struct span piece, bool last);
	char id[REST_ID_SIZE];
	char peer[REST_PEER_SIZE];
	char plugin[100];                /* "publisher/plugin" of the path */
	char *cookies[REST_COOKIES_MAX]; /* Set-Cookie fields of an answer in JSON; owned */
};

/* Something was started that will call back. */
void rest_begin(struct rest_call *call);
/* Its callback begins: false when nobody wants the answer (call may be gone then). */
bool rest_end(struct rest_call *call);

/* Answers; the request is over after each. */
void rest_problem(struct rest_call *call, const struct error *err);
/* The same where no reason has to be put together; and with Retry-After. */
void rest_refuse(struct rest_call *call, int code, const char *text);
void rest_problem_later(struct rest_call *call, const struct error *err, unsigned retry_after_s);
void rest_invalid(struct rest_call *call, const char *pointer, const char *detail);
/* json is taken over. ETag and If-None-Match are seen to for a GET. */
void rest_json(struct rest_call *call, int status, json_t *json);
/* The same with a Location. */
void rest_created(struct rest_call *call, int status, const char *location, json_t *json);
/* {"items","next"} and Link; items is taken over. list and filters name the cursor. */
void rest_list(struct rest_call *call, json_t *items, const char *list, struct span filters,
	struct span next);

/* If-Match (RFC 9110 section 13.1.1): did the client name what it has seen, and is it still so?
 * rest_matches() is false (answered) when now, the resource as GET shows it, is something else. */
bool rest_is_conditional(const struct rest_call *call);
bool rest_matches(struct rest_call *call, const json_t *now);

/* The path parameter, decoded into buffer; answers and returns false when it is not UTF-8. */
bool rest_param(struct rest_call *call, const char *name, char *buffer, size_t size);
/* {user} of the path: an id, a username, or `me`. */
#define REST_USER_SIZE 128
bool rest_user(struct rest_call *call, char user[static REST_USER_SIZE]);
/* Does the asker have the right to that, too? Answers and returns false when not. */
bool rest_may(struct rest_call *call, enum access_action action);
/* Access on an object that the body names; answers and returns false when it is refused. */
bool rest_allowed(struct rest_call *call, struct span object);
/* The Idempotency-Key, SPAN_NONE when there is none; false (answered) when it is malformed. */
bool rest_operation_key(struct rest_call *call, struct span *key);

/* Query parameters. What nobody reads is refused at the end. */
#define REST_QUERY_MAX 16
struct rest_query {
	struct rest_call *call;
	const char *known[REST_QUERY_MAX];
	size_t known_count;
	char buffer[8192];
	size_t used;
	struct text filters; /* "type=library&": what the cursor is bound to */
	struct text position;
	struct error err;
};
void rest_query_init(struct rest_query *q, struct rest_call *call);
void rest_query_done(struct rest_query *q);
struct span rest_query_text(struct rest_query *q, const char *name);   /* a filter */
struct span rest_query_option(struct rest_query *q, const char *name); /* no filter */
uint64_t rest_query_number(
	struct rest_query *q, const char *name, uint64_t min, uint64_t max, uint64_t fallback);
/* `after`, decoded; to be read behind all filters. */
struct span rest_query_after(struct rest_query *q, const char *list);
/* False: something was wrong, and is answered. */
bool rest_query_end(struct rest_query *q);

/* JSON of values as the database gives them: null where there is nothing. */
json_t *rest_text(struct span s);
json_t *rest_texts(struct db_array items);
json_t *rest_time(int64_t us);
json_t *rest_raw(struct span json);
json_t *rest_number(int64_t number, int64_t none);
json_t *rest_real(double number);

/* Server-sent events. */
bool rest_wants_events(const struct rest_call *call);
void rest_events_begin(struct rest_call *call);
/* False: the client is slow, nothing was sent; on_writable follows. id and event may be NULL. */
bool rest_event(struct rest_call *call, const char *id, const char *event, struct span data);
bool rest_heartbeat(struct rest_call *call);
void rest_events_end(struct rest_call *call);

/* An answer in pieces of unknown length, kept by no cache. write is false when the client is slow:
 * nothing was taken, and on_writable follows. cut: what comes cannot be made; the client sees that
 * the answer is not whole. */
void rest_stream_begin(struct rest_call *call, struct span type);
bool rest_stream_write(struct rest_call *call, struct span piece);
void rest_stream_end(struct rest_call *call);
void rest_stream_cut(struct rest_call *call, const struct error *err);

/* Timers of the program. */
uint64_t rest_timer(struct rest_call *call, uint32_t ms, api_timer_cb fire, void *user);
void rest_timer_stop(struct rest_call *call, uint64_t timer);

#endif
