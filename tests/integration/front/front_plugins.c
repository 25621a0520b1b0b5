/* Requests on their way through the real worker and real plugins. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "integration/front/stand.h"
#include "lib/postgres.h"
#include "lib/test.h"

static void expect_status(struct stand *s, const char *key, const char *method, const char *path,
	const char *body, int status)
{
	char *answer = stand_request(s, key, method, path, NULL, body);

	ck_assert_msg(stand_status(answer) == status, "%s %s: expected %d, got: %s", method, path,
		status, answer);
	mem_free(answer);
}

static void open_hello(struct stand *s)
{
	stand_open(s);
	stand_route(s, "hello", "ping", "GET", "/ping", "hello.read", 5000, 0);
	stand_route(s, "hello", "greet", "GET", "/{name}", "hello.read", 5000, 0);
	(void)stand_worker(
		s, "plugins/hello/hello.so", "mortise/hello", "hello", "identity.read", "");
	stand_table(s);
}

static void open_caller(struct stand *s, const char *permissions)
{
	stand_open(s);
	stand_route(s, "c", "call", "POST", "/call", "c.write", 10000, 1 << 20);
	stand_route(s, "c", "crash", "GET", "/crash", "c.read", 10000, 0);
	stand_route(s, "c", "hang", "GET", "/hang", "c.read", 300, 0);
	stand_route(s, "c", "last", "GET", "/last", "c.read", 5000, 0);
	(void)stand_worker(s, "tests/front/caller.so", "fixture/caller", "c", permissions, "");
	stand_table(s);
}

TEST(front_plugins__hello_answers_and_knows_who_asks)
{
	char *answer, *narrow;
	struct stand s;

	open_hello(&s);
	narrow = stand_key(&s, "ADMIN", "{catalog.read}", 1000);
	answer = stand_request(&s, s.admin, "GET", "/api/hello/ping", NULL, NULL);
	ck_assert_msg(stand_status(answer) == 200, "%s", answer);
	EXPECT_STR(stand_body(answer), "pong");
	EXPECT_CONTAINS(answer, "X-Request-Id: ");
	mem_free(answer);
	answer = stand_request(&s, s.admin, "GET", "/api/hello/w%C3%B6rld", NULL, NULL);
	EXPECT_STR(stand_body(answer), "{\"hello\":\"w\xc3\xb6rld\",\"caller\":\"admin\"}");
	mem_free(answer);
	answer = stand_request(&s, s.admin, "HEAD", "/api/hello/ping", NULL, NULL);
	EXPECT_INT(stand_status(answer), ==, 200);
	EXPECT_CONTAINS(answer, "Content-Length: 4\r\n");
	EXPECT_STR(stand_body(answer), "");
	mem_free(answer);
	expect_status(&s, NULL, "GET", "/api/hello/ping", NULL, 401);
	expect_status(&s, narrow, "GET", "/api/hello/ping", NULL, 403);
	expect_status(&s, s.admin, "GET", "/api/hello/a/b", NULL, 404);
	expect_status(&s, s.admin, "GET", "/api/other/ping", NULL, 404);
	answer = stand_request(&s, s.admin, "POST", "/api/hello/ping", NULL, "{}");
	EXPECT_INT(stand_status(answer), ==, 405);
	EXPECT_CONTAINS(answer, "Allow: GET, HEAD\r\n");
	mem_free(answer);
	mem_free(narrow);
	stand_close(&s);
}

TEST(front_plugins__pipelined_requests_are_all_answered_in_order)
{
	struct stand s;
	struct text requests;
	char *answers;
	const char *at;
	int count = 0;

	open_hello(&s);
	expect_status(&s, s.admin, "GET", "/api/hello/ping", NULL, 200);
	text_init(&requests);
	for (int i = 0; i < 50; i++)
		text_printf(&requests,
			"GET %s HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer %s\r\n"
			"X-Request-Id: r%d\r\n%s\r\n",
			i % 2 ? "/api/hello/ping" : "/v1/whoami", s.admin, i,
			i == 49 ? "Connection: close\r\n" : "");
	answers = stand_http(&s, requests.data);
	for (at = answers; (at = strstr(at, "X-Request-Id: r")) != NULL; count++, at++)
		EXPECT_INT(strtol(at + 15, NULL, 10), ==, count);
	EXPECT_INT(count, ==, 50);
	mem_free(answers);
	text_done(&requests);
	stand_close(&s);
}

static void open_echo(struct stand *s)
{
	static const char *const names[] = { "ping", "info", "sink", "big", "flood", "wait",
		"abort" };

	stand_open(s);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char *pattern = mem_printf("/%s", names[i]);

		stand_route(s, "e", names[i], strcmp(names[i], "sink") ? "GET" : "POST", pattern,
			"e.read", 20000, 64 << 20);
		mem_free(pattern);
	}
	stand_route(s, "e", "echo", "POST", "/echo", "e.read", 20000, 64 << 20);
	(void)stand_worker(s, "fixtures/plugins/echo.so", "fixture/echo", "e", "", "");
	stand_table(s);
}

/* Send a body of so many bytes from a child while the answer is read here: a front that would
 * wait for one end before the other would never be done. */
