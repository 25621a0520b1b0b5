/* listen.h - notifications from PostgreSQL
 *
 * One direct connection (never through a pooler) that LISTENs and reconnects by
 * itself. A notification is a doorbell and may be missed while the connection is
 * down: after each `connected` the truth is read anew. [loop thread]
 */
#ifndef MORTISE_DB_LISTEN_H
#define MORTISE_DB_LISTEN_H

#include <stdbool.h>

#include "base/text.h"

struct error;
struct uv_loop_s;
struct db_listener; /* opaque */

/* The spans end with the callback. */
typedef void (*db_notify_cb)(struct span channel, struct span payload, void *user);

struct db_listen_options {
	const char *url;
	const char *application;
	const char *const *channels; /* ends with NULL; static */
	db_notify_cb notify;
	/* connected: all channels are listened to now. Otherwise reason says why not. */
	void (*state)(bool connected, const struct error *reason, void *user); /* may be NULL */
	void *user;
};

/* ERR_CONFIG: the url cannot be read. */
int db_listen_start(struct db_listener **out, struct uv_loop_s *loop,
	const struct db_listen_options *options, struct error *err);

/* No callback but closed comes after this call. */
void db_listen_close(struct db_listener *listener, void (*closed)(void *user), void *user);

#endif
