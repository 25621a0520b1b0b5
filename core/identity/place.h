/* place.h - where a key may be used: networks and origins
 *
 * An IPv4 address and its IPv4-mapped IPv6 form are the same address on both sides: what a
 * dual-stack socket shows as ::ffff:10.1.2.3 is in 10.0.0.0/8. A text that is no address is in no
 * network. Origins are compared byte by byte, as browsers send them. [any thread]
 */
#ifndef MORTISE_IDENTITY_PLACE_H
#define MORTISE_IDENTITY_PLACE_H

#include <stdbool.h>

#include "base/text.h"

struct error;

/* 0, or ERR_INVALID with what is wrong: neither an address nor `address/length`, or bits are set
 * behind the length (10.0.0.5/8 is meant as something else). */
int network_check(struct span network, struct error *err);

bool address_valid(struct span address);

/* Is the address in one of the networks? They are parted by commas, with blanks between. Bits
 * behind a length do not count, a network that cannot be read holds nothing. */
bool networks_hold(struct span networks, struct span address);

/* Is all of the (valid) network within one of the networks? */
bool networks_cover(struct span networks, struct span network);

/* 0, or ERR_INVALID: not `scheme://host` or `scheme://host:port` as a browser would write it. */
int origin_check(struct span origin, struct error *err);

/* Is the origin one of those, which are parted by newlines? */
bool origins_hold(struct span origins, struct span origin);

#endif
