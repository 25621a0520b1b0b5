/* loop.h - slow work off the event loop
 *
 * One libuv loop per process, no threads of ours beyond libuv's pool. What may
 * block (hashing a file, fsync, a folder walk) goes through work_submit().
 */
#ifndef MORTISE_BASE_LOOP_H
#define MORTISE_BASE_LOOP_H

struct uv_loop_s;

/* [pool thread] Does the work; touches nothing that the loop thread uses meanwhile. */
typedef void (*work_cb)(void *user);
/* [loop thread] The work is done, or was cancelled before it began. */
typedef void (*work_done_cb)(void *user, int cancelled);

struct work; /* opaque, freed after done returned */

/* Run work(user) on the pool, then done(user, 0) on the loop. done runs exactly once and never
 * before work_submit() returned. The returned handle is borrowed and lives until done. */
struct work *work_submit(struct uv_loop_s *loop, work_cb work, work_done_cb done, void *user);

/* Ask for it not to run; done still comes, with cancelled = 1 if it had not begun. */
void work_cancel(struct work *w);

#endif
