/* The whole plugin against a host of the test: calls are queued and answered one by one, a body is
 * given only as far as the plugin consumes it.
 */
#include "lib/test.h"

#include <mortise/json.h>
#include <mortise/plugin.h>

#define REQUEST 77
#define CALLS   64

static struct {
	struct mortise_host host;
	struct mortise_instance *plugin;
	const struct mortise_http_serve_1 *serve;
	void *user;
	uint64_t unconsumed, unconsumed_most;
	int over, status; /* answered; 0: aborted */
	char *answer;
	size_t answer_size;
	int window_shut; /* write() says AGAIN */
	const char *accept;

	struct {
		char method[16];
		char *json;
		mortise_call_done_cb done;
		void *user;
	} calls[CALLS];
	unsigned call_count, calls_most, call_total;
	int32_t call_rc; /* of starting one */
	int32_t outcome; /* of the next to be answered */
	mortise_timer_cb timer;
	void *timer_user;
	unsigned services, edges, finished;
	char edge_text[4096];
} h;

static uint64_t now_ns(struct mortise_host *host)
{
	(void)host;
	return 1000000000;
}

static int32_t bind(struct mortise_host *host, struct mortise_str route, uint32_t tag)
{
	(void)host;
	(void)tag;
	return mortise_str_equal(route, MORTISE_STR("import")) ? 0 : MORTISE_E_NOT_FOUND;
}

static int32_t attach(struct mortise_host *host, mortise_id request, void *user)
{
	(void)host;
	EXPECT_UINT(request, ==, REQUEST);
	h.user = user;
	return 0;
}

static int32_t header(struct mortise_host *host, mortise_id request, struct mortise_str name,
	struct mortise_str *out)
{
	(void)host;
	(void)request;
	if (!h.accept || !mortise_str_equal(name, MORTISE_STR("accept")))
		return MORTISE_E_NOT_FOUND;
	*out = mortise_str_from(h.accept);
	return 0;
}

static int32_t consume(struct mortise_host *host, mortise_id request, uint64_t n)
{
	(void)host;
	EXPECT_UINT(request, ==, REQUEST);
	EXPECT_UINT(n, <=, h.unconsumed);
	h.unconsumed -= n;
	return 0;
}

static void keep_answer(struct mortise_str piece)
{
	h.answer = realloc(h.answer, h.answer_size + piece.size + 1);
	memcpy(h.answer + h.answer_size, piece.data, piece.size);
	h.answer_size += piece.size;
	h.answer[h.answer_size] = '\0';
}

static int32_t reply(struct mortise_host *host, mortise_id request, int32_t status,
	struct mortise_str type, struct mortise_str body)
{
	(void)host;
	(void)type;
	if (request != REQUEST || h.over)
		return MORTISE_E_STALE;
	keep_answer(body);
	h.status = status;
	h.over = 1;
	return 0;
}

static int32_t begin(
	struct mortise_host *host, mortise_id request, int32_t status, struct mortise_str type)
{
	(void)host;
	(void)type;
	EXPECT_UINT(request, ==, REQUEST);
	h.status = status;
	return 0;
}

static int32_t write_piece(struct mortise_host *host, mortise_id request, struct mortise_str piece)
{
	(void)host;
	EXPECT_UINT(request, ==, REQUEST);
	if (h.window_shut)
		return MORTISE_E_AGAIN;
	keep_answer(piece);
	return 0;
}

static int32_t end(struct mortise_host *host, mortise_id request)
{
	(void)host;
	EXPECT_UINT(request, ==, REQUEST);
	h.over = 1;
	return 0;
}

static int32_t abort_request(struct mortise_host *host, mortise_id request)
{
	(void)host;
	(void)request;
	h.status = 0;
	h.over = 1;
	return 0;
}

