/* manifest.h - what a package says about its plugin
 *
 * The signed JSON, checked member by member: an unknown member, a value wider than its column, a
 * path that could leave its folder, two routes that match the same are refused here, before
 * anything is unpacked. Knows nothing of signatures and files.
 */
#ifndef MORTISE_PACKAGE_MANIFEST_H
#define MORTISE_PACKAGE_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/mem.h"
#include "base/text.h"
#include "codec/digest.h"

struct error;

/* Its base64 and what is around it fit the envelope's 1 MiB. */
#define MANIFEST_BYTES_MAX      ((768u << 10) - 512)
#define MANIFEST_PUBLISHER_MAX  30
#define MANIFEST_PLUGIN_MAX     64
#define MANIFEST_FILES_MAX      2000
#define MANIFEST_PATH_MAX       240
#define MANIFEST_COMPONENT_MAX  100
#define MANIFEST_DEPTH_MAX      16 /* components of a path */
#define MANIFEST_ENTRIES_MAX    8
#define MANIFEST_ROUTES_MAX     256
#define MANIFEST_INTERFACES_MAX 64
#define MANIFEST_TEXT_MAX       (64u << 10) /* text columns: characters */
#define MANIFEST_LIST_MAX       64          /* tags, permissions, dependencies, each */

#define MANIFEST_TYPE "application/vnd.mortise.plugin.manifest.v1+json"

struct manifest_file {
	struct span path;
	uint64_t size;
	unsigned mode; /* 0644 or 0755 */
	uint8_t digest[SHA256_SIZE];
};

struct manifest_entry {
	struct span triplet; /* "x86_64-linux-gnu" */
	struct span path;
};

struct manifest_route {
	struct span name, method, pattern, scope;
	int64_t deadline_ms, body_limit;
};

/* Spans point into json. */
struct manifest {
	json_t *json;
	struct span name; /* "publisher/plugin" */
	struct span publisher, plugin;
	struct span version;
	struct span display_name;
	struct span mount; /* the plugin part where the manifest names none */
	bool many;         /* "instances": "many" */
	struct manifest_entry entries[MANIFEST_ENTRIES_MAX];
	size_t entry_count;
	struct span requires[MANIFEST_INTERFACES_MAX];
	size_t require_count;
	struct span optional[MANIFEST_INTERFACES_MAX];
	size_t optional_count;
	struct manifest_route routes[MANIFEST_ROUTES_MAX];
	size_t route_count;
	const json_t *config_schema; /* NULL when there is none */
	const json_t *config_defaults;
	/* Of a package only. */
	struct manifest_file *files;
	size_t file_count;
	uint64_t payload_size, unpacked_size;
	uint8_t payload_digest[SHA256_SIZE];
};

enum manifest_kind {
	MANIFEST_SOURCE,  /* as its author writes it: no payload, no files */
	MANIFEST_PACKAGE, /* as it is signed: both required */
	MANIFEST_KIND_COUNT
};

/* Parse and check. ERR_MANIFEST_FORM: not strict JSON, a member unknown, missing or of the wrong
 * type; ERR_MANIFEST_VALUE: a value against a rule; ERR_PATH_*: a path against a rule;
 * ERR_CONFIG_SCHEMA: a keyword or form of the configuration schema that is not in the subset.
 * *out is the caller's. */
int manifest_parse(
	struct manifest **out, struct span json, enum manifest_kind kind, struct error *err);
void manifest_free(struct manifest *m);
CLEANUP_FUNCTION(struct manifest, manifest_free)

/* The file record of path, or NULL. */
const struct manifest_file *manifest_find_file(const struct manifest *m, struct span path);
/* The entry of a platform, or NULL. */
const struct manifest_entry *manifest_find_entry(const struct manifest *m, struct span triplet);

/* Whether name is "publisher/plugin" of [a-z0-9-], at most 30 and 64 characters. */
bool manifest_name_valid(struct span name);

/* A relative path of [A-Za-z0-9._+-] components: ERR_PATH_ABSOLUTE, ERR_PATH_PARENT for "..",
 * ERR_PATH_NAME for everything else that is wrong with it. */
int manifest_check_path(struct span path, struct error *err);

/* The platform this program was built for: "x86_64-linux-gnu". */
const char *manifest_host_triplet(void);

#endif
