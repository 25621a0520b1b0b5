#include <stdio.h>

#include "store/instances.h"
#include "store/jobs.h"
#include "store_fixture.h"

static struct store_instance instance;
static char instance_detail[2048];

static void on_instances(
	const struct error *err, const struct store_instance *rows, size_t n, void *user)
{
	if (!fixture_answer(user, err))
		return;
	EXPECT_UINT(n, ==, 1);
	instance = *rows;
	EXPECT_SPAN(rows->node_id, "n1");
	COPY(instance_detail, rows->health_detail);
}

static struct store_termination termination;
static char reason[256];

static void on_terminations(
	const struct error *err, const struct store_termination *rows, size_t n, void *user)
{
	if (!fixture_answer(user, err))
		return;
	EXPECT_UINT(n, ==, 1);
	termination = *rows;
	COPY(reason, rows->reason);
	EXPECT_SPAN(rows->kind, "crash");
	EXPECT_SPAN(rows->request_ids, "[\"r1\", \"r2\"]");
}

TEST(store_instances__samples_and_terminations_of_an_instance)
{
	struct fixture f;
	char digest[72];
	struct store_sample samples[2];
	struct store_termination record = { .kind = SPAN("crash"),
		.request_ids = SPAN("[\"r1\",\"r2\"]"),
		.reason = SPAN("bad \0 bytes \xff"),
		.signal = 11,
		.exit_status = -1,
		.cpu_ns = 5,
		.memory_bytes = -1 };

	fixture_init(&f);
	fixture_install(&f, digest);
	fixture_expect(&f);
	store_instance_started(f.supervisor, &f.fence, span_of(installed.id), 4711, on_number, &f);
	fixture_ok(&f);
	samples[0] = (struct store_sample){ .installation_id = span_of(installed.id),
		.generation = f.number,
		.health = SPAN("degraded"),
		.health_detail = SPAN("a \"hostile\" \0 detail \xff"),
		.cpu_ns = INT64_C(5000000000),
		.cpu_percent = 12.5,
		.memory_bytes = INT64_C(3) << 30,
		.disk_bytes = -1,
		.restarts = 2 };
	samples[1] = samples[0];
	samples[1].generation = f.number - 1; /* of its predecessor: late */
	record.installation_id = span_of(installed.id);
	record.generation = f.number;
	fixture_expect(&f);
	store_instance_samples(f.supervisor, &f.fence, samples, 1, on_number, &f);
	fixture_ok(&f);
	EXPECT_INT(f.number, ==, 1);
	fixture_expect(&f);
	store_instance_samples(f.supervisor, &f.fence, samples + 1, 1, on_number, &f);
	fixture_ok(&f);
	EXPECT_INT(f.number, ==, 0);
	fixture_expect(&f);
	store_instances_list(f.front, &f.as_admin, span_of(installed.id), on_instances, &f);
	fixture_ok(&f);
	EXPECT_INT(instance.memory_bytes, ==, INT64_C(3) << 30);
	EXPECT_INT(instance.disk_bytes, ==, -1);
	EXPECT_INT(instance.pid, ==, 4711);
	EXPECT_INT(instance.restarts, ==, 2);
	EXPECT_TRUE(instance.cpu_percent == 12.5);
	EXPECT_CONTAINS(instance_detail, "hostile");
	fixture_expect(&f);
	store_installations_rollup(f.supervisor, &f.fence, on_number, &f);
	fixture_ok(&f);
	EXPECT_INT(f.number, ==, 1);
	fixture_expect(&f);
	store_metrics_write(
		f.supervisor, &f.fence, SPAN("[{\"name\":\"x\",\"value\":1.5}]"), on_number, &f);
	fixture_ok(&f);
	EXPECT_INT(f.number, ==, 1);
	fixture_expect(&f);
	store_termination_write(f.supervisor, &f.fence, &record, on_number, &f);
	fixture_ok(&f);
	fixture_expect(&f);
	store_terminations_list(
		f.front, &f.as_admin, span_of(installed.id), 0, 10, on_terminations, &f);
	fixture_ok(&f);
	EXPECT_INT(termination.signal, ==, 11);
	EXPECT_INT(termination.exit_status, ==, -1);
	EXPECT_CONTAINS(reason, "bad");
	fixture_expect(&f);
	store_instance_move(f.supervisor, &f.fence,
		&(struct store_instance_move){ .installation_id = span_of(installed.id),
			.state = SPAN("failed"),
			.failure = SPAN("{\"text\":\"dead\"}") },
		on_instances, &f);
	fixture_ok(&f);
	fixture_expect(&f);
	store_instance_move(f.supervisor, &f.fence,
		&(struct store_instance_move){
			.installation_id = span_of(installed.id), .state = SPAN("updating") },
		on_instances, &f);
	fixture_fails(&f, ERR_WRONG_STATE);
	fixture_done(&f);
}
