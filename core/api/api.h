/* api.h - what outsiders may call: /v1 for people, extensions for plugins
 *
 * Translates between HTTP or a plugin's call and the modules that decide and keep: identity,
 * catalog, store. Every route of /v1 has a rule of the access table; one without does not start.
 * What the program owns (timers, the supervisor) is lent through struct api_host. [loop thread]
 */
#ifndef MORTISE_API_API_H
#define MORTISE_API_API_H

#include <stdint.h>

#include "base/text.h"

struct api; /* opaque */
struct db_pool;
struct error;
struct front_staged;
struct http_request;
struct principal;
struct uv_loop_s;

typedef void (*api_timer_cb)(void *user);
typedef void (*api_staged_cb)(void *user, const struct front_staged *message);
/* err is NULL when it went well; both are borrowed until it returns. */
typedef void (*api_call_cb)(void *user, const struct error *err, struct span json);

struct api_host {
	/* Call fire(user) once, ms from now. A number to stop it with; 0 is none. */
	uint64_t (*timer)(void *host, uint32_t ms, api_timer_cb fire, void *user);
	void (*timer_stop)(void *host, uint64_t timer);
	/* Hand a package to the supervisor. fd stays the caller's. done comes once, later; message
	 * NULL: the supervisor is gone. */
	void (*stage)(void *host, int fd, uint64_t size, struct span user_id, api_staged_cb done,
		void *user);
	/* Call, as the host itself, the plugin that provides the extension ("notify/1"). json is
	 * an object of at most 1 MiB. done comes once, later. ERR_NOT_FOUND: no plugin here
	 * provides it; ERR_UNAVAIL: not started; ERR_UNKNOWN: perhaps done; or the plugin's own. */
	void (*call)(void *host, struct span extension, struct span method, struct span json,
		uint32_t timeout_ms, api_call_cb done, void *user);
};

struct api_options {
	struct uv_loop_s *loop;
	struct db_pool *db;
	const char *environment;
	const char *node;
	const char *log_folder;   /* of the plugins' logs */
	const char *spool_folder; /* for packages on their way */
	uint64_t package_bytes;
	const struct api_host *host;
	void *host_user;
};

/* Everything in options is copied or outlives it. ERR_INTERNAL: a route has no rule, or two are the
 * same. */
int api_new(struct api **out, const struct api_options *options, struct error *err);
/* After the HTTP server and the pool have closed. */
void api_free(struct api *api);

/* Answer a request below /v1. who is borrowed. peer is the client's address as text. */
void api_serve(struct api *api, struct http_request *request, struct principal *who,
	struct span request_id, struct span peer);

/* A NOTIFY of the database. */
void api_notify(struct api *api, struct span topic, struct span payload);

/* End the streams, so that their clients come back elsewhere. */
void api_stop(struct api *api);

#endif