static char *exchange(struct stand *s, const char *path, size_t size, bool chunked)
{
	char *head, *answer, *body;
	int fd;
	pid_t sender;

	head = chunked ? mem_printf("POST %s HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer %s\r\n"
				    "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n",
				 path, s->admin)
		       : mem_printf("POST %s HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer %s\r\n"
				    "Connection: close\r\nContent-Length: %zu\r\n\r\n",
				 path, s->admin, size);
	fd = stand_connect(s, head);
	sender = fork();
	if (sender == 0) {
		body = mem_alloc(size + 64);
		for (size_t sent = 0; sent < size;) {
			size_t piece = size - sent < 70000 ? size - sent : 70000;
			int n = 0;

			if (chunked)
				n = snprintf(body, 64, "%zx\r\n", piece);
			for (size_t i = 0; i < piece; i++)
				body[(size_t)n + i] = (char)('a' + (sent + i) % 26);
			if (chunked)
				memcpy(body + n + piece, "\r\n", 2);
			piece += (size_t)n + (chunked ? 2 : 0);
			for (size_t at = 0; at < piece;) {
				ssize_t done = send(fd, body + at, piece - at, MSG_NOSIGNAL);

				if (done <= 0)
					_exit(1);
				at += (size_t)done;
			}
			sent += size - sent < 70000 ? size - sent : 70000;
		}
		if (chunked)
			(void)!write(fd, "0\r\n\r\n", 5);
		_exit(0);
	}
	answer = stand_read_until(fd, NULL);
	(void)kill(sender, SIGKILL);
	(void)waitpid(sender, NULL, 0);
	(void)close(fd);
	mem_free(head);
	return answer;
}

TEST(front_plugins__bodies_stream_both_ways)
{
	enum { SIZE = 6 << 20 };
	struct stand s;
	char *answer, *size;

	open_echo(&s);
	answer = exchange(&s, "/api/e/sink", SIZE, false);
	size = mem_printf("%d", SIZE);
	ck_assert_msg(stand_status(answer) == 200, "%.500s", answer);
	EXPECT_STR(stand_body(answer), size);
	mem_free(answer);
	answer = exchange(&s, "/api/e/sink", SIZE, true);
	EXPECT_STR(stand_body(answer), size);
	mem_free(answer);
	answer = exchange(&s, "/api/e/echo", SIZE, true);
	ck_assert_msg(stand_status(answer) == 200, "%.500s", answer);
	EXPECT_TRUE(strlen(answer) > SIZE);
	mem_free(answer);
	mem_free(size);
	stand_close(&s);
}

TEST(front_plugins__large_answers_arrive_whole)
{
	struct stand s;
	const char *body;
	char *answer;
	size_t length, wrong = 0;

	open_echo(&s);
	answer = stand_request(&s, s.admin, "GET", "/api/e/big?size=5000000", NULL, NULL);
	body = stand_body(answer);
	length = strlen(body);
	EXPECT_UINT(length, ==, 5000000);
	for (size_t i = 0; i < length; i++)
		wrong += body[i] != (char)('a' + i % 26);
	EXPECT_UINT(wrong, ==, 0);
	mem_free(answer);
	answer = stand_request(&s, s.admin, "GET", "/api/e/abort", NULL, NULL);
	EXPECT_INT(stand_status(answer), ==, 500);
	mem_free(answer);
	answer = stand_request(
		&s, s.admin, "GET", "/api/e/info?q=a+b", "X-Test: one\r\nCookie: c\r\n", NULL);
	EXPECT_CONTAINS(answer, "header=one");
	EXPECT_CONTAINS(answer, "q=a b");
	EXPECT_CONTAINS(answer, "x-answer: yes");
	mem_free(answer);
	stand_close(&s);
}

