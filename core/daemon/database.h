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

/* Bring the schema up to date, set the logins' passwords, and write DATA/admin.token if there is
 * none. The ring gives the logins' secret where the owner has no password in its URL. *out is the
 * caller's. */
int database_prepare(struct database_urls *out, const char *owner_url,
	const struct data_folder *folder, bool embedded, struct key_ring *ring,
	database_step_cb step, void *user, struct error *err);
void database_urls_done(struct database_urls *urls);

/* The URL with another user and password; NULL: it is not a URL of the form that we can change. */
char *database_login_url(const char *url, const char *user, const char *password);

#endif
