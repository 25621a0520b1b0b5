/* teams.h - ownership groups: a tree of teams, and who belongs to them
 *
 * Teams are named by their name. Who may write them is the policies' to say: elevated people, and
 * owners and maintainers of the team.
 */
#ifndef MORTISE_STORE_TEAMS_H
#define MORTISE_STORE_TEAMS_H

#include "store/store.h"

struct store_team {
	struct span id;
	struct span name;
	struct span display_name;
	struct span description;
	struct span avatar;
	struct span parent;   /* its name */
	struct span settings; /* JSON, as metadata */
	struct span metadata;
	bool active;
	struct span provider; /* the installation that made it; none: people did */
	int64_t members;
	int64_t created_at;
	int64_t updated_at;
};
typedef void (*store_teams_cb)(
	const struct error *err, const struct store_team *rows, size_t n, void *user);

/* One row. ERR_NOT_FOUND: unknown or deleted. [front] */
void store_team_get(struct db_pool *db, const struct db_context *context, struct span name,
	store_teams_cb done, void *user);

struct store_teams_filter { /* a span without data: any */
	struct span after;  /* a name */
	unsigned limit;
	struct span q; /* a part of a name */
	struct span parent;
	struct span member; /* a user's id */
};

/* Teams by name. [front] */
void store_teams_list(struct db_pool *db, const struct db_context *context,
	const struct store_teams_filter *filter, store_teams_cb done, void *user);

/* One row: the new team. members is a JSON object with members named like the columns, `parent` (a
 * team) and `owner` (a user). ERR_PERMISSION, ERR_CONFLICT: the name is taken; ERR_NOT_FOUND: the
 * parent or the owner is. [front] */
void store_team_create(struct db_pool *db, const struct db_context *context, struct span members,
	store_teams_cb done, void *user);

/* One row: the team as it is now. patch as in RFC 7396; seen: updated_at of what the asker has
 * seen, 0 for any. ERR_PERMISSION, ERR_CONFLICT, ERR_PRECONDITION, ERR_TEAM_CYCLE. [front] */
void store_team_change(struct db_pool *db, const struct db_context *context, struct span name,
	struct span patch, int64_t seen, store_teams_cb done, void *user);

/* The text is the id. ERR_TEAM_NEEDED: it owns services, or teams stand below it. [front] */
void store_team_delete(struct db_pool *db, const struct db_context *context, struct span name,
	struct span reason, store_text_cb done, void *user);

struct store_member {
	struct span user_id;
	struct span username;
	struct span name;
	bool active;
	struct span role; /* OWNER, MAINTAINER, MEMBER */
	int64_t joined_at;
	struct span position; /* what the next page begins behind */
};
typedef void (*store_members_cb)(
	const struct error *err, const struct store_member *rows, size_t n, void *user);

/* Members by name. ERR_NOT_FOUND. [front] */
void store_members_list(struct db_pool *db, const struct db_context *context, struct span team,
	struct span after, unsigned limit, store_members_cb done, void *user);

enum store_member_change { STORE_MEMBER_ADD, STORE_MEMBER_CHANGE };

/* One row: the member. ERR_NOT_FOUND, ERR_PERMISSION, ERR_ALREADY, ERR_LAST_OWNER. [front] */
void store_member_put(struct db_pool *db, const struct db_context *context,
	enum store_member_change change, struct span team, struct span member, struct span role,
	store_members_cb done, void *user);

/* The text is the user's id. ERR_NOT_FOUND, ERR_PERMISSION, ERR_LAST_OWNER. [front] */
void store_member_remove(struct db_pool *db, const struct db_context *context, struct span team,
	struct span member, store_text_cb done, void *user);

#endif
