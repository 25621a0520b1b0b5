/* health.h - mortise.health/1: how are you?
 *
 * Offered by a plugin that knows more about its health than that it answers.
 * For one that does not offer it, a returning home thread counts as healthy.
 * After the manifest's health.failures unhealthy answers in a row the host calls
 * the plugin unhealthy, after as many again it starts its worker anew.
 */
#ifndef MORTISE_HEALTH_H
#define MORTISE_HEALTH_H

#include "abi.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MORTISE_HEALTH_1 "mortise.health/1"

struct mortise_health_1 {
	/* [home] Answer with core report(), now or later within the time that the
	 * manifest gives. No answer counts as unhealthy. Comes every interval between
	 * start() and stop(); the next one not before the last is answered or over.
	 */
	void (*probe)(struct mortise_instance *self, mortise_id probe);
};

#ifdef __cplusplus
}
#endif

#endif