static int32_t start_call(struct mortise_host *host, const struct mortise_call_args_1 *args,
	mortise_call_done_cb done, void *user, mortise_id *operation)
{
	(void)host;
	(void)operation;
	if (h.call_rc < 0)
		return h.call_rc;
	EXPECT_UINT(args->cause, ==, REQUEST);
	EXPECT_UINT(args->json.size, <=, MORTISE_CALL_JSON_MAX);
	EXPECT_UINT(h.call_count, <, CALLS);
	(void)snprintf(h.calls[h.call_count].method, sizeof(h.calls[0].method), "%.*s",
		(int)args->method.size, args->method.data);
	h.calls[h.call_count].json = calloc(1, args->json.size + 1);
	memcpy(h.calls[h.call_count].json, args->json.data, args->json.size);
	h.calls[h.call_count].done = done;
	h.calls[h.call_count++].user = user;
	h.call_total++;
	if (h.call_count > h.calls_most)
		h.calls_most = h.call_count;
	return 0;
}

static int32_t start_timer(struct mortise_host *host, uint64_t first_ms, uint64_t every_ms,
	mortise_timer_cb fn, void *user, mortise_id *timer)
{
	(void)host;
	(void)first_ms;
	(void)every_ms;
	h.timer = fn;
	h.timer_user = user;
	*timer = 5;
	return 0;
}

static int32_t stop_timer(struct mortise_host *host, mortise_id timer)
{
	(void)host;
	(void)timer;
	h.timer = NULL;
	return 0;
}

static const void *query(struct mortise_host *host, const char *id)
{
	static const struct mortise_core_1 core = { .now_ns = now_ns };
	static const struct mortise_http_1 http = { .bind = bind,
		.attach = attach,
		.header = header,
		.consume = consume,
		.reply = reply,
		.begin = begin,
		.write = write_piece,
		.end = end,
		.abort = abort_request };
	static const struct mortise_call_1 call = { .call = start_call };
	static const struct mortise_timer_1 timer = { .start = start_timer, .stop = stop_timer };

	(void)host;
	if (strcmp(id, MORTISE_CORE_1) == 0)
		return &core;
	if (strcmp(id, MORTISE_HTTP_1) == 0)
		return &http;
	if (strcmp(id, MORTISE_CALL_1) == 0)
		return &call;
	return strcmp(id, MORTISE_TIMER_1) == 0 ? &timer : NULL;
}

/* Number of elements of a call's list; edges are kept as text. */
static unsigned count_list(const char *json, const char *name)
{
	struct mortise_json root, list, sync;
	struct mortise_json_walk walk;
	unsigned count = 0;

	EXPECT_INT(mortise_json_parse(mortise_str_from(json), &root), ==, 0);
	EXPECT_INT(mortise_json_member(&root, "sync", &sync), ==, 0);
	EXPECT_TRUE(mortise_json_is(&sync, "41"));
	EXPECT_INT(mortise_json_member(&root, name, &list), ==, 0);
	for (walk = mortise_json_each(&list); mortise_json_next(&walk); count++) {
		size_t used = strlen(h.edge_text);

		if (walk.value.text.size + 1 < sizeof(h.edge_text) - used &&
			strcmp(name, "edges") == 0)
			memcpy(h.edge_text + used, walk.value.text.data, walk.value.text.size);
	}
	return count;
}

/* Answer the call that waits longest; 0 if there is none. */
static int answer_call(void)
{
	struct mortise_call_result_1 result;
	char json[256] = "{\"sync\":\"41\"}";
	unsigned n;

	if (h.call_count == 0)
		return 0;
	if (strcmp(h.calls[0].method, "apply") == 0) {
		n = count_list(h.calls[0].json, "entities");
		h.services += n;
		(void)snprintf(json, sizeof(json),
			"{\"created\":%u,\"updated\":0,\"unchanged\":0,\"teams_created\":1,"
			"\"conflicts\":[%s]}",
			n - 1, "{\"key\":\"k\",\"name\":\"n\",\"reason\":\"name_taken\"}");
	} else if (strcmp(h.calls[0].method, "relate") == 0) {
		n = count_list(h.calls[0].json, "edges");
		h.edges += n;
		(void)snprintf(json, sizeof(json),
			"{\"created\":%u,\"missing\":0,\"missing_sample\":[]}", n);
	} else if (strcmp(h.calls[0].method, "sync.finish") == 0) {
		h.finished++;
		(void)snprintf(
			json, sizeof(json), "{\"services_removed\":3,\"relationships_removed\":4}");
	}
	memset(&result, 0, sizeof(result));
	result.cause = REQUEST;
	if (h.outcome == 0)
		result.json = mortise_str_from(json);
	else
		result.text = MORTISE_STR("because");
	free(h.calls[0].json);
	n = h.call_count--;
	{
		mortise_call_done_cb done = h.calls[0].done;
		void *user = h.calls[0].user;

		memmove(h.calls, h.calls + 1, (n - 1) * sizeof(h.calls[0]));
		done(h.plugin, user, h.outcome, &result);
	}
	return 1;
}