TEST(front_plugins__a_body_over_the_routes_limit_is_413)
{
	struct stand s;

	open_caller(&s, "kv");
	char *answer = exchange(&s, "/api/c/call?e=kv/1&m=get", 2 << 20, false);
	EXPECT_INT(stand_status(answer), ==, 413);
	mem_free(answer);
	expect_status(&s, s.admin, "GET", "/api/c/hang", "{}", 413);
	stand_close(&s);
}

TEST(front_plugins__a_plugin_that_does_not_answer_gives_504)
{
	struct stand s;

	open_caller(&s, "");
	expect_status(&s, s.admin, "GET", "/api/c/hang", NULL, 504);
	stand_close(&s);
}

TEST(front_plugins__a_crash_is_502_for_its_request_alone)
{
	struct stand s;
	char *answer;

	open_caller(&s, "");
	answer =
		stand_request(&s, s.admin, "GET", "/api/c/crash", "X-Request-Id: boom-1\r\n", NULL);
	EXPECT_INT(stand_status(answer), ==, 502);
	EXPECT_CONTAINS(answer, "\"incident\":\"boom-1\"");
	EXPECT_CONTAINS(answer, "\"code\":\"MRT-4045\"");
	mem_free(answer);
	expect_status(&s, s.admin, "GET", "/api/c/hang", NULL, 503);
	expect_status(&s, s.admin, "GET", "/v1/whoami", NULL, 200);
	stand_close(&s);
}

static void expect_call(
	struct stand *s, const char *key, const char *query, const char *json, const char *expected)
{
	char *path = mem_printf("/api/c/call?%s", query);
	char *answer = stand_request(s, key, "POST", path, NULL, json);

	ck_assert_msg(stand_status(answer) == 200, "%s: %s", query, answer);
	ck_assert_msg(strstr(stand_body(answer), expected) == stand_body(answer),
		"%s %s: expected '%s', got '%s'", query, json, expected, stand_body(answer));
	mem_free(path);
	mem_free(answer);
}

TEST(front_plugins__kv_keeps_gives_lists_and_forgets)
{
	struct stand s;

	open_caller(&s, "kv");
	expect_call(&s, s.admin, "e=kv/1&m=get", "{\"key\":\"a\"}", "-1005 ");
	expect_call(&s, s.admin, "e=kv/1&m=put", "{\"key\":\"a\",\"value\":{\"n\":1}}",
		"0 {\"etag\":\"");
	expect_call(&s, s.admin, "e=kv/1&m=get&own=1", "{\"key\":\"a\"}", "0 {\"etag\":\"");
	expect_call(&s, s.admin, "e=kv/1&m=put", "{\"key\":\"a\",\"value\":2,\"if_etag\":\"0\"}",
		"-1012 ");
	expect_call(&s, s.admin, "e=kv/1&m=list", "{\"prefix\":\"\"}",
		"0 {\"items\":[{\"key\":\"a\",\"etag\":\"");
	expect_call(&s, s.admin, "e=kv/1&m=delete", "{\"key\":\"a\"}", "0 {\"deleted\":true}");
	expect_call(&s, s.admin, "e=kv/1&m=put", "{\"key\":\"a\"}", "-1001 ");
	expect_call(&s, s.admin, "e=kv/1&m=put", "{\"key\":\"\",\"value\":1}", "-1001 ");
	expect_call(&s, s.admin, "e=kv/1&m=put", "{\"kye\":\"a\"}", "-1001 ");
	expect_call(&s, s.admin, "e=kv/1&m=nothing", "{}", "-1014 ");
	expect_call(&s, s.admin, "e=nobody.here/1&m=x", "{}", "-1014 ");
	expect_call(&s, s.admin, "e=catalog/1&m=list", "{}", "-1006 ");
	stand_close(&s);
}

TEST(front_plugins__an_operation_key_does_a_thing_once)
{
	struct stand s;
	char *count;

	open_caller(&s, "kv");
	expect_call(&s, s.admin, "e=kv/1&m=put&k=op-1", "{\"key\":\"a\",\"value\":1}", "0 ");
	expect_call(&s, s.admin, "e=kv/1&m=delete", "{\"key\":\"a\"}", "0 ");
	expect_call(&s, s.admin, "e=kv/1&m=put&k=op-1", "{\"key\":\"a\",\"value\":1}", "0 ");
	count = postgres_value(s.database, "SELECT count(*) FROM plugin_kv");
	EXPECT_STR(count, "0");
	mem_free(count);
	stand_close(&s);
}

