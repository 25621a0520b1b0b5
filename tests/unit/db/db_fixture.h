/* db_fixture.h - a loop, a pool on a database of one's own, and waiting for answers */
#ifndef MORTISE_TESTS_UNIT_DB_FIXTURE_H
#define MORTISE_TESTS_UNIT_DB_FIXTURE_H

#include <uv.h>

#include "base/mem.h"
#include "db/listen.h"
#include "db/pool.h"
#include "db/session.h"
#include "lib/postgres.h"
#include "lib/test.h"

struct fixture {
	uv_loop_t loop;
	char *url;
	struct db_pool *pool;
	unsigned pending;  /* answers to come */
	unsigned connects; /* calls of the state callback, by kind */
	unsigned losses;
	bool closed;
	struct error reason;
};

/* options may be NULL; url, state and user of it are not looked at. Waits until connected. */
void fixture_init(struct fixture *f, const struct db_pool_options *options);
/* The pool on url, without waiting. */
void fixture_start(struct fixture *f, const char *url, const struct db_pool_options *options);
/* Closes the pool and checks that the loop has nothing left. */
void fixture_done(struct fixture *f);

void fixture_wait(struct fixture *f); /* until no answer is pending */
/* Until the pool has said since f->connects was 0 that it is connected, and is. */
void fixture_wait_connected(struct fixture *f);

/* One answer, copied out of its callback. */
struct answer {
	struct fixture *f;
	bool done;
	int code; /* 0 or an ERR_ code */
	char text[ERROR_TEXT_MAX];
	char fix[256];
	char sqlstate[6];
	char detail[1024];
	size_t rows;
	char value[256]; /* the first column of the first row, where it is a text */
};

void on_answer(const struct db_result *result, void *user);

/* Send and, with ask(), wait. */
void send_statement(struct fixture *f, struct answer *a, const struct db_statement *statement,
	const struct db_param *params, const struct db_context *context, unsigned timeout_ms);
void ask(struct fixture *f, struct answer *a, const struct db_statement *statement,
	const struct db_param *params);

#endif
