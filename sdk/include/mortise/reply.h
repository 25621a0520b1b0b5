/* reply.h - end a request in one line
 *
 * Header-only, over http.h and json.h. What these return may be ignored: the only
 * failure left is that the request is over already.
 */
#ifndef MORTISE_REPLY_H
#define MORTISE_REPLY_H

#include "http.h"
#include "json.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Answer with plain text. */
static inline int32_t mortise_reply_text(struct mortise_host *host,
	const struct mortise_http_1 *http, mortise_id request, int32_t status,
	struct mortise_str text)
{
	return http->reply(host, request, status, MORTISE_STR("text/plain; charset=utf-8"), text);
}

/* Answer with the JSON text and release the writer. A writer that failed aborts the request. */
static inline int32_t mortise_reply_json(struct mortise_host *host,
	const struct mortise_http_1 *http, mortise_id request, int32_t status,
	struct mortise_json_writer *w)
{
	struct mortise_str body;
	int32_t rc = mortise_json_written(w, &body);

	if (rc == 0)
		rc = http->reply(host, request, status, MORTISE_STR("application/json"), body);
	else
		(void)http->abort(host, request);
	mortise_json_writer_done(w);
	return rc;
}

/* The HTTP status that fits a code. */
static inline int32_t mortise_reply_status(int32_t code)
{
	switch (code) {
	case MORTISE_E_INVALID:
		return 400;
	case MORTISE_E_NOT_FOUND:
		return 404;
	case MORTISE_E_PERMISSION:
		return 403;
	case MORTISE_E_CONFLICT:
	case MORTISE_E_STATE:
		return 409;
	case MORTISE_E_TOO_LARGE:
		return 413;
	case MORTISE_E_FORMAT:
		return 422;
	case MORTISE_E_LIMIT:
		return 429;
	case MORTISE_E_UNSUPPORTED:
		return 501;
	case MORTISE_E_UNKNOWN:
		return 502;
	case MORTISE_E_UNAVAIL:
	case MORTISE_E_AGAIN:
		return 503;
	case MORTISE_E_DEADLINE:
		return 504;
	default:
		return 500;
	}
}

/* Answer with a problem (RFC 9457): the code, as MRT-nnnn, and why in words for the client. */
static inline int32_t mortise_reply_problem(struct mortise_host *host,
	const struct mortise_http_1 *http, mortise_id request, int32_t code,
	struct mortise_str detail)
{
	struct mortise_json_writer w;
	struct mortise_str body;
	char name[24];
	int32_t rc;

	mortise_json_writer_init(&w);
	mortise_json_open_object(&w);
	mortise_json_put_integer(&w, "status", mortise_reply_status(code));
	(void)snprintf(name, sizeof(name), "MRT-%lld", -(long long)code);
	mortise_json_put_string(&w, "code", mortise_str_from(name));
	mortise_json_put_string(&w, "detail", detail);
	mortise_json_close(&w);
	rc = mortise_json_written(&w, &body);
	if (rc == 0)
		rc = http->reply(host, request, mortise_reply_status(code),
			MORTISE_STR("application/problem+json"), body);
	else
		(void)http->abort(host, request);
	mortise_json_writer_done(&w);
	return rc;
}

#ifdef __cplusplus
}
#endif

#endif
