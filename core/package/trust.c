#include "package/trust.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/io.h"
#include "codec/json.h"
#include "package/manifest.h"

#define KEY_BEGINS "key-"
#define PIN_BEGINS "pin-"
#define ENDS       ".json"
#define FILE_MODE  0644

struct trust {
	struct trust_key *keys;
	size_t key_count;
	struct trust_pin *pins;
	size_t pin_count;
};

void trust_new(struct trust **out)
{
	*out = mem_zalloc(sizeof(**out));
}

static void done_list(char **list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		mem_free(list[i]);
	mem_free(list);
}

static void done_key(struct trust_key *key)
{
	mem_free(key->name);
	mem_free(key->reason);
	done_list(key->namespaces, key->namespace_count);
	done_list(key->roles, key->role_count);
}

void trust_free(struct trust *trust)
{
	if (!trust)
		return;
	for (size_t i = 0; i < trust->key_count; i++)
		done_key(&trust->keys[i]);
	for (size_t i = 0; i < trust->pin_count; i++)
		mem_free(trust->pins[i].reason);
	mem_free(trust->keys);
	mem_free(trust->pins);
	mem_free(trust);
}

bool trust_namespace_valid(struct span text)
{
	/* A publisher alone is valid where it is in front of any plugin. */
	CLEANUP(mem_freep) char *name = mem_printf("%.*s/x", SPAN_ARG(text));

	return span_is(text, "*") || manifest_name_valid(text) ||
	       manifest_name_valid(span_of(name));
}

static bool text_valid(const char *text, size_t max)
{
	struct span s = span_of(text);

	return !text || (utf8_valid(s) && json_length(s) <= max);
}

static int check_key(const struct trust_key *key, struct error *err)
{
	char id[SIGN_KEY_ID_SIZE];

	sign_key_id(key->public_key, id);
	if (strcmp(id, key->id) != 0)
		return error_set(err, ERR_TRUST_FILE,
			"key id '%.72s' is not that of its public key", key->id);
	if (!key->name || !key->name[0] || !text_valid(key->name, TRUST_NAME_MAX))
		return error_set(err, ERR_TRUST_FILE, "a key's name is 1 to %d characters long",
			TRUST_NAME_MAX);
	if (!text_valid(key->reason, TRUST_REASON_MAX))
		return error_set(err, ERR_TRUST_FILE, "a reason is at most %d characters long",
			TRUST_REASON_MAX);
	if (key->namespace_count == 0 || key->namespace_count > TRUST_NAMESPACES_MAX)
		return error_set(
			err, ERR_TRUST_FILE, "a key has 1 to %d namespaces", TRUST_NAMESPACES_MAX);
	for (size_t i = 0; i < key->namespace_count; i++)
		if (!trust_namespace_valid(span_of(key->namespaces[i])))
			return error_set(err, ERR_TRUST_FILE,
				"'%.100s' is no namespace: a publisher, publisher/plugin or *",
				key->namespaces[i]);
	if (key->role_count > TRUST_ROLES_MAX)
		return error_set(
			err, ERR_TRUST_FILE, "a key has at most %d roles", TRUST_ROLES_MAX);
	for (size_t i = 0; i < key->role_count; i++)
		if (strcmp(key->roles[i], "in-process") != 0)
			return error_set(err, ERR_TRUST_FILE, "'%.100s' is no role: in-process",
				key->roles[i]);
	return 0;
}

static char **copy_list(char *const *list, size_t count)
{
	char **copy = mem_calloc(count ? count : 1, sizeof(*copy));

	for (size_t i = 0; i < count; i++)
		copy[i] = mem_strdup(list[i]);
	return copy;
}

/* Where key or digest stands or would stand in a sorted array of elements that begin with it. */
static size_t find_place(const void *array, size_t count, size_t size, const char *key, bool *there)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = strcmp((const char *)array + middle * size, key);

		if (order == 0) {
			*there = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*there = false;
	return low;
}

static void *open_gap(void *array, size_t count, size_t size, size_t place)
{
	char *grown = mem_realloc(array, (count + 1) * size);

	memmove(grown + (place + 1) * size, grown + place * size, (count - place) * size);
	return grown;
}

