/* session.h - one blocking connection, for what runs before a loop does
 *
 * Migrations and first-time set-up. Never on a loop. The same errors, values and
 * results as everywhere in db. [main thread, no loop running]
 */
#ifndef MORTISE_DB_SESSION_H
#define MORTISE_DB_SESSION_H

#include "base/mem.h"
#include "db/value.h"

struct db_session; /* opaque */

/* timeout_ms bounds the connecting. ERR_CONFIG: the url cannot be read. ERR_UNAVAIL: no answer, or
 * the login was refused. */
int db_session_open(
	struct db_session **out, const char *url, unsigned timeout_ms, struct error *err);
void db_session_free(struct db_session *s);
CLEANUP_FUNCTION(struct db_session, db_session_free)

/* Run a script of statements without parameters as it stands. */
int db_session_run(struct db_session *s, const char *script, struct error *err);

/* Run one statement. *out, to be released with db_session_clear(), may be NULL. */
int db_session_query(struct db_session *s, const char *sql, const struct db_param *params, size_t n,
	struct db_result *out, struct error *err);
void db_session_clear(struct db_result *result);

/* Set a role's password, as a SCRAM verifier made here: the password is in no statement and so in
 * no log of the server. */
int db_session_set_password(
	struct db_session *s, const char *role, const char *password, struct error *err);

/* What the server said at the last failure besides err's text; "" for nothing. For logs. */
const char *db_session_detail(const struct db_session *s);

#endif
