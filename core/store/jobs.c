#include "store/jobs.h"

#include "base/assert.h"
#include "store/store_priv.h"

#define JOB_TIMEOUT_MS 600000

static const struct db_statement jobs[STORE_JOB_COUNT] = {
	[STORE_JOB_PARTITIONS] = { "job_partitions", "SELECT job_partitions()", 0, 0 },
	[STORE_JOB_METRICS_ROLLUP] = { "job_metrics_rollup", "SELECT job_metrics_rollup()", 0, 0 },
	[STORE_JOB_METRICS_EXPIRE] = { "job_metrics_expire",
		"SELECT count(*) FROM job_metrics_expire()", 0, 0 },
	[STORE_JOB_AUDIT_ARCHIVE] = { "job_audit_archive",
		"SELECT count(*) FROM job_audit_archive()", 0, 0 },
	[STORE_JOB_EXPIRE] = { "job_expire", "SELECT job_expire()", 0, 0 },
	[STORE_JOB_REFRESH_HEALTH] = { "job_refresh_health",
		"SELECT count(*) FROM job_refresh_health()", 0, 0 },
};

void store_job_run(struct db_pool *db, enum store_job job, store_number_cb done, void *user)
{
	ASSERT(job < STORE_JOB_COUNT);
	store_send(db, &(struct store_query){ .statement = &jobs[job],
			       .rows = STORE_ROWS_ONE,
			       .shape = &store_number,
			       .timeout_ms = JOB_TIMEOUT_MS,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement installations_rollup = {
	.name = "installations_rollup",
	.sql = "SELECT installations_rollup($1, $2)",
	.params = 2,
};

void store_installations_rollup(
	struct db_pool *db, const struct store_fence *fence, store_number_cb done, void *user)
{
	const struct db_param params[] = { store_node(fence), store_token(fence) };

	store_send(db, &(struct store_query){ .statement = &installations_rollup,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &store_number,
			       .done = (store_fn)done,
			       .user = user });
}
