/* clang-format off */
/* catalog.h - catalog/1: the service catalog: write what this plugin knows, read what the caller may see
 *
 * A plugin owns the services and relationships that it wrote: it changes and removes those and
 * no others. It names its services by keys of its own choice, which need only be unique within
 * the plugin; names are unique in the whole catalog.
 *
 * A full import runs as sync.begin, any number of apply and relate with its number,
 * sync.finish: what none of them mentioned is removed at the end, and an import that stops half
 * way removes nothing.
 *
 * Written by sdk/extensions/generate from catalog.1.json; change that. extension.h says how to
 * call and read.
 */
#ifndef MORTISE_CATALOG_H
#define MORTISE_CATALOG_H

#include "extension.h"

#ifdef __cplusplus
extern "C" {
#endif

#if MORTISE_ABI >= 0x0100

#define MORTISE_CATALOG_1 "catalog/1"

/* A service as its provider writes it. A field that is absent gets its default, also on an
 * update. */
struct mortise_catalog_entity {
	/* the plugin's own name for it (required; at most 512 characters) */
	struct mortise_str key;
	/* unique among all services (required; at most 255 characters) */
	struct mortise_str name;
	/* default: name (at most 255 characters) */
	struct mortise_str display_name;
	/* plain text (at most 65536 characters) */
	struct mortise_str description;
	/* default: service (service, website, library, application, tool, infrastructure) */
	struct mortise_str type;
	/* default: production (experimental, development, staging, production, deprecated) */
	struct mortise_str lifecycle;
	/* what runs now, in any form (at most 100 characters) */
	struct mortise_str version;
	/* words to find it by */
	const struct mortise_str *tags;
	uint32_t tags_count;
	/* facts for programs */
	const struct mortise_field *labels;
	uint32_t labels_count;
	/* facts for other plugins */
	const struct mortise_field *annotations;
	uint32_t annotations_count;
	/* an object, kept as it is */
	struct mortise_str metadata;
	/* URL (at most 500 characters) */
	struct mortise_str homepage;
	/* URL (at most 500 characters) */
	struct mortise_str repository_url;
	/* URL (at most 500 characters) */
	struct mortise_str documentation_url;
	/* name of the owning team (at most 100 characters) */
	struct mortise_str team;
	/* for a team that this call creates (at most 255 characters) */
	struct mortise_str team_display_name;
};

static inline void mortise_catalog_write_entity(
	struct mortise_json_writer *w, const struct mortise_catalog_entity *entity)
{
	uint32_t i;

	mortise_json_open_object(w);
	mortise_json_add_key(w, MORTISE_STR("key"));
	mortise_json_add_string(w, entity->key);
	mortise_json_add_key(w, MORTISE_STR("name"));
	mortise_json_add_string(w, entity->name);
	if (entity->display_name.data) {
		mortise_json_add_key(w, MORTISE_STR("display_name"));
		mortise_json_add_string(w, entity->display_name);
	}
	if (entity->description.data) {
		mortise_json_add_key(w, MORTISE_STR("description"));
		mortise_json_add_string(w, entity->description);
	}
	if (entity->type.data) {
		mortise_json_add_key(w, MORTISE_STR("type"));
		mortise_json_add_string(w, entity->type);
	}
	if (entity->lifecycle.data) {
		mortise_json_add_key(w, MORTISE_STR("lifecycle"));
		mortise_json_add_string(w, entity->lifecycle);
	}
	if (entity->version.data) {
		mortise_json_add_key(w, MORTISE_STR("version"));
		mortise_json_add_string(w, entity->version);
	}
	if (entity->tags_count > 0) {
		mortise_json_add_key(w, MORTISE_STR("tags"));
		mortise_json_open_array(w);
		for (i = 0; i < entity->tags_count; i++)
			mortise_json_add_string(w, entity->tags[i]);
		mortise_json_close(w);
	}
	if (entity->labels_count > 0) {
		mortise_json_add_key(w, MORTISE_STR("labels"));
		mortise_json_open_object(w);
		for (i = 0; i < entity->labels_count; i++) {
			mortise_json_add_key(w, entity->labels[i].key);
			mortise_json_add_string(w, entity->labels[i].value);
		}
		mortise_json_close(w);
	}
	if (entity->annotations_count > 0) {
		mortise_json_add_key(w, MORTISE_STR("annotations"));
		mortise_json_open_object(w);
		for (i = 0; i < entity->annotations_count; i++) {
			mortise_json_add_key(w, entity->annotations[i].key);
			mortise_json_add_string(w, entity->annotations[i].value);
		}
		mortise_json_close(w);
	}
	if (entity->metadata.data) {
		mortise_json_add_key(w, MORTISE_STR("metadata"));
		mortise_json_add_raw(w, entity->metadata);
	}
	if (entity->homepage.data) {
		mortise_json_add_key(w, MORTISE_STR("homepage"));
		mortise_json_add_string(w, entity->homepage);
	}
	if (entity->repository_url.data) {
		mortise_json_add_key(w, MORTISE_STR("repository_url"));
		mortise_json_add_string(w, entity->repository_url);
	}
	if (entity->documentation_url.data) {
		mortise_json_add_key(w, MORTISE_STR("documentation_url"));
		mortise_json_add_string(w, entity->documentation_url);
	}
	if (entity->team.data) {
		mortise_json_add_key(w, MORTISE_STR("team"));
		mortise_json_add_string(w, entity->team);
	}
	if (entity->team_display_name.data) {
		mortise_json_add_key(w, MORTISE_STR("team_display_name"));
		mortise_json_add_string(w, entity->team_display_name);
	}
	mortise_json_close(w);
}

/* An entity that was left out. */
struct mortise_catalog_conflict {
	/* of the entity */
	struct mortise_str key;
	/* of the entity */
	struct mortise_str name;
	/* name_taken (by another provider), team_unknown (no such team and no permission to
	 * create it), duplicate (twice in this call), invalid */
	struct mortise_str reason;
	/* where escaped texts are decoded */
	char scratch[3228];
};

static inline int32_t mortise_catalog_read_conflict(
	const struct mortise_json *object, struct mortise_catalog_conflict *out)
{
	struct mortise_json_each each = mortise_json_each(object);
	uint64_t used = 0;
	int32_t rc = 0;

	memset(out, 0, sizeof(*out));
	if (object->type != MORTISE_JSON_OBJECT)
		return MORTISE_E_FORMAT;
	while (rc == 0 && mortise_json_next(&each)) {
		if (each.value.type == MORTISE_JSON_NULL)
			continue;
		else if (mortise_json_is(&each.key, "key"))
			rc = mortise_extension_string(&each.value, out->scratch,
				sizeof(out->scratch), &used, &out->key);
		else if (mortise_json_is(&each.key, "name"))
			rc = mortise_extension_string(&each.value, out->scratch,
				sizeof(out->scratch), &used, &out->name);
		else if (mortise_json_is(&each.key, "reason"))
			rc = mortise_extension_string(&each.value, out->scratch,
				sizeof(out->scratch), &used, &out->reason);
	}
	return rc;
}

/* 1 and the next of a list, 0 behind the last, or a negative code: FORMAT. */
static inline int32_t mortise_catalog_next_conflict(
	struct mortise_json_each *list, struct mortise_catalog_conflict *out)
{
	int32_t rc;

	if (!mortise_json_next(list))
		return 0;
	rc = mortise_catalog_read_conflict(&list->value, out);
	return rc < 0 ? rc : 1;
}

struct mortise_catalog_apply_params {
	/* what to write (required) */
	const struct mortise_catalog_entity *entities;
	uint32_t entities_count;
	/* the full import it belongs to */
	int64_t sync;
};

/* Create or update services. An entity that cannot be written is reported and leaves the others
 * alone. A team that does not exist is created where the plugin has the permission
 * catalog.teams too, else the entity is a conflict. Needs the permission catalog.write, and of
 * the subject the scope catalog.write. Mutating: repeat it safely with the same operation key.
 * CONFLICT: sync is not the running import of this plugin.
 */
static inline int32_t mortise_catalog_apply(const struct mortise_call_setup *setup,
	const struct mortise_catalog_apply_params *params, mortise_id *operation)
{
	struct mortise_json_writer writer, *w = &writer;
	uint32_t i;

	mortise_json_writer_init(w);
	mortise_json_open_object(w);
	mortise_json_add_key(w, MORTISE_STR("entities"));
	mortise_json_open_array(w);
	for (i = 0; i < params->entities_count; i++)
		mortise_catalog_write_entity(w, &params->entities[i]);
	mortise_json_close(w);
	if (params->sync != 0) {
		mortise_json_add_key(w, MORTISE_STR("sync"));
		mortise_json_add_int64(w, params->sync);
	}
	mortise_json_close(w);
	return mortise_extension_call(setup, MORTISE_STR("catalog/1"),
		MORTISE_STR("apply"), w, mortise_str_of(NULL, 0), operation);
}

struct mortise_catalog_apply_result {
	/* services that are new */
	uint32_t created;
	/* services that differed */
	uint32_t updated;
	/* services that were so already */
	uint32_t unchanged;
	/* teams that are new */
	uint32_t teams_created;
	/* what was left out */
	struct mortise_json_each conflicts;
};

static inline int32_t mortise_catalog_apply_read_object(
	const struct mortise_json *object, struct mortise_catalog_apply_result *out)
{
	struct mortise_json_each each = mortise_json_each(object);
	int32_t rc = 0;

	memset(out, 0, sizeof(*out));
	if (object->type != MORTISE_JSON_OBJECT)
		return MORTISE_E_FORMAT;
	while (rc == 0 && mortise_json_next(&each)) {
		if (each.value.type == MORTISE_JSON_NULL)
			continue;
		else if (mortise_json_is(&each.key, "created"))
			rc = mortise_json_uint32(&each.value, &out->created);
		else if (mortise_json_is(&each.key, "updated"))
			rc = mortise_json_uint32(&each.value, &out->updated);
		else if (mortise_json_is(&each.key, "unchanged"))
			rc = mortise_json_uint32(&each.value, &out->unchanged);
		else if (mortise_json_is(&each.key, "teams_created"))
			rc = mortise_json_uint32(&each.value, &out->teams_created);
		else if (mortise_json_is(&each.key, "conflicts"))
			out->conflicts = mortise_json_each(&each.value);
	}
	return rc;
}

/* Read the result of apply in done, when rc is 0. FORMAT: it is none. */
static inline int32_t mortise_catalog_apply_read(
	const struct mortise_call_result_1 *result, struct mortise_catalog_apply_result *out)
{
	struct mortise_json object;
	int32_t rc = mortise_extension_result(result, &object);

	return rc < 0 ? rc : mortise_catalog_apply_read_object(&object, out);
}

/* A relationship from one service of this plugin to another, or to any visible service. */
struct mortise_catalog_edge {
	/* key of a service of this plugin (required; at most 512 characters) */
	struct mortise_str source;
	/* key of a service of this plugin (at most 512 characters) */
	struct mortise_str target;
	/* instead of target: name of any service that is visible (at most 255 characters) */
	struct mortise_str target_name;
	/* default: depends_on (depends_on, consumed_by, provides_api, consumes_api,
	 * deployed_with, owned_by, part_of) */
	struct mortise_str type;
	/* an object, kept as it is */
	struct mortise_str metadata;
};

static inline void mortise_catalog_write_edge(
	struct mortise_json_writer *w, const struct mortise_catalog_edge *edge)
{
	mortise_json_open_object(w);
	mortise_json_add_key(w, MORTISE_STR("source"));
	mortise_json_add_string(w, edge->source);
	if (edge->target.data) {
		mortise_json_add_key(w, MORTISE_STR("target"));
		mortise_json_add_string(w, edge->target);
	}
	if (edge->target_name.data) {
		mortise_json_add_key(w, MORTISE_STR("target_name"));
		mortise_json_add_string(w, edge->target_name);
	}
	if (edge->type.data) {
		mortise_json_add_key(w, MORTISE_STR("type"));
		mortise_json_add_string(w, edge->type);
	}
	if (edge->metadata.data) {
		mortise_json_add_key(w, MORTISE_STR("metadata"));
		mortise_json_add_raw(w, edge->metadata);
	}
	mortise_json_close(w);
}

struct mortise_catalog_relate_params {
	/* what to write (required) */
	const struct mortise_catalog_edge *edges;
	uint32_t edges_count;
	/* the full import it belongs to */
	int64_t sync;
};

/* Create or update relationships. One whose end does not exist is counted and left out. Needs
 * the permission catalog.write, and of the subject the scope catalog.write. Mutating: repeat it
 * safely with the same operation key. CONFLICT: sync is not the running import of this plugin.
 */
static inline int32_t mortise_catalog_relate(const struct mortise_call_setup *setup,
	const struct mortise_catalog_relate_params *params, mortise_id *operation)
{
	struct mortise_json_writer writer, *w = &writer;
	uint32_t i;

	mortise_json_writer_init(w);
	mortise_json_open_object(w);
	mortise_json_add_key(w, MORTISE_STR("edges"));
	mortise_json_open_array(w);
	for (i = 0; i < params->edges_count; i++)
		mortise_catalog_write_edge(w, &params->edges[i]);
	mortise_json_close(w);
	if (params->sync != 0) {
		mortise_json_add_key(w, MORTISE_STR("sync"));
		mortise_json_add_int64(w, params->sync);
	}
	mortise_json_close(w);
	return mortise_extension_call(setup, MORTISE_STR("catalog/1"),
		MORTISE_STR("relate"), w, mortise_str_of(NULL, 0), operation);
}

struct mortise_catalog_relate_result {
	/* relationships that are new */
	uint32_t created;
	/* relationships that differed */
	uint32_t updated;
	/* relationships that were so already */
	uint32_t unchanged;
	/* left out: written by another provider */
	uint32_t conflicts;
	/* left out: source or target does not exist */
	uint32_t missing;
	/* some of the ends that do not exist */
	struct mortise_json missing_sample;
};

static inline int32_t mortise_catalog_relate_read_object(
	const struct mortise_json *object, struct mortise_catalog_relate_result *out)
{
	struct mortise_json_each each = mortise_json_each(object);
	int32_t rc = 0;

	memset(out, 0, sizeof(*out));
	if (object->type != MORTISE_JSON_OBJECT)
		return MORTISE_E_FORMAT;
	while (rc == 0 && mortise_json_next(&each)) {
		if (mortise_json_is(&each.key, "missing_sample"))
			out->missing_sample = each.value;
		else if (each.value.type == MORTISE_JSON_NULL)
			continue;
		else if (mortise_json_is(&each.key, "created"))
			rc = mortise_json_uint32(&each.value, &out->created);
		else if (mortise_json_is(&each.key, "updated"))
			rc = mortise_json_uint32(&each.value, &out->updated);
		else if (mortise_json_is(&each.key, "unchanged"))
			rc = mortise_json_uint32(&each.value, &out->unchanged);
		else if (mortise_json_is(&each.key, "conflicts"))
			rc = mortise_json_uint32(&each.value, &out->conflicts);
		else if (mortise_json_is(&each.key, "missing"))
			rc = mortise_json_uint32(&each.value, &out->missing);
	}
	return rc;
}

/* Read the result of relate in done, when rc is 0. FORMAT: it is none. */
static inline int32_t mortise_catalog_relate_read(
	const struct mortise_call_result_1 *result, struct mortise_catalog_relate_result *out)
{
	struct mortise_json object;
	int32_t rc = mortise_extension_result(result, &object);

	return rc < 0 ? rc : mortise_catalog_relate_read_object(&object, out);
}

/* Begin a full import. One that still runs is abandoned. Needs the permission catalog.write,
 * and of the subject the scope catalog.write. Mutating: repeat it safely with the same
 * operation key.
 */
static inline int32_t mortise_catalog_sync_begin(const struct mortise_call_setup *setup,
	mortise_id *operation)
{
	struct mortise_json_writer writer, *w = &writer;

	mortise_json_writer_init(w);
	mortise_json_open_object(w);
	mortise_json_close(w);
	return mortise_extension_call(setup, MORTISE_STR("catalog/1"),
		MORTISE_STR("sync.begin"), w, mortise_str_of(NULL, 0), operation);
}

struct mortise_catalog_sync_begin_result {
	/* its number */
	int64_t sync;
};

static inline int32_t mortise_catalog_sync_begin_read_object(
	const struct mortise_json *object, struct mortise_catalog_sync_begin_result *out)
{
	struct mortise_json_each each = mortise_json_each(object);
	int32_t rc = 0;

	memset(out, 0, sizeof(*out));
	if (object->type != MORTISE_JSON_OBJECT)
		return MORTISE_E_FORMAT;
	while (rc == 0 && mortise_json_next(&each)) {
		if (each.value.type == MORTISE_JSON_NULL)
			continue;
		else if (mortise_json_is(&each.key, "sync"))
			rc = mortise_json_int64(&each.value, &out->sync);
	}
	return rc;
}

/* Read the result of sync.begin in done, when rc is 0. FORMAT: it is none. */
static inline int32_t mortise_catalog_sync_begin_read(
	const struct mortise_call_result_1 *result, struct mortise_catalog_sync_begin_result *out)
{
	struct mortise_json object;
	int32_t rc = mortise_extension_result(result, &object);

	return rc < 0 ? rc : mortise_catalog_sync_begin_read_object(&object, out);
}

struct mortise_catalog_sync_finish_params {
	/* its number (required) */
	int64_t sync;
};

/* End a full import and remove what it did not mention. Needs the permission catalog.write, and
 * of the subject the scope catalog.write. Mutating: repeat it safely with the same operation
 * key. CONFLICT: sync is not the running import of this plugin, or lost what it had seen: begin
 * anew.
 */
static inline int32_t mortise_catalog_sync_finish(const struct mortise_call_setup *setup,
	const struct mortise_catalog_sync_finish_params *params, mortise_id *operation)
{
	struct mortise_json_writer writer, *w = &writer;

	mortise_json_writer_init(w);
	mortise_json_open_object(w);
	mortise_json_add_key(w, MORTISE_STR("sync"));
	mortise_json_add_int64(w, params->sync);
	mortise_json_close(w);
	return mortise_extension_call(setup, MORTISE_STR("catalog/1"),
		MORTISE_STR("sync.finish"), w, mortise_str_of(NULL, 0), operation);
}

struct mortise_catalog_sync_finish_result {
	/* services of this plugin that are gone */
	uint32_t services_removed;
	/* relationships of this plugin that are gone */
	uint32_t relationships_removed;
};

static inline int32_t mortise_catalog_sync_finish_read_object(
	const struct mortise_json *object, struct mortise_catalog_sync_finish_result *out)
{
	struct mortise_json_each each = mortise_json_each(object);
	int32_t rc = 0;

	memset(out, 0, sizeof(*out));
	if (object->type != MORTISE_JSON_OBJECT)
		return MORTISE_E_FORMAT;
	while (rc == 0 && mortise_json_next(&each)) {
		if (each.value.type == MORTISE_JSON_NULL)
			continue;
		else if (mortise_json_is(&each.key, "services_removed"))
			rc = mortise_json_uint32(&each.value, &out->services_removed);
		else if (mortise_json_is(&each.key, "relationships_removed"))
			rc = mortise_json_uint32(&each.value, &out->relationships_removed);
	}
	return rc;
}

/* Read the result of sync.finish in done, when rc is 0. FORMAT: it is none. */
static inline int32_t mortise_catalog_sync_finish_read(
	const struct mortise_call_result_1 *result, struct mortise_catalog_sync_finish_result *out)
{
	struct mortise_json object;
	int32_t rc = mortise_extension_result(result, &object);

	return rc < 0 ? rc : mortise_catalog_sync_finish_read_object(&object, out);
}

/* A service as a reader sees it. */
struct mortise_catalog_service {
	/* the catalog's own id */
	struct mortise_str id;
	/* unique among all services */
	struct mortise_str name;
	/* for people */
	struct mortise_str display_name;
	/* plain text */
	struct mortise_json description;
	/* as in entity */
	struct mortise_str type;
	/* as in entity */
	struct mortise_str lifecycle;
	/* healthy, degraded, unhealthy or unknown */
	struct mortise_str health_status;
	/* as its provider says */
	struct mortise_str version;
	/* name of the owning team; empty: none */
	struct mortise_str team;
	/* who wrote it; empty: a person */
	struct mortise_str provider;
	/* its provider's key; empty: none */
	struct mortise_str key;
	/* URL */
	struct mortise_str homepage;
	/* URL */
	struct mortise_str repository_url;
	/* URL */
	struct mortise_str documentation_url;
	/* words to find it by */
	struct mortise_json tags;
	/* facts for programs */
	struct mortise_json labels;
	/* RFC 3339, UTC */
	struct mortise_str updated_at;
	/* where escaped texts are decoded */
	char scratch[12048];
};

static inline int32_t mortise_catalog_read_service(
	const struct mortise_json *object, struct mortise_catalog_service *out)
{
	struct mortise_json_each each = mortise_json_each(object);
	uint64_t used = 0;
	int32_t rc = 0;

	memset(out, 0, sizeof(*out));
	if (object->type != MORTISE_JSON_OBJECT)
		return MORTISE_E_FORMAT;
	while (rc == 0 && mortise_json_next(&each)) {
		if (mortise_json_is(&each.key, "description"))
			out->description = each.value;
		else if (mortise_json_is(&each.key, "tags"))
			out->tags = each.value;
		else if (mortise_json_is(&each.key, "labels"))
			out->labels = each.value;
		else if (each.value.type == MORTISE_JSON_NULL)
			continue;
		else if (mortise_json_is(&each.key, "id"))
			rc = mortise_extension_string(&each.value, out->scratch,
				sizeof(out->scratch), &used, &out->id);
		else if (mortise_json_is(&each.key, "name"))
			rc = mortise_extension_string(&each.value, out->scratch,
				sizeof(out->scratch), &used, &out->name);
		else if (mortise_json_is(&each.key, "display_name"))
			rc = mortise_extension_string(&each.value, out->scratch,
				sizeof(out->scratch), &used, &out->display_name);
		else if (mortise_json_is(&each.key, "type"))
			rc = mortise_extension_string(&each.value, out->scratch,
				sizeof(out->scratch), &used, &out->type);
		else if (mortise_json_is(&each.key, "lifecycle"))
			rc = mortise_extension_string(&each.value, out->scratch,
				sizeof(out->scratch), &used, &out->lifecycle);
		else if (mortise_json_is(&each.key, "health_status"))
			rc = mortise_extension_string(&each.value, out->scratch,
				sizeof(out->scratch), &used, &out->health_status);
		else if (mortise_json_is(&each.key, "version"))
			rc = mortise_extension_string(&each.value, out->scratch,
				sizeof(out->scratch), &used, &out->version);
		else if (mortise_json_is(&each.key, "team"))
			rc = mortise_extension_string(&each.value, out->scratch,
				sizeof(out->scratch), &used, &out->team);
		else if (mortise_json_is(&each.key, "provider"))
			rc = mortise_extension_string(&each.value, out->scratch,
				sizeof(out->scratch), &used, &out->provider);
		else if (mortise_json_is(&each.key, "key"))
			rc = mortise_extension_string(&each.value, out->scratch,
				sizeof(out->scratch), &used, &out->key);
		else if (mortise_json_is(&each.key, "homepage"))
			rc = mortise_extension_string(&each.value, out->scratch,
				sizeof(out->scratch), &used, &out->homepage);
		else if (mortise_json_is(&each.key, "repository_url"))
			rc = mortise_extension_string(&each.value, out->scratch,
				sizeof(out->scratch), &used, &out->repository_url);
		else if (mortise_json_is(&each.key, "documentation_url"))
			rc = mortise_extension_string(&each.value, out->scratch,
				sizeof(out->scratch), &used, &out->documentation_url);
		else if (mortise_json_is(&each.key, "updated_at"))
			rc = mortise_extension_string(&each.value, out->scratch,
				sizeof(out->scratch), &used, &out->updated_at);
	}
	return rc;
}

/* 1 and the next of a list, 0 behind the last, or a negative code: FORMAT. */
static inline int32_t mortise_catalog_next_service(
	struct mortise_json_each *list, struct mortise_catalog_service *out)
{
	int32_t rc;

	if (!mortise_json_next(list))
		return 0;
	rc = mortise_catalog_read_service(&list->value, out);
	return rc < 0 ? rc : 1;
}

struct mortise_catalog_get_params {
	/* of the service (required; at most 255 characters) */
	struct mortise_str name;
};

/* One service. Needs the permission catalog.read, and of the subject the scope catalog.read.
 * NOT_FOUND: no such service, or none that the caller may see.
 */
static inline int32_t mortise_catalog_get(const struct mortise_call_setup *setup,
	const struct mortise_catalog_get_params *params, mortise_id *operation)
{
	struct mortise_json_writer writer, *w = &writer;

	mortise_json_writer_init(w);
	mortise_json_open_object(w);
	mortise_json_add_key(w, MORTISE_STR("name"));
	mortise_json_add_string(w, params->name);
	mortise_json_close(w);
	return mortise_extension_call(setup, MORTISE_STR("catalog/1"),
		MORTISE_STR("get"), w, mortise_str_of(NULL, 0), operation);
}

struct mortise_catalog_get_result {
	/* the service */
	struct mortise_catalog_service service;
};

static inline int32_t mortise_catalog_get_read_object(
	const struct mortise_json *object, struct mortise_catalog_get_result *out)
{
	struct mortise_json_each each = mortise_json_each(object);
	int32_t rc = 0;

	memset(out, 0, sizeof(*out));
	if (object->type != MORTISE_JSON_OBJECT)
		return MORTISE_E_FORMAT;
	while (rc == 0 && mortise_json_next(&each)) {
		if (each.value.type == MORTISE_JSON_NULL)
			continue;
		else if (mortise_json_is(&each.key, "service"))
			rc = mortise_catalog_read_service(&each.value, &out->service);
	}
	return rc;
}

/* Read the result of get in done, when rc is 0. FORMAT: it is none. */
static inline int32_t mortise_catalog_get_read(
	const struct mortise_call_result_1 *result, struct mortise_catalog_get_result *out)
{
	struct mortise_json object;
	int32_t rc = mortise_extension_result(result, &object);

	return rc < 0 ? rc : mortise_catalog_get_read_object(&object, out);
}

struct mortise_catalog_list_params {
	/* only this type (service, website, library, application, tool, infrastructure) */
	struct mortise_str type;
	/* only this stage (experimental, development, staging, production, deprecated) */
	struct mortise_str lifecycle;
	/* only those of the team of this name (at most 100 characters) */
	struct mortise_str team;
	/* only those with this tag (at most 100 characters) */
	struct mortise_str tag;
	/* of one page; default 50 */
	uint32_t limit;
	/* next of the page before (at most 1024 characters) */
	struct mortise_str cursor;
};

/* Services in order of their names, page by page; those for which all given filters hold. Needs
 * the permission catalog.read, and of the subject the scope catalog.read. INVALID: the cursor
 * is none.
 */
static inline int32_t mortise_catalog_list(const struct mortise_call_setup *setup,
	const struct mortise_catalog_list_params *params, mortise_id *operation)
{
	struct mortise_json_writer writer, *w = &writer;

	mortise_json_writer_init(w);
	mortise_json_open_object(w);
	if (params->type.data) {
		mortise_json_add_key(w, MORTISE_STR("type"));
		mortise_json_add_string(w, params->type);
	}
	if (params->lifecycle.data) {
		mortise_json_add_key(w, MORTISE_STR("lifecycle"));
		mortise_json_add_string(w, params->lifecycle);
	}
	if (params->team.data) {
		mortise_json_add_key(w, MORTISE_STR("team"));
		mortise_json_add_string(w, params->team);
	}
	if (params->tag.data) {
		mortise_json_add_key(w, MORTISE_STR("tag"));
		mortise_json_add_string(w, params->tag);
	}
	if (params->limit != 0) {
		mortise_json_add_key(w, MORTISE_STR("limit"));
		mortise_json_add_integer(w, params->limit);
	}
	if (params->cursor.data) {
		mortise_json_add_key(w, MORTISE_STR("cursor"));
		mortise_json_add_string(w, params->cursor);
	}
	mortise_json_close(w);
	return mortise_extension_call(setup, MORTISE_STR("catalog/1"),
		MORTISE_STR("list"), w, mortise_str_of(NULL, 0), operation);
}

struct mortise_catalog_list_result {
	/* the page */
	struct mortise_json_each items;
	/* cursor of the next page; empty: this was the last */
	struct mortise_str next;
	/* where escaped texts are decoded */
	char scratch[4096];
};

static inline int32_t mortise_catalog_list_read_object(
	const struct mortise_json *object, struct mortise_catalog_list_result *out)
{
	struct mortise_json_each each = mortise_json_each(object);
	uint64_t used = 0;
	int32_t rc = 0;

	memset(out, 0, sizeof(*out));
	if (object->type != MORTISE_JSON_OBJECT)
		return MORTISE_E_FORMAT;
	while (rc == 0 && mortise_json_next(&each)) {
		if (each.value.type == MORTISE_JSON_NULL)
			continue;
		else if (mortise_json_is(&each.key, "items"))
			out->items = mortise_json_each(&each.value);
		else if (mortise_json_is(&each.key, "next"))
			rc = mortise_extension_string(&each.value, out->scratch,
				sizeof(out->scratch), &used, &out->next);
	}
	return rc;
}

/* Read the result of list in done, when rc is 0. FORMAT: it is none. */
static inline int32_t mortise_catalog_list_read(
	const struct mortise_call_result_1 *result, struct mortise_catalog_list_result *out)
{
	struct mortise_json object;
	int32_t rc = mortise_extension_result(result, &object);

	return rc < 0 ? rc : mortise_catalog_list_read_object(&object, out);
}

/* A service that another one needs, directly or through others. */
struct mortise_catalog_dependency {
	/* the catalog's own id */
	struct mortise_str id;
	/* unique among all services */
	struct mortise_str name;
	/* 1: needed directly; the shortest way counts */
	uint32_t depth;
	/* id of the service through which it was found first */
	struct mortise_str via;
	/* where escaped texts are decoded */
	char scratch[1260];
};

static inline int32_t mortise_catalog_read_dependency(
	const struct mortise_json *object, struct mortise_catalog_dependency *out)
{
	struct mortise_json_each each = mortise_json_each(object);
	uint64_t used = 0;
	int32_t rc = 0;

	memset(out, 0, sizeof(*out));
	if (object->type != MORTISE_JSON_OBJECT)
		return MORTISE_E_FORMAT;
	while (rc == 0 && mortise_json_next(&each)) {
		if (each.value.type == MORTISE_JSON_NULL)
			continue;
		else if (mortise_json_is(&each.key, "id"))
			rc = mortise_extension_string(&each.value, out->scratch,
				sizeof(out->scratch), &used, &out->id);
		else if (mortise_json_is(&each.key, "name"))
			rc = mortise_extension_string(&each.value, out->scratch,
				sizeof(out->scratch), &used, &out->name);
		else if (mortise_json_is(&each.key, "depth"))
			rc = mortise_json_uint32(&each.value, &out->depth);
		else if (mortise_json_is(&each.key, "via"))
			rc = mortise_extension_string(&each.value, out->scratch,
				sizeof(out->scratch), &used, &out->via);
	}
	return rc;
}

/* 1 and the next of a list, 0 behind the last, or a negative code: FORMAT. */
static inline int32_t mortise_catalog_next_dependency(
	struct mortise_json_each *list, struct mortise_catalog_dependency *out)
{
	int32_t rc;

	if (!mortise_json_next(list))
		return 0;
	rc = mortise_catalog_read_dependency(&list->value, out);
	return rc < 0 ? rc : 1;
}

struct mortise_catalog_dependencies_params {
	/* of the service (required; at most 255 characters) */
	struct mortise_str name;
	/* how far; default 1 */
	uint32_t depth;
	/* instead: what needs it */
	uint32_t reverse;
	/* of one page; default 50 */
	uint32_t limit;
	/* next of the page before (at most 1024 characters) */
	struct mortise_str cursor;
};

/* What a service needs, directly and through others, nearest first, page by page. Needs the
 * permission catalog.read, and of the subject the scope catalog.read. NOT_FOUND: no such
 * service, or none that the caller may see. INVALID: the cursor is none.
 */
static inline int32_t mortise_catalog_dependencies(const struct mortise_call_setup *setup,
	const struct mortise_catalog_dependencies_params *params, mortise_id *operation)
{
	struct mortise_json_writer writer, *w = &writer;

	mortise_json_writer_init(w);
	mortise_json_open_object(w);
	mortise_json_add_key(w, MORTISE_STR("name"));
	mortise_json_add_string(w, params->name);
	if (params->depth != 0) {
		mortise_json_add_key(w, MORTISE_STR("depth"));
		mortise_json_add_integer(w, params->depth);
	}
	if (params->reverse) {
		mortise_json_add_key(w, MORTISE_STR("reverse"));
		mortise_json_add_boolean(w, params->reverse);
	}
	if (params->limit != 0) {
		mortise_json_add_key(w, MORTISE_STR("limit"));
		mortise_json_add_integer(w, params->limit);
	}
	if (params->cursor.data) {
		mortise_json_add_key(w, MORTISE_STR("cursor"));
		mortise_json_add_string(w, params->cursor);
	}
	mortise_json_close(w);
	return mortise_extension_call(setup, MORTISE_STR("catalog/1"),
		MORTISE_STR("dependencies"), w, mortise_str_of(NULL, 0), operation);
}

struct mortise_catalog_dependencies_result {
	/* the page */
	struct mortise_json_each items;
	/* cursor of the next page; empty: this was the last */
	struct mortise_str next;
	/* where escaped texts are decoded */
	char scratch[4096];
};

static inline int32_t mortise_catalog_dependencies_read_object(
	const struct mortise_json *object, struct mortise_catalog_dependencies_result *out)
{
	struct mortise_json_each each = mortise_json_each(object);
	uint64_t used = 0;
	int32_t rc = 0;

	memset(out, 0, sizeof(*out));
	if (object->type != MORTISE_JSON_OBJECT)
		return MORTISE_E_FORMAT;
	while (rc == 0 && mortise_json_next(&each)) {
		if (each.value.type == MORTISE_JSON_NULL)
			continue;
		else if (mortise_json_is(&each.key, "items"))
			out->items = mortise_json_each(&each.value);
		else if (mortise_json_is(&each.key, "next"))
			rc = mortise_extension_string(&each.value, out->scratch,
				sizeof(out->scratch), &used, &out->next);
	}
	return rc;
}

/* Read the result of dependencies in done, when rc is 0. FORMAT: it is none. */
static inline int32_t mortise_catalog_dependencies_read(
	const struct mortise_call_result_1 *result, struct mortise_catalog_dependencies_result *out)
{
	struct mortise_json object;
	int32_t rc = mortise_extension_result(result, &object);

	return rc < 0 ? rc : mortise_catalog_dependencies_read_object(&object, out);
}

#endif

#ifdef __cplusplus
}
#endif

#endif
