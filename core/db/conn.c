/* libpq may open another socket at each step of connecting, under the same number; so each step
 * has a uv_poll_t of its own, stopped before libpq may close the descriptor. Names are resolved by
 * libuv's pool and handed to libpq as hostaddr, one entry an address; libpq then tries them in
 * order. */
#include "db/conn_priv.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "db/target_priv.h"
#include "db/value_priv.h"

#define CONNECT_TIMEOUT_MS 10000u
#define BACKOFF_FIRST_MS   50u
#define BACKOFF_MAX_MS     2000u
/* A connection that lasted this long starts the back-off from zero when it ends. */
#define STABLE_NS (5 * CLOCK_NS_PER_SEC)
/* OpenSSL may hold decrypted bytes that the socket no longer announces. */
#define TLS_LOOK_MS 5u

static void connect_now(struct conn *c);
static void on_poll(uv_poll_t *poll, int status, int events);

static void on_poll_closed(uv_handle_t *handle)
{
	struct conn *c = handle->data;

	mem_free(handle);
	c->handles--;
	if (c->state == CONN_CLOSING && c->handles == 0) {
		c->state = CONN_CLOSED;
		c->use->closed(c);
	}
}

static void drop_poll(struct conn *c)
{
	if (!c->poll)
		return;
	uv_close((uv_handle_t *)c->poll, on_poll_closed);
	c->poll = NULL;
	c->watched = 0;
}

static void watch(struct conn *c, int events)
{
	if (!c->poll) {
		c->poll = mem_zalloc(sizeof(*c->poll));
		if (uv_poll_init(c->loop, c->poll, PQsocket(c->pg)) != 0)
			BUG("a new database socket cannot be watched");
		c->poll->data = c;
		c->handles++;
		c->watched = 0;
	}
	if (events != c->watched && uv_poll_start(c->poll, events, on_poll) != 0)
		BUG("a database socket cannot be watched");
	c->watched = events;
}

static void release(struct conn *c)
{
	drop_poll(c);
	PQfinish(c->pg);
	c->pg = NULL;
	target_free(TAKE(c->resolved));
}

static void on_retry(uv_timer_t *timer)
{
	connect_now(timer->data);
}

static unsigned backoff_ms(const struct conn *c)
{
	unsigned doublings = c->attempts < 8 ? c->attempts : 8;
	unsigned pause = BACKOFF_FIRST_MS << doublings;

	if (pause > BACKOFF_MAX_MS)
		pause = BACKOFF_MAX_MS;
	/* Many nodes lose one database at one instant; they shall not come back at one. */
	return pause - (unsigned)(clock_ns() / 1000 % (pause / 2));
}

void conn_lose(struct conn *c, const struct error *reason)
{
	struct error copy = *reason;

	ASSERT(c->state != CONN_CLOSED);
	if (c->state == CONN_CLOSING || c->state == CONN_WAITING)
		return;
	if (c->state == CONN_OPEN && clock_ns() - c->opened_at > STABLE_NS)
		c->attempts = 0;
	c->state = CONN_WAITING;
	drop_poll(c);
	c->use->lost(c, &copy);
	release(c);
	(void)uv_timer_start(&c->timer, on_retry, backoff_ms(c), 0);
	c->attempts++;
}

static void lose_pg(struct conn *c, const char *what)
{
	struct error err;

	failure_of_connection(c->pg, what, &err);
	conn_lose(c, &err);
}

void conn_lose_broken(struct conn *c)
{
	struct error err;

	if (c->state != CONN_OPEN)
		return;
	if (!c->farewell[0]) {
		lose_pg(c, "the database connection is lost");
		return;
	}
	error_set(&err, ERR_UNAVAIL, "the database connection is lost: %s", c->farewell);
	conn_lose(c, &err);
}

static void on_connect_timeout(uv_timer_t *timer)
{
	struct error err;

	error_set(&err, ERR_UNAVAIL, "connect to the database: no answer in time");
	conn_lose(timer->data, &err);
}

static void on_tls_look(uv_timer_t *timer)
{
	struct conn *c = timer->data;

	if (c->state == CONN_OPEN)
		on_poll(c->poll, 0, UV_READABLE);
}

