/* store_priv.h - from a statement's rows to a typed callback
 *
 * A subject describes a row once (a shape: size, how to read one, how to call the
 * callback for rows of it) and its functions are then a statement and parameters.
 */
#ifndef MORTISE_STORE_STORE_PRIV_H
#define MORTISE_STORE_STORE_PRIV_H

#include "base/mem.h"
#include "db/pool.h"
#include "store/store.h"

typedef void (*store_fn)(void); /* any of the callback types; cast back before it is called */

struct store_shape {
	size_t size;
	void (*read)(struct db_row *r, void *row);
	void (*call)(store_fn fn, const struct error *err, const void *rows, size_t n, void *user);
};

/* static const struct store_shape name: rows of type, read by reader(r, out), given to cb. */
#define STORE_SHAPE(name, type, reader, cb)                                                   \
	static void name##_read_(struct db_row *r, void *row)                                 \
	{                                                                                     \
		reader(r, row);                                                               \
	}                                                                                     \
	static void name##_call_(                                                             \
		store_fn fn, const struct error *err, const void *rows, size_t n, void *user) \
	{                                                                                     \
		((cb)fn)(err, rows, n, user);                                                 \
	}                                                                                     \
	static const struct store_shape name = { sizeof(type), name##_read_, name##_call_ }

enum store_rows {
	STORE_ROWS_ANY,
	STORE_ROWS_ONE, /* none is ERR_NOT_FOUND */
};

struct store_query {
	const struct db_statement *statement;
	const struct db_context *context;
	const struct db_param *params;
	enum store_rows rows;
	const struct store_shape *shape;
	unsigned timeout_ms; /* 0: the pool's */
	store_fn done;
	void *user;
};

/* Send; done gets rows of the shape. */
void store_send(struct db_pool *db, const struct store_query *query);

/* Shapes of a single column: done is a store_done_cb (the value is not looked at), a
 * store_number_cb (integer or boolean) or a store_text_cb. A NULL number is ERR_CONFLICT, no row
 * ERR_NOT_FOUND. */
extern const struct store_shape store_nothing;
extern const struct store_shape store_number;
extern const struct store_shape store_text;

static inline struct db_param store_node(const struct store_fence *fence)
{
	return DB_TEXT(fence->node);
}

static inline struct db_param store_token(const struct store_fence *fence)
{
	return DB_INT(fence->token);
}

/* A limit within STORE_ROWS_MAX; 0 is all that is allowed. */
struct db_param store_limit(unsigned limit);

/* NULL for what is absent by number. */
struct db_param store_int_or_null(int64_t value, int64_t absent);
struct db_param store_time_or_null(int64_t us);

/* An empty text as NULL. */
struct db_param store_text_or_null(struct span text);

/* The array literal of n texts in *memory, which the caller frees; NULL for items NULL. */
struct db_param store_array(const struct span *items, size_t n, char **memory);

#endif