static void begin_import(const char *accept)
{
	const struct mortise_http_request_1 head = { .body_size = MORTISE_HTTP_SIZE_UNKNOWN };
	struct mortise_error err;

	h.host.query = query;
	h.accept = accept;
	EXPECT_OK(mortise_plugin_v1.create(&h.host, &h.plugin, &err), &err);
	EXPECT_OK(mortise_plugin_v1.start(h.plugin, &err), &err);
	h.serve = mortise_plugin_v1.offers[0].interface;
	h.serve->on_request(h.plugin, REQUEST, 0, &head);
}

/* Give a body in pieces, as far as the window allows, answering one call whenever it is full. */
static void give_body(const char *body, size_t size, size_t piece)
{
	size_t given = 0;

	while (!h.over) {
		size_t n = size - given < piece ? size - given : piece;

		while (h.unconsumed + n > MORTISE_HTTP_WINDOW && !h.over)
			EXPECT_TRUE(answer_call());
		if (h.over)
			return;
		h.unconsumed += n;
		if (h.unconsumed > h.unconsumed_most)
			h.unconsumed_most = h.unconsumed;
		given += n;
		h.serve->on_body(h.plugin, REQUEST, h.user, mortise_str_of(body + given - n, n),
			given == size);
		if (given == size)
			return;
	}
}

static void end_plugin(void)
{
	while (answer_call())
		;
	mortise_plugin_v1.destroy(h.plugin);
	free(h.answer);
}

static const char small[] =
	"Package: a\nStatus: install ok installed\nDepends: b (>= 2) | c, nobody\n\n"
	"Package: b\nStatus: install ok installed\n\n"
	"Package: old\nStatus: deinstall ok config-files\n\nPackage: a\n";

TEST(os_catalog_import__a_list_becomes_services_and_relationships)
{
	begin_import(NULL);
	give_body(small, sizeof(small) - 1, 7);
	while (answer_call())
		;
	EXPECT_INT(h.over, ==, 1);
	EXPECT_INT(h.status, ==, 200);
	EXPECT_UINT(h.services, ==, 2);
	EXPECT_STR(h.edge_text,
		"{\"source\":\"a\",\"target\":\"b\",\"metadata\":{\"requires\":\"b (>= 2) | c\"}}");
	EXPECT_STR(h.answer, "{\"packages\":2,\"not_installed\":1,\"duplicates\":1,"
			     "\"services\":{\"created\":1,\"updated\":0,\"unchanged\":0,"
			     "\"removed\":3,\"conflicts\":1},"
			     "\"relationships\":{\"created\":1,\"updated\":0,\"unchanged\":0,"
			     "\"removed\":4,\"left_out\":0,\"unresolved\":1},"
			     "\"teams_created\":1,\"conflicts\":[{\"name\":\"n\",\"reason\":\"name_"
			     "taken\"}],\"bytes\":171,\"seconds\":0}");
	EXPECT_UINT(h.unconsumed, ==, 0);
	end_plugin();
}

/* packages p0 ... with two dependencies each */
static char *make_list(unsigned count, size_t *size)
{
	char *list = malloc(count * 200);

	*size = 0;
	for (unsigned i = 0; i < count; i++)
		*size += (size_t)snprintf(list + *size, 200,
			"Package: p%u\nDepends: p%u, p%u (>= 1)\nDescription: the %u\n\n", i,
			(i + 1) % count, (i + 2) % count, i);
	return list;
}

