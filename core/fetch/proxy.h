/* proxy.h - which hosts are asked through the proxy
 *
 * The list is an administrator's: host names, domains and literal addresses, parted by commas. A
 * name stands for itself and for all below it, with or without a dot before it; "*" for every host.
 * Pure. [any thread]
 */
#ifndef MORTISE_FETCH_PROXY_H
#define MORTISE_FETCH_PROXY_H

#include <stdbool.h>

#include "base/text.h"

/* Is the host (lower or upper case, an IPv6 address without brackets) on the list? */
bool proxy_lists(struct span list, struct span host);

#endif
