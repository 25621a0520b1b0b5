#include "store/store_priv.h"

#include "base/assert.h"

#define CALL_MAGIC 0x6d7a7363u

struct call {
	uint32_t magic;
	enum store_rows rows;
	const struct store_shape *shape;
	store_fn done;
	void *user;
};

/* Rows of a single column. */
struct value {
	bool null;
	int64_t number;
	struct span text;
};

static void *read_rows(const struct call *c, const struct db_result *result, struct error *err)
{
	char *rows = mem_calloc(result->rows + 1, c->shape->size);

	for (size_t i = 0; i < result->rows; i++) {
		struct db_row r = db_row_at(result, i);

		c->shape->read(&r, rows + i * c->shape->size);
		if (db_row_end(&r, err) < 0) {
			mem_free(rows);
			return NULL;
		}
	}
	return rows;
}

static void on_done(const struct db_result *result, void *user)
{
	struct call *c = user;
	CLEANUP(mem_freep) void *rows = NULL;
	struct error err;

	ASSERT(c->magic == CALL_MAGIC);
	if (!result->err && result->rows == 0 && c->rows == STORE_ROWS_ONE) {
		error_set(&err, ERR_NOT_FOUND, "there is no such row, or it is not yours to see");
		c->shape->call(c->done, &err, NULL, 0, c->user);
	} else if (result->err) {
		c->shape->call(c->done, result->err, NULL, 0, c->user);
	} else {
		rows = read_rows(c, result, &err);
		c->shape->call(c->done, rows ? NULL : &err, rows, rows ? result->rows : 0, c->user);
	}
	c->magic = 0;
	mem_free(c);
}

void store_send(struct db_pool *db, const struct store_query *query)
{
	struct call *c = mem_zalloc(sizeof(*c));
	struct db_request request = {
		.statement = query->statement,
		.context = query->context,
		.params = query->params,
		.timeout_ms = query->timeout_ms,
		.done = on_done,
		.user = c,
	};

	c->magic = CALL_MAGIC;
	c->rows = query->rows;
	c->shape = query->shape;
	c->done = query->done;
	c->user = query->user;
	db_query(db, &request);
}

static void read_nothing(struct db_row *r, void *row)
{
	(void)row;
	r->column = r->result->columns;
}

static void call_nothing(
	store_fn fn, const struct error *err, const void *rows, size_t n, void *user)
{
	(void)rows;
	(void)n;
	((store_done_cb)fn)(err, user);
}

const struct store_shape store_nothing = { sizeof(struct value), read_nothing, call_nothing };

static void read_number(struct db_row *r, void *row)
{
	struct value *v = row;

	v->null = db_row_is_null(r);
	v->number = db_row_int(r, 0);
}

static void call_number(
	store_fn fn, const struct error *err, const void *rows, size_t n, void *user)
{
	const struct value *v = rows;
	struct error conflict;

	if (!err && n > 0 && v->null) {
		error_set(&conflict, ERR_CONFLICT, "it has changed since it was read");
		err = &conflict;
	}
	((store_number_cb)fn)(err, err || n == 0 ? 0 : v->number, user);
}

const struct store_shape store_number = { sizeof(struct value), read_number, call_number };

static void read_text(struct db_row *r, void *row)
{
	((struct value *)row)->text = db_row_text(r);
}

static void call_text(store_fn fn, const struct error *err, const void *rows, size_t n, void *user)
{
	((store_text_cb)fn)(
		err, err || n == 0 ? SPAN_NONE : ((const struct value *)rows)->text, user);
}

const struct store_shape store_text = { sizeof(struct value), read_text, call_text };

struct db_param store_limit(unsigned limit)
{
	return DB_INT(limit == 0 || limit > STORE_ROWS_MAX ? STORE_ROWS_MAX : limit);
}

struct db_param store_int_or_null(int64_t value, int64_t absent)
{
	return value == absent ? DB_NULL : DB_INT(value);
}

struct db_param store_time_or_null(int64_t us)
{
	return us == 0 ? DB_NULL : DB_TIME(us);
}

struct db_param store_text_or_null(struct span text)
{
	return text.len == 0 ? DB_NULL : DB_TEXT(text);
}

struct db_param store_array(const struct span *items, size_t n, char **memory)
{
	struct text literal;

	if (!items)
		return DB_NULL;
	text_init(&literal);
	db_array_append(&literal, items, n);
	*memory = text_take(&literal);
	text_done(&literal);
	return DB_STR(*memory);
}
