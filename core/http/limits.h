/* limits.h - what a client may send, and how long it may take
 *
 * One struct for parser and server. Every number is a setting (http.*); the defaults stand in
 * base/settings.def.
 */
#ifndef MORTISE_HTTP_LIMITS_H
#define MORTISE_HTTP_LIMITS_H

#include <stdint.h>

struct settings;

struct http_limits {
	uint32_t head_bytes;      /* request line and headers; at most HTTP_HEAD_BYTES_MAX */
	uint32_t headers;         /* header lines; at most HTTP_FIELDS_MAX */
	uint32_t target_bytes;    /* the request target */
	uint64_t body_bytes;      /* a body, unless http_body_read() says less */
	uint32_t window_bytes;    /* body bytes given to the owner and not consumed yet; answer
				     bytes that the client has not taken */
	uint32_t min_rate;        /* bytes a second, of a body or an answer on its way */
	uint32_t rate_grace_ms;   /* the time over which min_rate is measured */
	uint32_t head_ms;         /* from the first byte to the end of the head; a new connection
				     has as long to send its first byte */
	uint32_t idle_ms;         /* between an answer and the next request */
	uint32_t request_ms;      /* from head to complete answer, unless the owner says other */
	uint32_t half_close_ms;   /* for an answer after the client has closed its sending side */
	uint32_t linger_ms;       /* reading on after the last answer, so that it is not lost */
	uint32_t connections;     /* open at once; at the limit the longest idle one is closed */
	uint32_t connection_uses; /* requests on one connection */
	uint32_t pipeline;        /* requests of one connection being answered at once */
};

/* Bounds of the settings: a head fits half a read block, header places are 16 bits wide. */
#define HTTP_HEAD_BYTES_MAX 16384
#define HTTP_FIELDS_MAX     128

/* From the settings; a number beyond its bounds is brought to them. */
void http_limits_init(struct http_limits *limits, const struct settings *settings);

#endif
