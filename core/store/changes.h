/* changes.h - the numbered actions on installations
 *
 * open (transaction 0) -> claim -> wish (transaction 1) -> commit (transaction 2),
 * or fail. The channel mortise_changes tells the number at each step.
 */
#ifndef MORTISE_STORE_CHANGES_H
#define MORTISE_STORE_CHANGES_H

#include "store/installations.h"
#include "store/store.h"

struct store_change {
	int64_t number;
	struct span action; /* install, update, configure, enable, disable, uninstall */
	struct span plugin_name;
	struct span environment;
	struct span installation_id; /* none before the wish of a first install */
	struct span from_version;
	struct span to_version;
	struct span digest;
	struct span actor_id;
	struct span actor_name; /* get and list of a front only */
	struct span reason;
	struct span state;      /* running, done, failed, undone */
	struct span phases;     /* JSON: [{"name","state","started_at","ended_at","detail"}] */
	struct span parameters; /* JSON */
	struct span config;     /* JSON: that of the parameters; none: they name none */
	struct span before;     /* JSON: the wish that was there; none before the wish */
	struct span result;     /* JSON */
	struct span error;      /* JSON */
	struct span node_id;
	int64_t created_at;
	int64_t wished_at; /* 0: transaction 1 has not happened */
	int64_t finished_at;
};
typedef void (*store_changes_cb)(
	const struct error *err, const struct store_change *rows, size_t n, void *user);

struct store_change_request {
	struct span action;
	struct span plugin_name;
	struct span environment;
	struct span version; /* none: the plugin's current one */
	struct span digest;
	struct span reason;
	/* JSON {"config","permissions","health_check_url","method"}; to configure:
	 * {"config","revision"} */
	struct span parameters;
	struct span operation_key;
};

/* The actor is the context's user. One row. ERR_BUSY: another change runs. [front] */
void store_change_open(struct db_pool *db, const struct db_context *context,
	const struct store_change_request *request, store_changes_cb done, void *user);

/* One row; ERR_NOT_FOUND: none, or not his to see. [front with a context, supervisor with NULL] */
void store_change_get(struct db_pool *db, const struct db_context *context, int64_t number,
	store_changes_cb done, void *user);

struct store_changes_filter {
	struct span plugin_name;
	struct span environment;
	struct span state;
	int64_t before; /* numbers below this; 0: from the newest */
	unsigned limit;
};

/* Newest first. [front with a context, supervisor with NULL] */
void store_changes_list(struct db_pool *db, const struct db_context *context,
	const struct store_changes_filter *filter, store_changes_cb done, void *user);

/* Running changes of the node's environment that this life of the node has not claimed yet: new
 * ones, this node's from an earlier life, those of nodes whose lease ran out. [supervisor] */
void store_changes_claim(
	struct db_pool *db, const struct store_fence *fence, store_changes_cb done, void *user);

/* state: running, done, failed or skipped. detail may be none. [supervisor] */
void store_change_phase(struct db_pool *db, const struct store_fence *fence, int64_t number,
	struct span name, struct span state, struct span detail, store_done_cb done, void *user);

/* What is none is the change's own. */
struct store_change_wish {
	int64_t number;
	struct span config;             /* JSON */
	const struct span *permissions; /* NULL: the change's own */
	size_t n_permissions;
	struct span version;
	struct span digest;
};

/* Transaction 1. One row, without manifest and instance. [supervisor] */
void store_change_wish(struct db_pool *db, const struct store_fence *fence,
	const struct store_change_wish *wish, store_installations_cb done, void *user);

/* Transaction 2. ERR_UNKNOWN: look with store_change_get() what came of it. One row, without
 * manifest and instance. [supervisor] */
void store_change_commit(struct db_pool *db, const struct store_fence *fence, int64_t number,
	struct span result, store_installations_cb done, void *user);

/* instance_state: none when nothing was wished; "failed" keeps the reason in the instance;
 * "installed" and "disabled" set the wish back; "available" cancels a first install. error: JSON.
 * One row. [supervisor] */
void store_change_fail(struct db_pool *db, const struct store_fence *fence, int64_t number,
	struct span instance_state, struct span error, store_changes_cb done, void *user);

#endif
