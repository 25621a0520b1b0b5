#include "supervise/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <uv.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/mem.h"

#define LINES_MAGIC 0x656e696cu
#define READ_SIZE   (16u << 10)
#define REFILL_MS   1000
/* The last words of the dead: what a full pipe holds by default. */
#define LAST_READ_MAX (64u << 10)

struct lines {
	uint32_t magic;
	uv_poll_t poll;
	uv_timer_t timer; /* running while the budget is spent */
	int fd;
	unsigned handles; /* still open */
	size_t budget;
	uint64_t second; /* of the loop's clock, that the budget is for */
	struct text pending;
	lines_cb on_line;
	lines_closed_cb on_closed;
	void *user;
};

static void deliver(struct lines *l, bool rest)
{
	size_t from = 0;

	for (;;) {
		struct span left = { l->pending.data + from, l->pending.len - from };
		const char *end = memchr(left.data, '\n', left.len);
		size_t len = end ? (size_t)(end - left.data) : left.len;

		if (len > LINES_MAX) {
			len = LINES_MAX;
			end = NULL;
		} else if (!end && len < LINES_MAX && !(rest && len > 0)) {
			break;
		}
		l->on_line(l->user, (struct span){ left.data, len });
		from += len + (end ? 1 : 0);
	}
	text_consume(&l->pending, from);
}

/* Read once; 0: nothing there now, or the end. */
static size_t read_some(struct lines *l, bool *ended)
{
	ssize_t n = read(l->fd, text_reserve(&l->pending, READ_SIZE), READ_SIZE);

	*ended = n == 0 || (n == -1 && errno != EAGAIN && errno != EINTR);
	if (n <= 0)
		return 0;
	text_grown(&l->pending, (size_t)n);
	deliver(l, false);
	return (size_t)n;
}

static void on_readable(uv_poll_t *poll, int status, int events);

static void on_refill(uv_timer_t *timer)
{
	struct lines *l = CONTAINER_OF(timer, struct lines, timer);

	(void)uv_poll_start(&l->poll, UV_READABLE, on_readable);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct lines *l = CONTAINER_OF(poll, struct lines, poll);
	uint64_t second = uv_now(poll->loop) / REFILL_MS;
	size_t n;
	bool ended;

	(void)status;
	(void)events;
	ASSERT(l->magic == LINES_MAGIC);
	if (second != l->second) {
		l->second = second;
		l->budget = LINES_PER_SECOND;
	}
	n = read_some(l, &ended);
	l->budget -= n < l->budget ? n : l->budget;
	if (ended) {
		(void)uv_poll_stop(&l->poll);
	} else if (l->budget == 0) {
		(void)uv_poll_stop(&l->poll);
		(void)uv_timer_start(&l->timer, on_refill, REFILL_MS, 0);
	}
}

int lines_start(struct lines **out, struct uv_loop_s *loop, lines_cb on_line, void *user,
	int *writer, struct error *err)
{
	struct lines *l;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) == -1)
		return error_set_errno(err, errno, "make a log pipe");
	/* Only our end: the writer blocks, as the writer of a log expects. */
	if (fcntl(ends[0], F_SETFL, O_NONBLOCK) == -1)
		BUG("F_SETFL on a pipe");
	l = mem_zalloc(sizeof(*l));
	l->magic = LINES_MAGIC;
	l->fd = ends[0];
	l->on_line = on_line;
	l->user = user;
	l->handles = 2;
	text_init(&l->pending);
	if (uv_poll_init(loop, &l->poll, l->fd) != 0 ||
		uv_poll_start(&l->poll, UV_READABLE, on_readable) != 0)
		BUG("uv_poll refused a pipe");
	(void)uv_timer_init(loop, &l->timer);
	*writer = ends[1];
	*out = l;
	return 0;
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct lines *l = handle->data;

	ASSERT(l->magic == LINES_MAGIC);
	if (--l->handles > 0)
		return;
	(void)close(l->fd);
	text_done(&l->pending);
	l->magic = 0;
	if (l->on_closed)
		l->on_closed(l->user);
	mem_free(l);
}

void lines_close(struct lines *l, lines_closed_cb on_closed)
{
	size_t read = 0, n;
	bool ended;

	ASSERT(l->magic == LINES_MAGIC);
	do {
		n = read_some(l, &ended);
		read += n;
	} while (n > 0 && read < LAST_READ_MAX);
	deliver(l, true);
	l->on_closed = on_closed;
	l->poll.data = l;
	l->timer.data = l;
	uv_close((uv_handle_t *)&l->poll, on_handle_closed);
	uv_close((uv_handle_t *)&l->timer, on_handle_closed);
}
