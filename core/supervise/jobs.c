#include "base/log.h"
#include "base/mem.h"
#include "base/settings.h"
#include "store/jobs.h"
#include "store/nodes.h"
#include "supervise/supervisor_priv.h"

/* Each minute the rollup; and, by the one node of the environment that holds the lease "jobs", what
 * is due of the rest. A job that fails is simply due again. */
#define MINUTE_MS    60000
#define LEASE_MS     150000 /* longer than two minutes: the holder keeps it */
#define FIRST_MS     3000   /* after the start, when the first plugins run */
#define HOUR_MINUTES 60
#define DAY_MINUTES  (24 * 60)

struct jobs {
	struct supervisor *s;
	uv_timer_t timer;
	uint64_t minutes; /* that this node has held the lease */
	unsigned job;     /* the one under way, or the next to look at */
	bool busy;
	bool closing;
};

static const unsigned every_minutes[STORE_JOB_COUNT] = {
	[STORE_JOB_PARTITIONS] = DAY_MINUTES,
	[STORE_JOB_METRICS_ROLLUP] = HOUR_MINUTES,
	[STORE_JOB_METRICS_EXPIRE] = DAY_MINUTES,
	[STORE_JOB_AUDIT_ARCHIVE] = DAY_MINUTES,
	[STORE_JOB_EXPIRE] = 1,
	[STORE_JOB_REFRESH_HEALTH] = 1,
};

static void on_timer_closed(uv_handle_t *handle)
{
	mem_free(CONTAINER_OF(handle, struct jobs, timer));
}

static void next_job(struct jobs *j);

static bool over(struct jobs *j)
{
	if (j->closing)
		uv_close((uv_handle_t *)&j->timer, on_timer_closed);
	return j->closing;
}

static void on_job(const struct error *err, int64_t number, void *user)
{
	struct jobs *j = user;

	(void)number;
	if (err)
		log_warn("housekeeping failed, it is due again", LOG_INT("job", j->job),
			LOG_ERR(err));
	if (over(j))
		return;
	j->job++;
	next_job(j);
}

static void next_job(struct jobs *j)
{
	while (j->job < STORE_JOB_COUNT && j->minutes % every_minutes[j->job] != 0)
		j->job++;
	if (j->job == STORE_JOB_COUNT) {
		j->busy = false;
		j->minutes++;
		return;
	}
	store_job_run(j->s->o.db, (enum store_job)j->job, on_job, j);
}

static void on_lease(const struct error *err, int64_t ours, void *user)
{
	struct jobs *j = user;

	if (over(j))
		return;
	if (err || !ours) {
		j->busy = false;
		return;
	}
	j->job = 0;
	next_job(j);
}

static void on_rollup(const struct error *err, int64_t number, void *user)
{
	struct jobs *j = user;
	struct store_fence fence = supervisor_fence(j->s);

	(void)number;
	(void)err;
	if (over(j))
		return;
	store_lease_take(j->s->o.db, &fence, SPAN("jobs"), LEASE_MS, on_lease, j);
}

static void on_minute(uv_timer_t *timer)
{
	struct jobs *j = CONTAINER_OF(timer, struct jobs, timer);
	struct store_fence fence = supervisor_fence(j->s);

	if (j->busy || fence.token == 0)
		return;
	j->busy = true;
	store_installations_rollup(j->s->o.db, &fence, on_rollup, j);
}

struct jobs *jobs_new(struct supervisor *s)
{
	struct jobs *j = mem_zalloc(sizeof(*j));

	j->s = s;
	(void)uv_timer_init(s->loop, &j->timer);
	(void)uv_timer_start(&j->timer, on_minute, FIRST_MS, MINUTE_MS);
	return j;
}

void jobs_close(struct jobs *j)
{
	(void)uv_timer_stop(&j->timer);
	j->closing = true;
	if (!j->busy)
		(void)over(j);
}
