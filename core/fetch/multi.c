/* libcurl says which sockets and which time it waits for (the socket and timer callbacks), we say
 * what came (curl_multi_socket_action). It must not be called from within its callbacks, so a
 * timeout of 0 is a timer of 0. */
#include "fetch/multi.h"

#include <uv.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/mem.h"

#define CONNECTIONS_KEPT 32l /* idle, for the next transfer to the same place */

struct multi {
	CURLM *curl;
	uv_loop_t *loop;
	uv_timer_t timer;
	multi_done_cb done;
};

struct watched {
	struct multi *multi;
	uv_poll_t poll;
	curl_socket_t fd;
};

static void collect_done(struct multi *multi)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(multi->curl, &left)) != NULL) {
		CURL *easy = message->easy_handle;
		CURLcode code = message->data.result; /* message ends with the handle's stay */
		void *transfer = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		(void)curl_easy_getinfo(easy, CURLINFO_PRIVATE, &transfer);
		(void)curl_multi_remove_handle(multi->curl, easy);
		multi->done(transfer, code);
	}
}

static void act(struct multi *multi, curl_socket_t fd, int what)
{
	int running;

	(void)curl_multi_socket_action(multi->curl, fd, what, &running);
	collect_done(multi);
}

static void on_timeout(uv_timer_t *timer)
{
	act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static int on_timer(CURLM *curl, long timeout_ms, void *user)
{
	struct multi *multi = user;

	(void)curl;
	if (timeout_ms < 0)
		(void)uv_timer_stop(&multi->timer);
	else
		(void)uv_timer_start(&multi->timer, on_timeout, (uint64_t)timeout_ms, 0);
	return 0;
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
	struct watched *w = poll->data;
	int what = status < 0 ? CURL_CSELECT_ERR : 0;

	if (events & UV_READABLE)
		what |= CURL_CSELECT_IN;
	if (events & UV_WRITABLE)
		what |= CURL_CSELECT_OUT;
	act(w->multi, w->fd, what);
}

static void on_poll_closed(uv_handle_t *handle)
{
	mem_free(handle->data);
}

static struct watched *watch(struct multi *multi, curl_socket_t fd)
{
	struct watched *w = mem_zalloc(sizeof(*w));

	w->multi = multi;
	w->fd = fd;
	if (uv_poll_init(multi->loop, &w->poll, fd) != 0)
		BUG("a socket of libcurl's cannot be watched");
	w->poll.data = w;
	(void)curl_multi_assign(multi->curl, fd, w);
	return w;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *watched)
{
	struct multi *multi = user;
	struct watched *w = watched;
	int events = 0;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (w)
			uv_close((uv_handle_t *)&w->poll, on_poll_closed);
		return 0;
	}
	if (!w)
		w = watch(multi, fd);
	if (what & CURL_POLL_IN)
		events |= UV_READABLE;
	if (what & CURL_POLL_OUT)
		events |= UV_WRITABLE;
	(void)uv_poll_start(&w->poll, events, on_ready);
	return 0;
}

int multi_new(struct multi **out, struct uv_loop_s *loop, multi_done_cb done, struct error *err)
{
	struct multi *multi;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return error_set(err, ERR_SYSTEM, "libcurl does not begin");
	multi = mem_zalloc(sizeof(*multi));
	multi->loop = loop;
	multi->done = done;
	multi->curl = curl_multi_init();
	if (!multi->curl) {
		mem_free(multi);
		return error_set(err, ERR_SYSTEM, "libcurl has no memory");
	}
	(void)uv_timer_init(loop, &multi->timer);
	multi->timer.data = multi;
	(void)curl_multi_setopt(multi->curl, CURLMOPT_SOCKETFUNCTION, on_socket);
	(void)curl_multi_setopt(multi->curl, CURLMOPT_SOCKETDATA, multi);
	(void)curl_multi_setopt(multi->curl, CURLMOPT_TIMERFUNCTION, on_timer);
	(void)curl_multi_setopt(multi->curl, CURLMOPT_TIMERDATA, multi);
	(void)curl_multi_setopt(multi->curl, CURLMOPT_MAXCONNECTS, CONNECTIONS_KEPT);
	*out = multi;
	return 0;
}

int multi_add(struct multi *multi, CURL *easy, struct error *err)
{
	CURLMcode code = curl_multi_add_handle(multi->curl, easy);

	if (code != CURLM_OK)
		return error_set(err, ERR_SYSTEM, "libcurl: %s", curl_multi_strerror(code));
	return 0;
}

void multi_remove(struct multi *multi, CURL *easy)
{
	(void)curl_multi_remove_handle(multi->curl, easy);
}
