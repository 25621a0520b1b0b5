/* supervisor.h - everything that runs on this node, kept as the rows want it
 *
 * Fronts, workers and stage jobs; the route table that fronts serve by; usage,
 * health and terminations on their way into the database; the node's lease. The
 * supervisor loads no plugin and parses no byte from outside. [loop thread]
 */
#ifndef MORTISE_SUPERVISE_SUPERVISOR_H
#define MORTISE_SUPERVISE_SUPERVISOR_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/text.h"

struct db_pool;
struct error;
struct key_ring;
struct settings;
struct supervisor; /* opaque */
struct uv_loop_s;

#define SUPERVISOR_FRONTS_MAX 64
/* Users of our own, counted from the setting 'uid.base': stage's, then those of workers, then: */
#define SUPERVISOR_UID_FETCH 100000

/* All of it outlives the supervisor. */
struct supervisor_options {
	const struct settings *settings;
	struct db_pool *db;         /* login mortise_supervisor */
	struct key_ring **key_ring; /* replaced when its file changes; the caller frees */
	const char *front_database; /* URL of mortise_front's login */
	const char *node;
	const char *data; /* folders, as data_folder.h has them */
	const char *run;
	int logs_fd;
	bool root;
	uid_t service_uid;
	gid_t service_gid;
	const char *shim;    /* path of mortised */
	const char *program; /* folder of the other programs */
	const int *listeners;
	size_t listener_count;
	/* Once: a front serves, and all that shall run has been started. */
	void (*on_ready)(void *user);
	/* Instead: no front can be started. The caller closes. */
	void (*on_failed)(void *user, const struct error *err);
	/* After supervisor_close(). */
	void (*on_closed)(void *user);
	void *user;
};

int supervisor_start(struct supervisor **out, struct uv_loop_s *loop,
	const struct supervisor_options *options, struct error *err);

/* The pool has a connection. */
void supervisor_connected(struct supervisor *s);
/* A notification of the database. */
void supervisor_notify(struct supervisor *s, struct span channel, struct span payload);
/* Notifications may have been missed: look at everything. */
void supervisor_look(struct supervisor *s);

/* End all processes: fronts finish what they hold, then plugins stop. fast, also in a second
 * call: kill them. */
void supervisor_close(struct supervisor *s, bool fast);

/* After on_closed and the pool's close. */
void supervisor_free(struct supervisor *s);

#endif
