/* lifecycle_priv.h - what lifecycle.c and change.c share
 */
#ifndef MORTISE_LIFECYCLE_LIFECYCLE_PRIV_H
#define MORTISE_LIFECYCLE_LIFECYCLE_PRIV_H

#include "lifecycle/lifecycle.h"
#include "store/changes.h"
#include "store/installations.h"

#define LIFECYCLE_RETRY_MS 250 /* while the database is away */

struct lifecycle {
	struct db_pool *db;
	char *node;
	char *environment;
	const struct lifecycle_hooks *hooks;
	void *user;
	int64_t token;  /* 0: before the first life */
	uint64_t clock; /* of our own steps, for installation.touched */
	struct list installations;
	struct list instances;
	struct list changes;
	bool stopping;
	/* Reading rows and claims. */
	bool reading;
	bool read_again;
	bool claiming;
	bool claim_again;
	bool settled;     /* the first read of this life has been acted on */
	bool first_claim; /* of this life: what it finds is an earlier life's */
	uint64_t read_at; /* clock when the read began */
	int64_t read_token;
	size_t read_rows;
	char last_id[LIFECYCLE_ID_MAX + 1];
};

struct store_fence lifecycle_fence(const struct lifecycle *lc);

struct installation *lifecycle_find(struct lifecycle *lc, struct span plugin);
struct installation *lifecycle_find_id(struct lifecycle *lc, struct span id);
struct installation *lifecycle_add(struct lifecycle *lc, struct span id, struct span plugin);
/* Take over what a row says of the wish. */
void lifecycle_update(struct installation *i, const struct store_installation *row);
void lifecycle_forget(struct installation *i); /* no instance of it is left */

/* facts are moved in. */
struct instance *instance_new(struct lifecycle *lc, struct installation *installation,
	struct facts *facts, struct span config, struct span permissions);
void instance_free(struct instance *inst);

/* "MRT-3005" with text and advice, as JSON. */
char *lifecycle_error_json(const struct error *err);
/* A short outage: the statement did not happen and may be sent again. */
bool lifecycle_may_retry(const struct error *err);

/* What an instance that failed for good leaves to do, once no change holds its installation. */
void lifecycle_bury(struct lifecycle *lc, struct instance *inst);

enum action {
	ACTION_INSTALL,
	ACTION_UPDATE,
	ACTION_CONFIGURE,
	ACTION_ENABLE,
	ACTION_DISABLE,
	ACTION_UNINSTALL,
	ACTION_COUNT
};

/* Run a claimed change. interrupted: an earlier life had begun it. */
void change_run(struct lifecycle *lc, const struct store_change *row, bool interrupted);
/* Do what a change of another node did, on this one: the same steps without a row. */
void change_follow(struct installation *i, enum action action);
/* The node's life is over: no further step of it. */
void change_abandon(struct change *c);
/* The number of a change whose last transaction was sent; 0: it is not there yet. */
int64_t change_ending(const struct change *c);
struct change *change_of_link(struct list *link);

#endif
