/* Where a transfer may lead is decided at two places. on_open_socket sees the very address before
 * it is connected to, whatever name or spelling led there, so a name that resolves to another
 * address a moment later (rebinding) gains nothing. on_request sees the address of a connection
 * that is used again, which an administrator's transfer to the same name may have opened. */
#include "fetch/transfer_priv.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <uv.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "fetch/address.h"
#include "fetch/multi.h"
#include "fetch/proxy.h"

#define TRANSFER_MAGIC   0x6e617274u
#define HEADER_BYTES_MAX PROTOCOL_KIB(64)
#define HELD_BYTES_MAX   PROTOCOL_MIB(64) /* of all answers together; a channel takes more */
#define CONNECT_MS       10000l

struct party {
	char *installation;
	uint32_t transfers;
};

/* ---- counting ---------------------------------------------------------------------------------
 */

static int count_in(struct transfer *t, struct span installation, struct error *err)
{
	struct transfers *all = t->all;
	struct party *party = map_get(&all->parties, installation);

	if (all->count >= all->most)
		return error_set(err, ERR_LIMIT,
			"%u requests to other hosts are under way on this node; the setting "
			"'fetch.transfers' is the limit",
			all->most);
	if (party && party->transfers >= all->most_of_one)
		return error_set(err, ERR_LIMIT,
			"the plugin has %u requests to other hosts under way; the setting "
			"'fetch.plugin_transfers' is the limit",
			all->most_of_one);
	if (!party) {
		party = mem_zalloc(sizeof(*party));
		party->installation = mem_printf("%.*s", SPAN_ARG(installation));
		(void)map_put(&all->parties, installation, party);
	}
	party->transfers++;
	all->count++;
	t->party = party;
	return 0;
}

static void count_out(struct transfer *t)
{
	struct party *party = t->party;

	if (!party)
		return;
	t->all->count--;
	if (--party->transfers > 0)
		return;
	(void)map_remove(&t->all->parties, span_of(party->installation));
	mem_free(party->installation);
	mem_free(party);
}

/* ---- a transfer's memory ----------------------------------------------------------------------
 */

void transfer_free(struct transfer *t)
{
	if (!t)
		return;
	ASSERT(t->magic == TRANSFER_MAGIC && !t->running);
	if (t->easy)
		curl_easy_cleanup(t->easy);
	count_out(t);
	t->all->buffered -= t->response.len;
	curl_slist_free_all(t->headers);
	curl_slist_free_all(t->plain_headers);
	curl_slist_free_all(t->recipients);
	mem_wipe(t->request.data, t->request.len);
	text_done(&t->request);
	text_done(&t->response);
	mem_free(t->url);
	mem_free(t->method);
	t->magic = 0;
	mem_free(t);
}

int transfer_new(struct transfer **out, struct transfers *all, const struct transfer_kind *kind,
	struct span installation, struct error *err)
{
	struct transfer *t = mem_zalloc(sizeof(*t));
	int rc;

	t->magic = TRANSFER_MAGIC;
	t->all = all;
	t->kind = kind;
	text_init(&t->request);
	text_init(&t->response);
	rc = count_in(t, installation, err);
	if (rc == 0) {
		t->easy = curl_easy_init();
		if (!t->easy)
			rc = error_set(err, ERR_SYSTEM, "libcurl has no memory");
	}
	if (rc < 0) {
		transfer_free(t);
		return rc;
	}
	*out = t;
	return 0;
}

/* ---- where it may lead ------------------------------------------------------------------------
 */

static bool is_checked(const struct transfer *t)
{
	return !t->any_address && !t->proxied;
}

static void refuse_address(struct transfer *t, const char *address, const char *what)
{
	(void)error_set(&t->err, ERR_PERMISSION,
		"'%.200s' leads to %s, %s, where a plugin's URL may not go; an administrator may "
		"name it in the installation's configuration ('url_config')",
		t->url, address, what);
}

