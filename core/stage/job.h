/* job.h - what a stage process is started for
 *
 * Each job takes its message and gives back the answer's payload; what is wrong with a package or
 * a configuration is an answer like any other. The limits are the process's own and are set
 * before.
 */
#ifndef MORTISE_STAGE_JOB_H
#define MORTISE_STAGE_JOB_H

#include "base/text.h"

struct stage_config;
struct stage_package;

/* Verify the package in fd and unpack it into job->folder; append the encoded
 * stage_package_result. fd stays the caller's. */
void job_package(const struct stage_package *job, int fd, struct text *answer);

/* Validate a configuration against a manifest's schema; append the encoded stage_config_result. */
void job_config(const struct stage_config *job, struct text *answer);

#endif
