/* value.h - what goes into a statement and what comes out of it
 *
 * A statement is a static table entry, never built at run time, so no value ever
 * becomes SQL text. Parameters are copied by the call that takes them. A result
 * and every span read from it are borrowed and end with the callback (or with
 * db_session_clear()). Values cross in PostgreSQL's binary form where they come
 * out, so no session setting (time zone, date style) changes what is read. Knows
 * no table. [loop thread]
 */
#ifndef MORTISE_DB_VALUE_H
#define MORTISE_DB_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/text.h"

enum {
	/* The statement changes nothing, so a lost connection leaves no doubt behind:
	 * its outcome is never ERR_UNKNOWN. Anything that may write does not carry it. */
	DB_STATEMENT_READS = 1u << 0,
};

#define DB_PARAMS_MAX 32

struct db_statement {
	const char *name; /* unique in the process; the prepared statement has it too */
	const char *sql;
	unsigned params; /* $1 to $params */
	unsigned flags;
};

enum db_param_kind {
	DB_PARAM_NULL,
	DB_PARAM_TEXT, /* the text form of any type: the statement decides which */
	DB_PARAM_INT,
	DB_PARAM_DOUBLE,
	DB_PARAM_BOOL,
	DB_PARAM_TIME,  /* microseconds since 1970, for timestamptz */
	DB_PARAM_BYTES, /* bytea */
	DB_PARAM_COUNT
};

struct db_param {
	enum db_param_kind kind;
	struct span text;
	int64_t number;
	double real;
};

/* A span without data, and a NULL string, are NULL; text that holds a NUL byte is refused with
 * ERR_INVALID. JSON, enums, arrays and numerics are text here. */
#define DB_NULL     ((struct db_param){ .kind = DB_PARAM_NULL })
#define DB_TEXT(s)  ((struct db_param){ .kind = DB_PARAM_TEXT, .text = (s) })
#define DB_STR(s)   ((struct db_param){ .kind = DB_PARAM_TEXT, .text = span_of(s) })
#define DB_INT(n)   ((struct db_param){ .kind = DB_PARAM_INT, .number = (int64_t)(n) })
#define DB_REAL(x)  ((struct db_param){ .kind = DB_PARAM_DOUBLE, .real = (x) })
#define DB_BOOL(b)  ((struct db_param){ .kind = DB_PARAM_BOOL, .number = (b) ? 1 : 0 })
#define DB_TIME(us) ((struct db_param){ .kind = DB_PARAM_TIME, .number = (us) })
#define DB_BYTES(s) ((struct db_param){ .kind = DB_PARAM_BYTES, .text = (s) })

/* Append the array literal of n texts ({"a","b"}), for a text[] parameter. */
void db_array_append(struct text *out, const struct span *items, size_t n);

/* Who asks: the app.* settings of one transaction. What is empty counts as not set: nobody.
 */
struct db_context {
	struct span user_id;
	struct span plugin; /* installation id when a plugin asks */
	struct span environment;
	struct span tenant_id;
	struct span request_id;
	struct span session_id;
	struct span ip_address;
	struct span user_agent;
};

struct db_result {
	const struct error *err; /* NULL: it succeeded. The text is fit for a client. */
	char sqlstate[6];        /* "" when it was not the server that refused */
	const char *detail;      /* for logs only, never NULL: what the server said besides */
	size_t rows;             /* 0 on failure */
	size_t columns;
	uint64_t affected; /* rows written, where the statement says so */
	void *data;        /* of core/db */
};

/* Reads one row column by column, in the order of the statement's select list. What does not have
 * the type that is asked for makes the row bad; all further values of a bad row are NULL. */
struct db_row {
	const struct db_result *result;
	size_t row;
	size_t column;
	bool bad;
};

struct db_row db_row_at(const struct db_result *result, size_t row);

/* text, varchar, name, json, jsonb, bytea and enums. NULL: data is NULL. */
struct span db_row_text(struct db_row *r);
/* smallint, int, bigint. */
int64_t db_row_int(struct db_row *r, int64_t if_null);
double db_row_real(struct db_row *r, double if_null);
bool db_row_bool(struct db_row *r);                     /* NULL is false */
int64_t db_row_time(struct db_row *r, int64_t if_null); /* timestamptz: microseconds since 1970 */
bool db_row_is_null(const struct db_row *r);            /* the next column; does not move on */

/* A one-dimensional array of a type that db_row_text() reads; a NULL array has no items. */
struct db_array {
	struct span rest;
	size_t count; /* items left */
};
struct db_array db_row_array(struct db_row *r);
bool db_array_next(struct db_array *a, struct span *item);
/* The same of bigint; a NULL item is 0. */
struct db_array db_row_numbers(struct db_row *r);
bool db_array_next_number(struct db_array *a, int64_t *item);

/* 0 when all columns were read and none was bad, else ERR_INTERNAL: our statement and our reading
 * of it differ. */
int db_row_end(const struct db_row *r, struct error *err);

#endif
