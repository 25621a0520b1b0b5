#include "bed.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/elf_note.h"
#include "base/mem.h"

/* ---- the host's side ---- */

static bool on_log(void *user, const struct worker_log *line)
{
	struct bed *b = user;

	if (b->deaf)
		return false;
	if (line->dropped)
		text_printf(&b->log, "[%u dropped] ", line->dropped);
	text_append_span(&b->log, line->message);
	for (uint32_t i = 0; i < line->fields.count; i++)
		text_printf(&b->log, " %.*s=%.*s", SPAN_ARG(line->fields.items[i].key),
			SPAN_ARG(line->fields.items[i].value));
	text_append_char(&b->log, '\n');
	return true;
}

static bool on_metrics(void *user, const struct worker_metrics *m)
{
	struct bed *b = user;

	if (b->deaf)
		return false;
	for (uint32_t i = 0; i < m->samples.count; i++)
		text_printf(&b->metrics, "%.*s %.*s %g\n", SPAN_ARG(m->samples.items[i].name),
			SPAN_ARG(m->samples.items[i].labels), m->samples.items[i].value);
	return true;
}

static void on_health(void *user, uint64_t ask, uint32_t status, struct span detail)
{
	struct bed *b = user;

	b->healths++;
	b->health_ask = ask;
	b->health = status;
	(void)snprintf(b->detail, sizeof(b->detail), "%.*s", SPAN_ARG(detail));
}

static void on_drained(void *user)
{
	((struct bed *)user)->drained++;
}

static void on_stopped(void *user, const struct worker_stopped *report)
{
	struct bed *b = user;

	b->stopped++;
	b->stopped_rc = report->rc;
	for (uint32_t i = 0; i < report->leftovers.count; i++)
		text_printf(&b->leftovers, "%.*s %.*s %u\n",
			SPAN_ARG(report->leftovers.items[i].kind),
			SPAN_ARG(report->leftovers.items[i].name),
			report->leftovers.items[i].count);
}

static void on_closed(void *user)
{
	((struct bed *)user)->closed++;
}

static const struct host_events events = { on_log, on_metrics, on_health, on_drained, on_stopped,
	on_closed };

static uint32_t spans_of(const char *const *names, struct span *out)
{
	uint32_t n = 0;

	for (; names && names[n]; n++)
		out[n] = span_of(names[n]);
	return n;
}

/* What staging would have read from the file. Without a note, START names the plugin all the same.
 */
static void read_note(const char *path, struct elf_note *note, struct worker_start *start,
	struct span *needs, struct span *wants)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct elf_image image;
	struct error err;
	struct stat st;

	ck_assert_msg(fd >= 0, "no fixture %s", path);
	EXPECT_INT(fstat(fd, &st), ==, 0);
	start->device = st.st_dev;
	start->inode = st.st_ino;
	EXPECT_OK(elf_image_open(&image, fd, &err), &err);
	if (elf_note_read(note, &image, &err) == 0) {
		start->plugin = span_of(note->id);
		start->version = span_of(note->version);
		for (size_t i = 0; i < note->count; i++)
			if (note->interfaces[i].required)
				needs[start->needs.count++] = span_of(note->interfaces[i].id);
			else
				wants[start->wants.count++] = span_of(note->interfaces[i].id);
	}
	start->needs.items = needs;
	start->wants.items = wants;
	(void)close(fd);
}

static void on_tick(uv_timer_t *timer)
{
	(void)timer;
}

void bed_init_with(struct bed *b, const char *plugin, const char *config, const char *const *routes,
	const char *const *provides, void (*change)(struct worker_start *))
{
	struct span route_names[16], extensions[4], needs[16], wants[16];
	struct worker_start start = { .version = SPAN("1.0.0"), .config = span_of(config) };
	char *path = mem_printf("%s/fixtures/plugins/%s.so", test_build(), plugin);
	char *name = mem_printf("fixture/%s", plugin);
	struct elf_note note;

	memset(b, 0, sizeof(*b));
	EXPECT_INT(uv_loop_init(&b->loop), ==, 0);
	EXPECT_INT(uv_timer_init(&b->loop, &b->tick), ==, 0);
	EXPECT_INT(uv_timer_start(&b->tick, on_tick, 2, 2), ==, 0);
	text_init(&b->log);
	text_init(&b->metrics);
	text_init(&b->leftovers);
	start.plugin = span_of(name);
	start.entry = span_of(path);
	start.routes.items = route_names;
	start.routes.count = spans_of(routes, route_names);
	start.provides.items = extensions;
	start.provides.count = spans_of(provides, extensions);
	read_note(path, &note, &start, needs, wants);
	if (change)
		change(&start);
	b->host = host_new(&b->loop, &start, &b->box, &events, b);
	mem_free(path);
	mem_free(name);
}

