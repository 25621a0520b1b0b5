/* lifecycle.h - changes and reconcile: make what runs equal to what is wished
 *
 * Desired state is a row; this module reads the rows of its environment, runs the
 * changes that it claims, step by step in the one order of change.c, and follows
 * what other nodes did. It starts no process and sends no message: for that it
 * has hooks, and it learns the outcome by their callbacks. [loop thread]
 */
#ifndef MORTISE_LIFECYCLE_LIFECYCLE_H
#define MORTISE_LIFECYCLE_LIFECYCLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/list.h"
#include "base/text.h"
#include "lifecycle/facts.h"
#include "lifecycle/state.h"

struct db_pool;
struct lifecycle; /* opaque */
struct change;    /* opaque */

#define LIFECYCLE_ID_MAX 30

/* One plugin in this node's environment, as the last rows and our own steps have it. */
struct installation {
	struct list link;
	struct lifecycle *lifecycle;
	char id[LIFECYCLE_ID_MAX + 1];
	char *plugin;
	enum state state;         /* of this node's instance */
	struct instance *serving; /* whose routes stand; NULL: none */
	struct change *change;    /* of ours, running; NULL: none */
	uint64_t touched;         /* by our own steps: older rows tell nothing new */
	bool listed;              /* by the read that is under way */
	bool missed;              /* a row was passed over while our own steps ran */
	char *digest;             /* installed; NULL: none */
	char *version;
	char *config;
	char *permissions; /* granted, parted by spaces */
};

/* One package of an installation, that runs or is to run here. */
struct instance {
	struct list link;                  /* in lifecycle_instances() */
	struct installation *installation; /* NULL before the wish of a first install */
	char *plugin;
	char *version;
	char *digest;     /* "sha256:..." */
	char *config;     /* what the plugin gets: with the schema's defaults */
	char *row_config; /* the row's text that it was made of; NULL: of none yet */
	char *permissions;
	char *provides; /* extensions, parted by spaces */
	struct facts facts;
	bool routed;   /* it belongs into the route table */
	bool draining; /* it stands there to take no more */
	bool checked;  /* its files were hashed just now */
	dev_t device;  /* of the entry, then */
	ino_t inode;
	void *running;        /* of whoever implements the hooks; NULL: nothing runs */
	struct error failure; /* why it was given up */
};

typedef void (*lifecycle_done_cb)(void *arg, const struct error *err);
typedef void (*lifecycle_text_cb)(void *arg, const struct error *err, struct span text);

/* What others do for this module. Every callback runs exactly once, from the loop, never before
 * the hook has returned; err is NULL on success. */
struct lifecycle_hooks {
	/* Hash the files of the package; bring them back from the database if need be. */
	void (*verify)(void *user, struct instance *inst, lifecycle_done_cb done, void *arg);
	/* config with the schema's defaults, or the reason why it is not valid; JSON. */
	void (*configure)(void *user, struct span manifest, struct span config,
		lifecycle_text_cb done, void *arg);
	/* Give a plugin that runs inst->config. ERR_UNSUPPORTED: it takes none while it runs. Any
	 * other error: it refused, and has the one before. */
	void (*apply)(void *user, struct instance *inst, lifecycle_done_cb done, void *arg);
	/* The same where the plugin has had that one already: if it does not take it back, its
	 * worker starts anew with it. Never fails. */
	void (*revert)(void *user, struct instance *inst, lifecycle_done_cb done, void *arg);
	/* Start it once and tell how that went. From then on it is kept running. */
	void (*start)(void *user, struct instance *inst, lifecycle_done_cb done, void *arg);
	/* Keep it running, also when the first start fails; lifecycle_gave_up() is the end of it.
	 */
	void (*keep)(void *user, struct instance *inst);
	/* Wait for its health. */
	void (*gate)(void *user, struct instance *inst, lifecycle_done_cb done, void *arg);
	/* Tell all fronts the present table; done when every live one has it. */
	void (*publish)(void *user, lifecycle_done_cb done, void *arg);
	/* Take it out of the table and wait for what it holds. Never fails. */
	void (*drain)(void *user, struct instance *inst, lifecycle_done_cb done, void *arg);
	/* End it; nothing of it runs when done comes. In any state. Never fails. */
	void (*stop)(void *user, struct instance *inst, lifecycle_done_cb done, void *arg);
	/* Remove what an installation that is gone left in this node's folders. */
	void (*clean)(void *user, const char *installation, lifecycle_done_cb done, void *arg);
	/* Run done(arg, NULL) after ms. */
	void (*after)(void *user, uint64_t ms, lifecycle_done_cb done, void *arg);
	/* All rows have been read and acted on; again after each life of the node has begun. */
	void (*settled)(void *user);
	/* A change has ended, its routes are everywhere: its news may go out. */
	void (*ended)(void *user, int64_t number);
};

struct lifecycle_options {
	struct db_pool *db; /* outlives the lifecycle */
	const char *node;
	const char *environment;
	const struct lifecycle_hooks *hooks;
	void *user;
};

struct lifecycle *lifecycle_new(const struct lifecycle_options *options);

/* The node was taken, with this token: read all rows and run what there is to run. Each further
 * call is a new life of the node: what its predecessor had begun is claimed again. */
void lifecycle_begin(struct lifecycle *lc, int64_t token);
int64_t lifecycle_token(const struct lifecycle *lc); /* 0: none */

/* The database rang: look for changes; for rows, too, when the wish of somebody may have changed.
 */
void lifecycle_wake(struct lifecycle *lc, bool rows);

/* Is this change ours, and just ending? Its news are held back until hooks->ended. */
bool lifecycle_ends(const struct lifecycle *lc, int64_t number);

/* Is there an installation of this id? */
bool lifecycle_knows(struct lifecycle *lc, const char *installation);

/* An instance that was kept running has failed for good: it is stopped already. */
void lifecycle_gave_up(struct lifecycle *lc, struct instance *inst, const struct error *err);

/* Have all rows been read and acted on? */
bool lifecycle_settled(const struct lifecycle *lc);

/* All instances, struct instance by link. */
struct list *lifecycle_instances(struct lifecycle *lc);

/* No further step; the hooks' callbacks may still come. Instances stay until lifecycle_free(). */
void lifecycle_stop(struct lifecycle *lc);
/* When no hook is under way any more. */
void lifecycle_free(struct lifecycle *lc);

#endif