bool conn_hear(struct conn *c, const PGresult *r)
{
	const char *severity = PQresultErrorField(r, PG_DIAG_SEVERITY_NONLOCALIZED);
	const char *said = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);

	if (!severity || (strcmp(severity, "FATAL") != 0 && strcmp(severity, "PANIC") != 0))
		return false;
	(void)snprintf(c->farewell, sizeof(c->farewell), "%s", said ? said : "");
	return true;
}

static void on_notice(void *user, const PGresult *r)
{
	const char *said = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);

	/* What ends an idle connection arrives as a notice. */
	if (!conn_hear(user, r))
		log_debug("database notice", LOG_STR("text", said));
}

static void opened(struct conn *c)
{
	(void)uv_timer_stop(&c->timer);
	target_free(TAKE(c->resolved));
	if (PQsetnonblocking(c->pg, 1) != 0)
		BUG("PQsetnonblocking refused");
	if (PQsslInUse(c->pg))
		(void)uv_timer_start(&c->timer, on_tls_look, TLS_LOOK_MS, TLS_LOOK_MS);
	c->farewell[0] = '\0';
	c->state = CONN_OPEN;
	c->opened_at = clock_ns();
	watch(c, UV_READABLE);
	c->use->opened(c);
	conn_flush(c);
}

static void step_connect(struct conn *c)
{
	PostgresPollingStatusType status;

	drop_poll(c);
	status = PQconnectPoll(c->pg);
	if (status == PGRES_POLLING_OK)
		opened(c);
	else if (status == PGRES_POLLING_FAILED)
		lose_pg(c, "connect to the database");
	else
		watch(c, status == PGRES_POLLING_READING ? UV_READABLE : UV_WRITABLE);
}

static void take_input(struct conn *c)
{
	int alive = PQconsumeInput(c->pg);

	(void)PQisBusy(c->pg); /* parses, so that notices are heard */
	/* Also when it failed: what came before the end is whole. */
	c->use->input(c);
	if (!alive)
		conn_lose_broken(c);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct conn *c = poll->data;

	(void)events;
	/* After an error libuv watches no more, but bytes that came before may be left to read:
	 * libpq finds the end, and words it, one read later. */
	if (status < 0)
		c->watched = 0;
	if (c->state == CONN_CONNECTING) {
		step_connect(c);
		return;
	}
	if (c->state == CONN_OPEN)
		take_input(c);
	if (c->state == CONN_OPEN)
		conn_flush(c);
}

void conn_flush(struct conn *c)
{
	int pending;

	if (c->state != CONN_OPEN)
		return;
	pending = PQflush(c->pg);
	if (pending == -1)
		conn_lose_broken(c);
	else
		watch(c, pending ? UV_READABLE | UV_WRITABLE : UV_READABLE);
}

static void start_libpq(struct conn *c)
{
	const struct target *t = c->resolved ? c->resolved : c->target;
	const char *limit = target_get(t, "connect_timeout");
	uint64_t seconds = 0;

	c->state = CONN_CONNECTING;
	c->pg = PQconnectStartParams(
		(const char *const *)t->keywords, (const char *const *)t->values, 0);
	if (!c->pg)
		BUG("no memory for a database connection");
	(void)PQsetNoticeReceiver(c->pg, on_notice, c);
	if (PQstatus(c->pg) == CONNECTION_BAD) {
		lose_pg(c, "connect to the database");
		return;
	}
	(void)span_u64(span_of(limit), 3600, &seconds);
	(void)uv_timer_start(
		&c->timer, on_connect_timeout, seconds ? seconds * 1000 : CONNECT_TIMEOUT_MS, 0);
	watch(c, UV_WRITABLE);
}

/* The i-th item of a comma-separated list; a list of one counts for all. */
static struct span list_item(const char *list, size_t i)
{
	struct span rest = span_of(list ? list : ""), first = SPAN_NONE, item = SPAN_NONE;

	for (size_t at = 0; at <= i; at++) {
		if (!span_split(&rest, ',', &item))
			return at == 1 ? first : SPAN_NONE;
		if (at == 0)
			first = item;
	}
	return item;
}

static bool needs_resolving(struct span host)
{
	unsigned char address[sizeof(struct in6_addr)];
	char text[256];

	if (host.len == 0 || host.data[0] == '/' || host.data[0] == '@')
		return false;
	(void)snprintf(text, sizeof(text), "%.*s", SPAN_ARG(host));
	return inet_pton(AF_INET, text, address) != 1 && inet_pton(AF_INET6, text, address) != 1;
}