static const char entities[] =
	"{\"entities\":[{\"key\":\"k1\",\"name\":\"lib-one\",\"type\":\"library\",\"team\":"
	"\"core\","
	"\"tags\":[\"libs\"],\"version\":\"1.2\"},{\"key\":\"k2\",\"name\":\"lib-two\"}]}";

TEST(front_plugins__the_catalog_is_written_with_permission_and_right_and_read_back)
{
	struct stand s;
	char *viewer, *answer;

	open_caller(&s, "catalog.read catalog.write catalog.teams identity.read");
	viewer = stand_key(&s, "VIEWER", "{*}", 1000);
	expect_call(&s, s.admin, "e=catalog/1&m=apply", entities, "0 {\"");
	expect_call(&s, s.admin, "e=catalog/1&m=relate",
		"{\"edges\":[{\"source\":\"k1\",\"target\":\"k2\"}]}", "0 {\"");
	expect_call(&s, s.admin, "e=catalog/1&m=get", "{\"name\":\"lib-one\"}",
		"0 {\"service\":{\"id\":\"");
	expect_call(&s, s.admin, "e=catalog/1&m=dependencies", "{\"name\":\"lib-one\"}",
		"0 {\"items\":[{\"id\":\"");
	answer = stand_request(&s, s.admin, "GET", "/v1/services?tag=libs&team=core", NULL, NULL);
	EXPECT_CONTAINS(answer, "\"name\":\"lib-one\"");
	EXPECT_CONTAINS(answer, "\"version\":\"1.2\"");
	EXPECT_NULL(strstr(answer, "lib-two"));
	mem_free(answer);
	/* The plugin may, the subject may not; and the plugin's own account is the other way about.
	 */
	answer = stand_request(
		&s, viewer, "POST", "/api/c/call?e=catalog/1&m=apply", NULL, entities);
	EXPECT_INT(stand_status(answer), ==, 403);
	mem_free(answer);
	expect_call(&s, s.admin, "e=catalog/1&m=apply&own=1", entities, "0 {\"");
	expect_call(&s, s.admin, "e=catalog/1&m=list&own=1", "{\"limit\":1}", "0 {\"items\":[{");
	expect_call(&s, s.admin, "e=identity/1&m=whoami&own=1", "{}", "0 {\"id\":\"");
	expect_call(&s, s.admin, "e=identity/1&m=can", "{\"action\":\"host.write\"}",
		"0 {\"allowed\":true,");
	expect_call(&s, s.admin, "e=identity/1&m=can&own=1", "{\"action\":\"host.write\"}",
		"0 {\"allowed\":false,");
	expect_call(&s, s.admin, "e=identity/1&m=teams", "{}", "0 {\"items\":[],\"next\":\"\"}");
	mem_free(viewer);
	stand_close(&s);
}

TEST(front_plugins__identity_says_who_may_do_what_by_the_table_of_v1)
{
	static const struct {
		const char *role, *scopes, *action, *resource;
		bool allowed;
	} cases[] = {
		{ "ADMIN", "{*}", "trust.write", "", true },
		{ "PLATFORM_ENGINEER", "{*}", "trust.write", "", false },
		{ "ADMIN", "{c.write}", "trust.write", "", false },
		{ "PLATFORM_ENGINEER", "{*}", "installation.change", "acme/x", true },
		{ "PLATFORM_ENGINEER", "{c.write,plugins.write:acme/x}", "installation.change",
			"acme/x", true },
		{ "PLATFORM_ENGINEER", "{c.write,plugins.write:acme/x}", "installation.change",
			"acme/y", false },
		{ "DEVELOPER", "{*}", "installation.change", "acme/x", false },
		{ "DEVELOPER", "{*}", "service.read", "", true },
		{ "DEVELOPER", "{*}", "hello.write", "", true },
		{ "DEVELOPER", "{c.write,hello.read}", "hello.write", "", false },
		{ "DEVELOPER", "{*}", "user.admin", "", false },
	};
	struct stand s;

	open_caller(&s, "identity.read");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *key = stand_key(&s, cases[i].role, cases[i].scopes, 1000);
		char *json = mem_printf("{\"action\":\"%s\"%s%s%s}", cases[i].action,
			cases[i].resource[0] ? ",\"resource\":\"" : "", cases[i].resource,
			cases[i].resource[0] ? "\"" : "");

		expect_call(&s, key, "e=identity/1&m=can", json,
			cases[i].allowed ? "0 {\"allowed\":true,\"reason\":\"\"}"
					 : "0 {\"allowed\":false,\"reason\":\"");
		mem_free(json);
		mem_free(key);
	}
	expect_call(&s, s.admin, "e=identity/1&m=can", "{\"action\":\"*\"}", "-1001 ");
	stand_close(&s);
}