static curl_socket_t on_open_socket(void *user, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct transfer *t = user;
	const char *what = address_reserved(&address->addr);
	char text[INET6_ADDRSTRLEN] = "an address";

	if (purpose != CURLSOCKTYPE_IPCXN)
		return CURL_SOCKET_BAD;
	if (is_checked(t) && what) {
		if (address->family == AF_INET)
			(void)inet_ntop(AF_INET,
				&((struct sockaddr_in *)(void *)&address->addr)->sin_addr, text,
				sizeof(text));
		else if (address->family == AF_INET6)
			(void)inet_ntop(AF_INET6,
				&((struct sockaddr_in6 *)(void *)&address->addr)->sin6_addr, text,
				sizeof(text));
		refuse_address(t, text, what);
		return CURL_SOCKET_BAD;
	}
	return socket(address->family, address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
		address->protocol);
}

/* Of several addresses of a name one may have been refused and another have served. */
static int on_request(void *user, char *peer, char *own, int peer_port, int own_port)
{
	struct transfer *t = user;
	const char *what = address_text_reserved(peer);

	(void)own;
	(void)peer_port;
	(void)own_port;
	memset(&t->err, 0, sizeof(t->err));
	if (is_checked(t) && what) {
		refuse_address(t, peer, what);
		return CURL_PREREQFUNC_ABORT;
	}
	t->acted = t->acted || t->acts;
	return CURL_PREREQFUNC_OK;
}

/* Host of a URL that libcurl can read, and whether the proxy is to be asked for it. */
static int look_at_url(struct transfer *t, const char *protocols, struct error *err)
{
	CURLU *url = curl_url();
	char *scheme = NULL, *host = NULL;
	struct span rest = span_of(protocols), word;
	bool known = false, mail = strncmp(protocols, "smtp", 4) == 0;
	CURLUcode code = curl_url_set(url, CURLUPART_URL, t->url, CURLU_DISALLOW_USER);
	struct span bare;
	int rc = 0;

	if (code == CURLUE_OK)
		code = curl_url_get(url, CURLUPART_SCHEME, &scheme, 0);
	if (code == CURLUE_OK)
		code = curl_url_get(url, CURLUPART_HOST, &host, 0);
	if (code != CURLUE_OK)
		rc = error_set(
			err, ERR_INVALID, "the URL cannot be used: %s", curl_url_strerror(code));
	while (rc == 0 && span_split(&rest, ',', &word))
		known = known || span_is(word, scheme);
	if (rc == 0 && !known)
		rc = error_set(err, ERR_INVALID, "a URL of scheme '%.20s', and %s are asked",
			scheme, protocols);
	if (rc == 0) {
		bare = span_of(host);
		if (*host == '[')
			bare = (struct span){ host + 1, strlen(host) - 2 };
		t->proxied =
			!mail && t->all->proxy && !proxy_lists(span_of(t->all->no_proxy), bare);
		if (t->proxied && !t->any_address)
			rc = address_check_host(host, err);
	}
	curl_free(scheme);
	curl_free(host);
	curl_url_cleanup(url);
	return rc;
}

/* ---- running ----------------------------------------------------------------------------------
 */

static size_t on_header(char *data, size_t size, size_t n, void *user)
{
	struct transfer *t = user;

	(void)data;
	t->header_bytes += size * n;
	if (t->header_bytes <= HEADER_BYTES_MAX)
		return size * n;
	(void)error_set(&t->err, ERR_TOO_LARGE, "the answer's headers are longer than %u bytes",
		HEADER_BYTES_MAX);
	return 0;
}

static uint64_t bytes_held(const struct transfers *all)
{
	return all->buffered + (all->pending ? all->pending(all->pending_user) : 0);
}

static size_t on_data(char *data, size_t size, size_t n, void *user)
{
	struct transfer *t = user;
	size_t len = size * n;

	if (len > t->response_max || t->response.len > t->response_max - len) {
		(void)error_set(&t->err, ERR_TOO_LARGE, "the answer is longer than %llu bytes",
			(unsigned long long)t->response_max);
		return CURL_WRITEFUNC_ERROR;
	}
	if (bytes_held(t->all) + len > HELD_BYTES_MAX) {
		(void)error_set(&t->err, ERR_LIMIT,
			"the answers that this node receives at once are too long together");
		return CURL_WRITEFUNC_ERROR;
	}
	text_append(&t->response, data, len);
	t->all->buffered += len;
	return len;
}

