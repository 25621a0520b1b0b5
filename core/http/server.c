#include "http/server.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/mem.h"
#include "http/server_priv.h"

/* Descriptors are watched with uv_poll and read and written by us: so a warm request is one recv
 * and one send, reading can pause without going blind to a reset, and no write needs a request
 * object of its own.
 *
 * Deadlines stand in a wheel of lists. A connection is filed under a time that is not after any
 * of its deadlines; when that comes it looks at all of them and is filed again. Moving a deadline
 * away, which each request does, therefore costs nothing. One timer runs, for the next list that
 * is not empty.
 *
 * Connections that an owner touched from elsewhere are run by a prepare handle, before the loop
 * sleeps: so all answers of one turn to one client leave in one write. */

#define SERVER_MAGIC   0x48535256u
#define ACCEPT_BATCH   64
#define ACCEPT_WAIT_MS 100

/* Pools */

struct block *block_take(struct http_server *server)
{
	struct block *block = server->blocks;

	if (block) {
		server->blocks = block->next_free;
		server->block_count--;
	} else {
		block = mem_alloc(sizeof(*block));
	}
	block->refs = 1;
	return block;
}

void block_unref(struct http_server *server, struct block *block)
{
	ASSERT(block->refs > 0);
	if (--block->refs > 0)
		return;
	if (server->block_count == POOL_MAX) {
		mem_free(block);
		return;
	}
	block->next_free = server->blocks;
	server->blocks = block;
	server->block_count++;
}

struct http_request *request_take(struct http_server *server)
{
	struct http_request *request = server->free_request_count
					       ? server->free_requests[--server->free_request_count]
					       : mem_alloc(sizeof(*request));

	memset(request, 0, offsetof(struct http_request, head));
	list_init(&request->link);
	http_head_init(&request->head);
	return request;
}

void request_put(struct http_server *server, struct http_request *request)
{
	request->magic = 0;
	if (server->free_request_count < POOL_MAX)
		server->free_requests[server->free_request_count++] = request;
	else
		mem_free(request);
}

static void free_pools(struct http_server *server)
{
	while (server->blocks) {
		struct block *block = server->blocks;

		server->blocks = block->next_free;
		mem_free(block);
	}
	while (server->free_request_count)
		mem_free(server->free_requests[--server->free_request_count]);
}

/* The wheel */

