/* HTTP: the method and headers that a request may have were checked by the front; here is what
 * follows from them. A redirect is a new hop: its URL is judged like a plugin's own, unless it
 * leads back to the origin that an administrator named. */
#include <string.h>

#include <curl/curl.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "fetch/transfer_priv.h"

#define PROTOCOLS   "http,https"
#define HEADERS_MAX 256

/* Headers of a request that another origin may see, too. */
static const char *const plain_headers[] = { "accept", "accept-language", "content-type",
	"user-agent" };

static bool is_plain(struct span name)
{
	for (size_t i = 0; i < ARRAY_LENGTH(plain_headers); i++)
		if (span_equal_nocase(name, span_of(plain_headers[i])))
			return true;
	return false;
}

static void add_header(struct curl_slist **list, struct span name, struct span value)
{
	/* libcurl sends "Name;" as a header without a value and "Name:" not at all. */
	CLEANUP(mem_freep)
	char *line = value.len > 0 ? mem_printf("%.*s: %.*s", SPAN_ARG(name), SPAN_ARG(value))
				   : mem_printf("%.*s;", SPAN_ARG(name));

	*list = curl_slist_append(*list, line);
	mem_wipe(line, strlen(line));
}

/* A header that libcurl would add by itself and that nobody asked for. */
static void drop_header(struct curl_slist **list, const char *name)
{
	CLEANUP(mem_freep) char *line = mem_printf("%s:", name);

	*list = curl_slist_append(*list, line);
}

static void keep_headers(struct transfer *t, const struct fetch_http *message)
{
	struct curl_slist **lists[] = { &t->headers, &t->plain_headers };
	bool typed = false, agent = false;

	for (uint32_t i = 0; i < message->headers.count; i++) {
		const struct protocol_pair *h = &message->headers.items[i];

		add_header(&t->headers, h->key, h->value);
		if (is_plain(h->key))
			add_header(&t->plain_headers, h->key, h->value);
		typed = typed || span_equal_nocase(h->key, SPAN("content-type"));
		agent = agent || span_equal_nocase(h->key, SPAN("user-agent"));
	}
	for (size_t i = 0; i < ARRAY_LENGTH(lists); i++) {
		drop_header(lists[i], "Expect");
		if (!typed)
			drop_header(lists[i], "Content-Type");
		if (!agent)
			add_header(lists[i], SPAN("User-Agent"), SPAN("mortise"));
	}
}

static bool is_method(const struct transfer *t, const char *method)
{
	return strcmp(t->method, method) == 0;
}

static int begin_hop(struct transfer *t, struct error *err)
{
	CURL *e = t->easy;
	int rc;

	curl_easy_reset(e);
	rc = transfer_prepare(t, PROTOCOLS, err);
	if (rc < 0)
		return rc;
	t->acts = !is_method(t, "GET") && !is_method(t, "HEAD");
	(void)curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	(void)curl_easy_setopt(e, CURLOPT_HTTPHEADER, t->headers);
	if (is_method(t, "HEAD")) {
		(void)curl_easy_setopt(e, CURLOPT_NOBODY, 1l);
	} else if (!is_method(t, "GET") && (t->request.len > 0 || !is_method(t, "DELETE"))) {
		(void)curl_easy_setopt(e, CURLOPT_POSTFIELDS, t->request.data);
		(void)curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)t->request.len);
	}
	(void)curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, is_method(t, "HEAD") ? NULL : t->method);
	return transfer_run(t, err);
}

/* ---- redirects --------------------------------------------------------------------------------
 */

static char *part_of(CURLU *url, CURLUPart part)
{
	char *value = NULL;

	(void)curl_url_get(url, part, &value, CURLU_DEFAULT_PORT);
	return value;
}

/* Do both URLs have the same scheme, host and port? */
static bool is_same_origin(const char *a, const char *b)
{
	static const CURLUPart parts[] = { CURLUPART_SCHEME, CURLUPART_HOST, CURLUPART_PORT };
	CURLU *urls[] = { curl_url(), curl_url() };
	bool same = curl_url_set(urls[0], CURLUPART_URL, a, 0) == CURLUE_OK &&
		    curl_url_set(urls[1], CURLUPART_URL, b, 0) == CURLUE_OK;

	for (size_t i = 0; same && i < ARRAY_LENGTH(parts); i++) {
		char *left = part_of(urls[0], parts[i]), *right = part_of(urls[1], parts[i]);

		same = left && right && span_equal_nocase(span_of(left), span_of(right));
		curl_free(left);
		curl_free(right);
	}
	curl_url_cleanup(urls[0]);
	curl_url_cleanup(urls[1]);
	return same;
}

