/* admit.h - may a key be used from here, and has it requests left
 *
 * What stands between a known key and the access table: the address and origin that the key is
 * bound to, and its requests an hour. A request that is refused here has been answered.
 * [loop thread]
 */
#ifndef MORTISE_FRONT_ADMIT_H
#define MORTISE_FRONT_ADMIT_H

#include <stdbool.h>

#include <netinet/in.h>

#include "base/text.h"

struct error;
struct front;
struct http_request;
struct principal;

#define ADMIT_ADDRESS_SIZE INET6_ADDRSTRLEN

/* Make front->admission. fd is the memory that all fronts of the node share; -1: there is none. */
int admission_open(struct front *front, int fd, struct error *err);

/* The address that the request comes from, as text: the peer's, or whom the setting
 * http.trusted_proxies lets the peer speak for. "" when there is none. */
void admit_address(const struct front *front, const struct http_request *request,
	char out[static ADMIT_ADDRESS_SIZE]);

typedef void (*admitted_cb)(struct front *front, struct http_request *request,
	struct principal *who, const char *address, struct span request_id);

/* Place and rate of the key. admitted is called, now or later, when the request may go on; it then
 * counts as one of its hour. Otherwise the request was answered, or its client has left. */
void admit(struct front *front, struct http_request *request, struct principal *who,
	const char *address, struct span request_id, admitted_cb admitted);

#endif
