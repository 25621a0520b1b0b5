/* Metadata of TUF: form, signatures, and what one file says of others. */
#include "package/tuf_priv.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/map.h"
#include "codec/json.h"
#include "codec/shown.h"

#define KEYS_MAX       16384u /* of a file: a publisher may have one */
#define KEYIDS_MAX     1024u  /* of a role */
#define SIGNATURES_MAX 1024u
#define ROLES_MAX      16384u
#define NAME_MAX_BYTES 255u
#define VALUES_MAX     (1u << 20) /* JSON values of one file: 5 MB of targets hold about as many */
#define DEPTH_MAX      16u
#define EXPIRES_LENGTH 20u /* "2026-11-01T00:00:00Z" */

static const char *const type_names[] = { "root", "timestamp", "snapshot", "targets" };

/* One look at a file: the first thing that is wrong is kept. */
struct look {
	const char *file;
	int rc;
	struct error *err;
};

__attribute__((format(printf, 2, 3))) static bool wrong(struct look *look, const char *format, ...)
{
	char why[512];
	va_list args;

	if (look->rc < 0)
		return false;
	va_start(args, format);
	(void)vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	look->rc = error_set(
		look->err, ERR_TUF_FORM, "'%s': %s", shown(span_of(look->file)).text, why);
	return false;
}

/* ---- pieces of section 4 --------------------------------------------------------------------- */

static bool integer_within(const json_t *value, int64_t min, int64_t max)
{
	return json_is_integer(value) && json_integer_value(value) >= min &&
	       json_integer_value(value) <= max;
}

static bool is_name(struct span name)
{
	return name.data && name.len > 0 && name.len <= NAME_MAX_BYTES;
}

bool tuf_role_is_top(struct span role)
{
	for (size_t i = 0; i < ARRAY_LENGTH(type_names); i++)
		if (span_is(role, type_names[i]))
			return true;
	return false;
}

/* Empty ones and such as are not ours (md5, say) are refused: one of them would prove nothing. */
static bool check_hashes(struct look *look, const json_t *hashes, const char *of)
{
	uint8_t digest[HASH_SIZE_MAX];
	const char *name;
	json_t *value;

	if (!json_is_object(hashes) || json_object_size(hashes) == 0)
		return wrong(look, "'%s' has no hashes", shown(span_of(of)).text);
	json_object_foreach((json_t *)hashes, name, value)
	{
		size_t size = hash_size(span_of(name));

		if (size == 0)
			return wrong(look, "'%s' has a hash '%s'; sha256, sha384 and sha512 count",
				shown(span_of(of)).text, shown(span_of(name)).text);
		if (!json_is_string(value) || !hex_decode(json_span(value), digest, size))
			return wrong(look, "'%s' has a %s that is not %zu lower-case hex digits",
				shown(span_of(of)).text, name, 2 * size);
	}
	return true;
}

static bool check_keyids(struct look *look, const json_t *keyids, const char *of)
{
	if (!json_is_array(keyids) || json_array_size(keyids) > KEYIDS_MAX)
		return wrong(look, "role '%s' has no list of key ids", shown(span_of(of)).text);
	for (size_t i = 0; i < json_array_size(keyids); i++) {
		struct span id = json_span(json_array_get(keyids, i));

		if (!is_name(id))
			return wrong(look, "role '%s' has a key id that is no name",
				shown(span_of(of)).text);
		for (size_t j = 0; j < i; j++)
			if (span_equal(id, json_span(json_array_get(keyids, j))))
				return wrong(look, "role '%s' names key '%s' twice",
					shown(span_of(of)).text, shown(id).text);
	}
	return true;
}

static bool check_signers(struct look *look, const json_t *role, const json_t *keys, const char *of)
{
	const json_t *keyids = json_object_get(role, "keyids");

	if (!json_is_object(role) || !check_keyids(look, keyids, of))
		return wrong(look, "role '%s' is no object", shown(span_of(of)).text);
	if (!integer_within(json_object_get(role, "threshold"), 1, KEYIDS_MAX))
		return wrong(
			look, "role '%s' has no threshold of at least 1", shown(span_of(of)).text);
	for (size_t i = 0; i < json_array_size(keyids); i++)
		if (!json_object_get(keys, json_string_value(json_array_get(keyids, i))))
			return wrong(look, "role '%s' names key '%s', which is not there",
				shown(span_of(of)).text,
				shown(json_span(json_array_get(keyids, i))).text);
	return true;
}

