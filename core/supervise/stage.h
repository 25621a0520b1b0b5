/* stage.h - one job for mortise-stage: a package or a configuration, checked in a process that may
 * be broken by it
 *
 * A stage process has no rights, no network and no database; it gets one message,
 * answers once and exits. Its answer is bounded and typed, and that is all that
 * is known of it. [loop thread]
 */
#ifndef MORTISE_SUPERVISE_STAGE_H
#define MORTISE_SUPERVISE_STAGE_H

#include <stdint.h>

#include "channel/protocol.h"
#include "supervise/process.h"

struct error;
struct uv_loop_s;

struct stage_options {
	const char *program; /* path of mortise-stage */
	struct process_rights rights;
	uint32_t timeout_ms;
};

/* result is NULL when the process gave no answer; err says why then. A result may still be a
 * refusal: its rc. Both end with the callback. */
typedef void (*stage_package_cb)(
	void *user, const struct stage_package_result *result, const struct error *err);
typedef void (*stage_config_cb)(
	void *user, const struct stage_config_result *result, const struct error *err);

/* fd stays the caller's. The callback comes from the loop, exactly once, also when this fails to
 * start. */
void stage_check_package(struct uv_loop_s *loop, const struct stage_options *options,
	const struct stage_package *package, int fd, stage_package_cb done, void *user);
void stage_check_config(struct uv_loop_s *loop, const struct stage_options *options,
	const struct stage_config *config, stage_config_cb done, void *user);

#endif
