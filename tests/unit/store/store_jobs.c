#include <stdio.h>

#include "store/jobs.h"
#include "store_fixture.h"

TEST(store_jobs__jobs_run)
{
	struct fixture f;

	fixture_init(&f);
	for (int job = 0; job < STORE_JOB_COUNT; job++) {
		fixture_expect(&f);
		store_job_run(f.supervisor, job, on_number, &f);
		fixture_ok(&f);
	}
	fixture_done(&f);
}
