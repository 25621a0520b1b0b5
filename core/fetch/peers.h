/* peers.h - the fronts that are connected, and what each of them asked for
 *
 * A request ends with one FETCH_RESULT, unless its front is gone: then with it. [loop thread]
 */
#ifndef MORTISE_FETCH_PEERS_H
#define MORTISE_FETCH_PEERS_H

struct error;
struct peers; /* opaque */
struct transfers;
struct uv_loop_s;

/* Accept on fd, a listening socket. */
int peers_new(struct peers **out, struct uv_loop_s *loop, int fd, struct transfers *transfers,
	struct error *err);
/* Accept nobody new, take no new request. */
void peers_stop(struct peers *peers);

#endif
