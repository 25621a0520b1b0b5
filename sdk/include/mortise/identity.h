/* clang-format off */
/* identity.h - identity/1: who asks, and what may they do
 *
 * The subject of a call is the user whose request or call it names as its cause; of a call
 * without cause it is the plugin's own service account.
 *
 * Written by sdk/extensions/generate from identity.1.json; change that. extension.h says how to
 * call and read.
 */
#ifndef MORTISE_IDENTITY_H
#define MORTISE_IDENTITY_H

#include "extension.h"

#ifdef __cplusplus
extern "C" {
#endif

#if MORTISE_ABI >= 0x0100

#define MORTISE_IDENTITY_1 "identity/1"

/* The subject of this call. Needs the permission identity.read.
 */
static inline int32_t mortise_identity_whoami(const struct mortise_call_setup *setup,
	mortise_id *operation)
{
	struct mortise_json_writer writer, *w = &writer;

	mortise_json_writer_init(w);
	mortise_json_open_object(w);
	mortise_json_close(w);
	return mortise_extension_call(setup, MORTISE_STR("identity/1"),
		MORTISE_STR("whoami"), w, mortise_str_of(NULL, 0), operation);
}

struct mortise_identity_whoami_result {
	/* of the user */
	struct mortise_str id;
	/* for people */
	struct mortise_str name;
	/* empty: none */
	struct mortise_str username;
	/* who vouches for the account: local, github, ...; system, team and plugin for accounts
	 * of no person */
	struct mortise_str provider;
	/* ADMIN, PLATFORM_ENGINEER, DEVELOPER or VIEWER */
	struct mortise_str role;
	/* of the key or session that asks; * is all */
	struct mortise_json scopes;
	/* where escaped texts are decoded */
	char scratch[1900];
};

static inline int32_t mortise_identity_whoami_read_object(
	const struct mortise_json *object, struct mortise_identity_whoami_result *out)
{
	struct mortise_json_each each = mortise_json_each(object);
	uint64_t used = 0;
	int32_t rc = 0;

	memset(out, 0, sizeof(*out));
	if (object->type != MORTISE_JSON_OBJECT)
		return MORTISE_E_FORMAT;
	while (rc == 0 && mortise_json_next(&each)) {
		if (mortise_json_is(&each.key, "scopes"))
			out->scopes = each.value;
		else if (each.value.type == MORTISE_JSON_NULL)
			continue;
		else if (mortise_json_is(&each.key, "id"))
			rc = mortise_extension_string(&each.value, out->scratch,
				sizeof(out->scratch), &used, &out->id);
		else if (mortise_json_is(&each.key, "name"))
			rc = mortise_extension_string(&each.value, out->scratch,
				sizeof(out->scratch), &used, &out->name);
		else if (mortise_json_is(&each.key, "username"))
			rc = mortise_extension_string(&each.value, out->scratch,
				sizeof(out->scratch), &used, &out->username);
		else if (mortise_json_is(&each.key, "provider"))
			rc = mortise_extension_string(&each.value, out->scratch,
				sizeof(out->scratch), &used, &out->provider);
		else if (mortise_json_is(&each.key, "role"))
			rc = mortise_extension_string(&each.value, out->scratch,
				sizeof(out->scratch), &used, &out->role);
	}
	return rc;
}

/* Read the result of whoami in done, when rc is 0. FORMAT: it is none. */
static inline int32_t mortise_identity_whoami_read(
	const struct mortise_call_result_1 *result, struct mortise_identity_whoami_result *out)
{
	struct mortise_json object;
	int32_t rc = mortise_extension_result(result, &object);

	return rc < 0 ? rc : mortise_identity_whoami_read_object(&object, out);
}

struct mortise_identity_can_params {
	/* a scope: area.verb (required; at most 100 characters) */
	struct mortise_str action;
	/* the object behind it, as in area.verb:object; absent: of any (at most 255 characters) */
	struct mortise_str resource;
};

/* May the subject do this? Answers for the subject alone, whatever the plugin itself may do.
 * Needs the permission identity.read. INVALID: action is not of the form area.verb.
 */
static inline int32_t mortise_identity_can(const struct mortise_call_setup *setup,
	const struct mortise_identity_can_params *params, mortise_id *operation)
{
	struct mortise_json_writer writer, *w = &writer;

	mortise_json_writer_init(w);
	mortise_json_open_object(w);
	mortise_json_add_key(w, MORTISE_STR("action"));
	mortise_json_add_string(w, params->action);
	if (params->resource.data) {
		mortise_json_add_key(w, MORTISE_STR("resource"));
		mortise_json_add_string(w, params->resource);
	}
	mortise_json_close(w);
	return mortise_extension_call(setup, MORTISE_STR("identity/1"),
		MORTISE_STR("can"), w, mortise_str_of(NULL, 0), operation);
}

struct mortise_identity_can_result {
	/* yes or no */
	uint32_t allowed;
};

static inline int32_t mortise_identity_can_read_object(
	const struct mortise_json *object, struct mortise_identity_can_result *out)
{
	struct mortise_json_each each = mortise_json_each(object);
	int32_t rc = 0;

	memset(out, 0, sizeof(*out));
	if (object->type != MORTISE_JSON_OBJECT)
		return MORTISE_E_FORMAT;
	while (rc == 0 && mortise_json_next(&each)) {
		if (each.value.type == MORTISE_JSON_NULL)
			continue;
		else if (mortise_json_is(&each.key, "allowed"))
			rc = mortise_json_boolean(&each.value, &out->allowed);
	}
	return rc;
}

/* Read the result of can in done, when rc is 0. FORMAT: it is none. */
static inline int32_t mortise_identity_can_read(
	const struct mortise_call_result_1 *result, struct mortise_identity_can_result *out)
{
	struct mortise_json object;
	int32_t rc = mortise_extension_result(result, &object);

	return rc < 0 ? rc : mortise_identity_can_read_object(&object, out);
}

/* A team of the subject. */
struct mortise_identity_membership {
	/* of the team */
	struct mortise_str id;
	/* of the team */
	struct mortise_str name;
	/* for people */
	struct mortise_str display_name;
	/* OWNER, MAINTAINER or MEMBER */
	struct mortise_str role;
	/* where escaped texts are decoded */
	char scratch[1700];
};

static inline int32_t mortise_identity_read_membership(
	const struct mortise_json *object, struct mortise_identity_membership *out)
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
		else if (mortise_json_is(&each.key, "display_name"))
			rc = mortise_extension_string(&each.value, out->scratch,
				sizeof(out->scratch), &used, &out->display_name);
		else if (mortise_json_is(&each.key, "role"))
			rc = mortise_extension_string(&each.value, out->scratch,
				sizeof(out->scratch), &used, &out->role);
	}
	return rc;
}