TEST(front_plugins__a_plugin_knows_its_own_account_and_grants)
{
	struct stand s;

	open_caller(&s, "kv catalog.read");
	expect_call(&s, s.admin, "e=identity/1&m=plugin", "{}", "0 {\"installation\":\"");
	char *answer =
		stand_request(&s, s.admin, "POST", "/api/c/call?e=identity/1&m=plugin", NULL, "{}");
	EXPECT_CONTAINS(answer, "\"name\":\"fixture/caller\"");
	EXPECT_CONTAINS(answer, "\"permissions\":[\"kv\",\"catalog.read\"]");
	mem_free(answer);
	/* What it was not granted it does not get, for the greatest of subjects and for itself. */
	expect_call(&s, s.admin, "e=identity/1&m=whoami", "{}", "-1006 ");
	expect_call(&s, s.admin, "e=catalog/1&m=sync.begin", "{}", "-1006 ");
	expect_call(&s, s.admin, "e=catalog/1&m=sync.begin&own=1", "{}", "-1006 ");
	stand_close(&s);
}

TEST(front_plugins__nobody_is_acted_for_but_who_asks_now)
{
	static const char *const forged[] = {
		"{\"user\":\"someone\"}",
		"{\"user_id\":\"someone\"}",
		"{\"subject\":\"someone\"}",
		"{\"role\":\"ADMIN\"}",
	};
	static const char *const causes[] = { "1", "4294967297", "72057594037927937",
		"18446744073709551615" };
	struct stand s;
	char *viewer;

	open_caller(&s, "identity.read kv");
	viewer = stand_key(&s, "DEVELOPER", "{c.write,c.read}", 1000);
	/* A call has no member that names a principal. */
	for (size_t i = 0; i < sizeof(forged) / sizeof(forged[0]); i++)
		expect_call(&s, viewer, "e=identity/1&m=whoami", forged[i], "-1001 ");
	/* A handle that was made up is nobody's request, another one's least of all. */
	for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++) {
		char *query = mem_printf("e=identity/1&m=whoami&cause=%s", causes[i]);

		expect_call(&s, viewer, query, "{}", "-1002 ");
		mem_free(query);
	}
	/* Nor is a request that was answered. */
	expect_call(&s, s.admin, "e=identity/1&m=whoami&late=1", "{}", "answered");
	for (int i = 0; i < 1000; i++) {
		char *last = stand_request(&s, viewer, "GET", "/api/c/last", NULL, NULL);
		bool there = stand_body(last)[0] != '\0';

		if (there)
			EXPECT_CONTAINS(stand_body(last), "-1002 ");
		mem_free(last);
		if (there)
			break;
		ck_assert_int_lt(i, 999);
	}
	mem_free(viewer);
	stand_close(&s);
}

TEST(front_plugins__a_subject_without_the_right_bounds_the_plugin)
{
	struct stand s;
	char *key;

	open_caller(&s, "catalog.read catalog.write");
	key = stand_key(&s, "ADMIN", "{c.write,catalog.read}", 1000);
	expect_call(&s, key, "e=catalog/1&m=list", "{}", "0 ");
	expect_call(&s, key, "e=catalog/1&m=sync.begin", "{}", "-1006 ");
	expect_call(&s, s.admin, "e=catalog/1&m=sync.begin", "{}", "0 {\"sync\":\"");
	mem_free(key);
	stand_close(&s);
}

