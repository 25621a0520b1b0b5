/* Mail: envelope and message as the front composed them, to one server. libcurl speaks SMTP and
 * stuffs dots. Until the last byte of the message has gone nothing can have been delivered. */
#include <stdio.h>
#include <string.h>

#include <curl/curl.h>

#include "base/clock.h"
#include "base/mem.h"
#include "fetch/transfer_priv.h"

#define PROTOCOLS        "smtp,smtps"
#define ANSWER_BYTES_MAX 65536
#define SMTP_REFUSED     400

static size_t on_read(char *out, size_t size, size_t n, void *user)
{
	struct transfer *t = user;
	size_t room = size * n, left = t->request.len - t->request_sent;
	size_t len = left < room ? left : room;

	memcpy(out, t->request.data + t->request_sent, len);
	t->request_sent += len;
	t->acted = t->request_sent == t->request.len;
	return len;
}

static void end(struct transfer *t)
{
	const struct fetch_result result = { .url = span_of(t->url) };

	t->done(t->user, &result);
}

static void explain(struct transfer *t, CURLcode code)
{
	const char *text = t->curl_text[0] ? t->curl_text : curl_easy_strerror(code);
	long status = 0;

	(void)curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	if (code == CURLE_LOGIN_DENIED)
		(void)error_set(&t->err, ERR_PERMISSION,
			"the mail server refused the name and password: %s", text);
	else if (code == CURLE_USE_SSL_FAILED)
		(void)error_set(&t->err, ERR_UNAVAIL,
			"the mail server does not offer TLS, which was asked for: %s", text);
	else if (code != CURLE_OPERATION_TIMEDOUT && status >= SMTP_REFUSED)
		(void)error_set(&t->err, status < 500 ? ERR_UNAVAIL : ERR_PERMISSION,
			"the mail server refused the message with %ld: %s", status, text);
	else if (t->acted)
		(void)error_set(&t->err, ERR_UNKNOWN,
			"the message was sent, but its end is open: %s", text);
	else
		(void)error_set(&t->err,
			code == CURLE_OPERATION_TIMEDOUT ? ERR_DEADLINE : ERR_UNAVAIL,
			"the mail server '%.200s': %s", t->url, text);
}

static const struct transfer_kind mail = { .end = end, .explain = explain };

/* An address stands in a command of the protocol: what could end or widen it never gets there. */
static int add_address(struct curl_slist **list, struct span address, struct error *err)
{
	CLEANUP(mem_freep) char *bracketed = NULL;

	for (size_t i = 0; i < address.len; i++)
		if (address.data[i] <= ' ' || address.data[i] == 0x7f || address.data[i] == '<' ||
			address.data[i] == '>')
			return error_set(err, ERR_INVALID, "no mail address");
	bracketed = mem_printf("<%.*s>", SPAN_ARG(address));
	*list = curl_slist_append(*list, bracketed);
	return 0;
}

static int set_envelope(struct transfer *t, const struct fetch_mail *message, struct error *err)
{
	struct curl_slist *from = NULL;
	int rc = add_address(&from, message->from, err);

	for (uint32_t i = 0; rc == 0 && i < message->to.count; i++)
		rc = add_address(&t->recipients, message->to.items[i], err);
	if (rc == 0) {
		(void)curl_easy_setopt(t->easy, CURLOPT_MAIL_FROM, from->data);
		(void)curl_easy_setopt(t->easy, CURLOPT_MAIL_RCPT, t->recipients);
	}
	curl_slist_free_all(from);
	return rc;
}

static void set_login(struct transfer *t, const struct fetch_mail *message)
{
	char *name = mem_printf("%.*s", SPAN_ARG(message->username));
	char *password = mem_printf("%.*s", SPAN_ARG(message->password));

	(void)curl_easy_setopt(t->easy, CURLOPT_USERNAME, name);
	(void)curl_easy_setopt(t->easy, CURLOPT_PASSWORD, password);
	mem_wipe(password, strlen(password));
	mem_free(password);
	mem_free(name);
}

static int begin(struct transfer *t, const struct fetch_mail *message, struct error *err)
{
	int rc = transfer_prepare(t, PROTOCOLS, err);

	if (rc == 0 && message->plain && message->username.len > 0)
		rc = error_set(err, ERR_INVALID, "a password is not sent without TLS");
	if (rc == 0)
		rc = set_envelope(t, message, err);
	if (rc < 0)
		return rc;
	if (message->username.len > 0)
		set_login(t, message);
	(void)curl_easy_setopt(
		t->easy, CURLOPT_USE_SSL, (long)(message->plain ? CURLUSESSL_TRY : CURLUSESSL_ALL));
	/* Whoever goes on without TLS cannot be lied to by a certificate. */
	(void)curl_easy_setopt(t->easy, CURLOPT_SSL_VERIFYPEER, message->plain ? 0l : 1l);
	(void)curl_easy_setopt(t->easy, CURLOPT_SSL_VERIFYHOST, message->plain ? 0l : 2l);
	(void)curl_easy_setopt(t->easy, CURLOPT_UPLOAD, 1l);
	(void)curl_easy_setopt(t->easy, CURLOPT_READFUNCTION, on_read);
	(void)curl_easy_setopt(t->easy, CURLOPT_READDATA, t);
	(void)curl_easy_setopt(t->easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)t->request.len);
	return transfer_run(t, err);
}

int transfer_mail(struct transfer **out, struct transfers *all, const struct fetch_mail *message,
	transfer_done_cb done, void *user, struct error *err)
{
	struct transfer *t = NULL;
	int rc = transfer_new(&t, all, &mail, message->installation, err);

	if (rc < 0)
		return rc;
	t->done = done;
	t->user = user;
	t->any_address = message->any_address != 0;
	t->url = mem_printf("%.*s", SPAN_ARG(message->url));
	t->deadline_ns = clock_ns() + message->timeout_ms * CLOCK_NS_PER_MS;
	t->response_max = ANSWER_BYTES_MAX;
	text_append_span(&t->request, message->message);
	rc = begin(t, message, err);
	if (rc < 0) {
		transfer_free(t);
		return rc;
	}
	*out = t;
	return 0;
}
