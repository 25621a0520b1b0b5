/* error.h - one number, one text, one way to say it
 *
 * A function that can fail returns 0 or one negative ERR_ code of error.def. If a
 * person could act on the reason it also takes `struct error *err` last (NULL is
 * fine), which holds code and text in place and allocates nothing. Lower layers
 * set the reason, upper ones wrap it, the outermost reports it once. [any thread]
 */
#ifndef MORTISE_BASE_ERROR_H
#define MORTISE_BASE_ERROR_H

#include <stddef.h>

enum {
#define X(name, number, sqlstate, http, exit, text, fix) ERR_##name = -(number),
#include "base/error.def"
#undef X
};

#define ERROR_TEXT_MAX 1024

struct error {
	int code;                  /* 0, or an ERR_ code */
	char text[ERROR_TEXT_MAX]; /* what failed first, then why; UTF-8 */
	char fix[256];             /* the way out of this very case; "" means the code's own */
};

struct error_entry {
	int code;
	const char *name;     /* "UNTRUSTED" */
	const char *sqlstate; /* "" where SQL never raises it */
	int http_status;
	int exit_code;
	const char *text;
	const char *fix;
};

/* Set code and text; returns code, so that `return error_set(...)` is one statement. */
__attribute__((format(printf, 3, 4))) int error_set(
	struct error *err, int code, const char *format, ...);

/* The same with the reason of errno behind the text: "open 'x': No such file ...". */
__attribute__((format(printf, 3, 4))) int error_set_errno(
	struct error *err, int errnum, const char *format, ...);

/* Put "context: " before the text; returns the code that err holds. NULL knows no code: it gives
 * ERR_INTERNAL, a failure all the same; where the code matters, return the one in hand. */
__attribute__((format(printf, 2, 3))) int error_wrap(struct error *err, const char *format, ...);

/* Say how to fix this very case, in place of the code's general advice. Returns as error_wrap(). */
__attribute__((format(printf, 2, 3))) int error_fix(struct error *err, const char *format, ...);

/* The table's entry of a code, never NULL: what is in no table is INTERNAL. */
const struct error_entry *error_entry(int code);

/* The code of a SQLSTATE or of a name such as "UNTRUSTED"; ERR_INTERNAL when unknown. */
int error_from_sqlstate(const char *sqlstate);
int error_from_name(const char *name);

/* All entries, in the order of error.def. */
const struct error_entry *error_entries(size_t *count);

/* err's own fix, or that of its code. */
const char *error_advice(const struct error *err);

#endif