int trust_put_key(struct trust *trust, const struct trust_key *key, struct error *err)
{
	struct trust_key copy = *key;
	bool there;
	size_t place = find_place(trust->keys, trust->key_count, sizeof(copy), key->id, &there);
	int rc = check_key(key, err);

	if (rc < 0)
		return rc;
	if (!there && trust->key_count == TRUST_KEYS_MAX)
		return error_set(err, ERR_LIMIT, "more than %d trusted keys", TRUST_KEYS_MAX);
	copy.name = mem_strdup(key->name);
	copy.reason = mem_strdup(key->reason ? key->reason : "");
	copy.namespaces = copy_list(key->namespaces, key->namespace_count);
	copy.roles = copy_list(key->roles, key->role_count);
	if (there) {
		done_key(&trust->keys[place]);
	} else {
		trust->keys = open_gap(trust->keys, trust->key_count, sizeof(copy), place);
		trust->key_count++;
	}
	trust->keys[place] = copy;
	return 0;
}

static int check_pin(const struct trust_pin *pin, struct error *err)
{
	uint8_t digest[SHA256_SIZE];

	if (!digest_parse(span_of(pin->digest), digest))
		return error_set(
			err, ERR_TRUST_FILE, "'%.71s' is no 'sha256:' digest", pin->digest);
	if (!pin->reason || !pin->reason[0] || !text_valid(pin->reason, TRUST_REASON_MAX))
		return error_set(err, ERR_TRUST_FILE, "a pin has a reason of 1 to %d characters",
			TRUST_REASON_MAX);
	return 0;
}

int trust_put_pin(struct trust *trust, const struct trust_pin *pin, struct error *err)
{
	struct trust_pin copy = *pin;
	bool there;
	size_t place = find_place(trust->pins, trust->pin_count, sizeof(copy), pin->digest, &there);
	int rc = check_pin(pin, err);

	if (rc < 0)
		return rc;
	if (!there && trust->pin_count == TRUST_PINS_MAX)
		return error_set(err, ERR_LIMIT, "more than %d pins", TRUST_PINS_MAX);
	copy.reason = mem_strdup(pin->reason);
	if (there) {
		mem_free(trust->pins[place].reason);
	} else {
		trust->pins = open_gap(trust->pins, trust->pin_count, sizeof(copy), place);
		trust->pin_count++;
	}
	trust->pins[place] = copy;
	return 0;
}

static int64_t read_time(struct json_reader *r, const char *key)
{
	struct span text = json_read_text(r, key, JSON_OPTIONAL, CLOCK_TEXT_SIZE);
	int64_t time = 0;

	if (text.data && (!clock_parse(text, &time) || time <= 0))
		json_reader_fail(r, key, "is not a time such as 2030-01-01T00:00:00Z");
	return time;
}

/* The strings of an array, borrowed; *count is 0 when there is none. */
static char **read_list(struct json_reader *r, const char *key, size_t max, size_t *count)
{
	const json_t *array = json_read_array(r, key, JSON_OPTIONAL, max);
	size_t n = json_array_size(array);
	char **list = mem_calloc(n ? n : 1, sizeof(*list));

	for (size_t i = 0; i < n; i++) {
		list[i] = (char *)json_string_value(json_array_get(array, i));
		if (!list[i])
			json_reader_fail(r, key, "holds something that is no string");
	}
	*count = r->rc < 0 ? 0 : n;
	return list;
}

static bool read_state(struct json_reader *r, const char *other)
{
	struct span state = json_read_text(r, "state", JSON_REQUIRED, 20);

	if (state.data && !span_is(state, other) && !span_is(state, "revoked"))
		json_reader_fail(r, "state", "is neither '%s' nor 'revoked'", other);
	return span_is(state, "revoked");
}

static void copy_text(struct span from, char *out, size_t size)
{
	size_t n = from.len < size - 1 ? from.len : size - 1;

	if (n)
		memcpy(out, from.data, n);
	out[n] = '\0';
}

static int read_key(struct trust *trust, const json_t *json, struct error *err)
{
	struct trust_key key = { .id = "" };
	struct json_reader r;
	struct span public_key;
	int rc;

	json_reader_init(&r, json, "key", ERR_TRUST_FILE, err);
	copy_text(json_read_text(&r, "key_id", JSON_REQUIRED, SIGN_KEY_ID_SIZE - 1), key.id,
		sizeof(key.id));
	public_key = json_read_text(&r, "public_key", JSON_REQUIRED, 2 * SIGN_PUBLIC_SIZE);
	if (public_key.data && !hex_decode(public_key, key.public_key, sizeof(key.public_key)))
		json_reader_fail(&r, "public_key", "is not 64 lower-case hex digits");
	key.name = (char *)json_read_text(&r, "name", JSON_REQUIRED, TRUST_NAME_MAX).data;
	key.namespaces = read_list(&r, "namespaces", TRUST_NAMESPACES_MAX, &key.namespace_count);
	key.roles = read_list(&r, "roles", TRUST_ROLES_MAX, &key.role_count);
	key.development = json_read_boolean(&r, "development", false);
	key.expires_us = read_time(&r, "expires_at");
	key.revoked = read_state(&r, "active");
	key.reason = (char *)json_read_text(&r, "reason", JSON_OPTIONAL, TRUST_REASON_MAX).data;
	rc = json_reader_end(&r);
	if (rc == 0)
		rc = trust_put_key(trust, &key, err);
	mem_free(key.namespaces);
	mem_free(key.roles);
	return rc;
}

