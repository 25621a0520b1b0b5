/* /v1/installations/{publisher}/{plugin}/logs: the last lines, and those to come
 *
 * The supervisor writes FOLDER/<publisher>.<plugin>.log, one JSON object a line, and renames it
 * away when it is full. Files are read on the pool. Following looks at the file each TICK_MS from
 * where it stopped; when the name leads to another file, what is left of the old one comes first.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/refusals.h"
#include "api/rest_changes_priv.h"
#include "api/rest_priv.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/loop.h"
#include "base/mem.h"

#define TICK_MS      500u
#define HEARTBEAT_NS (15 * CLOCK_NS_PER_SEC)
#define LINES_MAX    10000u
#define TAIL_BYTES   (4u << 20)
#define READ_BYTES   (256u << 10)

struct reader {
	struct list link; /* in api->streams */
	struct rest_call *call;
	char *path;
	unsigned lines;
	bool follow;
	bool reading;
	int fd; /* the file that is being followed; -1: none yet */
	off_t at;
	uint64_t timer;
	uint64_t beat_ns;
	struct text text; /* of the read under way; then lines that wait for the client */
	int errnum;
};

static void reader_free(void *state)
{
	struct reader *r = state;

	if (r->fd != -1)
		(void)close(r->fd);
	text_done(&r->text);
	mem_free(r->path);
	mem_free(r);
}

static void reader_over(struct rest_call *call)
{
	struct reader *r = call->state;

	list_remove(&r->link);
	rest_timer_stop(call, r->timer);
	r->timer = 0;
}

/* ---- on the pool -------------------------------------------------------------------------------
 */

static ssize_t read_at(int fd, off_t at, size_t len, struct text *out)
{
	char *place = text_reserve(out, len);
	ssize_t n;

	do {
		n = pread(fd, place, len, at);
	} while (n == -1 && errno == EINTR);
	if (n > 0)
		text_grown(out, (size_t)n);
	return n;
}

/* Up to `wanted` bytes from the end of the file that the log was before it was turned, whole lines.
 */
