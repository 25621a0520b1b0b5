/* fetch/1: requests to other hosts. What may be sent is checked here; what a URL may lead to is
 * mortise-fetch's to judge, which alone sees the address.
 *
 * Before anything is sent, one thing after the other is found out: the URL, when it stands in the
 * installation's configuration, then each secret that the call names. The plugin sees neither. */
#include <string.h>

#include "api/ext_priv.h"
#include "base/clock.h"
#include "base/mem.h"
#include "channel/protocol.h"
#include "codec/digest.h"
#include "codec/json.h"
#include "codec/mail.h"
#include "codec/random.h"
#include "store/installations.h"
#include "store/secrets.h"

#define TIMEOUT_DEFAULT_MS   30000u
#define ANSWER_DEFAULT_BYTES 1048576u
#define HEADERS_MAX          51 /* the schema's 50 and Idempotency-Key */
#define RECIPIENTS_MAX       50
/* The answer that time is over comes from mortise-fetch, which knows whether it was sent, rather
 * than from the timer of the call. */
#define SPARE_MS 100u

struct asking {
	struct ext_work *work;
	bool is_mail;
	bool any_address;
	bool cancelled;
	char *url;
	uint64_t fetch; /* 0: not sent yet */
	size_t secret_count;
	size_t opened;
	struct span names[HEADERS_MAX]; /* of secrets, in the order of their use */
	char *secrets[HEADERS_MAX];
	struct text mail_id;
};

static void go_on(struct asking *a);

static void asking_free(struct asking *a)
{
	for (size_t i = 0; i < a->opened; i++) {
		mem_wipe(a->secrets[i], strlen(a->secrets[i]));
		mem_free(a->secrets[i]);
	}
	text_done(&a->mail_id);
	mem_free(a->url);
	mem_free(a);
}

static void fail(struct asking *a, const struct error *err)
{
	struct ext_work *work = a->work;

	asking_free(a);
	ext_fail(work, err);
}

/* ---- what a call may hold ---------------------------------------------------------------------
 */

