/* address.h - which addresses a stranger's URL may lead to
 *
 * Judged is the socket address that is about to be connected to, never a name: however a host is
 * spelled, whatever its name resolves to a moment later and wherever a redirect leads, the
 * connection goes to an address that passed here. Pure; asks nobody. [any thread]
 */
#ifndef MORTISE_FETCH_ADDRESS_H
#define MORTISE_FETCH_ADDRESS_H

#include <stddef.h>

struct error;
struct sockaddr;

/* NULL: a public unicast address. Otherwise what it is, in words: "a loopback address". */
const char *address_reserved(const struct sockaddr *address);

/* The same for an address as text, as libcurl gives it; what is none is reserved, too. */
const char *address_text_reserved(const char *text);

/* For hosts that somebody else will resolve (a proxy): refuse literal addresses that are reserved,
 * in every spelling that the C library reads (0x7f.1, 017700000001, 2130706433, [::1]), and names
 * that mean this machine. ERR_PERMISSION. */
int address_check_host(const char *host, struct error *err);

#endif
