/* jobs.h - the database's own housekeeping, started by whoever holds its lease
 */
#ifndef MORTISE_STORE_JOBS_H
#define MORTISE_STORE_JOBS_H

#include "store/store.h"

enum store_job {
	STORE_JOB_PARTITIONS,     /* at start and daily */
	STORE_JOB_METRICS_ROLLUP, /* hourly */
	STORE_JOB_METRICS_EXPIRE, /* daily */
	STORE_JOB_AUDIT_ARCHIVE,  /* daily */
	STORE_JOB_EXPIRE,         /* each minute */
	STORE_JOB_REFRESH_HEALTH, /* each minute */
	STORE_JOB_COUNT
};

/* The number is how much was done. May take minutes, and holds one connection meanwhile.
 * [supervisor] */
void store_job_run(struct db_pool *db, enum store_job job, store_number_cb done, void *user);

/* Usage and health of the instances, summed into plugin_installations; each minute. The number is
 * 0 also while another node holds the lease `rollup`. [supervisor] */
void store_installations_rollup(
	struct db_pool *db, const struct store_fence *fence, store_number_cb done, void *user);

#endif