static int parse_key(struct public_key **out, const json_t *key, struct error *err)
{
	return public_key_parse(out, json_span(json_object_get(key, "keytype")),
		json_span(json_object_get(key, "scheme")),
		json_span(json_object_get(json_object_get(key, "keyval"), "public")), err);
}

/* False: the word was there before. */
static bool first_time(struct map *seen, struct span word)
{
	static char there;

	return map_put(seen, word, &there) == NULL;
}

static bool check_key(struct look *look, struct map *digests, struct span id, const json_t *key)
{
	CLEANUP(public_key_freep) struct public_key *parsed = NULL;
	uint8_t digest[SHA256_SIZE];
	struct error why;

	if (!is_name(id))
		return wrong(look, "a key id is empty or longer than %u bytes", NAME_MAX_BYTES);
	if (parse_key(&parsed, key, &why) < 0)
		return wrong(look, "key '%s': %s", shown(id).text, why.text);
	public_key_digest(parsed, digest);
	if (!first_time(digests, (struct span){ (const char *)digest, sizeof(digest) }))
		return wrong(look, "key '%s' stands there under another id too", shown(id).text);
	return true;
}

/* Keys of unknown kinds are refused, and one key under two ids, which would count twice. */
static bool check_keys(struct look *look, const json_t *keys)
{
	struct map digests;
	const char *id;
	json_t *key;
	bool ok = true;

	if (!json_is_object(keys) || json_object_size(keys) > KEYS_MAX)
		return wrong(look, "it has no object of at most %u keys", KEYS_MAX);
	map_init(&digests);
	json_object_foreach((json_t *)keys, id, key)
	{
		ok = check_key(look, &digests, span_of(id), key);
		if (!ok)
			break;
	}
	map_done(&digests);
	return ok;
}

static bool check_file(struct look *look, const json_t *file, const char *of)
{
	const json_t *length = json_object_get(file, "length");
	const json_t *hashes = json_object_get(file, "hashes");

	if (!integer_within(json_object_get(file, "version"), 1, TUF_VERSION_MAX))
		return wrong(look, "'%s' has no version from 1 to 2^53", shown(span_of(of)).text);
	if (length && !integer_within(length, 1, TUF_TARGETS_MAX))
		return wrong(look, "'%s' has a length that is none from 1 to %u",
			shown(span_of(of)).text, TUF_TARGETS_MAX);
	return !hashes || check_hashes(look, hashes, of);
}

/* ---- the four types -------------------------------------------------------------------------- */

static bool check_root(struct look *look, const json_t *body)
{
	const json_t *keys = json_object_get(body, "keys"), *roles = json_object_get(body, "roles");

	if (!json_is_boolean(json_object_get(body, "consistent_snapshot")))
		return wrong(look, "'consistent_snapshot' is neither true nor false");
	if (!check_keys(look, keys))
		return false;
	for (size_t i = 0; i < ARRAY_LENGTH(type_names); i++)
		if (!check_signers(
			    look, json_object_get(roles, type_names[i]), keys, type_names[i]))
			return false;
	return true;
}

static bool check_timestamp(struct look *look, const json_t *body)
{
	return check_file(look, json_object_get(json_object_get(body, "meta"), "snapshot.json"),
		"snapshot.json");
}

static bool check_snapshot(struct look *look, const json_t *body)
{
	const json_t *meta = json_object_get(body, "meta");
	const char *name;
	json_t *file;

	if (!json_is_object(meta) || json_object_size(meta) > ROLES_MAX)
		return wrong(look, "'meta' is no object of at most %u files", ROLES_MAX);
	if (!json_object_get(meta, "targets.json"))
		return wrong(look, "'meta' does not name targets.json");
	json_object_foreach((json_t *)meta, name, file)
	{
		size_t len = strlen(name);

		if (len <= 5 || strcmp(name + len - 5, ".json") != 0 || len > NAME_MAX_BYTES + 5)
			return wrong(look, "'meta' names '%s', which is no role's file",
				shown(span_of(name)).text);
		if (!check_file(look, file, name))
			return false;
	}
	return true;
}

