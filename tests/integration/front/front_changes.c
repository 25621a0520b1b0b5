/* Packages, changes and what follows them. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "integration/front/stand.h"
#include "lib/postgres.h"
#include "lib/test.h"

#define DIGEST "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static void expect_status(struct stand *s, const char *key, const char *method, const char *path,
	const char *body, int status)
{
	char *answer = stand_request(s, key, method, path, NULL, body);

	ck_assert_msg(stand_status(answer) == status, "%s %s: expected %d, got: %s", method, path,
		status, answer);
	mem_free(answer);
}

static void make_plugin(struct stand *s)
{
	postgres_run(s->database,
		"WITH p AS (INSERT INTO plugins(name, display_name, current_version) "
		"VALUES ('acme/geo', 'Geo', '1.0.0') RETURNING id), "
		"v AS (INSERT INTO plugin_versions(plugin_id, version, checksum) "
		"SELECT id, '1.0.0', '" DIGEST "' FROM p RETURNING id, plugin_id) "
		"INSERT INTO packages(digest, plugin_id, version, manifest, envelope, size, "
		"key_id) "
		"SELECT '" DIGEST
		"', plugin_id, '1.0.0', '{\"name\":\"acme/geo\",\"permissions\":[\"kv\"]}', 'x', "
		"10, NULL "
		"FROM v");
}

TEST(front_changes__an_upload_reaches_the_supervisor_as_a_descriptor_and_its_answer_the_client)
{
	struct front_staged staged = { .digest = SPAN(DIGEST),
		.name = SPAN("acme/geo"),
		.version = SPAN("1.0.0"),
		.manifest = SPAN("{\"name\":\"acme/geo\"}"),
		.signer = SPAN("ed25519:aa") };
	struct front_stage stage;
	struct channel_message m;
	struct stand s;
	struct error err;
	char *request, *answer, seen[64] = "";
	int fd;

	stand_open(&s);
	request = mem_printf("POST /v1/packages HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer %s\r\n"
			     "Connection: close\r\nContent-Length: 12\r\n\r\nnot-a-packag",
		s.admin);
	fd = stand_connect(&s, request);
	m = stand_expect(&s, PROTOCOL_FRONT_STAGE);
	EXPECT_OK(decode_front_stage(&stage, m.payload, &s.memory, &err), &err);
	EXPECT_UINT(stage.size, ==, 12);
	ck_assert(m.fd != -1);
	EXPECT_INT(pread(m.fd, seen, sizeof(seen), 0), ==, 12);
	EXPECT_STR(seen, "not-a-packag");
	(void)close(m.fd);
	EXPECT_OK(protocol_line_send(s.line, PROTOCOL_FRONT_STAGED, m.id, &staged, 0, -1, &err),
		&err);
	answer = stand_read_until(fd, NULL);
	ck_assert_msg(stand_status(answer) == 201, "%s", answer);
	EXPECT_CONTAINS(answer, "Location: /v1/packages/" DIGEST);
	EXPECT_CONTAINS(answer, "\"signer\":{\"key_id\":\"ed25519:aa\",\"name\":null}");
	mem_free(answer);
	(void)close(fd);

	fd = stand_connect(&s, request);
	m = stand_expect(&s, PROTOCOL_FRONT_STAGE);
	(void)close(m.fd);
	staged = (struct front_staged){
		.rc = ERR_FORMAT, .text = SPAN("it is no package"), .fix = SPAN("build it again")
	};
	EXPECT_OK(protocol_line_send(s.line, PROTOCOL_FRONT_STAGED, m.id, &staged, 0, -1, &err),
		&err);
	answer = stand_read_until(fd, NULL);
	EXPECT_INT(stand_status(answer), ==, 422);
	EXPECT_CONTAINS(answer, "it is no package");
	EXPECT_CONTAINS(answer, "build it again");
	mem_free(answer);
	(void)close(fd);
	mem_free(request);
	stand_close(&s);
}

TEST(front_changes__an_install_is_a_row_and_its_stream_ends_with_it)
{
	char *answer, *request, *state, *seen, *viewer;
	struct stand s;
	int fd;

	stand_open(&s);
	make_plugin(&s);
	viewer = stand_key(&s, "VIEWER", "{*}", 1000);
	answer = stand_request(&s, s.admin, "POST", "/v1/installations",
		"Idempotency-Key: abc-1\r\n",
		"{\"plugin\":\"acme/geo\",\"digest\":\"" DIGEST "\",\"permissions\":[\"kv\"],"
		"\"config\":{\"a\":1},\"reason\":\"CHG-1\"}");
	ck_assert_msg(stand_status(answer) == 202, "%s", answer);
	EXPECT_CONTAINS(answer, "Location: /v1/changes/1\r\n");
	EXPECT_CONTAINS(answer, "\"state\":\"running\"");
	mem_free(answer);
	answer = stand_request(&s, s.admin, "POST", "/v1/installations",
		"Idempotency-Key: abc-1\r\n",
		"{\"plugin\":\"acme/geo\",\"digest\":\"" DIGEST "\",\"permissions\":[\"kv\"],"
		"\"config\":{\"a\":1},\"reason\":\"CHG-1\"}");
	ck_assert_msg(stand_status(answer) == 202, "%s", answer);
	EXPECT_CONTAINS(answer, "Location: /v1/changes/1\r\n");
	mem_free(answer);
	expect_status(&s, s.admin, "POST", "/v1/installations", "{\"plugin\":\"acme/geo\"}", 409);
	expect_status(&s, s.admin, "POST", "/v1/installations", "{\"plugin\":\"acme/none\"}", 404);
	expect_status(&s, s.admin, "POST", "/v1/installations", "{\"plugin\":\"geo\"}", 400);
	expect_status(&s, s.admin, "POST", "/v1/installations",
		"{\"plugin\":\"acme/geo\",\"force\":true}", 400);
	expect_status(&s, viewer, "GET", "/v1/changes/1", NULL, 404);
	expect_status(&s, s.admin, "GET", "/v1/changes/99", NULL, 404);

	request = mem_printf("GET /v1/changes/1 HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer %s\r\n"
			     "Accept: text/event-stream\r\nConnection: close\r\n\r\n",
		s.admin);
	fd = stand_connect(&s, request);
	seen = stand_read_until(fd, "\"reason\":\"CHG-1\"");
	EXPECT_CONTAINS(seen, "event: change\n");
	mem_free(seen);
	postgres_run(s.database,
		"UPDATE changes SET phases = "
		"'[{\"name\":\"verify\",\"state\":\"done\",\"started_at\":"
		"\"2026-01-01T00:00:00+00:00\",\"ended_at\":\"2026-01-01T05:30:01.5+05:30\"}]'");
	seen = stand_read_until(fd, "\"seconds\":1.5");
	mem_free(seen);
	postgres_run(s.database, "UPDATE changes SET state = 'failed', finished_at = now(), "
				 "error = '{\"code\":\"MRT-1015\",\"text\":\"no\"}'");
	seen = stand_read_until(fd, NULL);
	EXPECT_CONTAINS(seen, "\"state\":\"failed\"");
	mem_free(seen);
	(void)close(fd);
	answer = stand_request(&s, s.admin, "GET", "/v1/changes/1?wait=30s", NULL, NULL);
	EXPECT_CONTAINS(answer, "\"state\":\"failed\"");
	mem_free(answer);
	answer = stand_request(&s, s.admin, "GET", "/v1/changes?limit=1", NULL, NULL);
	EXPECT_CONTAINS(answer, "\"number\":1");
	EXPECT_CONTAINS(answer, "\"next\":null");
	mem_free(answer);
	state = postgres_value(s.database, "SELECT parameters->'permissions'->>0 FROM changes");
	EXPECT_STR(state, "kv");
	mem_free(state);
	mem_free(request);
	mem_free(viewer);
	stand_close(&s);
}

TEST(front_changes__installations_health_and_usage_are_shown)
{
	struct stand s;
	char *answer;

	stand_open(&s);
	stand_route(&s, "hello", "ping", "GET", "/ping", "hello.read", 5000, 0);
	stand_route(&s, "hello", "greet", "GET", "/{name}", "hello.read", 5000, 0);
	(void)stand_worker(
		&s, "plugins/hello/hello.so", "mortise/hello", "hello", "identity.read", "");
	postgres_run(s.database,
		"INSERT INTO nodes(id, environment, fencing_token, lease_until) VALUES ('n1', "
		"'development', 1, now() + interval '1 hour');"
		"INSERT INTO plugin_instances(installation_id, node_id, fencing_token, state, "
		"version, health, "
		"cpu_ns, "
		"memory_bytes) VALUES ('inst1', 'n1', 1, 'installing', '1.0.0', 'healthy', 5, "
		"4096);"
		"UPDATE plugin_instances SET state = 'installed'");
	answer = stand_request(&s, s.admin, "GET", "/v1/installations", NULL, NULL);
	EXPECT_CONTAINS(answer, "\"plugin\":\"mortise/hello\"");
	mem_free(answer);
	answer = stand_request(&s, s.admin, "GET", "/v1/installations/mortise/hello", NULL, NULL);
	ck_assert_msg(stand_status(answer) == 200, "%s", answer);
	EXPECT_CONTAINS(answer, "\"state\":\"installed\"");
	EXPECT_CONTAINS(answer, "ETag: ");
	mem_free(answer);
	expect_status(&s, s.admin, "GET", "/v1/installations/mortise/none", NULL, 404);
	answer = stand_request(
		&s, s.admin, "GET", "/v1/installations/mortise/hello/health", NULL, NULL);
	EXPECT_CONTAINS(answer, "\"instances\":[{\"node\":\"n1\"");
	EXPECT_CONTAINS(answer, "\"terminations\":[]");
	mem_free(answer);
	answer = stand_request(&s, s.admin, "GET", "/v1/usage", NULL, NULL);
	EXPECT_CONTAINS(answer, "\"memory_bytes\":4096");
	EXPECT_CONTAINS(answer, "\"plugin\":\"mortise/hello\"");
	mem_free(answer);
	answer = stand_request(&s, s.admin, "GET", "/v1/plugins/mortise/hello", NULL, NULL);
	EXPECT_CONTAINS(answer, "\"versions\":[");
	mem_free(answer);
	expect_status(&s, s.admin, "GET", "/v1/plugins?limit=500", NULL, 200);
	stand_close(&s);
}

static void append_log(const char *line)
{
	int fd = open(
		"data/logs/mortise.hello.log", O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);

	ck_assert(fd != -1);
	EXPECT_INT(io_write_all(fd, line, strlen(line), NULL), ==, 0);
	(void)close(fd);
}

TEST(front_changes__logs_give_the_last_lines_and_follow_new_ones_through_a_rename)
{
	struct stand s;
	char *answer, *request;
	int fd;

	stand_open(&s);
	stand_route(&s, "hello", "ping", "GET", "/ping", "hello.read", 5000, 0);
	stand_route(&s, "hello", "greet", "GET", "/{name}", "hello.read", 5000, 0);
	(void)stand_worker(&s, "plugins/hello/hello.so", "mortise/hello", "hello", "", "");
	answer = stand_request(
		&s, s.admin, "GET", "/v1/installations/mortise/hello/logs", NULL, NULL);
	EXPECT_CONTAINS(answer, "{\"items\":[]}");
	mem_free(answer);
	append_log("{\"message\":\"one\"}\n{\"message\":\"two\"}\n{\"message\":\"three\"}\n");
	answer = stand_request(
		&s, s.admin, "GET", "/v1/installations/mortise/hello/logs?lines=2", NULL, NULL);
	EXPECT_CONTAINS(answer, "{\"items\":[{\"message\":\"two\"},{\"message\":\"three\"}]}");
	mem_free(answer);
	request = mem_printf(
		"GET /v1/installations/mortise/hello/logs?lines=1 HTTP/1.1\r\nHost: t\r\n"
		"Authorization: Bearer %s\r\nAccept: text/event-stream\r\n\r\n",
		s.admin);
	fd = stand_connect(&s, request);
	answer = stand_read_until(fd, "three");
	EXPECT_NULL(strstr(answer, "two"));
	mem_free(answer);
	append_log("{\"message\":\"four\"}\n");
	mem_free(stand_read_until(fd, "four"));
	EXPECT_INT(rename("data/logs/mortise.hello.log", "data/logs/mortise.hello.log.1"), ==, 0);
	append_log("{\"message\":\"five\"}\n");
	mem_free(stand_read_until(fd, "five"));
	(void)close(fd);
	/* The last lines are the last ones written, in whichever file they stand by now. */
	answer = stand_request(
		&s, s.admin, "GET", "/v1/installations/mortise/hello/logs?lines=3", NULL, NULL);
	EXPECT_CONTAINS(answer, "{\"items\":[{\"message\":\"three\"},{\"message\":\"four\"},"
				"{\"message\":\"five\"}]}");
	mem_free(answer);
	mem_free(request);
	stand_close(&s);
}
