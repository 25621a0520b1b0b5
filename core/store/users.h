/* users.h - people and accounts; never a password or a second factor
 *
 * What is personal (e-mail address, telephone, preferences, last login) is none unless the asker is
 * the user himself or an administrator. A user is named by id or username, in any case of letters.
 */
#ifndef MORTISE_STORE_USERS_H
#define MORTISE_STORE_USERS_H

#include "store/store.h"

struct store_user {
	struct span id;
	struct span name;
	struct span username;
	struct span avatar;
	struct span email;
	struct span phone_number;
	struct span provider;
	struct span provider_id;
	struct span role;
	bool active;
	bool second_factor;
	struct span preferences; /* JSON */
	int64_t last_login;      /* 0: never, or not to be seen */
	int64_t created_at;
	int64_t updated_at;
	struct span teams;    /* JSON: [{"name","role"}] */
	struct span position; /* in the order of lists: what the next page begins behind */
};
typedef void (*store_users_cb)(
	const struct error *err, const struct store_user *rows, size_t n, void *user);

/* One row. ERR_NOT_FOUND: unknown or deleted. [front] */
void store_user_get(struct db_pool *db, const struct db_context *context, struct span name,
	store_users_cb done, void *user);

struct store_users_filter { /* a span without data: any */
	struct span after;  /* a position */
	unsigned limit;
	struct span q; /* a part of a name or, for administrators, of an e-mail address */
	struct span role;
	struct span active; /* "true", "false" */
	struct span team;
	struct span provider; /* any but the accounts of plugins and teams, unless it names them */
};

/* Users by name. [front] */
void store_users_list(struct db_pool *db, const struct db_context *context,
	const struct store_users_filter *filter, store_users_cb done, void *user);

/* One row: the new user. members is a JSON object with members named like the columns. hash: of the
 * password of a local user, else none. ERR_PERMISSION, ERR_CONFLICT: a name is taken. [front] */
void store_user_create(struct db_pool *db, const struct db_context *context, struct span members,
	struct span hash, store_users_cb done, void *user);

/* One row: the user as he is now. patch as in RFC 7396. seen: updated_at of what the asker has
 * seen, 0 for any. ERR_NOT_FOUND, ERR_PERMISSION, ERR_CONFLICT, ERR_PRECONDITION, ERR_LAST_ADMIN.
 * [front] */
void store_user_change(struct db_pool *db, const struct db_context *context, struct span name,
	struct span patch, int64_t seen, store_users_cb done, void *user);

/* One row. Deactivated, a user has no sessions and his keys count for nothing. ERR_ALREADY,
 * ERR_LAST_ADMIN. [front] */
void store_user_activate(struct db_pool *db, const struct db_context *context, struct span name,
	bool active, struct span reason, store_users_cb done, void *user);

/* The text is the id. ERR_LAST_ADMIN, ERR_LAST_OWNER. [front] */
void store_user_delete(struct db_pool *db, const struct db_context *context, struct span name,
	struct span reason, store_text_cb done, void *user);

struct store_membership {
	struct span team_id;
	struct span team_name;
	struct span team_display_name;
	struct span role; /* OWNER, MAINTAINER, MEMBER */
};
typedef void (*store_memberships_cb)(
	const struct error *err, const struct store_membership *rows, size_t n, void *user);

/* Teams of a user (his id), by name, behind the one named after (none: from the first). [front] */
void store_user_teams(struct db_pool *db, const struct db_context *context, struct span user_id,
	struct span after, unsigned limit, store_memberships_cb done, void *user);

#endif