int transfer_prepare(struct transfer *t, const char *protocols, struct error *err)
{
	CURL *e = t->easy;
	int rc = look_at_url(t, protocols, err);

	if (rc < 0)
		return rc;
	t->header_bytes = 0;
	t->all->buffered -= t->response.len;
	text_clear(&t->response);
	(void)curl_easy_setopt(e, CURLOPT_PRIVATE, t);
	(void)curl_easy_setopt(e, CURLOPT_URL, t->url);
	(void)curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, protocols);
	(void)curl_easy_setopt(e, CURLOPT_DISALLOW_USERNAME_IN_URL, 1l);
	(void)curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1l);
	/* The end of a transfer does not wait for a resolver that does not answer. */
	(void)curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1l);
	(void)curl_easy_setopt(e, CURLOPT_ERRORBUFFER, t->curl_text);
	(void)curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
	(void)curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
	(void)curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, t);
	(void)curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, on_request);
	(void)curl_easy_setopt(e, CURLOPT_PREREQDATA, t);
	(void)curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
	(void)curl_easy_setopt(e, CURLOPT_HEADERDATA, t);
	(void)curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_data);
	(void)curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
	(void)curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	/* What the environment says about proxies is not ours. */
	(void)curl_easy_setopt(e, CURLOPT_PROXY, t->proxied ? t->all->proxy : "");
	(void)curl_easy_setopt(e, CURLOPT_NOPROXY, "");
	(void)curl_easy_setopt(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1l);
	if (t->all->authorities)
		(void)curl_easy_setopt(e, CURLOPT_CAINFO, t->all->authorities);
	return 0;
}

int transfer_run(struct transfer *t, struct error *err)
{
	uint64_t now = clock_ns();
	int rc;

	if (now >= t->deadline_ns)
		return error_set(err, ERR_DEADLINE, "the time for the request is over");
	(void)curl_easy_setopt(t->easy, CURLOPT_TIMEOUT_MS,
		(long)((t->deadline_ns - now + CLOCK_NS_PER_MS - 1) / CLOCK_NS_PER_MS));
	t->curl_text[0] = '\0';
	rc = multi_add(t->all->multi, t->easy, err);
	t->running = rc == 0;
	return rc;
}

static void on_done(void *transfer, CURLcode code)
{
	struct transfer *t = transfer;

	ASSERT(t->magic == TRANSFER_MAGIC);
	t->running = false;
	if (code == CURLE_OK)
		t->kind->end(t);
	else if (t->err.code == 0)
		t->kind->explain(t, code);
	if (t->running) /* to where a redirect leads */
		return;
	if (t->err.code) {
		const struct fetch_result failure = { .rc = t->err.code,
			.text = span_of(t->err.text) };

		t->done(t->user, &failure);
	}
	transfer_free(t);
}

void transfer_abort(struct transfer *t)
{
	ASSERT(t->magic == TRANSFER_MAGIC);
	if (t->running)
		multi_remove(t->all->multi, t->easy);
	t->running = false;
	transfer_free(t);
}

bool transfer_may_have_acted(const struct transfer *t)
{
	return t->acted;
}

static char *text_or_null(struct span s)
{
	return s.len > 0 ? mem_printf("%.*s", SPAN_ARG(s)) : NULL;
}

int transfers_new(struct transfers **out, struct uv_loop_s *loop, const struct fetch_start *start,
	struct error *err)
{
	struct transfers *all = mem_zalloc(sizeof(*all));
	int rc = multi_new(&all->multi, loop, on_done, err);

	if (rc < 0) {
		mem_free(all);
		return rc;
	}
	map_init(&all->parties);
	all->most = start->transfers;
	all->most_of_one = start->plugin_transfers;
	all->proxy = text_or_null(start->proxy);
	all->no_proxy = text_or_null(start->no_proxy);
	all->authorities = text_or_null(start->authorities);
	*out = all;
	return 0;
}

void transfers_count_pending(struct transfers *all, transfers_pending_cb pending, void *user)
{
	all->pending = pending;
	all->pending_user = user;
}

size_t transfers_count(const struct transfers *all)
{
	return all->count;
}