static void read_turned(struct reader *r, off_t wanted)
{
	CLEANUP(mem_freep) char *path = mem_printf("%s.1", r->path);
	CLEANUP(io_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	const char *end;
	bool cut;
	off_t at;

	if (fd == -1 || fstat(fd, &st) == -1)
		return;
	at = st.st_size > wanted ? st.st_size - wanted : 0;
	cut = at > 0;
	while (at < st.st_size) {
		ssize_t n = read_at(fd, at, READ_BYTES, &r->text);

		if (n <= 0)
			break;
		at += n;
	}
	if (!cut)
		return;
	end = memchr(r->text.data, '\n', r->text.len);
	text_consume(&r->text, end ? (size_t)(end - r->text.data) + 1 : r->text.len);
}

/* Everything in the last TAIL_BYTES; the loop thread takes the last lines of it. */
static void read_tail(void *user)
{
	struct reader *r = user;
	struct stat st;
	off_t from;

	r->fd = open(r->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (r->fd == -1 || fstat(r->fd, &st) == -1) {
		r->errnum = errno;
		return;
	}
	from = st.st_size > (off_t)TAIL_BYTES ? st.st_size - (off_t)TAIL_BYTES : 0;
	if (from == 0 && st.st_size < (off_t)TAIL_BYTES)
		read_turned(r, (off_t)TAIL_BYTES - st.st_size);
	r->at = from;
	while (r->at < st.st_size) {
		ssize_t n = read_at(r->fd, r->at, READ_BYTES, &r->text);

		if (n <= 0)
			break;
		r->at += n;
	}
}

static bool was_replaced(const struct reader *r)
{
	struct stat there, here;

	return stat(r->path, &there) == 0 && fstat(r->fd, &here) == 0 &&
	       (there.st_ino != here.st_ino || there.st_dev != here.st_dev);
}

static void read_more(void *user)
{
	struct reader *r = user;
	ssize_t n = 0;
	int fd;

	if (r->fd != -1)
		n = read_at(r->fd, r->at, READ_BYTES, &r->text);
	if (n > 0) {
		r->at += n;
		return;
	}
	if (r->fd != -1 && !was_replaced(r))
		return;
	fd = open(r->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd == -1)
		return;
	if (r->fd != -1)
		(void)close(r->fd);
	r->fd = fd;
	r->at = 0;
	n = read_at(r->fd, 0, READ_BYTES, &r->text);
	if (n > 0)
		r->at += n;
}

/* ---- on the loop -------------------------------------------------------------------------------
 */

/* Whole lines only; the start of a line that is not there yet waits. */
static void cut_tail(struct reader *r)
{
	size_t lines = 0, at = r->text.len;

	while (at > 0 && lines <= r->lines) {
		at--;
		if (r->text.data[at] == '\n' && at + 1 < r->text.len)
			lines++;
		else if (at + 1 == r->text.len)
			lines++;
		if (lines > r->lines) {
			at++;
			break;
		}
	}
	text_consume(&r->text, at);
}

static bool next_line(struct reader *r, size_t *used, struct span *line)
{
	const char *start = r->text.data + *used;
	const char *end = memchr(start, '\n', r->text.len - *used);

	if (!end)
		return false;
	*line = (struct span){ start, (size_t)(end - start) };
	*used += line->len + 1;
	return true;
}

static void send_lines(struct reader *r)
{
	struct span line;
	size_t used = 0, sent = 0;

	while (next_line(r, &used, &line)) {
		if (line.len > 0 && !rest_event(r->call, NULL, "line", line))
			break;
		sent = used;
	}
	text_consume(&r->text, sent);
}

static void answer_lines(struct reader *r)
{
	json_t *list = json_array(), *page = json_object();
	struct span line;
	size_t used = 0;

	while (next_line(r, &used, &line)) {
		json_t *object = json_loadb(line.data, line.len, 0, NULL);

		if (object)
			(void)json_array_append_new(list, object);
	}
	(void)json_object_set_new(page, "items", list);
	rest_json(r->call, 200, page);
}

static void on_tick(void *user);

static void on_read(void *user, int cancelled)
{
	struct reader *r = user;
	struct rest_call *call = r->call;

	(void)cancelled;
	r->reading = false;
	if (!rest_end(call))
		return;
	send_lines(r);
	if (call->api->stopping)
		rest_events_end(call);
}

static void read_on(struct reader *r)
{
	/* What the client has not taken yet bounds what is read. */
	if (r->reading || r->text.len >= READ_BYTES)
		return;
	r->reading = true;
	rest_begin(r->call);
	(void)work_submit(r->call->api->options.loop, read_more, on_read, r);
}

static void on_tick(void *user)
{
	struct reader *r = user;

	r->timer = rest_timer(r->call, TICK_MS, on_tick, r);
	if (clock_ns() >= r->beat_ns) {
		r->beat_ns = clock_ns() + HEARTBEAT_NS;
		(void)rest_heartbeat(r->call);
	}
	read_on(r);
}

static void on_writable(struct rest_call *call)
{
	struct reader *r = call->state;

	if (!r->reading && r->follow)
		send_lines(r);
}

static void on_tail(void *user, int cancelled)
{
	struct reader *r = user;
	struct rest_call *call = r->call;
	struct error err;

	(void)cancelled;
	r->reading = false;
	if (!rest_end(call))
		return;
	if (r->errnum != 0 && r->errnum != ENOENT) {
		(void)error_set(&err, ERR_INTERNAL, "the log of '%s' cannot be read", call->plugin);
		rest_problem(call, &err);
		return;
	}
	cut_tail(r);
	if (!r->follow) {
		answer_lines(r);
		return;
	}
	rest_events_begin(call);
	r->beat_ns = clock_ns() + HEARTBEAT_NS;
	r->timer = rest_timer(call, TICK_MS, on_tick, r);
	send_lines(r);
}

static void on_installation(
	const struct error *err, const struct store_installation *rows, size_t n, void *user)
{
	struct rest_call *call = user;
	struct reader *r = call->state;

	(void)rows;
	if (!rest_installation_found(call, err, n))
		return;
	r->reading = true;
	rest_begin(call);
	(void)work_submit(call->api->options.loop, read_tail, on_tail, r);
}

/* The name is of the form that installations have, or there is none: it leads out of no folder. */
static char *path_of(const struct rest_call *call)
{
	char *path = mem_printf("%s/%s.log", call->api->log_folder, call->plugin);
	char *name = path + strlen(call->api->log_folder) + 1;
	char *slash = strchr(name, '/');

	if (slash)
		*slash = '.';
	for (const char *c = name; *c; c++)
		if (*c == '/')
			path[0] = '\0';
	return path;
}

static void logs(struct rest_call *call)
{
	struct reader *r = mem_zalloc(sizeof(*r));
	struct rest_query q;
	bool ok;

	rest_query_init(&q, call);
	r->lines = (unsigned)rest_query_number(&q, "lines", 0, LINES_MAX, 100);
	ok = rest_query_end(&q);
	rest_query_done(&q);
	if (!ok) {
		mem_free(r);
		return;
	}
	r->call = call;
	r->fd = -1;
	r->follow = rest_wants_events(call);
	r->path = path_of(call);
	text_init(&r->text);
	list_append(&call->api->streams, &r->link);
	call->state = r;
	call->state_free = reader_free;
	call->on_over = reader_over;
	call->on_writable = on_writable;
	rest_installation_find(call, on_installation);
}

void rest_logs_stop(struct api *api)
{
	list_for_each(struct reader, r, &api->streams, link)
		if (r->timer)
			read_on(r);
}

void api_stop(struct api *api)
{
	api->stopping = true;
	rest_changes_stop(api);
	rest_logs_stop(api);
	refusals_flush(api->refusals);
}

const struct rest_route rest_logs_routes[] = {
	REST_ROUTE("GET", "/v1/installations/{publisher}/{plugin}/logs", INSTALLATION_LOGS, PLUGIN,
		NONE, logs),
	REST_ROUTES_END,
};
