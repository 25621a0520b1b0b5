/* rest_changes_priv.h - what several files of /v1 show in the same form */
#ifndef MORTISE_API_REST_CHANGES_PRIV_H
#define MORTISE_API_REST_CHANGES_PRIV_H

#include <jansson.h>

#include "store/changes.h"
#include "store/installations.h"
#include "store/instances.h"

struct api;
struct rest_call;

json_t *rest_change_json(const struct store_change *row);
json_t *rest_instance_json(const struct store_instance *row);

/* Look for the installation that the path names; done has the call for user and asks
 * rest_installation_found() first, which answers and returns false when there is none. */
void rest_installation_find(struct rest_call *call, store_installations_cb done);
bool rest_installation_found(struct rest_call *call, const struct error *err, size_t n);

/* End what follows something, for the program is about to leave. */
void rest_changes_stop(struct api *api);
void rest_logs_stop(struct api *api);

#endif
