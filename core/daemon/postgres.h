/* postgres.h - the embedded PostgreSQL: one command must be enough
 *
 * The distribution's server with a data folder of its own: Unix socket only,
 * SCRAM passwords, under the database user when the host runs as root. It dies
 * with the host; an end of its own is answered by a new start. Production names
 * a database instead. Knows no table. [loop thread]
 */
#ifndef MORTISE_DAEMON_POSTGRES_H
#define MORTISE_DAEMON_POSTGRES_H

struct data_folder;
struct error;
struct uv_loop_s;
struct postgres; /* opaque */

typedef void (*postgres_closed_cb)(void *user);

/* Make the cluster if there is none, start the server and wait for it to answer; before the loop
 * runs for good. shim is the path of mortised. ERR_NOT_FOUND: PostgreSQL is not installed;
 * ERR_POSTGRES: it does not run, with its reason. */
int postgres_start(struct postgres **out, struct uv_loop_s *loop, const struct data_folder *folder,
	const char *shim, struct error *err);

/* The owner's URL, which also stands in DATA/owner.url. */
const char *postgres_url(const struct postgres *p);

/* Fast shutdown; after a while, or when called again, the immediate one. closed comes once, after
 * the server is gone and p with it; of a second call only the haste counts. */
void postgres_close(struct postgres *p, postgres_closed_cb closed, void *user);

#endif
