/* api.h - what outsiders may call: /v1 for people, extensions for plugins
 *
 * Translates between HTTP or a plugin's call and the modules that decide and keep: identity,
 * catalog, store. Every route of /v1 has a rule of the access table; one without does not compile.
 * What the program owns (timers, the supervisor) is lent through struct api_host. [loop thread]
 */
#ifndef MORTISE_API_API_H
#define MORTISE_API_API_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"
#include "channel/protocol.h"

struct api; /* opaque */
struct db_pool;
struct error;
struct hash_pool;
struct http_request;
struct principal;
struct settings;
struct refusals;
struct uv_loop_s;

typedef void (*api_timer_cb)(void *user);
typedef void (*api_staged_cb)(void *user, const struct front_staged *message);
/* err is NULL when it went well; both are borrowed until it returns. */
typedef void (*api_call_cb)(void *user, const struct error *err, struct span json);
typedef void (*api_key_ring_cb)(void *user, const struct error *err, struct span result);
typedef void (*api_fetch_cb)(void *user, const struct fetch_result *result);

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
	/* Have the supervisor use the master keys. context names the place that the data stands in:
	 * `users.mfa_secret:<id>`, `users.mfa_backup_codes:<id>` (DIGEST alone) or
	 * `plugin_installations.secrets:<id>:<name>`. data is at most KEY_RING_DATA_MAX bytes. done
	 * comes once, later; its result is borrowed until it returns, and wiped then. ERR_SEALED:
	 * the envelope was made for another place, or is broken; ERR_NOT_FOUND: no key of the ring
	 * made it. */
	void (*key_ring)(void *host, enum key_ring_op op, struct span context, struct span data,
		api_key_ring_cb done, void *user);
	/* Ask another host, through mortise-fetch; the message is copied. A number to cancel it
	 * with; done comes once, later, also after that. 0: nothing was started, err says why, and
	 * done never comes. */
	uint64_t (*fetch_http)(void *host, const struct fetch_http *message, api_fetch_cb done,
		void *user, struct error *err);
	uint64_t (*fetch_mail)(void *host, const struct fetch_mail *message, api_fetch_cb done,
		void *user, struct error *err);
	void (*fetch_cancel)(void *host, uint64_t fetch);
};

struct api_options {
	struct uv_loop_s *loop;
	struct db_pool *db;
	const struct settings *settings; /* of login and sessions; outlive the api */
	struct hash_pool *hashes;        /* of passwords */
	const char *environment;
	const char *node;
	const char *log_folder;   /* of the plugins' logs */
	const char *spool_folder; /* for packages on their way */
	uint64_t package_bytes;
	const struct api_host *host;
	void *host_user;
};

/* Everything in options is copied or outlives it. ERR_CONFLICT: two routes are the same. */
int api_new(struct api **out, const struct api_options *options, struct error *err);
/* After the HTTP server and the pool have closed. */
void api_free(struct api *api);

/* May nobody at all ask this of /v1? Then a request without credentials goes to api_serve() too. */
bool api_is_public(const struct api *api, struct span method, struct span path);

/* Answer a request below /v1. who is borrowed; NULL only where api_is_public(). peer is the
 * client's address as text. */
void api_serve(struct api *api, struct http_request *request, struct principal *who,
	struct span request_id, struct span peer);

/* A NOTIFY of the database. */
void api_notify(struct api *api, struct span topic, struct span payload);

/* Where the program notes what it refuses itself. */
struct refusals *api_refusals(struct api *api);

/* End the streams, so that their clients come back elsewhere. */
void api_stop(struct api *api);

#endif
