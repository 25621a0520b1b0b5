/* supervisor_priv.h - what the parts of the supervisor share
 */
#ifndef MORTISE_SUPERVISE_SUPERVISOR_PRIV_H
#define MORTISE_SUPERVISE_SUPERVISOR_PRIV_H

#include <uv.h>

#include "base/list.h"
#include "lifecycle/lifecycle.h"
#include "store/instances.h"
#include "store/store.h"
#include "supervise/fetch.h"
#include "supervise/front.h"
#include "supervise/stage.h"
#include "supervise/supervisor.h"

struct jobs;
struct package_store;
struct rotation;
struct running;
struct sealer;
struct trust;
struct uploads;

/* Who waits until all live fronts have a table. */
struct table_waiter {
	struct list link;
	uint64_t number;
	lifecycle_done_cb done;
	void *arg;
};

struct supervisor {
	struct uv_loop_s *loop;
	struct supervisor_options o;
	struct lifecycle *lifecycle;
	struct package_store *store;
	struct list delays; /* calls of supervisor_after() */
	struct list running;

	struct fetch *fetch; /* NULL once it is closed */
	struct front *fronts[SUPERVISOR_FRONTS_MAX];
	uint64_t acked[SUPERVISOR_FRONTS_MAX]; /* the table that a front has */
	int counters;                          /* memory that they share */
	size_t front_failures;                 /* lives that never served */
	size_t front_count;
	size_t fronts_open; /* not closed yet */
	struct front_start front_starts[SUPERVISOR_FRONTS_MAX];
	struct protocol_pair *front_settings;
	size_t front_setting_count;

	uint64_t table; /* number of the present one */
	struct list waiters;

	uint64_t generation; /* of the last worker */
	struct text metrics; /* JSON, on their way */
	uv_timer_t sample_timer;
	uv_timer_t lease_timer;
	uv_timer_t mirror_timer;
	uv_timer_cb on_lease_timer;
	unsigned samples;
	bool walking; /* the folders, for disk usage */
	bool leasing;
	bool lease_failed; /* said once, not per try */
	bool released;
	char *stage_program;
	char *fetch_program;
	char *worker_sockets; /* folder */

	struct uploads *uploads;
	struct trust *trust;
	struct jobs *jobs;
	struct sealer *sealer;
	struct rotation *rotation;
	bool rows_known; /* after the first pass: the store is swept, fronts get tables */
	bool ready;
	bool closing;
	bool fast;
	bool closed;
	unsigned timers_open;
};

struct store_fence supervisor_fence(const struct supervisor *s);
void supervisor_after(struct supervisor *s, uint64_t ms, lifecycle_done_cb done, void *arg);
void supervisor_publish(struct supervisor *s, lifecycle_done_cb done, void *arg);
/* Nobody with this argument waits any more. */
void supervisor_forget_waiters(struct supervisor *s, const void *arg);
struct stage_options supervisor_stage_options(const struct supervisor *s);
/* A part of the shutdown is over: go on with the next. */
void supervisor_closing_step(struct supervisor *s);
void supervisor_check_ready(struct supervisor *s);

/* ---- running.c: one instance, kept running ---- */

/* once: started() tells how the first start went, and a failure is the end. */
struct running *running_new(
	struct supervisor *s, struct instance *inst, lifecycle_done_cb started, void *arg);
struct running *running_of_link(struct list *link);
bool running_settled(const struct running *r); /* its first start has ended, well or badly */
/* Its worker's entry in the table; false: it has none to show. */
bool running_describe(const struct running *r, struct front_table_worker *out);
void running_gate(struct running *r, lifecycle_done_cb done, void *arg);
/* Give its plugin inst->config, for the hooks apply and revert. False: it is not up, and done is
 * not called. */
bool running_apply(struct running *r, bool revert, lifecycle_done_cb done, void *arg);
void running_drain(struct running *r, lifecycle_done_cb done, void *arg);
/* r is gone when done comes. A drain under way ends with it. */
void running_stop(struct running *r, lifecycle_done_cb done, void *arg);
void running_kill(struct running *r);
void running_sample(struct running *r, uint64_t now_ns, struct store_sample *out, bool *valid);
void running_set_disk(struct running *r, uint64_t bytes);
const char *running_folder(const struct running *r);
/* Of fronts. */
void running_front_ready(struct running *r, struct front *front);
void running_front_lost(struct running *r, struct front *front);
void running_front_connected(
	struct running *r, struct front *front, const struct front_worker_connected *connected);
void running_front_drained(
	struct running *r, struct front *front, const struct front_drained *drained);

/* ---- uploads.c: packages on their way into the store ---- */

struct uploads *uploads_new(struct supervisor *s);
/* No further job; true when none is under way. */
bool uploads_close(struct uploads *u);
bool uploads_busy(const struct uploads *u);
void uploads_free(struct uploads *u);
/* Remove store entries that no row names. */
void uploads_sweep(struct uploads *u);
/* fd is ours from here on. */
void uploads_add(
	struct uploads *u, struct front *front, uint64_t id, const struct front_stage *m, int fd);
/* Bring a package back from the database. */
void uploads_restore(struct uploads *u, const char *digest, lifecycle_done_cb done, void *arg);

/* ---- trust.c: whose signatures count, as stage hears it and as files ---- */

struct trust *trust_new(struct supervisor *s);
void trust_free(struct trust *t);
/* Read the tables; done comes with an error when that failed. The lists are valid within done. */
void trust_read(struct trust *t, lifecycle_done_cb done, void *arg);
bool trust_busy(const struct trust *t);
void trust_describe(const struct trust *t, struct stage_package *out);

/* ---- rotation.c: the key ring follows the rows ---- */

struct rotation *rotation_new(struct supervisor *s);
void rotation_ring(struct rotation *r); /* the database's doorbell */
/* The file is at work: whatever closes waits for that. */
bool rotation_busy(const struct rotation *r);
void rotation_free(struct rotation *r);

/* ---- jobs.c: the database's housekeeping ---- */

struct jobs *jobs_new(struct supervisor *s);
void jobs_close(struct jobs *j);

/* ---- audit_sealer.c: the audit trail's chain ---- */

struct sealer *sealer_new(struct supervisor *s);
void sealer_close(struct sealer *a);

#endif
