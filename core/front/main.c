/* mortise-front: serves one listener. Wiring; the parts stand in front.h. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <uv.h>

#include "api/api.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/paths.h"
#include "channel/channel.h"
#include "codec/random.h"
#include "db/pool.h"
#include "front/admit.h"
#include "front/front.h"
#include "front/table.h"
#include "http/server.h"
#include "identity/authority.h"
#include "identity/hash_pool.h"

#define HASHES_MAX         4 /* the threads of libuv's pool */
#define HASHES_WAITING_MAX 10000
#define STOP_EXTRA_MS      500

/* ---- timers lent to api ------------------------------------------------------------------------
 */

struct timer {
	struct front *front;
	uint64_t id;
	api_timer_cb fire;
	void *user;
	uv_timer_t timer;
};

static void on_timer_closed(uv_handle_t *handle)
{
	mem_free(handle->data);
}

static void end_timer(struct timer *t)
{
	(void)slots_remove(&t->front->timers, t->id);
	uv_close((uv_handle_t *)&t->timer, on_timer_closed);
}

static void on_timer(uv_timer_t *handle)
{
	struct timer *t = handle->data;
	api_timer_cb fire = t->fire;
	void *user = t->user;

	end_timer(t);
	fire(user);
}

static uint64_t start_timer(void *host, uint32_t ms, api_timer_cb fire, void *user)
{
	struct front *front = host;
	struct timer *t = mem_zalloc(sizeof(*t));

	t->front = front;
	t->fire = fire;
	t->user = user;
	t->id = slots_add(&front->timers, t, 1);
	(void)uv_timer_init(front->loop, &t->timer);
	t->timer.data = t;
	(void)uv_timer_start(&t->timer, on_timer, ms, 0);
	return t->id;
}

static void stop_timer(void *host, uint64_t id)
{
	struct front *front = host;
	struct timer *t = slots_get(&front->timers, id, 1);

	if (t)
		end_timer(t);
}

static void stage(
	void *host, int fd, uint64_t size, struct span user_id, api_staged_cb done, void *user)
{
	control_stage(host, fd, size, user_id, done, user);
}

static void call(void *host, struct span extension, struct span method, struct span json,
	uint32_t timeout_ms, api_call_cb done, void *user)
{
	const struct data_call message = { .extension = extension, .method = method, .json = json };

	call_start_own(host, &message, timeout_ms, done, user);
}

static void key_ring(void *host, enum key_ring_op op, struct span context, struct span data,
	api_key_ring_cb done, void *user)
{
	control_key_ring(host, op, context, data, done, user);
}

static uint64_t fetch_http(void *host, const struct fetch_http *message, api_fetch_cb done,
	void *user, struct error *err)
{
	return fetch_start_http(host, message, done, user, err);
}

static uint64_t fetch_mail(void *host, const struct fetch_mail *message, api_fetch_cb done,
	void *user, struct error *err)
{
	return fetch_start_mail(host, message, done, user, err);
}

static void cancel_fetch(void *host, uint64_t id)
{
	fetch_cancel(host, id);
}

static const struct api_host api_host = {
	.timer = start_timer,
	.timer_stop = stop_timer,
	.stage = stage,
	.key_ring = key_ring,
	.call = call,
	.fetch_http = fetch_http,
	.fetch_mail = fetch_mail,
	.fetch_cancel = cancel_fetch,
};

/* ---- starting ----------------------------------------------------------------------------------
 */

static void on_tick(uv_timer_t *timer)
{
	struct front *front = timer->data;

	authority_tick(front->authority);
}

static char *copy(struct span s)
{
	return mem_printf("%.*s", SPAN_ARG(s));
}

static int read_settings(struct front *front, const struct front_start *message, struct error *err)
{
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < message->settings.count; i++) {
		char *name = copy(message->settings.items[i].key);
		char *value = copy(message->settings.items[i].value);

		rc = settings_set(&front->settings, name, value, err);
		mem_free(name);
		mem_free(value);
	}
	if (rc == 0)
		log_init("mortise-front", log_level_from(front->settings.log_level));
	return rc;
}

static int open_api(struct front *front, struct error *err)
{
	struct api_options options = {
		.loop = front->loop,
		.db = front->pool,
		.settings = &front->settings,
		.hashes = front->hashes,
		.environment = front->environment,
		.node = front->node,
		.package_bytes = front->settings.package_bytes,
		.host = &api_host,
		.host_user = front,
	};
	CLEANUP(mem_freep) char *data = NULL, *logs = NULL;
	int rc = paths_data(&data, &front->settings, err);

	if (rc < 0)
		return rc;
	logs = mem_printf("%s/logs", data);
	options.log_folder = logs;
	options.spool_folder = front->settings.spool_dir;
	return api_new(&front->api, &options, err);
}

static int serve(struct front *front, struct error *err)
{
	struct http_server_options options = {
		.loop = front->loop,
		.fd = PROTOCOL_FD_LISTENER,
		.name = "mortise",
		.on_request = serve_request,
		.user = front,
	};

	http_limits_init(&options.limits, &front->settings);
	/* What a client may have on its way to a plugin is what the channel may carry. */
	if (options.limits.window_bytes > PROTOCOL_BODY_WINDOW)
		options.limits.window_bytes = PROTOCOL_BODY_WINDOW;
	return http_server_start(&front->server, &options, err);
}

