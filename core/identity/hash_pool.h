/* hash_pool.h - passwords are hashed off the loop, a few at once
 *
 * A hash takes a tenth of a second of a core. So many run at once, so many may wait; the next is
 * refused (ERR_LOGINS_BUSY) when it asks for a place, before anything else is done for it. They run
 * on libuv's pool, whose threads give way to the loop (the first hash on a thread lowers it for
 * good: an ordinary user may not raise it again; nobody waits for milliseconds on that pool). Knows
 * no users and no table. [loop thread]
 */
#ifndef MORTISE_IDENTITY_HASH_POOL_H
#define MORTISE_IDENTITY_HASH_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "identity/password.h"

struct error;
struct hash_pool; /* opaque */
struct uv_loop_s;

struct hash_pool_options {
	struct uv_loop_s *loop;
	unsigned cost;     /* today's, PASSWORD_COST_MIN to PASSWORD_COST_MAX */
	unsigned parallel; /* hashes at once, at least 1 */
	unsigned waiting;  /* places beside those */
};

struct hash_pool *hash_pool_new(const struct hash_pool_options *options);

/* What waits is told ERR_CANCELLED, what runs comes to its end, places are given back; then
 * closed(user) is called and the pool is gone. closed may be NULL. */
void hash_pool_close(struct hash_pool *pool, void (*closed)(void *user), void *user);

/* Rounds of bcrypt computed since the start: as many for each answer of hash_pool_compare(). */
uint64_t hash_pool_rounds(const struct hash_pool *pool);

/* Take a place: 0, then follows exactly one of hash_pool_make(), hash_pool_compare() and
 * hash_pool_leave(). ERR_LOGINS_BUSY: there is none. */
int hash_pool_enter(struct hash_pool *pool, struct error *err);
void hash_pool_leave(struct hash_pool *pool);

/* Called once, later. err is NULL when it went well; ERR_CANCELLED: the pool closes. */
typedef void (*hash_pool_made_cb)(void *user, const struct error *err, const char *hash);
/* raised: the password's hash at today's cost when it matched and the stored one is of another cost
 * or was made elsewhere, else NULL. */
typedef void (*hash_pool_compared_cb)(
	void *user, const struct error *err, bool matches, const char *raised);

/* Hash a password that password_check() took. It is copied, and wiped after. */
void hash_pool_make(
	struct hash_pool *pool, struct span password, hash_pool_made_cb done, void *user);

/* Compare as password_matches() does; deny: whatever the answer is, it is no (and costs the same).
 */
void hash_pool_compare(struct hash_pool *pool, struct span password,
	const struct password_stored *stored, bool deny, hash_pool_compared_cb done, void *user);

#endif
