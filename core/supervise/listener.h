/* listener.h - the sockets that our processes serve, made by the supervisor
 *
 * One SO_REUSEPORT TCP socket per front slot, inherited by each successor in turn, so
 * that a dead front's queue is not reset; Unix sockets for those that fronts speak to.
 * [main thread]
 */
#ifndef MORTISE_SUPERVISE_LISTENER_H
#define MORTISE_SUPERVISE_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/text.h"

struct error;

/* Make count sockets bound to address ("127.0.0.1:7400", "[::1]:0"; port 0 chooses one for all).
 * bound gets the address that is really bound. ERR_CONFIG: not an address of that form;
 * ERR_SYSTEM: it cannot be bound. On failure none is open. */
int listener_open(
	int *fds, size_t count, const char *address, struct text *bound, struct error *err);

/* Is address of the right form? */
int listener_check(const char *address, struct error *err);

/* A Unix socket at path, in place of what was there. Who may connect: the group gid when we are
 * root, else we alone. ERR_SYSTEM; ERR_TOO_LARGE: the path is too long for a socket. */
int listener_open_local(int *out, const char *path, bool root, gid_t gid, struct error *err);

#endif
