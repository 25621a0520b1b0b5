/* fuzz_host.c - a front that sends anything to a worker's plugins
 *
 * The input is a list of messages: kind, id, flags, length and bytes; some kinds are well-formed
 * with odd values, others are the bytes as they come. They reach a real host with a real plugin
 * over a socket. Whatever they are, the host serves, stops and closes, with nothing left.
 */
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uv.h>

#include "base/assert.h"
#include "base/elf_note.h"
#include "base/error.h"
#include "base/mem.h"
#include "channel/frame_priv.h"
#include "channel/protocol.h"
#include "host/host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct bed {
	uv_loop_t loop;
	struct host *host;
	int stopped, closed;
	struct black_box box;
};

static bool on_log(void *user, const struct worker_log *line)
{
	(void)user;
	return line->message.len > 0;
}

static bool on_metrics(void *user, const struct worker_metrics *metrics)
{
	(void)user;
	(void)metrics;
	return true;
}

static void on_health(void *user, uint64_t ask, uint32_t status, struct span detail)
{
	(void)user;
	(void)ask;
	(void)status;
	(void)detail;
}

static void on_drained(void *user)
{
	(void)user;
}

static void on_stopped(void *user, const struct worker_stopped *report)
{
	ASSERT(report->rc == 0);
	((struct bed *)user)->stopped++;
}

static void on_closed(void *user)
{
	((struct bed *)user)->closed++;
}

static const struct host_events events = { on_log, on_metrics, on_health, on_drained, on_stopped,
	on_closed };

static void start_host(struct bed *b, const char *plugin)
{
	static const struct span routes[2][8] = {
		{ SPAN("ping"), SPAN("info"), SPAN("echo"), SPAN("sink"), SPAN("big"),
			SPAN("flood"), SPAN("wait"), SPAN("abort") },
		{ SPAN("call"), SPAN("own"), SPAN("cancel"), SPAN("many") },
	};
	static const struct span provides = SPAN("fixture.double/1");
	bool calls = strcmp(plugin, "calls") == 0;
	struct span needs[16];
	char path[4096];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 64);
	struct worker_start start = { .config = SPAN("{}"),
		.routes = { routes[calls], calls ? 4 : 8 },
		.provides = { &provides, calls } };
	struct elf_image image;
	struct elf_note note;
	struct error err;
	struct stat st;
	int fd;

	ASSERT(len > 0);
	path[len] = '\0';
	(void)snprintf(strrchr(path, '/'), 64, "/../fixtures/plugins/%s.so", plugin);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT(fd >= 0 && fstat(fd, &st) == 0 && elf_image_open(&image, fd, NULL) == 0 &&
		elf_note_read(&note, &image, NULL) == 0);
	(void)close(fd);
	start.entry = span_of(path);
	start.device = st.st_dev;
	start.inode = st.st_ino;
	start.plugin = span_of(note.id);
	start.version = span_of(note.version);
	for (size_t i = 0; i < note.count; i++)
		needs[start.needs.count++] = span_of(note.interfaces[i].id);
	start.needs.items = needs;
	memset(b, 0, sizeof(*b));
	ASSERT(uv_loop_init(&b->loop) == 0);
	b->host = host_new(&b->loop, &start, &b->box, &events, b);
	ASSERT(host_load(b->host, &err) == 0 && host_start(b->host, &err) == 0);
}

/* ---- what the front says ---- */

static void put(struct text *out, uint16_t type, uint64_t id, uint16_t flags, struct span payload)
{
	struct channel_message m = {
		.type = type, .id = id, .flags = flags, .payload = payload, .fd = -1
	};

	frame_append(out, &m);
}

static void put_struct(
	struct text *out, uint16_t type, uint64_t id, uint16_t flags, const void *message)
{
	struct text payload;

	text_init(&payload);
	protocol_encode(&payload, type, message);
	put(out, type, id, flags, text_span(&payload));
	text_done(&payload);
}