static int read_pin(struct trust *trust, const json_t *json, struct error *err)
{
	struct trust_pin pin = { .digest = "" };
	struct json_reader r;
	int rc;

	json_reader_init(&r, json, "pin", ERR_TRUST_FILE, err);
	copy_text(json_read_text(&r, "digest", JSON_REQUIRED, DIGEST_TEXT_SIZE - 1), pin.digest,
		sizeof(pin.digest));
	pin.revoked = read_state(&r, "allowed");
	pin.expires_us = read_time(&r, "expires_at");
	pin.reason = (char *)json_read_text(&r, "reason", JSON_REQUIRED, TRUST_REASON_MAX).data;
	rc = json_reader_end(&r);
	return rc < 0 ? rc : trust_put_pin(trust, &pin, err);
}

/* Whether name is begins, 64 hex digits, ".json"; then *hex is the digits. */
static bool name_fits(const char *name, const char *begins, struct span *hex)
{
	uint8_t digest[SHA256_SIZE];
	size_t n = strlen(begins), len = strlen(name);

	if (len != n + 2 * SHA256_SIZE + sizeof(ENDS) - 1 || strncmp(name, begins, n) != 0 ||
		strcmp(name + len - sizeof(ENDS) + 1, ENDS) != 0)
		return false;
	*hex = (struct span){ name + n, 2 * SHA256_SIZE };
	return hex_decode(*hex, digest, sizeof(digest));
}

/* A file that is named after another key than it holds would be found by nobody who looks. */
static int check_name(const struct trust *trust, bool key, struct span hex, struct error *err)
{
	char name[SIGN_KEY_ID_SIZE];

	(void)snprintf(name, sizeof(name), "%s:%.*s", key ? "ed25519" : "sha256", SPAN_ARG(hex));
	if (key ? trust_find_key(trust, span_of(name)) != NULL
		: trust_find_pin(trust, span_of(name)) != NULL)
		return 0;
	return error_set(err, ERR_TRUST_FILE, "it holds another %s than its name says",
		key ? "key" : "digest");
}

static int load_file(struct trust *trust, int folder, const char *name, struct error *err)
{
	CLEANUP(json_freep) json_t *json = NULL;
	struct span hex;
	struct text data;
	bool key = name_fits(name, KEY_BEGINS, &hex);
	int rc;

	if (!key && !name_fits(name, PIN_BEGINS, &hex))
		return 0;
	text_init(&data);
	rc = io_read_file(folder, name, TRUST_FILE_MAX, &data, err);
	if (rc == 0) {
		rc = json_parse(&json, text_span(&data), NULL, err);
		if (rc < 0 && err)
			err->code = ERR_TRUST_FILE;
		if (rc < 0)
			rc = ERR_TRUST_FILE;
	}
	text_done(&data);
	if (rc == 0)
		rc = key ? read_key(trust, json, err) : read_pin(trust, json, err);
	if (rc == 0)
		rc = check_name(trust, key, hex, err);
	if (rc < 0)
		(void)error_wrap(err, "trust file '%s'", name);
	return rc;
}

int trust_load(struct trust **out, const char *folder, struct error *err)
{
	CLEANUP(trust_freep) struct trust *trust = NULL;
	DIR *dir = opendir(folder);
	struct dirent *entry;
	int rc = 0;

	if (!dir && errno == ENOENT) {
		(void)error_set(err, ERR_NOT_FOUND, "no trust folder '%s'", folder);
		(void)error_fix(err,
			"'mortise trust add KEY.pub --namespace PUBLISHER --trust %s' makes it",
			folder);
		return ERR_NOT_FOUND;
	}
	if (!dir)
		return error_set_errno(err, errno, "open trust folder '%s'", folder);
	trust_new(&trust);
	while (rc == 0 && (entry = readdir(dir)) != NULL)
		rc = load_file(trust, dirfd(dir), entry->d_name, err);
	(void)closedir(dir);
	if (rc < 0)
		return rc;
	*out = TAKE(trust);
	return 0;
}

