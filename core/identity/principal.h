/* principal.h - who asks
 *
 * A principal is the answer to "whose key or session is this": the user, the key or session and
 * its scopes, as they stood when the database was asked. Immutable and shared by
 * reference; whether it still counts is authority.h's to say. [loop thread]
 */
#ifndef MORTISE_IDENTITY_PRINCIPAL_H
#define MORTISE_IDENTITY_PRINCIPAL_H

#include <stdbool.h>
#include <stdint.h>

#include "identity/scope.h"

#define PRINCIPAL_ID_SIZE 32 /* a cuid of at most 30 bytes and its NUL */

enum role { /* each may do what the one before may */
	ROLE_VIEWER,
	ROLE_DEVELOPER,
	ROLE_PLATFORM_ENGINEER,
	ROLE_ADMIN,
	ROLE_COUNT
};

/* The word of the database ("PLATFORM_ENGINEER"); ROLE_COUNT for anything else. */
enum role role_from(struct span name);
const char *role_name(enum role role);

struct principal {
	uint32_t refs;
	enum role role;
	bool account; /* of a plugin: the scopes are its permissions, the role counts for nothing */
	bool half;    /* a session that has shown a password and still owes a second factor */
	bool by_cookie; /* a session whose token is a browser's cookie, and counts as nothing else
			 */
	char user_id[PRINCIPAL_ID_SIZE];
	char team_id[PRINCIPAL_ID_SIZE];    /* "" for a person's key */
	char key_id[PRINCIPAL_ID_SIZE];     /* "" for a session */
	char session_id[PRINCIPAL_ID_SIZE]; /* "" for a key */
	char key_hash[65];                  /* of the key or of the session's token */
	char *user_name;
	char *user_provider; /* "system", "local", "plugin", "team", ... */
	struct scopes scopes;
	int64_t rate_limit;    /* requests an hour; 0: unlimited */
	int64_t expires_us;    /* real time; 0: never */
	int64_t idle_us;       /* a session unused for so long is over; 0: no such limit */
	char *allowed_ips;     /* "10.0.0.0/8,::1" as the database writes networks; NULL: any */
	char *allowed_origins; /* newline-separated; NULL: any */
};

struct principal *principal_new(void); /* zeroed, one reference */
struct principal *principal_ref(struct principal *p);
void principal_unref(struct principal *p); /* NULL is fine */

/* May a key with this principal be used from that peer and origin ("" when none was sent)?
 * An address that cannot be read is not allowed. */
bool principal_allows_peer(const struct principal *p, const char *address);
bool principal_allows_origin(const struct principal *p, struct span origin);

#endif