void bed_init(struct bed *b, const char *plugin, const char *config, const char *const *routes,
	const char *const *provides)
{
	bed_init_with(b, plugin, config, routes, provides, NULL);
}

void bed_serve(struct bed *b)
{
	struct error err;

	EXPECT_OK(host_load(b->host, &err), &err);
	EXPECT_OK(host_start(b->host, &err), &err);
}

static void front_free(struct front *f)
{
	if (!f->bed)
		return;
	for (int i = 0; i < BED_REQUESTS; i++) {
		text_done(&f->answers[i].headers);
		text_done(&f->answers[i].body);
	}
	text_done(&f->call);
	text_done(&f->on_call_json);
}

void bed_done(struct bed *b)
{
	if (host_serving(b->host))
		host_stop(b->host, 5000);
	else
		b->stopped += !b->stopped;
	BED_RUN_UNTIL(b, b->stopped);
	host_close(b->host);
	for (int i = 0; i < BED_FRONTS; i++)
		if (b->fronts[i].bed)
			front_close(&b->fronts[i]);
	BED_RUN_UNTIL(b, b->closed);
	uv_close((uv_handle_t *)&b->tick, NULL);
	(void)uv_run(&b->loop, UV_RUN_DEFAULT);
	EXPECT_INT(uv_loop_close(&b->loop), ==, 0);
	for (int i = 0; i < BED_FRONTS; i++)
		front_free(&b->fronts[i]);
	text_done(&b->log);
	text_done(&b->metrics);
	text_done(&b->leftovers);
}

/* ---- a front ---- */

static void take_body(struct front *f, uint64_t id, struct span body, uint16_t flags)
{
	struct answer *a = &f->answers[id - 1];

	EXPECT_INT(a->done, ==, 0);
	a->body_bytes += body.len;
	if (!f->drop_body)
		text_append_span(&a->body, body);
	a->unconsumed += (uint32_t)body.len;
	EXPECT_UINT(a->unconsumed, <=, PROTOCOL_BODY_WINDOW);
	if (!f->keep_credit && body.len) {
		front_consumed(f, id, (uint32_t)body.len);
	}
	if (flags & PROTOCOL_LAST)
		a->done = 1;
}

static void on_front_message(void *user, struct channel_message *m)
{
	struct front *f = user;
	struct answer *a = &f->answers[m->id >= 1 && m->id <= BED_REQUESTS ? m->id - 1 : 0];
	struct protocol_memory memory;
	union {
		struct data_response response;
		struct data_response_failed failed;
		struct data_body_consumed consumed;
		struct data_call call;
		struct data_on_call_result result;
	} u;
	struct error err;

	protocol_memory_init(&memory);
	switch (m->type) {
	case PROTOCOL_DATA_RESPONSE:
		EXPECT_OK(decode_data_response(&u.response, m->payload, &memory, &err), &err);
		a->status = u.response.status;
		a->length = u.response.length;
		for (uint32_t i = 0; i < u.response.headers.count; i++)
			text_printf(&a->headers, "%.*s: %.*s\n",
				SPAN_ARG(u.response.headers.items[i].key),
				SPAN_ARG(u.response.headers.items[i].value));
		take_body(f, m->id, u.response.body, m->flags);
		break;
	case PROTOCOL_DATA_RESPONSE_BODY:
		take_body(f, m->id, m->payload, m->flags);
		break;
	case PROTOCOL_DATA_RESPONSE_FAILED:
		EXPECT_OK(decode_data_response_failed(&u.failed, m->payload, &memory, &err), &err);
		a->failed = u.failed.rc;
		a->done = 1;
		break;
	case PROTOCOL_DATA_BODY_CONSUMED:
		EXPECT_OK(decode_data_body_consumed(&u.consumed, m->payload, &memory, &err), &err);
		a->consumed += u.consumed.bytes;
		break;
	case PROTOCOL_DATA_CALL:
		EXPECT_OK(decode_data_call(&u.call, m->payload, &memory, &err), &err);
		f->calls++;
		f->call_id = m->id;
		f->call_parent = u.call.parent;
		EXPECT_TRUE(u.call.deadline_ns > 0);
		text_clear(&f->call);
		text_printf(&f->call, "%.*s %.*s %.*s", SPAN_ARG(u.call.extension),
			SPAN_ARG(u.call.method), SPAN_ARG(u.call.json));
		break;
	case PROTOCOL_DATA_CALL_CANCEL:
		f->cancels++;
		break;
	case PROTOCOL_DATA_ON_CALL_RESULT:
		EXPECT_OK(decode_data_on_call_result(&u.result, m->payload, &memory, &err), &err);
		f->call_results++;
		f->on_call_rc = u.result.rc;
		f->on_call_bytes = u.result.bytes.len;
		text_clear(&f->on_call_json);
		text_append_span(&f->on_call_json, u.result.json);
		break;
	default:
		ck_abort_msg("message of type 0x%04x", m->type);
	}
	protocol_memory_done(&memory);
}

