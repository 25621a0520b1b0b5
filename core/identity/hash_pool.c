#include "identity/hash_pool.h"

#include <sys/resource.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/list.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"

/* The loop and the workers go first. The lowest there is but SCHED_IDLE, which would keep people
 * out of a machine whose cores are all busy. */
#define HASH_NICE 19

struct job {
	struct list link; /* while it waits */
	struct hash_pool *pool;
	char *password;
	size_t password_len;
	unsigned cost;
	bool compare; /* else make */
	bool prehashed;
	bool deny;
	char stored[PASSWORD_HASH_SIZE];
	hash_pool_made_cb on_made;
	hash_pool_compared_cb on_compared;
	void *user;
	/* Written on the pool's thread, read after. */
	bool matches;
	bool raised;
	char hash[PASSWORD_HASH_SIZE];
	uint64_t rounds;
};

struct hash_pool {
	struct hash_pool_options options;
	struct list waiting;
	unsigned n_places; /* taken: entered, waiting or running */
	unsigned n_running;
	uint64_t rounds;
	bool closing;
	void (*closed)(void *user);
	void *closed_user;
};

struct hash_pool *hash_pool_new(const struct hash_pool_options *options)
{
	struct hash_pool *pool = mem_zalloc(sizeof(*pool));

	ASSERT(options->parallel > 0);
	pool->options = *options;
	list_init(&pool->waiting);
	return pool;
}

uint64_t hash_pool_rounds(const struct hash_pool *pool)
{
	return pool->rounds;
}

static void free_job(struct job *job)
{
	mem_wipe(job->password, job->password_len);
	mem_free(job->password);
	mem_wipe(job, sizeof(*job));
	mem_free(job);
}

static void end_job(struct job *job, const struct error *err)
{
	if (job->compare)
		job->on_compared(job->user, err, !err && job->matches,
			!err && job->raised ? job->hash : NULL);
	else
		job->on_made(job->user, err, err ? NULL : job->hash);
	free_job(job);
}

static void cancel_job(struct job *job)
{
	struct error err;

	(void)error_set(&err, ERR_CANCELLED, "the front is leaving");
	end_job(job, &err);
}

static void free_if_closed(struct hash_pool *pool)
{
	if (!pool->closing || pool->n_places > 0)
		return;
	if (pool->closed)
		pool->closed(pool->closed_user);
	mem_free(pool);
}

/* ---- on the pool's threads ---------------------------------------------------------------------
 */

static void compare(struct job *job)
{
	const struct password_stored stored = { span_of(job->stored), job->prehashed };
	struct span password = { job->password, job->password_len };

	job->matches = password_matches(password, &stored, job->cost, &job->rounds) && !job->deny;
	job->raised =
		job->matches && (!job->prehashed || password_hash_cost(stored.hash) != job->cost);
	if (job->raised)
		password_hash(password, job->cost, job->hash);
}

static void on_work(void *user)
{
	struct job *job = user;

	/* Of this thread alone, on Linux. */
	(void)setpriority(PRIO_PROCESS, 0, HASH_NICE);
	if (job->compare) {
		compare(job);
		return;
	}
	password_hash((struct span){ job->password, job->password_len }, job->cost, job->hash);
	job->rounds = UINT64_C(1) << job->cost;
}

/* ---- on the loop -------------------------------------------------------------------------------
 */

static void run_waiting(struct hash_pool *pool);

static void on_worked(void *user, int cancelled)
{
	struct job *job = user;
	struct hash_pool *pool = job->pool;

	pool->n_running--;
	pool->n_places--;
	pool->rounds += job->rounds;
	log_debug("password hashed", LOG_INT("rounds", job->rounds));
	if (cancelled)
		cancel_job(job);
	else
		end_job(job, NULL);
	run_waiting(pool);
	free_if_closed(pool);
}

static void run_waiting(struct hash_pool *pool)
{
	while (pool->n_running < pool->options.parallel && !list_empty(&pool->waiting)) {
		struct job *job = LIST_FIRST(&pool->waiting, struct job, link);

		list_remove(&job->link);
		pool->n_running++;
		(void)work_submit(pool->options.loop, on_work, on_worked, job);
	}
}

void hash_pool_close(struct hash_pool *pool, void (*closed)(void *user), void *user)
{
	pool->closing = true;
	pool->closed = closed;
	pool->closed_user = user;
	list_for_each_safe(struct job, job, &pool->waiting, link) {
		list_remove(&job->link);
		pool->n_places--;
		cancel_job(job);
	}
	free_if_closed(pool);
}

int hash_pool_enter(struct hash_pool *pool, struct error *err)
{
	if (pool->closing)
		return error_set(err, ERR_LOGINS_BUSY, "the front is leaving");
	if (pool->n_places >= pool->options.parallel + pool->options.waiting)
		return error_set(err, ERR_LOGINS_BUSY, "%u logins are under way", pool->n_places);
	pool->n_places++;
	return 0;
}

void hash_pool_leave(struct hash_pool *pool)
{
	ASSERT(pool->n_places > 0);
	pool->n_places--;
	free_if_closed(pool);
}

static struct job *add_job(struct hash_pool *pool, struct span password)
{
	struct job *job = mem_zalloc(sizeof(*job));

	list_init(&job->link);
	job->pool = pool;
	job->cost = pool->options.cost;
	/* What is longer is nobody's password; one byte more says so. */
	job->password_len =
		password.len > PASSWORD_BYTES_MAX ? PASSWORD_BYTES_MAX + 1 : password.len;
	job->password = mem_zalloc(job->password_len + 1);
	memcpy(job->password, password.data, job->password_len);
	ASSERT(pool->n_places > 0);
	list_append(&pool->waiting, &job->link);
	return job;
}

/* A pool that closes runs what has entered all the same: it is little, and somebody waits for it.
 */
void hash_pool_make(
	struct hash_pool *pool, struct span password, hash_pool_made_cb done, void *user)
{
	struct job *job = add_job(pool, password);

	job->on_made = done;
	job->user = user;
	run_waiting(pool);
}

void hash_pool_compare(struct hash_pool *pool, struct span password,
	const struct password_stored *stored, bool deny, hash_pool_compared_cb done, void *user)
{
	struct job *job = add_job(pool, password);

	job->compare = true;
	job->deny = deny;
	job->prehashed = stored->prehashed;
	/* What is not a whole hash is none. */
	if (stored->hash.data && stored->hash.len < sizeof(job->stored))
		memcpy(job->stored, stored->hash.data, stored->hash.len);
	job->on_compared = done;
	job->user = user;
	run_waiting(pool);
}
