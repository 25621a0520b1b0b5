/* mortise trust ... - whose packages may be installed: on the host, or in a folder with --trust */
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "codec/json.h"
#include "codec/sign.h"
#include "package/key.h"
#include "package/trust.h"

#define DAY_US   INT64_C(86400000000)
#define DAYS_MAX 36500

/* A key under construction; the strings are borrowed from the command line. */
struct added {
	struct trust_key key;
	char *namespaces[TRUST_NAMESPACES_MAX];
	char *namespace_list; /* cut in place */
};

static int read_namespaces(struct added *a, const char *list, struct error *err)
{
	char *rest, *one;

	a->namespace_list = mem_strdup(list);
	for (one = strtok_r(a->namespace_list, ",", &rest); one; one = strtok_r(NULL, ",", &rest)) {
		if (!trust_namespace_valid(span_of(one)))
			return error_set(err, ERR_USAGE,
				"'%s' is no namespace: it is PUBLISHER, PUBLISHER/PLUGIN or '*'",
				one);
		if (a->key.namespace_count == TRUST_NAMESPACES_MAX)
			return error_set(
				err, ERR_USAGE, "more than %d namespaces", TRUST_NAMESPACES_MAX);
		a->namespaces[a->key.namespace_count++] = one;
	}
	a->key.namespaces = a->namespaces;
	return 0;
}

static int describe_key(struct cli *cli, struct added *a, struct error *err)
{
	const char *namespaces = cli_value(cli, "namespace"), *name = cli_value(cli, "name");
	uint64_t days = 0;
	int rc;

	if (!namespaces) {
		(void)error_set(err, ERR_USAGE, "say what the key may sign: --namespace LIST");
		return error_fix(err, "--namespace PUBLISHER, or '*' for everything");
	}
	rc = key_load_public(a->key.public_key, cli->arguments[0], err);
	if (rc == 0)
		rc = read_namespaces(a, namespaces, err);
	if (rc == 0)
		rc = cli_number(cli, "days", DAYS_MAX, &days, err);
	if (rc < 0)
		return rc;
	sign_key_id(a->key.public_key, a->key.id);
	a->key.name = (char *)(name ? name : namespaces);
	a->key.reason = (char *)"";
	a->key.development = cli_value(cli, "development") != NULL;
	if (days)
		a->key.expires_us = clock_real_us() + (int64_t)days * DAY_US;
	return 0;
}

/* A key as the host's API has it (state and reason are the host's to say). */
static json_t *key_json(const struct trust_key *key)
{
	char public_key[2 * SIGN_PUBLIC_SIZE + 1], expires[CLOCK_TEXT_SIZE];
	json_t *namespaces = json_array(), *roles = json_array();

	hex_encode(key->public_key, SIGN_PUBLIC_SIZE, public_key);
	if (key->expires_us)
		clock_text(key->expires_us, expires);
	for (size_t i = 0; i < key->namespace_count; i++)
		json_array_append_new(namespaces, json_string(key->namespaces[i]));
	for (size_t i = 0; i < key->role_count; i++)
		json_array_append_new(roles, json_string(key->roles[i]));
	return json_pack("{s:s, s:s, s:s, s:o, s:o, s:b, s:s?}", "key_id", key->id, "public_key",
		public_key, "name", key->name, "namespaces", namespaces, "roles", roles,
		"development", key->development, "expires_at", key->expires_us ? expires : NULL);
}

static int add(struct cli *cli, struct added *a, struct error *err)
{
	const char *folder = cli_value(cli, "trust");
	CLEANUP(json_freep) json_t *body = NULL;
	bool yes;
	int rc = describe_key(cli, a, err);

	if (rc < 0)
		return rc;
	cli_step(cli, "key", "%s", a->key.id);
	cli_step(cli, "may sign", "%s%s", cli_value(cli, "namespace"),
		a->key.development ? ", in development only" : "");
	rc = cli_confirm(cli, "Is this the fingerprint its owner told you?", &yes, err);
	if (rc < 0 || !yes)
		return rc;
	body = key_json(&a->key);
	rc = folder ? trust_save_key(folder, &a->key, err)
		    : client_post(cli, "/v1/trust", body, NULL, err);
	if (rc < 0)
		return rc;
	if (cli->json)
		cli_json(body);
	cli_done(cli, "packages of %s signed by %s are trusted", cli_value(cli, "namespace"),
		a->key.name);
	return 0;
}

static int trust_add_command(struct cli *cli, struct error *err)
{
	struct added a = { 0 };
	int rc = add(cli, &a, err);

	mem_free(a.namespace_list);
	return rc;
}

