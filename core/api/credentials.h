/* credentials.h - what of a request says who asks
 *
 * An API key or a session's token as `Authorization: Bearer`, or the token of a browser's session
 * in its cookie: one of them, once, else nobody can say which one counts. Nothing else is looked
 * at: no query parameter, no body. A cookie is sent by the browser whoever made it ask, so what it
 * asks to change must come from the host's own pages. Knows no key's worth. [loop thread]
 */
#ifndef MORTISE_API_CREDENTIALS_H
#define MORTISE_API_CREDENTIALS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

struct error;
struct http_head;

/* __Host-: only with Secure, Path=/ and without Domain, so no other host can set it. */
#define CREDENTIALS_COOKIE         "__Host-mortise"
#define CREDENTIALS_COOKIE_REFRESH "__Host-mortise-refresh"

struct credentials {
	struct span token; /* borrowed from the head; data NULL: there are none */
	bool by_cookie;
};

/* 0, also when there are none. ERR_CREDENTIALS: more than one. */
int credentials_read(const struct http_head *head, struct credentials *out, struct error *err);

/* The same for the refresh token, which comes in the body or in its cookie. given: the body's. */
int credentials_read_refresh(const struct http_head *head, struct span given,
	struct credentials *out, struct error *err);

/* May the request change something by cookie? own origins besides the Host that it names are in
 * `origins`, parted by blanks. ERR_ORIGIN. */
int credentials_check_origin(const struct http_head *head, const char *origins, struct error *err);

/* Why is that neither an API key nor a session's token? Sets and returns the error. */
int credentials_malformed(const struct credentials *credentials, struct error *err);

/* The value of a Set-Cookie field; an empty token removes the cookie. */
void credentials_cookie(struct text *out, const char *name, struct span token, int64_t lasts_s);

#endif