static bool check_targets_of(struct look *look, const json_t *targets)
{
	const char *path;
	json_t *target;

	if (!json_is_object(targets))
		return wrong(look, "'targets' is no object");
	json_object_foreach((json_t *)targets, path, target)
	{
		const json_t *custom = json_object_get(target, "custom");

		if (path[0] == '\0' || path[0] == '/' || strlen(path) > TUF_PATH_MAX)
			return wrong(
				look, "'%s' is no path of a target", shown(span_of(path)).text);
		if (!integer_within(json_object_get(target, "length"), 0, TUF_VERSION_MAX))
			return wrong(look, "'%s' has no length", shown(span_of(path)).text);
		if (!check_hashes(look, json_object_get(target, "hashes"), path))
			return false;
		if (custom && !json_is_object(custom))
			return wrong(
				look, "'custom' of '%s' is no object", shown(span_of(path)).text);
	}
	return true;
}

static bool is_text_list(const json_t *list, bool (*fits)(struct span))
{
	if (!json_is_array(list))
		return false;
	for (size_t i = 0; i < json_array_size(list); i++)
		if (!fits(json_span(json_array_get(list, i))))
			return false;
	return true;
}

static bool is_pattern(struct span s)
{
	return s.data && s.len > 0 && s.len <= TUF_PATH_MAX;
}

static bool is_prefix(struct span s)
{
	if (!s.data || s.len == 0 || s.len > 2 * SHA256_SIZE)
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!strchr("0123456789abcdef", s.data[i]))
			return false;
	return true;
}

static bool check_delegation(struct look *look, const json_t *role, const json_t *keys)
{
	struct span name = json_span(json_object_get(role, "name"));
	const json_t *paths = json_object_get(role, "paths");
	const json_t *prefixes = json_object_get(role, "path_hash_prefixes");

	if (!is_name(name) || tuf_role_is_top(name))
		return wrong(look, "a delegated role is called '%s'", shown(name).text);
	if (!check_signers(look, role, keys, name.data))
		return false;
	if (!json_is_boolean(json_object_get(role, "terminating")))
		return wrong(look, "role '%s' is neither terminating nor not", shown(name).text);
	if ((paths != NULL) == (prefixes != NULL) || (paths && !is_text_list(paths, is_pattern)) ||
		(prefixes && !is_text_list(prefixes, is_prefix)))
		return wrong(look, "role '%s' has not one of 'paths' and 'path_hash_prefixes'",
			shown(name).text);
	return true;
}

static bool check_targets(struct look *look, const json_t *body)
{
	const json_t *delegations = json_object_get(body, "delegations");
	const json_t *keys = json_object_get(delegations, "keys");
	const json_t *roles = json_object_get(delegations, "roles");
	struct map names;
	bool ok = true;

	if (!check_targets_of(look, json_object_get(body, "targets")))
		return false;
	if (!delegations)
		return true;
	if (!check_keys(look, keys))
		return false;
	if (!json_is_array(roles) || json_array_size(roles) > ROLES_MAX)
		return wrong(look, "'delegations' has no list of at most %u roles", ROLES_MAX);
	map_init(&names);
	for (size_t i = 0; ok && i < json_array_size(roles); i++) {
		const json_t *role = json_array_get(roles, i);
		struct span name = json_span(json_object_get(role, "name"));

		ok = check_delegation(look, role, keys);
		if (ok && !first_time(&names, name))
			ok = wrong(look, "role '%s' is delegated twice", shown(name).text);
	}
	map_done(&names);
	return ok;
}

/* ---- parsing --------------------------------------------------------------------------------- */

/* "1.0.34", "1.0": the major version is ours. */
static bool is_spec_version(struct span s)
{
	struct span part;
	uint64_t number;
	size_t parts = 0;

	while (s.data && span_split(&s, '.', &part)) {
		if (!span_u64(part, UINT32_MAX, &number) || (parts == 0 && number != 1))
			return false;
		parts++;
	}
	return parts == 2 || parts == 3;
}