static void begin_serving(struct front *front)
{
	struct front_ready ready = { 0 };
	struct error err;

	ready.rc = serve(front, &err);
	ready.text = ready.rc < 0 ? span_of(err.text) : SPAN("");
	(void)send_front_ready(front->control, 0, &ready);
	if (ready.rc < 0) {
		log_error("front does not serve", LOG_ERR(&err));
		return;
	}
	(void)uv_timer_start(&front->tick, on_tick, AUTHORITY_TICK_MS, AUTHORITY_TICK_MS);
	log_info("front serves", LOG_INT("slot", front->slot),
		LOG_STR("environment", front->environment));
}

/* The first news, good or bad, is what serving waits for: a front that takes the place of another
 * answers nobody with 503 only because it is young. */
static void on_database(bool connected, const struct error *reason, void *user)
{
	struct front *front = user;
	bool changed = connected != front->database_up;

	front->database_up = connected;
	front->started = front->started || (connected && front->table);
	if (!connected && (changed || !front->server))
		log_warn("the database is not there; requests that need it get 503",
			LOG_STR("reason", reason ? reason->text : ""));
	else if (changed)
		log_info("the database is there");
	if (!front->server && !front->stopping)
		begin_serving(front);
}

static int open_database(struct front *front, struct span url, struct error *err)
{
	char *text = copy(url);
	struct db_pool_options options = {
		.url = text,
		.application = "mortise-front",
		.pooler = front->settings.database_pooler,
		.state = on_database,
		.user = front,
	};
	int rc = db_pool_start(&front->pool, front->loop, &options, err);

	mem_wipe(text, strlen(text));
	mem_free(text);
	return rc;
}

static unsigned within(uint64_t value, unsigned least, unsigned most)
{
	return value < least ? least : value > most ? most : (unsigned)value;
}

static struct hash_pool *open_hashes(struct front *front)
{
	const struct settings *s = &front->settings;

	return hash_pool_new(&(struct hash_pool_options){
		.loop = front->loop,
		.cost = within(s->auth_bcrypt_cost, PASSWORD_COST_MIN, PASSWORD_COST_MAX),
		.parallel = within(s->auth_hashes, 1, HASHES_MAX),
		.waiting = within(s->auth_hash_queue, 0, HASHES_WAITING_MAX),
	});
}

int front_begin(
	struct front *front, const struct front_start *message, int rate_fd, struct error *err)
{
	int rc = read_settings(front, message, err);

	front->slot = message->slot;
	front->environment = copy(message->environment);
	front->node = copy(message->node);
	front->fetch_path = copy(message->fetch);
	if (rc == 0)
		rc = admission_open(front, rate_fd, err);
	if (rc == 0)
		rc = open_database(front, message->database, err);
	if (rc < 0)
		return rc;
	front->authority = authority_new(front->pool, front->settings.auth_stale_max_ms);
	front->hashes = open_hashes(front);
	return open_api(front, err);
}

/* ---- leaving -----------------------------------------------------------------------------------
 */

static void leave(struct front *front)
{
	/* All that is left is the supervisor's channel: what waits there is sent, then we go. */
	channel_close(front->control);
}

static void on_pool_closed(void *user)
{
	leave(user);
}

static void on_hashes_closed(void *user)
{
	struct front *front = user;

	db_pool_close(front->pool, on_pool_closed, front);
}

static void on_flush_over(uv_timer_t *timer)
{
	struct front *front = timer->data;

	hash_pool_close(front->hashes, on_hashes_closed, front);
}

static void on_server_closed(void *user)
{
	struct front *front = user;

	front->server = NULL;
	links_close(front);
	authority_flush(front->authority);
	/* Counted uses are worth a moment, and no more. */
	(void)uv_timer_start(&front->tick, on_flush_over, STOP_EXTRA_MS / 2, 0);
}

void front_stop(struct front *front, uint32_t deadline_ms)
{
	if (!front->server) { /* nothing was begun, or it is over already */
		if (!front->stopping)
			leave(front);
		front->stopping = true;
		return;
	}
	if (!front->stopping)
		api_stop(front->api);
	front->stopping = true;
	http_server_close(front->server,
		deadline_ms > STOP_EXTRA_MS ? deadline_ms - STOP_EXTRA_MS : deadline_ms,
		on_server_closed, front);
}

static int run(struct error *err)
{
	struct front front = { .loop = uv_default_loop() };
	int rc = settings_init(&front.settings, err);

	if (rc < 0)
		return rc;
	map_init(&front.links);
	slots_init(&front.asked);
	slots_init(&front.timers);
	slots_init(&front.fetches);
	protocol_memory_init(&front.memory);
	text_init(&front.scratch);
	random_bytes(&front.boot, sizeof(front.boot));
	(void)uv_timer_init(front.loop, &front.tick);
	front.tick.data = &front;
	rc = control_start(&front, err);
	if (rc < 0)
		return rc;
	(void)uv_run(front.loop, UV_RUN_DEFAULT);
	BUG("the loop ended before the supervisor's channel did");
}

int main(void)
{
	struct error err;

	log_init("mortise-front", LOG_LEVEL_INFO);
	(void)signal(SIGPIPE, SIG_IGN);
	/* Its memory holds keys of clients. */
	(void)prctl(PR_SET_DUMPABLE, 0);
	if (fcntl(PROTOCOL_FD_CONTROL, F_GETFD) == -1 ||
		fcntl(PROTOCOL_FD_LISTENER, F_GETFD) == -1) {
		(void)fputs("mortise-front is started by mortised: see 'mortise up'\n", stderr);
		return 2;
	}
	(void)run(&err);
	log_error("front does not start", LOG_ERR(&err));
	return EXIT_FAILURE;
}