/* 1 and the next of a list, 0 behind the last, or a negative code: FORMAT. */
static inline int32_t mortise_identity_next_membership(
	struct mortise_json_each *list, struct mortise_identity_membership *out)
{
	int32_t rc;

	if (!mortise_json_next(list))
		return 0;
	rc = mortise_identity_read_membership(&list->value, out);
	return rc < 0 ? rc : 1;
}

struct mortise_identity_teams_params {
	/* of one page; default 50 */
	uint32_t limit;
	/* next of the page before (at most 1024 characters) */
	struct mortise_str cursor;
};

/* The teams of the subject, in order of their names, page by page. Needs the permission
 * identity.read. INVALID: the cursor is none.
 */
static inline int32_t mortise_identity_teams(const struct mortise_call_setup *setup,
	const struct mortise_identity_teams_params *params, mortise_id *operation)
{
	struct mortise_json_writer writer, *w = &writer;

	mortise_json_writer_init(w);
	mortise_json_open_object(w);
	if (params->limit != 0) {
		mortise_json_add_key(w, MORTISE_STR("limit"));
		mortise_json_add_integer(w, params->limit);
	}
	if (params->cursor.data) {
		mortise_json_add_key(w, MORTISE_STR("cursor"));
		mortise_json_add_string(w, params->cursor);
	}
	mortise_json_close(w);
	return mortise_extension_call(setup, MORTISE_STR("identity/1"),
		MORTISE_STR("teams"), w, mortise_str_of(NULL, 0), operation);
}

struct mortise_identity_teams_result {
	/* the page */
	struct mortise_json_each items;
	/* cursor of the next page; empty: this was the last */
	struct mortise_str next;
	/* where escaped texts are decoded */
	char scratch[4096];
};

static inline int32_t mortise_identity_teams_read_object(
	const struct mortise_json *object, struct mortise_identity_teams_result *out)
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

/* Read the result of teams in done, when rc is 0. FORMAT: it is none. */
static inline int32_t mortise_identity_teams_read(
	const struct mortise_call_result_1 *result, struct mortise_identity_teams_result *out)
{
	struct mortise_json object;
	int32_t rc = mortise_extension_result(result, &object);

	return rc < 0 ? rc : mortise_identity_teams_read_object(&object, out);
}

#endif

#ifdef __cplusplus
}
#endif

#endif