TEST(front_plugins__one_plugin_serves_anothers_calls)
{
	struct stand s;
	struct stand_worker *provider;

	open_caller(&s, "");
	provider = stand_worker(
		&s, "fixtures/plugins/calls.so", "fixture/calls", "calls", "", "fixture.double/1");
	expect_call(&s, s.admin, "e=fixture.double/1&m=x", "{\"a\":1}", "-1014 ");
	stand_table(&s);
	expect_call(&s, s.admin, "e=fixture.double/1&m=x", "{\"a\":1}", "0 {\"a\":1}{\"a\":1}");
	EXPECT_INT(kill(provider->pid, SIGKILL), ==, 0);
	(void)waitpid(provider->pid, NULL, 0);
	provider->pid = 0;
	for (;;) { /* until the front has seen it die: UNKNOWN in flight, then UNAVAIL */
		char *answer = stand_request(
			&s, s.admin, "POST", "/api/c/call?e=fixture.double/1&m=x", NULL, "{}");
		bool gone = strstr(stand_body(answer), "-1009 ") != NULL;

		ck_assert_msg(gone || strstr(stand_body(answer), "-1010 "), "%s", answer);
		mem_free(answer);
		if (gone)
			break;
	}
	stand_close(&s);
}

TEST(front_plugins__a_draining_worker_finishes_and_is_reported)
{
	struct stand s;
	struct front_drained drained;
	struct channel_message m;
	struct error err;
	char *request, *answer;
	int fd;

	open_echo(&s);
	request =
		mem_printf("POST /api/e/sink HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer %s\r\n"
			   "Connection: close\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n",
			s.admin);
	fd = stand_connect(&s, request);
	mem_free(stand_read_until(fd, "100 Continue"));
	s.workers[0].draining = true;
	stand_table(&s);
	expect_status(&s, s.admin, "GET", "/api/e/ping", NULL, 404);
	EXPECT_INT(send(fd, "abcd", 4, MSG_NOSIGNAL), ==, 4);
	answer = stand_read_until(fd, NULL);
	EXPECT_CONTAINS(answer, "\r\n\r\n4");
	m = stand_expect(&s, PROTOCOL_FRONT_DRAINED);
	EXPECT_OK(decode_front_drained(&drained, m.payload, &s.memory, &err), &err);
	EXPECT_SPAN(drained.installation, "inst1");
	s.workers[0].gone = true;
	stand_table(&s);
	mem_free(answer);
	mem_free(request);
	(void)close(fd);
	stand_close(&s);
}

TEST(front_plugins__a_client_that_leaves_frees_its_request)
{
	struct stand s;
	struct channel_message m;
	char *request;
	int fd;

	open_echo(&s);
	expect_status(&s, s.admin, "GET", "/api/e/ping", NULL, 200);
	request = mem_printf(
		"GET /api/e/wait HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer %s\r\n\r\n", s.admin);
	fd = stand_connect(&s, request);
	expect_status(&s, s.admin, "GET", "/api/e/ping", NULL, 200);
	(void)close(fd);
	s.workers[0].draining = true;
	stand_table(&s);
	m = stand_expect(&s, PROTOCOL_FRONT_DRAINED);
	EXPECT_UINT(m.type, ==, PROTOCOL_FRONT_DRAINED);
	mem_free(request);
	stand_close(&s);
}

TEST(front_plugins__asked_to_stop_it_finishes_and_exits_with_0)
{
	struct front_stop stop = { .deadline_ms = 5000 };
	struct stand s;
	struct error err;
	char *request, *answer;
	int fd, status;

	open_echo(&s);
	request = mem_printf("POST /api/e/sink HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer %s\r\n"
			     "Content-Length: 4\r\nExpect: 100-continue\r\n\r\n",
		s.admin);
	fd = stand_connect(&s, request);
	mem_free(stand_read_until(fd, "100 Continue"));
	EXPECT_OK(protocol_line_send(s.line, PROTOCOL_FRONT_STOP, 0, &stop, 0, -1, &err), &err);
	EXPECT_INT(send(fd, "abcd", 4, MSG_NOSIGNAL), ==, 4);
	answer = stand_read_until(fd, NULL);
	EXPECT_CONTAINS(answer, "\r\n\r\n4");
	EXPECT_INT(waitpid(s.front, &status, 0), ==, s.front);
	s.front = 0;
	EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	mem_free(answer);
	mem_free(request);
	(void)close(fd);
	stand_close(&s);
}

TEST(front_plugins__without_its_supervisor_a_front_leaves)
{
	struct stand s;
	int status;

	stand_open(&s);
	(void)shutdown(s.line_fd, SHUT_RDWR);
	EXPECT_INT(waitpid(s.front, &status, 0), ==, s.front);
	s.front = 0;
	EXPECT_TRUE(WIFEXITED(status));
	stand_close(&s);
}
