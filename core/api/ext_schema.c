/* clang-format off */
/* ext_schema.c: written by sdk/extensions/generate. */
#include "api/ext_schema.h"

static const char *const values_0[] = { "service", "website", "library", "application", "tool", "infrastructure", NULL };
static const char *const values_1[] = { "experimental", "development", "staging", "production", "deprecated", NULL };
static const char *const values_2[] = { "depends_on", "consumed_by", "provides_api", "consumes_api", "deployed_with", "owned_by", "part_of", NULL };

static const struct ext_field catalog_entity[] = {
	{ "key", EXT_TYPE_STRING, true, 0, 512, 0, NULL, NULL },
	{ "name", EXT_TYPE_STRING, true, 0, 255, 0, NULL, NULL },
	{ "display_name", EXT_TYPE_STRING, false, 0, 255, 0, NULL, NULL },
	{ "description", EXT_TYPE_STRING, false, 0, 65536, 0, NULL, NULL },
	{ "type", EXT_TYPE_STRING, false, 0, 14, 0, values_0, NULL },
	{ "lifecycle", EXT_TYPE_STRING, false, 0, 12, 0, values_1, NULL },
	{ "version", EXT_TYPE_STRING, false, 0, 100, 0, NULL, NULL },
	{ "tags", EXT_TYPE_STRINGS, false, 0, 64, 100, NULL, NULL },
	{ "labels", EXT_TYPE_MAP, false, 0, 64, 255, NULL, NULL },
	{ "annotations", EXT_TYPE_MAP, false, 0, 64, 4096, NULL, NULL },
	{ "metadata", EXT_TYPE_JSON, false, 0, 65536, 0, NULL, NULL },
	{ "homepage", EXT_TYPE_STRING, false, 0, 500, 0, NULL, NULL },
	{ "repository_url", EXT_TYPE_STRING, false, 0, 500, 0, NULL, NULL },
	{ "documentation_url", EXT_TYPE_STRING, false, 0, 500, 0, NULL, NULL },
	{ "team", EXT_TYPE_STRING, false, 0, 100, 0, NULL, NULL },
	{ "team_display_name", EXT_TYPE_STRING, false, 0, 255, 0, NULL, NULL },
	{ .name = NULL },
};

static const struct ext_field catalog_params_apply[] = {
	{ "entities", EXT_TYPE_LIST, true, 0, 1000, 0, NULL, catalog_entity },
	{ "sync", EXT_TYPE_INT64, false, -INT64_MAX - 1, INT64_MAX, 0, NULL, NULL },
	{ .name = NULL },
};

static const struct ext_field catalog_edge[] = {
	{ "source", EXT_TYPE_STRING, true, 0, 512, 0, NULL, NULL },
	{ "target", EXT_TYPE_STRING, false, 0, 512, 0, NULL, NULL },
	{ "target_name", EXT_TYPE_STRING, false, 0, 255, 0, NULL, NULL },
	{ "type", EXT_TYPE_STRING, false, 0, 13, 0, values_2, NULL },
	{ "metadata", EXT_TYPE_JSON, false, 0, 4096, 0, NULL, NULL },
	{ .name = NULL },
};

static const struct ext_field catalog_params_relate[] = {
	{ "edges", EXT_TYPE_LIST, true, 0, 5000, 0, NULL, catalog_edge },
	{ "sync", EXT_TYPE_INT64, false, -INT64_MAX - 1, INT64_MAX, 0, NULL, NULL },
	{ .name = NULL },
};

static const struct ext_field catalog_params_sync_begin[] = {
	{ .name = NULL },
};

static const struct ext_field catalog_params_sync_finish[] = {
	{ "sync", EXT_TYPE_INT64, true, -INT64_MAX - 1, INT64_MAX, 0, NULL, NULL },
	{ .name = NULL },
};

static const struct ext_field catalog_params_get[] = {
	{ "name", EXT_TYPE_STRING, true, 0, 255, 0, NULL, NULL },
	{ .name = NULL },
};

static const struct ext_field catalog_params_list[] = {
	{ "type", EXT_TYPE_STRING, false, 0, 14, 0, values_0, NULL },
	{ "lifecycle", EXT_TYPE_STRING, false, 0, 12, 0, values_1, NULL },
	{ "team", EXT_TYPE_STRING, false, 0, 100, 0, NULL, NULL },
	{ "tag", EXT_TYPE_STRING, false, 0, 100, 0, NULL, NULL },
	{ "limit", EXT_TYPE_UINT32, false, 1, 200, 0, NULL, NULL },
	{ "cursor", EXT_TYPE_STRING, false, 0, 1024, 0, NULL, NULL },
	{ .name = NULL },
};

