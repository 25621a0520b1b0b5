/* instances.h - one installation on one node: state, health, use, and how it ended
 */
#ifndef MORTISE_STORE_INSTANCES_H
#define MORTISE_STORE_INSTANCES_H

#include "store/store.h"

struct store_instance {
	struct span installation_id;
	struct span node_id;
	struct span state;
	struct span version;
	struct span digest;
	int64_t generation;
	int64_t pid;
	struct span health;
	struct span health_detail; /* JSON */
	int64_t cpu_ns;
	double cpu_percent;   /* -1: not measured */
	int64_t memory_bytes; /* -1: not measured */
	int64_t disk_bytes;   /* -1: not measured */
	int64_t restarts;
	struct span failure; /* JSON */
	int64_t started_at;
	int64_t sampled_at;
	int64_t moved_at;
};
typedef void (*store_instances_cb)(
	const struct error *err, const struct store_instance *rows, size_t n, void *user);

struct store_instance_move {
	struct span installation_id;
	struct span state;
	struct span version; /* none: as it is */
	struct span digest;
	struct span failure; /* JSON */
};

/* Outside a change: a worker that died for good, a node that follows a wish. One row.
 * ERR_WRONG_STATE: the move is not in the table. [supervisor] */
void store_instance_move(struct db_pool *db, const struct store_fence *fence,
	const struct store_instance_move *move, store_instances_cb done, void *user);

/* A new worker runs; the number is its generation, for its samples. [supervisor] */
void store_instance_started(struct db_pool *db, const struct store_fence *fence,
	struct span installation_id, int64_t pid, store_number_cb done, void *user);

/* What is none or -1 stays as it is in the row. */
struct store_sample {
	struct span installation_id;
	int64_t generation;
	struct span health;        /* healthy, degraded, unhealthy, unknown */
	struct span health_detail; /* plain text of the plugin: any bytes */
	int64_t cpu_ns;
	double cpu_percent;
	int64_t memory_bytes;
	int64_t disk_bytes;
	int64_t restarts;
};
#define STORE_SAMPLES_MAX 1000

/* One statement for all; the number is how many were taken (not the late ones of an older
 * generation). Metrics are written too. [supervisor] */
void store_instance_samples(struct db_pool *db, const struct store_fence *fence,
	const struct store_sample *samples, size_t n, store_number_cb done, void *user);

/* samples: JSON [{"time","name","type","installation_id","service_id","value","unit","labels"}].
 * The number is how many. [supervisor] */
void store_metrics_write(struct db_pool *db, const struct store_fence *fence, struct span samples,
	store_number_cb done, void *user);

/* Instances of an installation that the asker may see. [front; supervisor with NULL] */
void store_instances_list(struct db_pool *db, const struct db_context *context,
	struct span installation_id, store_instances_cb done, void *user);

struct store_termination {
	int64_t id; /* of list */
	struct span installation_id;
	struct span node_id; /* of list */
	int64_t generation;
	struct span version;
	struct span digest;
	struct span kind;        /* exit, crash, stall, leak, limit, start */
	struct span callback;    /* the callback that ran; any bytes */
	struct span request_ids; /* JSON array */
	int64_t signal;          /* 0: none */
	int64_t exit_status;     /* -1: none */
	struct span reason;      /* any bytes */
	int64_t cpu_ns;          /* -1: not known */
	int64_t memory_bytes;    /* -1: not known */
	struct span backtrace;   /* any bytes */
	int64_t occurred_at;     /* of list */
};
typedef void (*store_terminations_cb)(
	const struct error *err, const struct store_termination *rows, size_t n, void *user);

/* The number is the record's id. [supervisor] */
void store_termination_write(struct db_pool *db, const struct store_fence *fence,
	const struct store_termination *record, store_number_cb done, void *user);

/* Newest first; ids below before, 0 from the newest. [front; supervisor with NULL] */
void store_terminations_list(struct db_pool *db, const struct db_context *context,
	struct span installation_id, int64_t before, unsigned limit, store_terminations_cb done,
	void *user);

#endif