static void put_request(
	struct text *out, uint64_t id, uint16_t flags, struct span bytes, bool calls)
{
	static const char *const routes[2][8] = { { "ping", "info", "echo", "sink", "big", "flood",
							  "wait", "abort" },
		{ "call", "own", "cancel", "many", "call", "own", "cancel", "none" } };
	const struct protocol_pair pairs[] = { { SPAN("x-test"), bytes }, { SPAN("name"), bytes } };
	struct data_request request = {
		.route = span_of(routes[calls][bytes.len ? bytes.data[0] & 7 : 0]),
		.method = SPAN("GET"),
		.path = SPAN("/x"),
		.query = bytes.len > 1 ? (struct span){ bytes.data + 1, bytes.len - 1 }
				       : SPAN("size=300000&timeout=1"),
		.params = { pairs, 2 },
		.headers = { pairs, 2 },
		.length = -1,
		.trace = bytes,
	};

	put_struct(out, PROTOCOL_DATA_REQUEST, id, flags, &request);
}

/* Ends with what is left of the input. */
static void put_all(struct text *out, struct span in, bool calls)
{
	static char zeros[60000];

	while (in.len >= 4) {
		uint8_t kind = (uint8_t)in.data[0], id = in.data[1] & 7;
		uint16_t flags = in.data[2] & 1 ? PROTOCOL_LAST : 0;
		size_t len = (uint8_t)in.data[3];
		struct span bytes;
		uint32_t number;

		in.data += 4;
		in.len -= 4;
		bytes = (struct span){ in.data, len < in.len ? len : in.len };
		in.data += bytes.len;
		in.len -= bytes.len;
		number = bytes.len ? (uint32_t)(uint8_t)bytes.data[0] << (bytes.len & 15) : 1;
		switch (kind % 8) {
		case 0:
		case 1:
			put_request(out, id, flags, bytes, calls);
			break;
		case 2:
			put(out, PROTOCOL_DATA_BODY, id, flags,
				len & 1 ? bytes : (struct span){ zeros, sizeof(zeros) });
			break;
		case 3:
			put_struct(out, PROTOCOL_DATA_RESPONSE_CONSUMED, id, 0,
				&(struct data_response_consumed){ number });
			break;
		case 4:
			put_struct(out, PROTOCOL_DATA_GONE, id, 0,
				&(struct data_gone){ -1000 - (int32_t)(number & 31) });
			break;
		case 5:
			put_struct(out, PROTOCOL_DATA_CALL_RESULT, id, 0,
				&(struct data_call_result){
					.rc = flags ? -1003 : 0, .json = bytes });
			break;
		case 6:
			put_struct(out, PROTOCOL_DATA_ON_CALL, id, 0,
				&(struct data_on_call){ .extension = SPAN("fixture.double/1"),
					.method = len & 1 ? SPAN("never") : SPAN("x"),
					.json = bytes });
			break;
		default:
			put(out, (uint16_t)(0x0700 | kind), id, flags, bytes);
		}
	}
}

/* Push all of it, taking what comes back out of the way. */
static void converse(struct bed *b, int fd, struct span bytes)
{
	static char sink[1 << 16];
	int idle = 0;

	while (idle < 3) {
		ssize_t n = bytes.len ? send(fd, bytes.data, bytes.len, MSG_DONTWAIT | MSG_NOSIGNAL)
				      : 0;

		if (n > 0) {
			bytes.data += n;
			bytes.len -= (size_t)n;
		}
		(void)uv_run(&b->loop, UV_RUN_NOWAIT);
		idle = n > 0 ? 0 : idle + 1;
		while (recv(fd, sink, sizeof(sink), MSG_DONTWAIT) > 0)
			idle = 0;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool calls = size > 0 && (data[0] & 1);
	struct text bytes;
	struct bed b;
	int fds[2];

	if (size == 0)
		return 0;
	start_host(&b, calls ? "calls" : "echo");
	ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
	ASSERT(host_serve(b.host, fds[0], NULL) == 0);
	text_init(&bytes);
	frame_append_hello(&bytes);
	put_struct(&bytes, PROTOCOL_DATA_FRONT, 0, 0, &(struct data_front){ data[0] });
	put_all(&bytes, (struct span){ (const char *)data + 1, size - 1 }, calls);
	converse(&b, fds[1], text_span(&bytes));
	text_done(&bytes);
	if (data[0] & 2)
		(void)close(fds[1]);
	host_stop(b.host, 1000);
	while (!b.stopped)
		(void)uv_run(&b.loop, UV_RUN_NOWAIT);
	host_close(b.host);
	if (!(data[0] & 2))
		(void)close(fds[1]);
	while (!b.closed)
		(void)uv_run(&b.loop, UV_RUN_NOWAIT);
	ASSERT(uv_loop_close(&b.loop) == 0);
	return 0;
}
