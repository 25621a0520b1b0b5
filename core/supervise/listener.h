/* listener.h - the TCP sockets that fronts serve, kept by the supervisor
 *
 * One SO_REUSEPORT socket per front slot, inherited by each successor in turn, so
 * that a dead front's queue is not reset. [main thread]
 */
#ifndef MORTISE_SUPERVISE_LISTENER_H
#define MORTISE_SUPERVISE_LISTENER_H

#include <stddef.h>

#include "base/text.h"

struct error;

/* Make count sockets bound to address ("127.0.0.1:7400", "[::1]:0"; port 0 chooses one for all).
 * bound gets the address that is really bound. ERR_CONFIG: not an address of that form;
 * ERR_SYSTEM: it cannot be bound. On failure none is open. */
int listener_open(
	int *fds, size_t count, const char *address, struct text *bound, struct error *err);

/* Is address of the right form? */
int listener_check(const char *address, struct error *err);

#endif
