/* value_priv.h - parameters and results as libpq wants and gives them */
#ifndef MORTISE_DB_VALUE_PRIV_H
#define MORTISE_DB_VALUE_PRIV_H

#include <libpq-fe.h>

#include "db/value.h"

#define DB_DETAIL_MAX 1024

struct failure {
	struct error err;
	char sqlstate[6];
	char detail[DB_DETAIL_MAX];
};

/* n parameters in libpq's shape. The arrays and the bytes lie in memory that the user of this
 * provides: values_size() bytes, aligned for pointers. */
struct values {
	int n;
	const char **texts;
	int *lengths;
	int *formats;
};

/* ERR_INVALID: a text holds a NUL byte. */
int values_check(const struct db_param *params, size_t n, struct error *err);
size_t values_size(const struct db_param *params, size_t n);
void values_write(struct values *v, void *memory, const struct db_param *params, size_t n);

/* Name and value of each setting that a transaction of this context starts with, and how many such
 * pairs; context NULL: nobody. All of them, or those that decide access and those that are given.
 */
#define CONTEXT_PAIRS_MAX 8
size_t context_pairs(const struct db_context *context, bool all,
	struct db_param out[static 2 * CONTEXT_PAIRS_MAX]);

/* What an error result says. name is that of our statement. */
void failure_from_result(struct failure *f, const PGresult *r, const char *name);

/* The reason of a dead connection or of a refused login: libpq's words on one line. */
int failure_of_connection(const PGconn *pg, const char *what, struct error *err);

struct db_result result_of(PGresult *r);
struct db_result result_of_failure(const struct failure *f);

#endif