static bool check_signatures(struct look *look, const json_t *signatures)
{
	if (!json_is_array(signatures) || json_array_size(signatures) > SIGNATURES_MAX)
		return wrong(look, "it has no list of signatures");
	for (size_t i = 0; i < json_array_size(signatures); i++) {
		const json_t *one = json_array_get(signatures, i);
		struct span id = json_span(json_object_get(one, "keyid"));

		if (!is_name(id) || !json_is_string(json_object_get(one, "sig")))
			return wrong(look, "signature %zu has no key id or no sig", i + 1);
		for (size_t j = 0; j < i; j++)
			if (span_equal(id, json_span(json_object_get(
						   json_array_get(signatures, j), "keyid"))))
				return wrong(look, "two signatures name key '%s'", shown(id).text);
	}
	return true;
}

static bool check_common(struct look *look, struct tuf_metadata *m)
{
	struct span expires = json_span(json_object_get(m->body, "expires"));
	struct span type = json_span(json_object_get(m->body, "_type"));

	if (!json_is_object(m->body))
		return wrong(look, "'signed' is no object");
	if (!type.data || !span_is(type, type_names[m->type]))
		return wrong(look, "it is '%s', not %s", shown(type).text, type_names[m->type]);
	if (!is_spec_version(json_span(json_object_get(m->body, "spec_version"))))
		return wrong(look, "'spec_version' is none of 1.x");
	if (!integer_within(json_object_get(m->body, "version"), 1, TUF_VERSION_MAX))
		return wrong(look, "'version' is no number from 1 to 2^53");
	if (expires.len != EXPIRES_LENGTH || !clock_parse(expires, &m->expires_us))
		return wrong(look, "'expires' is no time such as 2026-11-01T00:00:00Z");
	m->version = json_integer_value(json_object_get(m->body, "version"));
	return check_signatures(look, json_object_get(m->document, "signatures"));
}

int tuf_metadata_parse(struct tuf_metadata *out, enum tuf_type type, struct span bytes,
	const char *file, struct error *err)
{
	static bool (*const checks[])(struct look *, const json_t *) = { check_root,
		check_timestamp, check_snapshot, check_targets };
	static const struct json_limits limits = { TUF_TARGETS_MAX, DEPTH_MAX, VALUES_MAX };
	struct look look = { .file = file, .err = err };
	struct tuf_metadata m = { .type = type };
	struct error why;

	if (json_parse(&m.document, bytes, &limits, &why) < 0) {
		(void)wrong(&look, "%s", why.text);
		return look.rc;
	}
	m.body = json_object_get(m.document, "signed");
	if (check_common(&look, &m) && checks[type](&look, m.body)) {
		*out = m;
		return 0;
	}
	json_decref(m.document);
	return look.rc;
}

void tuf_metadata_done(struct tuf_metadata *m)
{
	json_decref(m->document);
	*m = (struct tuf_metadata){ 0 };
}

/* ---- signatures (section 5, "verified with a threshold") ------------------------------------- */

struct tuf_signers tuf_root_signers(const struct tuf_metadata *root, const char *role)
{
	const json_t *entry = json_object_get(json_object_get(root->body, "roles"), role);

	return (struct tuf_signers){ json_object_get(root->body, "keys"),
		json_object_get(entry, "keyids"),
		json_integer_value(json_object_get(entry, "threshold")) };
}

static struct span signature_of(const struct tuf_metadata *m, struct span keyid)
{
	const json_t *signatures = json_object_get(m->document, "signatures");

	for (size_t i = 0; i < json_array_size(signatures); i++) {
		const json_t *one = json_array_get(signatures, i);

		if (span_equal(keyid, json_span(json_object_get(one, "keyid"))))
			return json_span(json_object_get(one, "sig"));
	}
	return SPAN_NONE;
}

static bool verify_one(const json_t *key, struct span message, struct span sig)
{
	CLEANUP(public_key_freep) struct public_key *parsed = NULL;
	CLEANUP(mem_freep) uint8_t *raw = mem_alloc(sig.len / 2 + 1);

	return hex_decode(sig, raw, sig.len / 2) && parse_key(&parsed, key, NULL) == 0 &&
	       public_key_verify(parsed, message, (struct span){ (const char *)raw, sig.len / 2 });
}

