/* limits.h - the bounds that a stage process puts on itself
 *
 * What a hostile package can take is what these leave: no right to gain, no core, a bounded address
 * space, CPU time and file size. They hold for the rest of the process.
 */
#ifndef MORTISE_STAGE_LIMITS_H
#define MORTISE_STAGE_LIMITS_H

struct error;
struct stage_package;

/* Before the first byte of a message is read. */
int limits_begin(struct error *err);

/* With the numbers of the job: uid and gid, then memory, CPU and file size. */
int limits_apply(const struct stage_package *job, struct error *err);

/* For a job that needs no file and no package: little of everything. */
int limits_apply_small(struct error *err);

#endif
