/* transfer.h - one request to another host, with the rules of where it may lead
 *
 * A transfer whose URL an administrator named (any_address) may go to any address, but only to that
 * scheme, host and port: where its answer redirects elsewhere, and in all other transfers, each
 * connection goes to a public address (address.h) or is not made. Through a proxy that is the
 * proxy's to decide, save for literal addresses. Redirects are followed here, one by one; to
 * another origin go only headers that say nothing about who asks. [loop thread]
 */
#ifndef MORTISE_FETCH_TRANSFER_H
#define MORTISE_FETCH_TRANSFER_H

#include <stdbool.h>
#include <stddef.h>

#include "channel/protocol.h"

struct error;
struct transfer;  /* opaque */
struct transfers; /* opaque: all of this process, and what they share */
struct uv_loop_s;

/* result is borrowed; the transfer is gone when it returns. */
typedef void (*transfer_done_cb)(void *user, const struct fetch_result *result);

/* Everything in start is copied. */
int transfers_new(struct transfers **out, struct uv_loop_s *loop, const struct fetch_start *start,
	struct error *err);
size_t transfers_count(const struct transfers *all);
/* Of the answers that were given, these bytes have not left yet: they count for the limit of all
 * answers together. */
typedef uint64_t (*transfers_pending_cb)(void *user);
void transfers_count_pending(struct transfers *all, transfers_pending_cb pending, void *user);

/* Start; everything in the message is copied. done comes once, later. ERR_LIMIT: too many are under
 * way; ERR_INVALID, ERR_PERMISSION: not with this URL. */
int transfer_http(struct transfer **out, struct transfers *all, const struct fetch_http *message,
	transfer_done_cb done, void *user, struct error *err);
int transfer_mail(struct transfer **out, struct transfers *all, const struct fetch_mail *message,
	transfer_done_cb done, void *user, struct error *err);

/* End it; done does not come any more. */
void transfer_abort(struct transfer *t);
/* Was something sent that may have had an effect? */
bool transfer_may_have_acted(const struct transfer *t);

#endif
