#include "base/loop.h"
#include "base/mem.h"
#include "host/host_priv.h"

#define WORKS_MAX 256 /* work.h promises it */

struct job {
	struct entry entry;
	struct work *work;
	mortise_work_cb run;
	mortise_work_done_cb done;
	void *user;
};

static void on_run(void *user)
{
	struct job *job = user;

	job->run(job->user);
}

static void on_done(void *user, int cancelled)
{
	struct job *job = user;
	struct host *h = job->entry.host;

	ledger_remove(&job->entry);
	/* Without an instance its create() failed: no call follows that. */
	if (h->self) {
		host_enter(h, "work.done", NULL);
		job->done(h->self, job->user, cancelled ? MORTISE_E_CANCELLED : 0);
		host_leave(h);
	}
	mem_free(job);
	host_settle(h);
}

static int32_t work_submit_1(struct mortise_host *handle, mortise_work_cb run,
	mortise_work_done_cb done, void *user, mortise_id *operation)
{
	struct job *job;
	int32_t rc;
	struct host *h = host_at_home(handle, "work.submit", STATES_REGISTER, &rc);

	if (!h)
		return rc;
	if (!run || !done)
		return MORTISE_E_INVALID;
	if (h->ledger.counts[ENTRY_WORK] >= WORKS_MAX)
		return MORTISE_E_AGAIN;
	job = mem_zalloc(sizeof(*job));
	job->run = run;
	job->done = done;
	job->user = user;
	ledger_add(h, &job->entry, ENTRY_WORK);
	job->work = work_submit(h->loop, on_run, on_done, job);
	if (operation)
		*operation = job->entry.id;
	return 0;
}

/* The entry stays until its done: the thread may be running. */
void work_undo(struct entry *entry)
{
	work_cancel(CONTAINER_OF(entry, struct job, entry)->work);
}

int32_t work_cancel_1(struct host *h, mortise_id operation)
{
	struct job *job = ledger_find(h, operation, ENTRY_WORK);

	if (!job)
		return MORTISE_E_STALE;
	work_cancel(job->work);
	return 0;
}

const struct mortise_work_1 host_work_1 = { work_submit_1 };
