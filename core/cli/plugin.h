/* plugin.h - what commands about one plugin share */
#ifndef MORTISE_CLI_PLUGIN_H
#define MORTISE_CLI_PLUGIN_H

struct cli;
struct error;

/* "/v1/COLLECTION/PUBLISHER/PLUGIN" and the suffix, of the plugin that the first argument names,
 * in full or by its second part alone. *out is the caller's. ERR_NOT_FOUND; ERR_CONFLICT: several
 * publishers have one of that name. */
int plugin_path(
	struct cli *cli, const char *collection, const char *suffix, char **out, struct error *err);

#endif