static void append_item(struct target *t, const char *keyword, struct span item)
{
	const char *old = target_get(t, keyword);
	char *list = old ? mem_printf("%s,%.*s", old, SPAN_ARG(item))
			 : mem_printf("%.*s", SPAN_ARG(item));

	target_set(t, keyword, list);
	mem_free(list);
}

static void add_host(struct conn *c, struct span host, const char *address)
{
	append_item(c->resolved, "host", host);
	append_item(c->resolved, "hostaddr", span_of(address));
	append_item(c->resolved, "port", list_item(target_get(c->target, "port"), c->resolving));
}

static void on_resolved(uv_getaddrinfo_t *resolver, int status, struct addrinfo *found);

/* Take over hosts until one has to be resolved; connect behind the last. */
static void resolve_next(struct conn *c)
{
	static const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	const char *hosts = target_get(c->target, "host");
	struct span host;
	char name[256];

	for (;; c->resolving++) {
		host = c->resolving > 0 && !strchr(hosts, ',') ? SPAN_NONE
							       : list_item(hosts, c->resolving);
		if (!host.data) {
			start_libpq(c);
			return;
		}
		if (needs_resolving(host))
			break;
		add_host(c, host, "");
	}
	(void)snprintf(name, sizeof(name), "%.*s", SPAN_ARG(host));
	if (uv_getaddrinfo(c->loop, &c->resolver, on_resolved, name, NULL, &hints) != 0)
		BUG("uv_getaddrinfo refused");
	c->handles++;
}

static void add_addresses(struct conn *c, const struct addrinfo *found)
{
	struct span host = list_item(target_get(c->target, "host"), c->resolving);
	char text[INET6_ADDRSTRLEN];

	for (const struct addrinfo *a = found; a; a = a->ai_next)
		if (getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof(text), NULL, 0,
			    NI_NUMERICHOST) == 0)
			add_host(c, host, text);
	c->resolving++;
}

static void on_resolved(uv_getaddrinfo_t *resolver, int status, struct addrinfo *found)
{
	struct conn *c = resolver->data;
	struct error err;

	c->handles--;
	if (c->state == CONN_RESOLVING && status != 0) {
		error_set(&err, ERR_UNAVAIL, "find the database's host: %s", uv_strerror(status));
		conn_lose(c, &err);
	} else if (c->state == CONN_RESOLVING) {
		add_addresses(c, found);
		resolve_next(c);
	} else if (c->state == CONN_CLOSING && c->handles == 0) {
		c->state = CONN_CLOSED;
		c->use->closed(c);
	}
	uv_freeaddrinfo(found);
}

static bool has_names(const struct target *t)
{
	struct span rest = span_of(target_get(t, "host")), host;

	if (target_get(t, "hostaddr"))
		return false;
	while (span_split(&rest, ',', &host))
		if (needs_resolving(host))
			return true;
	return false;
}

static void connect_now(struct conn *c)
{
	if (!has_names(c->target)) {
		start_libpq(c);
		return;
	}
	c->state = CONN_RESOLVING;
	c->resolving = 0;
	c->resolved = target_copy(c->target);
	target_set(c->resolved, "host", NULL);
	target_set(c->resolved, "port", NULL);
	resolve_next(c);
}

void conn_start(struct conn *c, uv_loop_t *loop, const struct target *target,
	const struct conn_use *use, void *user)
{
	*c = (struct conn){ .state = CONN_WAITING, .use = use, .user = user };
	c->loop = loop;
	c->target = target;
	c->resolver.data = c;
	(void)uv_timer_init(loop, &c->timer);
	c->timer.data = c;
	c->handles = 1;
	(void)uv_timer_start(&c->timer, on_retry, 0, 0);
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct conn *c = handle->data;

	c->handles--;
	if (c->handles == 0) {
		c->state = CONN_CLOSED;
		c->use->closed(c);
	}
}

void conn_close(struct conn *c)
{
	ASSERT(c->state < CONN_CLOSING);
	if (c->state == CONN_RESOLVING)
		(void)uv_cancel((uv_req_t *)&c->resolver);
	c->state = CONN_CLOSING;
	release(c);
	uv_close((uv_handle_t *)&c->timer, on_timer_closed);
}
