/* session.h - the sessions that `mortise login` keeps, one for each host
 *
 * A file of mode 0600 in the XDG state folder holds the tokens; whoever reads it is that user until
 * the session ends. Commands of one person that run at once share it: a lock lets one of them
 * refresh, the others read what it got. Blocking; main thread.
 */
#ifndef MORTISE_CLI_SESSION_H
#define MORTISE_CLI_SESSION_H

#include <jansson.h>

struct cli;
struct error;

/* The token of the kept session of this host, refreshed if it is about to expire; the caller's.
 * NULL: there is no session. */
int session_token(struct cli *cli, char **token, struct error *err);

/* The host does not take this token any more: get another, by the refresh token or from who was
 * faster. ERR_SESSION_UNKNOWN: the session is over (and forgotten). */
int session_renew(struct cli *cli, const char *token, char **fresh, struct error *err);

/* Keep what a login answered, in place of what was kept. */
int session_keep(struct cli *cli, const json_t *answer, struct error *err);

/* The kept session as it was answered, the caller's; NULL when there is none. */
int session_kept(struct cli *cli, json_t **out, struct error *err);
int session_forget(struct cli *cli, struct error *err);

#endif
