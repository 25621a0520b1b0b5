/* store_fixture.h - a migrated database, a pool for each login, and answers to look at */
#ifndef MORTISE_TESTS_UNIT_STORE_FIXTURE_H
#define MORTISE_TESTS_UNIT_STORE_FIXTURE_H

#include <uv.h>

#include "base/mem.h"
#include "db/pool.h"
#include "lib/postgres.h"
#include "lib/test.h"
#include "store/changes.h"
#include "store/store.h"

struct fixture {
	uv_loop_t loop;
	char *url; /* of the owner */
	struct db_pool *front;
	struct db_pool *supervisor;
	char *admin; /* ids of users */
	char *amy;   /* a developer, member of team `red` */
	char *bob;   /* a developer, member of team `blue` */
	struct db_context as_admin, as_amy, as_bob;
	struct store_fence fence; /* node `n1`, once fixture_lease() was called */
	bool waiting;
	int code; /* of the last answer */
	char text[ERROR_TEXT_MAX];
	int64_t number;
	char value[4096];
	unsigned closed;
};

void fixture_init(struct fixture *f);
void fixture_done(struct fixture *f);

/* Between a call and the look at its answer; the callbacks below end it. */
void fixture_expect(struct fixture *f);
void fixture_wait(struct fixture *f);
/* Wait, and the answer was a success. */
void fixture_ok(struct fixture *f);
/* Wait, and the answer was that error. */
void fixture_fails(struct fixture *f, int code);
/* What every callback does first; true on success. */
bool fixture_answer(struct fixture *f, const struct error *err);

void on_done(const struct error *err, void *user);
void on_number(const struct error *err, int64_t number, void *user);
void on_text(const struct error *err, struct span text, void *user);

/* Takes the node `n1` of environment `test`. */
void fixture_lease(struct fixture *f);

/* A key `ed25519:...` trusted as acme, by the admin; its id is in f->value. */
void fixture_trust(struct fixture *f);

/* Registers acme/tool of that version, 20 bytes, stored; its digest. */
struct span fixture_package(struct fixture *f, const char *version, char digest[static 72]);

/* Copies a span into an array of char. */
#define COPY(to, from) (void)snprintf((to), sizeof(to), "%.*s", SPAN_ARG(from))

/* Changes of acme/tool in environment `test`, step by step. */
struct change {
	int64_t number;
	char action[32], state[32], actor_name[64], phases[1024], error[256];
	char installation[64];
	size_t n;
};
extern struct change change; /* the first row of the last answer */
struct installed {
	size_t n;
	char id[64], installed[80], wished[80], state[32], name[64], mount[80];
	char config[256], permission[32];
	int64_t generation, memory_mb;
	double cpu;
};
extern struct installed installed; /* the same */
void on_changes(const struct error *err, const struct store_change *rows, size_t n, void *user);
void on_installations(
	const struct error *err, const struct store_installation *rows, size_t n, void *user);

/* As the admin; the answer is the caller's to wait for. */
void change_open(struct fixture *f, const char *action, struct span digest);
/* Claim it, write a phase, wish. */
void change_wish(struct fixture *f);
void change_commit(struct fixture *f);
/* All of it, for version 1.0.0. */
void fixture_install(struct fixture *f, char digest[static 72]);

#endif
