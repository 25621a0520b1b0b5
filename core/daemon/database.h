/* database.h - the database before the loop runs: schema, logins, the first administrator
 *
 * As the owner, whose URL is MORTISE_DATABASE or that of the embedded server. The
 * passwords of the two logins are not chosen but derived, so that several hosts on
 * one cluster, which share its roles, come to the same. Blocks. [main thread]
 */
#ifndef MORTISE_DAEMON_DATABASE_H
#define MORTISE_DAEMON_DATABASE_H

#include "base/text.h"

struct data_folder;
struct error;
struct key_ring;

struct database_urls {
	char *front;
	char *supervisor;
};

typedef void (*database_step_cb)(const char *name, const char *text, void *user);

struct database_options {
	const char *owner_url;
	const struct data_folder *folder;
	bool embedded;
	const char *key_ring_path;
	database_step_cb step; /* hears what was done */
	void *user;
};

/* Bring the schema up to date; see that *ring is this database's key ring, making it at its path
 * where neither has one (*ring NULL); set the logins' passwords, whose secret the ring gives where
 * the owner has no password in its URL; and write DATA/admin.token if there is none. *out and *ring
 * are the caller's. ERR_KEY_RING_OTHER: secrets are sealed with keys that the ring does not have.
 */
int database_prepare(struct database_urls *out, struct key_ring **ring,
	const struct database_options *options, struct error *err);
void database_urls_done(struct database_urls *urls);

/* Let fronts go by another URL, with their login put into it. ERR_CONFIG. */
int database_front_by(struct database_urls *urls, const char *url, struct error *err);

/* The URL with another user and password; NULL: it is not a URL of the form that we can change. */
char *database_login_url(const char *url, const char *user, const char *password);

#endif