static json_t *time_value(int64_t time)
{
	char text[CLOCK_TEXT_SIZE];

	if (time == 0)
		return json_null();
	clock_text(time, text);
	return json_string(text);
}

static json_t *list_value(char *const *list, size_t count)
{
	json_t *array = json_array();

	for (size_t i = 0; i < count; i++)
		(void)json_array_append_new(array, json_string(list[i]));
	return array;
}

static int save(
	const char *folder, const char *begins, const char *hex, json_t *value, struct error *err)
{
	CLEANUP(mem_freep) char *path = mem_printf("%s/%s%s" ENDS, folder, begins, hex);
	struct text data;
	int rc = io_make_dirs(folder, 0755, err);

	text_init(&data);
	json_append(&data, value);
	text_append_char(&data, '\n');
	json_decref(value);
	if (rc == 0)
		rc = io_write_file(AT_FDCWD, path, text_span(&data), FILE_MODE, err);
	text_done(&data);
	return rc;
}

int trust_save_key(const char *folder, const struct trust_key *key, struct error *err)
{
	char public_key[2 * SIGN_PUBLIC_SIZE + 1];
	int rc = check_key(key, err);

	if (rc < 0)
		return rc;
	hex_encode(key->public_key, sizeof(key->public_key), public_key);
	return save(folder, KEY_BEGINS, strchr(key->id, ':') + 1,
		json_pack("{ss ss ss so so sb so ss ss}", "key_id", key->id, "public_key",
			public_key, "name", key->name, "namespaces",
			list_value(key->namespaces, key->namespace_count), "roles",
			list_value(key->roles, key->role_count), "development", key->development,
			"expires_at", time_value(key->expires_us), "state",
			key->revoked ? "revoked" : "active", "reason",
			key->reason ? key->reason : ""),
		err);
}

int trust_save_pin(const char *folder, const struct trust_pin *pin, struct error *err)
{
	int rc = check_pin(pin, err);

	if (rc < 0)
		return rc;
	return save(folder, PIN_BEGINS, strchr(pin->digest, ':') + 1,
		json_pack("{ss ss so ss}", "digest", pin->digest, "state",
			pin->revoked ? "revoked" : "allowed", "expires_at",
			time_value(pin->expires_us), "reason", pin->reason),
		err);
}

const struct trust_key *trust_key_at(const struct trust *trust, size_t index)
{
	return index < trust->key_count ? &trust->keys[index] : NULL;
}

const struct trust_pin *trust_pin_at(const struct trust *trust, size_t index)
{
	return index < trust->pin_count ? &trust->pins[index] : NULL;
}

const struct trust_key *trust_find_key(const struct trust *trust, struct span id)
{
	for (size_t i = 0; i < trust->key_count; i++)
		if (span_is(id, trust->keys[i].id))
			return &trust->keys[i];
	return NULL;
}

const struct trust_pin *trust_find_pin(const struct trust *trust, struct span digest)
{
	for (size_t i = 0; i < trust->pin_count; i++)
		if (span_is(digest, trust->pins[i].digest))
			return &trust->pins[i];
	return NULL;
}

int trust_check_key(
	const struct trust_key *key, const char *environment, int64_t now_us, struct error *err)
{
	char when[CLOCK_TEXT_SIZE];

	if (key->revoked)
		return error_set(err, ERR_KEY_REVOKED, "key '%s' (%s) is revoked%s%s", key->name,
			key->id, key->reason[0] ? ": " : "", key->reason);
	if (key->expires_us != 0 && key->expires_us <= now_us) {
		clock_text(key->expires_us, when);
		return error_set(err, ERR_KEY_EXPIRED, "key '%s' (%s) expired at %s", key->name,
			key->id, when);
	}
	if (key->development && strcmp(environment, "development") != 0)
		return error_set(err, ERR_KEY_DEVELOPMENT,
			"key '%s' (%s) is a development key and this is environment '%s'",
			key->name, key->id, environment);
	return 0;
}

int trust_check_namespace(const struct trust_key *key, struct span plugin, struct error *err)
{
	struct span rest = plugin, publisher;

	(void)span_split(&rest, '/', &publisher);
	for (size_t i = 0; i < key->namespace_count; i++) {
		const char *namespace = key->namespaces[i];

		if (strcmp(namespace, "*") == 0 || span_is(publisher, namespace) ||
			span_is(plugin, namespace))
			return 0;
	}
	return error_set(err, ERR_KEY_NAMESPACE, "key '%s' (%s) may not sign '%.*s'", key->name,
		key->id, SPAN_ARG(plugin));
}
