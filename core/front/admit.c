/* The address is looked at with each request: a connection that is used again is no proof.
 *
 * A key with a limit is counted in the memory that all fronts share (identity/rate.h). When that
 * holds none of its requests the database is asked for a block, once at a time for each key; the
 * requests that come meanwhile wait for the answer. Without an answer nothing is admitted. */
#include "front/admit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "api/answer.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "front/front.h"
#include "http/server.h"
#include "identity/place.h"
#include "identity/principal.h"
#include "identity/rate.h"
#include "store/api_keys.h"

#define WAITER_MAGIC 0x61646d74u
#define RATE_KEYS    8192

struct admission {
	struct front *front;
	struct rate *rate;
	struct map asks; /* key hash -> struct ask */
};

/* The question for a block of one key, and the requests that wait for its answer. */
struct ask {
	struct admission *admission;
	char key_hash[65];
	uint64_t sent_ms;
	unsigned need; /* of the waiters, the first so many are in the question */
	struct list waiters;
};

struct waiter {
	uint32_t magic;
	struct list link;
	struct front *front;
	struct http_request *request; /* NULL: its client has left */
	struct principal *who;
	char address[ADMIT_ADDRESS_SIZE];
	char request_id[FRONT_REQUEST_ID_SIZE];
	admitted_cb admitted;
};

/* The counters of all fronts, when the supervisor handed their memory over; else our own: the
 * database sees to the sum of several memories as it does to that of several nodes. */
int admission_open(struct front *front, int fd, struct error *err)
{
	size_t size = rate_size(RATE_KEYS);
	struct admission *a;
	struct stat st;
	void *memory;

	if (fd == -1) {
		memory = mem_zalloc(size);
	} else {
		if (fstat(fd, &st) == -1 || (uint64_t)st.st_size < rate_size(1))
			return error_set(err, ERR_PROTOCOL, "the counters' memory is too small");
		size = (size_t)st.st_size;
		memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (memory == MAP_FAILED)
			return error_set_errno(err, errno, "map the counters");
	}
	a = mem_zalloc(sizeof(*a));
	a->front = front;
	a->rate = rate_at(memory, size);
	map_init(&a->asks);
	front->admission = a;
	return 0;
}

/* ---- place -------------------------------------------------------------------------------------
 */