/* Ids of a role differ, and so do the keys behind them: each that signed counts once. */
int tuf_metadata_verify(const struct tuf_metadata *m, struct tuf_signers signers, const char *file,
	struct error *err)
{
	struct text message, missing;
	int64_t good = 0;
	int rc;

	text_init(&message);
	text_init(&missing);
	rc = json_append_canonical(&message, m->body, err);
	for (size_t i = 0; rc == 0 && i < json_array_size(signers.keyids); i++) {
		struct span id = json_span(json_array_get(signers.keyids, i));
		struct span sig = signature_of(m, id);

		if (sig.data && sig.len > 0 &&
			verify_one(
				json_object_get(signers.keys, id.data), text_span(&message), sig))
			good++;
		else if (missing.len < 200)
			text_printf(&missing, " %.16s", shown(id).text);
	}
	if (rc == 0 && good < signers.threshold)
		rc = error_set(err, ERR_TUF_SIGNATURES,
			"'%s': %" PRId64 " of %" PRId64 " signatures that it needs; none of key%s",
			shown(span_of(file)).text, good, signers.threshold,
			text_span(&missing).data);
	text_done(&missing);
	text_done(&message);
	return rc;
}

/* ---- what a file says of others -------------------------------------------------------------- */

bool tuf_metadata_file(const struct tuf_metadata *m, const char *role, struct tuf_file *out)
{
	CLEANUP(mem_freep) char *name = mem_printf("%s.json", role);
	const json_t *file = json_object_get(json_object_get(m->body, "meta"), name);

	if (!file)
		return false;
	*out = (struct tuf_file){
		.version = json_integer_value(json_object_get(file, "version")),
		.length = (uint64_t)json_integer_value(json_object_get(file, "length")),
		.hashes = json_object_get(file, "hashes"),
	};
	return true;
}

int tuf_file_check(
	const struct tuf_file *wanted, struct span bytes, const char *file, struct error *err)
{
	const char *name;
	json_t *hex;

	if (wanted->length > 0 && bytes.len != wanted->length)
		return error_set(err, ERR_TUF_DIGEST, "'%s' has %zu bytes; signed were %" PRIu64,
			shown(span_of(file)).text, bytes.len, wanted->length);
	json_object_foreach((json_t *)wanted->hashes, name, hex)
	{
		struct hash hash;

		hash_init(&hash, span_of(name));
		hash_update(&hash, bytes.data, bytes.len);
		if (!hash_matches(&hash, json_span(hex)))
			return error_set(err, ERR_TUF_DIGEST, "'%s' is not the one of %s %s",
				shown(span_of(file)).text, name, json_string_value(hex));
	}
	return 0;
}

/* Shell patterns of '*' and '?' that no '/' is part of. Goes back to the last star only, so the
 * time is at most the product of the lengths. */
static bool matches(struct span pattern, struct span path)
{
	size_t p = 0, s = 0, star = SIZE_MAX, from = 0;

	while (s < path.len) {
		if (p < pattern.len && pattern.data[p] == '*') {
			star = p++;
			from = s;
		} else if (p < pattern.len &&
			   (pattern.data[p] == path.data[s] ||
				   (pattern.data[p] == '?' && path.data[s] != '/'))) {
			p++;
			s++;
		} else if (star != SIZE_MAX && path.data[from] != '/') {
			p = star + 1;
			s = ++from;
		} else {
			return false;
		}
	}
	while (p < pattern.len && pattern.data[p] == '*')
		p++;
	return p == pattern.len;
}

bool tuf_delegation_covers(const json_t *role, struct span path)
{
	const json_t *paths = json_object_get(role, "paths");
	const json_t *prefixes = json_object_get(role, "path_hash_prefixes");
	char hex[SHA256_HEX_SIZE];

	for (size_t i = 0; i < json_array_size(paths); i++)
		if (matches(json_span(json_array_get(paths, i)), path))
			return true;
	sha256_hex(path, hex);
	for (size_t i = 0; i < json_array_size(prefixes); i++)
		if (span_starts(span_of(hex), json_string_value(json_array_get(prefixes, i))))
			return true;
	return false;
}
