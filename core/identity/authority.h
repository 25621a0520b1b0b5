/* authority.h - whose key or session is this, as of now
 *
 * Answers from a cache that counts only while the database has confirmed, within stale_max_ms,
 * that nothing it holds has changed; otherwise it asks for that one key or session token, and when
 * that cannot be asked there is no answer (ERR_UNAVAIL): authority is never guessed. Confirming
 * means reading the feed of authority (store/feeds.h) and forgetting what it names. Uses of keys
 * and sessions are counted here and written in batches. Knows no HTTP and has no timer:
 * authority_tick() is called every AUTHORITY_TICK_MS or so. [loop thread]
 */
#ifndef MORTISE_IDENTITY_AUTHORITY_H
#define MORTISE_IDENTITY_AUTHORITY_H

#include <stdint.h>

#include "base/text.h"

struct authority; /* opaque */
struct db_pool;
struct error;
struct principal;

#define AUTHORITY_TICK_MS 100

struct authority *authority_new(struct db_pool *db, uint64_t stale_max_ms);
/* No callback comes after it; the pool has ended its statements before. */
void authority_free(struct authority *a);

/* Of an API key or a session token. 0 with a borrowed principal. ERR_KEY_MALFORMED: neither of
 * them. ERR_AGAIN: authority_ask(). */
int authority_find(struct authority *a, struct span key, struct principal **out);

/* rc 0 with a borrowed principal, or ERR_KEY_UNKNOWN, ERR_SESSION_UNKNOWN, ERR_UNAVAIL. err is NULL
 * when rc is 0. */
typedef void (*authority_cb)(
	void *user, int rc, struct principal *principal, const struct error *err);

/* Ask the database. done comes once, later. */
void authority_ask(struct authority *a, struct span key, authority_cb done, void *user);

/* The own account of an installation, with its permissions (parted by blanks) for rights. */
void authority_account(struct authority *a, struct span installation, const char *permissions,
	authority_cb done, void *user);

/* The key or session of this principal was used. */
void authority_used(struct authority *a, const struct principal *p);

/* Confirm when it is time, write uses when it is time. */
void authority_tick(struct authority *a);
/* The database says that authority has changed: confirm now. */
void authority_ring(struct authority *a);
/* Write the counted uses now. */
void authority_flush(struct authority *a);

#endif