static void peer_of(const struct http_request *request, char out[static ADMIT_ADDRESS_SIZE])
{
	const struct sockaddr *peer = http_request_peer(request);

	out[0] = '\0';
	if (peer->sa_family == AF_INET)
		(void)inet_ntop(AF_INET,
			&((const struct sockaddr_in *)(const void *)peer)->sin_addr, out,
			ADMIT_ADDRESS_SIZE);
	else if (peer->sa_family == AF_INET6)
		(void)inet_ntop(AF_INET6,
			&((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr, out,
			ADMIT_ADDRESS_SIZE);
}

/* Take the last item off a list of addresses. */
static bool last_item(struct span *list, struct span *item)
{
	size_t at = list->len, end;

	if (!list->data)
		return false;
	while (at > 0 && list->data[at - 1] != ',')
		at--;
	*item = (struct span){ list->data + at, list->len - at };
	*list = at > 0 ? (struct span){ list->data, at - 1 } : SPAN_NONE;
	while (item->len > 0 && (item->data[0] == ' ' || item->data[0] == '\t')) {
		item->data++;
		item->len--;
	}
	for (end = item->len;
		end > 0 && (item->data[end - 1] == ' ' || item->data[end - 1] == '\t');)
		item->len = --end;
	return true;
}

/* X-Forwarded-For grows at its end: each proxy appends whom it was asked by. So it is read from
 * there, as long as what was read last is one of ours; what stands before was sent by somebody
 * whom nobody vouches for. */
static void follow_proxies(
	struct span trusted, const struct http_head *head, char out[static ADMIT_ADDRESS_SIZE])
{
	struct span name, value, item;

	for (size_t i = head->field_count; i-- > 0;) {
		http_head_field(head, i, &name, &value);
		if (!span_equal_nocase(name, SPAN("x-forwarded-for")))
			continue;
		while (last_item(&value, &item)) {
			if (!networks_hold(trusted, span_of(out)))
				return;
			/* A proxy that names no address leaves none: no key that is bound to
			 * networks counts then. */
			(void)snprintf(out, ADMIT_ADDRESS_SIZE, "%.*s",
				address_valid(item) ? (int)item.len : 0, item.data);
		}
	}
}

void admit_address(const struct front *front, const struct http_request *request,
	char out[static ADMIT_ADDRESS_SIZE])
{
	struct span trusted = span_of(front->settings.http_trusted_proxies);

	peer_of(request, out);
	if (trusted.len > 0)
		follow_proxies(trusted, http_request_head(request), out);
}

static bool place_allowed(
	const struct http_request *request, const struct principal *who, const char *address)
{
	struct span origin = http_head_get(http_request_head(request), HTTP_HEADER_ORIGIN);

	return principal_allows_peer(who, address) && principal_allows_origin(who, origin);
}

/* ---- rate --------------------------------------------------------------------------------------
 */

static uint64_t now_ms(void)
{
	return clock_ns() / CLOCK_NS_PER_MS;
}

static unsigned seconds_until(uint64_t ends_ms, uint64_t now)
{
	return ends_ms > now ? (unsigned)((ends_ms - now + 999) / 1000) : 1;
}

/* draft-ietf-httpapi-ratelimit-headers-10: the policy, and where the key stands in it. */
static void add_fields(
	struct http_request *request, const struct principal *who, uint64_t left, unsigned reset_s)
{
	char value[64];

	(void)snprintf(value, sizeof(value), "\"hour\";q=%lld;w=%d", (long long)who->rate_limit,
		RATE_WINDOW_S);
	(void)http_request_add_field(request, SPAN("RateLimit-Policy"), span_of(value));
	(void)snprintf(
		value, sizeof(value), "\"hour\";r=%llu;t=%u", (unsigned long long)left, reset_s);
	(void)http_request_add_field(request, SPAN("RateLimit"), span_of(value));
}

static void refuse_spent(struct front *front, struct http_request *request,
	const struct principal *who, unsigned reset_s, struct span request_id)
{
	struct answer_extra extra = { .retry_after_s = reset_s };
	struct error err;

	add_fields(request, who, 0, reset_s);
	(void)error_set(&err, ERR_RATE, "the API key has %lld requests an hour, all used",
		(long long)who->rate_limit);
	front_refuse(front, request, who, request_id, &err, &extra);
}

static void waiter_free(struct waiter *w)
{
	list_remove(&w->link);
	principal_unref(w->who);
	w->magic = 0;
	mem_free(w);
}

static void on_waiter_gone(void *user, struct http_request *request, enum http_gone why)
{
	struct waiter *w = user;

	(void)request;
	(void)why;
	ASSERT(w->magic == WAITER_MAGIC);
	w->request = NULL;
}

static const struct http_owner waiter_owner = { .on_gone = on_waiter_gone };

static void on_block(const struct error *err, const struct store_rate *rows, size_t n, void *user);

static void send_ask(struct ask *ask, unsigned extra)
{
	ask->need = 0;
	list_for_each(struct waiter, w, &ask->waiters, link)
		ask->need++;
	ask->sent_ms = now_ms();
	store_rate_take(ask->admission->front->pool, span_of(ask->key_hash), ask->need, extra,
		on_block, ask);
}

/* Wait for a block; the question is sent when none is under way. */
static void wait_for_block(struct admission *a, struct waiter *w, unsigned extra)
{
	struct span hash = span_of(w->who->key_hash);
	struct ask *ask = map_get(&a->asks, hash);
	bool first = !ask;

	if (first) {
		ask = mem_zalloc(sizeof(*ask));
		ask->admission = a;
		(void)snprintf(ask->key_hash, sizeof(ask->key_hash), "%s", w->who->key_hash);
		list_init(&ask->waiters);
		(void)map_put(&a->asks, span_of(ask->key_hash), ask);
	}
	list_append(&ask->waiters, &w->link);
	if (first)
		send_ask(ask, extra);
}

/* Out of what this node holds. RATE_SPENT: the request was answered. */
static enum rate_answer take(struct front *front, struct http_request *request,
	const struct principal *who, struct span request_id, unsigned *extra)
{
	uint64_t now = now_ms();
	struct rate_state state;
	enum rate_answer answer = rate_take(
		front->admission->rate, who->key_hash, (uint32_t)who->rate_limit, now, &state);
	unsigned reset_s = seconds_until(state.ends_ms, now);

	if (answer == RATE_TAKEN)
		add_fields(request, who, state.left, reset_s);
	else if (answer == RATE_SPENT)
		refuse_spent(front, request, who, reset_s, request_id);
	*extra = state.extra;
	return answer;
}

static void go_on(struct waiter *w)
{
	w->admitted(w->front, w->request, w->who, w->address, span_of(w->request_id));
	waiter_free(w);
}

/* One that the answer to the question was not for: it is as if it had just come. */
static void take_again(struct waiter *w)
{
	enum rate_answer answer = RATE_SPENT;
	unsigned extra;

	list_remove(&w->link);
	if (w->request)
		answer = take(w->front, w->request, w->who, span_of(w->request_id), &extra);
	if (answer == RATE_EMPTY)
		wait_for_block(w->front->admission, w, extra);
	else if (answer == RATE_TAKEN)
		go_on(w);
	else
		waiter_free(w);
}

static void refuse_unknown(struct waiter *w, const struct error *reason)
{
	struct error err;

	(void)error_set(&err, ERR_UNAVAIL, "the requests of the key's hour cannot be counted: %s",
		reason->text);
	answer_problem(w->request, &err, span_of(w->request_id), NULL);
}

/* Hold what the askers leave of the block, so that other fronts see it before anybody is served. */
static void keep_rest(struct ask *ask, const struct store_rate *row, uint64_t ends_ms)
{
	struct rate_block block = {
		.taken = (uint32_t)row->granted,
		.count = (uint32_t)row->granted,
		.rest = (uint32_t)row->rest,
		.limit = (uint32_t)row->limit,
		.ends_ms = ends_ms,
	};
	unsigned asked = 0;

	list_for_each(struct waiter, w, &ask->waiters, link)
		if (asked++ < ask->need && w->request && block.count > 0)
			block.count--;
	rate_keep(ask->admission->rate, ask->key_hash, &block, now_ms());
}

/* The first of those who wait, so many as were in the question, have the block. */
static void share_block(struct ask *ask, const struct store_rate *row)
{
	uint64_t ends_ms = ask->sent_ms + (uint64_t)row->ends_in_ms;
	unsigned reset_s = seconds_until(ends_ms, now_ms());
	int64_t granted = row->granted;

	keep_rest(ask, row, ends_ms);
	list_for_each_safe(struct waiter, w, &ask->waiters, link) {
		if (ask->need == 0) {
			take_again(w);
			continue;
		}
		ask->need--;
		if (w->request && granted > 0) {
			granted--;
			add_fields(w->request, w->who, (uint64_t)(granted + row->rest), reset_s);
			go_on(w);
			continue;
		}
		if (w->request)
			refuse_spent(w->front, w->request, w->who, reset_s, span_of(w->request_id));
		waiter_free(w);
	}
}

static void on_block(const struct error *err, const struct store_rate *rows, size_t n, void *user)
{
	struct ask *ask = user;

	(void)n;
	(void)map_remove(&ask->admission->asks, span_of(ask->key_hash));
	if (!err) {
		share_block(ask, rows);
	} else {
		list_for_each_safe(struct waiter, w, &ask->waiters, link) {
			if (w->request)
				refuse_unknown(w, err);
			waiter_free(w);
		}
	}
	mem_free(ask);
}

static struct waiter *waiter_new(struct front *front, struct http_request *request,
	struct principal *who, const char *address, struct span request_id, admitted_cb admitted)
{
	struct waiter *w = mem_zalloc(sizeof(*w));

	w->magic = WAITER_MAGIC;
	list_init(&w->link);
	w->front = front;
	w->request = request;
	w->who = principal_ref(who);
	(void)snprintf(w->address, sizeof(w->address), "%s", address);
	(void)snprintf(w->request_id, sizeof(w->request_id), "%.*s", SPAN_ARG(request_id));
	w->admitted = admitted;
	http_request_own(request, &waiter_owner, w);
	return w;
}

void admit(struct front *front, struct http_request *request, struct principal *who,
	const char *address, struct span request_id, admitted_cb admitted)
{
	enum rate_answer answer = RATE_TAKEN;
	struct error err;
	unsigned extra;

	if (!place_allowed(request, who, address)) {
		(void)error_set(&err, ERR_KEY_PLACE,
			"the API key may not be used from this address or origin");
		front_refuse(front, request, who, request_id, &err, NULL);
		return;
	}
	if (who->rate_limit > 0)
		answer = take(front, request, who, request_id, &extra);
	if (answer == RATE_TAKEN)
		admitted(front, request, who, address, request_id);
	else if (answer == RATE_EMPTY)
		wait_for_block(front->admission,
			waiter_new(front, request, who, address, request_id, admitted), extra);
}