static uint64_t tick_of(uint64_t ms)
{
	return (ms + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS;
}

/* The first tick after wheel_tick whose list is not empty; 0: none. */
static uint64_t next_used_tick(const struct http_server *server)
{
	for (uint64_t i = 1; i <= WHEEL_SLOTS;) {
		uint64_t slot = (server->wheel_tick + i) % WHEEL_SLOTS;
		uint64_t word = server->wheel_used[slot / 64] >> (slot % 64);

		if (word)
			return server->wheel_tick + i + (uint64_t)__builtin_ctzll(word);
		i += 64 - slot % 64;
	}
	return 0;
}

static void on_timer(uv_timer_t *timer);

static void set_timer(struct http_server *server, uint64_t at_ms)
{
	uint64_t now = uv_now(server->loop);

	server->timer_at_ms = at_ms;
	(void)uv_timer_start(&server->timer, on_timer, at_ms > now ? at_ms - now : 0, 0);
}

static void set_timer_before(struct http_server *server, uint64_t at_ms)
{
	if (!server->timer_at_ms || at_ms < server->timer_at_ms)
		set_timer(server, at_ms);
}

static void file(struct http_server *server, struct connection *connection)
{
	uint64_t tick = tick_of(connection->wake_ms);
	uint64_t slot;

	if (tick <= server->wheel_tick)
		tick = server->wheel_tick + 1;
	if (tick > server->wheel_tick + WHEEL_SLOTS - 1)
		tick = server->wheel_tick + WHEEL_SLOTS - 1;
	slot = tick % WHEEL_SLOTS;
	list_remove(&connection->wheel);
	list_append(&server->wheel[slot], &connection->wheel);
	server->wheel_used[slot / 64] |= UINT64_C(1) << (slot % 64);
	set_timer_before(server, tick * WHEEL_TICK_MS);
}

void server_wake(struct http_server *server, struct connection *connection, uint64_t when_ms)
{
	if (!list_empty(&connection->wheel) && connection->wake_ms <= when_ms)
		return;
	connection->wake_ms = when_ms;
	file(server, connection);
}

static void turn_slot(struct http_server *server, uint64_t tick)
{
	uint64_t slot = tick % WHEEL_SLOTS;
	struct list due;

	server->wheel_tick = tick;
	if (list_empty(&server->wheel[slot]))
		return;
	list_insert_(&due, server->wheel[slot].prev, &server->wheel[slot]);
	list_remove(&server->wheel[slot]);
	server->wheel_used[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
	while (!list_empty(&due)) {
		struct connection *connection = LIST_ENTRY(due.next, struct connection, wheel);

		list_remove(&connection->wheel);
		if (connection->wake_ms > uv_now(server->loop))
			file(server, connection);
		else
			connection_expire(connection);
	}
}

static void start_accepting(struct http_server *server);

static void on_timer(uv_timer_t *timer)
{
	struct http_server *server = timer->data;
	uint64_t last = uv_now(server->loop) / WHEEL_TICK_MS;
	uint64_t next;

	server->timer_at_ms = 0;
	/* After a long sleep each list is due once. */
	if (last > server->wheel_tick + WHEEL_SLOTS)
		server->wheel_tick = last - WHEEL_SLOTS;
	while (server->wheel_tick < last)
		turn_slot(server, server->wheel_tick + 1);
	if (!server->accepting)
		start_accepting(server);
	next = next_used_tick(server);
	if (next && !server->stopped)
		set_timer(server, next * WHEEL_TICK_MS);
}

/* Connections */

static void finish(struct http_server *server)
{
	http_closed_cb closed = server->closed;
	void *user = server->closed_user;

	server->magic = 0;
	free_pools(server);
	mem_free(server);
	closed(user);
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct http_server *server = handle->data;

	if (--server->handles == 0)
		finish(server);
}

static void on_connection_closed(uv_handle_t *handle)
{
	struct connection *connection = CONTAINER_OF(handle, struct connection, poll);
	struct http_server *server = connection->server;

	mem_free(connection);
	if (--server->handles == 0)
		finish(server);
}

/* Nothing is left but our own handles. */
static void stop(struct http_server *server)
{
	if (server->stopped || !server->closing || server->stats.connections)
		return;
	server->stopped = true;
	uv_close((uv_handle_t *)&server->listener, on_handle_closed);
	uv_close((uv_handle_t *)&server->timer, on_handle_closed);
	uv_close((uv_handle_t *)&server->closing_timer, on_handle_closed);
	uv_close((uv_handle_t *)&server->prepare, on_handle_closed);
	uv_close((uv_handle_t *)&server->idle_turn, on_handle_closed);
}

void server_forget(struct http_server *server, struct connection *connection)
{
	list_remove(&connection->link);
	list_remove(&connection->dirty);
	list_remove(&connection->wheel);
	list_remove(&connection->idle);
	uv_close((uv_handle_t *)&connection->poll, on_connection_closed);
	(void)close(connection->fd);
	server->stats.connections--;
	if (!server->accepting)
		start_accepting(server);
	stop(server);
}

/* True when one more connection has room, perhaps that of the one idle for longest. */
static bool make_place(struct http_server *server)
{
	struct connection *oldest;

	if (server->stats.connections < server->limits.connections)
		return true;
	oldest = LIST_FIRST(&server->idle, struct connection, idle);
	if (!oldest)
		return false;
	connection_stop(oldest, HTTP_GONE_CLIENT);
	return true;
}

static void pause_accepting(struct http_server *server)
{
	(void)uv_poll_stop(&server->listener);
	server->accepting = false;
}

static void on_listener(uv_poll_t *poll, int status, int events)
{
	struct http_server *server = poll->data;

	(void)status;
	(void)events;
	for (int i = 0; i < ACCEPT_BATCH && server->accepting; i++) {
		struct connection *fresh;
		socklen_t len;
		int fd;

		/* Only the event tells that somebody waits; whom to close for is asked once. */
		if (i > 0 && server->stats.connections >= server->limits.connections)
			return;
		if (!make_place(server)) {
			pause_accepting(server);
			return;
		}
		fresh = mem_zalloc(sizeof(*fresh));
		len = sizeof(fresh->peer);
		fd = accept4(server->fd, &fresh->peer.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd == -1) {
			mem_free(fresh);
			if (errno == EINTR || errno == ECONNABORTED)
				continue;
			if (errno == EAGAIN || errno == EWOULDBLOCK)
				return;
			/* Out of descriptors or memory: the next try is the timer's. */
			pause_accepting(server);
			set_timer_before(server, uv_now(server->loop) + ACCEPT_WAIT_MS);
			return;
		}
		if (uv_poll_init(server->loop, &fresh->poll, fd) != 0) {
			(void)close(fd);
			mem_free(fresh);
			continue;
		}
		server->handles++;
		server->stats.accepted++;
		server->stats.connections++;
		connection_open(server, fd, fresh);
	}
}

static void start_accepting(struct http_server *server)
{
	if (server->closing || server->stats.connections >= server->limits.connections)
		return;
	server->accepting = uv_poll_start(&server->listener, UV_READABLE, on_listener) == 0;
}

/* Dirty connections */

static void on_idle_turn(uv_idle_t *idle)
{
	(void)idle;
}

void server_add_dirty(struct http_server *server, struct connection *connection)
{
	if (!list_empty(&connection->dirty))
		return;
	list_append(&server->dirty, &connection->dirty);
	/* Keeps the loop from sleeping, also when our prepare handle has already had its turn. */
	(void)uv_idle_start(&server->idle_turn, on_idle_turn);
}

static void on_prepare(uv_prepare_t *prepare)
{
	struct http_server *server = prepare->data;
	struct list now;

	if (list_empty(&server->dirty))
		return;
	list_insert_(&now, server->dirty.prev, &server->dirty);
	list_remove(&server->dirty);
	while (!list_empty(&now)) {
		struct connection *connection = LIST_ENTRY(now.next, struct connection, dirty);

		list_remove(&connection->dirty);
		connection_run(connection);
	}
	/* What became dirty meanwhile has its turn after the others' input, without a sleep. */
	if (list_empty(&server->dirty))
		(void)uv_idle_stop(&server->idle_turn);
}

const char *server_date(struct http_server *server)
{
	struct timespec now;
	struct tm tm;

	(void)clock_gettime(CLOCK_REALTIME_COARSE, &now);
	if (now.tv_sec == server->date_s)
		return server->date;
	server->date_s = now.tv_sec;
	(void)gmtime_r(&now.tv_sec, &tm);
	/* The C locale's names, which no program of ours changes. */
	(void)strftime(
		server->date, sizeof(server->date), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &tm);
	return server->date;
}

/* Life */

int http_server_start(
	struct http_server **out, const struct http_server_options *options, struct error *err)
{
	struct http_server *server;
	int on = 1, rc;

	server = mem_zalloc(sizeof(*server));
	rc = uv_poll_init(options->loop, &server->listener, options->fd);
	if (rc != 0) {
		mem_free(server);
		return error_set(
			err, ERR_SYSTEM, "watch the listening socket: %s", uv_strerror(rc));
	}
	/* Inherited by what is accepted; not there for a Unix socket. */
	(void)setsockopt(options->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	server->magic = SERVER_MAGIC;
	server->loop = options->loop;
	server->limits = options->limits;
	server->name = options->name;
	server->name_len = options->name ? strlen(options->name) : 0;
	server->on_request = options->on_request;
	server->user = options->user;
	server->fd = options->fd;
	server->date_s = -1;
	list_init(&server->connections);
	list_init(&server->dirty);
	list_init(&server->idle);
	for (size_t i = 0; i < WHEEL_SLOTS; i++)
		list_init(&server->wheel[i]);
	server->wheel_tick = uv_now(server->loop) / WHEEL_TICK_MS;
	(void)uv_timer_init(server->loop, &server->timer);
	(void)uv_timer_init(server->loop, &server->closing_timer);
	(void)uv_prepare_init(server->loop, &server->prepare);
	(void)uv_idle_init(server->loop, &server->idle_turn);
	server->handles = 5;
	server->listener.data = server->timer.data = server->closing_timer.data =
		server->prepare.data = server->idle_turn.data = server;
	(void)uv_prepare_start(&server->prepare, on_prepare);
	uv_unref((uv_handle_t *)&server->prepare);
	start_accepting(server);
	*out = server;
	return 0;
}

static void on_closing_deadline(uv_timer_t *timer)
{
	struct http_server *server = timer->data;

	while (!list_empty(&server->connections))
		connection_stop(LIST_ENTRY(server->connections.next, struct connection, link),
			HTTP_GONE_SHUTDOWN);
}

void http_server_close(
	struct http_server *server, uint32_t deadline_ms, http_closed_cb closed, void *user)
{
	ASSERT(server->magic == SERVER_MAGIC);
	if (server->closing) {
		if (!server->stopped && deadline_ms < uv_timer_get_due_in(&server->closing_timer))
			(void)uv_timer_start(
				&server->closing_timer, on_closing_deadline, deadline_ms, 0);
		return;
	}
	ASSERT(closed);
	server->closing = true;
	server->closed = closed;
	server->closed_user = user;
	pause_accepting(server);
	(void)uv_timer_start(&server->closing_timer, on_closing_deadline, deadline_ms, 0);
	list_for_each(struct connection, connection, &server->connections, link)
		connection_touch(connection);
	stop(server);
}

void http_server_stats(const struct http_server *server, struct http_stats *out)
{
	*out = server->stats;
}