static bool is_token(struct span name)
{
	for (size_t i = 0; i < name.len; i++) {
		unsigned char c = (unsigned char)name.data[i];
		bool plain =
			(c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

		if (!plain && !strchr("!#$%&'*+-.^_`|~", (char)c))
			return false;
	}
	return name.len > 0;
}

static bool is_one_line(struct span value)
{
	for (size_t i = 0; i < value.len; i++)
		if (((unsigned char)value.data[i] < ' ' && value.data[i] != '\t') ||
			value.data[i] == 0x7f)
			return false;
	return true;
}

static bool belongs_to_connection(struct span name)
{
	static const char *const names[] = { "connection", "content-length", "expect", "host",
		"keep-alive", "te", "trailer", "transfer-encoding", "upgrade" };
	static const char proxy[] = "proxy-";

	if (name.len >= sizeof(proxy) - 1 &&
		span_equal_nocase((struct span){ name.data, sizeof(proxy) - 1 }, SPAN("proxy-")))
		return true;
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
		if (span_equal_nocase(name, span_of(names[i])))
			return true;
	return false;
}

static int need_secret(struct asking *a, struct span name, struct error *err)
{
	if (!name.data)
		return 0;
	if (!store_secret_name_valid(name))
		return error_set(err, ERR_INVALID, "'%.*s' is no name of a secret", SPAN_ARG(name));
	a->names[a->secret_count++] = name;
	return 0;
}

static int check_header(struct asking *a, const json_t *header, struct error *err)
{
	struct span name = json_span(json_object_get(header, "name"));

	if (!is_token(name))
		return error_set(err, ERR_INVALID, "'%.*s' is no header's name", SPAN_ARG(name));
	if (belongs_to_connection(name))
		return error_set(err, ERR_INVALID, "the header '%.*s' belongs to the connection",
			SPAN_ARG(name));
	if (!is_one_line(json_span(json_object_get(header, "value"))))
		return error_set(err, ERR_INVALID, "the value of '%.*s' holds a control character",
			SPAN_ARG(name));
	return need_secret(a, json_span(json_object_get(header, "secret")), err);
}

/* What c may be written as: itself, or %XX. 0: segment does not begin with it, else how long. */
static size_t spelled(struct span segment, char c, const char *escaped)
{
	if (segment.len >= 3 &&
		span_equal_nocase((struct span){ segment.data, 3 }, span_of(escaped)))
		return 3;
	return segment.len > 0 && *segment.data == c;
}

/* Where servers see a segment end: an escaped slash or backslash is one to many, and what stands
 * behind ';' is no part of the name. */
static size_t separator(struct span segment)
{
	size_t slash = spelled(segment, '/', "%2f"), back = spelled(segment, '\\', "%5c");

	return slash > 0 ? slash : back > 0 ? back : spelled(segment, ';', "%3b");
}

/* A segment of the path, or one within it, is ".." in whatever spelling. */
static bool leads_up(struct span segment)
{
	bool plain = true; /* nothing but dots so far */
	unsigned count = 0;
	size_t len;

	for (; segment.len > 0; segment = (struct span){ segment.data + len, segment.len - len }) {
		len = separator(segment);
		if (len > 0) {
			if (plain && count == 2)
				return true;
			plain = true;
			count = 0;
			continue;
		}
		len = spelled(segment, '.', "%2e");
		plain = plain && len > 0;
		count++;
		len = len > 0 ? len : 1;
	}
	return plain && count == 2;
}

static int check_path(struct span path, struct error *err)
{
	struct span rest = path, before_query, segment;
	bool good = path.len > 0 && path.data[0] == '/' && is_one_line(path) &&
		    !memchr(path.data, '#', path.len) && !memchr(path.data, '\\', path.len);

	(void)span_split(&rest, '?', &before_query);
	while (good && span_split(&before_query, '/', &segment))
		good = !leads_up(segment);
	return good ? 0
		    : error_set(err, ERR_INVALID,
			      "'/path' begins with '/', has no '..', no '\\' and no fragment");
}

static int check_place(struct asking *a, struct error *err)
{
	struct span url = ext_string(a->work, "url"), config = ext_string(a->work, "url_config"),
		    path = ext_string(a->work, "path");

	if ((url.data != NULL) == (config.data != NULL))
		return error_set(
			err, ERR_INVALID, "either '/url' or '/url_config', and one of them");
	if (path.data && !config.data)
		return error_set(err, ERR_INVALID, "'/path' goes with '/url_config'");
	if (path.data && check_path(path, err) < 0)
		return ERR_INVALID;
	a->any_address = config.data != NULL;
	if (url.data)
		a->url = mem_printf("%.*s", SPAN_ARG(url));
	return 0;
}

static int check_http(struct asking *a, struct error *err)
{
	struct span method = ext_string(a->work, "method");
	const json_t *header;
	size_t i;
	int rc = check_place(a, err);

	if (rc == 0 && a->work->bytes.len > 0 &&
		(!method.data || span_is(method, "GET") || span_is(method, "HEAD")))
		rc = error_set(err, ERR_INVALID, "GET and HEAD have no body");
	json_array_foreach(json_object_get(a->work->json, "headers"), i, header)
	{
		if (rc == 0)
			rc = check_header(a, header, err);
	}
	return rc;
}

static int check_mail(struct asking *a, struct error *err)
{
	const struct ext_work *work = a->work;
	struct span name = ext_string(work, "username"), password = ext_string(work, "password"),
		    secret = ext_string(work, "password_secret");
	int rc = check_place(a, err);

	if (rc < 0)
		return rc;
	if (password.data && secret.data)
		return error_set(err, ERR_INVALID, "'/password' or '/password_secret', not both");
	if ((name.len > 0) != (password.data || secret.data))
		return error_set(err, ERR_INVALID, "a username goes with a password");
	if (name.len > 0 && span_is(ext_string(work, "tls"), "offered"))
		return error_set(err, ERR_INVALID, "a password is not sent where TLS is optional");
	if (!is_one_line(name) || !is_one_line(password))
		return error_set(err, ERR_INVALID, "username or password is not one line");
	return need_secret(a, secret, err);
}

/* ---- the answer -------------------------------------------------------------------------------
 */

/* What a server wrote need not be UTF-8. */
static json_t *foreign_text(struct span s)
{
	struct text text;
	json_t *value;

	text_init(&text);
	text_append_utf8(&text, s);
	value = rest_text(text_span(&text));
	text_done(&text);
	return value;
}

static void give_http(struct asking *a, const struct fetch_result *result)
{
	struct ext_work *work = a->work;
	json_t *headers = json_array();

	for (uint32_t i = 0; i < result->headers.count; i++)
		(void)json_array_append_new(headers,
			json_pack("{s:o, s:o}", "name", foreign_text(result->headers.items[i].key),
				"value", foreign_text(result->headers.items[i].value)));
	asking_free(a);
	ext_give_bytes(work,
		json_pack("{s:I, s:o, s:o}", "status", (json_int_t)result->status, "url",
			foreign_text(result->url), "headers", headers),
		result->body);
}

static void give_mail(struct asking *a)
{
	struct ext_work *work = a->work;
	json_t *answer = json_pack("{s:o}", "message_id", rest_text(text_span(&a->mail_id)));

	asking_free(a);
	ext_give(work, answer);
}

static void on_fetched(void *user, const struct fetch_result *result)
{
	struct asking *a = user;
	struct error err;

	if (result->rc != 0) {
		(void)error_set(
			&err, error_entry(result->rc)->code, "%.*s", SPAN_ARG(result->text));
		fail(a, &err);
	} else if (a->is_mail) {
		give_mail(a);
	} else {
		give_http(a, result);
	}
}

/* ---- sending ----------------------------------------------------------------------------------
 */

static uint32_t timeout_of(const struct ext_work *work)
{
	uint64_t now = clock_ns(), left_ms = 1;
	uint32_t timeout_ms = ext_uint32(work, "timeout_ms", TIMEOUT_DEFAULT_MS);

	if (work->deadline_ns > now)
		left_ms = (work->deadline_ns - now) / CLOCK_NS_PER_MS;
	if (left_ms > 2 * SPARE_MS)
		left_ms -= SPARE_MS;
	return left_ms < timeout_ms ? (uint32_t)left_ms : timeout_ms;
}

/* Value and secret of each header as one text in *memory; the pairs borrow from it. */
static uint32_t fill_headers(
	const struct asking *a, struct protocol_pair *pairs, struct text *memory)
{
	const json_t *list = json_object_get(a->work->json, "headers"), *header;
	struct span key = a->work->operation_key;
	size_t i, secret = 0, starts[HEADERS_MAX];
	uint32_t n = 0;
	bool has_key = false;

	json_array_foreach(list, i, header)
	{
		struct span name = json_span(json_object_get(header, "name"));

		has_key = has_key || span_equal_nocase(name, SPAN("idempotency-key"));
		starts[n] = memory->len;
		text_append_span(memory, json_span(json_object_get(header, "value")));
		if (json_object_get(header, "secret"))
			text_append_string(memory, a->secrets[secret++]);
		pairs[n] = (struct protocol_pair){ name, { NULL, memory->len - starts[n] } };
		n++;
	}
	for (uint32_t p = 0; p < n; p++)
		pairs[p].value.data = memory->data + starts[p];
	if (key.len > 0 && !has_key)
		pairs[n++] = (struct protocol_pair){ SPAN("Idempotency-Key"), key };
	return n;
}

static uint64_t send_http(struct asking *a, struct error *err)
{
	const struct ext_work *work = a->work;
	const struct api_options *options = &work->api->options;
	struct span method = ext_string(work, "method");
	struct protocol_pair pairs[HEADERS_MAX];
	struct fetch_http message = {
		.installation = work->installation,
		.any_address = a->any_address,
		.method = method.data ? method : SPAN("GET"),
		.url = span_of(a->url),
		.headers = { pairs, 0 },
		.body = work->bytes,
		.timeout_ms = timeout_of(work),
		.redirects = ext_uint32(work, "redirects", 0),
		.response_bytes = ext_uint32(work, "answer_bytes", ANSWER_DEFAULT_BYTES),
	};
	struct text memory;
	uint64_t id;

	text_init(&memory);
	message.headers.count = fill_headers(a, pairs, &memory);
	id = options->host->fetch_http(options->host_user, &message, on_fetched, a, err);
	mem_wipe(memory.data, memory.len);
	text_done(&memory);
	return id;
}

/* The same operation is the same message; without a key each one is its own. */
static void name_mail(const struct ext_work *work, char id[static SHA256_HEX_SIZE])
{
	struct text seed;
	unsigned char fresh[16];

	text_init(&seed);
	text_append_span(&seed, work->installation);
	text_append_char(&seed, ' ');
	if (work->operation_key.len > 0) {
		text_append_span(&seed, work->operation_key);
	} else {
		random_bytes(fresh, sizeof(fresh));
		text_append(&seed, fresh, sizeof(fresh));
	}
	sha256_hex(text_span(&seed), id);
	text_done(&seed);
}

static uint64_t send_mail(struct asking *a, struct error *err)
{
	const struct ext_work *work = a->work;
	const struct api_options *options = &work->api->options;
	const json_t *list = json_object_get(work->json, "to");
	struct span to[RECIPIENTS_MAX], password = ext_string(work, "password");
	char id[SHA256_HEX_SIZE];
	struct mail mail = { .from = ext_string(work, "from"),
		.from_name = ext_string(work, "from_name"),
		.to = to,
		.to_count = json_array_size(list),
		.subject = ext_string(work, "subject"),
		.text = ext_string(work, "text"),
		.time_us = clock_real_us() };
	struct fetch_mail message = { .installation = work->installation,
		.any_address = a->any_address,
		.url = span_of(a->url),
		.username = ext_string(work, "username"),
		.password = a->opened ? span_of(a->secrets[0]) : password,
		.plain = span_is(ext_string(work, "tls"), "offered"),
		.from = mail.from,
		.to = { to, (uint32_t)mail.to_count },
		.timeout_ms = timeout_of(work) };
	struct text text;
	uint64_t fetch = 0;

	for (size_t i = 0; i < mail.to_count; i++)
		to[i] = json_span(json_array_get(list, i));
	name_mail(work, id);
	mail.id = span_of(id);
	text_init(&text);
	if (mail_append(&text, &mail, err) == 0) {
		message.message = text_span(&text);
		mail_append_id(&a->mail_id, &mail);
		fetch = options->host->fetch_mail(options->host_user, &message, on_fetched, a, err);
	}
	mem_wipe(text.data, text.len);
	text_done(&text);
	return fetch;
}

/* ---- finding out ------------------------------------------------------------------------------
 */

/* Nobody waits any more: true, and a is gone. */
static bool ended(struct asking *a)
{
	struct error err;

	if (!a->cancelled)
		return false;
	(void)error_set(&err, ERR_CANCELLED, "cancelled before it was sent");
	fail(a, &err);
	return true;
}

static void on_secret(void *user, const struct error *err, struct span value)
{
	struct asking *a = user;
	struct error own;

	if (ended(a))
		return;
	if (!err && !is_one_line(value)) {
		(void)error_set(&own, ERR_INVALID, "the secret '%.*s' is not one line",
			SPAN_ARG(a->names[a->opened]));
		err = &own;
	}
	if (err) {
		fail(a, err);
		return;
	}
	a->secrets[a->opened++] = mem_printf("%.*s", SPAN_ARG(value));
	go_on(a);
}

static void on_config(const struct error *err, struct span value, void *user)
{
	struct asking *a = user;
	struct span path = ext_string(a->work, "path");
	struct error own;

	if (ended(a))
		return;
	if (!err && value.len == 0) {
		(void)error_set(&own, ERR_NOT_FOUND, "the configuration has no text '%.*s'",
			SPAN_ARG(ext_string(a->work, "url_config")));
		err = &own;
	} else if (!err && path.data &&
		   (memchr(value.data, '?', value.len) || memchr(value.data, '#', value.len))) {
		(void)error_set(&own, ERR_INVALID,
			"the configured URL has a query, so no path can follow it");
		err = &own;
	}
	if (err) {
		fail(a, err);
		return;
	}
	while (path.data && value.len > 0 && value.data[value.len - 1] == '/')
		value.len--;
	a->url = mem_printf("%.*s%.*s", SPAN_ARG(value), SPAN_ARG(path));
	go_on(a);
}

static void go_on(struct asking *a)
{
	struct ext_work *work = a->work;
	struct error err;

	if (!a->url) {
		store_installation_config(work->api->options.db, &work->context, work->installation,
			ext_string(work, "url_config"), on_config, a);
	} else if (a->opened < a->secret_count) {
		if (ext_secret_open(work, a->names[a->opened], on_secret, a, &err) < 0)
			fail(a, &err);
	} else {
		a->fetch = a->is_mail ? send_mail(a, &err) : send_http(a, &err);
		if (a->fetch == 0)
			fail(a, &err);
	}
}

static void cancel(struct ext_work *work)
{
	struct asking *a = work->state;
	const struct api_options *options = &work->api->options;

	a->cancelled = true;
	if (a->fetch)
		options->host->fetch_cancel(options->host_user, a->fetch);
}

static void begin(void *user)
{
	struct asking *a = user;

	if (!ended(a))
		go_on(a);
}

int ext_fetch_start(struct ext_work *work, struct error *err)
{
	const struct api_options *options = &work->api->options;
	struct asking *a = mem_zalloc(sizeof(*a));
	int rc;

	a->work = work;
	a->is_mail = strcmp(work->method->name, "mail") == 0;
	text_init(&a->mail_id);
	rc = a->is_mail ? check_mail(a, err) : check_http(a, err);
	if (rc < 0) {
		asking_free(a);
		return rc;
	}
	work->state = a;
	work->cancel = cancel;
	/* What follows may fail at once, and no outcome comes before its question has returned. */
	(void)options->host->timer(options->host_user, 0, begin, a);
	return 0;
}
