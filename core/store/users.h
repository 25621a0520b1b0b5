/* users.h - people and accounts; never a password or a second factor
 */
#ifndef MORTISE_STORE_USERS_H
#define MORTISE_STORE_USERS_H

#include "store/store.h"

struct store_user {
	struct span id;
	struct span name;
	struct span username;
	struct span email;
	struct span provider;
	struct span provider_id;
	struct span role;
	bool active;
	int64_t created_at;
};
typedef void (*store_users_cb)(
	const struct error *err, const struct store_user *rows, size_t n, void *user);

/* One row. ERR_NOT_FOUND: unknown or deleted. [front] */
void store_user_get(struct db_pool *db, const struct db_context *context, struct span id,
	store_users_cb done, void *user);

struct store_membership {
	struct span team_id;
	struct span team_name;
	struct span team_display_name;
	struct span role; /* OWNER, MAINTAINER, MEMBER */
};
typedef void (*store_memberships_cb)(
	const struct error *err, const struct store_membership *rows, size_t n, void *user);

/* Teams of a user, by name. [front] */
void store_user_teams(struct db_pool *db, const struct db_context *context, struct span user_id,
	store_memberships_cb done, void *user);

#endif