static void on_front_close(void *user, int rc, const char *text)
{
	struct front *f = user;

	(void)text;
	f->channel = NULL;
	f->closed = rc == 0 ? 1 : rc;
}

static const struct channel_events front_events = { NULL, on_front_message, NULL, on_front_close };

struct front *bed_front(struct bed *b, int place, uint32_t slot)
{
	struct front *f = &b->fronts[place];
	struct channel_config config = { .peer = "worker",
		.events = &front_events,
		.user = f,
		.limit = protocol_limit,
		.link = PROTOCOL_LINK_WORKER_TO_FRONT };
	struct data_front named = { slot };
	struct error err;
	int fds[2];

	memset(f, 0, sizeof(*f));
	f->bed = b;
	for (int i = 0; i < BED_REQUESTS; i++) {
		text_init(&f->answers[i].headers);
		text_init(&f->answers[i].body);
	}
	text_init(&f->call);
	text_init(&f->on_call_json);
	EXPECT_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
	EXPECT_OK(host_serve(b->host, fds[0], &err), &err);
	EXPECT_OK(channel_start(&f->channel, &b->loop, fds[1], &config, &err), &err);
	EXPECT_INT(send_data_front(f->channel, 0, &named), ==, 0);
	return f;
}

void front_close(struct front *f)
{
	if (f->channel)
		channel_close(f->channel);
	BED_RUN_UNTIL(f->bed, f->closed);
}

void front_request(struct front *f, uint64_t id, const char *route, const char *query, bool body)
{
	const struct protocol_pair headers[] = { { SPAN("x-test"), SPAN("one") },
		{ SPAN("accept"), SPAN("*/*") }, { SPAN("x-test"), SPAN("two") } };
	const struct protocol_pair params[] = { { SPAN("name"), SPAN("b\303\244r") } };
	struct data_request request = { .route = span_of(route),
		.method = SPAN("GET"),
		.path = SPAN("/api/x"),
		.query = span_of(query),
		.params = { params, 1 },
		.headers = { headers, 3 },
		.length = body ? -1 : 0,
		.deadline_ns = clock_ns() + 30 * CLOCK_NS_PER_SEC,
		.trace = SPAN("trace-1") };

	EXPECT_INT(protocol_send(f->channel, PROTOCOL_DATA_REQUEST, id, &request,
			   body ? 0 : PROTOCOL_LAST, -1),
		==, 0);
}

void front_body(struct front *f, uint64_t id, struct span piece, bool last)
{
	EXPECT_INT(channel_send(f->channel, &(struct channel_message){ .type = PROTOCOL_DATA_BODY,
						    .flags = last ? PROTOCOL_LAST : 0,
						    .id = id,
						    .payload = piece,
						    .fd = -1,
						    .credited = true }),
		==, 0);
}

void front_gone(struct front *f, uint64_t id, int32_t rc)
{
	struct data_gone gone = { rc };

	EXPECT_INT(send_data_gone(f->channel, id, &gone), ==, 0);
}

void front_consumed(struct front *f, uint64_t id, uint32_t bytes)
{
	struct data_response_consumed consumed = { bytes };

	f->answers[id - 1].unconsumed -= bytes;
	if (f->channel)
		(void)send_data_response_consumed(f->channel, id, &consumed);
}

struct answer *front_get(struct front *f, uint64_t id, const char *route, const char *query)
{
	struct answer *a = &f->answers[id - 1];

	front_request(f, id, route, query, false);
	BED_RUN_UNTIL(f->bed, a->done || f->closed);
	EXPECT_INT(f->closed, ==, 0);
	return a;
}
