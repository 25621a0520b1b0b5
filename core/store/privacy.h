/* privacy.h - what people ask about what is kept of them, and the archives made for it
 *
 * A person sees and makes his own requests; an administrator sees and makes any, and decides. The
 * database finds what speaks of a person by its own foreign keys (schema/0029_privacy.sql).
 */
#ifndef MORTISE_STORE_PRIVACY_H
#define MORTISE_STORE_PRIVACY_H

#include "store/store.h"

struct store_privacy {
	struct span id;
	struct span user_id;
	struct span user_name;
	struct span type;    /* access, portability, deletion, rectification, restriction */
	struct span status;  /* pending, in_progress, completed, rejected */
	struct span details; /* JSON {"reason","changes"} */
	struct span result;  /* JSON; of what was done, or {"reason"} */
	struct span requested_by;
	int64_t requested_at;
	int64_t due_at;
	struct span processed_by;
	int64_t processed_at; /* 0: not decided yet */
	struct span position; /* in the order of lists */
};
typedef void (*store_privacy_cb)(
	const struct error *err, const struct store_privacy *rows, size_t n, void *user);

/* One row. user: an id or username, none for the asker himself. ERR_ALREADY: the same is asked and
 * not decided. ERR_PERMISSION, ERR_NOT_FOUND. [front] */
void store_privacy_request(struct db_pool *db, const struct db_context *context, struct span user,
	struct span type, struct span details, store_privacy_cb done, void *arg);

/* One row. ERR_NOT_FOUND: none, or not the asker's. [front] */
void store_privacy_get(struct db_pool *db, const struct db_context *context, struct span id,
	store_privacy_cb done, void *user);

struct store_privacy_filter { /* a span without data: any */
	struct span after;    /* a position */
	unsigned limit;
	struct span status;
	struct span type;
	struct span user;
};

/* Newest first. [front] */
void store_privacy_list(struct db_pool *db, const struct db_context *context,
	const struct store_privacy_filter *filter, store_privacy_cb done, void *user);

/* Do what is asked, in one transaction; note may be none. One row. ERR_WRONG_STATE: decided before;
 * ERR_LAST_ADMIN, ERR_LAST_OWNER: that one cannot be erased. [front] */
void store_privacy_complete(struct db_pool *db, const struct db_context *context, struct span id,
	struct span note, store_privacy_cb done, void *user);

/* Do nothing of it. One row. [front] */
void store_privacy_reject(struct db_pool *db, const struct db_context *context, struct span id,
	struct span reason, store_privacy_cb done, void *user);

struct store_privacy_table {
	struct span name;
	struct span about; /* JSON, the head of the archive; of the first row alone */
};
typedef void (*store_privacy_tables_cb)(
	const struct error *err, const struct store_privacy_table *rows, size_t n, void *user);

/* The tables of a request's archive, in order; the fetch is audited. ERR_WRONG_STATE: it has none.
 * [front] */
void store_privacy_archive(struct db_pool *db, const struct db_context *context, struct span id,
	store_privacy_tables_cb done, void *user);

struct store_privacy_row {
	struct span value; /* JSON */
	struct span place; /* JSON: what the next page begins behind */
};
typedef void (*store_privacy_rows_cb)(
	const struct error *err, const struct store_privacy_row *rows, size_t n, void *user);

/* Rows of one of those tables behind place (none: from the first). [front] */
void store_privacy_page(struct db_pool *db, const struct db_context *context, struct span id,
	struct span table, struct span place, unsigned limit, store_privacy_rows_cb done,
	void *user);

#endif
