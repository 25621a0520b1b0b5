/* db_reads SECONDS - point reads of pgbench's table through a pool, printed as reads a second
 *
 * Run by tests/bench/db. Each read carries its context (who asks), as those of a front do, and is
 * replaced by the next one when it is answered, so that `depth` are in flight.
 */
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "base/clock.h"
#include "base/mem.h"
#include "db/pool.h"

#define ROWS 100000

struct run {
	uv_loop_t loop;
	struct db_pool *pool;
	uint64_t reads;
	uint64_t until;
	unsigned in_flight;
	unsigned random;
	bool with_context;
};

static const struct db_statement point_read = {
	.name = "point_read",
	.sql = "SELECT abalance FROM pgbench_accounts WHERE aid = $1",
	.params = 1,
	.flags = DB_STATEMENT_READS,
};

static void on_read(const struct db_result *result, void *user);

static void send_read(struct run *run)
{
	static const struct db_context someone = { .user_id = SPAN("c0000000000000000000000ab"),
		.request_id = SPAN("0123456789abcdef"),
		.ip_address = SPAN("192.0.2.1") };
	struct db_param aid;

	run->random = run->random * 1664525u + 1013904223u;
	aid = DB_INT(run->random % ROWS + 1);
	run->in_flight++;
	db_query(run->pool, &(struct db_request){ .statement = &point_read,
				    .context = run->with_context ? &someone : NULL,
				    .params = &aid,
				    .done = on_read,
				    .user = run });
}

static void on_closed(void *user)
{
	(void)user;
}

static void on_read(const struct db_result *result, void *user)
{
	struct run *run = user;

	run->in_flight--;
	if (result->err || result->rows != 1) {
		fprintf(stderr, "db_reads: %s\n", result->err ? result->err->text : "no row");
		exit(1);
	}
	run->reads++;
	if (clock_ns() < run->until)
		send_read(run);
	else if (run->in_flight == 0)
		db_pool_close(run->pool, on_closed, NULL);
}

int main(int argc, char **argv)
{
	struct db_pool_options options = {
		.url = getenv("MORTISE_TEST_DATABASE_URL"), .application = "bench", .connections = 1
	};
	struct run run = { .random = 1 };
	struct error err;
	long seconds = argc > 1 ? strtol(argv[1], NULL, 10) : 0;

	if (seconds <= 0 || !options.url) {
		fprintf(stderr, "usage: db_reads SECONDS [context], run by tests/bench/db\n");
		return 2;
	}
	run.with_context = argc > 2;
	if (uv_loop_init(&run.loop) != 0 || db_pool_start(&run.pool, &run.loop, &options, &err) < 0)
		return 1;
	while (!db_pool_connected(run.pool))
		(void)uv_run(&run.loop, UV_RUN_ONCE);
	run.until = clock_ns() + (uint64_t)seconds * CLOCK_NS_PER_SEC;
	for (int i = 0; i < 16; i++)
		send_read(&run);
	(void)uv_run(&run.loop, UV_RUN_DEFAULT);
	printf("%.0f\n", (double)run.reads / (double)seconds);
	return uv_loop_close(&run.loop) != 0;
}