/* RFC 9110, 15.4: 303 asks for GET; 301 and 302 change a POST, as all clients do. */
static void change_method(struct transfer *t, long status)
{
	bool change = (status == 303 && !is_method(t, "HEAD")) ||
		      ((status == 301 || status == 302) && is_method(t, "POST"));

	if (!change)
		return;
	mem_free(t->method);
	t->method = mem_strdup("GET");
	mem_wipe(t->request.data, t->request.len);
	text_clear(&t->request);
}

static int follow(struct transfer *t, long status, const char *to, struct error *err)
{
	if (strncmp(t->url, "https:", 6) == 0 && strncmp(to, "https:", 6) != 0)
		return error_set(err, ERR_PERMISSION,
			"'%.200s' redirects to '%.200s', which gives up TLS", t->url, to);
	if (!is_same_origin(t->url, to)) {
		t->any_address = false;
		curl_slist_free_all(t->headers);
		t->headers = t->plain_headers;
		t->plain_headers = NULL;
	}
	t->redirects--;
	mem_free(t->url);
	t->url = mem_strdup(to);
	change_method(t, status);
	return begin_hop(t, err);
}

/* ---- ends -------------------------------------------------------------------------------------
 */

static void give_answer(struct transfer *t, long status)
{
	struct protocol_pair pairs[HEADERS_MAX];
	struct fetch_result result = { .status = (uint32_t)status,
		.url = span_of(t->url),
		.headers = { pairs, 0 },
		.body = text_span(&t->response) };
	struct curl_header *h = NULL;

	while (result.headers.count < HEADERS_MAX &&
		(h = curl_easy_nextheader(t->easy, CURLH_HEADER, -1, h)) != NULL)
		pairs[result.headers.count++] =
			(struct protocol_pair){ span_of(h->name), span_of(h->value) };
	t->done(t->user, &result);
}

static void end(struct transfer *t)
{
	long status = 0;
	char *to = NULL;
	bool moved;

	(void)curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	(void)curl_easy_getinfo(t->easy, CURLINFO_REDIRECT_URL, &to);
	moved = to &&
		(status == 301 || status == 302 || status == 303 || status == 307 || status == 308);
	if (moved && t->redirects > 0) {
		CLEANUP(mem_freep) char *copy = mem_strdup(to); /* it is the handle's */

		(void)follow(t, status, copy, &t->err);
		return;
	}
	if (moved && t->redirected)
		(void)error_set(&t->err, ERR_LIMIT, "more redirects than were asked for");
	else
		give_answer(t, status);
}

static void explain(struct transfer *t, CURLcode code)
{
	const char *text = t->curl_text[0] ? t->curl_text : curl_easy_strerror(code);

	if (t->acted)
		(void)error_set(
			&t->err, ERR_UNKNOWN, "'%.200s': %s; perhaps it was done", t->url, text);
	else
		(void)error_set(&t->err,
			code == CURLE_OPERATION_TIMEDOUT ? ERR_DEADLINE : ERR_UNAVAIL,
			"'%.200s': %s", t->url, text);
}

static const struct transfer_kind http = { .end = end, .explain = explain };

int transfer_http(struct transfer **out, struct transfers *all, const struct fetch_http *message,
	transfer_done_cb done, void *user, struct error *err)
{
	struct transfer *t = NULL;
	int rc = transfer_new(&t, all, &http, message->installation, err);

	if (rc < 0)
		return rc;
	t->done = done;
	t->user = user;
	t->any_address = message->any_address != 0;
	t->url = mem_printf("%.*s", SPAN_ARG(message->url));
	t->method = mem_printf("%.*s", SPAN_ARG(message->method));
	t->deadline_ns = clock_ns() + message->timeout_ms * CLOCK_NS_PER_MS;
	t->redirects = message->redirects;
	t->redirected = message->redirects > 0;
	t->response_max = message->response_bytes;
	text_append_span(&t->request, message->body);
	keep_headers(t, message);
	rc = begin_hop(t, err);
	if (rc < 0) {
		transfer_free(t);
		return rc;
	}
	*out = t;
	return 0;
}