TEST(os_catalog_import__a_long_list_is_read_as_fast_as_the_catalog_takes_it)
{
	size_t size;
	char *list = make_list(30000, &size);

	begin_import("application/x-ndjson");
	give_body(list, size, 65536);
	EXPECT_UINT(h.unconsumed_most, >, MORTISE_HTTP_WINDOW / 2);
	while (answer_call())
		;
	EXPECT_UINT(h.services, ==, 30000);
	EXPECT_UINT(h.edges, ==, 60000);
	EXPECT_UINT(h.calls_most, ==, 4);
	EXPECT_UINT(h.finished, ==, 1);
	EXPECT_INT(h.over, ==, 1);
	EXPECT_CONTAINS(h.answer, "\n{\"packages\":30000,");
	EXPECT_INT(h.answer[h.answer_size - 1], ==, '\n');
	end_plugin();
	free(list);
}

TEST(os_catalog_import__nothing_is_removed_when_a_line_is_wrong)
{
	begin_import(NULL);
	give_body("Package: a\n\nnonsense\n", 21, 21);
	while (answer_call())
		;
	EXPECT_INT(h.status, ==, 422);
	EXPECT_CONTAINS(h.answer, "line 3: expected");
	EXPECT_CONTAINS(h.answer, "MRT-1017");
	EXPECT_UINT(h.finished, ==, 0);
	end_plugin();
}

TEST(os_catalog_import__an_empty_body_is_refused)
{
	begin_import(NULL);
	(void)answer_call();
	h.serve->on_body(h.plugin, REQUEST, h.user, mortise_str_of(NULL, 0), 1);
	EXPECT_INT(h.status, ==, 422);
	EXPECT_CONTAINS(h.answer, "holds no package");
	end_plugin();
}

TEST(os_catalog_import__a_refusal_of_the_catalog_is_passed_on)
{
	begin_import("application/x-ndjson");
	h.outcome = MORTISE_E_PERMISSION;
	give_body(small, sizeof(small) - 1, sizeof(small) - 1);
	EXPECT_TRUE(answer_call());
	EXPECT_STR(h.answer, "{\"error\":\"MRT-1006\",\"detail\":\"because\"}\n");
	EXPECT_INT(h.over, ==, 1);
	end_plugin();
}

TEST(os_catalog_import__a_client_that_leaves_ends_it_at_any_moment)
{
	size_t size;
	char *list = make_list(3000, &size);

	for (unsigned moment = 0; moment < 20; moment++) {
		memset(&h, 0, sizeof(h));
		begin_import(NULL);
		for (unsigned i = 0; i < moment && h.call_count > 0; i++) {
			if (i == 1)
				give_body(list, size, 262144);
			(void)answer_call();
		}
		if (!h.over)
			h.serve->on_gone(h.plugin, REQUEST, h.user, MORTISE_E_CANCELLED);
		h.outcome = MORTISE_E_CANCELLED;
		end_plugin();
		EXPECT_UINT(h.finished, ==, (unsigned)h.over);
	}
	free(list);
}

TEST(os_catalog_import__waits_where_the_host_takes_no_call)
{
	h.call_rc = MORTISE_E_AGAIN;
	begin_import(NULL);
	EXPECT_UINT(h.call_total, ==, 0);
	EXPECT_PTR((void *)(uintptr_t)h.timer);
	give_body(small, sizeof(small) - 1, 50);
	h.call_rc = 0;
	h.timer(h.plugin, h.timer_user);
	while (answer_call())
		;
	EXPECT_INT(h.status, ==, 200);
	EXPECT_UINT(h.finished, ==, 1);
	end_plugin();
}

TEST(os_catalog_import__the_last_line_waits_for_room)
{
	begin_import("application/x-ndjson");
	h.window_shut = 1;
	give_body(small, sizeof(small) - 1, 154);
	while (answer_call())
		;
	EXPECT_INT(h.over, ==, 0);
	h.window_shut = 0;
	h.serve->on_writable(h.plugin, REQUEST, h.user);
	EXPECT_INT(h.over, ==, 1);
	EXPECT_CONTAINS(h.answer, "{\"packages\":2,");
	end_plugin();
}

TEST(os_catalog_import__a_second_one_is_told_to_wait)
{
	const struct mortise_http_request_1 head = { .body_size = 0 };

	begin_import(NULL);
	h.serve->on_request(h.plugin, REQUEST, 0, &head);
	EXPECT_INT(h.status, ==, 409);
	h.serve->on_gone(h.plugin, REQUEST, h.user, MORTISE_E_CANCELLED);
	end_plugin();
}