static const struct ext_field catalog_params_dependencies[] = {
	{ "name", EXT_TYPE_STRING, true, 0, 255, 0, NULL, NULL },
	{ "depth", EXT_TYPE_UINT32, false, 1, 100, 0, NULL, NULL },
	{ "reverse", EXT_TYPE_BOOLEAN, false, 0, 0, 0, NULL, NULL },
	{ "limit", EXT_TYPE_UINT32, false, 1, 1000, 0, NULL, NULL },
	{ "cursor", EXT_TYPE_STRING, false, 0, 1024, 0, NULL, NULL },
	{ .name = NULL },
};

static const struct ext_method catalog_methods[] = {
	{ "apply", true, "catalog.write", "catalog.write", catalog_params_apply, 0, 0 },
	{ "relate", true, "catalog.write", "catalog.write", catalog_params_relate, 0, 0 },
	{ "sync.begin", true, "catalog.write", "catalog.write", catalog_params_sync_begin, 0, 0 },
	{ "sync.finish", true, "catalog.write", "catalog.write", catalog_params_sync_finish, 0, 0 },
	{ "get", false, "catalog.read", "catalog.read", catalog_params_get, 0, 0 },
	{ "list", false, "catalog.read", "catalog.read", catalog_params_list, 0, 0 },
	{ "dependencies", false, "catalog.read", "catalog.read", catalog_params_dependencies, 0, 0 },
	{ .name = NULL },
};

static const struct ext_field identity_params_whoami[] = {
	{ .name = NULL },
};

static const struct ext_field identity_params_can[] = {
	{ "action", EXT_TYPE_STRING, true, 0, 100, 0, NULL, NULL },
	{ "resource", EXT_TYPE_STRING, false, 0, 255, 0, NULL, NULL },
	{ .name = NULL },
};

static const struct ext_field identity_params_teams[] = {
	{ "limit", EXT_TYPE_UINT32, false, 1, 200, 0, NULL, NULL },
	{ "cursor", EXT_TYPE_STRING, false, 0, 1024, 0, NULL, NULL },
	{ .name = NULL },
};

static const struct ext_method identity_methods[] = {
	{ "whoami", false, "identity.read", "", identity_params_whoami, 0, 0 },
	{ "can", false, "identity.read", "", identity_params_can, 0, 0 },
	{ "teams", false, "identity.read", "", identity_params_teams, 0, 0 },
	{ .name = NULL },
};

static const struct ext_field kv_params_get[] = {
	{ "key", EXT_TYPE_STRING, true, 0, 512, 0, NULL, NULL },
	{ .name = NULL },
};

static const struct ext_field kv_params_put[] = {
	{ "key", EXT_TYPE_STRING, true, 0, 512, 0, NULL, NULL },
	{ "value", EXT_TYPE_JSON, false, 0, 1000000, 0, NULL, NULL },
	{ "if_etag", EXT_TYPE_STRING, false, 0, 20, 0, NULL, NULL },
	{ "ttl_ms", EXT_TYPE_INT64, false, 1, INT64_MAX, 0, NULL, NULL },
	{ .name = NULL },
};

static const struct ext_field kv_params_delete[] = {
	{ "key", EXT_TYPE_STRING, true, 0, 512, 0, NULL, NULL },
	{ "if_etag", EXT_TYPE_STRING, false, 0, 20, 0, NULL, NULL },
	{ .name = NULL },
};

static const struct ext_field kv_params_list[] = {
	{ "prefix", EXT_TYPE_STRING, false, 0, 512, 0, NULL, NULL },
	{ "limit", EXT_TYPE_UINT32, false, 1, 1000, 0, NULL, NULL },
	{ "cursor", EXT_TYPE_STRING, false, 0, 2048, 0, NULL, NULL },
	{ .name = NULL },
};

static const struct ext_method kv_methods[] = {
	{ "get", false, "kv", "", kv_params_get, 0, 16777216 },
	{ "put", true, "kv", "", kv_params_put, 16777216, 0 },
	{ "delete", true, "kv", "", kv_params_delete, 0, 0 },
	{ "list", false, "kv", "", kv_params_list, 0, 0 },
	{ .name = NULL },
};

const struct ext_schema ext_schemas[] = {
	{ "catalog/1", catalog_methods },
	{ "identity/1", identity_methods },
	{ "kv/1", kv_methods },
	{ .extension = NULL },
};
