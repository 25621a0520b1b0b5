/* multi.h - libcurl's transfers on our event loop
 *
 * Knows no meaning of a transfer: handles go in ready to run and come out with their outcome. Names
 * are resolved by threads of libcurl's own. [loop thread]
 */
#ifndef MORTISE_FETCH_MULTI_H
#define MORTISE_FETCH_MULTI_H

#include <curl/curl.h>

struct error;
struct multi; /* opaque */
struct uv_loop_s;

/* transfer is the handle's CURLOPT_PRIVATE. The handle is out of multi by then. */
typedef void (*multi_done_cb)(void *transfer, CURLcode code);

int multi_new(struct multi **out, struct uv_loop_s *loop, multi_done_cb done, struct error *err);

/* Begin; done comes once, later. */
int multi_add(struct multi *multi, CURL *easy, struct error *err);

/* Take out a handle that is not done: done does not come any more. Not from a callback of
 * libcurl's. */
void multi_remove(struct multi *multi, CURL *easy);

#endif
