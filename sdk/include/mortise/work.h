/* work.h - mortise.work/1: let something slow run beside the home thread
 *
 * For computing and for calls that block. The home thread must never wait: a
 * callback that does not return makes the instance unhealthy.
 */
#ifndef MORTISE_WORK_H
#define MORTISE_WORK_H

#include "abi.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MORTISE_WORK_1 "mortise.work/1"

/* On a thread of the pool; may call [any] functions only and must not touch what
 * the home thread touches, except through user.
 */
typedef void (*mortise_work_cb)(void *user);

typedef void (*mortise_work_done_cb)(struct mortise_instance *self, void *user, int32_t rc);

struct mortise_work_1 {
	/* [home] Run work(user) on a pool thread, then done(self, user, rc) at home.
	 * done comes exactly once and never before this call has returned: rc is 0
	 * when work has run, CANCELLED when core cancel() or the end of the instance
	 * was faster. A work that already runs is not interrupted: done waits for it,
	 * so user may be released in done, always. AGAIN: 256 wait already.
	 * operation may be NULL.
	 */
	int32_t (*submit)(struct mortise_host *host, mortise_work_cb work,
		mortise_work_done_cb done, void *user, mortise_id *operation);
};

#ifdef __cplusplus
}
#endif

#endif
