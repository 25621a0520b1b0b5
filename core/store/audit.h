/* audit.h - the audit trail: read, sealed, verified
 *
 * Rows are written by the functions that change something, in their transaction
 * (audit_write() in schema/0009). What stands here is what comes after: seals and
 * their chain (schema/0028; the hashes are core/codec/chain.h's), search, and the
 * refusals, which change nothing and so have no transaction of their own.
 */
#ifndef MORTISE_STORE_AUDIT_H
#define MORTISE_STORE_AUDIT_H

#include "codec/chain.h"
#include "store/store.h"

/* ---- sealing [supervisor] ---- */

struct store_unsealed {
	struct span state; /* for store_audit_seal() */
	struct span horizon;
	struct span last_chain;             /* none before the first seal */
	struct span chain;                  /* none: there is nothing to seal */
	struct span columns[CHAIN_COLUMNS]; /* as chain_row() takes them */
};
typedef void (*store_unsealed_cb)(
	const struct error *err, const struct store_unsealed *rows, size_t n, void *user);

/* Take or keep the lease of sealing and read what is next, at least one row; none while another
 * node holds it. */
void store_audit_unsealed(struct db_pool *db, const struct store_fence *fence, unsigned ttl_ms,
	unsigned limit, store_unsealed_cb done, void *user);

struct store_chain {
	struct span name;
	struct span previous, previous_sequence, previous_hash; /* none: the first chain */
	int64_t sequence; /* of the last seal; 0: there is none yet */
	int64_t row_id;   /* of the last seal, 0 likewise */
	struct span hash;
	/* In lists only, and of all chains alike: how far sealing is; since when the eldest row
	 * waits for its seal, and the eldest that no open transaction holds up. 0: none does. */
	struct span below;
	int64_t waiting_since, idle_since;
};
typedef void (*store_chains_cb)(
	const struct error *err, const struct store_chain *rows, size_t n, void *user);

/* One row; the chain begins if there is none of that name. */
void store_audit_chain_head(struct db_pool *db, const struct store_fence *fence, struct span name,
	store_chains_cb done, void *user);

struct store_seals {
	struct span state, horizon;
	bool full; /* more may be waiting below the horizon */
	size_t n;
	const struct span *chains, *sequences, *row_ids, *xacts, *row_hashes, *chain_hashes;
};

/* The number is how many were put down: n, or 0 when another was faster. */
void store_audit_seal(struct db_pool *db, const struct store_fence *fence,
	const struct store_seals *seals, store_number_cb done, void *user);

/* ---- verifying and reading [front]; administrators only, ERR_PERMISSION for others ---- */

void store_audit_chains(
	struct db_pool *db, const struct db_context *context, store_chains_cb done, void *user);

struct store_seal {
	int64_t sequence;
	int64_t row_id;
	struct span horizon, row_hash, chain_hash;
	struct span columns[CHAIN_COLUMNS]; /* the first without data: the row is not there */
};
typedef void (*store_seals_cb)(
	const struct error *err, const struct store_seal *rows, size_t n, void *user);

/* Seals behind `after`, in order, with their rows. A seal comes twice when two rows have its id. */
void store_audit_chain_page(struct db_pool *db, const struct db_context *context, struct span chain,
	int64_t after, unsigned limit, store_seals_cb done, void *user);

struct store_stray {
	int64_t row_id;
	int64_t created_at;
	struct span action;
	bool inserted; /* where all is sealed; else it only waits */
};
typedef void (*store_strays_cb)(
	const struct error *err, const struct store_stray *rows, size_t n, void *user);

/* Rows of the chain that no seal names, behind row `after`. Looks at all rows of the month. */
void store_audit_strays(struct db_pool *db, const struct db_context *context, struct span chain,
	int64_t after, unsigned limit, store_strays_cb done, void *user);

struct store_audit_filter { /* what is empty or 0 does not filter */
	struct span who;    /* a user's id or username, or an actor that is no user */
	struct span action; /* "user.update", "user.*" */
	struct span resource_type, resource; /* resource: id or name */
	struct span status, request;
	int64_t from, to;
	bool personal;                /* show what is kept as envelopes; the asking is audited */
	bool oldest_first;            /* else newest first */
	int64_t after_time, after_id; /* behind this row; after_id 0: from the start */
	unsigned limit;
};

struct store_audit_row {
	int64_t id;
	int64_t created_at;
	struct span user_id, user_name, action, resource_type, resource_id, resource_name;
	struct span old_value, new_value; /* JSON */
	struct span ip_address, user_agent, session_id, request_id, status, error;
	struct span metadata; /* JSON */
};
typedef void (*store_audit_rows_cb)(
	const struct error *err, const struct store_audit_row *rows, size_t n, void *user);

void store_audit_search(struct db_pool *db, const struct db_context *context,
	const struct store_audit_filter *filter, store_audit_rows_cb done, void *user);

/* Rows of what was refused or failed: a JSON array, its members as audit_refusals() takes them. The
 * number is how many. [front], without a context: each row says who. */
void store_audit_refusals(struct db_pool *db, struct span json, store_number_cb done, void *user);

#endif