/* The keys, as an array. */
static int fetch_list(struct cli *cli, json_t **out, struct error *err)
{
	const char *folder = cli_value(cli, "trust");
	CLEANUP(trust_freep) struct trust *trust = NULL;
	const struct trust_key *key;
	json_t *answer = NULL;
	int rc;

	if (!folder) {
		rc = client_get(cli, "/v1/trust", &answer, err);
		*out = json_incref(json_object_get(answer, "items"));
		json_decref(answer);
		return rc;
	}
	rc = trust_load(&trust, folder, err);
	if (rc < 0)
		return rc;
	*out = json_array();
	for (size_t i = 0; (key = trust_key_at(trust, i)) != NULL; i++) {
		json_t *one = key_json(key);

		json_object_set_new(one, "state", json_string(key->revoked ? "revoked" : "active"));
		json_array_append_new(*out, one);
	}
	return 0;
}

static int trust_list(struct cli *cli, struct error *err)
{
	static const char *const headings[] = { "KEY", "NAME", "MAY SIGN", "EXPIRES", "STATE" };
	CLEANUP(json_freep) json_t *keys = NULL;
	struct cli_table *table;
	json_t *key, *one;
	size_t i, j;
	int rc = fetch_list(cli, &keys, err);

	if (rc < 0)
		return rc;
	if (cli->json) {
		cli_json(keys);
		return 0;
	}
	table = cli_table_new(headings, ARRAY_LENGTH(headings));
	json_array_foreach(keys, i, key)
	{
		struct text namespaces;

		text_init(&namespaces);
		json_array_foreach(json_object_get(key, "namespaces"), j, one)
			text_printf(&namespaces, "%s%s", j ? "," : "", json_string_value(one));
		cli_table_row(table,
			(const char *[]){ cli_text(key, "key_id", ""), cli_text(key, "name", ""),
				namespaces.data, cli_text(key, "expires_at", "never"),
				json_is_true(json_object_get(key, "development")) &&
						strcmp(cli_text(key, "state", ""), "active") == 0
					? "development"
					: cli_text(key, "state", "") });
		text_done(&namespaces);
	}
	cli_table_print(cli, table);
	return 0;
}

static int revoke_in_folder(
	const char *folder, const char *id, const char *reason, struct error *err)
{
	CLEANUP(trust_freep) struct trust *trust = NULL;
	const struct trust_key *found;
	struct trust_key revoked;
	int rc = trust_load(&trust, folder, err);

	if (rc < 0)
		return rc;
	found = trust_find_key(trust, span_of(id));
	if (!found)
		return error_set(err, ERR_NOT_FOUND, "no key '%s' in '%s'", id, folder);
	revoked = *found;
	revoked.revoked = true;
	revoked.reason = (char *)reason;
	return trust_save_key(folder, &revoked, err);
}

static int trust_revoke(struct cli *cli, struct error *err)
{
	const char *folder = cli_value(cli, "trust"), *id = cli->arguments[0];
	CLEANUP(json_freep) json_t *body = NULL;
	struct text path;
	int rc;

	if (!cli->reason)
		return error_set(err, ERR_USAGE, "a revocation needs its reason: -m TEXT");
	if (folder) {
		rc = revoke_in_folder(folder, id, cli->reason, err);
	} else {
		body = json_pack("{s:s}", "reason", cli->reason);
		text_init(&path);
		text_append_string(&path, "/v1/trust/");
		client_escape(&path, id);
		text_append_string(&path, "/revoke");
		rc = client_post(cli, path.data, body, NULL, err);
		text_done(&path);
	}
	if (rc == 0)
		cli_done(cli, "nothing signed by %s is installed any more", id);
	return rc;
}

#define TRUST_OPTION                                                               \
	{                                                                          \
		"trust", 0, "DIR", "a folder of trusted keys, instead of the host" \
	}

const struct cli_command cli_trust_commands[] = {
	{ "trust add", "KEY.pub", 1, 1, "trust a publisher's key",
		"Shows the fingerprint first: compare it with the one its owner tells you.",
		{ { "namespace", 0, "LIST",
			  "what it may sign: PUBLISHER, PUBLISHER/PLUGIN, or '*'" },
			{ "name", 0, "TEXT", "whose key it is" },
			{ "development", 0, NULL, "counts in the environment 'development' only" },
			{ "days", 'd', "N", "expires after so many days" }, TRUST_OPTION },
		trust_add_command },
	{ "trust list", "", 0, 0, "list trusted keys", NULL, { TRUST_OPTION }, trust_list },
	{ "trust revoke", "KEY-ID", 1, 1, "end the trust in a key", NULL, { TRUST_OPTION },
		trust_revoke },
	{ 0 },
};
